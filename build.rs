//! Compiles the built-in profiles, so that a start neither parses TOML nor calls libseccomp.
//!
//! `OUT_DIR/profiles.rs` gets one `Builtin` for each file in `profiles/`; the modules that parse and
//! compile are the crate's own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The crate's modules, as far as compiling a profile needs them.
#[allow(dead_code, reason = "the crate uses the rest of these modules")]
#[path = "src/profile"]
mod profile {
    pub(crate) mod arch;
    pub(crate) mod bpf;
    pub(crate) mod capability;
    pub(crate) mod compile;
    pub(crate) mod errno;
    pub(crate) mod groups;
    pub(crate) mod layers;
    pub(crate) mod parse;
    pub(crate) mod policy;
    pub(crate) mod ranges;
    pub(crate) mod rlimit;
    pub(crate) mod schema;
    pub(crate) mod search;
    pub(crate) mod suggest;
    pub(crate) mod syscalls;
    pub(crate) mod values;
}

use profile::capability::CapSet;
use profile::layers::{Document, Landlock, Settings};
use profile::parse::Sets;
use profile::policy::{Policy, relevant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A profile comes after the one that it extends. The first has the sets that all files may use.
const BUILTINS: [&str; 6] = ["default", "strict", "dev", "ci", "nested", "unconfined"];

fn main() -> Result<()> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut directives = std::io::stdout();
    for input in ["build.rs", "src/profile", "profiles"] {
        writeln!(directives, "cargo::rerun-if-changed={input}")?;
    }
    // The static library's tables and optimiser are part of the result.
    writeln!(directives, "cargo::rerun-if-env-changed=LIBSECCOMP_LIB_PATH")?;
    if let Ok(dir) = std::env::var("LIBSECCOMP_LIB_PATH") {
        let library = Path::new(&dir).join("libseccomp.a");
        if library.exists() {
            writeln!(directives, "cargo::rerun-if-changed={}", library.display())?;
        }
    }

    let mut source = String::from("pub(super) static BUILTINS: &[Builtin] = &[\n");
    let mut read: Vec<Read> = Vec::new();
    let mut sets: Sets = &[];
    for name in BUILTINS {
        let path = root.join("profiles").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path)?;
        let place = format!("built-in profile {name}");
        let document = profile::parse::document(&text, &place, sets).map_err(|p| {
            let hint = p.suggestion.map(|s| format!(" (did you mean {s}?)")).unwrap_or_default();
            let (path, key) = (path.display(), p.key);
            format!("{path}:{}:{}: {key}: {}{hint}", p.line, p.column, p.message)
        })?;
        if sets.is_empty() {
            sets = defined(&document);
        }
        let one =
            Read::new(name, document, &read).map_err(|e| format!("{}: {e}", path.display()))?;
        builtin(&mut source, &out, &path, &one).map_err(|e| format!("{}: {e}", path.display()))?;
        read.push(one);
    }
    source.push_str("];\n");
    source.push_str("pub(super) static SETS: Sets = &[\n");
    for (name, calls) in sets {
        writeln!(source, "({name:?}, &{calls:?}),")?;
    }
    source.push_str("];\n");
    std::fs::write(out.join("profiles.rs"), source)?;
    Ok(())
}

/// The sets of calls that a file defines.
fn defined(document: &Document) -> Sets {
    let rules = document.seccomp.iter().flat_map(|s| &s.rules);
    let named = rules.filter(|r| r.name.starts_with('@'));
    let leak = |text: &String| -> &'static str { text.clone().leak() };
    let set = |r: &profile::policy::Rule| {
        let calls: &'static [&'static str] = r.syscalls.iter().map(leak).collect::<Vec<_>>().leak();
        (leak(&r.name), calls)
    };
    named.map(set).collect::<Vec<_>>().leak()
}

/// A built-in profile with all that it extends.
struct Read {
    name: &'static str,
    chain: Vec<&'static str>,
    document: Document,
    settings: Settings,
    policy: Policy,
}

impl Read {
    fn new(name: &'static str, document: Document, earlier: &[Read]) -> Result<Self> {
        let base = match &document.extends {
            Some(base) => Some(
                earlier
                    .iter()
                    .find(|r| r.name == base)
                    .ok_or("extends what does not come before it")?,
            ),
            None => None,
        };
        let rules = || document.seccomp.iter().flat_map(|s| &s.rules);
        if rules().any(|rule| rule.host != profile::policy::HostNeeds::default()) {
            return Err("a built-in filter depends on no host".into());
        }
        if base.is_none() && (document.capabilities.is_none() || document.masked.is_none()) {
            return Err("a profile that extends none says everything".into());
        }
        let mut chain = base.map(|b| b.chain.clone()).unwrap_or_default();
        chain.push(name);
        let mut settings = base.map(|b| b.settings.clone()).unwrap_or_default();
        settings.apply(&document);
        let policy = match (&document.seccomp, base) {
            (None, Some(base)) => base.policy.clone(),
            (Some(own), Some(base)) => own.over(base.policy.clone()),
            (Some(own), None) if own.default.is_some() => own.over(Policy::nothing()),
            _ => return Err("a profile that extends none has a filter".into()),
        };
        Ok(Read { name, chain, document, settings, policy })
    }
}

fn builtin(source: &mut String, out: &Path, path: &Path, read: &Read) -> Result<()> {
    let Read { name, chain, document, settings, policy } = read;
    let description = document.description.as_deref().ok_or("description is missing")?;
    writeln!(source, "Builtin {{\n    name: {name:?},\n    description: {description:?},")?;
    writeln!(source, "    chain: &{chain:?},\n    source: include_str!({path:?}),")?;
    writeln!(source, "    settings: || {},", literal(settings)?)?;
    writeln!(source, "    relevant: CapSet({:#x}),", relevant(&policy.rules).0)?;
    filters(source, out, name, policy, settings.capabilities)?;
    source.push_str("},\n");
    Ok(())
}

/// The settings as an expression.
fn literal(settings: &Settings) -> Result<String> {
    // Destructured, so that a setting that is added cannot be forgotten here.
    let Settings {
        no_new_privileges,
        timeout,
        capabilities,
        masked,
        read_only,
        limits,
        read_only_root,
        tmpfs,
        volumes,
        user_namespace,
        network,
        env_set,
        env_pass,
        landlock,
        apparmor_label,
        apparmor_best_effort,
    } = settings;
    let word = |value: &Option<String>| match value {
        Some(value) => format!("Some({value:?}.to_owned())"),
        None => "None".to_owned(),
    };
    let words = |list: &[String]| format!("strings(&{list:?})");
    let mut out = String::from("Settings {\n");
    writeln!(out, "no_new_privileges: {no_new_privileges}, timeout: {},", word(timeout))?;
    writeln!(out, "capabilities: CapSet({:#x}), limits: vec![", capabilities.0)?;
    for limit in limits {
        writeln!(
            out,
            "Rlimit {{ kind: Resource::{:?}, soft: {:?}, hard: {:?} }},",
            limit.kind, limit.soft, limit.hard
        )?;
    }
    writeln!(out, "], masked: {}, read_only: {},", words(masked), words(read_only))?;
    writeln!(out, "read_only_root: {read_only_root:?}, tmpfs: {},", words(tmpfs))?;
    writeln!(out, "volumes: {}, user_namespace: {},", words(volumes), word(user_namespace))?;
    writeln!(out, "network: {}, env_pass: {},", word(network), words(env_pass))?;
    writeln!(out, "apparmor_label: {}, ", word(apparmor_label))?;
    writeln!(out, "apparmor_best_effort: {apparmor_best_effort:?},")?;
    writeln!(out, "env_set: pairs(&{env_set:?}), landlock: {} }}", landlock_literal(landlock)?)?;
    Ok(out)
}

fn landlock_literal(landlock: &Landlock) -> Result<String> {
    let Landlock { best_effort, read, write, execute, bind_ports, connect_ports, scopes } =
        landlock;
    let words = |list: &Option<Vec<String>>| match list {
        Some(list) => format!("Some(strings(&{list:?}))"),
        None => "None".to_owned(),
    };
    let ports = |list: &Option<Vec<u16>>| match list {
        Some(list) => format!("Some(vec!{list:?})"),
        None => "None".to_owned(),
    };
    let mut out = format!("Landlock {{ best_effort: {best_effort}, read: {}, ", words(read));
    write!(out, "write: {}, execute: {}, ", words(write), words(execute))?;
    write!(out, "bind_ports: {}, connect_ports: {}, ", ports(bind_ports), ports(connect_ports))?;
    let scopes = scopes.as_ref().map(|list| list.iter().map(|s| format!("Scope::{s:?},")));
    let scopes = scopes.map(|list| format!("Some(vec![{}])", list.collect::<String>()));
    write!(out, "scopes: {} }}", scopes.unwrap_or_else(|| "None".to_owned()))?;
    Ok(out)
}

/// Filters for the capability sets that nearly every start has: the profile's own, none at all
/// (`--cap-drop ALL`) and every one (`--privileged`).
fn filters(
    source: &mut String,
    out: &Path,
    name: &str,
    policy: &Policy,
    capabilities: CapSet,
) -> Result<()> {
    let relevant = relevant(&policy.rules);
    let mut sets: Vec<CapSet> = Vec::new();
    for set in [capabilities, CapSet::EMPTY, CapSet::ALL].map(|c| c.intersection(relevant)) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    writeln!(source, "    filters: &[")?;
    for caps in sets {
        let compiled = profile::compile::compile(policy, caps).map_err(|e| e.to_string())?;
        let file = out.join(format!("{name}-{:x}.bpf", caps.0));
        std::fs::write(&file, &compiled.program)?;
        writeln!(
            source,
            "        BuiltinFilter {{ caps: CapSet({:#x}), allows_keyctl: {}, program: \
             include_bytes!({file:?}) }},",
            caps.0, compiled.allows_keyctl
        )?;
    }
    writeln!(source, "    ],")?;
    Ok(())
}
