//! The tree that stacked layers show together, walked without mounting it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir as Entries, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, statat,
};
use rustix::io::Errno;

use super::view;

pub(crate) struct Stack {
    lowers: Vec<PathBuf>,
    /// Topmost first.
    layers: Vec<OwnedFd>,
}

/// A directory of the merged tree.
pub(crate) struct Dir {
    path: PathBuf,
    /// The layers that have a part in it, topmost first.
    parts: Vec<usize>,
    /// The topmost's, which is what the directory looks like.
    pub(crate) stat: Stat,
}

impl Dir {
    /// From the root of the tree.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

pub(crate) enum Node {
    Dir(Dir),
    Other(Other),
}

/// What is no directory.
pub(crate) struct Other {
    pub(crate) path: PathBuf,
    pub(crate) layer: usize,
    pub(crate) stat: Stat,
}

impl Stack {
    /// `lowers` as an image has them, lowest first.
    pub(crate) fn open(lowers: &[PathBuf]) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |dir: &PathBuf| rustix::fs::open(dir, flags, Mode::empty());
        let layers = lowers.iter().rev().map(open).collect::<Result<_, _>>()?;
        Ok(Stack { lowers: lowers.to_owned(), layers })
    }

    /// ENOENT where there is no layer.
    pub(crate) fn root(&self) -> Result<Dir, Errno> {
        let stat = statat(self.layers.first().ok_or(Errno::NOENT)?, ".", AtFlags::empty())?;
        Ok(Dir { path: PathBuf::new(), parts: (0..self.layers.len()).collect(), stat })
    }

    /// The directory that `path` leads to; links are followed inside the tree.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Dir>, Errno> {
        let Some((_, real)) = view::resolve(&self.lowers, path)? else { return Ok(None) };
        let mut dir = self.root()?;
        for name in &real {
            match self.child(&dir, name)? {
                Some(Node::Dir(next)) => dir = next,
                _ => return Ok(None),
            }
        }
        Ok(Some(dir))
    }

    /// What the directory shows, in the order of names.
    pub(crate) fn children(&self, dir: &Dir) -> Result<Vec<(OsString, Node)>, Errno> {
        let mut names = BTreeSet::new();
        for part in &dir.parts {
            for entry in Entries::new(self.open_at(*part, &dir.path, OFlags::DIRECTORY)?)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name != "." && name != ".." {
                    names.insert(name.to_owned());
                }
            }
        }
        let mut out = Vec::new();
        for name in names {
            if let Some(node) = self.child(dir, &name)? {
                out.push((name, node));
            }
        }
        Ok(out)
    }

    /// Through whiteouts and opaque directories (image-spec, "Whiteouts", as `overlayfs.rst` stores
    /// them).
    fn child(&self, dir: &Dir, name: &OsStr) -> Result<Option<Node>, Errno> {
        let path = dir.path.join(name);
        let mut found: Option<Dir> = None;
        for part in &dir.parts {
            let stat = match statat(&self.layers[*part], &path, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            match &mut found {
                _ if kind == FileType::CharacterDevice && stat.st_rdev == 0 => break,
                None if kind != FileType::Directory => {
                    return Ok(Some(Node::Other(Other { path, layer: *part, stat })));
                }
                // It hides what is below it, and is hidden itself.
                Some(_) if kind != FileType::Directory => break,
                Some(dir) => dir.parts.push(*part),
                None => found = Some(Dir { path: path.clone(), parts: vec![*part], stat }),
            }
            if view::is_opaque(&self.layers[*part], &path)? {
                break;
            }
        }
        Ok(found.map(Node::Dir))
    }

    pub(crate) fn open_dir(&self, dir: &Dir) -> Result<OwnedFd, Errno> {
        self.open_at(dir.parts.first().copied().unwrap_or(0), &dir.path, OFlags::DIRECTORY)
    }

    pub(crate) fn open_file(&self, file: &Other) -> Result<OwnedFd, Errno> {
        self.open_at(file.layer, &file.path, OFlags::NONBLOCK)
    }

    pub(crate) fn read_link(&self, link: &Other) -> Result<std::ffi::CString, Errno> {
        rustix::fs::readlinkat(&self.layers[link.layer], &link.path, Vec::new())
    }

    fn open_at(&self, layer: usize, path: &Path, more: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&self.layers[layer], path, flags, Mode::empty(), resolve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three layers: `lower` is below `upper`, and an empty one is on top.
    fn layers(lower: &[&str], upper: &[&str]) -> (tempfile::TempDir, Stack) {
        let tmp = tempfile::tempdir().unwrap();
        for (layer, files) in [("0", lower), ("1", upper), ("2", &[])] {
            std::fs::create_dir(tmp.path().join(layer)).unwrap();
            for file in files {
                let path = tmp.path().join(layer).join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, layer).unwrap();
            }
        }
        let dirs: Vec<_> = ["0", "1", "2"].iter().map(|l| tmp.path().join(l)).collect();
        (tmp, Stack::open(&dirs).unwrap())
    }

    fn shown(stack: &Stack, path: &str) -> Vec<String> {
        let Some(dir) = stack.find(Path::new(path)).unwrap() else { return vec![] };
        let children = stack.children(&dir).unwrap();
        let layer = |node: &Node| match node {
            Node::Dir(_) => "/".to_owned(),
            // Topmost first, and written lowest first.
            Node::Other(file) => format!("={}", 2 - file.layer),
        };
        children.iter().map(|(name, node)| format!("{}{}", name.display(), layer(node))).collect()
    }

    #[test]
    fn directories_are_merged_and_the_topmost_file_wins() {
        let (_tmp, stack) = layers(&["d/a", "d/b", "d/sub/x"], &["d/b", "d/c", "d/sub/y"]);
        assert_eq!(shown(&stack, "/d"), ["a=0", "b=1", "c=1", "sub/"]);
        assert_eq!(shown(&stack, "d/sub"), ["x=0", "y=1"]);
        assert!(stack.find(Path::new("/d/a")).unwrap().is_none());
        assert!(stack.find(Path::new("/none")).unwrap().is_none());
    }

    #[test]
    fn opaque_directories_and_files_hide() {
        let (tmp, stack) = layers(&["d/sub/x", "d/e/x"], &["d/sub/y", "d/e"]);
        let sub = std::fs::File::open(tmp.path().join("1/d/sub")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&sub, "user.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(shown(&stack, "d/sub"), ["y=1"]);
        assert_eq!(shown(&stack, "d"), ["e=1", "sub/"]);
    }

    #[test]
    fn whiteouts_hide_and_are_not_shown() {
        let (tmp, stack) = layers(&["d/a", "d/b/x"], &["d/c"]);
        for name in ["1/d/a", "1/d/b"] {
            let path = tmp.path().join(name);
            let (kind, mode) = (FileType::CharacterDevice, Mode::empty());
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        }
        assert_eq!(shown(&stack, "d"), ["c=1"]);
    }

    #[test]
    fn links_lead_to_the_directory() {
        let (tmp, stack) = layers(&["real/x"], &[]);
        std::os::unix::fs::symlink("/../real", tmp.path().join("1/link")).unwrap();
        assert_eq!(shown(&stack, "/link"), ["x=0"]);
    }
}
