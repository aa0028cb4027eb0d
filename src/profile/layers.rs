//! What one file says, and what files say together.

use super::arch::running_kernel;
use super::capability::CapSet;
use super::policy::{Action, Arch, Policy, Rule};
use super::rlimit::Rlimit;
use super::schema::{INHERITED, Need, Scope};

/// What one file says; what it leaves out stays as in the profile that it extends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) description: Option<String>,
    pub(crate) extends: Option<String>,
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) timeout: Option<String>,
    /// And whether they are added to those of the profile that is extended.
    pub(crate) capabilities: Option<(CapSet, bool)>,
    pub(crate) dropped: CapSet,
    pub(crate) masked: Option<List>,
    pub(crate) read_only: Option<List>,
    /// Neither masked nor read-only, whatever the profile that is extended says.
    pub(crate) unmasked: Vec<String>,
    pub(crate) limits: Vec<Rlimit>,
    pub(crate) read_only_root: Option<bool>,
    pub(crate) tmpfs: Option<List>,
    pub(crate) volumes: Option<List>,
    pub(crate) user_namespace: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) env_set: Vec<(String, String)>,
    pub(crate) env_pass: Option<List>,
    pub(crate) landlock: LandlockDocument,
    pub(crate) apparmor_label: Option<String>,
    pub(crate) apparmor_best_effort: Option<bool>,
    pub(crate) seccomp: Option<FilterDocument>,
}

/// What one file says of Landlock.
#[derive(Clone, Debug, Default)]
pub(crate) struct LandlockDocument {
    pub(crate) need: Option<Need>,
    pub(crate) read: Option<List>,
    pub(crate) write: Option<List>,
    pub(crate) execute: Option<List>,
    pub(crate) bind_ports: Option<Vec<u16>>,
    pub(crate) connect_ports: Option<Vec<u16>>,
    pub(crate) scopes: Option<Vec<Scope>>,
}

/// What Landlock is to leave; what no file speaks of is not restricted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Landlock {
    pub(crate) best_effort: bool,
    pub(crate) read: Option<Vec<String>>,
    pub(crate) write: Option<Vec<String>>,
    pub(crate) execute: Option<Vec<String>>,
    pub(crate) bind_ports: Option<Vec<u16>>,
    pub(crate) connect_ports: Option<Vec<u16>>,
    pub(crate) scopes: Option<Vec<Scope>>,
}

impl Landlock {
    fn apply(&mut self, document: &LandlockDocument) {
        if let Some(need) = document.need {
            self.best_effort = need == Need::BestEffort;
        }
        for (list, to) in [
            (&document.read, &mut self.read),
            (&document.write, &mut self.write),
            (&document.execute, &mut self.execute),
        ] {
            if let Some(list) = list {
                list.apply(to.get_or_insert_default());
            }
        }
        replace(&mut self.bind_ports, &document.bind_ports);
        replace(&mut self.connect_ports, &document.connect_ports);
        replace(&mut self.scopes, &document.scopes);
    }
}

/// Words, alone or after those of the profile that is extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) inherits: bool,
    pub(crate) own: Vec<String>,
}

/// A filter, or groups that are laid over one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterDocument {
    pub(crate) default: Option<Action>,
    pub(crate) architectures: Option<Architectures>,
    pub(crate) rules: Vec<Rule>,
    /// A JSON file whose filter comes below these rules.
    pub(crate) import: Option<String>,
    /// Of `seccomp(2)`, by their names there.
    pub(crate) flags: Vec<String>,
    /// For `notify`.
    pub(crate) listener_path: Option<String>,
    pub(crate) listener_metadata: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Architectures {
    List(Vec<Arch>),
    /// A machine's own, and what is listed beside it on that machine.
    Map(Vec<(Arch, Vec<Arch>)>),
}

impl Architectures {
    fn on(&self, machine: &str) -> Vec<Arch> {
        let own = |arch: &Arch| match arch {
            Arch::Native => Arch::parse(machine),
            arch => Some(*arch),
        };
        let mut found: Vec<Arch> = match self {
            Architectures::List(list) => list.iter().filter_map(own).collect(),
            Architectures::Map(map) => map
                .iter()
                .filter_map(|(key, others)| Some((own(key)?, others)))
                .filter(|(key, _)| key.name() == machine)
                .flat_map(|(key, others)| [key].into_iter().chain(others.iter().copied()))
                .collect(),
        };
        let mut seen = Vec::new();
        found.retain(|arch| {
            !seen.contains(arch) && {
                seen.push(*arch);
                true
            }
        });
        found
    }
}

/// What all files say together, but for the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) no_new_privileges: bool,
    pub(crate) timeout: Option<String>,
    /// Granted unless the command line adds or drops some.
    pub(crate) capabilities: CapSet,
    /// Hidden behind an empty file or directory.
    pub(crate) masked: Vec<String>,
    pub(crate) read_only: Vec<String>,
    /// Resources that are not listed keep the caller's limits.
    pub(crate) limits: Vec<Rlimit>,
    pub(crate) read_only_root: Option<bool>,
    pub(crate) tmpfs: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) user_namespace: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) env_set: Vec<(String, String)>,
    pub(crate) env_pass: Vec<String>,
    pub(crate) landlock: Landlock,
    pub(crate) apparmor_label: Option<String>,
    /// The sandbox starts also where the label cannot be had.
    pub(crate) apparmor_best_effort: Option<bool>,
}

fn replace<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
    if from.is_some() {
        to.clone_from(from);
    }
}

impl List {
    pub(crate) fn of(mut words: Vec<String>) -> Self {
        let count = words.len();
        words.retain(|word| word != INHERITED);
        List { inherits: words.len() < count, own: words }
    }

    fn apply(&self, to: &mut Vec<String>) {
        if !self.inherits {
            to.clear();
        }
        for word in &self.own {
            if !to.contains(word) {
                to.push(word.clone());
            }
        }
    }
}

impl Settings {
    /// Lays a file over what was said so far.
    pub(crate) fn apply(&mut self, document: &Document) {
        if let Some(value) = document.no_new_privileges {
            self.no_new_privileges = value;
        }
        replace(&mut self.timeout, &document.timeout);
        replace(&mut self.read_only_root, &document.read_only_root);
        replace(&mut self.user_namespace, &document.user_namespace);
        replace(&mut self.network, &document.network);
        replace(&mut self.apparmor_label, &document.apparmor_label);
        replace(&mut self.apparmor_best_effort, &document.apparmor_best_effort);
        if let Some((own, inherits)) = document.capabilities {
            self.capabilities = if inherits { self.capabilities.union(own) } else { own };
        }
        self.capabilities = self.capabilities.without(document.dropped);
        for (list, to) in [
            (&document.masked, &mut self.masked),
            (&document.read_only, &mut self.read_only),
            (&document.tmpfs, &mut self.tmpfs),
            (&document.volumes, &mut self.volumes),
            (&document.env_pass, &mut self.env_pass),
        ] {
            if let Some(list) = list {
                list.apply(to);
            }
        }
        self.masked.retain(|path| !document.unmasked.contains(path));
        self.read_only.retain(|path| !document.unmasked.contains(path));
        self.landlock.apply(&document.landlock);
        for limit in &document.limits {
            self.limits.retain(|l| l.kind != limit.kind);
            self.limits.push(*limit);
        }
        for (name, value) in &document.env_set {
            self.env_set.retain(|(n, _)| n != name);
            self.env_set.push((name.clone(), value.clone()));
        }
    }
}

impl FilterDocument {
    /// Lays it over a filter, or takes its place.
    pub(crate) fn over(&self, lower: Policy) -> Policy {
        let mut policy = match self.default {
            Some(default) => Policy { default, architectures: Vec::new(), rules: Vec::new() },
            None => lower,
        };
        if let Some(architectures) = &self.architectures {
            policy.architectures = architectures.on(std::env::consts::ARCH);
        }
        let layer = policy.rules.iter().map(|r| r.layer + 1).max().unwrap_or(0);
        let here = |r: &&Rule| r.host.met_on(std::env::consts::ARCH, running_kernel);
        for rule in self.rules.iter().filter(here) {
            let rule = Rule { layer, ..rule.clone() };
            if rule.any {
                policy.rules.extend(rule.conditions.iter().map(|one| Rule {
                    conditions: vec![one.clone()],
                    any: false,
                    ..rule.clone()
                }));
            } else {
                policy.rules.push(rule);
            }
        }
        policy
    }

    /// The key that asks for what sbx cannot do, and why it cannot.
    pub(crate) fn refused(&self) -> Option<(&'static str, String)> {
        // One thread installs the filter, so that there is none to bring in line.
        let flag = self.flags.iter().find(|flag| *flag != "SECCOMP_FILTER_FLAG_TSYNC");
        if let Some(flag) = flag {
            return Some(("seccomp.flags", format!("sbx installs no filter with {flag}")));
        }
        let listener = self.listener_path.as_ref().map(|_| ("seccomp.listener-path", "socket"));
        let metadata = self.listener_metadata.as_ref();
        let found = listener.or(metadata.map(|_| ("seccomp.listener-metadata", "metadata")))?;
        let (key, what) = found;
        Some((key, format!("{what} for the action `notify`, which sbx does not have")))
    }

    /// It depends on the running kernel's version.
    pub(crate) fn on_kernel(&self) -> bool {
        self.rules.iter().any(|rule| rule.host.on_kernel())
    }

    /// The capabilities that make a difference to its own rules.
    pub(crate) fn relevant(&self) -> CapSet {
        super::policy::relevant(&self.rules)
    }
}
