//! Copies a directory of a merged tree, in a user namespace: with owners, modes, attributes and times.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, openat2,
};
use serde::{Deserialize, Serialize};

use super::merged::{Merged, Node};
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
    to: &'a OwnedFd,
    ids: &'a Ids,
    /// Files with more names than one, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

/// Copies what is in `from` to the empty directory `to`, which then looks like `from`.
pub(crate) fn copy(from: &Merged, to: &OwnedFd, ids: &Ids) -> Result<()> {
    // Modes come from the image alone.
    rustix::process::umask(Mode::empty());
    Copy { to, ids, linked: HashMap::new() }.directory(from, Path::new("."))
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
    fn directory(&mut self, from: &Merged, path: &Path) -> Result<()> {
        let what = || format!("cannot copy {}", path.display());
        for name in from.names().what(what)? {
            let Some(node) = from.child(&name).what(what)? else { continue };
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let Some(dir) = &node.children else {
                self.other(&path, &node)?;
                continue;
            };
            rustix::fs::mkdirat(self.to, &path, Mode::RWXU)
                .what(|| format!("cannot make {}", path.display()))?;
            self.directory(dir, &path)?;
        }
        // What is made in a directory changes its times, and may need more than its mode allows.
        let Some(top) = from.top() else { return Ok(()) };
        let stat = from.stat().what(what)?;
        let made = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY).what(what)?;
        self.finish(&made, &stat, &unpack::xattrs(&top).what(what)?, what)
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // openat2(2) refuses a mode where nothing is made.
        let creates = flags.contains(OFlags::CREATE);
        let mode = if creates { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
        openat2(self.to, path, flags | OFlags::CLOEXEC, mode, resolve)
    }

    fn other(&mut self, path: &Path, node: &Node<'_>) -> Result<()> {
        let what = || format!("cannot copy {}", path.display());
        if node.stat.st_nlink > 1 {
            if let Some(first) = self.linked.get(&node.id()) {
                let flags = AtFlags::empty();
                return rustix::fs::linkat(self.to, first, self.to, path, flags).what(what);
            }
            self.linked.insert(node.id(), path.to_owned());
        }
        match node.kind() {
            FileType::RegularFile => return self.file(path, node),
            FileType::Symlink => {
                let target = node.target().what(what)?;
                rustix::fs::symlinkat(target, self.to, path).what(what)?;
            }
            // A socket without the program that listens to it, a device: a layer has none.
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(node.stat.st_mode & 0o7777);
                rustix::fs::mknodat(self.to, path, FileType::Fifo, mode, 0).what(what)?;
            }
            _ => return Ok(()),
        }
        let (uid, gid) = owner(node.stat.st_uid, node.stat.st_gid, self.ids)?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(self.to, path, uid, gid, nofollow).what(what)?;
        rustix::fs::utimensat(self.to, path, &times(&node.stat), nofollow).what(what)
    }

    fn file(&self, path: &Path, node: &Node<'_>) -> Result<()> {
        let what = || format!("cannot copy {}", path.display());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mut made = File::from(self.open(path, flags).what(what)?);
        std::io::copy(&mut node.open().what(what)?, &mut made).what(what)?;
        self.finish(&made.into(), &node.stat, &node.xattrs().what(what)?, what)
    }

    fn finish(
        &self,
        made: &OwnedFd,
        stat: &Stat,
        xattrs: &[(Vec<u8>, Vec<u8>)],
        what: impl Fn() -> String,
    ) -> Result<()> {
        look_like(made, stat, self.ids)?;
        // A change of owner takes capabilities away, so attributes come after it.
        unpack::set_xattrs(made.as_fd(), xattrs).what(&what)?;
        rustix::fs::futimens(made, &times(stat)).what(what)
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_access: time, last_modification: time }
}
