//! The program's terminal or streams on one side, the caller's on the other.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::channel::{Channel, End, Event, writable};
use super::supervise::wait;
use super::terminal::{RawMode, receive_master};
use crate::error::{Context, Result};
use crate::plan::Plan;
use crate::stage::stdio::{self, Stdio};
use crate::sys;

/// How often an unresponsive reader is asked again before what is left for it is dropped.
const DRAIN: Duration = Duration::from_secs(1);

/// The channels between the caller's descriptors and the sandbox's.
pub(super) struct Console {
    channels: Vec<Channel>,
    raw: Option<RawMode>,
    /// The master of the sandbox's terminal, for its size.
    master: Option<std::os::fd::OwnedFd>,
}

impl Console {
    pub(super) fn open(plan: &Plan, stdio: Stdio) -> Result<Self> {
        let mut console = Console { channels: Vec::new(), raw: None, master: None };
        if let Some(socket) = &stdio.terminal {
            let master = receive_master(socket)?;
            let duplicate =
                || master.try_clone().what(|| "cannot duplicate the terminal's descriptor");
            let out = Channel::new(End::Owned(duplicate()?), writable(rustix::stdio::stdout()));
            console.channels.push(out);
            if plan.host.interactive {
                let mut input =
                    Channel::new(End::Borrowed(rustix::stdio::stdin()), End::Owned(duplicate()?));
                // VEOF, Ctrl-D: closing the master would hang up the terminal instead.
                input.at_end = Some(4);
                console.channels.push(input);
                if let Some(tty) = stdio::caller_terminal() {
                    console.raw = Some(RawMode::enter(tty)?);
                }
            }
            rustix::io::ioctl_fionbio(&master, true).what(|| "cannot set up the terminal")?;
            console.master = Some(master);
            console.resize();
            return Ok(console);
        }
        for relay in stdio.relays {
            // A command that does not read fills the pipe: then a write must not wait for it.
            let inner = relay.inner;
            rustix::io::ioctl_fionbio(&inner, true).what(|| "cannot set up a pipe")?;
            let inner = End::Owned(inner);
            console.channels.push(match relay.outer {
                0 => Channel::new(End::Borrowed(rustix::stdio::stdin()), inner),
                1 => Channel::new(inner, writable(rustix::stdio::stdout())),
                _ => Channel::new(inner, writable(rustix::stdio::stderr())),
            });
        }
        Ok(console)
    }

    /// Adds what the channels wait for; the value names each by number and direction.
    pub(super) fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) -> Vec<(usize, bool)> {
        let mut order = Vec::new();
        for (number, channel) in self.channels.iter().enumerate() {
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
        let Some(channel) = self.channels.get_mut(number) else { return Event::Moved };
        if writing {
            channel.write();
            Event::Moved
        } else {
            channel.read()
        }
    }

    /// The caller's window size becomes the sandbox's.
    pub(super) fn resize(&self) {
        if let Some(master) = &self.master
            && let Some(tty) = stdio::caller_terminal()
            && let Ok(size) = rustix::termios::tcgetwinsize(tty)
        {
            let _ = rustix::termios::tcsetwinsize(master, size);
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

    /// All processes of the sandbox are gone: what they wrote is in the pipes, and no more comes.
    pub(super) fn drain(&mut self, signals: &sys::SignalFd) -> Result<()> {
        self.channels.retain(|c| !matches!(&c.from, End::Borrowed(_)));
        loop {
            // Whatever can be read now is the rest.
            for channel in &mut self.channels {
                if channel.wants_read().is_some() {
                    let mut fds = [PollFd::from_borrowed_fd(
                        channel.wants_read().unwrap_or(rustix::stdio::stdin()),
                        PollFlags::IN,
                    )];
                    wait(&mut fds, Some(Instant::now()))?;
                    let readable = !fds[0].revents().is_empty();
                    if readable {
                        channel.read();
                    } else {
                        channel.from = End::Closed;
                    }
                }
            }
            self.channels.retain(|c| !c.done());
            if self.channels.is_empty() {
                return Ok(());
            }
            let mut fds = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            let order = self.poll_fds(&mut fds);
            wait(&mut fds, Some(Instant::now() + DRAIN))?;
            let ready: Vec<_> = order
                .into_iter()
                .zip(&fds[1..])
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(which, _)| which)
                .collect();
            let interrupted = !fds[0].revents().is_empty()
                && std::iter::from_fn(|| signals.read()).any(|s| s != libc::SIGCHLD);
            if ready.is_empty() || interrupted {
                // The reader is stuck, or the user has had enough.
                return Ok(());
            }
            for (number, writing) in ready {
                self.step(number, writing);
            }
        }
    }
}
