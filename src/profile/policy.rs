//! A seccomp policy by names, and what it decides for one set of capabilities.

use std::collections::BTreeMap;

use super::capability::CapSet;

/// What happens to a call; see `seccomp(2)`, "Filter return values".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Allow,
    /// Permitted, and written to the audit log (Linux 4.14).
    Log,
    /// Kills the whole process (Linux 4.14).
    Kill,
    Errno(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arch {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

impl Arch {
    pub(crate) const EVERY: [(Arch, &'static str); 5] = [
        (Arch::X86_64, "x86_64"),
        (Arch::X86, "x86"),
        (Arch::X32, "x32"),
        (Arch::Aarch64, "aarch64"),
        (Arch::Arm, "arm"),
    ];

    pub(crate) fn parse(name: &str) -> Option<Arch> {
        Self::EVERY.into_iter().find(|(_, n)| *n == name).map(|(arch, _)| arch)
    }

    /// The machine that can run calls of this architecture.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Arch::X86_64 | Arch::X86 | Arch::X32 => "x86_64",
            Arch::Aarch64 | Arch::Arm => "aarch64",
        }
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
    /// The group's name and line in the file, for messages.
    pub(crate) origin: String,
    pub(crate) action: Action,
    pub(crate) syscalls: Vec<String>,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    /// The rule exists only where all of these are granted,
    pub(crate) when: CapSet,
    /// and none of these.
    pub(crate) unless: CapSet,
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
    /// The capabilities that make a difference to the filter.
    pub(crate) fn relevant(&self) -> CapSet {
        self.rules.iter().fold(CapSet::EMPTY, |set, r| set.union(r.when).union(r.unless))
    }

    /// Nothing is filtered, so that no filter is needed.
    pub(crate) fn is_unconfined(&self) -> bool {
        self.default == Action::Allow && self.rules.iter().all(|r| r.action == Action::Allow)
    }

    /// The verdict for each call that has a rule; the others get the default action.
    pub(crate) fn verdicts(&self, caps: CapSet) -> Result<BTreeMap<&str, Verdict>, Contradiction> {
        struct Draft<'a> {
            cases: Vec<(&'a Rule, &'a [Condition], Action)>,
            otherwise: Option<(&'a Rule, Action)>,
        }
        let mut drafts: BTreeMap<&str, Draft<'_>> = BTreeMap::new();
        let active = self
            .rules
            .iter()
            .filter(|r| caps.contains(r.when) && caps.intersection(r.unless).is_empty());
        for rule in active {
            for name in &rule.syscalls {
                let draft = drafts
                    .entry(name)
                    .or_insert_with(|| Draft { cases: Vec::new(), otherwise: None });
                let clash = if rule.conditions.is_empty() {
                    let earlier = *draft.otherwise.get_or_insert((rule, rule.action));
                    (earlier.1 != rule.action).then_some(earlier.0)
                } else {
                    let same = draft.cases.iter().find(|(_, c, _)| *c == rule.conditions);
                    let clash = same.filter(|(_, _, a)| *a != rule.action).map(|(r, ..)| *r);
                    if same.is_none() {
                        draft.cases.push((rule, &rule.conditions, rule.action));
                    }
                    clash
                };
                if let Some(first) = clash {
                    return Err(Contradiction {
                        syscall: name.clone(),
                        first: first.origin.clone(),
                        second: rule.origin.clone(),
                    });
                }
            }
        }
        Ok(drafts
            .into_iter()
            .map(|(name, draft)| {
                let cases = draft.cases.into_iter().map(|(_, c, a)| (c.to_vec(), a)).collect();
                let otherwise = draft.otherwise.map_or(self.default, |(_, action)| action);
                (name, Verdict { cases, otherwise })
            })
            .collect())
    }
}

impl Verdict {
    /// Whether some arguments let the call through.
    pub(crate) fn may_allow(&self) -> bool {
        let mut actions = self.cases.iter().map(|(_, a)| *a).chain([self.otherwise]);
        actions.any(|a| matches!(a, Action::Allow | Action::Log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, action: Action, when: CapSet, unless: CapSet) -> Rule {
        Rule {
            origin: origin.into(),
            action,
            syscalls: vec!["mount".into()],
            conditions: vec![],
            when,
            unless,
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
        assert_eq!(policy.relevant(), admin);
        let with = |caps| policy.verdicts(caps).unwrap()["mount"].otherwise;
        assert_eq!(with(CapSet::EMPTY), Action::Errno(1));
        assert_eq!(with(admin), Action::Allow);
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
        assert_eq!((clash.syscall.as_str(), clash.first.as_str()), ("mount", "one"));
        assert_eq!(clash.second, "two");
    }
}
