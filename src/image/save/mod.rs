//! Images out of the store, into an archive or a directory. The same images give the same bytes.

mod add;
mod docker;
mod oci;
mod output;
mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

pub(crate) use add::add_to_layout;
use output::Output;

use super::digest::Digest;
use super::ingest::Watch;
use super::manifest::{Compression, Descriptor};
use super::store::{Record, Store};
use super::tally::{Part, Tally};
use super::tar::Writer;
use crate::cli::archive::SaveFormat;
use crate::error::Result;

/// Where to save to.
pub(crate) enum Target {
    /// An archive, written from its beginning to its end.
    Archive(File),
    /// A directory that is there and empty.
    Directory(PathBuf),
}

struct Saving<'a> {
    store: &'a Store,
    tally: &'a Tally<'a>,
    form: &'a Form<'a>,
    out: Output,
    /// What is in `out` already, with its length: images share layers.
    written: BTreeMap<String, u64>,
    /// The manifest that was written last; a docker archive has none.
    manifest: Option<Digest>,
}

/// How images are written.
pub(crate) struct Form<'a> {
    pub(crate) format: SaveFormat,
    /// Makes layers gzip ones where they are not compressed.
    pub(crate) compress: bool,
    /// What one image is called instead of by its own name.
    pub(crate) name: Option<&'a str>,
}

/// Saves what was found under `references`; of one image the digest of its manifest comes back, where
/// the format has that.
pub(crate) fn save(
    store: &Store,
    watch: &dyn Watch,
    references: &[String],
    form: &Form<'_>,
    target: Target,
) -> Result<Option<Digest>> {
    let mut images = images(store, references)?;
    if let (Some(name), [image]) = (form.name, &mut images[..]) {
        image.names = vec![name.to_owned()];
    }
    let out = match target {
        Target::Archive(file) => Output::Archive(Writer::new(file)),
        Target::Directory(dir) => Output::Directory(dir),
    };
    let layers = || images.iter().flat_map(|image| &image.record.manifest.layers);
    let mut total = 0_u64;
    for layer in layers() {
        total = total.saturating_add(form.reads(layer)?);
    }
    let tally = &Tally::new(watch, total, layers().count());
    let mut saving = Saving { store, tally, form, out, written: BTreeMap::new(), manifest: None };
    match form.format {
        SaveFormat::DockerArchive => saving.docker_archive(&images)?,
        SaveFormat::DockerDir => {
            for image in &images {
                saving.docker_dir(image)?;
            }
        }
        SaveFormat::Dir => {
            for image in &images {
                saving.dir(image)?;
            }
        }
        SaveFormat::OciArchive | SaveFormat::OciDir => saving.oci(&images)?,
    }
    saving.out.finish()?;
    Ok(saving.manifest)
}

impl Form<'_> {
    /// How much is read of a layer. What is compressed and becomes a plain tar is read twice.
    fn reads(&self, layer: &Descriptor) -> Result<u64> {
        let compression = Compression::of_media_type(&layer.media_type)?;
        let plain = match self.format {
            SaveFormat::DockerArchive => compression != Compression::None,
            SaveFormat::DockerDir => compression == Compression::Zstd && !self.compress,
            _ => false,
        };
        Ok(if plain { layer.size.saturating_mul(2) } else { layer.size })
    }
}

/// An image with all the names that it is saved under.
struct Image {
    names: Vec<String>,
    record: Record,
}

/// Each image once, in the order in which they were asked for.
fn images(store: &Store, references: &[String]) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    for reference in references {
        let record = store.record(reference)?;
        let name = record.name.clone();
        let digest = &record.descriptor.digest;
        let place = match images.iter().position(|i| i.record.descriptor.digest == *digest) {
            Some(place) => place,
            None => {
                images.push(Image { names: Vec::new(), record });
                images.len() - 1
            }
        };
        let names = &mut images[place].names;
        names.extend(name.filter(|name| !names.contains(name)));
    }
    Ok(images)
}

impl<'a> Saving<'a> {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.copy(name, bytes.len() as u64, &mut &*bytes)
    }

    fn copy(&mut self, name: &str, size: u64, from: &mut dyn std::io::Read) -> Result<()> {
        if self.written.insert(name.to_owned(), size).is_none() {
            self.out.copy(name, size, from)?;
        }
        Ok(())
    }

    fn put_json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        self.put(name, &to_json(value)?)
    }

    /// A layer that is about to be read.
    fn begin(&self, layer: &Descriptor) -> Result<Part<'a>> {
        Ok(self.tally.layer(self.form.reads(layer)?))
    }

    /// A blob as it is.
    fn blob(&mut self, name: &str, digest: &Digest, size: u64, part: &Part<'_>) -> Result<()> {
        if self.written.contains_key(name) {
            return Ok(());
        }
        let mut blob = read::Verified::stored(self.store, part, digest)?;
        self.copy(name, size, &mut blob)?;
        blob.check(digest)
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| crate::error::Error::new("cannot write an image's description", e.to_string()))
}
