//! A file of the host that was looked up once, and is held.
//!
//! The child cannot clone through a descriptor of this process, whose mounts are those of another mount
//! namespace: it goes by the path again. Between the two somebody may put another file there: another
//! sandbox, if it can write to a directory on the way. The child compares what it finds with what is
//! held here; an inode that is held is not used again for another file.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    path: PathBuf,
    id: sbx_child::FileId,
    kind: FileType,
    _held: Rc<OwnedFd>,
}

impl Pinned {
    /// Follows links, this once.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let held = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let stat = rustix::fs::statx(&held, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))?;
        if !path.is_absolute() {
            // A pipe or a socket, through a link of procfs.
            return Err(Errno::NXIO.into());
        }
        Ok(Pinned {
            path,
            id: sbx_child::FileId {
                dev_major: stat.stx_dev_major,
                dev_minor: stat.stx_dev_minor,
                inode: stat.stx_ino,
            },
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            _held: Rc::new(held),
        })
    }

    /// Absolute, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn id(&self) -> sbx_child::FileId {
        self.id
    }

    /// The id for another process of sbx, which opens the file with [`reopen`].
    pub(crate) fn numbers(&self) -> [u64; 3] {
        [self.id.dev_major.into(), self.id.dev_minor.into(), self.id.inode]
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind.is_dir()
    }

    pub(crate) fn is_device(&self) -> bool {
        self.kind.is_char_device() || self.kind.is_block_device()
    }
}

/// The file behind `path` if it is the one that another process holds as a [`Pinned`]. The descriptor
/// survives exec.
pub(crate) fn reopen(path: &Path, numbers: [u64; 3]) -> std::io::Result<OwnedFd> {
    use rustix::fs::{CWD, ResolveFlags, openat2};
    let file = openat2(CWD, path, OFlags::PATH, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let stat = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    if numbers != [stat.stx_dev_major.into(), stat.stx_dev_minor.into(), stat.stx_ino] {
        return Err(Errno::STALE.into());
    }
    Ok(file)
}

/// The id of a file as it is now, links followed.
pub(crate) fn id_of(path: &Path) -> Option<sbx_child::FileId> {
    use rustix::fs::CWD;
    let stat = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS).ok()?;
    Some(sbx_child::FileId {
        dev_major: stat.stx_dev_major,
        dev_minor: stat.stx_dev_minor,
        inode: stat.stx_ino,
    })
}

impl PartialEq for Pinned {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.id == other.id
    }
}

impl Eq for Pinned {}
