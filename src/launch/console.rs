//! The program's terminal or streams on one side, the caller's on the other.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Instant;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};

use super::channel::{Channel, End, Event, in_background, writable};
use super::supervise::wait;
use super::terminal::{RawMode, receive_master};
use crate::error::{Context, Kind, Result, errno_text};
use crate::plan::Plan;
use crate::stage::stdio::{self, Stdio};
use crate::sys::{self, Ended};

/// The channels between the caller's descriptors and the sandbox's.
pub(super) struct Console {
    outputs: Vec<Channel>,
    input: Option<Channel>,
    raw: Option<RawMode>,
    terminal: Option<Terminal>,
    /// Output that could not be written, though somebody would have read it.
    lost: bool,
}

/// The terminal of the sandbox.
struct Terminal {
    /// For its size.
    master: OwnedFd,
    /// While this is open the master never meets `EIO`: a program may close its terminal and open it
    /// again.
    _peer: OwnedFd,
}

impl Terminal {
    fn new(master: OwnedFd) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let peer = ioctl_tiocgptpeer(&master, flags);
        let peer = peer.what(|| "cannot open the sandbox's terminal")?;
        ioctl_fionbio(&master, true).what(|| "cannot set up the terminal")?;
        Ok(Terminal { master, _peer: peer })
    }

    fn end(&self) -> Result<End> {
        let copy = self.master.try_clone();
        Ok(End::Owned(copy.what(|| "cannot duplicate the terminal's descriptor")?))
    }
}

impl Console {
    pub(super) fn open(plan: &Plan, stdio: Stdio) -> Result<Self> {
        let mut console =
            Console { outputs: Vec::new(), input: None, raw: None, terminal: None, lost: false };
        let stdin = || End::Borrowed(rustix::stdio::stdin());
        if let Some(socket) = &stdio.terminal {
            let terminal = Terminal::new(receive_master(socket)?)?;
            let out = Channel::new(terminal.end()?, writable(rustix::stdio::stdout()));
            console.outputs.push(out);
            if plan.host.interactive {
                let mut input = Channel::new(stdin(), terminal.end()?);
                // VEOF, Ctrl-D: closing the master would hang up the terminal instead.
                input.at_end = Some(4);
                console.input = Some(input);
                if let Some(tty) = stdio::caller_terminal() {
                    // As the kernel has it for whoever sets a terminal from the background.
                    while in_background(tty) {
                        nix::sys::signal::raise(Signal::SIGSTOP).what(|| "cannot stop")?;
                    }
                    console.raw = Some(RawMode::enter(tty)?);
                }
            }
            console.terminal = Some(terminal);
            console.resize();
            return Ok(console);
        }
        for relay in stdio.relays {
            // A command that does not read fills the pipe: then a write must not wait for it.
            ioctl_fionbio(&relay.inner, true).what(|| "cannot set up a pipe")?;
            let inner = End::Owned(relay.inner);
            let to = match relay.outer {
                0 => {
                    console.input = Some(Channel::new(stdin(), inner));
                    continue;
                }
                1 => rustix::stdio::stdout(),
                _ => rustix::stdio::stderr(),
            };
            console.outputs.push(Channel::new(inner, writable(to)));
        }
        Ok(console)
    }

    /// Adds what the channels wait for; the value names each by number and direction.
    pub(super) fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) -> Vec<(usize, bool)> {
        let mut order = Vec::new();
        for (number, channel) in self.outputs.iter().chain(&self.input).enumerate() {
            if let Some(fd) = channel.wants_read() {
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                order.push((number, false));
            }
            if let Some(fd) = channel.wants_write() {
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
                order.push((number, true));
            }
        }
        order
    }

    pub(super) fn step(&mut self, number: usize, writing: bool) -> Event {
        let output = number < self.outputs.len();
        let channel = self.outputs.iter_mut().chain(&mut self.input).nth(number);
        let Some(channel) = channel else { return Event::Moved };
        if !writing {
            return channel.read();
        }
        match channel.write() {
            Err(errno) if output => self.broken(errno),
            _ => Event::Moved,
        }
    }

    /// The caller's side takes no more output. With a terminal that is what the death of an ssh client
    /// is: everything that holds the master is closed, and the session feels it.
    fn broken(&mut self, errno: Errno) -> Event {
        if errno != Errno::PIPE {
            say(&format!("cannot write the output: {}", errno_text(errno.raw_os_error())));
            self.lost = true;
        }
        if self.terminal.is_none() {
            return Event::Moved;
        }
        // Keys are not read any more: they must mean something again.
        self.raw = None;
        self.outputs.clear();
        self.input = None;
        self.terminal = None;
        Event::HungUp
    }

    /// A command that ended well has not done so for whoever misses its output.
    pub(super) fn judge(&self, ended: Ended) -> Ended {
        if self.lost && ended == Ended::Code(0) {
            return Ended::Code(Kind::Failed.exit_code().into());
        }
        ended
    }

    /// The caller's window size becomes the sandbox's.
    pub(super) fn resize(&self) {
        if let Some(terminal) = &self.terminal
            && let Some(tty) = stdio::caller_terminal()
            && let Ok(size) = rustix::termios::tcgetwinsize(tty)
        {
            let _ = rustix::termios::tcsetwinsize(&terminal.master, size);
        }
    }

    pub(super) fn suspend(&self) {
        if let Some(raw) = &self.raw {
            raw.restore();
        }
    }

    pub(super) fn resume(&self) -> Result<()> {
        if let Some(raw) = &self.raw {
            raw.again()?;
        }
        self.resize();
        Ok(())
    }

    /// All processes of the sandbox are gone: what they wrote is in the pipes, and no more comes. Its
    /// reader may take its time, up to `until` or a signal that asks for the end.
    pub(super) fn drain(
        &mut self,
        signals: &sys::SignalFd,
        mut until: Option<Instant>,
    ) -> Result<()> {
        self.input = None;
        // Keys are not read any more: Ctrl-C must end the wait. A terminal that shows the rest stays raw.
        if !rustix::termios::isatty(rustix::stdio::stdout()) {
            self.raw = None;
        }
        loop {
            for channel in &mut self.outputs {
                read_rest(channel)?;
            }
            self.outputs.retain(|c| !c.done());
            if self.outputs.is_empty() {
                return Ok(());
            }
            let mut fds = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            let order = self.poll_fds(&mut fds);
            wait(&mut fds, until)?;
            let ready: Vec<_> = order
                .into_iter()
                .zip(&fds[1..])
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(which, _)| which)
                .collect();
            if !fds[0].revents().is_empty()
                && std::iter::from_fn(|| signals.read()).filter(|s| ends_the_wait(*s)).count() > 0
            {
                until = Some(Instant::now());
            }
            if ready.is_empty() && until.is_some_and(|at| at <= Instant::now()) {
                say("output that was not read in time is dropped");
                return Ok(());
            }
            for (number, writing) in ready {
                self.step(number, writing);
            }
        }
    }
}

/// Whatever can be read now is the rest: nothing may be left for the end of file to follow.
fn read_rest(channel: &mut Channel) -> Result<()> {
    let Some(fd) = channel.wants_read() else { return Ok(()) };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    wait(&mut fds, Some(Instant::now()))?;
    let readable = !fds[0].revents().is_empty();
    if readable {
        channel.read();
    } else {
        channel.from = End::Closed;
    }
    Ok(())
}

fn ends_the_wait(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT)
}

/// A line on standard error that waits for nobody: it may be the very pipe that is not read.
fn say(line: &str) {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    if wait(&mut fds, Some(Instant::now())).is_ok() && fds[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(stderr, format!("sbx: {line}\n").as_bytes());
    }
}
