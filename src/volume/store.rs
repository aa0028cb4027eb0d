//! The volumes of a user.
//!
//! Two locks (flock(2)) for each, in this order: `NAME/lock` is held by whoever begins to use a volume,
//! asks whether it is used, or removes it; `NAME/` itself is held, shared, by the monitor of every
//! container in which it is mounted, for as long as that lives.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock};
use rustix::io::Errno;

use super::fill::{self, Content};
use super::{DATA, Name, Volume};
use crate::error::{Context, Error, Result};
use crate::host::dirs::{Dirs, make_private};
use crate::image::staging::Staging;
use crate::userns::idmap::IdMap;
use crate::userns::worker;

const LOCK: &str = "lock";

/// The directory of a volume.
pub(crate) fn dir(dirs: &Dirs, name: &Name) -> PathBuf {
    dirs.data.join("volumes").join(name.as_str())
}

pub(crate) struct Store {
    volumes: PathBuf,
    tmp: PathBuf,
    map: IdMap,
}

/// A volume that was found, with what is known of it.
pub(crate) struct Found {
    pub(crate) name: Name,
    pub(crate) dir: PathBuf,
    pub(crate) volume: Result<Volume>,
}

impl Found {
    pub(crate) fn mountpoint(&self) -> PathBuf {
        self.dir.join(DATA)
    }
}

/// A volume in use.
pub(crate) struct Held {
    _dir: File,
}

/// Whoever has it decides alone what becomes of the volume.
pub(crate) struct Turn {
    pub(crate) path: PathBuf,
    pub(crate) dir: File,
    _lock: OwnedFd,
}

impl Turn {
    /// Whether a running container uses it. Where none does, `dir` is locked for this process alone.
    pub(crate) fn is_used(&self) -> Result<bool> {
        match flock(&self.dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(e).what(|| format!("cannot lock {}", self.path.display())),
        }
    }
}

impl Store {
    /// `map` is the store's, under which files of subordinate ids are removed.
    pub(crate) fn open(dirs: &Dirs, map: IdMap) -> Result<Self> {
        let store = Store { volumes: dirs.data.join("volumes"), tmp: dirs.data.join("tmp"), map };
        for dir in [&dirs.data, &store.volumes, &store.tmp] {
            make_private(dir)?;
        }
        Ok(store)
    }

    pub(crate) fn map(&self) -> &IdMap {
        &self.map
    }

    /// Makes a volume; `false` where there is one of this name already.
    pub(crate) fn create(&self, name: &Name, labels: BTreeMap<String, String>) -> Result<bool> {
        let dir = self.dir(name);
        let what = || format!("cannot make {}", dir.display());
        let staging = Staging::private(&self.tmp, &self.map)?;
        let staged = staging.path().join("volume");
        make_dir(&staged, 0o700)?;
        make_dir(&staged.join(DATA), 0o755)?;
        Volume::new(name.clone(), labels).write(&staged)?;
        match rustix::fs::renameat_with(CWD, &staged, CWD, &dir, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // Not every file system knows the flag: what exists is not empty, and refuses.
            Err(Errno::INVAL) => match std::fs::rename(&staged, &dir) {
                Ok(()) => Ok(true),
                Err(_) if dir.is_dir() => Ok(false),
                Err(e) => Err(e).what(what),
            },
            Err(e) => Err(e).what(what),
        }
    }

    /// All of them, by name; those whose file is damaged are among them.
    pub(crate) fn list(&self) -> Result<Vec<Found>> {
        let what = || format!("cannot list {}", self.volumes.display());
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.volumes).what(what)? {
            let name = entry.what(what)?.file_name();
            // What has no such name was not made by sbx.
            let Some(Ok(name)) = name.to_str().map(Name::parse) else { continue };
            out.push(self.found(name));
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    pub(crate) fn find(&self, name: &str) -> Result<Found> {
        let name = Name::parse(name)?;
        if !self.dir(&name).is_dir() {
            return Err(unknown(&name));
        }
        Ok(self.found(name))
    }

    fn found(&self, name: Name) -> Found {
        let dir = self.dir(&name);
        Found { name, volume: Volume::read(&dir), dir }
    }

    fn dir(&self, name: &Name) -> PathBuf {
        self.volumes.join(name.as_str())
    }

    /// Waits for its turn at a volume; `None` where there is none of this name.
    pub(crate) fn turn(&self, name: &Name) -> Result<Option<Turn>> {
        let path = self.dir(name);
        let what = || format!("cannot lock {}", path.display());
        let dir = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let dir: File = match rustix::fs::open(&path, dir, Mode::empty()) {
                Err(Errno::NOENT) => return Ok(None),
                other => other.what(what)?.into(),
            };
            let lock = match rustix::fs::openat(&dir, LOCK, file, Mode::RUSR | Mode::WUSR) {
                // It is being removed.
                Err(Errno::NOENT) => continue,
                other => other.what(what)?,
            };
            flock(&lock, FlockOperation::LockExclusive).what(what)?;
            if is_at(&dir, &path) {
                return Ok(Some(Turn { path, dir, _lock: lock }));
            }
        }
    }

    /// Begins to use a volume, which is made where there is none, and filled where it is new. It stays for
    /// as long as the value.
    pub(crate) fn hold(&self, name: &Name, content: Option<&Content>) -> Result<Held> {
        loop {
            let Some(turn) = self.turn(name)? else {
                self.create(name, BTreeMap::new())?;
                continue;
            };
            if let Some(content) = content {
                self.fill(&turn, content)?;
            }
            let what = || format!("cannot lock {}", turn.path.display());
            flock(&turn.dir, FlockOperation::LockShared).what(what)?;
            return Ok(Held { _dir: turn.dir });
        }
    }

    /// Killed at any point, it is done again: what was filled is not empty, and stays as it is.
    fn fill(&self, turn: &Turn, content: &Content) -> Result<()> {
        let mut volume = Volume::read(&turn.path)?;
        let copies = content.copy && !content.lowers.is_empty();
        let wanted = volume.needs_owner || (volume.needs_copy && copies);
        if !wanted {
            return Ok(());
        }
        fill::run(&self.map, &turn.path, turn.is_used()?, content)?;
        volume.needs_owner = false;
        volume.needs_copy &= !copies;
        volume.write(&turn.path)
    }

    /// A volume that goes with its container, in the container's own directory.
    pub(crate) fn make_own(map: &IdMap, dir: &Path, content: Option<&Content>) -> Result<()> {
        make_dir(dir, 0o700)?;
        make_dir(&dir.join(DATA), 0o755)?;
        content.map_or(Ok(()), |content| fill::run(map, dir, false, content))
    }

    /// Whether a running container uses it.
    pub(crate) fn is_used(&self, name: &Name) -> Result<bool> {
        self.turn(name)?.map_or(Ok(false), |turn| turn.is_used())
    }

    /// Removes a volume that no running container uses. It is gone at once: its files go afterwards.
    pub(crate) fn remove(&self, name: &Name) -> Result<()> {
        let turn = self.turn(name)?.ok_or_else(|| unknown(name))?;
        if turn.is_used()? {
            return Err(used(name));
        }
        let staging = Staging::private(&self.tmp, &self.map)?;
        let aside = staging.path().join("volume");
        std::fs::rename(&turn.path, &aside).what(|| format!("cannot remove volume {name}"))?;
        worker::remove_tree(&self.map, &aside)
    }
}

pub(crate) fn unknown(name: &Name) -> Error {
    Error::new(format!("cannot find volume {name}"), "there is no such volume").fix("sbx volume ls")
}

pub(crate) fn used(name: &Name) -> Error {
    Error::new(format!("cannot remove volume {name}"), "a running container uses it")
        .fix("end the container first: sbx ps")
}

/// Whatever the caller's umask is.
fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    let what = || format!("cannot make {}", dir.display());
    std::fs::create_dir(dir).what(what)?;
    std::fs::set_permissions(dir, Permissions::from_mode(mode)).what(what)
}

fn is_at(dir: &File, path: &Path) -> bool {
    match (dir.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
