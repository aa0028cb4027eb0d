//! Whether all that the store says it has is there and undamaged.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::compare;
use super::digest::Digest;
use super::ingest::{Ingest, Known};
use super::manifest::{self, Compression, Descriptor, REF_NAME};
use crate::error::{Context, Error, Result};

/// What is wrong, and which images it concerns.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) images: Vec<String>,
    pub(crate) mended: bool,
    part: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Blob(Digest),
    /// A tree, with the one that was unpacked from its blob to put in its place.
    Tree(Digest, Option<PathBuf>),
}

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) images: usize,
    pub(crate) blobs: usize,
    pub(crate) layers: usize,
    pub(crate) damage: Vec<Damage>,
}

/// A layer's blob, and the images that have it.
struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
    images: Vec<String>,
}

/// Looks at every image: its manifest, configuration and layers by their digests, and each unpacked tree
/// beside one that is unpacked anew. With `mend` what can be made again here is.
pub(crate) fn check(ingest: &Ingest<'_>, mend: bool) -> Result<Checked> {
    let mut checked = Checked::default();
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    for descriptor in ingest.store.index()?.manifests {
        let name = descriptor.annotation(REF_NAME).unwrap_or(descriptor.digest.as_str()).to_owned();
        checked.images += 1;
        match parts(ingest, &descriptor, &mut checked) {
            Ok(all) => {
                for (descriptor, diff_id) in all {
                    let new = Layer { descriptor, diff_id, images: Vec::new() };
                    layers
                        .entry(new.diff_id.hex().to_owned())
                        .or_insert(new)
                        .images
                        .push(name.clone());
                }
            }
            Err((digest, e)) => checked.damage.push(Damage::new(e, name, Part::Blob(digest))),
        }
    }
    for layer in layers.into_values() {
        checked.layers += 1;
        checked.blobs += 1;
        if let Some((e, part)) = one_layer(ingest, &layer)? {
            let mut damage = Damage { images: layer.images, ..Damage::new(e, String::new(), part) };
            if mend {
                damage.mended = put_in_place(ingest, &damage.part)?;
            }
            checked.damage.push(damage);
        }
    }
    Ok(checked)
}

impl Damage {
    fn new(e: Error, image: String, part: Part) -> Self {
        Damage { what: e.what, why: e.why, images: vec![image], mended: false, part }
    }

    /// Takes away what a pull brings back whole.
    pub(crate) fn clear(&self, ingest: &Ingest<'_>) -> Result<()> {
        ingest.remove(&self.path(ingest))
    }

    /// Whether it is there; after [`Damage::clear`], because it was brought back.
    pub(crate) fn is_back(&self, ingest: &Ingest<'_>) -> bool {
        self.path(ingest).exists()
    }

    fn path(&self, ingest: &Ingest<'_>) -> PathBuf {
        match &self.part {
            Part::Blob(digest) => ingest.store.blob(digest),
            Part::Tree(diff_id, _) => ingest.store.layer(diff_id),
        }
    }
}

type Parts = Vec<(Descriptor, Digest)>;

/// The layers of an image, once its manifest and configuration are known to be whole.
fn parts(
    ingest: &Ingest<'_>,
    top: &Descriptor,
    checked: &mut Checked,
) -> Result<Parts, (Digest, Error)> {
    let mut read = |descriptor: &Descriptor| {
        checked.blobs += 1;
        let label = format!("blob {}", descriptor.digest);
        let bytes = ingest.store.read_verified(descriptor, &label);
        bytes.map_err(|e| (descriptor.digest.clone(), e))
    };
    let bytes = read(top)?;
    let label = format!("manifest {}", top.digest);
    let broken = |e| (top.digest.clone(), e);
    let document = manifest::parse_document(&bytes, &top.media_type, &label).map_err(broken)?;
    let manifest::Document::Manifest(found) = document else { return Ok(Vec::new()) };
    let config = read(&found.config)?;
    let label = format!("configuration {}", found.config.digest);
    let (_, diff_ids) =
        manifest::parse_config(&config, &label).map_err(|e| (found.config.digest.clone(), e))?;
    Ok(found.layers.into_iter().zip(diff_ids).collect())
}

/// What is wrong with it, if anything. An error is what keeps it from being looked at: what is whole
/// must not be taken for damaged, and removed, because the disk is full.
fn one_layer(ingest: &Ingest<'_>, layer: &Layer) -> Result<Option<(Error, Part)>> {
    let Layer { descriptor, diff_id, .. } = layer;
    let known = || {
        let label = format!("layer {}", descriptor.digest);
        let blob = std::fs::File::open(ingest.store.blob(&descriptor.digest))
            .what(|| format!("cannot use {label}"))?;
        let compression = Compression::of_media_type(&descriptor.media_type)?;
        let (digest, diff_id) = (descriptor.digest.clone(), diff_id.clone());
        Ok(Known { label, blob, compression, digest, diff_id })
    };
    let (staging, fresh) = match known().and_then(|layer| ingest.unpack_beside(layer)) {
        Ok(unpacked) => unpacked,
        Err(e) => {
            return match known().and_then(|layer| ingest.verify(layer)) {
                Ok(()) => Err(e),
                Err(e) => Ok(Some((e, Part::Blob(descriptor.digest.clone())))),
            };
        }
    };
    let kept = ingest.store.layer(diff_id);
    let found = if kept.is_dir() {
        ingest.compare(&compare::Job { fresh: fresh.clone(), kept })
    } else {
        Ok(Some("it is missing".to_owned()))
    };
    Ok(match found {
        Ok(None) => None,
        Ok(Some(why)) => {
            // The new tree stays until it is used, or swept by the next run.
            std::mem::forget(staging);
            let what = format!("cannot use the unpacked layer {diff_id}");
            Some((Error::new(what, why), Part::Tree(diff_id.clone(), Some(fresh))))
        }
        Err(e) => Some((e, Part::Tree(diff_id.clone(), None))),
    })
}

fn put_in_place(ingest: &Ingest<'_>, part: &Part) -> Result<bool> {
    let Part::Tree(diff_id, Some(fresh)) = part else { return Ok(false) };
    let kept = ingest.store.layer(diff_id);
    ingest.remove(&kept)?;
    std::fs::rename(fresh, &kept).what(|| format!("cannot mend layer {diff_id}"))?;
    Ok(true)
}
