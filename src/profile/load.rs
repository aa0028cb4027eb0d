//! Finds and reads profiles.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::host::dirs::Dirs;

use super::builtin::{BUILTINS, Builtin};
use super::parse::{self, Document, Problem};
use super::policy::Policy;
use super::suggest::nearest;
use super::{Custom, Origin, Profile, Seccomp};

/// The largest profile that is read; the built-in default has 20 KiB.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn profile(choice: Option<&OsStr>, dirs: &Dirs) -> Result<Profile> {
    let Some(choice) = choice else {
        return Ok(builtin(Builtin::base()));
    };
    if choice.as_encoded_bytes().contains(&b'/') {
        return file(Path::new(choice));
    }
    let name = choice.to_str().filter(|n| is_name(n)).ok_or_else(|| {
        Error::new(
            format!("cannot use profile \"{}\"", choice.display()),
            "a profile's name has letters, digits, `-`, `_` and `.` only",
        )
        .fix(format!("--profile ./{}, if it is a file", choice.display()))
    })?;
    // Built-in names come first: a file in the user's directory must not change what they mean.
    if let Some(found) = Builtin::find(name) {
        return Ok(builtin(found));
    }
    let path = dirs.config.join("profiles").join(format!("{name}.toml"));
    if path.exists() { file(&path) } else { Err(unknown(name, &path, dirs)) }
}

pub(super) fn seccomp(choice: &OsStr) -> Result<Seccomp> {
    if choice == "unconfined" {
        return Ok(Seccomp::Unconfined);
    }
    let path = absolute(Path::new(choice))?;
    let (document, source) = read(&path)?;
    match document.seccomp {
        Some(policy) => Ok(Seccomp::Custom(Box::new(Custom { policy, path, source }))),
        None => Err(Error::new(
            format!("cannot take a filter from {}", path.display()),
            "the profile has no [seccomp] section",
        )
        .fix(format!("--profile {}, to use what it has", path.display()))),
    }
}

/// The policy of a built-in profile, for capabilities that it has no filter for.
pub(super) fn builtin_policy(builtin: &Builtin) -> Result<Policy> {
    let place = format!("the built-in profile {}", builtin.name);
    let document = parse::document(builtin.source).map_err(|p| complain(&place, &p))?;
    document
        .seccomp
        .ok_or_else(|| Error::new(format!("cannot use {place}"), "no [seccomp] section"))
}

fn builtin(found: &'static Builtin) -> Profile {
    Profile {
        name: found.name.to_owned(),
        origin: Origin::Builtin,
        capabilities: found.capabilities,
        masked_paths: found.masked_paths.iter().map(ToString::to_string).collect(),
        readonly_paths: found.readonly_paths.iter().map(ToString::to_string).collect(),
        rlimits: found.rlimits.to_vec(),
        no_new_privileges: found.no_new_privileges,
        seccomp: Seccomp::Builtin(found),
    }
}

/// A file over the built-in default: what it leaves out stays as confined as that.
fn file(path: &Path) -> Result<Profile> {
    let path = absolute(path)?;
    let (document, source) = read(&path)?;
    let mut profile = builtin(Builtin::base());
    profile.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(set) = document.capabilities {
        profile.capabilities = set;
    }
    if let Some(paths) = document.masked_paths {
        profile.masked_paths = paths;
    }
    if let Some(paths) = document.readonly_paths {
        profile.readonly_paths = paths;
    }
    if let Some(value) = document.no_new_privileges {
        profile.no_new_privileges = value;
    }
    for limit in document.limits {
        profile.rlimits.retain(|l| l.kind != limit.kind);
        profile.rlimits.push(limit);
    }
    if let Some(policy) = document.seccomp {
        let path = path.clone();
        profile.seccomp = Seccomp::Custom(Box::new(Custom { policy, path, source }));
    }
    profile.origin = Origin::File(path);
    Ok(profile)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).what(|| format!("cannot read profile {}", path.display()))
}

fn read(path: &Path) -> Result<(Document, Vec<u8>)> {
    let what = || format!("cannot read profile {}", path.display());
    // Without O_NONBLOCK a FIFO would be waited for.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .what(what)?;
    if !file.metadata().what(what)?.is_file() {
        return Err(Error::new(what(), "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).what(what)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(what(), format!("it is larger than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Error::new(what(), format!("byte {} is not UTF-8", e.valid_up_to())))?;
    if text.trim_start().starts_with('{') {
        return Err(Error::new(what(), "filters in Docker's JSON format are not supported").fix(
            "write its groups as [[seccomp.group]] in a TOML file; docs/profiles.md shows how",
        ));
    }
    let document =
        parse::document(text).map_err(|p| complain(&format!("profile {}", path.display()), &p))?;
    Ok((document, bytes))
}

fn complain(place: &str, problem: &Problem) -> Error {
    let Problem { line, column, key, message, suggestion } = problem;
    let key = if key.is_empty() { String::new() } else { format!("key {key}: ") };
    let error =
        Error::new(format!("cannot read {place}, line {line}, column {column}"), key + message);
    match suggestion {
        Some(word) => error.fix(format!("did you mean `{word}`?")),
        None => error,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn unknown(name: &str, path: &Path, dirs: &Dirs) -> Error {
    let users = std::fs::read_dir(dirs.config.join("profiles")).into_iter().flatten().flatten();
    let mut known: Vec<String> = users
        .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    known.extend(BUILTINS.iter().map(|b| b.name.to_owned()));
    known.sort();
    let error = Error::new(
        format!("cannot find profile \"{name}\""),
        format!("it is not built in and {} does not exist", path.display()),
    );
    if Path::new(name).is_file() {
        return error.fix(format!("--profile ./{name}"));
    }
    match nearest(name, known.iter().map(String::as_str)) {
        Some(word) => error.fix(format!("--profile {word}")),
        None => error.fix(format!("use one of: {}", known.join(", "))),
    }
}
