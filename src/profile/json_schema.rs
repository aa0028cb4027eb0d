//! The keys of a profile as a JSON Schema, from which editors complete and check.
//!
//! `schema` is what is read; a test holds the two together.

use serde_json::{Map, Value, json};

use super::builtin::{BUILTINS, SETS};
use super::capability::CapSet;
use super::policy::Arch;
use super::rlimit::Resource;
use super::schema::INHERITED;
use super::{errno, syscalls};

/// A key, what it means, and what it holds.
type Key = (&'static str, &'static str, Value);

pub(crate) fn schema() -> Value {
    let mut top = table(vec![
        ("version", "The version of the format: 1.", json!({"const": 1})),
        ("description", "One line for sbx profile ls.", text()),
        (
            "extends",
            "What this file is laid over: a name, or a file where it has a slash. Without it, default.",
            json!({"type": "string", "examples": BUILTINS.iter().map(|b| b.name).collect::<Vec<_>>()}),
        ),
        ("process", "The program itself.", process()),
        ("capabilities", "What the sandbox starts with.", capabilities()),
        ("paths", "What of the kernel's files is hidden or read-only.", paths()),
        ("limits", "Resource limits, as getrlimit(2) has them.", limits()),
        ("mounts", "What is mounted beside the root.", mounts()),
        (
            "namespaces",
            "Namespaces.",
            table(vec![(
                "user",
                "As --userns.",
                json!({"type": "string", "examples": ["keep-id"]}),
            )]),
        ),
        (
            "network",
            "The network.",
            table(vec![(
                "mode",
                "As --network.",
                json!({"type": "string", "examples": ["none", "host"]}),
            )]),
        ),
        (
            "apparmor",
            "The AppArmor profile that confines the program.",
            table(vec![
                ("label", "The profile's name, or unconfined.", text()),
                ("need", "Whether a start fails where it cannot be had.", need()),
            ]),
        ),
        (
            "landlock",
            "Files, ports and scopes that Landlock leaves; what no key speaks of is not restricted.",
            landlock(),
        ),
        ("env", "Variables of the program.", env()),
        (
            "seccomp",
            "Which system calls are permitted. With a default a filter of its own; without one, groups over the other filter.",
            seccomp(),
        ),
    ]);
    top["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    top["title"] = json!("sbx profile");
    top["required"] = json!(["version"]);
    top
}

fn need() -> Value {
    json!({"enum": ["required", "best-effort"]})
}

fn landlock() -> Value {
    let path = json!({"type": "string", "pattern": "^/"});
    let ports =
        || json!({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}});
    table(vec![
        ("need", "Whether a start fails where the kernel cannot do it.", need()),
        ("read", "Paths below which files and directories may be read.", inheriting(&path)),
        (
            "write",
            "Paths below which files may be written, made, moved and removed.",
            inheriting(&path),
        ),
        ("execute", "Paths below which programs may be executed.", inheriting(&path)),
        ("bind-ports", "TCP ports that may be bound.", ports()),
        ("connect-ports", "TCP ports that may be connected to.", ports()),
        (
            "scopes",
            "What is out of reach outside of the sandbox.",
            json!({"type": "array", "items": {"enum": ["abstract-unix-socket", "signal"]}}),
        ),
    ])
}

/// A table that has these keys and no others.
fn table(keys: Vec<Key>) -> Value {
    let mut properties = Map::new();
    for (key, description, mut value) in keys {
        value["description"] = json!(description);
        properties.insert(key.to_owned(), value);
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn words(words: &[&str]) -> Value {
    json!({"enum": words})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A list that may go on from what was there.
fn inheriting(items: &Value) -> Value {
    list(&json!({"anyOf": [{"const": INHERITED}, items]}))
}

fn number() -> Value {
    let string = json!({"type": "string", "pattern": "^(0x[0-9a-fA-F_]+|[0-9_]+)$"});
    json!({"anyOf": [{"type": "integer", "minimum": 0}, string]})
}

fn process() -> Value {
    table(vec![
        ("no-new-privileges", "Setuid programs and file capabilities raise nothing.", flag()),
        ("timeout", "As --timeout, such as 30m.", text()),
    ])
}

fn capability() -> Value {
    let mut names: Vec<&str> = CapSet::all_names().collect();
    names.push("ALL");
    // A prefix and small letters are read as well, and not offered.
    json!({"anyOf": [{"enum": names}, {"type": "string", "pattern": "^(cap_[a-z_]+|[a-z_]+|CAP_[A-Z_]+)$"}]})
}

fn capabilities() -> Value {
    table(vec![
        (
            "keep",
            "Granted; \"ALL\" for every one, \"...\" for those of what is extended.",
            inheriting(&capability()),
        ),
        ("drop", "Not granted, whatever keep says.", list(&capability())),
    ])
}

fn paths() -> Value {
    let path = json!({"type": "string", "pattern": "^/"});
    table(vec![
        ("masked", "Hidden behind an empty file or directory.", inheriting(&path)),
        ("read-only", "Not to be written.", inheriting(&path)),
        ("unmasked", "In neither list.", list(&path)),
    ])
}

fn limits() -> Value {
    let amount = json!({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}]});
    let mut both = table(vec![
        ("soft", "What holds.", amount.clone()),
        ("hard", "How far the program may raise it.", amount.clone()),
    ]);
    both["required"] = json!(["soft", "hard"]);
    let limit = json!({"anyOf": [amount, both]});
    let key = |resource: Resource| {
        (resource.name(), "A number, \"unlimited\", or both limits apart.", limit.clone())
    };
    table(Resource::EVERY.map(key).to_vec())
}

fn mounts() -> Value {
    table(vec![
        ("read-only-root", "As --read-only.", flag()),
        ("tmpfs", "As --tmpfs.", inheriting(&text())),
        (
            "volumes",
            "As -v: /PATH, ~/PATH or a volume's name, a colon, and the target.",
            inheriting(&text()),
        ),
    ])
}

fn env() -> Value {
    table(vec![
        (
            "set",
            "Variables and their values.",
            json!({"type": "object", "additionalProperties": text()}),
        ),
        ("pass", "Variables that keep the caller's value.", inheriting(&text())),
    ])
}

fn action() -> Value {
    words(&["allow", "log", "errno", "trap", "kill-thread", "kill", "trace", "notify"])
}

fn error() -> Value {
    let names: Vec<&str> = errno::names().collect();
    json!({"anyOf": [{"enum": names}, {"type": "integer", "minimum": 0, "maximum": 4095}]})
}

fn architecture() -> Value {
    words(&Arch::names().collect::<Vec<_>>())
}

fn seccomp() -> Value {
    let map = json!({
        "type": "object",
        "propertyNames": architecture(),
        "additionalProperties": list(&architecture()),
    });
    let architectures = json!({"anyOf": [list(&architecture()), map]});
    table(vec![
        ("default", "For calls that no group decides about.", action()),
        ("default-errno", "With default = \"errno\".", error()),
        (
            "architectures",
            "Through which calls are looked at; through others they fail with ENOSYS. Or a table from a machine's own to those beside it.",
            architectures,
        ),
        ("import", "A filter in JSON that the groups are laid over, seen from this file.", text()),
        (
            "conflicts",
            "What groups say that contradict each other: an error, or decided as libseccomp does.",
            words(&["error", "libseccomp"]),
        ),
        (
            "flags",
            "Of seccomp(2). A start refuses all but SECCOMP_FILTER_FLAG_TSYNC.",
            list(&text()),
        ),
        ("listener-path", "For notify, which a start refuses.", text()),
        ("listener-metadata", "For notify, which a start refuses.", text()),
        ("group", "What is decided about some calls.", list(&group())),
    ])
}

fn group() -> Value {
    let sets = SETS.iter().map(|(name, _)| (*name).to_owned());
    let names: Vec<String> = sets.chain(syscalls::known()).collect();
    // Groups whose names begin with @ are sets of this file.
    let call = json!({"anyOf": [{"enum": names}, {"type": "string", "pattern": "^@"}]});
    let kernel = json!({"type": "string", "pattern": "^[0-9]+\\.[0-9]+$", "examples": ["5.10"]});
    let mut group = table(vec![
        (
            "name",
            "What messages call it. With an @ at its beginning, a set for later groups.",
            text(),
        ),
        ("action", "What becomes of the calls.", action()),
        ("errno", "The error of the action errno.", error()),
        ("syscalls", "Calls by name, and sets of them.", list(&call)),
        ("optional-syscalls", "Calls that libseccomp may not know.", list(&text())),
        ("args", "Which arguments are meant.", list(&arg())),
        ("match", "How many of args must hold.", words(&["all", "any"])),
        (
            "when-capability",
            "The group exists where all of these are granted.",
            list(&capability()),
        ),
        (
            "unless-capability",
            "The group exists where none of these is granted.",
            list(&capability()),
        ),
        (
            "when-architecture",
            "The group exists on machines whose own architecture is one of these.",
            list(&architecture()),
        ),
        (
            "unless-architecture",
            "The group does not exist on these machines.",
            list(&architecture()),
        ),
        ("min-kernel", "The group exists on this Linux and later ones.", kernel.clone()),
        ("below-kernel", "The group exists before this Linux.", kernel),
    ]);
    group["required"] = json!(["action"]);
    group
}

fn arg() -> Value {
    let value = json!({"anyOf": [number(), list(&number())]});
    let mut arg = table(vec![
        ("index", "Which argument.", json!({"type": "integer", "minimum": 0, "maximum": 5})),
        ("mask", "The bits that are looked at; all 64 without it.", number()),
        ("op", "How it is compared with value.", words(&["eq", "ne", "lt", "le", "gt", "ge"])),
        ("value", "A number, or for eq and ne a list.", value),
    ]);
    arg["required"] = json!(["index", "op", "value"]);
    arg
}
