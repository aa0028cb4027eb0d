//! From a registry into the store.

use std::sync::Arc;

use super::digest::Digest;
use super::ingest::Ingest;
use super::load::{self, Loaded};
use super::manifest::{Descriptor, OCI_INDEX};
use super::reference::Remote;
use super::registry::{Access, Operation, Registry};
use super::source::{Fetch, Source};
use super::store::Store;
use crate::error::Result;

/// Pulls an image; what the store has of it is kept.
pub(crate) fn pull(ingest: &Ingest<'_>, remote: &Remote, access: &Access) -> Result<Loaded> {
    let registry = Registry::connect(remote, access, Operation::Pull)?;
    // The tag may be moved meanwhile: everything after this goes by digest.
    let (bytes, digest) = registry.top()?;
    let media_type = media_type(&bytes);
    let top = Descriptor::new(&media_type, digest.clone(), bytes.len() as u64);
    let fetch: Arc<dyn Fetch> = Arc::new(Pinned { registry, digest, bytes });
    let source = Source::registry(fetch, &remote.to_string());
    load::from_registry(ingest, &source, &top, Some(remote.stored_name()))
}

/// Whether the registry's image is the store's.
pub(crate) fn is_current(store: &Store, remote: &Remote, access: &Access) -> Result<bool> {
    let there = Registry::connect(remote, access, Operation::Pull)?.digest()?;
    let (descriptor, ..) = store.manifest_of(&remote.stored_name())?;
    Ok(descriptor.digest == there)
}

/// The registry, with the one manifest that is here already.
struct Pinned {
    registry: Registry,
    digest: Digest,
    bytes: Vec<u8>,
}

impl Fetch for Pinned {
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>> {
        if *digest == self.digest {
            return Ok(self.bytes.clone());
        }
        Fetch::manifest(&self.registry, digest)
    }

    fn stream(&self, digest: &Digest, size: u64) -> Result<super::source::Incoming> {
        self.registry.stream(digest, size)
    }
}

/// What the document says of itself; an index need not (image-spec, "Image Index").
fn media_type(bytes: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Says {
        media_type: Option<String>,
        manifests: Option<serde_json::Value>,
    }
    let says: Option<Says> = serde_json::from_slice(bytes).ok();
    let kind = says.as_ref().and_then(|says| says.media_type.clone());
    kind.unwrap_or_else(|| {
        let is_index = says.is_some_and(|says| says.manifests.is_some());
        if is_index { OCI_INDEX } else { super::manifest::OCI_MANIFEST }.to_owned()
    })
}
