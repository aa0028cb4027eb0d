//! A profile as TOML spells it. What the words mean is decided in `parse`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use toml::Spanned;

/// Every key and every word of a fixed choice, for suggestions.
pub(crate) const WORDS: &[&str] = &[
    "version",
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
    "group",
    "name",
    "action",
    "errno",
    "syscalls",
    "args",
    "when-capability",
    "unless-capability",
    "index",
    "mask",
    "op",
    "value",
    "allow",
    "log",
    "kill",
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
pub(crate) struct Seccomp {
    /// Without it the groups are laid over those of the profile that is extended.
    pub(crate) default: Option<Spanned<ActionWord>>,
    pub(crate) default_errno: Option<Spanned<String>>,
    pub(crate) architectures: List,
    #[serde(default)]
    pub(crate) group: Vec<Spanned<Group>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) action: Spanned<ActionWord>,
    pub(crate) errno: Option<Spanned<String>>,
    pub(crate) syscalls: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) args: Vec<Spanned<Arg>>,
    #[serde(default)]
    pub(crate) when_capability: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) unless_capability: Vec<Spanned<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionWord {
    Allow,
    Log,
    Kill,
    Errno,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Arg {
    pub(crate) index: u8,
    pub(crate) mask: Option<u64>,
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

/// One number or several. Not an untagged enum: its errors would not say what was expected.
pub(crate) struct Values(pub(crate) Vec<u64>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 0 or more, or a list of them")
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Values, E> {
                let v =
                    u64::try_from(v).map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))?;
                Ok(Values(vec![v]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(v) = seq.next_element()? {
                    values.push(v);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

/// `core = 0`, `core = "unlimited"`, or `nofile = { soft = 1024, hard = 4096 }`.
pub(crate) struct Limit {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Amount(#[serde(deserialize_with = "amount")] Option<u64>);

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of 0 or more, or \"unlimited\"")
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Option<u64>, E> {
        u64::try_from(v).map(Some).map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Option<u64>, E> {
        if v == "unlimited" { Ok(None) } else { Err(E::invalid_value(Unexpected::Str(v), &self)) }
    }
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(AmountVisitor)
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 0 or more, \"unlimited\", or { soft = …, hard = … }")
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Limit, E> {
                AmountVisitor.visit_i64(v).map(|v| Limit { soft: v, hard: v })
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Limit, E> {
                AmountVisitor.visit_str(v).map(|v| Limit { soft: v, hard: v })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Limit, A::Error> {
                let (mut soft, mut hard) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "soft" => soft = Some(map.next_value::<Amount>()?.0),
                        "hard" => hard = Some(map.next_value::<Amount>()?.0),
                        other => return Err(A::Error::unknown_field(other, &["soft", "hard"])),
                    }
                }
                Ok(Limit {
                    soft: soft.ok_or_else(|| A::Error::missing_field("soft"))?,
                    hard: hard.ok_or_else(|| A::Error::missing_field("hard"))?,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
