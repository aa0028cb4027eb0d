//! Tests of what the compiled programs decide.

mod compare;
mod decisions;
mod docker;
mod exhaustive;
mod interpreter;
mod loading;

use super::capability::CapSet;
use super::compile::{Compiled, compile};
use super::load::builtin_policy;
use super::policy::Policy;
use super::{Builtin, parse};
use interpreter::{Data, Decision};

fn caps(names: &str) -> CapSet {
    names.split_whitespace().fold(CapSet::EMPTY, |set, n| set.union(CapSet::parse(n).unwrap()))
}

fn default_policy() -> Policy {
    builtin_policy(Builtin::base()).unwrap()
}

fn policy_of(seccomp: &str) -> Policy {
    parse::document(&format!("version = 1\n[seccomp]\n{seccomp}")).unwrap().seccomp.unwrap()
}

fn run(compiled: &Compiled, data: Data) -> Decision {
    interpreter::run(&compiled.program, data)
}
