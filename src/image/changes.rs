//! What differs between two merged trees, in the order of names.

use std::cell::Cell;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::fs::FileType;

use super::merged::{Merged, Node};
use crate::error::{Context as _, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Changed,
}

/// Who hears of the changes. Paths are relative and empty for the root; a directory comes before what
/// is in it, also where nothing but its content changed.
pub(crate) trait Sink {
    fn changed(&mut self, kind: Kind, path: &[u8], node: &Node<'_>) -> Result<()>;
    fn deleted(&mut self, path: &[u8]) -> Result<()>;
    /// Whether [`Sink::emptied`] is wanted, and what follows told as added, instead of a comparison.
    fn marks_emptied(&self) -> bool;
    /// A directory shows nothing of its old content.
    fn emptied(&mut self, path: &[u8]) -> Result<()>;
}

/// Where sbx mounted something: it made these places where they were missing, and what it made is no
/// change.
#[derive(Debug, Default)]
pub(crate) struct MountTargets(Vec<Vec<u8>>);

impl MountTargets {
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        let relative = |path: &PathBuf| {
            let path = path.strip_prefix("/").unwrap_or(path);
            path.as_os_str().as_encoded_bytes().to_vec()
        };
        MountTargets(paths.iter().map(relative).collect())
    }

    fn has(&self, path: &[u8]) -> bool {
        self.0.iter().any(|target| target == path)
    }

    /// Whether one of them is below the directory `path`.
    fn is_above(&self, path: &[u8]) -> bool {
        self.0.iter().any(|t| t.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/')))
    }
}

/// Tells `sink` how `new` differs from `old`.
pub(crate) fn compare(
    new: Merged,
    old: &Merged,
    targets: &MountTargets,
    sink: &mut dyn Sink,
) -> Result<()> {
    let Some(top) = new.top() else { return Ok(()) };
    let what = || "cannot look at the root";
    let at = top.try_clone_to_owned().what(what)?;
    let stat = rustix::fs::fstat(&at).what(what)?;
    let root = Node { at: at.as_fd(), name: c".".to_owned(), stat, children: Some(new) };
    let frame = Frame::new(None, Vec::new(), Kind::Changed, &root);
    Walk { targets, sink }.directory(&frame, Some(old))
}

/// A directory on the way; it is told of once something in it is.
struct Frame<'a> {
    parent: Option<&'a Frame<'a>>,
    path: Vec<u8>,
    kind: Kind,
    node: &'a Node<'a>,
    told: Cell<bool>,
}

impl<'a> Frame<'a> {
    fn new(parent: Option<&'a Frame<'a>>, path: Vec<u8>, kind: Kind, node: &'a Node<'a>) -> Self {
        Frame { parent, path, kind, node, told: Cell::new(false) }
    }

    fn tell(&self, sink: &mut dyn Sink) -> Result<()> {
        if self.told.replace(true) {
            return Ok(());
        }
        if let Some(parent) = self.parent {
            parent.tell(sink)?;
        }
        sink.changed(self.kind, &self.path, self.node)
    }
}

struct Walk<'s> {
    targets: &'s MountTargets,
    sink: &'s mut dyn Sink,
}

impl Walk<'_> {
    fn directory(&mut self, frame: &Frame<'_>, old: Option<&Merged>) -> Result<()> {
        let what = |path: &[u8]| format!("cannot look at /{}", String::from_utf8_lossy(path));
        let Some(new) = &frame.node.children else { return Ok(()) };
        if old.is_some_and(|old| new.is(old)) {
            return Ok(());
        }
        let mut names = new.names().what(|| what(&frame.path))?;
        if let Some(old) = old {
            names.extend(old.names().what(|| what(&frame.path))?);
        }
        for name in names {
            let path = join(&frame.path, &name);
            let before = match old {
                Some(old) => old.child(&name).what(|| what(&path))?,
                None => None,
            };
            match (new.child(&name).what(|| what(&path))?, before) {
                (None, None) => {}
                (None, Some(_)) => {
                    frame.tell(self.sink)?;
                    self.sink.deleted(&path)?;
                }
                (Some(node), before) if node.children.is_some() => {
                    self.subdirectory(frame, path, &node, before.as_ref())?;
                }
                (Some(node), before) => self.file(frame, &path, &node, before.as_ref())?,
            }
        }
        Ok(())
    }

    fn subdirectory(
        &mut self,
        parent: &Frame<'_>,
        path: Vec<u8>,
        node: &Node<'_>,
        before: Option<&Node<'_>>,
    ) -> Result<()> {
        let what = format!("cannot compare /{}", String::from_utf8_lossy(&path));
        let mounted_below = self.targets.is_above(&path);
        let (kind, tell) = match before {
            // A place to mount on, or on the way to one, until something else is in it.
            None => (Kind::Added, !mounted_below && !self.targets.has(&path)),
            Some(before) if before.children.is_none() => (Kind::Changed, true),
            Some(before) => {
                let same_time = mounted_below || mtime(node) == mtime(before);
                let same = same_time && same_status(node, before).what(|| what)?;
                (Kind::Changed, !same)
            }
        };
        let frame = Frame::new(Some(parent), path, kind, node);
        if tell {
            frame.tell(self.sink)?;
        }
        let mut old = before.and_then(|before| before.children.as_ref());
        if let (Some(new), Some(was)) = (&node.children, old)
            && self.sink.marks_emptied()
            && !new.shows(was)
        {
            frame.tell(self.sink)?;
            self.sink.emptied(&frame.path)?;
            old = None;
        }
        self.directory(&frame, old)
    }

    fn file(
        &mut self,
        parent: &Frame<'_>,
        path: &[u8],
        node: &Node<'_>,
        before: Option<&Node<'_>>,
    ) -> Result<()> {
        let kind = match before {
            None if self.targets.has(path) && node.stat.st_size == 0 => return Ok(()),
            None => Kind::Added,
            Some(before) => {
                let what = || format!("cannot compare /{}", String::from_utf8_lossy(path));
                if same_file(node, before).what(what)? {
                    return Ok(());
                }
                Kind::Changed
            }
        };
        parent.tell(self.sink)?;
        self.sink.changed(kind, path, node)
    }
}

fn join(dir: &[u8], name: &CStr) -> Vec<u8> {
    if dir.is_empty() {
        return name.to_bytes().to_vec();
    }
    [dir, b"/", name.to_bytes()].concat()
}

fn mtime(node: &Node<'_>) -> (i64, u64) {
    (node.stat.st_mtime, node.stat.st_mtime_nsec)
}

fn same_status(new: &Node<'_>, old: &Node<'_>) -> rustix::io::Result<bool> {
    let status = |node: &Node<'_>| (node.stat.st_mode, node.stat.st_uid, node.stat.st_gid);
    Ok(status(new) == status(old) && new.xattrs()? == old.xattrs()?)
}

/// Whether nothing that an image holds differs; a file that was opened for writing is copied up unchanged.
fn same_file(new: &Node<'_>, old: &Node<'_>) -> std::io::Result<bool> {
    if new.id() == old.id() {
        return Ok(true);
    }
    let numbers = |node: &Node<'_>| (node.stat.st_size, node.stat.st_nlink > 1, mtime(node));
    // Links between files are told with the files, so that these are always told.
    if numbers(new) != numbers(old) || new.stat.st_nlink > 1 || !same_status(new, old)? {
        return Ok(false);
    }
    match new.kind() {
        FileType::Symlink => Ok(new.target()? == old.target()?),
        FileType::RegularFile => same_content(&mut new.open()?, &mut old.open()?),
        _ => Ok(true),
    }
}

fn same_content(a: &mut File, b: &mut File) -> std::io::Result<bool> {
    const STEP: u64 = 64 << 10;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        a.take(STEP).read_to_end(&mut left)?;
        b.take(STEP).read_to_end(&mut right)?;
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}
