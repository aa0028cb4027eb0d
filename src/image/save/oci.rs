//! An OCI image layout: image-spec, "OCI Image Layout Specification".

use super::super::digest::Digest;
use super::super::manifest::{Compression, Descriptor, Index, Manifest, OCI_CONFIG, OCI_MANIFEST};
use super::super::store::Record;
use super::super::tally::Part;
use super::read::Verified;
use super::{Image, Saving, to_json};
use crate::error::Result;

const BLOBS: &str = "blobs/sha256/";

impl Saving<'_> {
    pub(super) fn oci(&mut self, images: &[Image]) -> Result<()> {
        self.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.out.directory("blobs")?;
        self.out.directory("blobs/sha256")?;
        let mut index = Index::empty();
        for Image { names, record } in images {
            let manifest = self.manifest(record)?;
            if names.is_empty() {
                index.manifests.push(manifest.clone());
            }
            for name in names {
                let mut named = manifest.clone();
                named.set_ref_name(Some(name));
                index.manifests.push(named);
            }
        }
        self.put_json("index.json", &index)
    }

    /// The manifest as it is stored, unless it is Docker's or layers change.
    fn manifest(&mut self, record: &Record) -> Result<Descriptor> {
        let mut kept = record.descriptor.media_type == OCI_MANIFEST;
        let mut layers = Vec::new();
        for (layer, diff_id) in record.manifest.layers.iter().zip(&record.diff_ids) {
            let compression = Compression::of_media_type(&layer.media_type)?;
            let part = self.begin(layer)?;
            layers.push(if self.form.compress && compression == Compression::None {
                kept = false;
                let (digest, size) = self.compressed(BLOBS, layer, diff_id, &part)?;
                Descriptor::new(Compression::Gzip.media_type(), digest, size)
            } else {
                self.blob(&blob_name(&layer.digest), &layer.digest, layer.size, &part)?;
                Descriptor::new(compression.media_type(), layer.digest.clone(), layer.size)
            });
            part.finish();
        }
        let config = &record.manifest.config;
        self.put(&blob_name(&config.digest), &record.config)?;
        let document = if kept {
            record.document.clone()
        } else {
            to_json(&Manifest::new(
                Descriptor::new(OCI_CONFIG, config.digest.clone(), config.size),
                layers,
            ))?
        };
        let digest = Digest::of(&document);
        self.put(&blob_name(&digest), &document)?;
        self.manifest = Some(digest.clone());
        Ok(Descriptor::new(OCI_MANIFEST, digest, document.len() as u64))
    }

    /// A layer's tar as a gzip file below `prefix`.
    pub(super) fn compressed(
        &mut self,
        prefix: &str,
        layer: &Descriptor,
        diff_id: &Digest,
        part: &Part<'_>,
    ) -> Result<(Digest, u64)> {
        let compression = Compression::of_media_type(&layer.media_type)?;
        let mut tar = Verified::inflated(self.store, part, &layer.digest, compression)?;
        let made = self.out.compressed(prefix, &mut tar)?;
        tar.check(diff_id)?;
        Ok(made)
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hex())
}
