//! Arguments and configuration, resolved once into a [`Request`].

mod env;
mod file;
mod hosts;
mod mount;
mod request;
mod user;
mod userns;
mod values;

pub(crate) use file::ConfigFile;
pub(crate) use mount::{MountKind, MountRequest, Volume};
pub(crate) use request::{Keep, Network, Request, Root};
pub(crate) use user::{Id, UserSpec};
pub(crate) use userns::Userns;

use std::fmt;
use std::path::PathBuf;

/// Where a value came from, for `--explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    Profile(String),
    File(PathBuf),
    Image,
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Profile(name) => write!(f, "profile {name}"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Image => f.write_str("image"),
            Source::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl<T> Sourced<T> {
    /// The first that is set wins: flag, then configuration file, then default.
    pub(crate) fn pick(
        flag: Option<T>,
        name: &'static str,
        file: Option<(T, &PathBuf)>,
        default: T,
    ) -> Self {
        match (flag, file) {
            (Some(value), _) => Sourced { value, source: Source::Flag(name) },
            (None, Some((value, path))) => Sourced { value, source: Source::File(path.clone()) },
            (None, None) => Sourced { value: default, source: Source::Default },
        }
    }
}
