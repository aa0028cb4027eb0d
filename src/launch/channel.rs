//! Bytes from one descriptor to another, with a bounded buffer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

const CAPACITY: usize = 64 << 10;
/// What can be written to a blocking descriptor that poll(2) calls writable without waiting: a pipe
/// then has room for a page (`pipe(7)`).
const PIPE_BUF: usize = 4096;

/// An end of a channel: the caller's own descriptor, or one that is closed at the end of file.
pub(crate) enum End {
    Borrowed(BorrowedFd<'static>),
    Owned(OwnedFd),
    Closed,
}

impl End {
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            End::Borrowed(fd) => Some(*fd),
            End::Owned(fd) => Some(fd.as_fd()),
            End::Closed => None,
        }
    }
}

pub(crate) struct Channel {
    pub(crate) from: End,
    pub(crate) to: End,
    buffer: Vec<u8>,
    start: usize,
    /// Sent at the end of file, where closing `to` would not tell: the end-of-file character of a
    /// terminal.
    pub(crate) at_end: Option<u8>,
    /// How much is written at a time.
    most: usize,
}

/// What a step of a channel met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Moved,
    /// The caller's terminal belongs to another process group now: `EIO`, see `credentials(7)`.
    Background,
    /// Nobody can see the sandbox's terminal any more.
    HungUp,
}

impl Channel {
    pub(crate) fn new(from: End, to: End) -> Self {
        let most = match &to {
            // What blocks is said to be ready when it takes this much. A file never blocks; several
            // writers append to one in whole pieces, which are to be as large as they were written.
            End::Borrowed(fd) if !is_file(*fd) => PIPE_BUF,
            _ => CAPACITY,
        };
        Channel { from, to, buffer: Vec::new(), start: 0, at_end: None, most }
    }

    fn pending(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// Reading waits until what was read is written: memory stays bounded.
    pub(crate) fn wants_read(&self) -> Option<BorrowedFd<'_>> {
        if self.pending() || self.to.fd().is_none() { None } else { self.from.fd() }
    }

    pub(crate) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        if self.pending() { self.to.fd() } else { None }
    }

    pub(crate) fn done(&self) -> bool {
        self.to.fd().is_none() || (self.from.fd().is_none() && !self.pending())
    }

    pub(crate) fn read(&mut self) -> Event {
        let Some(fd) = self.from.fd() else { return Event::Moved };
        let terminal = matches!(self.from, End::Borrowed(_));
        self.buffer.resize(CAPACITY, 0);
        self.start = 0;
        let result = rustix::io::read(fd, &mut self.buffer[..]);
        match result {
            Ok(0) => {
                self.buffer.clear();
                self.finish();
            }
            Ok(n) => self.buffer.truncate(n),
            Err(Errno::AGAIN | Errno::INTR) => self.buffer.clear(),
            Err(Errno::IO) if terminal && in_background(fd) => {
                self.buffer.clear();
                return Event::Background;
            }
            Err(_) => {
                self.buffer.clear();
                self.finish();
            }
        }
        Event::Moved
    }

    fn finish(&mut self) {
        self.from = End::Closed;
        match self.at_end.take() {
            Some(byte) => {
                self.buffer.push(byte);
                self.start = 0;
            }
            None => self.to = End::Closed,
        }
    }

    /// An error closes the channel: nobody reads any more, and the rest is for nobody.
    pub(crate) fn write(&mut self) -> rustix::io::Result<()> {
        let Some(fd) = self.to.fd() else { return Ok(()) };
        let end = self.buffer.len().min(self.start + self.most);
        match rustix::io::write(fd, &self.buffer[self.start..end]) {
            Ok(n) => self.start += n,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => {
                self.start = self.buffer.len();
                self.to = End::Closed;
                self.from = End::Closed;
                return Err(e);
            }
        }
        if !self.pending() && self.from.fd().is_none() {
            self.to = End::Closed;
        }
        Ok(())
    }
}

fn is_file(fd: BorrowedFd<'_>) -> bool {
    use rustix::fs::FileType;
    rustix::fs::fstat(fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Whether the terminal belongs to another process group.
pub(super) fn in_background(fd: BorrowedFd<'_>) -> bool {
    match rustix::termios::tcgetpgrp(fd) {
        Ok(group) => group != rustix::process::getpgrp(),
        Err(_) => false,
    }
}

/// A description of the caller's descriptor that does not block, without changing the one it shares
/// with other programs. A file's own must serve, since its position and append mode are the caller's;
/// so must one that cannot be opened anew (a socket).
pub(crate) fn writable(fd: BorrowedFd<'static>) -> End {
    use rustix::fs::{FileType, Mode, OFlags};
    use std::os::fd::AsRawFd as _;
    let kind = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if !matches!(kind, Ok(FileType::Fifo | FileType::CharacterDevice)) {
        return End::Borrowed(fd);
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => End::Owned(fd),
        Err(_) => End::Borrowed(fd),
    }
}
