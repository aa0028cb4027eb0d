//! Images of one layout into another.

use std::path::Path;

use super::super::manifest::{Descriptor, Index, REF_NAME};
use super::super::store::read_capped;
use super::to_json;
use crate::error::{Context as _, Error, Result};

const BLOBS: &str = "blobs/sha256";

/// Moves what is in the layout `from` to the layout `to`. An image that had a name of these stays there
/// without it.
pub(crate) fn add_to_layout(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("cannot add to {}", to.display());
    // Both are read before anything is changed.
    let (new, mut index) = (read(from)?, read(to)?);
    let same_name = |a: &Descriptor, b: &Descriptor| match a.annotation(REF_NAME) {
        Some(name) => b.annotation(REF_NAME) == Some(name),
        None => b.annotation(REF_NAME).is_none() && b.digest == a.digest,
    };
    index.manifests.retain(|old| !new.manifests.iter().any(|new| same_name(new, old)));
    index.manifests.extend(new.manifests);
    std::fs::create_dir_all(to.join(BLOBS)).what(what)?;
    for blob in std::fs::read_dir(from.join(BLOBS)).what(what)? {
        let blob = blob.what(what)?;
        std::fs::rename(blob.path(), to.join(BLOBS).join(blob.file_name())).what(what)?;
    }
    // Last: whoever sees the image finds all of it.
    let staged = from.join("index.json");
    std::fs::write(&staged, to_json(&index)?).what(what)?;
    std::fs::rename(&staged, to.join("index.json")).what(what)
}

fn read(layout: &Path) -> Result<Index> {
    let path = layout.join("index.json");
    let what = || format!("cannot read {}", path.display());
    let bytes = read_capped(&path).what(what)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::new(what(), e.to_string()))
}
