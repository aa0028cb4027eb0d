//! Copies a directory of a merged tree, in a user namespace: with owners, modes, attributes and times.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, openat2,
};
use serde::{Deserialize, Serialize};

use super::stack::{Dir, Node, Other, Stack};
use super::unpack;
use crate::error::{Context, Error, Result};
use crate::userns::idmap::{Range, to_outside};

/// What becomes of owners: the ids of the image, as `inside`, and those to give to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) uids: Vec<Range>,
    pub(crate) gids: Vec<Range>,
}

impl Ids {
    pub(crate) fn translate(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        to_outside(&self.uids, uid).zip(to_outside(&self.gids, gid))
    }
}

struct Copy<'a> {
    from: &'a Stack,
    to: &'a OwnedFd,
    ids: &'a Ids,
    /// Files with more names than one, by layer and inode.
    linked: HashMap<(usize, u64), PathBuf>,
}

/// Copies what is in `dir` to the empty directory `to`, which then looks like `dir`.
pub(crate) fn copy(from: &Stack, dir: Dir, to: &OwnedFd, ids: &Ids) -> Result<()> {
    // Modes come from the image alone.
    rustix::process::umask(Mode::empty());
    let mut copy = Copy { from, to, ids, linked: HashMap::new() };
    let mut done: Vec<(PathBuf, Dir)> = Vec::new();
    let mut todo = vec![(PathBuf::from("."), dir)];
    while let Some((path, dir)) = todo.pop() {
        let what = || format!("cannot copy {}", path.display());
        for (name, node) in from.children(&dir).what(what)? {
            let path = path.join(name);
            match node {
                Node::Dir(dir) => {
                    rustix::fs::mkdirat(to, &path, Mode::RWXU)
                        .what(|| format!("cannot make {}", path.display()))?;
                    todo.push((path, dir));
                }
                Node::Other(other) => copy.other(&path, &other)?,
            }
        }
        done.push((path, dir));
    }
    // What is made in a directory changes its times, and may need more than its mode allows.
    for (path, dir) in done.iter().rev() {
        let what = || format!("cannot copy {}", path.display());
        let made = copy.open(path, OFlags::RDONLY | OFlags::DIRECTORY).what(what)?;
        look_like(&made, &dir.stat, ids)?;
        attributes(&from.open_dir(dir).what(what)?, &made).what(what)?;
        rustix::fs::futimens(&made, &times(&dir.stat)).what(what)?;
    }
    Ok(())
}

/// Owner and mode.
pub(crate) fn look_like(made: &OwnedFd, stat: &Stat, ids: &Ids) -> Result<()> {
    let (uid, gid) = owner(stat.st_uid, stat.st_gid, ids)?;
    unpack::settle(made, uid, gid, stat.st_mode & 0o7777).what(|| "cannot set an owner")
}

pub(crate) fn owner(uid: u32, gid: u32, ids: &Ids) -> Result<(u32, u32)> {
    ids.translate(uid, gid).ok_or_else(|| {
        Error::new(
            "cannot copy the image's files to the volume",
            format!("the id map of this container does not have their owner {uid}:{gid}"),
        )
        .fix("add nocopy, as in -v NAME:/path:nocopy, or leave --userns out")
    })
}

impl Copy<'_> {
    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // openat2(2) refuses a mode where nothing is made.
        let creates = flags.contains(OFlags::CREATE);
        let mode = if creates { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
        openat2(self.to, path, flags | OFlags::CLOEXEC, mode, resolve)
    }

    fn other(&mut self, path: &Path, other: &Other) -> Result<()> {
        let what = || format!("cannot copy {}", other.path.display());
        if other.stat.st_nlink > 1 {
            let id = (other.layer, other.stat.st_ino);
            if let Some(first) = self.linked.get(&id) {
                let flags = AtFlags::empty();
                return rustix::fs::linkat(self.to, first, self.to, path, flags).what(what);
            }
            self.linked.insert(id, path.to_owned());
        }
        match FileType::from_raw_mode(other.stat.st_mode) {
            FileType::RegularFile => return self.file(path, other),
            FileType::Symlink => {
                let target = self.from.read_link(other).what(what)?;
                rustix::fs::symlinkat(target, self.to, path).what(what)?;
            }
            // A socket without the program that listens to it, a device: a layer has none.
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(other.stat.st_mode & 0o7777);
                rustix::fs::mknodat(self.to, path, FileType::Fifo, mode, 0).what(what)?;
            }
            _ => return Ok(()),
        }
        let (uid, gid) = owner(other.stat.st_uid, other.stat.st_gid, self.ids)?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(self.to, path, uid, gid, nofollow).what(what)?;
        rustix::fs::utimensat(self.to, path, &times(&other.stat), nofollow).what(what)
    }

    fn file(&self, path: &Path, other: &Other) -> Result<()> {
        let what = || format!("cannot copy {}", other.path.display());
        let from = self.from.open_file(other).what(what)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made = self.open(path, flags).what(what)?;
        let (mut from, mut made) = (File::from(from), File::from(made));
        std::io::copy(&mut from, &mut made).what(what)?;
        let (from, made) = (OwnedFd::from(from), OwnedFd::from(made));
        look_like(&made, &other.stat, self.ids)?;
        // A change of owner takes capabilities away, so attributes come after it.
        attributes(&from, &made).what(what)?;
        rustix::fs::futimens(&made, &times(&other.stat)).what(what)
    }
}

/// Those that unpacking keeps.
fn attributes(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    unpack::set_xattrs(to.as_fd(), &unpack::xattrs(from)?).map(drop)
}

fn times(stat: &Stat) -> Timestamps {
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_access: time, last_modification: time }
}
