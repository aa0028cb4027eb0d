//! TOML text → what a profile says, with every name checked.

use std::ops::Range;

use toml::Spanned;

use super::capability::CapSet;
use super::layers::{Document, LandlockDocument, List};
use super::rlimit::{Resource, Rlimit};
use super::schema::{self, INHERITED};
use super::suggest::nearest;
use super::values::Limit;

/// Named sets of system calls, `@` and all, that every file may use.
pub(crate) type Sets = &'static [(&'static str, &'static [&'static str])];

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Both count from 1; the column is in characters.
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// `seccomp.group.syscalls`; empty where the text is not even TOML.
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

pub(super) type Result<T> = std::result::Result<T, Problem>;

/// `place` is what messages call the file.
pub(crate) fn document(text: &str, place: &str, sets: Sets) -> Result<Document> {
    let at = Source { text, place, sets };
    let file: schema::File = toml::from_str(text).map_err(|e| {
        let span = e.span().unwrap_or(0..0);
        // An unknown key's span is the key itself, a wrong word's is the quoted word.
        let word = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
        // Only words that the message says are expected there.
        let expected =
            schema::WORDS.iter().copied().filter(|w| e.message().contains(&format!("`{w}`")));
        let hint = if schema::WORDS.contains(&word) { None } else { nearest(word, expected) };
        at.problem(span, e.message().replace('\n', ", "), hint)
    })?;
    if *file.version.get_ref() != 1 {
        let message = format!("version {} is not known, expected 1", file.version.get_ref());
        return Err(at.problem(file.version.span(), message, None));
    }
    let mut out = Document {
        description: file.description,
        extends: file.extends.map(Spanned::into_inner),
        user_namespace: file.namespaces.and_then(|n| n.user),
        network: file.network.and_then(|n| n.mode),
        seccomp: file.seccomp.map(|s| at.filter(&s)).transpose()?,
        ..Document::default()
    };
    if let Some(process) = file.process {
        (out.no_new_privileges, out.timeout) = (process.no_new_privileges, process.timeout);
    }
    if let Some(capabilities) = file.capabilities {
        out.capabilities = capabilities.keep.map(|names| at.kept(names)).transpose()?;
        out.dropped = at.capabilities(&capabilities.drop.unwrap_or_default())?;
    }
    if let Some(paths) = file.paths {
        out.masked = at.paths(paths.masked)?;
        out.read_only = at.paths(paths.read_only)?;
        out.unmasked = at.paths(paths.unmasked)?.map(|list| list.own).unwrap_or_default();
    }
    for (name, limit) in file.limits.unwrap_or_default() {
        out.limits.push(at.limit(&name, &limit)?);
    }
    if let Some(mounts) = file.mounts {
        out.read_only_root = mounts.read_only_root;
        out.tmpfs = list(mounts.tmpfs);
        out.volumes = at.volumes(mounts.volumes)?;
    }
    if let Some(landlock) = file.landlock {
        out.landlock = LandlockDocument {
            need: landlock.need,
            read: at.paths(landlock.read)?,
            write: at.paths(landlock.write)?,
            execute: at.paths(landlock.execute)?,
            bind_ports: landlock.bind_ports,
            connect_ports: landlock.connect_ports,
            scopes: landlock.scopes,
        };
    }
    if let Some(apparmor) = file.apparmor {
        out.apparmor_label = apparmor.label.map(|l| at.label(l)).transpose()?;
        out.apparmor_best_effort = apparmor.need.map(|need| need == schema::Need::BestEffort);
    }
    if let Some(env) = file.env {
        for (name, value) in env.set.unwrap_or_default() {
            out.env_set.push((at.variable(name)?, value));
        }
        let pass = env.pass.map(|names| names.into_iter().map(|n| at.variable(n)).collect());
        out.env_pass = pass.transpose()?.map(List::of);
    }
    Ok(out)
}

fn list(names: Option<Vec<Spanned<String>>>) -> Option<List> {
    names.map(|names| List::of(names.into_iter().map(Spanned::into_inner).collect()))
}

/// A file's text, and what messages call it.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) place: &'a str,
    pub(super) sets: Sets,
}

impl Source<'_> {
    pub(super) fn problem(
        &self,
        span: Range<usize>,
        message: String,
        suggestion: Option<&str>,
    ) -> Problem {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: self.key_at(start),
            message,
            suggestion: suggestion.map(str::to_owned),
        }
    }

    /// The nearest `key =` at or above the place, below the nearest `[table]`.
    fn key_at(&self, offset: usize) -> String {
        let (mut table, mut key, mut start) = ("", "", 0);
        for line in self.text.split_inclusive('\n') {
            if start > offset {
                break;
            }
            start += line.len();
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[').filter(|l| l.contains(']') && key_like(l))
            {
                table = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
                key = "";
            } else if let Some((name, _)) = line.split_once('=') {
                let name = name.trim();
                if key_like(name) && !name.is_empty() {
                    key = name;
                }
            }
        }
        [table, key].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(".")
    }

    fn kept(&self, mut names: Vec<Spanned<String>>) -> Result<(CapSet, bool)> {
        let count = names.len();
        names.retain(|name| name.get_ref() != INHERITED);
        Ok((self.capabilities(&names)?, names.len() < count))
    }

    pub(super) fn capabilities(&self, names: &[Spanned<String>]) -> Result<CapSet> {
        names.iter().try_fold(CapSet::EMPTY, |set, name| {
            let text = name.get_ref();
            let one = CapSet::parse(text).ok_or_else(|| {
                let upper = text.to_ascii_uppercase();
                let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
                self.problem(
                    name.span(),
                    format!("unknown capability `{text}`, expected a name such as NET_RAW, or ALL"),
                    nearest(short, CapSet::all_names()),
                )
            })?;
            Ok(set.union(one))
        })
    }

    fn paths(&self, paths: Option<Vec<Spanned<String>>>) -> Result<Option<List>> {
        let ok = |p: &str| {
            p.starts_with('/') && !p.contains('\0') && !p.split('/').any(|part| part == "..")
        };
        for path in paths.iter().flatten().filter(|p| p.get_ref() != INHERITED) {
            if !ok(path.get_ref()) {
                let message = format!(
                    "`{}` is not an absolute path without `..`",
                    path.get_ref().escape_default()
                );
                return Err(self.problem(path.span(), message, None));
            }
        }
        Ok(list(paths))
    }

    /// A relative path would mean another directory for each caller.
    fn volumes(&self, volumes: Option<Vec<Spanned<String>>>) -> Result<Option<List>> {
        for volume in volumes.iter().flatten() {
            if volume.get_ref().starts_with('.') && volume.get_ref() != INHERITED {
                let message = format!(
                    "`{}` is relative; expected /PATH:TARGET, ~/PATH:TARGET or NAME:TARGET",
                    volume.get_ref().escape_default()
                );
                return Err(self.problem(volume.span(), message, None));
            }
        }
        Ok(list(volumes))
    }

    fn variable(&self, name: Spanned<String>) -> Result<String> {
        if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0', ' ']) {
            let message = format!("`{}` is no variable's name", name.get_ref().escape_default());
            return Err(self.problem(name.span(), message, None));
        }
        Ok(name.into_inner())
    }

    /// `apparmor.d(5)`: names with blanks in them cannot be asked for.
    fn label(&self, label: Spanned<String>) -> Result<String> {
        let text = label.get_ref();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let message = format!("`{}` is no AppArmor profile's name", text.escape_default());
            return Err(self.problem(label.span(), message, None));
        }
        Ok(label.into_inner())
    }

    fn limit(&self, name: &Spanned<String>, limit: &Limit) -> Result<Rlimit> {
        let kind = Resource::parse(name.get_ref()).ok_or_else(|| {
            let names = Resource::EVERY.map(Resource::name);
            let message =
                format!("unknown limit `{}`, expected one of {}", name.get_ref(), names.join(", "));
            self.problem(name.span(), message, nearest(name.get_ref(), names))
        })?;
        if limit.soft.unwrap_or(u64::MAX) > limit.hard.unwrap_or(u64::MAX) {
            let message = "the soft limit is above the hard limit".to_owned();
            return Err(self.problem(name.span(), message, None));
        }
        Ok(Rlimit { kind, soft: limit.soft, hard: limit.hard })
    }
}

fn key_like(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[]\" ".contains(c))
}
