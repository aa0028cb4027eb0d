//! A container's changes as a new layer on its image.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use serde_json::{Map, Value, json};

use super::diff::Trees;
use super::digest::Digest;
use super::import::created;
use super::ingest::Ingest;
use super::instruction::{self, Instruction};
use super::layer::Report;
use super::manifest::{
    Compression, DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, Manifest, OCI_CONFIG, OCI_MANIFEST,
};
use super::pack;
use super::reference::Name;
use super::store::Record;
use crate::error::{Context as _, Error, Result};

/// What the new image is to say of itself.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) author: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// What ran in the container.
    pub(crate) created_by: String,
    pub(crate) changes: &'a [Instruction],
    /// With Docker's media types instead of image-spec's.
    pub(crate) docker: bool,
}

/// Makes an image of `base` and the changes in `trees`; the value is the digest of its configuration.
pub(crate) fn commit(
    ingest: &Ingest<'_>,
    base: Record,
    trees: Trees,
    about: &About<'_>,
    name: Option<&Name>,
) -> Result<Digest> {
    let created = created()?;
    let layer = layer(ingest, trees)?;
    let config = config(&base, &layer.diff_id, about, &created)?;
    let (id, size) = ingest.store.put(&config)?;
    let media_type = |compression: Compression| {
        if about.docker { compression.docker_media_type() } else { compression.media_type() }
    };
    let mut layers = Vec::new();
    for mut old in base.manifest.layers {
        old.media_type = media_type(Compression::of_media_type(&old.media_type)?).to_owned();
        layers.push(old);
    }
    layers.push(Descriptor::new(media_type(layer.compression), layer.digest, layer.size));
    let (manifest, media_type) = if about.docker {
        let config = Descriptor::new(DOCKER_CONFIG, id.clone(), size);
        (Manifest::docker(config, layers), DOCKER_MANIFEST)
    } else {
        (Manifest::new(Descriptor::new(OCI_CONFIG, id.clone(), size), layers), OCI_MANIFEST)
    };
    let (digest, size) = ingest.store.put(&to_json(&manifest)?)?;
    let descriptor = Descriptor::new(media_type, digest, size);
    ingest.store.add(descriptor, name.map(ToString::to_string).as_deref())?;
    Ok(id)
}

/// One worker packs the changes while another takes them in like any other layer.
fn layer(ingest: &Ingest<'_>, trees: Trees) -> Result<Report> {
    let what = || "cannot pack a container's changes";
    let (reader, writer) = std::io::pipe().what(what)?;
    let job = pack::Job { trees, layer: true };
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| pack::run(ingest.map(), &job, Stdio::from(writer)));
        let taken = ingest.unknown(File::from(OwnedFd::from(reader)), "the container's changes");
        let packed = packing.join().unwrap_or_else(|_| Err(Error::new(what(), "a thread died")))?;
        if packed.skipped > 0 && taken.is_ok() {
            ingest.watch.warn(&format!("left out {} sockets or device nodes", packed.skipped));
        }
        // What was cut off while it was packed is an error of the packer, returned above.
        taken
    })
}

fn config(base: &Record, diff_id: &Digest, about: &About<'_>, created: &str) -> Result<Vec<u8>> {
    let bad = |why: String| Error::new("cannot extend the image's configuration", why);
    // As a plain object: what sbx has no use for stays.
    let mut config: Map<String, Value> =
        serde_json::from_slice(&base.config).map_err(|e| bad(e.to_string()))?;
    config.insert("created".to_owned(), json!(created));
    match about.author {
        Some(author) => config.insert("author".to_owned(), json!(author)),
        None => config.remove("author"),
    };
    array(&mut config["rootfs"]["diff_ids"]).push(json!(diff_id));
    let history = array(config.entry("history").or_insert(Value::Null));
    // Tools count the entries: a layer that none tells of would shift the rest.
    let layers = |history: &[Value]| history.iter().filter(|e| e["empty_layer"] != true).count();
    while layers(history) < base.diff_ids.len() {
        history.push(json!({}));
    }
    let mut entry = json!({ "created": created, "created_by": about.created_by });
    for (key, value) in [("author", about.author), ("comment", about.message)] {
        if let Some(value) = value {
            entry[key] = json!(value);
        }
    }
    history.push(entry);
    let own = config.entry("config").or_insert(Value::Null);
    if !own.is_object() {
        *own = json!({});
    }
    if let Value::Object(own) = own {
        instruction::apply(about.changes, own);
    }
    to_json(&config)
}

fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made one"),
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::new("cannot write an image", e.to_string()))
}
