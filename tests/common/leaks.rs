//! What must not be there once sbx has ended: processes (and with them namespaces), mounts, directories, held
//! locks, temporary files, session keyrings.

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};

use super::process;
use super::world::World;

/// A helper dies a moment after the process that it served.
const GRACE: Duration = Duration::from_secs(3);

/// What was there before the test, and is not its leak.
pub(crate) struct Before {
    mounts: Vec<String>,
}

impl Before {
    pub(crate) fn now() -> Self {
        Before { mounts: mounts() }
    }
}

pub(crate) fn find(world: &World, before: &Before) -> Vec<String> {
    let mut found = processes();
    let mounts = mounts();
    found.extend(
        mounts.into_iter().filter(|m| !before.mounts.contains(m)).map(|m| format!("mount {m}")),
    );
    for dir in ["data/sbx/containers", "data/sbx/scratch", "data/sbx/tmp", "tmp"] {
        let left = entries(&world.path(dir)).into_iter().filter(|p| !is_lock(p));
        found.extend(left.map(|p| format!("file {}", p.display())));
    }
    for path in files_below(world.root()) {
        if path.starts_with(world.path("run")) && !is_lock(&path) {
            found.push(format!("file {}", path.display()));
        }
        let held = File::open(&path)
            .is_ok_and(|f| flock(&f, FlockOperation::NonBlockingLockExclusive).is_err());
        if held {
            found.push(format!("lock on {}", path.display()));
        }
    }
    found
}

/// A lock's file stays: removing it would race with who opens it next. What must be gone is the lock.
fn is_lock(path: &Path) -> bool {
    path.is_file() && path.file_name().is_some_and(|n| n.to_string_lossy().ends_with("lock"))
}

/// Descendants that do not end by themselves. As this process is a subreaper there is no other place to go
/// to, and a namespace lives no longer than its last process, as long as nothing is mounted from it.
fn processes() -> Vec<String> {
    let me = i32::try_from(std::process::id()).expect("a pid");
    let mut found = Vec::new();
    for pid in process::descendants(me) {
        if !process::ends(pid, GRACE) {
            found.push(process::describe(pid));
        }
        // Orphans are this process's to reap; children that the test waits for itself are gone by now.
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
    found
}

pub(crate) fn kill_descendants() {
    let me = i32::try_from(std::process::id()).expect("a pid");
    for pid in process::descendants(me) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        process::ends(pid, GRACE);
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// The mounts of this process that an sbx could have made: those of its helpers and of namespaces.
fn mounts() -> Vec<String> {
    std::fs::read_to_string("/proc/self/mountinfo")
        .expect("read /proc/self/mountinfo")
        .lines()
        .filter(|line| line.contains("sbx-test-") || line.contains(" - nsfs "))
        .map(str::to_owned)
        .collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .map(|list| list.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default()
}

/// Regular files and sockets of sbx's own directories; directories of subordinate ids are closed to us and
/// hold no locks.
fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut todo: Vec<PathBuf> = ["data/sbx", "run", "cache", "config"]
        .iter()
        .map(|d| root.join(d))
        .filter(|d| d.is_dir())
        .collect();
    let mut files = Vec::new();
    while let Some(dir) = todo.pop() {
        for path in entries(&dir) {
            match std::fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() && !path.ends_with("data/sbx/layers") => todo.push(path),
                Ok(meta) if meta.is_file() || meta.file_type().is_socket() => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// Keys that belong to this user, from `/proc/key-users`; see keyrings(7).
pub(crate) fn key_count() -> u64 {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/proc/key-users").unwrap_or_default();
    users
        .lines()
        .find_map(|line| {
            let (id, rest) = line.split_once(':')?;
            (id.trim().parse() == Ok(uid))
                .then(|| rest.split_whitespace().nth(1)?.split('/').next()?.parse().ok())?
        })
        .unwrap_or(0)
}
