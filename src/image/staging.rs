//! Directories in which things are made before they appear in the store by a rename.
//!
//! Each is locked (flock(2) on the directory itself) for as long as its owner lives, so whoever gets
//! the lock of an existing one knows that its owner was killed.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Context, Error, Result};
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// A staging directory; it is removed with all that is left in it when its owner is done.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    map: IdMap,
    _lock: File,
}

/// Held while directories are made, locked or looked through: between the making of a directory and
/// its lock nobody may take it for a leftover.
const GATE: &str = ".lock";

impl Staging {
    /// A directory of this process alone.
    pub(crate) fn private(tmp: &Path, map: &IdMap) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = tmp.join(format!("work-{}-{n}", std::process::id()));
            let gate = gate(tmp)?;
            match make(&dir) {
                Ok(()) => {}
                // A leftover of a process that had this id.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e).what(|| format!("cannot make {}", dir.display())),
            }
            let lock = open(&dir).what(|| format!("cannot open {}", dir.display()))?;
            lock.try_lock().map_err(std::io::Error::from).what(|| lock_failed(&dir))?;
            drop(gate);
            return Ok(Staging { dir, map: map.clone(), _lock: lock });
        }
    }

    /// The one directory for `name`: whoever asks meanwhile waits until its owner is done.
    pub(crate) fn shared(tmp: &Path, name: &str, map: &IdMap) -> Result<Self> {
        let dir = tmp.join(name);
        loop {
            let gate = gate(tmp)?;
            match make(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(e).what(|| format!("cannot make {}", dir.display()));
                }
                _ => {}
            }
            let lock = match open(&dir) {
                // Its owner, who needs no gate for that, removed it just now.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.what(|| format!("cannot open {}", dir.display()))?,
            };
            drop(gate);
            lock.lock().what(|| lock_failed(&dir))?;
            if !is_at(&lock, &dir) {
                // Its owner was done and removed it.
                continue;
            }
            for entry in
                std::fs::read_dir(&dir).what(|| format!("cannot read {}", dir.display()))?
            {
                let entry = entry.what(|| format!("cannot read {}", dir.display()))?;
                worker::remove_tree(map, &entry.path())?;
            }
            return Ok(Staging { dir, map: map.clone(), _lock: lock });
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is swept by a later run.
        let _ = worker::remove_tree(&self.map, &self.dir);
    }
}

/// Removes what killed processes left behind, and returns why some of it could not be removed.
pub(crate) fn sweep(tmp: &Path, map: &IdMap) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    let what = || format!("cannot read {}", tmp.display());
    for entry in std::fs::read_dir(tmp).what(what)? {
        let dir = entry.what(what)?.path();
        let gate = gate(tmp)?;
        // What is no directory is the gate; what is gone or locked has an owner.
        let Ok(lock) = open(&dir) else { continue };
        if lock.try_lock().is_err() || !is_at(&lock, &dir) {
            continue;
        }
        drop(gate);
        failures.extend(worker::remove_tree(map, &dir).err());
    }
    Ok(failures)
}

fn make(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

fn open(dir: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty())?.into())
}

fn gate(tmp: &Path) -> Result<File> {
    lock_file(&tmp.join(GATE))
}

/// Makes a file and locks it; the lock goes with the value.
pub(super) fn lock_file(path: &Path) -> Result<File> {
    let file = open_lock_file(path)?;
    file.lock().what(|| lock_failed(path))?;
    Ok(file)
}

/// Makes a file to lock. It stays: whoever removed it would race with who opens it next.
pub(super) fn open_lock_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .what(|| format!("cannot open {}", path.display()))
}

pub(super) fn lock_failed(path: &Path) -> String {
    format!("cannot lock {}", path.display())
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |m: std::fs::Metadata| (m.dev(), m.ino());
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => id(ours) == id(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> IdMap {
        IdMap::Inherit
    }

    #[test]
    fn sweeps_what_nobody_holds() {
        let tmp = tempfile::tempdir().unwrap();
        let mine = Staging::private(tmp.path(), &map()).unwrap();
        let named = Staging::shared(tmp.path(), "layer-x", &map()).unwrap();
        std::fs::create_dir_all(tmp.path().join("work-0-0/tree")).unwrap();
        assert!(sweep(tmp.path(), &map()).unwrap().is_empty());
        assert!(!tmp.path().join("work-0-0").exists());
        assert!(mine.path().exists() && named.path().exists());
        let dir = mine.path().to_owned();
        drop(mine);
        assert!(!dir.exists());
    }

    #[test]
    fn a_name_has_one_owner_at_a_time() {
        let tmp = tempfile::tempdir().unwrap();
        let running = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let staging = Staging::shared(tmp.path(), "layer-x", &map()).unwrap();
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        std::fs::write(staging.path().join("blob"), "x").unwrap();
                        assert_eq!(running.fetch_sub(1, Ordering::SeqCst), 1);
                    }
                });
            }
        });
        assert!(!tmp.path().join("layer-x").exists());
    }
}
