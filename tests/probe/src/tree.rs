//! A tree as a program sees it: all that its files are, a line each, in the order of their paths.

use std::collections::HashMap;
use std::ffi::CString;
use std::io::{Read as _, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::sys;

/// `PATH KIND MODE UID:GID mtime=SECONDS.NANOSECONDS` and then, where it has them, `size=`, `hash=`,
/// `target=`, the path of the `first` file that it is a hard link of, and extended attributes.
/// `hidden` are paths below the root that are left out.
pub(crate) fn list(root: &Path, hidden: &[String]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut links = HashMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let full = root.join(&path);
        let meta = full.symlink_metadata()?;
        if meta.is_dir() {
            let entries = std::fs::read_dir(&full)?;
            let names =
                entries.map(|e| Ok(path.join(e?.file_name()))).collect::<Result<Vec<_>>>()?;
            todo.extend(names.into_iter().filter(|p| !hidden.iter().any(|h| p == Path::new(h))));
            // From the end: the smallest path comes first, whatever order the file system has.
            todo.sort_unstable_by(|a, b| b.cmp(a));
        }
        let first = links.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone());
        let mut line = describe(&full, &path)?;
        if *first != path {
            line += &format!(" first={first:?}");
        }
        lines.push(line);
    }
    Ok(lines)
}

fn describe(full: &Path, path: &Path) -> Result<String> {
    let meta = full.symlink_metadata()?;
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "dir"
    } else if kind.is_file() {
        "file"
    } else if kind.is_symlink() {
        "link"
    } else if kind.is_fifo() {
        "fifo"
    } else {
        "other"
    };
    let (mode, owner) = (meta.mode() & 0o7777, format!("{}:{}", meta.uid(), meta.gid()));
    let time = format!("mtime={}.{:09}", meta.mtime(), meta.mtime_nsec());
    let mut line = format!("{path:?} {what} {mode:o} {owner} {time}");
    if kind.is_file() {
        line += &format!(" size={} hash={:016x}", meta.len(), hash(full)?);
    }
    if kind.is_symlink() {
        line += &format!(" target={:?}", std::fs::read_link(full)?);
    }
    let name = CString::new(full.as_os_str().as_bytes())?;
    for (key, value) in sys::xattrs(&name)? {
        let value: Vec<String> = value.iter().map(|b| format!("{b:02x}")).collect();
        line += &format!(" {}={}", String::from_utf8_lossy(&key), value.concat());
    }
    Ok(line)
}

/// FNV-1a, 64 bits.
fn hash(path: &Path) -> Result<u64> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut buffer) = (0xcbf2_9ce4_8422_2325_u64, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hash);
        }
        for byte in &buffer[..n] {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
