//! From the store to a registry.

use super::ingest::Watch;
use super::reference::Remote;
use super::registry::{Access, Operation, Registry, upload};
use super::store::Store;
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
    let blobs = || manifest.layers.iter().chain([&manifest.config]);
    let total = blobs().map(|blob| blob.size).sum();
    let mut before = 0;
    for blob in blobs() {
        let path = store.blob(&blob.digest);
        let progress = |done: u64| watch.progress(before + done, Some(total));
        registry.push_blob(|| upload::open(&path), &blob.digest, blob.size, &progress)?;
        before += blob.size;
    }
    // Last: whoever sees the name finds all that it points at.
    registry.push_manifest(&bytes, &descriptor.media_type)?;
    Ok(descriptor.digest)
}
