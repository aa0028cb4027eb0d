//! Standard input, output and error of the program.
//!
//! A descriptor that is not a terminal is handed over as it is. A terminal never is: a process that
//! holds the caller's terminal can read what is typed there, and change its settings. Without `-t` it
//! gets a pipe instead, and with `-t` a terminal of the sandbox's own.

use std::io::IsTerminal as _;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
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
    } else if std::io::stdin().is_terminal() {
        relay(steps, &mut stdio, 0)?;
    }
    for fd in [1, 2] {
        let terminal = match fd {
            1 => std::io::stdout().is_terminal(),
            _ => std::io::stderr().is_terminal(),
        };
        if terminal {
            relay(steps, &mut stdio, fd)?;
        }
    }
    Ok(stdio)
}

fn relay(steps: &mut Steps, stdio: &mut Stdio, fd: i32) -> Result<()> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).what(|| "cannot make a pipe")?;
    let (inner, child) = if fd == 0 { (write, read) } else { (read, write) };
    steps.push(Op::Stdio { from: child.as_raw_fd(), to: fd }, "cannot set standard streams");
    stdio.relays.push(Relay { outer: fd, inner });
    stdio.child_ends.push(child);
    Ok(())
}

/// Rows and columns of the caller's terminal, or the usual 24 by 80.
pub(crate) fn window_size() -> (u16, u16) {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if let Ok(size) = rustix::termios::tcgetwinsize(fd)
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
