//! Stacked trees as overlay shows them, without a mount: whiteouts hide, directories merge, opaque ones
//! do not (Documentation/filesystems/overlayfs.rst). Works on what a native overlay with `userxattr`
//! writes and on what fuse-overlayfs writes.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::unpack::xattrs;
use crate::error::{Context as _, Result};

/// What fuse-overlayfs puts into an opaque directory beside the attribute.
const FUSE_MARK: &CStr = c".wh..wh..opq";

/// A directory, topmost part first.
pub(crate) struct Merged {
    parts: Vec<Part>,
}

struct Part {
    fd: OwnedFd,
    id: (u64, u64),
    /// fuse-overlayfs made it opaque.
    fuse: bool,
    opaque: bool,
}

/// Something in a merged directory.
pub(crate) struct Node<'a> {
    /// The directory that has it, and its name there.
    pub(crate) at: BorrowedFd<'a>,
    pub(crate) name: CString,
    pub(crate) stat: Stat,
    /// Of a directory.
    pub(crate) children: Option<Merged>,
}

impl Merged {
    /// Of trees, the topmost first.
    pub(crate) fn new(trees: &[OwnedFd]) -> Result<Self> {
        let part = |tree: &OwnedFd| {
            rustix::fs::openat(tree, c".", DIRECTORY, Mode::empty())
                .and_then(Part::new)
                .what(|| "cannot open a tree")
        };
        Ok(Merged { parts: trees.iter().map(part).collect::<Result<_>>()? })
    }

    /// The names in any part; some of them may be hidden.
    pub(crate) fn names(&self) -> rustix::io::Result<BTreeSet<CString>> {
        let mut names = BTreeSet::new();
        for part in &self.parts {
            for entry in Dir::read_from(&part.fd)? {
                let entry = entry?;
                let name = entry.file_name();
                if name == c"." || name == c".." || (part.fuse && name == FUSE_MARK) {
                    continue;
                }
                names.insert(name.to_owned());
            }
        }
        Ok(names)
    }

    pub(crate) fn child(&self, name: &CStr) -> rustix::io::Result<Option<Node<'_>>> {
        let mut found: Option<Node<'_>> = None;
        for part in &self.parts {
            let stat = match rustix::fs::statat(&part.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e),
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
                break;
            }
            let directory = match kind {
                FileType::Directory => {
                    Some(Part::new(rustix::fs::openat(&part.fd, name, DIRECTORY, Mode::empty())?)?)
                }
                _ => None,
            };
            let last = directory.as_ref().is_none_or(|part| part.opaque);
            match (&mut found, directory) {
                (None, directory) => {
                    let children = directory.map(|part| Merged { parts: vec![part] });
                    let at = part.fd.as_fd();
                    found = Some(Node { at, name: name.to_owned(), stat, children });
                }
                (Some(Node { children: Some(merged), .. }), Some(part)) => merged.parts.push(part),
                // A file below a directory is hidden, and so is what lies below the file.
                _ => {}
            }
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// Whether both are the very same directories.
    pub(crate) fn is(&self, other: &Merged) -> bool {
        self.ids().eq(other.ids())
    }

    /// Whether something of `other` may be seen here.
    pub(crate) fn shows(&self, other: &Merged) -> bool {
        self.ids().any(|id| other.ids().any(|other| other == id))
    }

    fn ids(&self) -> impl Iterator<Item = (u64, u64)> {
        self.parts.iter().map(|part| part.id)
    }

    /// The topmost part, whose owner, mode and attributes are the directory's.
    pub(crate) fn top(&self) -> Option<BorrowedFd<'_>> {
        self.parts.first().map(|part| part.fd.as_fd())
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Part {
    fn new(fd: OwnedFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        let fuse = is_marked(&fd, c"user.fuseoverlayfs.opaque")?;
        let opaque = fuse || is_marked(&fd, c"user.overlay.opaque")?;
        Ok(Part { id: (stat.st_dev, stat.st_ino), fuse, opaque, fd })
    }
}

fn is_marked(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<bool> {
    let mut value = [0u8; 1];
    match rustix::fs::fgetxattr(dir, name, &mut value) {
        Ok(n) => Ok(n == 1 && value == *b"y"),
        Err(Errno::NODATA | Errno::RANGE | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e),
    }
}

impl Node<'_> {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(crate) fn id(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// Opens a file to be read.
    pub(crate) fn open(&self) -> rustix::io::Result<std::fs::File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(self.at, &self.name, flags, Mode::empty()).map(Into::into)
    }

    /// What a symbolic link says.
    pub(crate) fn target(&self) -> rustix::io::Result<CString> {
        rustix::fs::readlinkat(self.at, &self.name, Vec::new())
    }

    /// The attributes that belong into an image, by name.
    pub(crate) fn xattrs(&self) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match (&self.children, self.kind()) {
            (Some(dir), _) => dir.top().map_or(Ok(Vec::new()), |top| xattrs(&top)),
            (None, FileType::RegularFile) => xattrs(&self.open()?),
            // Neither links nor FIFOs take user attributes: xattr(7).
            _ => Ok(Vec::new()),
        }
    }
}
