//! Makes a layer's tree from its tar: entry by entry, by descriptor, inside the tree.

mod node;
mod path;
mod tree;
mod whiteout;
mod xattr;

use std::io::BufRead;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

pub(super) use node::settle;
pub(crate) use tree::{existing_root, make_root};
pub(crate) use xattr::of as xattrs;
pub(super) use xattr::set as set_xattrs;

use super::tar::{Entry, Next, Reader};
use crate::error::{Context, Error, Result};
use crate::userns::idmap::MoreIds;
use tree::Tree;

/// Limits of one layer. Real images stay far below: a desktop distribution has half a million files.
pub(crate) const MAX_ENTRIES: u64 = 2_000_000;
/// Holes of sparse files count.
pub(crate) const MAX_BYTES: u64 = 64 << 30;
/// The names of directories are kept until the end, when their times are set.
const MAX_DIRECTORY_NAMES: usize = 64 << 20;
/// The part of the file system that stays free: one in this many blocks.
const FREE_PART: u64 = 100;
/// How much is written between looks at the free space.
const SPACE_STEP: u64 = 64 << 20;

/// What was unpacked and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) devices: u64,
    pub(crate) xattrs: u64,
    pub(crate) aufs: u64,
    pub(crate) opaque_root: bool,
}

impl Counts {
    /// What the user should hear of, in words.
    pub(crate) fn skipped(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.devices, "device nodes, which need the host's root"),
            (self.xattrs, "extended attributes outside of user.* and security.capability"),
            (self.aufs, "names reserved by aufs"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
        (!parts.is_empty()).then(|| format!("skipped {}", parts.join(", ")))
    }
}

pub(crate) struct Options<'a> {
    pub(crate) label: &'a str,
    /// The directory that the tree is in, for errors: a full disk is to be found.
    pub(crate) place: &'a Path,
    /// Whether an archive without its end mark is truncated; a digest says so more reliably.
    pub(crate) need_end: bool,
    /// Whether names that begin with `.wh.` hide something: in a layer they do.
    pub(crate) whiteouts: bool,
    pub(crate) more_ids: &'a MoreIds,
}

/// Unpacks everything from `input` into `root` and reads on to the end of the stream.
pub(crate) fn run(input: impl BufRead, root: OwnedFd, options: &Options<'_>) -> Result<Counts> {
    let mut unpacker = Unpacker {
        tar: Reader::new(input, options.label),
        tree: Tree::new(root),
        place: options.place,
        owners: node::Owners::of_this_process(options.more_ids)?,
        whiteouts: options.whiteouts,
        counts: Counts::default(),
        directories: Vec::new(),
        directory_bytes: 0,
        next_look: 0,
    };
    let marked = loop {
        match unpacker.tar.next()? {
            Next::Entry(entry) => unpacker.entry(&entry)?,
            Next::End { marked } => break marked,
        }
    };
    if !marked && options.need_end {
        return Err(unpacker.tar.error("it is truncated: its end mark is missing"));
    }
    unpacker.set_directory_times()?;
    let label = options.label;
    let mut rest = unpacker.tar.into_inner();
    loop {
        let n = rest.fill_buf().what(|| format!("cannot read {label}"))?.len();
        if n == 0 {
            return Ok(unpacker.counts);
        }
        rest.consume(n);
    }
}

struct Unpacker<'a, R> {
    tar: Reader<R>,
    tree: Tree,
    place: &'a Path,
    owners: node::Owners<'a>,
    whiteouts: bool,
    counts: Counts,
    /// Directories and their times: what is made in a directory later changes its own.
    directories: Vec<(Vec<u8>, super::tar::Time)>,
    directory_bytes: usize,
    /// The number of bytes at which the free space is looked at again.
    next_look: u64,
}

impl<R: BufRead> Unpacker<'_, R> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.counts.entries += 1;
        if self.counts.entries > MAX_ENTRIES {
            return Err(self.tar.error(format!("it has over {MAX_ENTRIES} entries, the limit")));
        }
        let path = path::inside(&entry.path).map_err(|why| self.refused(entry, why))?;
        if !self.whiteouts {
            return self.node(entry, &path);
        }
        let (parent, name) = path::split(&path);
        if let Some(hidden) = name.strip_prefix(whiteout::PREFIX) {
            return self.whiteout(entry, parent, hidden);
        }
        if let Some(part) = parent.split(|b| *b == b'/').find(|p| p.starts_with(whiteout::PREFIX)) {
            let part = String::from_utf8_lossy(part);
            return Err(self.refused(entry, format!("{part:?} is no name of a directory")));
        }
        self.node(entry, &path)
    }

    /// An entry that is refused, by its name.
    fn refused(&self, entry: &Entry, why: impl Into<String>) -> Error {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        self.tar.error(format!("entry {path:?}: {}", why.into()))
    }

    /// Bytes that a file is about to take.
    fn account(&mut self, bytes: u64) -> Result<()> {
        self.counts.bytes = self.counts.bytes.saturating_add(bytes);
        if self.counts.bytes > MAX_BYTES {
            return Err(self.tar.error(format!(
                "its files are over {} GiB together, the limit of a layer",
                MAX_BYTES >> 30
            )));
        }
        Ok(())
    }

    /// Stops before the file system is full.
    fn look_at_space(&mut self) -> Result<()> {
        let position = self.tar.position();
        if position < self.next_look {
            return Ok(());
        }
        self.next_look = position + SPACE_STEP;
        let stat =
            rustix::fs::fstatvfs(self.tree.root()).what(|| "cannot look at the free space")?;
        if stat.f_bavail < stat.f_blocks / FREE_PART {
            return Err(self
                .tar
                .error("the file system of the store has less than one percent free")
                .fix("free some space, or point XDG_DATA_HOME to a larger file system"));
        }
        Ok(())
    }

    fn remember_time(&mut self, path: &[u8], mtime: super::tar::Time) -> Result<()> {
        self.directory_bytes += path.len() + size_of::<(Vec<u8>, super::tar::Time)>();
        if self.directory_bytes > MAX_DIRECTORY_NAMES {
            return Err(self.tar.error(format!(
                "the names of its directories are over {} MiB together, the limit",
                MAX_DIRECTORY_NAMES >> 20
            )));
        }
        self.directories.push((path.to_vec(), mtime));
        Ok(())
    }

    fn set_directory_times(&mut self) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for (path, mtime) in std::mem::take(&mut self.directories) {
            // A later entry may have replaced it.
            let Ok(dir) = self.tree.open(&path, flags) else { continue };
            rustix::fs::futimens(&dir, &node::times(mtime))
                .what(|| format!("cannot set the time of {:?}", String::from_utf8_lossy(&path)))?;
        }
        Ok(())
    }
}

/// What new directories that no entry describes look like.
const IMPLIED_MODE: Mode = Mode::from_raw_mode(0o755);
