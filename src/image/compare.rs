//! Whether an unpacked layer is still what its archive holds. Runs in a worker, which sees the owners.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// The kind of job that a worker knows this as.
pub(crate) const JOB: &str = "compare two trees";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Unpacked just now.
    pub(crate) fresh: PathBuf,
    pub(crate) kept: PathBuf,
}

/// The first difference, in words; `None` where there is none.
pub(crate) fn run(job: &Job) -> Result<Option<String>> {
    let mut pairs = vec![PathBuf::new()];
    while let Some(path) = pairs.pop() {
        let (fresh, kept) = (job.fresh.join(&path), job.kept.join(&path));
        let shown = if path.as_os_str().is_empty() { Path::new("/") } else { &path };
        let different = |what: &str| Ok(Some(format!("{} has another {what}", shown.display())));
        let a = look(&fresh)?;
        let Ok(b) = kept.symlink_metadata() else {
            return Ok(Some(format!("{} is missing", shown.display())));
        };
        if let Some(what) = unlike(&a, &b) {
            return different(what);
        }
        if a.is_symlink() && std::fs::read_link(&fresh).ok() != std::fs::read_link(&kept).ok() {
            return different("link target");
        }
        if attributes(&fresh) != attributes(&kept) {
            return different("extended attribute");
        }
        if a.is_file() && !same_bytes(&fresh, &kept)? {
            return different("content");
        }
        if a.is_dir() {
            let (names, others) = (names(&fresh)?, names(&kept)?);
            if let Some(extra) = others.iter().find(|name| !names.contains(name)) {
                return Ok(Some(format!("{} is not of the image", shown.join(extra).display())));
            }
            pairs.extend(names.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(None)
}

fn look(path: &Path) -> Result<Metadata> {
    path.symlink_metadata().what(|| format!("cannot look at {}", path.display()))
}

fn unlike(a: &Metadata, b: &Metadata) -> Option<&'static str> {
    let kind = |m: &Metadata| {
        let kind = m.file_type();
        (kind.is_dir(), kind.is_file(), kind.is_symlink(), kind.is_fifo(), kind.is_char_device())
    };
    let all = [
        ("kind", kind(a) == kind(b)),
        ("mode", a.mode() == b.mode()),
        ("owner", (a.uid(), a.gid()) == (b.uid(), b.gid())),
        ("size", a.is_dir() || a.size() == b.size()),
        // A directory that the archive does not name has the time at which it was made, and so has a
        // whiteout, the one character device that there is.
        ("time", timeless(a) || (a.mtime(), a.mtime_nsec()) == (b.mtime(), b.mtime_nsec())),
        ("number of links", a.is_dir() || a.nlink() == b.nlink()),
        ("device number", a.rdev() == b.rdev()),
    ];
    all.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

fn timeless(meta: &Metadata) -> bool {
    meta.is_dir() || meta.file_type().is_char_device()
}

fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let what = || format!("cannot list {}", dir.display());
    std::fs::read_dir(dir).what(what)?.map(|entry| Ok(entry.what(what)?.file_name())).collect()
}

/// Names and values; a file system without any is one where none can differ.
fn attributes(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    const MOST: usize = 64 << 10;
    let mut list = vec![0; MOST];
    let len = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let mut out: Vec<_> = list[..len]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; MOST];
            let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap_or(0);
            (name.to_owned(), value[..len].to_owned())
        })
        .collect();
    out.sort();
    out
}

fn same_bytes(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).what(|| format!("cannot open {}", path.display()));
    let (mut a, mut b) = (open(a)?, open(b)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        for (file, buffer) in [(&mut a, &mut left), (&mut b, &mut right)] {
            buffer.clear();
            file.take(1 << 20).read_to_end(buffer).what(|| "cannot read a file of a layer")?;
        }
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
