//! `[seccomp]` → a filter, with every name checked.

use toml::Spanned;

use super::layers::{Architectures, FilterDocument};
use super::parse::{Result, Source};
use super::policy::{Action, Arch, Condition, HostNeeds, Op, Rule};
use super::schema::{self, ActionWord, Combined, Conflicts, OpWord};
use super::suggest::nearest;
use super::values::{self, Errno};
use super::{errno, syscalls};

/// MAX_ERRNO of `include/linux/err.h`: the kernel cuts what is greater.
const MAX_ERRNO: i64 = 4095;

impl Source<'_> {
    fn errno(&self, errno: &Spanned<Errno>) -> Result<u16> {
        match errno.get_ref() {
            Errno::Name(name) => errno::number(name).ok_or_else(|| {
                let message = format!("unknown error `{name}`, expected a name such as EPERM");
                self.problem(errno.span(), message, nearest(name, errno::names()))
            }),
            Errno::Number(n) => {
                u16::try_from(*n).ok().filter(|_| *n <= MAX_ERRNO).ok_or_else(|| {
                    let message = format!("error {n} is not between 0 and {MAX_ERRNO}");
                    self.problem(errno.span(), message, None)
                })
            }
        }
    }

    fn action(&self, word: &Spanned<ActionWord>, errno: Option<&Spanned<Errno>>) -> Result<Action> {
        let action = match (word.get_ref(), errno) {
            (ActionWord::Errno, None) => {
                let message =
                    "the action `errno` needs an error's name, such as EPERM, in its errno key";
                return Err(self.problem(word.span(), message.to_owned(), None));
            }
            (ActionWord::Errno, Some(errno)) => return self.errno(errno).map(Action::Errno),
            // The number for the tracer.
            (ActionWord::Trace, Some(errno)) => return self.errno(errno).map(Action::Trace),
            (ActionWord::Trace, None) => Action::Trace(0),
            (ActionWord::Allow, _) => Action::Allow,
            (ActionWord::Log, _) => Action::Log,
            (ActionWord::Kill, _) => Action::Kill,
            (ActionWord::KillThread, _) => Action::KillThread,
            (ActionWord::Trap, _) => Action::Trap,
            (ActionWord::Notify, _) => Action::Notify,
        };
        match errno {
            None => Ok(action),
            Some(name) => {
                let message = "an error is returned only by the action `errno`".to_owned();
                Err(self.problem(name.span(), message, None))
            }
        }
    }

    pub(super) fn filter(&self, seccomp: &schema::Seccomp) -> Result<FilterDocument> {
        let architectures = match seccomp.architectures.as_ref().map(Spanned::get_ref) {
            None => None,
            Some(values::Architectures::List(names)) => {
                Some(Architectures::List(self.architectures(names)?))
            }
            Some(values::Architectures::Map(map)) => {
                let entry = |(key, names): (&Spanned<String>, &Vec<Spanned<String>>)| {
                    Ok((self.architecture(key)?, self.architectures(names)?))
                };
                let mut map = map.iter().map(entry).collect::<Result<Vec<_>>>()?;
                map.sort_unstable();
                Some(Architectures::Map(map))
            }
        };
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
        if let (Some(word), Some(_)) = (&seccomp.default, &seccomp.import) {
            let message = "a filter of its own, with `default`, lies over no `import`";
            return Err(self.problem(word.span(), message.to_owned(), None));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for group in &seccomp.group {
            let rule = self.rule(group, seccomp.conflicts, &rules)?;
            rules.push(rule);
        }
        Ok(FilterDocument {
            default,
            architectures,
            rules,
            import: seccomp.import.as_ref().map(|path| path.get_ref().clone()),
            flags: seccomp.flags.clone(),
            listener_path: seccomp.listener_path.clone(),
            listener_metadata: seccomp.listener_metadata.clone(),
        })
    }

    fn architectures(&self, names: &[Spanned<String>]) -> Result<Vec<Arch>> {
        names.iter().map(|name| self.architecture(name)).collect()
    }

    fn architecture(&self, name: &Spanned<String>) -> Result<Arch> {
        Arch::parse(name.get_ref()).ok_or_else(|| {
            let names = Arch::EVERY.map(|(_, name)| name);
            let message = format!(
                "unknown architecture `{}`, expected one of {}",
                name.get_ref(),
                names.join(", ")
            );
            self.problem(name.span(), message, nearest(name.get_ref(), Arch::names()))
        })
    }

    fn kernel(&self, version: Option<&Spanned<String>>) -> Result<Option<(u16, u16)>> {
        let Some(version) = version else { return Ok(None) };
        kernel_version(version.get_ref()).map(Some).ok_or_else(|| {
            let message =
                format!("`{}` is no kernel version, expected one such as 5.10", version.get_ref());
            self.problem(version.span(), message, None)
        })
    }

    fn rule(
        &self,
        group: &Spanned<schema::Group>,
        conflicts: Conflicts,
        earlier: &[Rule],
    ) -> Result<Rule> {
        let line = self.problem(group.span(), String::new(), None).line;
        let group = group.get_ref();
        let mut calls = Vec::new();
        for name in &group.syscalls {
            calls.extend(self.calls(name, earlier)?);
        }
        let optional = group.optional_syscalls.iter().map(|name| name.get_ref().clone());
        let (known, unknown) = optional.partition::<Vec<_>, _>(|name| syscalls::is_known(name));
        calls.extend(known);
        Ok(Rule {
            name: group.name.clone(),
            place: format!("{}:{line}", self.place),
            action: self.action(&group.action, group.errno.as_ref())?,
            syscalls: calls,
            conditions: group.args.iter().map(|a| self.condition(a)).collect::<Result<_>>()?,
            when: self.capabilities(&group.when_capability)?,
            unless: self.capabilities(&group.unless_capability)?,
            unknown,
            any: group.combined == Combined::Any && group.args.len() > 1,
            host: HostNeeds {
                when: self.architectures(&group.when_architecture)?,
                unless: self.architectures(&group.unless_architecture)?,
                min_kernel: self.kernel(group.min_kernel.as_ref())?,
                below_kernel: self.kernel(group.below_kernel.as_ref())?,
            },
            merged: conflicts == Conflicts::Libseccomp,
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
        let mask = arg.mask.as_ref().map_or(u64::MAX, |mask| mask.0);
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

pub(crate) fn kernel_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
