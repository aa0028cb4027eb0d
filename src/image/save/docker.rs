//! What `docker save` writes, with every layer a plain tar; and the directory of containers-transports(5),
//! "dir:path".

use serde_json::json;

use super::super::digest::Digest;
use super::super::manifest::{Compression, DOCKER_CONFIG, Descriptor, Manifest};
use super::super::tally::Part;
use super::read::Verified;
use super::{Image, Saving};
use crate::error::Result;

/// containers-transports(5), "dir:path".
const DIR_VERSION: &[u8] = b"Directory Transport Version: 1.1\n";

impl Saving<'_> {
    pub(super) fn docker_archive(&mut self, images: &[Image]) -> Result<()> {
        let mut list = Vec::new();
        for Image { names, record } in images {
            let mut layers = Vec::new();
            for (layer, diff_id) in record.manifest.layers.iter().zip(&record.diff_ids) {
                let name = format!("{}.tar", diff_id.hex());
                let part = self.begin(layer)?;
                self.plain(&name, layer, diff_id, &part)?;
                part.finish();
                layers.push(name);
            }
            let config = format!("{}.json", record.manifest.config.digest.hex());
            self.put(&config, &record.config)?;
            list.push(json!({ "Config": config, "RepoTags": names, "Layers": layers }));
        }
        self.put_json("manifest.json", &list)
    }

    /// A layer's tar; its length comes back. A header stands before its data, so that what is compressed
    /// is read twice: once for the length.
    fn plain(
        &mut self,
        name: &str,
        layer: &Descriptor,
        diff_id: &Digest,
        part: &Part<'_>,
    ) -> Result<u64> {
        let compression = Compression::of_media_type(&layer.media_type)?;
        if compression == Compression::None {
            self.blob(name, diff_id, layer.size, part)?;
            return Ok(layer.size);
        }
        if let Some(size) = self.written.get(name) {
            return Ok(*size);
        }
        let store = self.store;
        let open = || Verified::inflated(store, part, &layer.digest, compression);
        let mut measured = open()?;
        measured.read_all()?;
        let size = measured.count();
        measured.check(diff_id)?;
        let mut tar = open()?;
        self.copy(name, size, &mut tar)?;
        tar.check(diff_id)?;
        Ok(size)
    }

    /// As it is stored.
    pub(super) fn dir(&mut self, Image { record, .. }: &Image) -> Result<()> {
        self.put("version", DIR_VERSION)?;
        for layer in &record.manifest.layers {
            let part = self.begin(layer)?;
            self.blob(layer.digest.hex(), &layer.digest, layer.size, &part)?;
            part.finish();
        }
        self.put(record.manifest.config.digest.hex(), &record.config)?;
        self.manifest = Some(record.descriptor.digest.clone());
        self.put("manifest.json", &record.document)
    }

    pub(super) fn docker_dir(&mut self, Image { record, .. }: &Image) -> Result<()> {
        self.put("version", DIR_VERSION)?;
        let mut layers = Vec::new();
        for (layer, diff_id) in record.manifest.layers.iter().zip(&record.diff_ids) {
            let compression = Compression::of_media_type(&layer.media_type)?;
            let part = self.begin(layer)?;
            layers.push(match compression {
                Compression::Gzip => {
                    self.blob(layer.digest.hex(), &layer.digest, layer.size, &part)?;
                    Descriptor::new(
                        compression.docker_media_type(),
                        layer.digest.clone(),
                        layer.size,
                    )
                }
                _ if self.form.compress => {
                    let (digest, size) = self.compressed("", layer, diff_id, &part)?;
                    Descriptor::new(Compression::Gzip.docker_media_type(), digest, size)
                }
                // Not every reader of this format knows zstd.
                Compression::None | Compression::Zstd => {
                    let size = self.plain(diff_id.hex(), layer, diff_id, &part)?;
                    Descriptor::new(Compression::None.docker_media_type(), diff_id.clone(), size)
                }
            });
            part.finish();
        }
        let config = &record.manifest.config;
        self.put(config.digest.hex(), &record.config)?;
        let config = Descriptor::new(DOCKER_CONFIG, config.digest.clone(), config.size);
        self.put_json("manifest.json", &Manifest::docker(config, layers))
    }
}
