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
    pub(crate) mod bpf;
    pub(crate) mod capability;
    pub(crate) mod compile;
    pub(crate) mod errno;
    pub(crate) mod parse;
    pub(crate) mod policy;
    pub(crate) mod ranges;
    pub(crate) mod rlimit;
    pub(crate) mod schema;
    pub(crate) mod search;
    pub(crate) mod suggest;
    pub(crate) mod syscalls;
}

use profile::capability::CapSet;
use profile::parse::Document;
use profile::policy::Policy;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const BUILTINS: [&str; 2] = ["default", "unconfined"];

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
    for name in BUILTINS {
        let path = root.join("profiles").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path)?;
        let document = profile::parse::document(&text).map_err(|p| {
            let hint = p.suggestion.map(|s| format!(" (did you mean {s}?)")).unwrap_or_default();
            let (path, key) = (path.display(), p.key);
            format!("{path}:{}:{}: {key}: {}{hint}", p.line, p.column, p.message)
        })?;
        builtin(&mut source, &out, name, &path, &document)
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    source.push_str("];\n");
    std::fs::write(out.join("profiles.rs"), source)?;
    Ok(())
}

/// A built-in profile has nothing to fall back on: it says everything.
fn builtin(
    source: &mut String,
    out: &Path,
    name: &str,
    path: &Path,
    document: &Document,
) -> Result<()> {
    let missing = |what: &str| format!("{what} is missing");
    let capabilities = document.capabilities.ok_or_else(|| missing("capabilities.keep"))?;
    let masked = document.masked_paths.as_ref().ok_or_else(|| missing("paths.masked"))?;
    let readonly = document.readonly_paths.as_ref().ok_or_else(|| missing("paths.read-only"))?;
    let nnp = document.no_new_privileges.ok_or_else(|| missing("process.no-new-privileges"))?;
    let policy = document.seccomp.as_ref().ok_or_else(|| missing("seccomp"))?;
    writeln!(source, "Builtin {{\n    name: {name:?},\n    source: include_str!({path:?}),")?;
    writeln!(source, "    capabilities: CapSet({:#x}),", capabilities.0)?;
    writeln!(source, "    masked_paths: &{masked:?},\n    readonly_paths: &{readonly:?},")?;
    writeln!(source, "    no_new_privileges: {nnp},\n    rlimits: &[")?;
    for limit in &document.limits {
        writeln!(
            source,
            "        Rlimit {{ kind: Resource::{:?}, soft: {:?}, hard: {:?} }},",
            limit.kind, limit.soft, limit.hard
        )?;
    }
    writeln!(source, "    ],\n    relevant: CapSet({:#x}),", policy.relevant().0)?;
    filters(source, out, name, policy, capabilities)?;
    source.push_str("},\n");
    Ok(())
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
    let relevant = policy.relevant();
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
