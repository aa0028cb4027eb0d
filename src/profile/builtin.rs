//! The profiles that build.rs compiled in.

use super::capability::CapSet;
use super::rlimit::{Resource, Rlimit};

pub(super) struct Builtin {
    pub(super) name: &'static str,
    /// The TOML text, for capability sets that have no filter below.
    pub(super) source: &'static str,
    pub(super) capabilities: CapSet,
    pub(super) masked_paths: &'static [&'static str],
    pub(super) readonly_paths: &'static [&'static str],
    pub(super) no_new_privileges: bool,
    pub(super) rlimits: &'static [Rlimit],
    /// The capabilities on which the filter depends.
    pub(super) relevant: CapSet,
    pub(super) filters: &'static [BuiltinFilter],
}

pub(super) struct BuiltinFilter {
    /// Granted among the relevant ones.
    pub(super) caps: CapSet,
    pub(super) allows_keyctl: bool,
    pub(super) program: &'static [u8],
}

impl Builtin {
    pub(super) fn find(name: &str) -> Option<&'static Builtin> {
        BUILTINS.iter().find(|b| b.name == name)
    }

    /// The profile that fills in what another leaves out.
    pub(super) fn base() -> &'static Builtin {
        &BUILTINS[0]
    }

    pub(super) fn filter(&self, caps: CapSet) -> Option<&'static BuiltinFilter> {
        let caps = caps.intersection(self.relevant);
        self.filters.iter().find(|f| f.caps == caps)
    }
}

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));
