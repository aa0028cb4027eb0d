//! Writes the id maps of a process that has just entered a user namespace.

use crate::error::{Context, Result};
use crate::userns::helper::Helper;
use crate::userns::idmap::{self, IdMap};

/// Maps ids into the user namespace of `pid`. `pid` must be a child of this process that waits and is
/// dumpable: the files below `/proc/PID` belong to root otherwise.
pub(crate) fn apply(pid: u32, map: &IdMap) -> Result<()> {
    match map {
        IdMap::Inherit => Ok(()),
        IdMap::Single { uid, gid } => {
            // Since Linux 3.19 gid_map can be written without privilege only once setgroups is denied.
            write(pid, "setgroups", "deny")?;
            write(pid, "uid_map", &idmap::lines(std::slice::from_ref(uid)))?;
            write(pid, "gid_map", &idmap::lines(std::slice::from_ref(gid)))
        }
        IdMap::Direct { uids, gids } => {
            write(pid, "uid_map", &idmap::lines(uids))?;
            write(pid, "gid_map", &idmap::lines(gids))
        }
        IdMap::Helpers { uids, gids } => {
            // Both start before either is waited for: they take most of a millisecond each.
            let uid = Helper::start("newuidmap", pid, uids)?;
            let gid = Helper::start("newgidmap", pid, gids)?;
            uid.finish("/etc/subuid")?;
            gid.finish("/etc/subgid")
        }
    }
}

fn write(pid: u32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text).what(|| format!("cannot write {} to {path}", text.trim_end()))
}
