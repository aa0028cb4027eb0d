//! An image as the store has it, byte for byte, to be handed out again.

use super::super::digest::Digest;
use super::super::layer::mismatch;
use super::super::manifest::{self, Descriptor, Manifest, REF_NAME};
use super::Store;
use crate::error::{Error, Result};

pub(crate) struct Record {
    /// `None` where it was asked for by a digest.
    pub(crate) name: Option<String>,
    pub(crate) descriptor: Descriptor,
    /// The manifest as it is and as it reads.
    pub(crate) document: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) config: Vec<u8>,
    pub(crate) diff_ids: Vec<Digest>,
    /// Nothing of the image is removed while this is open.
    _lease: std::fs::File,
}

impl Store {
    /// Looks an image up as [`Store::find`] does. Manifest and configuration are verified again: what
    /// is handed out must not carry a damage on.
    pub(crate) fn record(&self, reference: &str) -> Result<Record> {
        let index = self.index()?;
        let named = self.by_name(&index, reference);
        let name = named.and_then(|d| d.annotation(REF_NAME)).map(str::to_owned);
        let found = match named {
            Some(found) => found,
            None => self
                .by_digest(&index, reference)?
                .ok_or_else(|| super::unknown(&index, reference))?,
        };
        let lease = self.lease(found)?.ok_or_else(|| super::unknown(&index, reference))?;
        let document = self.verified(found)?;
        let manifest = self.manifest(found)?;
        let config = self.verified(&manifest.config)?;
        let label = format!("configuration {}", manifest.config.digest);
        let (_, diff_ids) = manifest::parse_config(&config, &label)?;
        if diff_ids.len() != manifest.layers.len() {
            let why =
                format!("it has {} diffIDs for {} layers", diff_ids.len(), manifest.layers.len());
            return Err(Error::new(format!("cannot use {label}"), why));
        }
        Ok(Record {
            name,
            descriptor: found.clone(),
            document,
            manifest,
            config,
            diff_ids,
            _lease: lease,
        })
    }

    fn verified(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let bytes = self.read_blob(descriptor)?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            let label = format!("blob {}", self.blob(&descriptor.digest).display());
            return Err(mismatch(&label, "digest", &descriptor.digest, &found));
        }
        Ok(bytes)
    }
}
