//! Reading a small file out of stacked layers without mounting them: /etc/passwd and /etc/group, which
//! decide who a process runs as before there is a root.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat, statat,
};
use rustix::io::Errno;

use super::merged;
use crate::error::{Context, Error, Result};

/// More than any real one: a file that is larger is not read (CVE-2024-9676).
const SIZE_MAX: u64 = 1 << 20;
/// `path_resolution(7)`: how many links one path may lead through.
const LINKS_MAX: u32 = 40;

/// The content of `path` as the merged tree of `lowers` (lowest first) would show it; empty where
/// there is none.
pub(crate) fn read(lowers: &[PathBuf], path: &str) -> Result<String> {
    // Numbers are taken without looking into the files.
    read_small(lowers, path)
        .map_err(|e| if e.fix.is_none() { e.fix("--user UID:GID, with numbers") } else { e })
}

fn read_small(lowers: &[PathBuf], path: &str) -> Result<String> {
    let what = || format!("cannot read {path} of the root");
    let Some((layer, real)) = resolve(lowers, Path::new(path)).what(what)? else {
        return Ok(String::new());
    };
    // Not blocking: what is a FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat2(
        &layer,
        &real,
        flags,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
    .what(what)?;
    let stat = fstat(&file).what(what)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::new(what(), "it is not a regular file"));
    }
    if stat.st_size.cast_unsigned() > SIZE_MAX {
        return Err(Error::new(what(), format!("it is larger than {SIZE_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(SIZE_MAX).read_to_end(&mut bytes).what(what)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The topmost layer that shows the file, and its path there without links.
pub(crate) fn resolve(
    lowers: &[PathBuf],
    path: &Path,
) -> Result<Option<(OwnedFd, PathBuf)>, Errno> {
    let open = |dir: &PathBuf| {
        rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    // Topmost first.
    let layers: Vec<OwnedFd> = lowers.iter().rev().map(open).collect::<Result<_, _>>()?;
    let mut todo: Vec<OsString> = names(path);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == OsStr::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let Some((number, kind)) = look_up(&layers, &next)? else { return Ok(None) };
        if kind == FileType::Symlink {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP);
            }
            let target = readlinkat(&layers[number], &next, Vec::new())?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                at = PathBuf::new();
            }
            todo.extend(names(&target));
            continue;
        }
        at = next;
        if todo.is_empty() {
            let mut layers = layers;
            return Ok(Some((layers.swap_remove(number), at)));
        }
    }
    Ok(None)
}

/// The components, last first.
fn names(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Where a path without links is, seen through whiteouts and opaque directories (image-spec,
/// "Whiteouts", as `overlayfs.rst` stores them).
fn look_up(layers: &[OwnedFd], path: &Path) -> Result<Option<(usize, FileType)>, Errno> {
    for (number, layer) in layers.iter().enumerate() {
        match statat(layer, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let kind = FileType::from_raw_mode(stat.st_mode);
                if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
                    return Ok(None);
                }
                return Ok(Some((number, kind)));
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => return Err(e),
        }
        // A parent that is opaque here, or something else than a directory, hides what lies below.
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            match statat(layer, parent, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                    return Ok(None);
                }
                Ok(_) if is_opaque(layer, parent)? => return Ok(None),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(None)
}

fn is_opaque(layer: &OwnedFd, dir: &Path) -> Result<bool, Errno> {
    let fd = openat2(
        layer,
        dir,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?;
    merged::is_opaque(&fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn layers() -> (tempfile::TempDir, Vec<PathBuf>) {
        let tmp = tempfile::tempdir().unwrap();
        let dirs: Vec<_> = ["a", "b"].iter().map(|n| tmp.path().join(n)).collect();
        for dir in &dirs {
            std::fs::create_dir_all(dir.join("etc")).unwrap();
        }
        (tmp, dirs)
    }

    #[test]
    fn the_topmost_file_wins() {
        let (_tmp, dirs) = layers();
        std::fs::write(dirs[0].join("etc/passwd"), "low").unwrap();
        assert_eq!(read(&dirs, "etc/passwd").unwrap(), "low");
        std::fs::write(dirs[1].join("etc/passwd"), "high").unwrap();
        assert_eq!(read(&dirs, "etc/passwd").unwrap(), "high");
        assert_eq!(read(&dirs, "etc/group").unwrap(), "");
    }

    #[test]
    fn links_stay_inside_and_cross_layers() {
        let (_tmp, dirs) = layers();
        symlink("/../../data/users", dirs[1].join("etc/passwd")).unwrap();
        std::fs::create_dir(dirs[0].join("data")).unwrap();
        std::fs::write(dirs[0].join("data/users"), "low").unwrap();
        assert_eq!(read(&dirs, "etc/passwd").unwrap(), "low");
        symlink("group", dirs[1].join("etc/group")).unwrap();
        assert!(read(&dirs, "etc/group").is_err());
    }

    #[test]
    fn opaque_directories_hide() {
        let (_tmp, dirs) = layers();
        std::fs::write(dirs[0].join("etc/passwd"), "low").unwrap();
        let etc = std::fs::File::open(dirs[1].join("etc")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&etc, "user.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(read(&dirs, "etc/passwd").unwrap(), "");
    }

    #[test]
    fn fifos_and_giants_are_errors() {
        let (_tmp, dirs) = layers();
        nix::unistd::mkfifo(&dirs[1].join("etc/passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(read(&dirs, "etc/passwd").is_err());
        let big = std::fs::File::create(dirs[1].join("etc/group")).unwrap();
        big.set_len(SIZE_MAX + 1).unwrap();
        assert!(read(&dirs, "etc/group").is_err());
    }
}
