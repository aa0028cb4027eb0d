//! From the store to a registry.

use super::ingest::Watch;
use super::reference::Remote;
use super::registry::{Access, Operation, Registry, upload};
use super::store::Store;
use super::tally::Tally;
use crate::error::Result;

/// Pushes what `image` names to where `remote` says.
pub(crate) fn push(
    store: &Store,
    image: &str,
    remote: &Remote,
    access: &Access,
    watch: &dyn Watch,
) -> Result<super::digest::Digest> {
    // Nothing of it is removed meanwhile.
    let _lease = store.find(image)?;
    let (descriptor, manifest, bytes) = store.manifest_of(image)?;
    let registry = Registry::connect(remote, access, Operation::Push)?;
    registry.authorise()?;
    let layers = manifest.layers.iter().map(|layer| (layer, true));
    let blobs = || layers.clone().chain([(&manifest.config, false)]);
    let total = blobs().fold(0, |sum: u64, (blob, _)| sum.saturating_add(blob.size));
    let tally = Tally::new(watch, total, manifest.layers.len());
    for (blob, is_layer) in blobs() {
        let path = store.blob(&blob.digest);
        let part = if is_layer { tally.layer(blob.size) } else { tally.other(blob.size) };
        let progress = |done: u64| part.at(done);
        registry.push_blob(|| upload::open(&path), &blob.digest, blob.size, &progress)?;
        part.finish();
    }
    // Last: whoever sees the name finds all that it points at.
    registry.push_manifest(&bytes, &descriptor.media_type)?;
    Ok(descriptor.digest)
}
