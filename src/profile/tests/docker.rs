//! Docker's JSON format, read as far as the comparison needs it.

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use serde::Deserialize;

use super::{CapSet, Policy};
use crate::profile::policy::{Action, Arch, Condition, Op, Rule};
use crate::profile::{compile, syscalls};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    syscalls: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    args: Option<Vec<Arg>>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
}

#[derive(Default, Deserialize)]
struct Filter {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    index: u8,
    value: u64,
    value_two: u64,
    op: String,
}

fn action(name: &str, errno: Option<u16>) -> Action {
    match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(1)),
        other => panic!("action {other}"),
    }
}

fn condition(arg: &Arg) -> Condition {
    let (mask, op, value) = match arg.op.as_str() {
        "SCMP_CMP_EQ" => (u64::MAX, Op::Eq, arg.value),
        "SCMP_CMP_NE" => (u64::MAX, Op::Ne, arg.value),
        "SCMP_CMP_MASKED_EQ" => (arg.value, Op::Eq, arg.value_two),
        other => panic!("comparison {other}"),
    };
    Condition { index: arg.index, mask, op, values: vec![value] }
}

fn set(names: &[String]) -> CapSet {
    names.iter().fold(CapSet::EMPTY, |set, n| set.union(CapSet::parse(n).unwrap()))
}

pub(super) fn policy(json: &str) -> Policy {
    let profile: Profile = serde_json::from_str(json).unwrap();
    let known = syscalls::all();
    let here = |f: &Filter| f.arches.iter().any(|a| a == "amd64");
    let groups =
        profile.syscalls.iter().filter(|g| g.includes.arches.is_empty() || here(&g.includes));
    let rules = groups.map(|g| Rule {
        name: String::new(),
        layer: 0,
        origin: g.names.join(" "),
        action: action(&g.action, g.errno_ret),
        syscalls: g.names.iter().filter(|n| known.contains(*n)).cloned().collect(),
        conditions: g.args.iter().flatten().map(condition).collect(),
        when: set(&g.includes.caps),
        unless: set(&g.excludes.caps),
    });
    Policy {
        default: action(&profile.default_action, profile.default_errno_ret),
        architectures: vec![Arch::X86_64, Arch::X86, Arch::X32],
        rules: rules.collect(),
    }
}

/// The program that a runtime makes of it: every rule to libseccomp, in order, without our compiler.
pub(super) fn program(policy: &Policy, granted: CapSet) -> Vec<u8> {
    let action = |a: Action| match a {
        Action::Errno(n) => ScmpAction::Errno(n.into()),
        _ => ScmpAction::Allow,
    };
    let mut filter = ScmpFilterContext::new(action(policy.default)).unwrap();
    for arch in [ScmpArch::X86, ScmpArch::X32] {
        filter.add_arch(arch).unwrap();
    }
    let rules = policy.rules.iter().filter(|r| r.action != policy.default);
    for rule in
        rules.filter(|r| granted.contains(r.when) && granted.intersection(r.unless).is_empty())
    {
        let conditions: Vec<_> = rule
            .conditions
            .iter()
            .map(|c| {
                let op = match c.op {
                    Op::Ne => ScmpCompareOp::NotEqual,
                    _ => ScmpCompareOp::MaskedEqual(c.mask),
                };
                ScmpArgCompare::new(c.index.into(), op, c.values[0])
            })
            .collect();
        for name in &rule.syscalls {
            let call = ScmpSyscall::from_name(name).unwrap();
            let added = filter.add_rule_conditional(action(rule.action), call, &conditions);
            // podman's file permits setns in one group and refuses it in another.
            assert!(added.is_ok() || name == "setns", "{name}: {}", added.unwrap_err());
        }
    }
    compile::export(&filter).unwrap()
}
