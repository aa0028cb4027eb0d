//! TOML text → what a profile says, with every name checked.

use std::ops::Range;

use toml::Spanned;

use super::capability::CapSet;
use super::policy::{Action, Arch, Condition, Op, Policy, Rule};
use super::rlimit::{Resource, Rlimit};
use super::schema::{self, ActionWord, OpWord};
use super::suggest::nearest;
use super::{errno, syscalls};

/// What one file says; `None` is what it leaves to the built-in default.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) capabilities: Option<CapSet>,
    pub(crate) masked_paths: Option<Vec<String>>,
    pub(crate) readonly_paths: Option<Vec<String>>,
    pub(crate) limits: Vec<Rlimit>,
    pub(crate) seccomp: Option<Policy>,
}

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

pub(crate) fn document(text: &str) -> Result<Document> {
    let at = Source { text };
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
    let paths = file.paths;
    let (masked, read_only) = paths.map_or((None, None), |p| (p.masked, p.read_only));
    let keep = file.capabilities.and_then(|c| c.keep);
    Ok(Document {
        no_new_privileges: file.process.and_then(|p| p.no_new_privileges),
        capabilities: keep.map(|names| at.capabilities(&names)).transpose()?,
        masked_paths: masked.map(|p| at.paths(p)).transpose()?,
        readonly_paths: read_only.map(|p| at.paths(p)).transpose()?,
        limits: file
            .limits
            .unwrap_or_default()
            .into_iter()
            .map(|(name, limit)| at.limit(&name, &limit))
            .collect::<Result<_>>()?,
        seccomp: file.seccomp.map(|s| at.policy(&s)).transpose()?,
    })
}

struct Source<'a> {
    text: &'a str,
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

    fn paths(&self, paths: Vec<Spanned<String>>) -> Result<Vec<String>> {
        let ok = |p: &str| {
            p.starts_with('/') && !p.contains('\0') && !p.split('/').any(|part| part == "..")
        };
        paths
            .into_iter()
            .map(|path| {
                if ok(path.get_ref()) {
                    return Ok(path.into_inner());
                }
                let message = format!(
                    "`{}` is not an absolute path without `..`",
                    path.get_ref().escape_default()
                );
                Err(self.problem(path.span(), message, None))
            })
            .collect()
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

    fn policy(&self, seccomp: &schema::Seccomp) -> Result<Policy> {
        let architectures = seccomp
            .architectures
            .iter()
            .map(|name| {
                Arch::parse(name.get_ref()).ok_or_else(|| {
                    let names = Arch::EVERY.map(|(_, name)| name);
                    let message = format!(
                        "unknown architecture `{}`, expected one of {}",
                        name.get_ref(),
                        names.join(", ")
                    );
                    self.problem(name.span(), message, nearest(name.get_ref(), names))
                })
            })
            .collect::<Result<_>>()?;
        Ok(Policy {
            default: self.action(&seccomp.default, seccomp.default_errno.as_ref())?,
            architectures,
            rules: seccomp.group.iter().map(|g| self.rule(g)).collect::<Result<_>>()?,
        })
    }

    fn rule(&self, group: &Spanned<schema::Group>) -> Result<Rule> {
        let line = self.problem(group.span(), String::new(), None).line;
        let group = group.get_ref();
        for name in &group.syscalls {
            if !syscalls::is_known(name.get_ref()) {
                let all = syscalls::all();
                let message = format!("unknown system call `{}`", name.get_ref());
                let hint = nearest(name.get_ref(), all.iter().map(String::as_str));
                return Err(self.problem(name.span(), message, hint));
            }
        }
        Ok(Rule {
            origin: format!("\"{}\" (line {line})", group.name),
            action: self.action(&group.action, group.errno.as_ref())?,
            syscalls: group.syscalls.iter().map(|s| s.get_ref().clone()).collect(),
            conditions: group.args.iter().map(|a| self.condition(a)).collect::<Result<_>>()?,
            when: self.capabilities(&group.when_capability)?,
            unless: self.capabilities(&group.unless_capability)?,
        })
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
