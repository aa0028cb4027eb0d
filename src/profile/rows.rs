//! Settings one by one, as `key` and `value`, to be shown and compared.

use std::collections::BTreeMap;

use super::layers::{Landlock, Settings};
use super::policy::{Action, Condition, Op, Policy, Verdict};
use super::schema::Scope;
use super::{CapSet, errno};

/// One value: of a list, each word is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: String,
}

pub(super) fn of(settings: &Settings) -> Vec<Row> {
    // Destructured, so that a setting that is added cannot be forgotten here.
    let Settings {
        no_new_privileges,
        timeout,
        capabilities,
        masked,
        read_only,
        limits,
        read_only_root,
        tmpfs,
        volumes,
        user_namespace,
        network,
        env_set,
        env_pass,
        landlock,
        apparmor_label,
        apparmor_best_effort,
    } = settings;
    let mut rows = Vec::new();
    let mut row = |key: &str, value: String| rows.push(Row { key: key.to_owned(), value });
    row("process.no-new-privileges", no_new_privileges.to_string());
    for (key, value) in [
        ("process.timeout", timeout),
        ("namespaces.user", user_namespace),
        ("network.mode", network),
        ("apparmor.label", apparmor_label),
    ] {
        if let Some(value) = value {
            row(key, value.clone());
        }
    }
    if let Some(value) = apparmor_best_effort {
        row("apparmor.need", if *value { "best-effort" } else { "required" }.to_owned());
    }
    if let Some(value) = read_only_root {
        row("mounts.read-only-root", value.to_string());
    }
    for name in capabilities.names() {
        row("capabilities.keep", name.to_owned());
    }
    for (key, list) in [
        ("paths.masked", masked),
        ("paths.read-only", read_only),
        ("mounts.tmpfs", tmpfs),
        ("mounts.volumes", volumes),
        ("env.pass", env_pass),
    ] {
        for word in list {
            row(key, word.clone());
        }
    }
    for (name, value) in env_set {
        row(&format!("env.set.{name}"), value.clone());
    }
    of_landlock(landlock, &mut row);
    let amount = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    for limit in limits {
        let value = match (limit.soft, limit.hard) {
            (soft, hard) if soft == hard => amount(soft),
            (soft, hard) => format!("soft {}, hard {}", amount(soft), amount(hard)),
        };
        row(&format!("limits.{}", limit.kind.name()), value);
    }
    rows
}

fn of_landlock(landlock: &Landlock, row: &mut impl FnMut(&str, String)) {
    let Landlock { best_effort, read, write, execute, bind_ports, connect_ports, scopes } =
        landlock;
    if *landlock == Landlock::default() {
        return;
    }
    row("landlock.need", if *best_effort { "best-effort" } else { "required" }.to_owned());
    for (key, list) in [("read", read), ("write", write), ("execute", execute)] {
        for path in list.iter().flatten() {
            row(&format!("landlock.{key}"), path.clone());
        }
        if list.as_ref().is_some_and(Vec::is_empty) {
            row(&format!("landlock.{key}"), "nothing".to_owned());
        }
    }
    for (key, ports) in [("bind-ports", bind_ports), ("connect-ports", connect_ports)] {
        if let Some(ports) = ports {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            row(&format!("landlock.{key}"), ports.join(" "));
        }
    }
    for scope in scopes.iter().flatten() {
        let name = match scope {
            Scope::AbstractUnixSocket => "abstract-unix-socket",
            Scope::Signal => "signal",
        };
        row("landlock.scopes", name.to_owned());
    }
}

/// What the filter decides about each call, for a set of capabilities; a call that is decided by the
/// default action has no row.
pub(super) fn calls(policy: &Policy, caps: CapSet) -> Vec<Row> {
    let mut rows = vec![
        Row { key: "seccomp.default".to_owned(), value: action(policy.default) },
        Row { key: "seccomp.architectures".to_owned(), value: architectures(policy) },
    ];
    // Two rules about the same call that contradict each other are found when it is compiled.
    let verdicts: BTreeMap<&str, Verdict> = policy.verdicts(caps).unwrap_or_default();
    rows.extend(verdicts.into_iter().map(|(name, verdict)| Row {
        key: format!("seccomp.{name}"),
        value: verdict_text(&verdict),
    }));
    rows
}

fn architectures(policy: &Policy) -> String {
    policy.architectures.iter().map(|arch| arch.name()).collect::<Vec<_>>().join(" ")
}

pub(super) fn action(action: Action) -> String {
    match action {
        Action::Allow => "allow".to_owned(),
        Action::Log => "log".to_owned(),
        Action::Kill => "kill".to_owned(),
        Action::KillThread => "kill-thread".to_owned(),
        Action::Trap => "trap".to_owned(),
        Action::Notify => "notify".to_owned(),
        Action::Trace(number) => format!("trace {number}"),
        Action::Errno(number) => match errno::name(number) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {number}"),
        },
    }
}

fn verdict_text(verdict: &Verdict) -> String {
    let mut text = String::new();
    for (conditions, then) in &verdict.cases {
        let all: Vec<String> = conditions.iter().map(condition).collect();
        text += &format!("{} if {}, else ", action(*then), all.join(" and "));
    }
    text + &action(verdict.otherwise)
}

pub(super) fn condition(condition: &Condition) -> String {
    let masked = match condition.mask {
        u64::MAX => format!("arg{}", condition.index),
        mask => format!("arg{} & {mask:#x}", condition.index),
    };
    let op = match condition.op {
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    };
    let values: Vec<String> = condition.values.iter().map(|v| format!("{v:#x}")).collect();
    format!("{masked} {op} {}", values.join(" or "))
}
