//! Docker's JSON format beside what runtimes make of it.

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};

use super::{CapSet, Policy};
use crate::profile::policy::{Action, Op};
use crate::profile::{compile, json};

pub(super) fn policy(json: &str) -> Policy {
    json::filter(json, "podman's").unwrap().over(Policy::nothing())
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
