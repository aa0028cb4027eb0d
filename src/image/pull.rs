//! From a registry into the store.

use std::sync::Arc;

use super::digest::Digest;
use super::ingest::{Ingest, Watch};
use super::load::{self, Loaded};
use super::manifest::{Descriptor, OCI_INDEX};
use super::platform::Platform;
use super::reference::Remote;
use super::registry::{self, Operation, Place, Registry};
use super::source::{Fetch, Source};
use super::store::Store;
use crate::error::{Error, Result};

/// Pulls an image from the first place that has it; what the store has of it is kept.
pub(crate) fn pull(
    ingest: &Ingest<'_>,
    remote: &Remote,
    places: &[Place],
    platform: Option<&Platform>,
) -> Result<Loaded> {
    first(remote, places, ingest.watch, |place| from(ingest, place, remote.stored_name(), platform))
}

fn from(
    ingest: &Ingest<'_>,
    place: &Place,
    name: String,
    platform: Option<&Platform>,
) -> Result<Loaded> {
    let registry = Registry::connect(&place.remote, &place.access, Operation::Pull)?;
    // The tag may be moved meanwhile: everything after this goes by digest.
    let (bytes, digest) = registry.top()?;
    let media_type = media_type(&bytes);
    let top = Descriptor::new(&media_type, digest.clone(), bytes.len() as u64);
    let fetch: Arc<dyn Fetch> = Arc::new(Pinned { registry, digest, bytes });
    let source = Source::registry(fetch, &place.remote.to_string());
    load::from_registry(ingest, &source, &top, Some(name), platform)
}

/// Whether the image of the first place that answers is the store's, and all of it is there.
pub(crate) fn is_current(
    store: &Store,
    remote: &Remote,
    places: &[Place],
    platform: Option<&Platform>,
    watch: &dyn Watch,
) -> Result<bool> {
    let there =
        first(remote, places, watch, |place| registry::digest(&place.remote, &place.access))?;
    match there {
        Some(there) => store.is_whole(&remote.stored_name(), &there, platform),
        None => Ok(false),
    }
}

/// The first answer. A place that fails is passed over, whatever the reason: the last one is the
/// image's own registry, and where that fails as well every reason is told.
fn first<T>(
    remote: &Remote,
    places: &[Place],
    watch: &dyn Watch,
    ask: impl Fn(&Place) -> Result<T>,
) -> Result<T> {
    let mut failed: Vec<String> = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let host = &place.remote.name.domain;
        match ask(place) {
            Ok(answer) => return Ok(answer),
            Err(e) if places.len() == 1 => return Err(e),
            Err(e) if n + 1 == places.len() => {
                let why = format!("{}; {host}: {}", failed.join("; "), e.why);
                return Err(Error { what: format!("cannot pull {remote}"), why, ..e });
            }
            Err(e) => {
                watch.warn(&format!("{}: {}; the mirror {host} is passed over", e.what, e.why));
                failed.push(format!("mirror {host}: {}", e.why));
            }
        }
    }
    Err(Error::new(format!("cannot pull {remote}"), "there is no place to pull it from"))
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
pub(super) fn media_type(bytes: &[u8]) -> String {
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
