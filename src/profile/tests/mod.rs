//! Tests of what the compiled programs decide.

mod compare;
mod conversion;
mod decisions;
mod docker;
mod exhaustive;
mod interpreter;
mod json_schema;
mod layering;
mod loading;
mod trial;

use super::capability::CapSet;
use super::compile::{Compiled, compile};
use super::load::builtin_policy;
use super::policy::Policy;
use super::{Builtin, parse};
use interpreter::{Data, Decision};

fn caps(names: &str) -> CapSet {
    names.split_whitespace().fold(CapSet::EMPTY, |set, n| set.union(CapSet::parse(n).unwrap()))
}

/// What the default profile grants.
fn base_caps() -> CapSet {
    (Builtin::base().settings)().capabilities
}

fn default_policy() -> Policy {
    builtin_policy(Builtin::base()).unwrap()
}

fn policy_of(seccomp: &str) -> Policy {
    let text = format!("version = 1\n[seccomp]\n{seccomp}");
    let document = parse::document(&text, "mine.toml", super::builtin::SETS).unwrap();
    document.seccomp.unwrap().over(Policy::nothing())
}

fn run(compiled: &Compiled, data: Data) -> Decision {
    interpreter::run(&compiled.program, data)
}
