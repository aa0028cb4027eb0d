//! Reads a tar stream: ustar, GNU and PAX, from memory that the caller's buffers lend.
//!
//! The `tar` crate gathers long names and PAX headers of any length in memory and truncates numbers
//! that do not fit; layers are hostile, so they are read here, with limits. Where formats leave a
//! choice, Go's archive/tar is followed: it is what the other container tools read layers with.

mod header;
mod pax;
mod sparse;
mod write;

use std::io::BufRead;

pub(crate) use sparse::Segment;
pub(crate) use write::Writer;

use crate::error::{Error, Result, io_text};

pub(crate) const BLOCK: usize = 512;
/// Long names and PAX headers are gathered in memory.
const MAX_EXTENSION: u64 = 1 << 20;
/// `PATH_MAX`, path_resolution(7).
const MAX_PATH: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
    Device,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// As written in the archive.
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: Time,
    /// The length of the file, holes included.
    pub(crate) size: u64,
    /// Where the data goes, for a sparse file.
    pub(crate) sparse: Option<Vec<Segment>>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// A file of root's, to be changed into whatever else is wanted.
    pub(crate) fn file(path: &str, size: u64) -> Self {
        Entry {
            kind: Kind::File,
            path: path.as_bytes().to_vec(),
            link: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            size,
            sparse: None,
            xattrs: Vec::new(),
        }
    }
}

/// Extensions that apply to the next entry.
#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<pax::Records>,
}

pub(crate) struct Reader<R> {
    input: R,
    /// Names the archive in errors.
    label: String,
    /// Bytes of the current entry that were not read, and the padding behind them.
    data: u64,
    padding: u64,
    position: u64,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R, label: &str) -> Self {
        Reader { input, label: label.to_owned(), data: 0, padding: 0, position: 0 }
    }

    pub(crate) fn into_inner(self) -> R {
        self.input
    }

    /// Where the next byte to be read stands in the stream.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn error(&self, why: impl Into<String>) -> Error {
        Error::new(format!("cannot unpack {}", self.label), why)
    }

    /// The next entry, or `None` where the archive ends; `marked` says whether the end had its mark
    /// of zero blocks.
    pub(crate) fn next(&mut self) -> Result<Next> {
        let mut pending = Pending::default();
        loop {
            self.skip_data()?;
            let mut block = [0; BLOCK];
            if !self.fill(&mut block, true)? {
                return Ok(Next::End { marked: false });
            }
            if block == [0; BLOCK] {
                // Two zero blocks end an archive; one and the end of the file do as well.
                if self.fill(&mut block, true)? && block != [0; BLOCK] {
                    return Err(self.error("there is data behind its end mark"));
                }
                return Ok(Next::End { marked: true });
            }
            let head = header::parse(&block).map_err(|why| self.error(why))?;
            match head.flag {
                b'x' => {
                    let bytes = self.extension(head.size, "PAX header")?;
                    pending.pax = Some(pax::parse(&bytes).map_err(|why| self.error(why))?);
                }
                // Global headers: Go hands them out and applies none of them.
                b'g' => drop(self.extension(head.size, "PAX header")?),
                b'L' => pending.path = Some(self.long_name(head.size)?),
                b'K' => pending.link = Some(self.long_name(head.size)?),
                _ => return self.entry(head, &block, pending).map(Next::Entry),
            }
        }
    }

    /// The bytes at hand of the current entry's data; empty at its end.
    pub(crate) fn data(&mut self) -> Result<&[u8]> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let limit = usize::try_from(self.data).unwrap_or(usize::MAX);
        let label = &self.label;
        let available = self
            .input
            .fill_buf()
            .map_err(|e| Error::new(format!("cannot unpack {label}"), io_text(&e)))?;
        if available.is_empty() {
            return Err(truncated(label));
        }
        Ok(&available[..available.len().min(limit)])
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.input.consume(n);
        self.data -= n as u64;
        self.position += n as u64;
    }

    /// How much data of the current entry stands in the archive.
    pub(crate) fn data_left(&self) -> u64 {
        self.data
    }

    fn entry(
        &mut self,
        head: header::Head,
        block: &[u8; BLOCK],
        pending: Pending,
    ) -> Result<Entry> {
        let mut pax = pending.pax.unwrap_or_default();
        let stored = pax.size.unwrap_or(head.size);
        let kind = match head.flag {
            0 if head.path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                let path = String::from_utf8_lossy(&head.path).into_owned();
                return Err(self.error(format!("entry {path:?} is of unknown type {other:#04x}")));
            }
        };
        // As in Go: kinds that are all header have no data, whatever their size field says.
        let stored = if kind == Kind::File { stored } else { 0 };
        let mut sparse = None;
        let mut size = stored;
        if head.flag == b'S' {
            let (map, real) = self.gnu_sparse(block)?;
            (sparse, size) = (Some(map), real);
        }
        self.data = stored;
        self.padding = padding(stored);
        if kind == Kind::File && pax.sparse.is_some() {
            let (map, real) = self.pax_sparse(&mut pax)?;
            (sparse, size) = (Some(map), real);
        }
        if let Some(map) = &sparse {
            sparse::check(map, size, self.data).map_err(|why| self.error(why))?;
        }
        let path = pax.path.or(pending.path).unwrap_or(head.path);
        let link = pax.link.or(pending.link).unwrap_or(head.link);
        for name in [&path, &link] {
            if name.len() > MAX_PATH {
                return Err(
                    self.error(format!("a path is longer than the limit of {MAX_PATH} bytes"))
                );
            }
            if name.contains(&0) {
                return Err(self.error("a path holds a zero byte"));
            }
        }
        Ok(Entry {
            kind,
            path,
            link,
            mode: head.mode & 0o7777,
            uid: pax.uid.unwrap_or(head.uid),
            gid: pax.gid.unwrap_or(head.gid),
            mtime: pax.mtime.unwrap_or(Time { secs: head.mtime, nanos: 0 }),
            size,
            sparse,
            xattrs: pax.xattrs,
        })
    }

    fn skip_data(&mut self) -> Result<()> {
        while self.data > 0 {
            let n = self.data()?.len();
            self.consume(n);
        }
        self.data = std::mem::take(&mut self.padding);
        while self.data > 0 {
            let n = self.data()?.len();
            self.consume(n);
        }
        Ok(())
    }

    /// Fills `block`; false at a clean end of the stream where `end_allowed`.
    fn fill(&mut self, block: &mut [u8; BLOCK], end_allowed: bool) -> Result<bool> {
        let mut have = 0;
        while have < BLOCK {
            let available = self
                .input
                .fill_buf()
                .map_err(|e| Error::new(format!("cannot unpack {}", self.label), io_text(&e)))?;
            if available.is_empty() {
                if have == 0 && end_allowed {
                    return Ok(false);
                }
                return Err(truncated(&self.label));
            }
            let n = available.len().min(BLOCK - have);
            block[have..have + n].copy_from_slice(&available[..n]);
            self.input.consume(n);
            self.position += n as u64;
            have += n;
        }
        Ok(true)
    }

    fn extension(&mut self, size: u64, what: &str) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(self
                .error(format!("a {what} of {size} bytes is over the limit of {MAX_EXTENSION}")));
        }
        self.data = size;
        self.padding = padding(size);
        let mut bytes = Vec::new();
        while self.data > 0 {
            let piece = self.data()?;
            let n = piece.len();
            bytes.extend_from_slice(piece);
            self.consume(n);
        }
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.extension(size, "long name")?;
        // GNU tar ends the name with a zero byte.
        name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
        Ok(name)
    }
}

impl<R: std::io::Read + std::io::Seek> Reader<std::io::BufReader<R>> {
    /// Goes to the next header without reading the data between. `size` is the archive's: seeking
    /// past it would not fail.
    pub(crate) fn seek_past_data(&mut self, size: u64) -> Result<()> {
        let skip = self.data.saturating_add(self.padding);
        if self.position.saturating_add(self.data) > size {
            return Err(truncated(&self.label));
        }
        let failed = || self.error("an entry is too large");
        let by = i64::try_from(skip).map_err(|_| failed())?;
        self.input
            .seek_relative(by)
            .map_err(|e| Error::new(format!("cannot unpack {}", self.label), io_text(&e)))?;
        self.position += skip;
        (self.data, self.padding) = (0, 0);
        Ok(())
    }
}

pub(crate) enum Next {
    Entry(Entry),
    End { marked: bool },
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn truncated(label: &str) -> Error {
    Error::new(
        format!("cannot unpack {label}"),
        "it is truncated: it ends in the middle of an entry",
    )
    .fix("get it again from where it came from")
}

#[cfg(test)]
mod tests;
