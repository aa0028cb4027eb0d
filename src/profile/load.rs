//! Finds and reads profiles.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::host::dirs::Dirs;

use super::builtin::{BUILTINS, Builtin, SETS};
use super::layers::{Document, FilterDocument};
use super::parse::{self, Problem};
use super::policy::Policy;
use super::suggest::nearest;
use super::{Custom, Part, Profile, Seccomp, json};

/// The largest profile that is read; the built-in default has 20 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// One of the files that a profile is made of.
pub(super) enum Link {
    Builtin(&'static Builtin),
    File(Box<Read>),
}

/// A file that was read.
pub(super) struct Read {
    path: PathBuf,
    pub(super) document: Document,
    pub(super) source: Vec<u8>,
    /// The filter in JSON that its groups are laid over.
    import: Option<Part>,
}

impl Link {
    fn is(&self, other: &Link) -> bool {
        match (self, other) {
            (Link::Builtin(a), Link::Builtin(b)) => a.name == b.name,
            (Link::File(a), Link::File(b)) => a.path == b.path,
            _ => false,
        }
    }

    /// What messages call it.
    fn place(&self) -> String {
        match self {
            Link::Builtin(builtin) => format!("the built-in profile {}", builtin.name),
            Link::File(file) => format!("profile {}", file.path.display()),
        }
    }

    pub(super) fn document(&self) -> Result<Cow<'_, Document>> {
        match self {
            Link::Builtin(builtin) => builtin_document(builtin).map(Cow::Owned),
            Link::File(file) => Ok(Cow::Borrowed(&file.document)),
        }
    }

    /// The filters that it brings in, the lowest first.
    pub(super) fn parts(&self) -> Result<Vec<Part>> {
        let (source, import) = match self {
            Link::Builtin(builtin) => (builtin.source.as_bytes(), None),
            Link::File(file) => (&file.source[..], file.import.clone()),
        };
        let own = self.document()?.seccomp.clone().map(|document| Part {
            place: self.place(),
            document,
            source: source.to_vec(),
        });
        Ok(import.into_iter().chain(own).collect())
    }

    pub(super) fn name(&self) -> String {
        match self {
            Link::Builtin(builtin) => builtin.name.to_owned(),
            Link::File(file) => {
                file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }
}

pub(super) fn profile(choices: &[OsString], dirs: &Dirs) -> Result<Profile> {
    let (links, name) = links(choices, dirs)?;
    let (base, over) = split(&links);
    let mut settings = (base.settings)();
    let mut parts = Vec::new();
    for link in over {
        let document = link.document()?;
        settings.apply(&document);
        parts.extend(link.parts()?);
    }
    let seccomp = if parts.is_empty() {
        Seccomp::Builtin(base)
    } else {
        Seccomp::Custom(Box::new(Custom { base, over: parts }))
    };
    Ok(Profile { name, settings, seccomp })
}

/// Every file once, the lowest first, and what they are called together.
pub(super) fn links(choices: &[OsString], dirs: &Dirs) -> Result<(Vec<Link>, String)> {
    let mut all: Vec<Link> = Vec::new();
    let mut names = Vec::new();
    for choice in choices {
        let chain = chain(choice, None, dirs, &mut Vec::new())?;
        names.extend(chain.last().map(Link::name));
        for link in chain {
            if !all.iter().any(|l| l.is(&link)) {
                all.push(link);
            }
        }
    }
    if all.is_empty() {
        all.push(Link::Builtin(Builtin::base()));
        names.push(Builtin::base().name.to_owned());
    }
    Ok((all, names.join("+")))
}

/// The built-in whose files come first, which is at hand as a whole, and what is laid over it.
fn split(links: &[Link]) -> (&'static Builtin, &[Link]) {
    let mut found = (Builtin::base(), links);
    for (at, link) in links.iter().enumerate() {
        let Link::Builtin(builtin) = link else { break };
        if builtin.chain.len() == at + 1 {
            found = (builtin, &links[at + 1..]);
        }
    }
    found
}

/// What `choice` extends, and itself. `from` is the file that says so; `above` are the files on the way.
fn chain(
    choice: &OsStr,
    from: Option<&Path>,
    dirs: &Dirs,
    above: &mut Vec<PathBuf>,
) -> Result<Vec<Link>> {
    let path = match find(choice, from, dirs)? {
        Found::Builtin(builtin) => return Ok(builtin.chain().map(Link::Builtin).collect()),
        Found::File(path) => path,
    };
    if let Some(at) = above.iter().position(|p| *p == path) {
        let cycle = above[at..].iter().chain([&path]).map(|p| p.display().to_string());
        let why = format!("it extends itself: {}", cycle.collect::<Vec<_>>().join(" -> "));
        return Err(Error::new(format!("cannot use profile {}", path.display()), why)
            .fix("let one of them extend \"default\""));
    }
    let file = read(&path)?;
    above.push(path);
    let extends = file.document.extends.as_deref().unwrap_or(Builtin::base().name);
    let mut links = chain(OsStr::new(extends), Some(&file.path), dirs, above)?;
    above.pop();
    links.push(Link::File(Box::new(file)));
    Ok(links)
}

enum Found {
    Builtin(&'static Builtin),
    File(PathBuf),
}

fn find(choice: &OsStr, from: Option<&Path>, dirs: &Dirs) -> Result<Found> {
    if choice.as_encoded_bytes().contains(&b'/') {
        // As the file that says it sees it.
        let path = from.and_then(Path::parent).unwrap_or(Path::new("")).join(choice);
        return absolute(&path).map(Found::File);
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
        return Ok(Found::Builtin(found));
    }
    let path = dirs.config.join("profiles").join(format!("{name}.toml"));
    if path.exists() { Ok(Found::File(path)) } else { Err(unknown(name, &path, dirs)) }
}

pub(super) fn seccomp(choice: &OsStr, dirs: &Dirs) -> Result<Seccomp> {
    if choice == "unconfined" {
        return Ok(Seccomp::Unconfined);
    }
    // A path with or without a slash, as podman has it.
    let path = absolute(Path::new(choice))?;
    let source = bytes(&path)?;
    if json::is_json(utf8(&path, &source)?) {
        let over = vec![json_part(&path, source)?];
        return Ok(Seccomp::Custom(Box::new(Custom { base: Builtin::base(), over })));
    }
    if read(&path)?.document.seccomp.is_none() {
        return Err(Error::new(
            format!("cannot take a filter from {}", path.display()),
            "the profile has no [seccomp] section",
        )
        .fix(format!("--profile {}, to use what it has", path.display())));
    }
    profile(&[path.into_os_string()], dirs).map(|profile| profile.seccomp)
}

/// The policy of a built-in profile, for capabilities that it has no filter for.
pub(super) fn builtin_policy(builtin: &'static Builtin) -> Result<Policy> {
    builtin.chain().try_fold(Policy::nothing(), |policy, link| {
        Ok(match builtin_document(link)?.seccomp {
            Some(own) => own.over(policy),
            None => policy,
        })
    })
}

fn builtin_document(builtin: &'static Builtin) -> Result<Document> {
    let place = format!("built-in profile {}", builtin.name);
    parse::document(builtin.source, &place, SETS).map_err(|p| complain(&place, &p))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).what(|| format!("cannot read profile {}", path.display()))
}

fn reading(path: &Path) -> String {
    format!("cannot read profile {}", path.display())
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let what = || reading(path);
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
    Ok(bytes)
}

pub(super) fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes)
        .map_err(|e| Error::new(reading(path), format!("byte {} is not UTF-8", e.valid_up_to())))
}

pub(super) fn read(path: &Path) -> Result<Read> {
    let source = bytes(path)?;
    let text = utf8(path, &source)?;
    if json::is_json(text) {
        let fix = format!("--security-opt seccomp={}", path.display());
        return Err(Error::new(reading(path), "it is a filter in JSON, and no profile").fix(fix));
    }
    let place = path.display().to_string();
    let document = parse::document(text, &place, SETS)
        .map_err(|p| complain(&format!("profile {place}"), &p))?;
    let import = document.seccomp.as_ref().and_then(|s| s.import.as_ref());
    let import = import.map(|import| {
        let import = absolute(&path.parent().unwrap_or(Path::new("")).join(import))?;
        bytes(&import).and_then(|source| json_part(&import, source)).map_err(|e| Error {
            what: format!("cannot import into profile {place}: {}", e.what),
            ..e
        })
    });
    Ok(Read { path: path.to_owned(), document, import: import.transpose()?, source })
}

fn json_part(path: &Path, source: Vec<u8>) -> Result<Part> {
    let document = json_filter(path, utf8(path, &source)?)?;
    Ok(Part { place: format!("filter {}", path.display()), document, source })
}

pub(super) fn json_filter(path: &Path, text: &str) -> Result<FilterDocument> {
    let place = path.display().to_string();
    if !json::is_json(text) {
        return Err(Error::new(format!("cannot read filter {place}"), "it is not JSON")
            .fix("extends = \"./FILE\", for a profile in TOML"));
    }
    json::filter(text, &place).map_err(|p| complain(&format!("filter {place}"), &p))
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
