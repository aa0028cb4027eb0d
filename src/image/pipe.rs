//! Buffers passed from one thread to the next and back.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{self, SyncSender};

/// Large enough to make system calls rare, small enough that a few stay in the cache.
pub(crate) const CHUNK: usize = 256 << 10;

/// How many buffers may wait: this bounds the memory of a pipe.
const DEPTH: usize = 8;

pub(crate) struct Sender {
    full: SyncSender<Vec<u8>>,
    empty: mpsc::Receiver<Vec<u8>>,
}

pub(crate) struct Receiver {
    full: mpsc::Receiver<Vec<u8>>,
    empty: mpsc::Sender<Vec<u8>>,
    current: Vec<u8>,
    used: usize,
}

pub(crate) fn new() -> (Sender, Receiver) {
    let (full_in, full_out) = mpsc::sync_channel(DEPTH);
    let (empty_in, empty_out) = mpsc::channel();
    (
        Sender { full: full_in, empty: empty_out },
        Receiver { full: full_out, empty: empty_in, current: Vec::new(), used: 0 },
    )
}

impl Sender {
    /// Passes a buffer on and returns one to fill; `None` when nobody receives any more.
    pub(crate) fn send(&self, chunk: Vec<u8>) -> Option<Vec<u8>> {
        self.full.send(chunk).ok()?;
        Some(self.empty.try_recv().unwrap_or_default())
    }
}

impl Receiver {
    /// Drops what is at hand and returns its length; `None` at the end.
    pub(crate) fn skip(&mut self) -> io::Result<Option<u64>> {
        let n = self.fill_buf()?.len();
        self.consume(n);
        Ok((n > 0).then_some(n as u64))
    }
}

impl BufRead for Receiver {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.current.len() {
            // The sender's end is the end of the data: why it ended, it says itself.
            let next = self.full.recv().unwrap_or_default();
            let old = std::mem::replace(&mut self.current, next);
            self.used = 0;
            if old.capacity() > 0 {
                let _ = self.empty.send(old);
            }
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used += n;
    }
}

impl Read for Receiver {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(into.len());
        into[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
