//! Which volumes are mounted, and where each of them lies.

use std::path::Path;

use super::VolumePlan;
use crate::config::{MountKind, MountRequest};
use crate::host::dirs::Dirs;
use crate::sys;
use crate::volume::{self, DATA};

/// `container` is the directory of the container, where volumes without a name lie.
pub(super) fn all(mounts: &[MountRequest], container: &Path, dirs: &Dirs) -> Vec<VolumePlan> {
    let mut out: Vec<VolumePlan> = Vec::new();
    for mount in mounts {
        let MountKind::Volume(v) = &mount.kind else { continue };
        let dir = match &v.name {
            Some(name) => volume::store::dir(dirs, name),
            None => container.join(format!("volume-{}", out.len())),
        };
        out.push(VolumePlan {
            name: v.name.clone(),
            target: mount.target.clone(),
            // The child goes by this path without following a link.
            data: sys::real_path_of_all(&dir.join(DATA)),
            copy: v.copy,
        });
    }
    out
}
