//! From prepared steps to a running process.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use sbx_child::{Failure, Program};

use super::report;
use super::timings::Timings;
use crate::error::{Context, Error, Result};
use crate::host::prereq;
use crate::plan::Plan;
use crate::stage::stdio::Stdio;
use crate::stage::{Steps, process};
use crate::sys;
use crate::userns::write;

/// The sandbox's first process, started; killed when dropped before it was waited for. It is the init,
/// or the outer init of a program that is PID 1 itself.
pub(crate) struct Running {
    pub(crate) process: sys::Cloned,
    pub(crate) waited: bool,
    /// Signals that came before there was a command to deliver them to.
    pub(crate) early: Vec<i32>,
}

impl Running {
    /// What is PID 1 inside, by its number outside; `None` once it has ended.
    pub(crate) fn first_inside(&self, plan: &Plan) -> Option<u32> {
        if plan.host.init { Some(self.process.pid) } else { sys::child_of(self.process.pid) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.waited {
            let _ = sys::send_signal(&self.process.pidfd, libc::SIGKILL);
            let _ = sys::wait(&self.process.pidfd);
        }
    }
}

/// All signals are blocked from here on, and read where the loop wants them.
pub(crate) fn block_signals() -> Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).what(|| "cannot block signals")
}

pub(crate) fn spawn(
    plan: &Plan,
    steps: &Steps,
    stdio: &mut Stdio,
    timings: &mut Timings,
) -> Result<Running> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).what(|| "cannot make a pipe");
    let (report_read, report_write) = pipe()?;
    let (sync_read, sync_write) = pipe()?;
    timings.mark("stages");
    timings.cloned();
    let (report, sync) = (report_write.as_raw_fd(), sync_read.as_raw_fd());
    // Ends of pipes that only this process may hold, or end of file would never be seen.
    let ours = [report_read.as_raw_fd(), sync_write.as_raw_fd()];
    let program = Program { ops: &steps.ops, report, sync, timings: timings.cells };
    let cloned = sys::clone3(process::namespaces(plan) & process::FIRST, || {
        for fd in ours {
            sys::close(fd);
        }
        sbx_child::run(&program)
    })
    .map_err(prereq::namespaces)?;
    let mut running = Running { process: cloned, waited: false, early: Vec::new() };
    drop((report_write, sync_read));
    stdio.child_ends.clear();
    timings.mark("clone");

    let mapped = write::apply(running.process.pid, &plan.host.idmap);
    timings.mark("id map");
    let mut sync_write = std::fs::File::from(sync_write);
    if mapped.is_ok() {
        // A child that has failed already says so in its report.
        let _ = sync_write.write_all(&[1]);
    }
    drop(sync_write);

    let mut bytes = Vec::new();
    let mut report = std::fs::File::from(report_read);
    running.early = wait_readable(&report, plan)?;
    report.read_to_end(&mut bytes).what(|| "cannot read the child's report")?;
    timings.mark("child until exec");
    match <[u8; Failure::LEN]>::try_from(&bytes[..]) {
        Ok(bytes) => {
            let failure = Failure::from_bytes(bytes);
            // A child that gave up waiting, against one that was dead when its ids were to be mapped.
            let waited = failure.errno == libc::EOWNERDEAD;
            Err(mapped
                .err()
                .filter(|_| waited)
                .unwrap_or_else(|| report::error(&steps.about, failure)))
        }
        // End of file: exec succeeded, or the child was killed; the exit status will tell.
        Err(_) => mapped.map(|()| running),
    }
}

/// How long a set-up may go on once a signal came to end it.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Waits for the end of the set-up. Signals that come meanwhile are for the command: it may have
/// started a moment ago. Where the set-up hangs on a file system that does not answer, one that would
/// end the command ends the wait.
fn wait_readable(report: &std::fs::File, plan: &Plan) -> Result<Vec<i32>> {
    let signals = sys::SignalFd::new().what(|| "cannot make a signalfd")?;
    let mut early = Vec::new();
    let mut patience = None;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(report.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, patience.as_ref()) {
            Ok(0) => {
                return Err(Error::new(
                    format!("cannot start {}", &plan.host.id[..12]),
                    format!("a signal ({early:?}) came, and the set-up does not end"),
                ));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).what(|| "cannot wait for the child"),
        }
        let (reported, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if signalled {
            while let Some(signal) = signals.read() {
                early.push(signal);
                if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                    patience = Some(PATIENCE);
                }
            }
        }
        if reported {
            return Ok(early);
        }
    }
}
