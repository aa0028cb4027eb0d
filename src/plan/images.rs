//! Images that are mounted beside the root.

use super::ImageMount;
use crate::config::{MountKind, MountRequest};
use crate::error::{Error, Result};
use crate::host::HostFacts;
use crate::image::Image;
use crate::userns::idmap::{self, IdMap};

/// `images` are those of the mounts, in their order.
pub(super) fn all(
    mounts: &[MountRequest],
    images: &[Image],
    facts: &HostFacts,
    map: &IdMap,
) -> Result<Vec<ImageMount>> {
    let mounts = mounts.iter().filter(|m| matches!(m.kind, MountKind::Image(_)));
    mounts.zip(images).map(|(mount, image)| one(mount, image, facts, map)).collect()
}

fn one(mount: &MountRequest, image: &Image, facts: &HostFacts, map: &IdMap) -> Result<ImageMount> {
    let refuse = |why: &str, fix: &str| Err(Error::new(mount.text.clone(), why).fix(fix));
    if let Err(why) = &facts.native_overlay {
        return refuse(why, "move XDG_DATA_HOME to a local file system, such as ext4 or xfs");
    }
    // Layers hold the ids of the store's map.
    if *map != idmap::for_store(&facts.caller, &facts.subids)? {
        let why = "the kernel's overlay cannot show an image's ids through another id map";
        return refuse(why, "--userns host-root, with an image or a directory as the root");
    }
    if image.layers.is_empty() {
        return refuse("the image has no layers", "mount another image");
    }
    let (target, lowers) = (mount.target.clone(), image.layers.clone());
    Ok(ImageMount { target, lowers, writable: !mount.readonly })
}
