//! Looks at processes from outside.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};

pub(crate) fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(pid), signal)
        .unwrap_or_else(|e| panic!("send {signal} to process {pid}: {e}"));
}

/// Waits for the end of a process; `false` when the time is over first.
pub(crate) fn ends(pid: i32, limit: Duration) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return true };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let deadline = std::time::Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let timeout = rustix::event::Timespec::try_from(left).expect("a short time");
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => panic!("poll a pidfd: {e}"),
        }
    }
}

/// Looks until it is so; what never comes about is named.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it never came about that {what}");
        std::thread::yield_now();
    }
}

/// Parent of every process that there is. `children` files would need CONFIG_PROC_CHILDREN.
fn parents() -> HashMap<i32, i32> {
    std::fs::read_dir("/proc")
        .expect("read /proc")
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name may hold blanks and brackets: proc_pid_stat(5).
            let rest = &stat[stat.rfind(')')? + 1..];
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

/// Everything below `pid`, parents before children.
pub(crate) fn descendants(pid: i32) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        let mut children: Vec<i32> =
            parents.iter().filter(|(_, p)| **p == parent).map(|(c, _)| *c).collect();
        children.sort_unstable();
        found.extend(children);
        next += 1;
    }
    found.remove(0);
    found
}

/// The process below `pid` that is PID 1 of the innermost namespace: of the sandbox, as it sees itself.
pub(crate) fn init_below(pid: i32) -> Option<i32> {
    first_processes(pid).pop()
}

/// The process below `pid` that is PID 1 of the outermost namespace: the init, or the outer init of a
/// program that is PID 1 itself.
pub(crate) fn outer_init_below(pid: i32) -> Option<i32> {
    first_processes(pid).into_iter().next()
}

fn first_processes(pid: i32) -> Vec<i32> {
    let is_first = |p: &i32| {
        let numbers = status_field(*p, "NSpid").unwrap_or_default();
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        numbers.len() > 1 && numbers.last() == Some(&"1")
    };
    descendants(pid).into_iter().filter(is_first).collect()
}

/// A line of `/proc/PID/status`.
pub(crate) fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| {
        line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned())
    })
}

pub(crate) fn is_zombie(pid: i32) -> bool {
    status_field(pid, "State").is_some_and(|state| state.starts_with('Z'))
}

/// A process for people: its number, state and command line.
pub(crate) fn describe(pid: i32) -> String {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let name = status_field(pid, "Name").unwrap_or_default();
    let state = status_field(pid, "State").unwrap_or_default();
    format!("process {pid} [{name}] {state}: {command}")
}
