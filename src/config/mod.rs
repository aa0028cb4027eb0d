//! Arguments and configuration, resolved once into a [`Request`].

mod env;
mod file;
mod hosts;
mod mount;
mod request;
mod security;
mod user;
mod userns;
mod values;

pub(crate) use file::ConfigFile;
pub(crate) use mount::{MountKind, MountRequest, Volume};
pub(crate) use request::{Keep, Network, Request, Root, check, profiles};
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
    /// The first that is set wins: flag, then `next`, then default.
    pub(crate) fn pick(
        flag: Option<T>,
        name: &'static str,
        next: Option<Sourced<T>>,
        default: T,
    ) -> Self {
        match flag {
            Some(value) => Sourced { value, source: Source::Flag(name) },
            None => next.unwrap_or(Sourced { value: default, source: Source::Default }),
        }
    }

    /// What a message calls it: the flag, or the key of a profile or of the configuration file.
    fn label(&self, flag: &str, profile_key: &str, file_key: &str) -> String {
        match &self.source {
            Source::Profile(name) => format!("profile {name}: {profile_key}"),
            Source::File(path) => format!("{}: {file_key}", path.display()),
            _ => flag.to_owned(),
        }
    }
}
