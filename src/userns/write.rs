//! Writes the id maps of a process that has just entered a user namespace.

use std::process::{Child, Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::host::prereq;
use crate::userns::idmap::{self, IdMap, Range};

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
            let uid = start("newuidmap", pid, uids)?;
            let gid = start("newgidmap", pid, gids);
            let uid = finish("newuidmap", "/etc/subuid", uid);
            let gid = finish("newgidmap", "/etc/subgid", gid?);
            uid.and(gid)
        }
    }
}

fn write(pid: u32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text).what(|| format!("cannot write {} to {path}", text.trim_end()))
}

fn start(helper: &str, pid: u32, ranges: &[Range]) -> Result<Child> {
    // A path, or every directory of PATH would be tried between vfork and exec.
    let program = prereq::find_program(helper).ok_or_else(|| prereq::program(helper, "uidmap"))?;
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for r in ranges {
        command.args([r.inside.to_string(), r.outside.to_string(), r.len.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    prereq::started(helper, command.spawn())
}

fn finish(helper: &str, file: &str, child: Child) -> Result<()> {
    let output = child.wait_with_output().what(|| format!("cannot wait for {helper}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let why = if said.is_empty() { output.status.to_string() } else { said.to_owned() };
    Err(Error::new(format!("cannot map subordinate ids with {helper}"), why).fix(format!(
        "check your range in {file}, and that {helper} is setuid or has its capability: {}",
        prereq::install("--reinstall uidmap")
    )))
}
