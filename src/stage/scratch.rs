//! The directory of a container: what it changes, and nothing else.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Guard, Unwind};
use crate::error::{Context, Result};
use crate::host::dirs::{self, Dirs};
use crate::plan::{Backend, Plan, RootPlan};
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// The directory, with `upper` and `work` for an overlay.
#[derive(Clone)]
pub(crate) struct Scratch {
    dir: PathBuf,
    keep: Rc<Cell<bool>>,
}

impl Scratch {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The command has run: its container stays.
    pub(crate) fn keep(&self) {
        self.keep.set(true);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::create_dir(&path).what(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Short names for many layers: the directory that holds them, and the names, lowest first.
    pub(crate) fn link_layers(
        &self,
        name: &str,
        lowers: &[PathBuf],
    ) -> Result<(PathBuf, Vec<String>)> {
        let dir = self.make_dir(name)?;
        let mut names = Vec::new();
        for (number, lower) in lowers.iter().enumerate() {
            let name = number.to_string();
            symlink(lower, dir.join(&name))
                .what(|| format!("cannot link layer {}", lower.display()))?;
            names.push(name);
        }
        Ok((dir, names))
    }
}

/// Removes the directory with all that was written, some of it owned by subordinate ids, unless it is
/// to be kept. Until that is said the container never ran, and there is nothing in it to keep.
pub(crate) struct Remove {
    dir: PathBuf,
    map: IdMap,
    keep: Rc<Cell<bool>>,
    _lock: File,
}

impl Guard for Remove {
    fn release(self: Box<Self>) -> Result<()> {
        if self.keep.get() { Ok(()) } else { worker::remove_tree(&self.map, &self.dir) }
    }
}

/// Whether the plan writes to disk at all.
pub(crate) fn needed(plan: &Plan) -> bool {
    let overlay = |m: &oci_spec::runtime::Mount| m.typ().as_deref() == Some("overlay");
    let in_memory = |backend: &Backend| matches!(backend, Backend::Memory { .. });
    matches!(&plan.host.root, RootPlan::Overlay { backend, .. } if !in_memory(backend))
        || plan.spec.mounts().iter().flatten().any(overlay)
        || plan.host.volumes.iter().any(|v| v.name.is_none())
}

/// Makes the directory: `containers/ID`, or `scratch/ID` where nothing of it is to stay. The guard goes
/// into `unwind` before anything is put into it.
pub(crate) fn make(
    plan: &Plan,
    dirs: &Dirs,
    store_map: &IdMap,
    unwind: &mut Unwind,
) -> Result<Scratch> {
    let dir = dirs::container(dirs, &plan.host.id, plan.host.remove);
    let parent = dir.parent().unwrap_or(&dirs.data).to_owned();
    dirs::make_private(&parent)?;
    if plan.host.remove {
        sweep(&parent, store_map);
    }
    let lock = {
        // Between the making of a directory and its lock nobody may take it for a leftover.
        let gate = File::open(&parent).what(|| format!("cannot open {}", parent.display()))?;
        gate.lock_shared().what(|| format!("cannot lock {}", parent.display()))?;
        dirs::make_private(&dir)?;
        let lock = File::open(&dir).what(|| format!("cannot open {}", dir.display()))?;
        lock.try_lock()
            .map_err(std::io::Error::from)
            .what(|| format!("cannot lock {}", dir.display()))?;
        lock
    };
    let keep = Rc::new(Cell::new(false));
    let scratch = Scratch { dir: dir.clone(), keep: Rc::clone(&keep) };
    unwind.push(Remove { dir, map: store_map.clone(), keep, _lock: lock });
    let upper = scratch.make_dir("upper")?;
    scratch.make_dir("work")?;
    if let RootPlan::Overlay { lowers, .. } = &plan.host.root {
        copy_root_mode(lowers.last(), &upper)?;
    }
    Ok(scratch)
}

/// Removes what killed monitors left: a lock that can be had has no owner any more. What cannot be
/// removed now is tried again by the next start.
fn sweep(parent: &Path, map: &IdMap) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let dir = entry.path();
        let Ok(gate) = File::open(parent) else { return };
        // Somebody is making a directory: its lock will be held once it is made.
        if gate.try_lock().is_err() {
            return;
        }
        let Ok(lock) = File::open(&dir) else { continue };
        if lock.try_lock().is_ok() {
            drop(gate);
            let _ = worker::remove_tree(map, &dir);
        }
    }
}

/// The root of the merged tree shows the mode of the upper directory; it should be the image's.
fn copy_root_mode(top: Option<&PathBuf>, upper: &Path) -> Result<()> {
    let Some(top) = top else { return Ok(()) };
    let meta = std::fs::metadata(top).what(|| format!("cannot look at {}", top.display()))?;
    let mode = std::fs::Permissions::from_mode(meta.mode() & 0o7777);
    std::fs::set_permissions(upper, mode)
        .what(|| format!("cannot set the mode of {}", upper.display()))
}
