//! The tree as descriptors: finding and making the directory that an entry goes into.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{IMPLIED_MODE, whiteout};
use crate::error::{Context, Error, Result, errno_text};

const PARENT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opening without meeting a symbolic link, which is the rule.
const PLAIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
/// Opening through links of the same layer, which lead nowhere but into the tree.
const THROUGH_LINKS: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

pub(super) struct Tree {
    root: OwnedFd,
    /// The directory that was used last: entries of one directory mostly stand together.
    last: Option<(Vec<u8>, OwnedFd)>,
}

/// Makes the directory of a tree: root's, mode 0755 until an entry says otherwise.
pub(crate) fn make_root(staging: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let what = || "cannot make the directory of a layer".to_owned();
    // Modes come from the archive alone.
    rustix::process::umask(Mode::empty());
    rustix::fs::mkdirat(staging, name, IMPLIED_MODE).what(what)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::openat(staging, name, flags, Mode::empty()).what(what)?;
    // A default ACL of the user's home would go on to every file of the image.
    for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
        match rustix::fs::fremovexattr(&root, acl) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(e).what(what),
        }
    }
    super::node::settle(&root, 0, 0, IMPLIED_MODE.as_raw_mode()).what(what)?;
    Ok(root)
}

/// A directory that is there, to be unpacked over.
pub(crate) fn existing_root(dir: &OwnedFd) -> Result<OwnedFd> {
    rustix::process::umask(Mode::empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, ".", flags, Mode::empty()).what(|| "cannot open the directory")
}

impl Tree {
    pub(super) fn new(root: OwnedFd) -> Self {
        Tree { root, last: None }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens `path`, through links of the tree where it names some.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), PLAIN) {
            Err(Errno::LOOP) => {
                rustix::fs::openat2(&self.root, path, flags, Mode::empty(), THROUGH_LINKS)
            }
            other => other,
        }
    }

    /// The directory `path`, made with its parents where it is missing.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if path.is_empty() {
            return Ok(self.root.as_fd());
        }
        let hit = self.last.as_ref().is_some_and(|(last, _)| last == path);
        if !hit {
            let fd = match self.open(path, PARENT) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR) => self.make(path)?,
                Err(e) => return Err(self.no_directory(path, e)),
            };
            self.last = Some((path.to_vec(), fd));
        }
        Ok(self.last.as_ref().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    /// A directory that was just made and will likely be used next.
    pub(super) fn entered(&mut self, path: &[u8], fd: OwnedFd) {
        self.last = Some((path.to_vec(), fd));
    }

    /// To be called when a directory goes away: descriptors of what was below it are stale.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn no_directory(&self, path: &[u8], errno: Errno) -> Error {
        let path = String::from_utf8_lossy(path);
        let why = match errno {
            Errno::NOTDIR => "a part of the path is not a directory".to_owned(),
            Errno::LOOP => "the path leads through a loop of symbolic links".to_owned(),
            Errno::EXIST => "the path leads through a symbolic link to nothing".to_owned(),
            e => errno_text(e.raw_os_error()),
        };
        Error::new(format!("cannot unpack into {path:?}"), why)
    }

    /// Makes `path` one part at a time. A whiteout in the way gives way to an opaque directory: what
    /// it hid stays hidden.
    fn make(&self, path: &[u8]) -> Result<OwnedFd> {
        let failed = |e| self.no_directory(path, e);
        let mut dir = self.open(b"", PARENT).map_err(failed)?;
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
        for end in ends.chain([path.len()]) {
            let prefix = &path[..end];
            let (_, name) = super::path::split(prefix);
            dir = match self.open(prefix, PARENT) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => make_directory(dir.as_fd(), name).map_err(failed)?,
                Err(Errno::NOTDIR) if whiteout::is_whiteout(dir.as_fd(), name) => {
                    rustix::fs::unlinkat(&dir, name, AtFlags::empty()).map_err(failed)?;
                    let made = make_directory(dir.as_fd(), name).map_err(failed)?;
                    whiteout::make_opaque(made.as_fd()).map_err(failed)?;
                    made
                }
                Err(e) => return Err(failed(e)),
            };
        }
        Ok(dir)
    }
}

fn make_directory(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, IMPLIED_MODE)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    super::node::settle(&fd, 0, 0, IMPLIED_MODE.as_raw_mode())?;
    Ok(fd)
}

/// What stands at `name`, the link itself where it is one.
pub(super) fn kind(parent: BorrowedFd<'_>, name: &[u8]) -> Option<FileType> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}
