//! The profiles that build.rs compiled in.

use super::capability::CapSet;
use super::layers::{Landlock, Settings};
use super::parse::Sets;
use super::rlimit::{Resource, Rlimit};
use super::schema::Scope;

pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// What it extends, the lowest first, and itself.
    pub(super) chain: &'static [&'static str],
    /// The TOML text, for capability sets that have no filter below.
    pub(super) source: &'static str,
    /// With those of the profiles that it extends.
    pub(super) settings: fn() -> Settings,
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

    /// The profile that another one extends where it does not say.
    pub(super) fn base() -> &'static Builtin {
        &BUILTINS[0]
    }

    pub(super) fn filter(&self, caps: CapSet) -> Option<&'static BuiltinFilter> {
        let caps = caps.intersection(self.relevant);
        self.filters.iter().find(|f| f.caps == caps)
    }

    /// What it is laid over, the lowest first, and itself.
    pub(super) fn chain(&self) -> impl Iterator<Item = &'static Builtin> + use<> {
        self.chain.iter().filter_map(|name| Builtin::find(name))
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));
