//! A profile as TOML spells it. What the words mean is decided in `parse`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::values::{Architectures, Errno, Limit, Number, Values};

/// Every key and every word of a fixed choice, for suggestions.
pub(crate) const WORDS: &[&str] = &[
    "version",
    "apparmor",
    "label",
    "need",
    "required",
    "best-effort",
    "description",
    "extends",
    "process",
    "no-new-privileges",
    "timeout",
    "capabilities",
    "keep",
    "drop",
    "paths",
    "masked",
    "read-only",
    "unmasked",
    "limits",
    "soft",
    "hard",
    "mounts",
    "read-only-root",
    "tmpfs",
    "volumes",
    "namespaces",
    "user",
    "network",
    "mode",
    "env",
    "set",
    "pass",
    "landlock",
    "need",
    "read",
    "write",
    "execute",
    "bind-ports",
    "connect-ports",
    "scopes",
    "required",
    "best-effort",
    "seccomp",
    "default",
    "default-errno",
    "architectures",
    "import",
    "conflicts",
    "flags",
    "listener-path",
    "listener-metadata",
    "group",
    "name",
    "action",
    "errno",
    "syscalls",
    "optional-syscalls",
    "args",
    "match",
    "when-capability",
    "unless-capability",
    "when-architecture",
    "unless-architecture",
    "min-kernel",
    "below-kernel",
    "index",
    "mask",
    "op",
    "value",
    "allow",
    "log",
    "kill",
    "kill-thread",
    "trap",
    "trace",
    "notify",
    "all",
    "any",
    "error",
    "libseccomp",
];

/// In a list: what the list was in the profile that is extended.
pub(crate) const INHERITED: &str = "...";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    pub(crate) version: Spanned<u32>,
    /// One line for `sbx profile ls`.
    pub(crate) description: Option<String>,
    /// A name or, with a slash, a file.
    pub(crate) extends: Option<Spanned<String>>,
    pub(crate) process: Option<Process>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) paths: Option<Paths>,
    pub(crate) limits: Option<BTreeMap<Spanned<String>, Limit>>,
    pub(crate) mounts: Option<Mounts>,
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) network: Option<Network>,
    pub(crate) env: Option<Env>,
    pub(crate) landlock: Option<Landlock>,
    pub(crate) apparmor: Option<AppArmor>,
    pub(crate) seccomp: Option<Seccomp>,
}

type List = Option<Vec<Spanned<String>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Process {
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Capabilities {
    pub(crate) keep: List,
    pub(crate) drop: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Paths {
    pub(crate) masked: List,
    pub(crate) read_only: List,
    pub(crate) unmasked: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Mounts {
    pub(crate) read_only_root: Option<bool>,
    pub(crate) tmpfs: List,
    pub(crate) volumes: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Namespaces {
    pub(crate) user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Network {
    pub(crate) mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Env {
    pub(crate) set: Option<BTreeMap<Spanned<String>, String>>,
    pub(crate) pass: List,
}

/// Whether a start fails where the host cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Need {
    Required,
    BestEffort,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Landlock {
    pub(crate) need: Option<Need>,
    pub(crate) read: List,
    pub(crate) write: List,
    pub(crate) execute: List,
    pub(crate) bind_ports: Option<Vec<u16>>,
    pub(crate) connect_ports: Option<Vec<u16>>,
    pub(crate) scopes: Option<Vec<Scope>>,
}

/// What Landlock keeps a sandbox from outside of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    AbstractUnixSocket,
    Signal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AppArmor {
    pub(crate) label: Option<Spanned<String>>,
    pub(crate) need: Option<Need>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Seccomp {
    /// Without it the groups are laid over those of the profile that is extended.
    pub(crate) default: Option<Spanned<ActionWord>>,
    pub(crate) default_errno: Option<Spanned<Errno>>,
    pub(crate) architectures: Option<Spanned<Architectures>>,
    /// A filter in JSON, below the groups of this file.
    pub(crate) import: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) conflicts: Conflicts,
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    pub(crate) listener_path: Option<String>,
    pub(crate) listener_metadata: Option<String>,
    #[serde(default)]
    pub(crate) group: Vec<Spanned<Group>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Group {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) action: Spanned<ActionWord>,
    pub(crate) errno: Option<Spanned<Errno>>,
    #[serde(default)]
    pub(crate) syscalls: Vec<Spanned<String>>,
    /// As `syscalls`, and no error where libseccomp does not know one.
    #[serde(default)]
    pub(crate) optional_syscalls: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) args: Vec<Spanned<Arg>>,
    #[serde(default, rename = "match")]
    pub(crate) combined: Combined,
    #[serde(default)]
    pub(crate) when_capability: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) unless_capability: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) when_architecture: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) unless_architecture: Vec<Spanned<String>>,
    pub(crate) min_kernel: Option<Spanned<String>>,
    pub(crate) below_kernel: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ActionWord {
    Allow,
    Log,
    Kill,
    KillThread,
    Trap,
    Errno,
    Trace,
    Notify,
}

/// What groups say that contradict each other.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Conflicts {
    #[default]
    Error,
    Libseccomp,
}

/// How many of a group's `args` must hold.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Combined {
    #[default]
    All,
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Arg {
    pub(crate) index: u8,
    pub(crate) mask: Option<Number>,
    pub(crate) op: OpWord,
    pub(crate) value: Values,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OpWord {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
