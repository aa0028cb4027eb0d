//! A seccomp policy by names, and what it decides for one set of capabilities.

use std::collections::BTreeMap;

pub(crate) use super::arch::{Arch, HostNeeds};
use super::capability::CapSet;

/// What happens to a call; see `seccomp(2)`, "Filter return values".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Allow,
    /// Permitted, and written to the audit log (Linux 4.14).
    Log,
    /// Kills the whole process (Linux 4.14).
    Kill,
    KillThread,
    /// SIGSYS, which the program may handle.
    Trap,
    Errno(u16),
    /// Asks a tracer, with a number for it. Kept for conversion; no filter is made of it.
    Trace(u16),
    /// Asks a supervisor. Kept for conversion; no filter is made of it.
    Notify,
}

impl Action {
    pub(crate) fn permits(self) -> bool {
        matches!(self, Action::Allow | Action::Log)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    /// Equal to one of the values.
    Eq,
    /// Equal to none of the values.
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A test of one argument, of which only the bits in `mask` are looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub(crate) index: u8,
    pub(crate) mask: u64,
    pub(crate) op: Op,
    /// At least one; exactly one unless `op` is `Eq` or `Ne`. No bit lies outside `mask`.
    pub(crate) values: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The group's.
    pub(crate) name: String,
    /// File and line.
    pub(crate) place: String,
    pub(crate) action: Action,
    pub(crate) syscalls: Vec<String>,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    /// The rule exists only where all of these are granted,
    pub(crate) when: CapSet,
    /// and none of these.
    pub(crate) unless: CapSet,
    /// Names that this libseccomp does not know: nothing is decided about them.
    pub(crate) unknown: Vec<String>,
    /// One condition is enough.
    pub(crate) any: bool,
    pub(crate) host: HostNeeds,
    /// Where rules of this layer contradict each other, they are merged as libseccomp does: the first
    /// one without conditions says all there is to say of a call.
    pub(crate) merged: bool,
    /// What a higher layer says of a call goes before what lower ones say.
    pub(crate) layer: u16,
}

impl Rule {
    /// Its name, or else the first call that it is about.
    pub(crate) fn label(&self) -> &str {
        match (&self.name[..], &self.syscalls[..]) {
            ("", [first, ..]) => first,
            (name, _) => name,
        }
    }

    /// Its name, file and line, for messages.
    pub(crate) fn origin(&self) -> String {
        format!("\"{}\" ({})", self.label(), self.place)
    }
}

impl Condition {
    pub(crate) fn holds(&self, args: &[u64; 6]) -> bool {
        let found = args[usize::from(self.index)] & self.mask;
        let value = self.values[0];
        match self.op {
            Op::Eq => self.values.contains(&found),
            Op::Ne => !self.values.contains(&found),
            Op::Lt => found < value,
            Op::Le => found <= value,
            Op::Gt => found > value,
            Op::Ge => found >= value,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) default: Action,
    pub(crate) architectures: Vec<Arch>,
    pub(crate) rules: Vec<Rule>,
}

/// What is decided about one call: the first case that matches, or else the last word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    pub(crate) cases: Vec<(Vec<Condition>, Action)>,
    pub(crate) otherwise: Action,
}

/// Two rules that say different things about the same call and the same arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) syscall: String,
    pub(crate) first: String,
    pub(crate) second: String,
}

impl Policy {
    /// What to begin with where a file says everything.
    pub(crate) fn nothing() -> Self {
        Policy { default: Action::Kill, architectures: Vec::new(), rules: Vec::new() }
    }

    /// Nothing is filtered, so that no filter is needed.
    pub(crate) fn is_unconfined(&self) -> bool {
        self.default == Action::Allow && self.rules.iter().all(|r| r.action == Action::Allow)
    }

    /// The verdict for each call that has a rule; the others get the default action.
    pub(crate) fn verdicts(&self, caps: CapSet) -> Result<BTreeMap<&str, Verdict>, Contradiction> {
        let verdict = |draft: Draft<'_>| {
            let cases = draft.cases.into_iter().map(|r| (r.conditions.clone(), r.action));
            let otherwise = draft.otherwise.map_or(self.default, |rule| rule.action);
            Verdict { cases: cases.collect(), otherwise }
        };
        Ok(self
            .drafts(caps, None)?
            .into_iter()
            .map(|(name, draft)| (name, verdict(draft)))
            .collect())
    }

    /// The rule that decides about a call; `None` where the default does.
    pub(crate) fn decider(
        &self,
        caps: CapSet,
        call: &str,
        args: &[u64; 6],
    ) -> Result<Option<&Rule>, Contradiction> {
        let mut drafts = self.drafts(caps, Some(call))?;
        let Some(draft) = drafts.remove(call) else { return Ok(None) };
        let case = draft.cases.into_iter().find(|r| r.conditions.iter().all(|c| c.holds(args)));
        Ok(case.or(draft.otherwise))
    }

    /// The rules about each call, or about one, of all layers.
    fn drafts(
        &self,
        caps: CapSet,
        call: Option<&str>,
    ) -> Result<BTreeMap<&str, Draft<'_>>, Contradiction> {
        let mut merged: BTreeMap<&str, Draft<'_>> = BTreeMap::new();
        let top = self.rules.iter().map(|r| r.layer).max().unwrap_or(0);
        for layer in (0..=top).rev() {
            for (name, draft) in self.layer(layer, caps, call)? {
                merged.entry(name).or_default().lay_over(draft);
            }
        }
        Ok(merged)
    }

    /// What the rules of one layer say; they must agree.
    fn layer(
        &self,
        layer: u16,
        caps: CapSet,
        call: Option<&str>,
    ) -> Result<BTreeMap<&str, Draft<'_>>, Contradiction> {
        let mut drafts: BTreeMap<&str, Draft<'_>> = BTreeMap::new();
        // Runtimes hand libseccomp no rule that says what the default says.
        let idle = |r: &Rule| r.merged && r.action == self.default;
        for rule in self.active(caps).filter(|r| r.layer == layer && !idle(r)) {
            for name in rule.syscalls.iter().filter(|n| call.is_none_or(|call| call == **n)) {
                let draft = drafts.entry(name).or_default();
                let earlier = if rule.conditions.is_empty() {
                    *draft.otherwise.get_or_insert(rule)
                } else {
                    match draft.cases.iter().find(|r| r.conditions == rule.conditions) {
                        Some(same) => same,
                        None => {
                            draft.cases.push(rule);
                            rule
                        }
                    }
                };
                if earlier.action != rule.action && !rule.merged {
                    return Err(Contradiction {
                        syscall: name.clone(),
                        first: earlier.origin(),
                        second: rule.origin(),
                    });
                }
            }
        }
        for draft in drafts.values_mut().filter(|d| d.otherwise.is_some_and(|r| r.merged)) {
            draft.cases.clear();
        }
        Ok(drafts)
    }

    /// The rules that exist for a set of capabilities.
    pub(crate) fn active(&self, caps: CapSet) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(move |r| caps.contains(r.when) && caps.intersection(r.unless).is_empty())
    }
}

/// The capabilities that make a difference to what rules say.
pub(crate) fn relevant(rules: &[Rule]) -> CapSet {
    rules.iter().fold(CapSet::EMPTY, |set, r| set.union(r.when).union(r.unless))
}

/// The rules about one call.
#[derive(Default)]
struct Draft<'a> {
    cases: Vec<&'a Rule>,
    otherwise: Option<&'a Rule>,
}

impl<'a> Draft<'a> {
    /// Adds what a lower layer says where this one leaves something open.
    fn lay_over(&mut self, lower: Draft<'a>) {
        if self.otherwise.is_some() {
            return;
        }
        for case in lower.cases {
            if self.cases.iter().all(|own| own.conditions != case.conditions) {
                self.cases.push(case);
            }
        }
        self.otherwise = lower.otherwise;
    }
}

impl Verdict {
    /// Whether some arguments let the call through.
    pub(crate) fn may_allow(&self) -> bool {
        let mut actions = self.cases.iter().map(|(_, a)| *a).chain([self.otherwise]);
        actions.any(Action::permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, action: Action, when: CapSet, unless: CapSet) -> Rule {
        Rule {
            name: origin.into(),
            place: "here".into(),
            action,
            syscalls: vec!["mount".into()],
            conditions: vec![],
            when,
            unless,
            unknown: vec![],
            any: false,
            host: HostNeeds::default(),
            merged: false,
            layer: 0,
        }
    }

    #[test]
    fn capabilities_choose_the_rules() {
        let admin = CapSet::parse("SYS_ADMIN").unwrap();
        let policy = Policy {
            default: Action::Errno(38),
            architectures: vec![],
            rules: vec![
                rule("granted", Action::Allow, admin, CapSet::EMPTY),
                rule("not granted", Action::Errno(1), CapSet::EMPTY, admin),
            ],
        };
        assert_eq!(relevant(&policy.rules), admin);
        let with = |caps| policy.verdicts(caps).unwrap()["mount"].otherwise;
        assert_eq!(with(CapSet::EMPTY), Action::Errno(1));
        assert_eq!(with(admin), Action::Allow);
    }

    #[test]
    fn a_higher_layer_goes_first() {
        let any = (CapSet::EMPTY, CapSet::EMPTY);
        let case = |n: u64| {
            let one = Condition { index: 0, mask: u64::MAX, op: Op::Eq, values: vec![n] };
            vec![one]
        };
        let low = rule("low", Action::Allow, any.0, any.1);
        let low_case = Rule { conditions: case(1), ..rule("low", Action::Errno(1), any.0, any.1) };
        let high_case =
            Rule { conditions: case(2), layer: 1, ..rule("high", Action::Errno(2), any.0, any.1) };
        let same = Rule { conditions: case(1), ..high_case.clone() };
        let policy = |rules| Policy { default: Action::Kill, architectures: vec![], rules };
        let found = |rules| policy(rules).verdicts(CapSet::EMPTY).unwrap()["mount"].clone();
        let verdict = found(vec![low.clone(), low_case.clone(), high_case.clone()]);
        assert_eq!(verdict.cases, [(case(2), Action::Errno(2)), (case(1), Action::Errno(1))]);
        assert_eq!(verdict.otherwise, Action::Allow);
        let verdict = found(vec![low.clone(), low_case, same]);
        assert_eq!(verdict.cases, [(case(1), Action::Errno(2))]);
        // Without conditions it says all there is to say.
        let high = Rule { layer: 1, ..rule("high", Action::Errno(3), any.0, any.1) };
        let verdict = found(vec![low, high_case, high]);
        assert_eq!((verdict.cases.len(), verdict.otherwise), (1, Action::Errno(3)));
    }

    #[test]
    fn a_contradiction_names_both_rules() {
        let policy = Policy {
            default: Action::Errno(38),
            architectures: vec![],
            rules: vec![
                rule("one", Action::Allow, CapSet::EMPTY, CapSet::EMPTY),
                rule("two", Action::Errno(1), CapSet::EMPTY, CapSet::EMPTY),
            ],
        };
        let clash = policy.verdicts(CapSet::EMPTY).unwrap_err();
        assert_eq!((clash.syscall.as_str(), clash.first.as_str()), ("mount", "\"one\" (here)"));
        assert_eq!(clash.second, "\"two\" (here)");
    }
}
