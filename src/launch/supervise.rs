//! Beside the running process: signals in, bytes through, and the status out.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::channel::Event;
use super::console::Console;
use super::spawn::Running;
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::stage::stdio::Stdio;
use crate::sys::{self, Ended};

/// A process that the sandbox cannot do without.
pub(crate) trait Helper {
    fn pidfd(&self) -> BorrowedFd<'_>;
    /// It has ended: why, in words. `None` where it had no more to do, as a server whose last mount
    /// is gone.
    fn epitaph(&mut self) -> Option<Error>;
}

pub(crate) fn supervise(
    plan: &Plan,
    running: &mut Running,
    stdio: Stdio,
    mut helper: Option<&mut (dyn Helper + 'static)>,
) -> Result<Ended> {
    sys::forget_image();
    let signals = sys::SignalFd::new().what(|| "cannot make a signalfd")?;
    let mut console = Console::open(plan, stdio)?;
    let mut stop = Stop::new(plan);
    // A signal that this process had to turn into SIGKILL, since PID 1 would not have felt it.
    let mut felt_as = None;

    let mut early = std::mem::take(&mut running.early).into_iter();
    loop {
        let ready = {
            let mut fds = vec![
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(running.process.pidfd.as_fd(), PollFlags::IN),
            ];
            if let Some(helper) = &helper {
                fds.push(PollFd::from_borrowed_fd(helper.pidfd(), PollFlags::IN));
            }
            let fixed = fds.len();
            let order = console.poll_fds(&mut fds);
            // Early signals do not wait for another event.
            let until = if early.len() > 0 { Some(Instant::now()) } else { stop.next() };
            wait(&mut fds, until)?;
            let hit = |n: usize| fds.get(n).is_some_and(|f| !f.revents().is_empty());
            Ready {
                signal: hit(0),
                ended: hit(1),
                helper: fixed == 3 && hit(2),
                channels: order
                    .into_iter()
                    .enumerate()
                    .filter(|(n, _)| hit(fixed + n))
                    .map(|(_, which)| which)
                    .collect(),
            }
        };
        for (channel, writing) in ready.channels {
            match console.step(channel, writing) {
                Event::Moved => {}
                Event::Background => pause(running, &console)?,
                // The reaper passes on the kernel's SIGHUP; a program that is PID 1 would not feel it.
                Event::HungUp if plan.host.init => {}
                Event::HungUp => felt_as = deliver(running, plan, libc::SIGHUP)?.or(felt_as),
            }
        }
        if ready.signal || early.len() > 0 {
            while let Some(signal) = early.next().or_else(|| signals.read()) {
                match signal {
                    libc::SIGCHLD | libc::SIGPIPE | libc::SIGTTIN | libc::SIGTTOU => {}
                    libc::SIGWINCH => console.resize(),
                    libc::SIGTSTP => pause(running, &console)?,
                    signal => felt_as = deliver(running, plan, signal)?.or(felt_as),
                }
            }
        }
        if ready.ended {
            let ended = sys::wait(&running.process.pidfd).what(|| "cannot wait for the command")?;
            running.waited = true;
            console.drain(&signals, stop.last())?;
            return Ok(match felt_as {
                Some(signal) if ended == Ended::Signal(libc::SIGKILL) => Ended::Signal(signal),
                _ => console.judge(ended),
            });
        }
        if ready.helper
            && let Some(error) = helper.take().and_then(Helper::epitaph)
        {
            return Err(error);
        }
        if let Some(signal) = stop.due() {
            felt_as = deliver(running, plan, signal)?.or(felt_as);
        }
    }
}

struct Ready {
    signal: bool,
    ended: bool,
    helper: bool,
    channels: Vec<(usize, bool)>,
}

pub(super) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> Result<()> {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()));
    let left = left.and_then(|d| Timespec::try_from(d).ok());
    match poll(fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e).what(|| "cannot wait for the command"),
    }
}

/// `--timeout`: the stop signal first, SIGKILL later.
struct Stop {
    after: Duration,
    at: Option<Instant>,
    signal: i32,
    grace: Duration,
    sent: bool,
}

impl Stop {
    fn new(plan: &Plan) -> Self {
        Stop {
            after: plan.host.timeout.unwrap_or_default(),
            at: plan.host.timeout.map(|t| Instant::now() + t),
            signal: plan.host.stop_signal as i32,
            grace: plan.host.stop_timeout,
            sent: false,
        }
    }

    fn next(&self) -> Option<Instant> {
        self.at
    }

    /// Until when the reader of what is left is waited for, once the command has ended.
    fn last(&self) -> Option<Instant> {
        self.at.or_else(|| self.sent.then(|| Instant::now() + self.grace))
    }

    fn due(&mut self) -> Option<i32> {
        let at = self.at?;
        if Instant::now() < at {
            return None;
        }
        if self.sent {
            self.at = None;
            return Some(libc::SIGKILL);
        }
        self.sent = true;
        self.at = Some(at + self.grace);
        eprintln!("sbx: the time is up ({:?}); ending the command", self.after);
        Some(self.signal)
    }
}

/// Sends a signal to PID 1 of the sandbox, which the init, inner or outer, passes on. The kernel drops a signal whose default action would end
/// that process (`pid_namespaces(7)`), so that a plain `sleep` could not be interrupted: where the
/// program neither handles, ignores nor blocks it, SIGKILL does what the signal would have done. The
/// value is the signal then.
fn deliver(running: &Running, plan: &Plan, signal: i32) -> Result<Option<i32>> {
    let send = |signal| match sys::send_signal(&running.process.pidfd, signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(e) => Err(e).what(|| format!("cannot send signal {signal}")),
    };
    let unfelt = || running.first_inside(plan).is_some_and(|pid| !sys::cares_about(pid, signal));
    if !plan.host.init && ends_by_default(signal) && unfelt() {
        send(libc::SIGKILL)?;
        return Ok(Some(signal));
    }
    send(signal)?;
    Ok(None)
}

/// `signal(7)`, "Standard signals": actions Term and Core.
fn ends_by_default(signal: i32) -> bool {
    !matches!(
        Signal::try_from(signal),
        Ok(Signal::SIGCHLD
            | Signal::SIGCONT
            | Signal::SIGSTOP
            | Signal::SIGTSTP
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGURG
            | Signal::SIGWINCH
            | Signal::SIGKILL)
    )
}

/// Ctrl-Z, or a read from the background: the sandbox stops, the terminal is as it was, and this
/// process stops too, until `fg` or `bg`.
fn pause(running: &Running, console: &Console) -> Result<()> {
    // The init makes it a SIGSTOP for every process inside.
    let _ = sys::send_signal(&running.process.pidfd, libc::SIGTSTP);
    console.suspend();
    nix::sys::signal::raise(Signal::SIGSTOP).what(|| "cannot stop")?;
    let _ = sys::send_signal(&running.process.pidfd, libc::SIGCONT);
    console.resume()
}
