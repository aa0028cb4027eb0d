//! Standard input, output and error of the program.
//!
//! Pipes, sockets and devices are handed over as they are. A terminal never is: a process that holds the
//! caller's terminal can read what is typed there, and change its settings. Nor is a file: through
//! `/proc/self/fd` a process can open it again, to read what was only to be appended to, or to change
//! what was only to be read. Without `-t` they are relayed through a pipe, and with `-t` there is a
//! terminal of the sandbox's own.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Stat, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::tcgetwinsize;
use sbx_child::Op;

use super::Steps;
use crate::error::{Context, Error, Result};
use crate::plan::Plan;

/// A pipe between a descriptor of the caller's and the sandbox.
pub(crate) struct Relay {
    /// The caller's side: 0, 1 or 2.
    pub(crate) outer: i32,
    /// This process's end of the pipe.
    pub(crate) inner: OwnedFd,
}

#[derive(Default)]
pub(crate) struct Stdio {
    pub(crate) relays: Vec<Relay>,
    /// Where the master of the sandbox's terminal arrives.
    pub(crate) terminal: Option<OwnedFd>,
    /// The ends that belong to the child: to be closed here once it has them.
    pub(crate) child_ends: Vec<OwnedFd>,
}

impl Stdio {
    /// The child's end of the terminal socket.
    pub(crate) fn terminal_socket(&self) -> Option<i32> {
        self.terminal.as_ref().and(self.child_ends.first()).map(OwnedFd::as_raw_fd)
    }
}

pub(crate) fn prepare(steps: &mut Steps, plan: &Plan) -> Result<Stdio> {
    let mut stdio = Stdio::default();
    let tty = plan.spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal);
    if tty == Some(true) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .what(|| "cannot make a socket for the terminal")?;
        stdio.terminal = Some(ours);
        stdio.child_ends.push(theirs);
        return Ok(stdio);
    }
    if !plan.host.interactive {
        let null = std::fs::File::open("/dev/null").what(|| "cannot open /dev/null")?;
        steps.push(Op::Stdio { from: null.as_raw_fd(), to: 0 }, "cannot set standard input");
        stdio.child_ends.push(null.into());
    } else if is_relayed(0)? {
        relay(steps, &mut stdio, &[0])?;
    }
    match (is_relayed(1)?, is_relayed(2)?) {
        // One pipe keeps the order of what is written to both.
        (true, true) if is_same(1, 2)? => relay(steps, &mut stdio, &[1, 2])?,
        (out, err) => {
            if out {
                relay(steps, &mut stdio, &[1])?;
            }
            if err {
                relay(steps, &mut stdio, &[2])?;
            }
        }
    }
    Ok(stdio)
}

const NAMES: [&str; 3] = ["standard input", "standard output", "standard error"];

fn callers(fd: usize) -> BorrowedFd<'static> {
    [rustix::stdio::stdin, rustix::stdio::stdout, rustix::stdio::stderr][fd]()
}

fn stat(fd: usize) -> Result<Stat> {
    rustix::fs::fstat(callers(fd)).what(|| format!("cannot look at {}", NAMES[fd]))
}

/// Whether a pipe stands in for a descriptor of the caller's; an error for one that cannot be relayed
/// and must not be handed over.
fn is_relayed(fd: usize) -> Result<bool> {
    match FileType::from_raw_mode(stat(fd)?.st_mode) {
        FileType::Fifo | FileType::Socket => Ok(false),
        // One that has been hung up says EIO; its path may open a terminal all the same.
        FileType::CharacterDevice => {
            Ok(!matches!(tcgetwinsize(callers(fd)), Err(Errno::NOTTY | Errno::INVAL)))
        }
        FileType::RegularFile | FileType::BlockDevice => Ok(true),
        kind => {
            let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
            let what = format!("cannot give {} to the command as {}", path.display(), NAMES[fd]);
            let why = match kind {
                FileType::Directory => "a directory leads out of the sandbox",
                _ => "it is not a file, pipe, socket or device",
            };
            Err(Error::new(what, why).fix(["</dev/null", ">/dev/null", "2>/dev/null"][fd]))
        }
    }
}

/// Whether two descriptors write to one file in one way, as after `2>&1`.
fn is_same(a: usize, b: usize) -> Result<bool> {
    let key = |fd| {
        let flags = fcntl_getfl(callers(fd)).what(|| format!("cannot look at {}", NAMES[fd]))?;
        stat(fd).map(|stat| (stat.st_dev, stat.st_ino, flags))
    };
    Ok(key(a)? == key(b)?)
}

/// A pipe between the first of the caller's `fds` and all of the program's.
fn relay(steps: &mut Steps, stdio: &mut Stdio, fds: &[i32]) -> Result<()> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).what(|| "cannot make a pipe")?;
    let (inner, child) = if fds[0] == 0 { (write, read) } else { (read, write) };
    for &to in fds {
        steps.push(Op::Stdio { from: child.as_raw_fd(), to }, "cannot set standard streams");
    }
    stdio.relays.push(Relay { outer: fds[0], inner });
    stdio.child_ends.push(child);
    Ok(())
}

/// Rows and columns of the caller's terminal, or the usual 24 by 80.
pub(crate) fn window_size() -> (u16, u16) {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if let Ok(size) = tcgetwinsize(fd)
            && size.ws_row > 0
        {
            return (size.ws_row, size.ws_col);
        }
    }
    (24, 80)
}

/// With `-t` the caller's side must be a terminal, or there is nothing to size and to make raw.
pub(crate) fn caller_terminal() -> Option<BorrowedFd<'static>> {
    let stdin = rustix::stdio::stdin();
    rustix::termios::isatty(stdin).then_some(stdin)
}

/// Descriptors 3 to N+2 are to be passed on: they must be open.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    // The first that is not open ends the search: there are far fewer than `count` may say.
    for fd in 3..3 + u64::from(count) {
        if !std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists() {
            return Err(Error::new(
                format!("--preserve-fds {count}"),
                format!("descriptor {fd} is not open"),
            )
            .fix(format!("--preserve-fds {}", fd - 3)));
        }
    }
    Ok(())
}
