//! What Landlock leaves to the sandbox; see `landlock(7)` for the rights and the versions (ABI) that have
//! them.

use std::path::PathBuf;

use crate::config::{Network, Request};
use crate::error::{Error, Result};
use crate::profile::{Landlock, Profile, Scope};

/// The kernel's words for what the profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LandlockPlan {
    pub(crate) fs: u64,
    pub(crate) net: u64,
    pub(crate) scoped: u64,
    pub(crate) rules: Vec<PathRule>,
    /// Ports with what is permitted.
    pub(crate) ports: Vec<(u16, u64)>,
}

/// A path with what is permitted there and below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathRule {
    pub(crate) path: PathBuf,
    pub(crate) allowed: u64,
}

const EXECUTE: u64 = 1;
pub(crate) const WRITE_FILE: u64 = 1 << 1;
/// READ_FILE, READ_DIR.
const READ: u64 = 1 << 2 | 1 << 3;
/// WRITE_FILE, and to remove, make and move whatever there may be in a directory; TRUNCATE (ABI 3) and
/// IOCTL_DEV (ABI 5).
const WRITE: u64 = WRITE_FILE | 0x1ff0 | REFER | TRUNCATE | IOCTL_DEV;
/// Without it (ABI 1) nothing can be moved to another directory, which is less than asked for.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;

const ABSTRACT_UNIX_SOCKET: u64 = 1;
const SIGNAL: u64 = 2;

impl LandlockPlan {
    fn is_empty(&self) -> bool {
        (self.fs, self.net, self.scoped) == (0, 0, 0)
    }

    /// What a kernel of this version lacks of it, in words; what it lacks is taken out.
    fn fit(&mut self, abi: u32) -> Vec<&'static str> {
        let mut lacking = Vec::new();
        let mut take = |from: &mut u64, rights: u64, since: u32, name| {
            if *from & rights != 0 && abi < since {
                *from &= !rights;
                lacking.push(name);
            }
        };
        take(&mut self.fs, u64::MAX, 1, "files");
        if abi < 2 {
            self.fs &= !REFER;
        }
        take(&mut self.fs, TRUNCATE, 3, "truncation of files");
        take(&mut self.net, u64::MAX, 4, "TCP ports");
        take(&mut self.fs, IOCTL_DEV, 5, "requests to devices");
        take(&mut self.scoped, u64::MAX, 6, "scopes");
        let (fs, net) = (self.fs, self.net);
        for rule in &mut self.rules {
            rule.allowed &= fs;
        }
        self.rules.retain(|rule| rule.allowed != 0);
        self.ports.retain(|(_, rights)| rights & net != 0);
        lacking
    }
}

/// `abi` is the kernel's version of Landlock, 0 where there is none. The value beside the plan is what the
/// profile asked for and did not get.
pub(super) fn make(
    request: &Request,
    profile: &Profile,
    abi: u32,
) -> Result<(Option<LandlockPlan>, Option<String>)> {
    let asked = &profile.settings.landlock;
    let mut plan = of(asked, request);
    let lacking = plan.fit(abi);
    let mut lost = None;
    if !lacking.is_empty() {
        let kernel = match abi {
            0 => {
                "this kernel has no Landlock, or it is not among the modules of its lsm= parameter"
                    .into()
            }
            abi => {
                format!("this kernel's Landlock (ABI {abi}) does not know {}", lacking.join(", "))
            }
        };
        if !asked.best_effort {
            return Err(Error::new(
                format!("cannot confine by profile {}: landlock", profile.name),
                kernel,
            )
            .fix("a newer kernel, or need = \"best-effort\" below [landlock] in the profile"));
        }
        lost = Some(format!("profile {}: landlock: {kernel}", profile.name));
    }
    // A network that is the host's has the abstract sockets of the host's programs (CVE-2020-15257).
    if request.network.value == Network::Host && asked.scopes.is_none() && abi >= 6 {
        plan.scoped |= ABSTRACT_UNIX_SOCKET;
    }
    Ok(((!plan.is_empty()).then_some(plan), lost))
}

fn of(asked: &Landlock, request: &Request) -> LandlockPlan {
    let mut plan = LandlockPlan::default();
    for (paths, rights) in [(&asked.read, READ), (&asked.write, WRITE), (&asked.execute, EXECUTE)] {
        let Some(paths) = paths else { continue };
        plan.fs |= rights;
        plan.rules.extend(paths.iter().map(|p| PathRule { path: p.into(), allowed: rights }));
    }
    // What is mounted on purpose can be used as it was mounted.
    if plan.fs != 0 {
        for mount in &request.mounts {
            let own = if mount.readonly { READ | EXECUTE } else { u64::MAX };
            let allowed = plan.fs & own;
            plan.rules.push(PathRule { path: mount.target.clone(), allowed });
        }
    }
    for (ports, right) in [(&asked.bind_ports, BIND_TCP), (&asked.connect_ports, CONNECT_TCP)] {
        let Some(ports) = ports else { continue };
        plan.net |= right;
        plan.ports.extend(ports.iter().map(|port| (*port, right)));
    }
    for scope in asked.scopes.iter().flatten() {
        plan.scoped |= match scope {
            Scope::AbstractUnixSocket => ABSTRACT_UNIX_SOCKET,
            Scope::Signal => SIGNAL,
        };
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_lose_rights_by_name() {
        let full = || LandlockPlan {
            fs: READ | WRITE | EXECUTE,
            net: BIND_TCP,
            scoped: SIGNAL,
            rules: vec![PathRule { path: "/a".into(), allowed: WRITE }],
            ports: vec![(80, BIND_TCP)],
        };
        let fit = |abi| {
            let mut plan = full();
            let lacking = plan.fit(abi);
            (plan, lacking)
        };
        assert_eq!(fit(6), (full(), vec![]));
        assert_eq!(fit(0), (LandlockPlan::default(), vec!["files", "TCP ports", "scopes"]));
        let (plan, lacking) = fit(1);
        assert_eq!(plan.fs & (REFER | TRUNCATE | IOCTL_DEV), 0);
        assert_eq!(plan.rules[0].allowed & !plan.fs, 0, "rules ask for handled rights only");
        assert_eq!(lacking.len(), 4);
        assert_eq!(fit(4).1, ["requests to devices", "scopes"]);
    }
}
