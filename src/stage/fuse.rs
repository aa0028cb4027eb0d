//! fuse-overlayfs as the server of the root.
//!
//! The child mounts FUSE itself and sends the descriptor here. The server never mounts anything, so
//! that it needs no place in the sandbox's namespaces: it works in a user namespace of its own with
//! the store's id map. Ids travel through FUSE as numbers, and those are the image's own whatever map
//! the sandbox has; that is how keep-id shows the right owners without a copy of the layers.

use std::io::Read as _;
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::scratch::Scratch;
use crate::error::{Context, Error, Result};
use crate::host::prereq;
use crate::launch::supervise;
use crate::plan::Plan;
use crate::sys::{self, pinned};
use crate::userns::idmap::IdMap;
use crate::userns::worker;

pub(crate) const JOB: &str = "fuse-overlayfs";

#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    program: PathBuf,
    /// Behind the lower directories.
    options: String,
    lower: Lower,
}

#[derive(Serialize, Deserialize)]
enum Lower {
    /// Layers of the store, as the option wants them.
    Names(String),
    /// A directory that must be the one that was looked at.
    Pinned(PathBuf, [u64; 3]),
}

/// The running server. Killed when dropped: a FUSE mount whose sandbox is gone serves nobody.
pub(crate) struct Server {
    child: Child,
    pidfd: OwnedFd,
    /// The child's end of the socket, until the child has it.
    socket: Option<OwnedFd>,
}

pub(crate) fn start(
    plan: &Plan,
    lowers: &[PathBuf],
    scratch: &Scratch,
    map: &IdMap,
) -> Result<Server> {
    let program =
        prereq::find_program(JOB).ok_or_else(|| prereq::program(JOB, "fuse-overlayfs"))?;
    let pinned = |lower: &PathBuf| plan.host.pinned.iter().find(|p| p.path() == lower);
    let lower = match lowers {
        [one] if let Some(p) = pinned(one) => Lower::Pinned(one.clone(), p.numbers()),
        _ => Lower::Names(stacked(lowers)?),
    };
    let job = Job { program, options: options(scratch, plan.host.remove)?, lower };
    let (theirs, socket) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .what(|| "cannot make a socket for fuse-overlayfs")?;
    let child = worker::start(map, JOB, &job, Stdio::from(theirs))?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).what(|| "cannot watch fuse-overlayfs")?;
    Ok(Server { child, pidfd, socket: Some(socket) })
}

fn name(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|t| !t.contains([',', ':', '\\']));
    text.map(str::to_owned).ok_or_else(|| {
        Error::new(
            format!("cannot hand {} to fuse-overlayfs", path.display()),
            "its options cannot express a comma, a colon, a backslash or what is not UTF-8",
        )
        .fix("move the directory")
    })
}

/// Topmost first, as for the kernel.
fn stacked(lowers: &[PathBuf]) -> Result<String> {
    Ok(lowers.iter().rev().map(|l| name(l)).collect::<Result<Vec<_>>>()?.join(":"))
}

fn options(scratch: &Scratch, volatile: bool) -> Result<String> {
    let (upper, work) = (name(&scratch.path("upper"))?, name(&scratch.path("work"))?);
    let volatile = if volatile { ",volatile" } else { "" };
    Ok(format!("upperdir={upper},workdir={work}{volatile}"))
}

/// In the worker: waits for the descriptor of /dev/fuse, then becomes the server.
pub(crate) fn program(job: Job) -> Box<dyn FnOnce() -> Result<Command>> {
    Box::new(move || {
        let stdin = rustix::stdio::stdin();
        let device = sys::receive_fd(stdin.as_raw_fd(), sys::Inherit::Yes)
            .what(|| "cannot receive the descriptor of /dev/fuse")?;
        let lower = match job.lower {
            Lower::Names(names) => names,
            Lower::Pinned(path, numbers) => {
                let dir = pinned::reopen(&path, numbers)
                    .what(|| format!("cannot use {} as root", path.display()))?;
                format!("/proc/self/fd/{}", dir.into_raw_fd())
            }
        };
        let options = format!("lowerdir={lower},{}", job.options);
        let mut command = Command::new(job.program);
        // fuse3 takes a descriptor that is mounted already in the place of a mount point.
        command
            .args(["-f", "-o", &options, &format!("/dev/fd/{}", device.as_raw_fd())])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        std::mem::forget(device);
        Ok(command)
    })
}

impl Server {
    pub(crate) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    /// The child has its end: only its death shall be the end of the conversation.
    pub(crate) fn handed_over(&mut self) {
        self.socket = None;
    }

    /// Whether the server has died, and what it said.
    pub(crate) fn cause(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok()??;
        if status.success() {
            return None;
        }
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        let said = said.trim().replace('\n', "; ");
        let why = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        Some(
            Error::new("cannot go on: fuse-overlayfs, which serves the root, has ended", why)
                .fix("run it again; with --storage native no such program is needed"),
        )
    }
}

impl supervise::Helper for Server {
    fn pidfd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd as _;
        self.pidfd.as_fd()
    }

    fn epitaph(&mut self) -> Option<Error> {
        // The pidfd says that it has ended; wait for its status.
        let _ = self.child.wait();
        self.cause()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
