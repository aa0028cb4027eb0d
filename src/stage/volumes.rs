//! Volumes: made where they are missing, and held while the sandbox lives.

use super::{Guard, Unwind};
use crate::error::{Context, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::copy::Ids;
use crate::plan::{Plan, RootPlan, VolumePlan};
use crate::sys::pinned::Pinned;
use crate::userns::idmap::{self, IdMap, Range};
use crate::volume::fill::Content;
use crate::volume::store::{Held, Store};

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
        let content = content(plan, volume, map);
        match &volume.name {
            Some(name) => {
                let store = Store::open(dirs, map.clone())?;
                unwind.push(InUse(store.hold(name, content.as_ref())?));
            }
            None => {
                let dir = volume.data.parent().unwrap_or(&volume.data);
                Store::make_own(map, dir, content.as_ref())?;
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

/// What the root can bring into a new volume. The host's own files are nobody's to copy.
fn content(plan: &Plan, volume: &VolumePlan, map: &IdMap) -> Option<Content> {
    let lowers = match &plan.host.root {
        RootPlan::Host(_) => return None,
        // The first is not the image's.
        RootPlan::Overlay { lowers, image: Some(_), .. } => lowers[1..].to_vec(),
        _ => Vec::new(),
    };
    let user = plan.spec.process().as_ref()?.user();
    let ids = |own: &[Range], store| match plan.host.idmap {
        IdMap::Inherit => idmap::between(&[idmap::IDENTITY], store),
        _ => idmap::between(own, store),
    };
    Some(Content {
        lowers,
        target: volume.target.clone(),
        copy: volume.copy,
        uid: user.uid(),
        gid: user.gid(),
        // The worker has the store's map, and files are to have the owners of the sandbox's.
        ids: Ids {
            uids: ids(plan.host.idmap.uids(), map.uids()),
            gids: ids(plan.host.idmap.gids(), map.gids()),
        },
    })
}
