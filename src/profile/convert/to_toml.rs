//! A filter as TOML.

use std::fmt::Write as _;

use crate::profile::capability::CapSet;
use crate::profile::errno;
use crate::profile::layers::{Architectures, FilterDocument};
use crate::profile::policy::{Action, Arch, Condition, Op, Rule};

/// `name` is what it was made from.
pub(super) fn text(filter: &FilterDocument, name: &str) -> String {
    let mut out = format!("# From {}.\nversion = 1\n\n[seccomp]\n", name.escape_default());
    if let Some(default) = filter.default {
        action(&mut out, "default", "default-errno", default);
    }
    match &filter.architectures {
        Some(Architectures::List(archs)) => {
            line(&mut out, "architectures", &list(archs.iter().map(|a| a.name())));
        }
        Some(Architectures::Map(map)) => {
            let entry = |(arch, others): &(Arch, Vec<Arch>)| {
                format!("{} = {}", arch.name(), list(others.iter().map(|a| a.name())))
            };
            let entries: Vec<String> = map.iter().map(entry).collect();
            line(&mut out, "architectures", &format!("{{ {} }}", entries.join(", ")));
        }
        None => {}
    }
    if filter.rules.iter().any(|rule| rule.merged) {
        line(&mut out, "conflicts", "\"libseccomp\"");
    }
    if !filter.flags.is_empty() {
        line(&mut out, "flags", &list(filter.flags.iter().map(String::as_str)));
    }
    for (key, value) in
        [("listener-path", &filter.listener_path), ("listener-metadata", &filter.listener_metadata)]
    {
        if let Some(value) = value {
            line(&mut out, key, &quoted(value));
        }
    }
    for rule in &filter.rules {
        group(&mut out, rule);
    }
    out
}

fn group(out: &mut String, rule: &Rule) {
    out.push_str("\n[[seccomp.group]]\n");
    if !rule.name.is_empty() {
        line(out, "name", &quoted(&rule.name));
    }
    action(out, "action", "errno", rule.action);
    for (key, names) in [("syscalls", &rule.syscalls), ("optional-syscalls", &rule.unknown)] {
        if !names.is_empty() {
            line(out, key, &wrapped(names));
        }
    }
    let args: Vec<String> = rule.conditions.iter().map(arg).collect();
    if !args.is_empty() {
        line(out, "args", &format!("[{}]", args.join(", ")));
    }
    if rule.any {
        line(out, "match", "\"any\"");
    }
    for (key, set) in [("when-capability", rule.when), ("unless-capability", rule.unless)] {
        if set != CapSet::EMPTY {
            line(out, key, &list(set.names()));
        }
    }
    let host = &rule.host;
    for (key, archs) in [("when-architecture", &host.when), ("unless-architecture", &host.unless)] {
        if !archs.is_empty() {
            line(out, key, &list(archs.iter().map(|a| a.name())));
        }
    }
    for (key, kernel) in [("min-kernel", host.min_kernel), ("below-kernel", host.below_kernel)] {
        if let Some((major, minor)) = kernel {
            line(out, key, &format!("\"{major}.{minor}\""));
        }
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn action(out: &mut String, key: &str, errno_key: &str, action: Action) {
    let (word, number) = match action {
        Action::Allow => ("allow", None),
        Action::Log => ("log", None),
        Action::Kill => ("kill", None),
        Action::KillThread => ("kill-thread", None),
        Action::Trap => ("trap", None),
        Action::Notify => ("notify", None),
        Action::Errno(number) => ("errno", Some(number)),
        Action::Trace(number) => ("trace", Some(number)),
    };
    line(out, key, &quoted(word));
    if let Some(number) = number {
        let value = match errno::name(number) {
            Some(name) if word == "errno" => quoted(name),
            _ => number.to_string(),
        };
        line(out, errno_key, &value);
    }
}

fn arg(condition: &Condition) -> String {
    let op = match condition.op {
        Op::Eq => "eq",
        Op::Ne => "ne",
        Op::Lt => "lt",
        Op::Le => "le",
        Op::Gt => "gt",
        Op::Ge => "ge",
    };
    let mask = match condition.mask {
        u64::MAX => String::new(),
        mask => format!("mask = {}, ", number(mask)),
    };
    let values: Vec<String> = condition.values.iter().map(|v| number(*v)).collect();
    let values = match &values[..] {
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    };
    format!("{{ index = {}, {mask}op = \"{op}\", value = {values} }}", condition.index)
}

/// TOML's integers end at 2^63 - 1.
fn number(value: u64) -> String {
    match i64::try_from(value) {
        Ok(small @ 0..10) => small.to_string(),
        Ok(_) => format!("{value:#x}"),
        Err(_) => format!("\"{value:#x}\""),
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", words.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A list over several lines where one is too short for it.
fn wrapped(names: &[String]) -> String {
    let short = list(names.iter().map(String::as_str));
    if short.len() < 80 {
        return short;
    }
    let mut out = "[\n".to_owned();
    let mut width = 0;
    for name in names {
        let word = quoted(name) + ",";
        if width > 0 && width + word.len() > 90 {
            out.push('\n');
            width = 0;
        }
        out += if width == 0 { "    " } else { " " };
        width += word.len() + 1;
        out += &word;
    }
    out + "\n]"
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}
