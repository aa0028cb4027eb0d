//! A filter as JSON, where JSON can say it.

use crate::profile::json::{ArchMap, Arg, File, Group, Needs};
use crate::profile::layers::{Architectures, FilterDocument};
use crate::profile::policy::{Action, Arch, Condition, Op, Rule};

/// What JSON cannot say.
pub(super) struct Impossible {
    pub(super) what: String,
    /// Docker's format can.
    pub(super) docker_can: bool,
}

impl Impossible {
    fn new(what: String) -> Self {
        Impossible { what, docker_can: false }
    }
}

type Result<T> = std::result::Result<T, Impossible>;

pub(super) fn text(filter: &FilterDocument, oci: bool) -> Result<String> {
    let default = filter.default.unwrap_or(Action::Kill);
    same_without_order(&filter.rules, default)?;
    let (word, number) = action(default);
    let mut file = File { default_action: word, default_errno_ret: number, ..File::default() };
    match &filter.architectures {
        Some(Architectures::List(list)) => file.architectures = Some(archs(list)),
        Some(Architectures::Map(map)) if oci => {
            let all = map.iter().flat_map(|(arch, others)| [arch].into_iter().chain(others));
            file.architectures = Some(archs(&all.copied().collect::<Vec<_>>()));
        }
        Some(Architectures::Map(map)) => {
            let own = map.iter().filter(|(arch, _)| *arch != Arch::Native);
            let entries = own.map(|(arch, others)| ArchMap {
                architecture: scmp(*arch),
                sub_architectures: Some(archs(others)),
            });
            file.arch_map = Some(entries.collect());
        }
        None => {}
    }
    file.flags = (!filter.flags.is_empty()).then(|| filter.flags.clone());
    file.listener_path.clone_from(&filter.listener_path);
    file.listener_metadata.clone_from(&filter.listener_metadata);
    let mut groups = Vec::new();
    for rule in &filter.rules {
        let group = group(rule);
        if oci && (group.includes.is_some() || group.excludes.is_some()) {
            let what = format!(
                "group {} depends on capabilities, machine or kernel, which the runtime-spec's format \
                 cannot say",
                rule.origin()
            );
            return Err(Impossible { what, docker_can: true });
        }
        let group = Group { comment: group.comment.filter(|_| !oci), ..group };
        for args in alternatives(rule)? {
            groups.push(Group { args: (!args.is_empty()).then_some(args), ..group.clone() });
        }
    }
    file.syscalls = Some(groups);
    serde_json::to_string_pretty(&file)
        .map(|text| text + "\n")
        .map_err(|e| Impossible::new(e.to_string()))
}

fn archs(list: &[Arch]) -> Vec<String> {
    // libseccomp begins with the machine's own.
    let mut names: Vec<String> =
        list.iter().filter(|arch| **arch != Arch::Native).map(|arch| scmp(*arch)).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn scmp(arch: Arch) -> String {
    format!("SCMP_ARCH_{}", arch.name().to_ascii_uppercase())
}

fn action(action: Action) -> (String, Option<u16>) {
    let (word, number) = match action {
        Action::Allow => ("ALLOW", None),
        Action::Log => ("LOG", None),
        Action::Kill => ("KILL_PROCESS", None),
        Action::KillThread => ("KILL_THREAD", None),
        Action::Trap => ("TRAP", None),
        Action::Notify => ("NOTIFY", None),
        Action::Errno(number) => ("ERRNO", Some(number)),
        Action::Trace(number) => ("TRACE", Some(number)),
    };
    (format!("SCMP_ACT_{word}"), number)
}

fn group(rule: &Rule) -> Group {
    let (word, number) = action(rule.action);
    let needs = |caps: crate::profile::CapSet, archs: &[Arch], kernel: Option<(u16, u16)>| {
        let caps: Vec<String> = caps.names().map(|name| format!("CAP_{name}")).collect();
        let machine = |arch: &Arch| match arch {
            Arch::X86_64 => "amd64".to_owned(),
            Arch::Aarch64 => "arm64".to_owned(),
            arch => arch.name().to_owned(),
        };
        let needs = Needs {
            caps: (!caps.is_empty()).then_some(caps),
            arches: (!archs.is_empty()).then(|| archs.iter().map(machine).collect()),
            min_kernel: kernel.map(|(major, minor)| format!("{major}.{minor}")),
        };
        (needs != Needs::default()).then_some(needs)
    };
    Group {
        names: Some(rule.syscalls.iter().chain(&rule.unknown).cloned().collect()),
        action: word,
        errno_ret: number,
        comment: (!rule.name.is_empty()).then(|| rule.name.clone()),
        includes: needs(rule.when, &rule.host.when, rule.host.min_kernel),
        excludes: needs(rule.unless, &rule.host.unless, rule.host.below_kernel),
        ..Group::default()
    }
}

/// The lists of arguments, a group for each, of which one must hold.
fn alternatives(rule: &Rule) -> Result<Vec<Vec<Arg>>> {
    let mut options = Vec::new();
    for condition in &rule.conditions {
        options.push(comparisons(condition).ok_or_else(|| {
            Impossible::new(format!(
                "group {} compares in a way that JSON does not have: {}",
                rule.origin(),
                crate::profile::rows::condition(condition)
            ))
        })?);
    }
    let indices: std::collections::BTreeSet<u8> = rule.conditions.iter().map(|c| c.index).collect();
    let repeated = indices.len() < rule.conditions.len();
    // Where two arguments of a group have the same index, one of all must hold.
    if rule.any || options.len() == 1 {
        let all: Vec<Arg> = options.concat();
        let listed = repeated || options.len() == 1;
        return Ok(if listed { vec![all] } else { all.into_iter().map(|arg| vec![arg]).collect() });
    }
    if repeated {
        let what = format!(
            "group {} compares one argument twice, and JSON cannot ask for both",
            rule.origin()
        );
        return Err(Impossible::new(what));
    }
    let mut lists: Vec<Vec<Arg>> = vec![Vec::new()];
    for choice in options {
        let extended = lists.iter().flat_map(|list| {
            choice.iter().map(|arg| list.iter().cloned().chain([arg.clone()]).collect())
        });
        lists = extended.collect();
    }
    Ok(lists)
}

/// Comparisons of which one must hold.
fn comparisons(condition: &Condition) -> Option<Vec<Arg>> {
    let Condition { index, mask, op, values } = condition;
    let word = match (op, *mask, values.len()) {
        (Op::Eq, u64::MAX, _) => "EQ",
        (Op::Eq, _, _) => "MASKED_EQ",
        (Op::Ne, u64::MAX, 1) => "NE",
        (Op::Lt, u64::MAX, _) => "LT",
        (Op::Le, u64::MAX, _) => "LE",
        (Op::Gt, u64::MAX, _) => "GT",
        (Op::Ge, u64::MAX, _) => "GE",
        _ => return None,
    };
    let arg = |value: &u64| Arg {
        index: *index,
        value: if word == "MASKED_EQ" { *mask } else { *value },
        value_two: if word == "MASKED_EQ" { *value } else { 0 },
        op: format!("SCMP_CMP_{word}"),
    };
    Some(values.iter().map(arg).collect())
}

/// libseccomp does not know the order of groups: what a group without `args` says goes before those
/// with them, and of two with them either may.
fn same_without_order(rules: &[Rule], default: Action) -> Result<()> {
    // Rules that say what the default says are left out by runtimes.
    let idle = |r: &Rule| r.conditions.is_empty() && r.action == default;
    for (n, a) in rules.iter().enumerate().filter(|(_, a)| !a.merged && !idle(a)) {
        let others = rules[n + 1..].iter().filter(|b| b.action != a.action && !idle(b));
        for b in others.filter(|b| together(a, b)) {
            let Some(call) = a.syscalls.iter().find(|call| b.syscalls.contains(call)) else {
                continue;
            };
            if !apart(a, b) {
                return Err(Impossible::new(format!(
                    "groups {} and {} say different things about {call} for different arguments, and JSON \
                     cannot say which goes first",
                    a.origin(),
                    b.origin()
                )));
            }
        }
    }
    Ok(())
}

/// Both may exist for one set of capabilities.
fn together(a: &Rule, b: &Rule) -> bool {
    a.when.intersection(b.unless).is_empty() && b.when.intersection(a.unless).is_empty()
}

/// No arguments meet both.
fn apart(a: &Rule, b: &Rule) -> bool {
    let excludes = |x: &Condition, y: &Condition| {
        x.index == y.index
            && x.mask == y.mask
            && match (x.op, y.op) {
                (Op::Eq, Op::Eq) => x.values.iter().all(|v| !y.values.contains(v)),
                (Op::Eq, Op::Ne) => x.values.iter().all(|v| y.values.contains(v)),
                (Op::Ne, Op::Eq) => y.values.iter().all(|v| x.values.contains(v)),
                _ => false,
            }
    };
    !a.any && !b.any && a.conditions.iter().any(|x| b.conditions.iter().any(|y| excludes(x, y)))
}
