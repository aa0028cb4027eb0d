//! Kept containers with the image that they were made from.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::image::Image;
use crate::image::diff::Trees;
use crate::image::store::Store;
use crate::state::{self, Container, Found};

pub(super) struct Kept {
    pub(super) found: Found,
    pub(super) state: Container,
    pub(super) image: Image,
}

/// The container whose id begins with `id`; `None` where no id does.
pub(super) fn find(data: &std::path::Path, store: &Store, id: &str) -> Result<Option<Kept>> {
    if id.is_empty() || !state::list(data)?.iter().any(|f| f.id.starts_with(id)) {
        return Ok(None);
    }
    get(data, store, id).map(Some)
}

pub(super) fn get(data: &std::path::Path, store: &Store, id: &str) -> Result<Kept> {
    let found = state::find(data, id)?;
    let state = found.state.clone()?;
    // Its name may be another image's by now; the digest is not.
    let digest = state.image.rsplit(' ').next().unwrap_or_default();
    let image = store.find(digest).map_err(|e| {
        Error::new(
            format!("cannot use container {}", found.id),
            format!("its image {} is not in the store any more: {}", state.image, e.why),
        )
        .fix(format!("load or pull that image again, or sbx rm {}", found.id))
    })?;
    Ok(Kept { found, state, image })
}

impl Kept {
    /// The container's trees above `old`, or above its image.
    pub(super) fn trees(&self, old: Option<Vec<PathBuf>>) -> Trees {
        let lower = topmost_first(&self.image);
        let new = [vec![self.found.dir.join("upper")], lower.clone()].concat();
        Trees { new, old: old.unwrap_or(lower), targets: self.state.mounts.clone() }
    }
}

/// An image's layers, without what sbx puts below them.
pub(super) fn topmost_first(image: &Image) -> Vec<PathBuf> {
    image.layers.iter().rev().cloned().collect()
}
