//! Removes directory trees by descriptor: no link is followed, nothing outside the tree is reached,
//! and trees deeper than the limit of open files go as well.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Where removal failed and with what.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) name: String,
    pub(crate) errno: Errno,
}

type Result<T> = std::result::Result<T, Failed>;

/// Deeper directories are first moved to the top of the tree, so that few descriptors are open.
const MAX_DEPTH: usize = 64;

/// Removes `dir` and all below it; one that does not exist is fine.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let at = |errno| Failed { name: dir.display().to_string(), errno };
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(at(Errno::INVAL));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(at(errno)),
    };
    let name = std::ffi::CString::new(name.as_encoded_bytes()).map_err(|_| at(Errno::INVAL))?;
    remove_at(parent.as_fd(), &name)
}

/// Removes what `name` in `parent` stands for, a link itself and not its target.
pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // EISDIR on Linux, EPERM in POSIX and on some file systems.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(failed(name, errno)),
    }
    let top = match open_dir(parent, name) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(()),
        // It was no directory, so the refusal to unlink it was meant.
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(failed(name, Errno::PERM)),
        Err(errno) => return Err(failed(name, errno)),
    };
    remove_dir(parent, name, top.as_fd(), top.as_fd(), 0, &mut 0)
}

/// Removes a directory that is open as `dir`. Removing while reading may skip entries (readdir(3p)), so
/// that it is emptied again until nothing keeps it.
fn remove_dir(
    parent: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    depth: usize,
    moved: &mut usize,
) -> Result<()> {
    loop {
        clear(top, dir, depth, moved)?;
        match unlink(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {}
            other => return other.map_err(|errno| failed(name, errno)),
        }
    }
}

/// Empties a directory; what is moved to the top meanwhile is seen by the top's next pass.
fn clear(top: BorrowedFd<'_>, dir: BorrowedFd<'_>, depth: usize, moved: &mut usize) -> Result<()> {
    let entries = Dir::read_from(dir).map_err(|errno| failed(c".", errno))?;
    for entry in entries {
        let entry = entry.map_err(|errno| failed(c".", errno))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        // An empty directory need not be opened.
        let directory = entry.file_type() == FileType::Directory;
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlink(dir, name, flags) {
            Ok(()) => continue,
            Err(Errno::NOTEMPTY) if directory => {}
            Err(Errno::ISDIR | Errno::PERM) if entry.file_type() == FileType::Unknown => {}
            Err(errno) => return Err(failed(name, errno)),
        }
        let child = open_dir(dir, name).map_err(|errno| failed(name, errno))?;
        if depth == MAX_DEPTH {
            let aside = format!(".sbx-removed-{moved}");
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(dir, name, top, aside.as_str(), flags) {
                Ok(()) | Err(Errno::EXIST) => *moved += 1,
                Err(errno) => return Err(failed(name, errno)),
            }
            continue;
        }
        remove_dir(dir, name, top, child.as_fd(), depth + 1, moved)?;
    }
    Ok(())
}

/// Unlinks, giving the directory the mode that this needs when it is ours and lacks it.
fn unlink(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Err(Errno::ACCESS) => {
            rustix::fs::fchmod(dir, Mode::RWXU).map_err(|_| Errno::ACCESS)?;
            rustix::fs::unlinkat(dir, name, flags)
        }
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Opens a directory to read it. Overlay leaves `work/work` with mode 0000: the owner mends that.
fn open_dir(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    // A mount inside the tree is somebody else's: EXDEV.
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV | ResolveFlags::BENEATH;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |more| rustix::fs::openat2(parent, name, flags | more, Mode::empty(), resolve);
    match open(OFlags::RDONLY) {
        Err(Errno::ACCESS) => {}
        other => {
            let fd = other?;
            // Entries go only from a directory that one may write and search.
            let mode = Mode::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
            if !mode.contains(Mode::RWXU) {
                // Not the owner: whoever is privileged here needs no mode bits.
                let _ = rustix::fs::fchmod(&fd, Mode::RWXU);
            }
            return Ok(fd);
        }
    }
    // fchmod(2) refuses O_PATH descriptors and fchmodat2(2) is of Linux 6.6: go through proc(5).
    let fd = open(OFlags::PATH)?;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::chmodat(CWD, path.as_str(), Mode::RWXU, AtFlags::empty()).map_err(|errno| {
        // Not the owner: that is a lack of access.
        if errno == Errno::PERM { Errno::ACCESS } else { errno }
    })?;
    open(OFlags::RDONLY)
}

fn failed(name: &CStr, errno: Errno) -> Failed {
    Failed { name: name.to_string_lossy().into_owned(), errno }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn removes_closed_directories_and_links_but_not_their_targets() {
        let temp = tempfile::tempdir().unwrap();
        let keep = temp.path().join("keep");
        std::fs::create_dir(&keep).unwrap();
        std::fs::write(keep.join("file"), "x").unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir_all(tree.join("work/work/inner")).unwrap();
        std::fs::write(tree.join("work/work/inner/f"), "x").unwrap();
        symlink(&keep, tree.join("link")).unwrap();
        for (dir, mode) in [("work/work/inner", 0o500), ("work/work", 0), ("work", 0o555)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(tree.join(dir), mode).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(keep.join("file").exists());
        remove(&tree).unwrap();
    }

    #[test]
    fn removes_trees_deeper_than_paths_reach() {
        let temp = tempfile::tempdir().unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let mut dir = rustix::fs::open(&tree, OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&dir, "d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&dir, "e", Mode::RWXU).unwrap();
            dir = rustix::fs::openat(&dir, "d", OFlags::PATH, Mode::empty()).unwrap();
        }
        drop(dir);
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_removed_alone() {
        let temp = tempfile::tempdir().unwrap();
        let keep = temp.path().join("keep");
        std::fs::create_dir(&keep).unwrap();
        symlink(&keep, temp.path().join("tree")).unwrap();
        remove(&temp.path().join("tree")).unwrap();
        assert!(keep.is_dir());
        assert!(!temp.path().join("tree").exists());
    }
}
