//! Profiles: what a sandbox may do, as one TOML file says it. `docs/profiles.md` explains the keys.
//!
//! build.rs includes the modules from text to BPF, so these reach each other by `super` and nothing
//! else of the crate: bpf, capability, compile, errno, parse, policy, ranges, rlimit, schema, search,
//! suggest, syscalls.

mod bpf;
mod builtin;
mod cache;
pub(crate) mod capability;
mod compile;
mod errno;
mod load;
mod parse;
mod policy;
mod ranges;
pub(crate) mod rlimit;
mod schema;
mod search;
mod suggest;
mod syscalls;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::host::dirs::Dirs;

use builtin::Builtin;
pub(crate) use capability::CapSet;
use policy::Policy;
pub(crate) use rlimit::{Resource, Rlimit};

/// What a sandbox may do, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The built-in's name, or the file's without `.toml`.
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// Granted unless the command line adds or drops some.
    pub(crate) capabilities: CapSet,
    /// Hidden behind an empty file or directory.
    pub(crate) masked_paths: Vec<String>,
    pub(crate) readonly_paths: Vec<String>,
    /// Resources that are not listed keep the caller's limits.
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) no_new_privileges: bool,
    seccomp: Seccomp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Builtin,
    File(PathBuf),
}

/// Where the filter comes from.
#[derive(Clone)]
enum Seccomp {
    Builtin(&'static Builtin),
    /// `--security-opt seccomp=unconfined`.
    Unconfined,
    Custom(Box<Custom>),
}

#[derive(Clone)]
struct Custom {
    policy: Policy,
    path: PathBuf,
    /// The file's bytes, on which the cached filter depends.
    source: Vec<u8>,
}

/// A filter for the `SECCOMP_SET_MODE_FILTER` operation of `seccomp(2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// An array of `struct sock_filter`; empty where there is no filter to install.
    pub(crate) program: Cow<'static, [u8]>,
    /// keyctl may succeed, so that the sandbox needs a session keyring of its own.
    pub(crate) allows_keyctl: bool,
}

impl Profile {
    /// The built-in default; or by name a built-in or `NAME.toml` among the user's profiles; or, where
    /// `choice` has a slash, that file.
    pub(crate) fn load(choice: Option<&OsStr>, dirs: &Dirs) -> Result<Profile> {
        load::profile(choice, dirs)
    }

    /// Takes the filter alone from somewhere else: `unconfined`, or a profile's file.
    pub(crate) fn with_seccomp(mut self, choice: &OsStr) -> Result<Profile> {
        self.seccomp = load::seccomp(choice)?;
        Ok(self)
    }

    /// The filter for a sandbox that is granted `caps`.
    ///
    /// Of a built-in profile it is at hand for the usual sets of capabilities. Anything else is
    /// compiled once and kept below `dirs.cache`.
    pub(crate) fn filter(&self, caps: CapSet, dirs: &Dirs) -> Result<Filter> {
        match &self.seccomp {
            Seccomp::Unconfined => Ok(Filter { program: Cow::Borrowed(&[]), allows_keyctl: true }),
            Seccomp::Builtin(builtin) => match builtin.filter(caps) {
                Some(filter) => Ok(Filter {
                    program: Cow::Borrowed(filter.program),
                    allows_keyctl: filter.allows_keyctl,
                }),
                None => {
                    let place = format!("the built-in profile {}", builtin.name);
                    let relevant = caps.intersection(builtin.relevant);
                    cached(dirs, builtin.source.as_bytes(), relevant, &place, || {
                        load::builtin_policy(builtin).map(Cow::Owned)
                    })
                }
            },
            Seccomp::Custom(custom) => {
                let place = format!("profile {}", custom.path.display());
                let relevant = caps.intersection(custom.policy.relevant());
                cached(dirs, &custom.source, relevant, &place, || Ok(Cow::Borrowed(&custom.policy)))
            }
        }
    }
}

/// A filter out of the cache, or compiled and put there.
fn cached<'a>(
    dirs: &Dirs,
    source: &[u8],
    caps: CapSet,
    place: &str,
    policy: impl FnOnce() -> Result<Cow<'a, Policy>>,
) -> Result<Filter> {
    let entry = cache::Entry::new(dirs, source, caps);
    let compiled = match entry.read() {
        Some(compiled) => compiled,
        None => {
            let compiled = compile::compile(policy()?.as_ref(), caps)
                .map_err(|e| Error::new(format!("cannot compile {place}"), e.to_string()))?;
            entry.write(&compiled);
            compiled
        }
    };
    Ok(Filter { program: Cow::Owned(compiled.program), allows_keyctl: compiled.allows_keyctl })
}

impl std::fmt::Debug for Seccomp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Seccomp::Builtin(builtin) => write!(f, "Builtin({})", builtin.name),
            Seccomp::Unconfined => f.write_str("Unconfined"),
            Seccomp::Custom(custom) => write!(f, "Custom({})", custom.path.display()),
        }
    }
}
