//! All images, with what is known of each.

use serde_json::Value;

use super::super::date;
use super::super::digest::Digest;
use super::super::manifest::{Descriptor, Manifest, REF_NAME};
use super::{Store, names, read_capped};
use crate::error::{Error, Result};

/// An image of the index with all its names.
pub(crate) struct Listed {
    /// Of the manifest.
    pub(crate) digest: Digest,
    /// Sorted.
    pub(crate) names: Vec<String>,
    /// An error where the image is damaged, or not for this host alone.
    pub(crate) details: Result<Details>,
}

pub(crate) struct Details {
    /// The digest of the configuration, which other tools call the image id.
    pub(crate) id: Digest,
    pub(crate) media_type: String,
    pub(crate) manifest: Manifest,
    /// Of the manifest, by its own text.
    pub(crate) annotations: Value,
    /// As it is: other tools put into it what they like.
    pub(crate) config: Value,
}

impl Store {
    /// Newest first; what is damaged comes last.
    pub(crate) fn list(&self) -> Result<Vec<Listed>> {
        let index = self.index()?;
        let mut all: Vec<Listed> = Vec::new();
        for descriptor in &index.manifests {
            let digest = &descriptor.digest;
            if all.iter().any(|listed| listed.digest == *digest) {
                continue;
            }
            let details = self.details(descriptor);
            // Removed since the index was read.
            if details.is_err() && !self.is_listed(digest)? {
                continue;
            }
            let names = names::names_of(&index, |d| d.digest == *digest);
            all.push(Listed { digest: digest.clone(), names, details });
        }
        all.sort_by_key(|l| {
            std::cmp::Reverse(l.details.as_ref().map_or(i64::MIN, Details::created_or_0))
        });
        Ok(all)
    }

    /// The one that `reference` means, and the name that it was found by.
    pub(crate) fn get(&self, reference: &str) -> Result<(Listed, Option<String>)> {
        let index = self.index()?;
        let by = self.by_name(&index, reference);
        let found = match by {
            Some(found) => found,
            None => self.look_up(&index, reference)?,
        };
        let name = by.and_then(|d| d.annotation(REF_NAME)).map(str::to_owned);
        let names = names::names_of(&index, |d| d.digest == found.digest);
        let details = self.details(found);
        Ok((Listed { digest: found.digest.clone(), names, details }, name))
    }

    /// The id of the image with this manifest, listed or not.
    pub(crate) fn id_of(&self, manifest: &str) -> Option<Digest> {
        let bytes = read_capped(&self.blob(&Digest::parse(manifest).ok()?)).ok()?;
        let manifest: Value = serde_json::from_slice(&bytes).ok()?;
        Digest::parse(manifest["config"]["digest"].as_str()?).ok()
    }

    fn details(&self, descriptor: &Descriptor) -> Result<Details> {
        let manifest = self.manifest(descriptor)?;
        let read = |descriptor: &Descriptor| -> Result<Value> {
            serde_json::from_slice(&self.read_blob(descriptor)?).map_err(|e| {
                Error::new(format!("cannot read blob {}", descriptor.digest), e.to_string())
            })
        };
        let annotations = match read(descriptor)?["annotations"].take() {
            Value::Null => Value::Object(serde_json::Map::new()),
            annotations => annotations,
        };
        let config = read(&manifest.config)?;
        let (id, media_type) = (manifest.config.digest.clone(), descriptor.media_type.clone());
        Ok(Details { id, media_type, manifest, annotations, config })
    }
}

impl Details {
    /// Seconds since 1970, where the image says.
    pub(crate) fn created(&self) -> Option<i64> {
        date::seconds(self.config["created"].as_str()?)
    }

    fn created_or_0(&self) -> i64 {
        self.created().unwrap_or(0)
    }

    /// Of the configuration and the layers as they are stored, most of them compressed.
    pub(crate) fn size(&self) -> u64 {
        let layers = self.manifest.layers.iter().map(|layer| layer.size);
        layers.fold(self.manifest.config.size, u64::saturating_add)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.config["config"]["Labels"].get(key)?.as_str()
    }

    /// The steps of the build, oldest first.
    pub(crate) fn history(&self) -> &[Value] {
        self.config["history"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Digests of the layers' tars, lowest first.
    pub(crate) fn diff_ids(&self) -> &[Value] {
        self.config["rootfs"]["diff_ids"].as_array().map_or(&[], Vec::as_slice)
    }
}
