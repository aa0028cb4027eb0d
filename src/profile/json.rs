//! Filters in JSON, as Docker and podman take them (`profiles/seccomp` of moby, `pkg/seccomp` of
//! containers-common) and as the runtime-spec has them under "Seccomp" of its Linux configuration,
//! of which the former is a superset.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::capability::CapSet;
use super::groups::kernel_version;
use super::layers::{Architectures, FilterDocument};
use super::parse::Problem;
use super::policy::{Action, Arch, Condition, HostNeeds, Op, Rule};
use super::{errno, syscalls};

/// What errors without a number return; see `defaultErrnoRet` in the runtime-spec.
pub(super) const EPERM: u16 = 1;

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default_errno_ret: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default_errno: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) architectures: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arch_map: Option<Vec<ArchMap>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listener_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listener_metadata: Option<String>,
    pub(super) syscalls: Option<Vec<Group>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ArchMap {
    pub(super) architecture: String,
    pub(super) sub_architectures: Option<Vec<String>>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Group {
    /// One name, as files before Docker 1.13 have it.
    #[serde(skip_serializing)]
    pub(super) name: Option<String>,
    pub(super) names: Option<Vec<String>>,
    pub(super) action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errno_ret: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errno: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<Vec<Arg>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) includes: Option<Needs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) excludes: Option<Needs>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Arg {
    pub(super) index: u8,
    pub(super) value: u64,
    #[serde(default)]
    pub(super) value_two: u64,
    pub(super) op: String,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Needs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caps: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arches: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_kernel: Option<String>,
}

pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

type Result<T> = std::result::Result<T, String>;

/// `place` is what messages call the file.
pub(super) fn filter(text: &str, place: &str) -> std::result::Result<FilterDocument, Problem> {
    let problem = |(line, column), key: &str, message| Problem {
        line,
        column,
        key: key.to_owned(),
        message,
        suggestion: None,
    };
    let syntax = |e: &serde_json::Error| {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        problem((e.line(), e.column()), "", message)
    };
    // A whole config.json of the runtime-spec holds the filter further in.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| syntax(&e))?;
    let file: File = match value.pointer("/linux/seccomp") {
        Some(filter) => serde_json::from_value(filter.clone())
            .map_err(|e| problem((1, 1), "linux.seccomp", e.to_string()))?,
        None => serde_json::from_str(text).map_err(|e| syntax(&e))?,
    };
    let top = |message| problem((1, 1), "", message);
    let default_errno = number(file.default_errno_ret, file.default_errno.as_deref());
    let default = default_errno
        .and_then(|n| action(&file.default_action, n))
        .map_err(|m| problem((1, 1), "defaultAction", m))?;
    let mut rules = Vec::new();
    let places = groups_places(text);
    for (n, group) in file.syscalls.iter().flatten().enumerate() {
        let at = places.get(n).copied().unwrap_or((1, 1));
        let rule = rule(group, &format!("{place}:{}", at.0));
        rules.push(rule.map_err(|message| problem(at, "syscalls", message))?);
    }
    Ok(FilterDocument {
        default: Some(default),
        architectures: Some(architectures(&file).map_err(top)?),
        rules,
        import: None,
        flags: file.flags.unwrap_or_default(),
        listener_path: file.listener_path.filter(|path| !path.is_empty()),
        listener_metadata: file.listener_metadata.filter(|text| !text.is_empty()),
    })
}

/// The machine's own architecture needs no mention: libseccomp begins with it.
fn architectures(file: &File) -> Result<Architectures> {
    if file.architectures.is_some() && file.arch_map.is_some() {
        return Err("architectures and archMap exclude each other".to_owned());
    }
    let all =
        |names: &[String]| names.iter().map(|name| scmp_arch(name)).collect::<Result<Vec<_>>>();
    let own = |listed: &[Arch]| [Arch::X86_64, Arch::Aarch64].iter().all(|a| listed.contains(a));
    let Some(map) = &file.arch_map else {
        let mut list = all(file.architectures.as_deref().unwrap_or_default())?;
        if !own(&list) {
            list.push(Arch::Native);
        }
        return Ok(Architectures::List(list));
    };
    let entry = |entry: &ArchMap| {
        let others = entry.sub_architectures.as_deref().unwrap_or_default();
        Ok((scmp_arch(&entry.architecture)?, all(others)?))
    };
    let mut map = map.iter().map(entry).collect::<Result<Vec<_>>>()?;
    if !own(&map.iter().map(|(arch, _)| *arch).collect::<Vec<_>>()) {
        map.push((Arch::Native, Vec::new()));
    }
    map.sort_unstable();
    Ok(Architectures::Map(map))
}

fn scmp_arch(name: &str) -> Result<Arch> {
    let word = name.strip_prefix("SCMP_ARCH_").map(str::to_ascii_lowercase);
    word.and_then(|word| Arch::parse(&word)).ok_or_else(|| format!("unknown architecture {name}"))
}

/// Docker's names of machines are Go's.
fn machine(name: &String) -> Result<Arch> {
    let word = match name.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        word => word,
    };
    Arch::parse(word).ok_or_else(|| format!("unknown architecture {name}"))
}

fn number(number: Option<u16>, name: Option<&str>) -> Result<Option<u16>> {
    let named = match name.filter(|name| !name.is_empty()) {
        Some(name) => Some(errno::number(name).ok_or_else(|| format!("unknown error {name}"))?),
        None => None,
    };
    match (named, number) {
        (Some(a), Some(b)) if a != b => Err(format!("two errors at once, {a} and {b}")),
        (Some(number), _) | (None, Some(number)) if number > 4095 => {
            Err(format!("error {number} is above 4095"))
        }
        (named, number) => Ok(named.or(number)),
    }
}

fn action(word: &str, number: Option<u16>) -> Result<Action> {
    let action = match word {
        "SCMP_ACT_ERRNO" => return Ok(Action::Errno(number.unwrap_or(EPERM))),
        "SCMP_ACT_TRACE" => return Ok(Action::Trace(number.unwrap_or(EPERM))),
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::Kill,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_NOTIFY" => Action::Notify,
        other => return Err(format!("unknown action \"{other}\"")),
    };
    match number {
        None => Ok(action),
        Some(_) => Err(format!("{word} returns no error")),
    }
}

fn rule(group: &Group, place: &str) -> Result<Rule> {
    let names = group.names.iter().flatten().chain(&group.name).cloned();
    let (calls, unknown): (Vec<_>, Vec<_>) = names.partition(|name| syscalls::is_known(name));
    let args = group.args.as_deref().unwrap_or_default();
    let indices: BTreeSet<u8> = args.iter().map(|arg| arg.index).collect();
    let (includes, excludes) = (group.includes.clone(), group.excludes.clone());
    let (includes, excludes) = (includes.unwrap_or_default(), excludes.unwrap_or_default());
    Ok(Rule {
        place: place.to_owned(),
        name: group.comment.clone().unwrap_or_default(),
        action: action(&group.action, number(group.errno_ret, group.errno.as_deref())?)?,
        syscalls: calls,
        conditions: args.iter().map(condition).collect::<Result<_>>()?,
        when: capabilities(&includes)?,
        unless: capabilities(&excludes)?,
        unknown,
        // runc and crun make one rule of each where two are about the same argument.
        any: indices.len() < args.len(),
        host: HostNeeds {
            when: includes.arches.iter().flatten().map(machine).collect::<Result<_>>()?,
            unless: excludes.arches.iter().flatten().map(machine).collect::<Result<_>>()?,
            min_kernel: kernel(&includes)?,
            below_kernel: kernel(&excludes)?,
        },
        merged: true,
        layer: 0,
    })
}

fn condition(arg: &Arg) -> Result<Condition> {
    let (mask, op, value) = match arg.op.as_str() {
        // As libseccomp has it, which looks at no bit outside the mask.
        "SCMP_CMP_MASKED_EQ" => (arg.value, Op::Eq, arg.value & arg.value_two),
        "SCMP_CMP_EQ" => (u64::MAX, Op::Eq, arg.value),
        "SCMP_CMP_NE" => (u64::MAX, Op::Ne, arg.value),
        "SCMP_CMP_LT" => (u64::MAX, Op::Lt, arg.value),
        "SCMP_CMP_LE" => (u64::MAX, Op::Le, arg.value),
        "SCMP_CMP_GT" => (u64::MAX, Op::Gt, arg.value),
        "SCMP_CMP_GE" => (u64::MAX, Op::Ge, arg.value),
        other => return Err(format!("unknown comparison \"{other}\"")),
    };
    if arg.index > 5 {
        return Err("a call has six arguments: index is 0 to 5".to_owned());
    }
    Ok(Condition { index: arg.index, mask, op, values: vec![value] })
}

fn capabilities(needs: &Needs) -> Result<CapSet> {
    needs.caps.iter().flatten().try_fold(CapSet::EMPTY, |set, name| {
        let one = CapSet::parse(name).ok_or_else(|| format!("unknown capability {name}"))?;
        Ok(set.union(one))
    })
}

fn kernel(needs: &Needs) -> Result<Option<(u16, u16)>> {
    let Some(text) = needs.min_kernel.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    kernel_version(text).map(Some).ok_or_else(|| format!("\"{text}\" is no kernel version"))
}

/// Line and column of each object of the `syscalls` list; the text is known to be JSON.
fn groups_places(text: &str) -> Vec<(usize, usize)> {
    let (mut line, mut start, mut depth, mut list) = (1, 0, 0_usize, None);
    let (mut places, mut word) = (Vec::new(), "");
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => (line, start) = (line + 1, at + 1),
            '"' => {
                let mut escaped = false;
                let mut end = at + 1;
                for (at, c) in chars.by_ref() {
                    end = at;
                    match c {
                        '"' if !escaped => break,
                        _ => escaped = c == '\\' && !escaped,
                    }
                }
                word = text.get(at + 1..end).unwrap_or_default();
            }
            '[' | '{' => {
                depth += 1;
                if c == '[' && word == "syscalls" && list.is_none() {
                    list = Some(depth);
                }
                if c == '{' && list.is_some_and(|list| depth == list + 1) {
                    places.push((line, text[start..at].chars().count() + 1));
                }
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                if list.is_some_and(|list| depth < list) {
                    // Whatever else is called so.
                    list = Some(usize::MAX - 1);
                }
            }
            _ => {}
        }
    }
    places
}
