//! Stacked trees as overlay shows them, without a mount: whiteouts hide, directories merge, opaque ones
//! do not (Documentation/filesystems/overlayfs.rst). Works on what a native overlay with `userxattr`
//! writes and on what fuse-overlayfs writes.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

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

/// Opens trees that are to be merged: reaching them may need the caller's groups, and reading them the
/// user namespace.
pub(crate) fn open<'a>(trees: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |dir: &PathBuf| {
        rustix::fs::open(dir, flags, Mode::empty())
            .what(|| format!("cannot open {}", dir.display()))
    };
    trees.map(open).collect()
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
    /// Of trees, the topmost first. A walk holds a descriptor for each tree of each directory on its way:
    /// the process's limit is raised for that.
    pub(crate) fn new(trees: &[OwnedFd]) -> Result<Self> {
        raise_files();
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

    /// The directory that a path without links leads to.
    pub(crate) fn descend(mut self, path: &Path) -> rustix::io::Result<Option<Merged>> {
        for name in path {
            let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
            match self.child(&name)?.and_then(|node| node.children) {
                Some(next) => self = next,
                None => return Ok(None),
            }
        }
        Ok(Some(self))
    }

    /// Whether nothing is seen in it.
    pub(crate) fn is_empty(&self) -> rustix::io::Result<bool> {
        for name in self.names()? {
            if self.child(&name)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
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

    pub(crate) fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::fstat(self.top().ok_or(Errno::NOENT)?)
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
        let opaque = fuse || is_opaque(&fd)?;
        Ok(Part { id: (stat.st_dev, stat.st_ino), fuse, opaque, fd })
    }
}

/// What is missing of the limit is missed only by very deep trees, and that is an error that says so.
fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Whether a native overlay shows nothing of what is below the directory.
pub(super) fn is_opaque(dir: &OwnedFd) -> rustix::io::Result<bool> {
    is_marked(dir, c"user.overlay.opaque")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Three layers: `lower` is below `upper`, and an empty one is on top.
    fn layers(lower: &[&str], upper: &[&str]) -> (tempfile::TempDir, Vec<OwnedFd>) {
        let tmp = tempfile::tempdir().unwrap();
        for (layer, files) in [("0", lower), ("1", upper), ("2", &[])] {
            std::fs::create_dir(tmp.path().join(layer)).unwrap();
            for file in files {
                let path = tmp.path().join(layer).join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, layer).unwrap();
            }
        }
        let dirs: Vec<_> = ["2", "1", "0"].iter().map(|l| tmp.path().join(l)).collect();
        let layers = open(dirs.iter()).unwrap();
        (tmp, layers)
    }

    /// Names, with `/` for a directory and the content of a file, which is the name of its layer.
    fn shown(layers: &[OwnedFd], path: &str) -> Vec<String> {
        let dir = Merged::new(layers).unwrap().descend(Path::new(path)).unwrap().unwrap();
        let names = dir.names().unwrap();
        let nodes = names.iter().filter_map(|name| dir.child(name).unwrap());
        let show = |node: Node<'_>| {
            let content = match node.children {
                Some(_) => "/".to_owned(),
                None => format!("={}", std::io::read_to_string(node.open().unwrap()).unwrap()),
            };
            format!("{}{content}", node.name.to_str().unwrap())
        };
        nodes.map(show).collect()
    }

    #[test]
    fn directories_are_merged_and_the_topmost_file_wins() {
        let (_tmp, layers) = layers(&["d/a", "d/b", "d/sub/x"], &["d/b", "d/c", "d/sub/y"]);
        assert_eq!(shown(&layers, "d"), ["a=0", "b=1", "c=1", "sub/"]);
        assert_eq!(shown(&layers, "d/sub"), ["x=0", "y=1"]);
        for path in ["d/a", "none"] {
            let found = Merged::new(&layers).unwrap().descend(Path::new(path)).unwrap();
            assert!(found.is_none(), "{path}");
        }
    }

    #[test]
    fn opaque_directories_and_files_hide() {
        let (tmp, layers) = layers(&["d/sub/x", "d/e/x"], &["d/sub/y", "d/e"]);
        let sub = std::fs::File::open(tmp.path().join("1/d/sub")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&sub, "user.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(shown(&layers, "d/sub"), ["y=1"]);
        assert_eq!(shown(&layers, "d"), ["e=1", "sub/"]);
    }

    #[test]
    fn whiteouts_hide_and_are_not_shown() {
        let (tmp, layers) = layers(&["d/a", "d/b/x"], &["d/c"]);
        for name in ["1/d/a", "1/d/b"] {
            let path = tmp.path().join(name);
            let (kind, mode) = (FileType::CharacterDevice, Mode::empty());
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        }
        assert_eq!(shown(&layers, "d"), ["c=1"]);
        std::fs::remove_file(tmp.path().join("1/d/c")).unwrap();
        let dir = Merged::new(&layers).unwrap().descend(Path::new("d")).unwrap().unwrap();
        assert!(dir.is_empty().unwrap());
    }
}
