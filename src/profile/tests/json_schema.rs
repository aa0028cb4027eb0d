//! The schema for editors beside what is read.

use serde_json::{Value, json};

use super::super::builtin::{BUILTINS, SETS};
use super::super::json_schema::schema;
use super::super::{parse, schema as words};

/// The part of JSON Schema that the schema uses.
fn validate(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{at}: {why}"));
    for (key, rule) in schema.as_object().unwrap() {
        match key.as_str() {
            "$schema" | "title" | "description" | "examples" => {}
            "type" => {
                let right = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    other => panic!("type {other}"),
                };
                if !right {
                    return refuse(&format!("no {rule}"));
                }
            }
            "const" if value != rule => return refuse("another value"),
            "enum" if !rule.as_array().unwrap().contains(value) => return refuse("no such word"),
            "minimum" if value.as_i64() < rule.as_i64() => return refuse("too small"),
            "maximum" if value.as_i64() > rule.as_i64() => return refuse("too great"),
            "const" | "enum" | "minimum" | "maximum" => {}
            // Patterns begin with what matters; the whole of it is the editor's to match.
            "pattern" => {
                let (rule, text) = (rule.as_str().unwrap(), value.as_str().unwrap_or_default());
                let small = text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let right = match rule {
                    "^@" => text.starts_with('@'),
                    "^/" => text.starts_with('/'),
                    _ if rule.contains("cap_") => small || text.starts_with("CAP_"),
                    _ => text.starts_with(|c: char| c.is_ascii_digit()),
                };
                if !right {
                    return refuse("does not match");
                }
            }
            "anyOf" => {
                let any = rule.as_array().unwrap().iter().map(|s| validate(s, value, at));
                let failures: Vec<String> = any.filter_map(Result::err).collect();
                if failures.len() == rule.as_array().unwrap().len() {
                    return Err(failures.join("; "));
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(rule, item, &format!("{at}[{n}]"))?;
                }
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        return refuse(&format!("{key} is missing"));
                    }
                }
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        validate(rule, value, &format!("{at}.{key}"))?;
                    }
                }
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    match rule {
                        _ if schema["properties"].get(key).is_some() => {}
                        Value::Bool(false) => return refuse(&format!("unknown key {key}")),
                        rule => validate(rule, value, &format!("{at}.{key}"))?,
                    }
                }
            }
            "propertyNames" => {
                for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
                    validate(rule, &json!(key), at)?;
                }
            }
            other => panic!("{other} is not checked here"),
        }
    }
    Ok(())
}

fn check(text: &str) -> Result<(), String> {
    validate(&schema(), &toml::from_str(text).unwrap(), "")
}

/// All that a profile can say.
const EVERY_KEY: &str = r#"
version = 1
description = "all"
extends = "strict"
process = { no-new-privileges = true, timeout = "1h" }
capabilities = { keep = ["...", "NET_RAW", "cap_chown"], drop = ["KILL"] }
paths = { masked = ["..."], read-only = ["/a"], unmasked = ["/b"] }
limits = { core = 0, cpu = "unlimited", nofile = { soft = 1, hard = "unlimited" } }
mounts = { read-only-root = true, tmpfs = ["/a"], volumes = ["...", "a:/b"] }
namespaces = { user = "keep-id" }
network = { mode = "none" }
env = { set = { A = "b" }, pass = ["C"] }
[apparmor]
label = "sbx-default"
need = "required"

[landlock]
need = "best-effort"
read = ["/usr"]
write = ["...", "/tmp"]
execute = ["/usr"]
bind-ports = [80]
connect-ports = []
scopes = ["abstract-unix-socket", "signal"]

[seccomp]
default = "errno"
default-errno = 41
architectures = { x86_64 = ["x86"], native = [] }
conflicts = "libseccomp"
flags = ["SECCOMP_FILTER_FLAG_TSYNC"]
listener-path = "/a"
listener-metadata = "b"
[[seccomp.group]]
name = "@mine"
action = "errno"
errno = "EPERM"
syscalls = ["read", "@network"]
optional-syscalls = ["of_the_future"]
args = [{ index = 0, mask = 0xff, op = "eq", value = [1, "0xff"] }, { index = 1, op = "lt", value = 1 }]
match = "any"
when-capability = ["KILL"]
unless-capability = ["CHOWN"]
when-architecture = ["x86_64"]
unless-architecture = ["s390x"]
min-kernel = "5.10"
below-kernel = "9.0"
[[seccomp.group]]
action = "kill-thread"
syscalls = ["@mine"]
"#;

#[test]
fn every_profile_is_valid() {
    for builtin in BUILTINS {
        check(builtin.source).unwrap();
    }
    check(EVERY_KEY).unwrap();
    parse::document(EVERY_KEY, "a.toml", SETS).unwrap();
    let import = "version = 1\n[seccomp]\nimport = \"a.json\"\narchitectures = [\"native\"]\n";
    check(import).unwrap();
    parse::document(import, "a.toml", SETS).unwrap();
}

/// Whatever key or word is misspelt, both say so.
#[test]
fn what_is_not_read_is_not_valid() {
    for (right, wrong) in [
        ("description =", "descripton ="),
        ("extends =", "extend ="),
        ("no-new-privileges", "no-new-privilege"),
        ("timeout", "timout"),
        ("NET_RAW", "NET_RWA"),
        ("masked", "maskd"),
        ("cpu =", "cpus ="),
        ("soft = 1, hard = \"unlimited\"", "soft = 1"),
        ("hard = \"unlimited\"", "hard = \"endless\""),
        ("tmpfs", "tempfs"),
        ("user =", "users ="),
        ("mode =", "modes ="),
        ("need = \"best-effort\"", "need = \"maybe\""),
        ("need = \"required\"", "need = \"require\""),
        ("label =", "labels ="),
        ("bind-ports", "bind-port"),
        ("[80]", "[65536]"),
        ("\"signal\"", "\"signals\""),
        ("pass =", "passed ="),
        ("default =", "defaults ="),
        ("default = \"errno\"", "default = \"error\""),
        ("default-errno = 41", "default-errno = 4096"),
        ("x86_64 =", "x86-64 ="),
        ("[\"x86\"]", "[\"i386\"]"),
        ("conflicts = \"libseccomp\"", "conflicts = \"none\""),
        ("errno = \"EPERM\"", "errno = \"EPREM\""),
        ("\"read\"", "\"raed\""),
        ("index = 0", "index = 6"),
        ("mask =", "masks ="),
        ("op = \"eq\"", "op = \"equal\""),
        ("match = \"any\"", "match = \"one\""),
        ("when-capability", "with-capability"),
        ("min-kernel = \"5.10\"", "min-kernel = \"new\""),
        ("action = \"kill-thread\"", "action = \"kill_thread\""),
        ("action = \"kill-thread\"\n", ""),
        ("version = 1", "version = 2"),
    ] {
        let text = EVERY_KEY.replacen(right, wrong, 1);
        assert_ne!(text, EVERY_KEY, "{right}");
        assert!(check(&text).is_err(), "the schema takes {wrong}");
        assert!(parse::document(&text, "a.toml", SETS).is_err(), "the reader takes {wrong}");
    }
}

/// Calls `visit` for each table of the schema.
fn tables(schema: &Value, visit: &mut impl FnMut(&Value)) {
    if schema.get("properties").is_some() {
        visit(schema);
    }
    match schema {
        Value::Object(map) => map.values().for_each(|v| tables(v, visit)),
        Value::Array(list) => list.iter().for_each(|v| tables(v, visit)),
        _ => {}
    }
}

#[test]
fn every_key_and_word_is_in_it_with_a_description() {
    let schema = schema();
    let text = schema.to_string();
    for word in words::WORDS {
        assert!(text.contains(&format!("\"{word}\"")), "{word}");
    }
    let mut keys = Vec::new();
    tables(&schema, &mut |table| {
        assert_eq!(table["additionalProperties"], false);
        for (key, value) in table["properties"].as_object().unwrap() {
            assert!(value["description"].as_str().is_some_and(|d| d.ends_with('.')), "{key}");
            keys.push(key.clone());
        }
    });
    let limits =
        crate::profile::rlimit::Resource::EVERY.map(crate::profile::rlimit::Resource::name);
    for key in keys.iter().filter(|key| !limits.contains(&key.as_str())) {
        assert!(words::WORDS.contains(&key.as_str()), "{key} is no key");
        assert!(EVERY_KEY.contains(key.as_str()) || key == "import", "{key} is not tried above");
    }
}
