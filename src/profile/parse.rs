//! TOML text → what a profile says, with every name checked.

use std::ops::Range;

use toml::Spanned;

use super::capability::CapSet;
use super::layers::{Document, FilterDocument, LandlockDocument, List};
use super::policy::{Action, Arch, Condition, Op, Rule};
use super::rlimit::{Resource, Rlimit};
use super::schema::{self, ActionWord, INHERITED, OpWord};
use super::suggest::nearest;
use super::{errno, syscalls};

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

type Result<T> = std::result::Result<T, Problem>;

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

struct Source<'a> {
    text: &'a str,
    place: &'a str,
    sets: Sets,
}

impl Source<'_> {
    fn problem(&self, span: Range<usize>, message: String, suggestion: Option<&str>) -> Problem {
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

    fn capabilities(&self, names: &[Spanned<String>]) -> Result<CapSet> {
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

    fn limit(&self, name: &Spanned<String>, limit: &schema::Limit) -> Result<Rlimit> {
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

    fn action(
        &self,
        word: &Spanned<ActionWord>,
        errno: Option<&Spanned<String>>,
    ) -> Result<Action> {
        let action = match (word.get_ref(), errno) {
            (ActionWord::Errno, None) => {
                let message =
                    "the action `errno` needs an error's name, such as EPERM, in its errno key";
                return Err(self.problem(word.span(), message.to_owned(), None));
            }
            (ActionWord::Errno, Some(name)) => {
                let number = errno::number(name.get_ref()).ok_or_else(|| {
                    let message = format!(
                        "unknown error `{}`, expected a name such as EPERM",
                        name.get_ref()
                    );
                    self.problem(name.span(), message, nearest(name.get_ref(), errno::names()))
                })?;
                return Ok(Action::Errno(number));
            }
            (ActionWord::Allow, _) => Action::Allow,
            (ActionWord::Log, _) => Action::Log,
            (ActionWord::Kill, _) => Action::Kill,
        };
        match errno {
            None => Ok(action),
            Some(name) => {
                let message = "an error is returned only by the action `errno`".to_owned();
                Err(self.problem(name.span(), message, None))
            }
        }
    }

    fn filter(&self, seccomp: &schema::Seccomp) -> Result<FilterDocument> {
        let architectures = seccomp.architectures.as_ref().map(|names| self.architectures(names));
        let default = match (&seccomp.default, &seccomp.default_errno) {
            (Some(word), errno) => Some(self.action(word, errno.as_ref())?),
            (None, Some(errno)) => {
                let message = "default-errno goes with default = \"errno\"".to_owned();
                return Err(self.problem(errno.span(), message, None));
            }
            (None, None) => None,
        };
        if let (Some(word), None) = (&seccomp.default, &architectures) {
            let message = "a filter of its own, with `default`, needs `architectures` as well";
            return Err(self.problem(word.span(), message.to_owned(), None));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for group in &seccomp.group {
            let rule = self.rule(group, &rules)?;
            rules.push(rule);
        }
        Ok(FilterDocument { default, architectures: architectures.transpose()?, rules })
    }

    fn architectures(&self, names: &[Spanned<String>]) -> Result<Vec<Arch>> {
        let parse = |name: &Spanned<String>| {
            Arch::parse(name.get_ref()).ok_or_else(|| {
                let names = Arch::EVERY.map(|(_, name)| name);
                let message = format!(
                    "unknown architecture `{}`, expected one of {}",
                    name.get_ref(),
                    names.join(", ")
                );
                self.problem(name.span(), message, nearest(name.get_ref(), names))
            })
        };
        names.iter().map(parse).collect()
    }

    fn rule(&self, group: &Spanned<schema::Group>, earlier: &[Rule]) -> Result<Rule> {
        let line = self.problem(group.span(), String::new(), None).line;
        let group = group.get_ref();
        let mut calls = Vec::new();
        for name in &group.syscalls {
            calls.extend(self.calls(name, earlier)?);
        }
        Ok(Rule {
            name: group.name.clone(),
            origin: format!("\"{}\" ({}:{line})", group.name, self.place),
            action: self.action(&group.action, group.errno.as_ref())?,
            syscalls: calls,
            conditions: group.args.iter().map(|a| self.condition(a)).collect::<Result<_>>()?,
            when: self.capabilities(&group.when_capability)?,
            unless: self.capabilities(&group.unless_capability)?,
            layer: 0,
        })
    }

    /// A call's name, or the calls of a set: a group of this file whose name begins with `@`, or one that
    /// every file has.
    fn calls(&self, name: &Spanned<String>, earlier: &[Rule]) -> Result<Vec<String>> {
        let text = name.get_ref();
        if text.starts_with('@') {
            if let Some(rule) = earlier.iter().find(|r| r.name == *text) {
                return Ok(rule.syscalls.clone());
            }
            if let Some((_, calls)) = self.sets.iter().find(|(set, _)| set == text) {
                return Ok(calls.iter().map(ToString::to_string).collect());
            }
            let known = self.sets.iter().map(|(set, _)| *set);
            let known = known.chain(earlier.iter().map(|r| r.name.as_str()));
            let message = format!("unknown set of system calls `{text}`");
            return Err(self.problem(name.span(), message, nearest(text, known)));
        }
        if syscalls::is_known(text) {
            return Ok(vec![text.clone()]);
        }
        let all = syscalls::all();
        let message = format!("unknown system call `{text}`");
        let hint = nearest(text, all.iter().map(String::as_str));
        Err(self.problem(name.span(), message, hint))
    }

    fn condition(&self, arg: &Spanned<schema::Arg>) -> Result<Condition> {
        let (span, arg) = (arg.span(), arg.get_ref());
        let complain = |message: &str| Err(self.problem(span.clone(), message.to_owned(), None));
        let mask = arg.mask.unwrap_or(u64::MAX);
        let op = match arg.op {
            OpWord::Eq => Op::Eq,
            OpWord::Ne => Op::Ne,
            OpWord::Lt => Op::Lt,
            OpWord::Le => Op::Le,
            OpWord::Gt => Op::Gt,
            OpWord::Ge => Op::Ge,
        };
        let values = &arg.value.0;
        if arg.index > 5 {
            return complain("a call has six arguments: index is 0 to 5");
        }
        if values.is_empty() {
            return complain("value is an empty list, expected at least one number");
        }
        if values.len() > 1 && !matches!(op, Op::Eq | Op::Ne) {
            return complain("only `eq` and `ne` take several values");
        }
        if values.iter().any(|v| v & !mask != 0) {
            return complain(
                "value has bits outside mask, so that the comparison could never hold",
            );
        }
        Ok(Condition { index: arg.index, mask, op, values: values.clone() })
    }
}

fn key_like(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[]\" ".contains(c))
}
