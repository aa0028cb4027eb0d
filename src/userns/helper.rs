//! newuidmap and newgidmap.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Context, Error, Result};
use crate::host::prereq;
use crate::sys::{self, Ended};
use crate::userns::idmap::Range;

/// One of them, running; killed when dropped before it was waited for.
pub(crate) struct Helper {
    name: &'static str,
    pidfd: OwnedFd,
    said: File,
    waited: bool,
}

impl Helper {
    /// Starts it, without waiting for it to execute: both shall run at once.
    pub(crate) fn start(name: &'static str, pid: u32, ranges: &[Range]) -> Result<Self> {
        let program = prereq::find_program(name).ok_or_else(|| prereq::program(name, "uidmap"))?;
        let mut args = vec![name.to_owned(), pid.to_string()];
        for r in ranges {
            args.extend([r.inside, r.outside, r.len].map(|n| n.to_string()));
        }
        let what = || format!("cannot start {name}");
        let null = File::options().read(true).write(true).open("/dev/null").what(what)?;
        let (said, error) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).what(what)?;
        let started = sys::start::start(
            &program,
            &args,
            [null.as_raw_fd(), null.as_raw_fd(), error.as_raw_fd()],
        );
        let started = prereq::started(name, started)?;
        let pid = Pid::from_raw(started).ok_or_else(|| Error::new(what(), "it has no number"))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).what(what)?;
        Ok(Helper { name, pidfd, said: said.into(), waited: false })
    }

    /// Waits for its end. `file` is where the ranges are given to users.
    pub(crate) fn finish(mut self, file: &str) -> Result<()> {
        let name = self.name;
        self.wait_interruptibly()?;
        let ended = sys::wait(&self.pidfd).what(|| format!("cannot wait for {name}"))?;
        self.waited = true;
        if ended == Ended::Code(0) {
            return Ok(());
        }
        let mut said = Vec::new();
        // Until there is no more for now: a process of the helper's may hold the other end.
        let _ = self.said.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let why = match ended {
            Ended::Code(sbx_child::NOT_EXECUTED) if said.is_empty() => {
                "it could not be executed".to_owned()
            }
            Ended::Code(code) if said.is_empty() => format!("its exit code is {code}"),
            Ended::Signal(signal) if said.is_empty() => format!("signal {signal} ended it"),
            _ => said,
        };
        Err(Error::new(format!("cannot map subordinate ids with {name}"), why).fix(format!(
            "check your range in {file}, and that {name} is setuid or has its capability: {}",
            prereq::install("--reinstall uidmap")
        )))
    }

    /// It takes a millisecond or two. Where it hangs, a signal that would end sbx ends the wait; signals
    /// are blocked, and stay pending for those whom they are meant for.
    fn wait_interruptibly(&self) -> Result<()> {
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        const PATIENCE: Duration = Duration::from_secs(1);
        let start = Instant::now();
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(e) => return Err(e).what(|| format!("cannot wait for {}", self.name)),
            }
            if start.elapsed() > PATIENCE && sys::is_asked_to_end() {
                return Err(Error::new(
                    format!("cannot map subordinate ids with {}", self.name),
                    "a signal came, and it does not end",
                )
                .fix(format!("see what is wrong with it: {} --help", self.name)));
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.waited {
            let _ = sys::send_signal(&self.pidfd, libc::SIGKILL);
            let _ = sys::wait(&self.pidfd);
        }
    }
}
