//! Whiteouts: image-spec's markers turned into overlay's; see image-spec, layer, "Whiteouts", and
//! Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".

use std::io::BufRead;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::{Unpacker, tree};
use crate::error::{Context, Result};
use crate::image::tar::Entry;

pub(super) const PREFIX: &[u8] = b".wh.";
/// What follows the prefix in the marker of an opaque directory.
const OPAQUE: &[u8] = b".wh..opq";

/// Overlay reads its marks from here when it is mounted in a user namespace with `userxattr`.
const OPAQUE_XATTR: &str = "user.overlay.opaque";

impl<R: BufRead> Unpacker<'_, R> {
    /// An entry whose name is `.wh.` and then `hidden`. Markers speak of lower layers only, so what
    /// this layer has stays, whether it comes before or after.
    pub(super) fn whiteout(&mut self, entry: &Entry, parent: &[u8], hidden: &[u8]) -> Result<()> {
        let what = || format!("cannot unpack {:?}", String::from_utf8_lossy(&entry.path));
        if hidden == OPAQUE {
            let dir = self.tree.directory(parent)?;
            make_opaque(dir).what(what)?;
            self.counts.opaque_root |= parent.is_empty();
            return Ok(());
        }
        if hidden.starts_with(PREFIX) {
            // aufs kept its own books under such names.
            self.counts.aufs += 1;
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(self.refused(entry, "it is a whiteout of nothing"));
        }
        let dir = self.tree.directory(parent)?;
        match tree::kind(dir, hidden) {
            None => make_whiteout(dir, hidden).what(what),
            // A directory of this layer: its lower namesake is to be hidden, not itself.
            Some(FileType::Directory) => {
                make_opaque(open(dir, hidden).what(what)?.as_fd()).what(what)
            }
            Some(_) => Ok(()),
        }
    }
}

/// A character device 0:0, which needs no privilege since Linux 5.8; rootless overlay needs 5.11.
fn make_whiteout(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
}

pub(super) fn is_whiteout(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
    })
}

pub(super) fn make_opaque(dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match rustix::fs::fsetxattr(dir, OPAQUE_XATTR, b"y", XattrFlags::empty()) {
        // Directories are mostly held by O_PATH, which takes no attributes.
        Err(Errno::BADF) => {
            rustix::fs::fsetxattr(open(dir, b".")?, OPAQUE_XATTR, b"y", XattrFlags::empty())
        }
        other => other,
    }
}

fn open(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}
