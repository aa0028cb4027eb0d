//! Volumes: made where they are missing, and held while the sandbox lives.

use super::{Guard, Unwind};
use crate::error::{Context, Error, Result};
use crate::host::dirs::Dirs;
use crate::plan::Plan;
use crate::sys::pinned::Pinned;
use crate::userns::idmap::IdMap;
use crate::volume::store::{self, Held, Store};

/// A volume is not removed while this is not released.
struct InUse(#[allow(dead_code, reason = "a lock")] Held);

impl Guard for InUse {
    fn release(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The directories to mount, each as it is now.
pub(crate) fn hold(
    plan: &Plan,
    dirs: &Dirs,
    map: &IdMap,
    unwind: &mut Unwind,
) -> Result<Vec<Pinned>> {
    let mut out = Vec::new();
    for volume in &plan.host.volumes {
        match &volume.name {
            Some(name) => unwind.push(InUse(Store::open(dirs, map.clone())?.hold(name)?)),
            None => {
                // It goes with the directory of the container.
                let dir = volume.data.parent().unwrap_or(&volume.data);
                store::make_dir(dir, 0o700)?;
                store::make_dir(&volume.data, 0o755)?;
            }
        }
        let pinned = Pinned::open(&volume.data)
            .what(|| format!("cannot mount {}", volume.data.display()))?;
        if pinned.path() != volume.data {
            // It would be mounted by its path alone.
            let what = format!("cannot mount {}", volume.data.display());
            let why = format!("it is now {}", pinned.path().display());
            return Err(Error::new(what, why).fix("run it again"));
        }
        out.push(pinned);
    }
    Ok(out)
}
