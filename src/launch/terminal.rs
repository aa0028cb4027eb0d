//! The caller's terminal: raw while the sandbox has one, and back to what it was whatever happens.

use std::io::Write as _;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios};

use crate::error::{Context, Result};
use crate::sys;

/// Restores the terminal when dropped. A small process does it where this one is killed.
pub(crate) struct RawMode {
    tty: BorrowedFd<'static>,
    saved: Termios,
    warden: Option<(sys::Cloned, std::fs::File)>,
}

impl RawMode {
    pub(crate) fn enter(tty: BorrowedFd<'static>) -> Result<Self> {
        let saved =
            rustix::termios::tcgetattr(tty).what(|| "cannot read the terminal's settings")?;
        let mut mode = RawMode { tty, saved, warden: None };
        mode.warden = Some(mode.start_warden()?);
        mode.again()?;
        Ok(mode)
    }

    /// Raw mode, as after SIGCONT.
    pub(crate) fn again(&self) -> Result<()> {
        let mut raw = self.saved.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(self.tty, OptionalActions::Now, &raw)
            .what(|| "cannot set the terminal to raw mode")
    }

    pub(crate) fn restore(&self) {
        let _ = rustix::termios::tcsetattr(self.tty, OptionalActions::Drain, &self.saved);
    }

    /// A process that holds nothing but the terminal and a pipe. End of file without a word means
    /// that this process died without restoring.
    fn start_warden(&self) -> Result<(sys::Cloned, std::fs::File)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .what(|| "cannot make a pipe")?;
        let (tty, saved) = (self.tty, &self.saved);
        let (read_raw, tty_raw) = (read.as_raw_fd(), tty.as_raw_fd());
        let cloned = sys::clone3(0, || {
            sys::close_all_but(&[read_raw, tty_raw]);
            let mut byte = [0u8; 1];
            // Signals are blocked, SIGTTOU among them: the group may be in the background by now.
            if !matches!(rustix::io::read(&read, &mut byte), Ok(1)) {
                let _ = rustix::termios::tcsetattr(tty, OptionalActions::Now, saved);
            }
            sys::exit_now(0)
        })
        .what(|| "cannot start the process that restores the terminal")?;
        Ok((cloned, write.into()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.restore();
        if let Some((cloned, mut pipe)) = self.warden.take() {
            let _ = pipe.write_all(b"k");
            drop(pipe);
            let _ = sys::wait(&cloned.pidfd);
        }
    }
}

/// The master of the sandbox's terminal, as the child sent it.
pub(crate) fn receive_master(socket: &OwnedFd) -> Result<OwnedFd> {
    sys::receive_fd(socket.as_raw_fd(), sys::Inherit::No)
        .what(|| "cannot receive the sandbox's terminal")
}
