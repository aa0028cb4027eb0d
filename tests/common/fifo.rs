//! A FIFO through which a command says that it has come to a point.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) struct Fifo(File);

impl Fifo {
    pub(crate) fn new(path: &Path) -> Self {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666))
            .expect("make a FIFO");
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path);
        Fifo(file.expect("open the FIFO"))
    }

    /// Waits until something was written to it.
    #[track_caller]
    pub(crate) fn wait(&self) {
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&limit));
        assert!(ready.is_ok_and(|n| n > 0), "nothing was written to the FIFO");
    }
}
