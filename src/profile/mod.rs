//! Profiles: what a sandbox may do, as one TOML file says it. `docs/profiles.md` explains the keys.
//!
//! build.rs includes the modules from text to BPF, so these reach each other by `super` and nothing
//! else of the crate: arch, bpf, capability, compile, errno, groups, layers, parse, policy, ranges, rlimit,
//! schema, search, suggest, syscalls, values.

mod arch;
mod arguments;
mod bpf;
mod builtin;
mod cache;
pub(crate) mod capability;
pub(crate) mod catalog;
mod compile;
pub(crate) mod convert;
mod errno;
mod groups;
mod interpreter;
mod json;
pub(crate) mod json_schema;
mod layers;
mod load;
mod parse;
mod policy;
mod ranges;
pub(crate) mod rlimit;
pub(crate) mod rows;
mod schema;
mod search;
mod suggest;
mod syscalls;
#[cfg(test)]
mod tests;
pub(crate) mod trial;
mod values;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use crate::error::{Error, Result};
use crate::host::dirs::Dirs;

use builtin::Builtin;
pub(crate) use capability::CapSet;
use layers::FilterDocument;
pub(crate) use layers::{Landlock, Settings};
pub(crate) use policy::Arch;
use policy::Policy;
pub(crate) use rlimit::{Resource, Rlimit};
pub(crate) use schema::Scope;

/// What a sandbox may do, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The built-in's name, or the file's without `.toml`; of several, with `+` between them.
    pub(crate) name: String,
    pub(crate) settings: Settings,
    seccomp: Seccomp,
}

/// Where the filter comes from.
#[derive(Clone)]
enum Seccomp {
    Builtin(&'static Builtin),
    /// `--security-opt seccomp=unconfined`.
    Unconfined,
    Custom(Box<Custom>),
}

/// A filter from files.
#[derive(Clone)]
struct Custom {
    /// What the files are laid over.
    base: &'static Builtin,
    over: Vec<Part>,
}

/// The filter of one file.
#[derive(Clone)]
struct Part {
    place: String,
    document: FilterDocument,
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
    /// The built-in default where nothing is chosen. A choice is a built-in, or `NAME.toml` among the
    /// user's profiles, or, where it has a slash, a file; later ones are laid over earlier ones.
    pub(crate) fn load(choices: &[OsString], dirs: &Dirs) -> Result<Profile> {
        load::profile(choices, dirs)
    }

    /// Takes the filter alone from somewhere else: `unconfined`, or a profile's file.
    pub(crate) fn with_seccomp(mut self, choice: &OsStr, dirs: &Dirs) -> Result<Profile> {
        self.seccomp = load::seccomp(choice, dirs)?;
        Ok(self)
    }

    /// Calls that the filter's files name and this libseccomp does not know: the default is decided.
    pub(crate) fn unknown_calls(&self) -> Vec<&str> {
        let Seccomp::Custom(custom) = &self.seccomp else { return Vec::new() };
        custom.over.iter().flat_map(|part| convert::unknown(&part.document)).collect()
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
                None => Custom { base: builtin, over: Vec::new() }.filter(caps, dirs),
            },
            Seccomp::Custom(custom) => custom.filter(caps, dirs),
        }
    }
}

impl Custom {
    fn policy(&self) -> Result<Policy> {
        // What another filter has replaced does no harm.
        let whole = self.over.iter().rposition(|part| part.document.default.is_some());
        for part in &self.over[whole.unwrap_or(0)..] {
            if let Some((key, why)) = part.document.refused() {
                return Err(Error::new(
                    format!("cannot use {}", part.place),
                    format!("key {key}: {why}"),
                ));
            }
        }
        let mut policy = load::builtin_policy(self.base)?;
        for part in &self.over {
            policy = part.document.over(policy);
        }
        Ok(policy)
    }

    /// The capabilities that make a difference.
    fn relevant(&self) -> CapSet {
        self.over.iter().fold(self.base.relevant, |set, part| {
            let own = part.document.relevant();
            if part.document.default.is_some() { own } else { set.union(own) }
        })
    }

    fn filter(&self, caps: CapSet, dirs: &Dirs) -> Result<Filter> {
        // The first built-in has the named sets, whatever the files are laid over.
        let base =
            std::iter::once(Builtin::base().source).chain(self.base.chain().map(|b| b.source));
        let over = self.over.iter().map(|part| part.source.as_slice());
        let kernel = if self.over.iter().any(|part| part.document.on_kernel()) {
            arch::running_kernel()
        } else {
            (0, 0)
        };
        let kernel = format!("Linux {}.{}", kernel.0, kernel.1);
        let sources: Vec<&[u8]> =
            base.map(str::as_bytes).chain(over).chain([kernel.as_bytes()]).collect();
        let entry = cache::Entry::new(dirs, &sources, caps.intersection(self.relevant()));
        let compiled = match entry.read() {
            Some(compiled) => compiled,
            None => {
                let compiled = compile::compile(&self.policy()?, caps)
                    .map_err(|e| Error::new(format!("cannot compile {self}"), e.to_string()))?;
                entry.write(&compiled);
                compiled
            }
        };
        Ok(Filter { program: Cow::Owned(compiled.program), allows_keyctl: compiled.allows_keyctl })
    }
}

impl std::fmt::Display for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.over.last() {
            Some(part) => f.write_str(&part.place),
            None => write!(f, "the built-in profile {}", self.base.name),
        }
    }
}

impl std::fmt::Debug for Seccomp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Seccomp::Builtin(builtin) => write!(f, "Builtin({})", builtin.name),
            Seccomp::Unconfined => f.write_str("Unconfined"),
            Seccomp::Custom(custom) => write!(f, "Custom({custom})"),
        }
    }
}
