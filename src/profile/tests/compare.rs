//! The default filter beside the one that podman ships, by what the two programs decide.

use std::collections::BTreeSet;

use libseccomp::{ScmpArch, ScmpSyscall};

use super::exhaustive::interesting;
use super::interpreter::{Data, Decision, X32_BIT, X86, X86_64};
use super::{CapSet, Policy, base_caps, caps, compile, default_policy, docker, interpreter};
use crate::profile::policy::relevant;

const THEIRS: &str = "/usr/share/containers/seccomp.json";

fn theirs() -> Option<Policy> {
    theirs_text().map(|json| docker::policy(&json))
}

pub(super) fn theirs_text() -> Option<String> {
    match std::fs::read_to_string(THEIRS) {
        Ok(json) => Some(json),
        Err(e) => {
            // Seen with --nocapture, and in CI's list of skips.
            eprintln!(
                "SKIPPED: {THEIRS}: {e}. Install it: sudo apt-get install golang-github-containers-common"
            );
            None
        }
    }
}

fn passes(decision: Decision) -> bool {
    matches!(decision, Decision::Allow | Decision::Log)
}

/// Calls `visit(name, call)` for every number, architecture and argument that the policies may look at.
fn decisions(policies: &[&Policy], mut visit: impl FnMut(&str, Data)) {
    let values: BTreeSet<u64> = policies.iter().flat_map(|p| interesting(p)).collect();
    let conditional: BTreeSet<&str> = policies
        .iter()
        .flat_map(|p| p.rules.iter().filter(|r| !r.conditions.is_empty()))
        .flat_map(|r| r.syscalls.iter().map(String::as_str))
        .collect();
    for (table, arch, bit) in
        [(ScmpArch::X8664, X86_64, 0), (ScmpArch::X86, X86, 0), (ScmpArch::X32, X86_64, X32_BIT)]
    {
        for nr in (0..1100).map(|n| n | bit) {
            let name =
                ScmpSyscall::from_raw_syscall(nr).get_name_by_arch(table).unwrap_or_default();
            let mut try_args = |args: [u64; 6]| visit(&name, Data { nr, arch, args });
            try_args([0; 6]);
            if conditional.contains(name.as_str()) {
                for v in &values {
                    for index in 0..3 {
                        for rest in [0, 9, 16] {
                            let mut args = [rest; 6];
                            args[index] = *v;
                            try_args(if arch == X86 {
                                args.map(|a| a & 0xffff_ffff)
                            } else {
                                args
                            });
                        }
                    }
                }
            }
        }
    }
}

/// Calls `visit(name, call, ours, theirs)`, with whether either filter permits the call.
fn walk(granted: CapSet, other: &Policy, mut visit: impl FnMut(&str, Data, bool, bool)) {
    let own = default_policy();
    let (a, b) = (compile(&own, granted).unwrap().program, docker::program(other, granted));
    decisions(&[&own, other], |name, data| {
        visit(name, data, passes(interpreter::run(&a, data)), passes(interpreter::run(&b, data)));
    });
}

/// What a start makes of podman's file is what podman's runtime makes of it.
#[test]
fn slow_podmans_file_means_here_what_it_means_there() {
    let Some(theirs) = theirs() else { return };
    let mut sets = vec![base_caps(), CapSet::EMPTY, CapSet::ALL];
    sets.extend(relevant(&theirs.rules).names().map(|name| base_caps().union(caps(name))));
    for granted in sets {
        let own = compile(&theirs, granted).unwrap().program;
        let other = docker::program(&theirs, granted);
        decisions(&[&theirs], |name, data| {
            // libseccomp compares the lower halves only where pointers have 32 bits, as on x32.
            if data.nr & X32_BIT != 0 && data.args.iter().any(|a| *a > u64::from(u32::MAX)) {
                return;
            }
            let (own, other) = (interpreter::run(&own, data), interpreter::run(&other, data));
            assert_eq!(own, other, "{name} {data:x?} with {granted:?}");
        });
    }
}

#[test]
fn nothing_is_permitted_that_podmans_filter_refuses() {
    let Some(theirs) = theirs() else { return };
    let base = base_caps();
    let mut sets = vec![base, CapSet::EMPTY, CapSet::ALL];
    let both = relevant(&default_policy().rules).union(relevant(&theirs.rules));
    sets.extend(both.names().map(|name| base.union(caps(name))));
    for granted in sets {
        walk(granted, &theirs, |name, data, ours, theirs| {
            assert!(theirs || !ours, "{name} {data:x?} with {granted:?}");
        });
    }
}

#[test]
fn what_podman_permits_beyond_is_listed_with_its_reason() {
    let Some(theirs) = theirs() else { return };
    let mut beyond = BTreeSet::new();
    walk(base_caps(), &theirs, |name, data, ours, theirs| {
        if theirs && !ours && data.nr & X32_BIT == 0 {
            beyond.insert(name.to_owned());
        }
    });
    let docs = include_str!("../../../docs/profiles.md");
    let (_, section) = docs.split_once("## Tighter than podman's filter").expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter(|l| l.starts_with("| `"))
        .flat_map(|l| l.split('|').nth(1).unwrap().split(','))
        .map(|w| w.trim().trim_matches('`').to_owned())
        .collect();
    assert_eq!(listed, beyond, "the table of docs/profiles.md (left) and the filters (right)");
}
