//! The store on disk.
//!
//! `images/` is an OCI image layout, which other tools read and write; `layers/` has a tree for each
//! diffID, made of the blobs there; `tmp/` is where both are staged.

mod catalog;
mod collect;
mod names;
mod record;
mod remove;

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use oci_spec::image::ImageConfiguration;

pub(crate) use catalog::{Details, Listed};
pub(crate) use collect::Hold;
pub(crate) use record::Record;
pub(crate) use remove::{Force, Removed};

use super::digest::Digest;
use super::layer::OPAQUE_SUFFIX;
use super::manifest::{
    self, Descriptor, Document, FROM_INDEX, Index, MAX_JSON, Manifest, REF_NAME,
};
use super::mountpoints;
use super::platform::Platform;
use super::reference;
use crate::error::{Context, Error, Result};
use crate::host::dirs::{Dirs, make_private};

/// An image that can be run.
#[derive(Debug)]
pub(crate) struct Image {
    /// As the index has it; the digest where it has no name.
    pub(crate) name: String,
    /// Of the manifest.
    pub(crate) digest: Digest,
    pub(crate) config: ImageConfiguration,
    /// Unpacked layers, lowest first.
    pub(crate) layers: Vec<PathBuf>,
    /// What lies below them all.
    pub(crate) mountpoints: PathBuf,
    /// Nothing of the image is removed while this is open.
    _lease: File,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    images: PathBuf,
    layers: PathBuf,
    tmp: PathBuf,
}

impl Store {
    /// Opens the user's store, making its directories where they are missing.
    pub(crate) fn open(dirs: &Dirs) -> Result<Self> {
        let store = Store {
            images: dirs.data.join("images"),
            layers: dirs.data.join("layers"),
            tmp: dirs.data.join("tmp"),
        };
        make_private(&dirs.data)?;
        for dir in [&store.images, &store.blobs(), &store.layers, &store.tmp] {
            make_private(dir)?;
        }
        Ok(store)
    }

    /// Looks an image up by name, or by digest or its beginning. Blobs are trusted: they were
    /// verified on their way in.
    pub(crate) fn find(&self, reference: &str) -> Result<Image> {
        loop {
            let index = self.index()?;
            let found = self.look_up(&index, reference)?;
            if let Some(lease) = self.lease(found)? {
                return self.image(found, reference, lease);
            }
            // It was removed just now: the name may stand for another by now.
        }
    }

    /// Whether there is an image of the name or digest, though it may not be usable.
    pub(crate) fn has(&self, reference: &str) -> Result<bool> {
        let index = self.index()?;
        Ok(self.by_name(&index, reference).is_some()
            || self.by_digest(&index, reference)?.is_some())
    }

    fn look_up<'a>(&self, index: &'a Index, reference: &str) -> Result<&'a Descriptor> {
        match self.by_name(index, reference) {
            Some(found) => Ok(found),
            None => self.by_digest(index, reference)?.ok_or_else(|| unknown(index, reference)),
        }
    }

    /// A shared lock on the manifest, which whoever removes it must have alone; `None` where the image
    /// is gone.
    fn lease(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let path = self.blob(&descriptor.digest);
        let what = || format!("cannot read {}", path.display());
        let missing = match File::open(&path) {
            Ok(file) => {
                file.lock_shared().what(|| format!("cannot lock {}", path.display()))?;
                if file.metadata().what(what)?.nlink() > 0 {
                    return Ok(Some(file));
                }
                ErrorKind::NotFound.into()
            }
            Err(e) => e,
        };
        if missing.kind() == ErrorKind::NotFound && !self.is_listed(&descriptor.digest)? {
            return Ok(None);
        }
        let fix = format!("sbx rmi -f {}, then load it again", descriptor.digest);
        Err(missing).what(what).map_err(|e| e.fix(fix))
    }

    fn is_listed(&self, digest: &Digest) -> Result<bool> {
        Ok(self.index()?.manifests.iter().any(|d| d.digest == *digest))
    }

    fn by_name<'a>(&self, index: &'a Index, reference: &str) -> Option<&'a Descriptor> {
        let named =
            |name: &str| index.manifests.iter().find(|d| d.annotation(REF_NAME) == Some(name));
        named(reference).or_else(|| {
            reference::candidates(reference).iter().find_map(|name| named(&name.to_string()))
        })
    }

    /// `[name@]sha256:…`, or at least four digits of a manifest's digest or a configuration's (the
    /// image id of other tools).
    fn by_digest<'a>(&self, index: &'a Index, reference: &str) -> Result<Option<&'a Descriptor>> {
        if let Some((name, digest)) = reference.split_once('@') {
            let digest = Digest::parse(digest)?;
            let names = reference::candidates(name);
            return Ok(index.manifests.iter().find(|d| {
                d.digest == digest
                    && d.annotation(REF_NAME)
                        .is_some_and(|own| names.iter().any(|n| same_repository(own, n)))
            }));
        }
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        if digits.len() < 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut found: Vec<&Descriptor> = Vec::new();
        for candidate in &index.manifests {
            let by_config = || {
                self.manifest(candidate).is_ok_and(|m| m.config.digest.hex().starts_with(digits))
            };
            if (candidate.digest.hex().starts_with(digits) || by_config())
                && found.iter().all(|other| other.digest != candidate.digest)
            {
                found.push(candidate);
            }
        }
        // One image may have several manifests, which differ in how layers are compressed.
        let same = |other: &&Descriptor| {
            let id = |d| self.manifest(d).map(|m| m.config.digest);
            matches!((id(found[0]), id(other)), (Ok(a), Ok(b)) if a == b)
        };
        if found.len() > 1 && !found.iter().all(same) {
            let all: Vec<&str> = found.iter().map(|d| d.digest.as_str()).collect();
            return Err(Error::new(
                format!("cannot find one image {reference:?}"),
                format!("it is the beginning of {}", all.join(" and ")),
            )
            .fix("give more digits"));
        }
        Ok(found.pop())
    }

    /// The image id that a full name has, if it is in the store.
    pub(crate) fn id_named(&self, name: &str) -> Result<Option<Digest>> {
        let index = self.index()?;
        let found = index.manifests.iter().find(|d| d.annotation(REF_NAME) == Some(name));
        found.map(|d| self.manifest(d).map(|m| m.config.digest)).transpose()
    }

    /// Whether the image of this full name is the one that `digest` stands for, its manifest's or that of
    /// the index it was chosen from, and nothing of it is missing.
    pub(crate) fn is_whole(
        &self,
        name: &str,
        digest: &Digest,
        platform: Option<&Platform>,
    ) -> Result<bool> {
        let index = self.index()?;
        let named = index.manifests.iter().find(|d| d.annotation(REF_NAME) == Some(name));
        let Some(found) = named else { return Ok(false) };
        let host = Platform::host();
        let chosen = super::load::chosen(digest, platform.unwrap_or(&host));
        let same = found.digest == *digest || found.annotation(FROM_INDEX) == Some(&chosen);
        if !same || self.find(name).is_err() {
            return Ok(false);
        }
        let manifest = self.manifest(found)?;
        Ok(manifest.layers.iter().all(|layer| self.blob(&layer.digest).exists()))
    }

    /// The manifest of an image, with its descriptor and its bytes.
    pub(crate) fn manifest_of(&self, reference: &str) -> Result<(Descriptor, Manifest, Vec<u8>)> {
        let index = self.index()?;
        let found = self.look_up(&index, reference)?;
        Ok((found.clone(), self.manifest(found)?, self.read_blob(found)?))
    }

    fn image(&self, descriptor: &Descriptor, reference: &str, lease: File) -> Result<Image> {
        let manifest = self.manifest(descriptor)?;
        let label = format!("configuration {} of image {reference:?}", manifest.config.digest);
        let bytes = self.read_blob(&manifest.config)?;
        let (config, diff_ids) = manifest::parse_config(&bytes, &label)?;
        let mut layers = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids {
            let dir = self.layer(&diff_id);
            if !dir.is_dir() {
                let fix = format!("sbx load -i {}:{reference}", self.images.display());
                return Err(Error::new(
                    format!("cannot use image {reference:?}"),
                    format!("its layer {diff_id} is not unpacked"),
                )
                .fix(fix));
            }
            if self.opaque_mark(&diff_id).exists() {
                // It hides everything below, and overlay does not see that on a layer's root.
                layers.clear();
            }
            layers.push(dir);
        }
        let name = descriptor.annotation(REF_NAME).unwrap_or(descriptor.digest.as_str()).to_owned();
        let mountpoints = mountpoints::ensure(&self.layers, &self.tmp)?;
        let digest = descriptor.digest.clone();
        Ok(Image { name, digest, config, layers, mountpoints, _lease: lease })
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let label = format!("manifest {}", descriptor.digest);
        let bytes = self.read_blob(descriptor)?;
        match manifest::parse_document(&bytes, &descriptor.media_type, &label)? {
            Document::Manifest(manifest) => Ok(*manifest),
            Document::Index(_) => Err(Error::new(
                format!("cannot use {label}"),
                "it is an index of several platforms",
            )
            .fix(format!("sbx load -i {}", self.images.display()))),
        }
    }

    /// The names of all images.
    pub(crate) fn index(&self) -> Result<Index> {
        let path = self.images.join("index.json");
        match read_capped(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                // What is in the store stays there, and is not downloaded again.
                let fix = format!("mv {0} {0}.damaged, then pull the images again", path.display());
                Error::new(format!("cannot read {}", path.display()), e.to_string()).fix(fix)
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Index::empty()),
            Err(e) => Err(e).what(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps a small blob.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<(Digest, u64)> {
        let digest = Digest::of(bytes);
        let path = self.blob(&digest);
        if !path.exists() {
            self.write_file(&path, bytes)?;
        }
        Ok((digest, bytes.len() as u64))
    }

    /// Writes beside the target, syncs, renames: the old content or the new, never a mix.
    fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let what = || format!("cannot write {}", path.display());
        let staging =
            super::staging::Staging::private(&self.tmp, &crate::userns::idmap::IdMap::Inherit)?;
        let staged = staging.path().join("file");
        let mut file =
            File::options().write(true).create_new(true).mode(0o600).open(&staged).what(what)?;
        file.write_all(bytes).what(what)?;
        file.sync_all().what(what)?;
        std::fs::rename(&staged, path).what(what)
    }

    fn read_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = self.blob(&descriptor.digest);
        read_capped(&path).what(|| format!("cannot read {}", path.display()))
    }

    /// A small blob, when it is what its descriptor says.
    pub(crate) fn read_verified(&self, descriptor: &Descriptor, label: &str) -> Result<Vec<u8>> {
        let bytes = self.read_blob(descriptor)?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(super::layer::mismatch(label, "digest", &descriptor.digest, &found));
        }
        Ok(bytes)
    }

    pub(crate) fn tmp(&self) -> &Path {
        &self.tmp
    }

    pub(crate) fn layers(&self) -> &Path {
        &self.layers
    }

    /// The directory of all that is sbx's.
    fn data(&self) -> &Path {
        self.tmp.parent().unwrap_or(&self.tmp)
    }

    fn blobs(&self) -> PathBuf {
        self.images.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// The unpacked tree of a layer.
    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers.join(diff_id.hex())
    }

    fn opaque_mark(&self, diff_id: &Digest) -> PathBuf {
        self.layers.join(format!("{}{OPAQUE_SUFFIX}", diff_id.hex()))
    }
}

fn same_repository(own: &str, name: &reference::Name) -> bool {
    // One that was pulled by its digest has that in its name.
    let own = own.split('@').next().unwrap_or_default();
    reference::Name::parse(own, reference::Unqualified::Localhost)
        .is_ok_and(|own| own.repository() == name.repository())
}

/// Reads a small file whole.
pub(super) fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_JSON + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(std::io::Error::other(format!("it is over the limit of {MAX_JSON} bytes")));
    }
    Ok(bytes)
}

fn unknown(index: &Index, reference: &str) -> Error {
    let mut why = "no image in the store has this name or digest".to_owned();
    let similar = similar(index, reference);
    if !similar.is_empty() {
        why += &format!(" (there is {})", similar.join(", "));
    }
    Error::new(format!("cannot find image {reference:?}"), why)
        .fix("sbx pull NAME, sbx load -i ARCHIVE, or sbx import ROOT.tar NAME")
}

/// Names that share the last part of the repository, or most of it.
fn similar<'a>(index: &'a Index, reference: &str) -> Vec<&'a str> {
    let last = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or_default();
        name.split([':', '@']).next().unwrap_or_default().to_ascii_lowercase()
    };
    let wanted = last(reference);
    let mut scored: Vec<(usize, &str)> = index
        .manifests
        .iter()
        .filter_map(|d| d.annotation(REF_NAME))
        .filter_map(|name| {
            let own = last(name);
            let distance = distance(&wanted, &own);
            let near = distance <= wanted.len().min(own.len()) / 3;
            let part = !wanted.is_empty() && (own.contains(&wanted) || wanted.contains(&own));
            (near || part).then_some((distance, name))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein's distance, of short names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
