//! Images from files: an OCI layout, its archive, a docker archive, or a directory of dir:.

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use super::digest::Digest;
use super::ingest::{Ingest, Layer};
use super::manifest::{
    self, Compression, Descriptor, Document, FROM_INDEX, Index, Manifest, OCI_CONFIG, OCI_MANIFEST,
    REF_NAME,
};
use super::platform::Platform;
use super::reference::{Name, Unqualified};
use super::source::Source;
use super::transport::Transport;
use crate::error::{Error, Result};

/// containerd and docker keep the full name here and a bare tag in `ref.name`.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Indexes may point at indexes; real ones do so once.
const MAX_INDEX_DEPTH: usize = 3;

/// An image that is in the store now.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) names: Vec<String>,
    /// Of the manifest.
    pub(crate) digest: Digest,
    /// The digest of the configuration, which other tools call the image id.
    pub(crate) id: Digest,
}

/// An image as the source has it, its small parts read and verified.
pub(crate) struct Found {
    names: Vec<String>,
    config: Vec<u8>,
    config_digest: Digest,
    layers: Vec<Layer>,
    /// A docker archive has none that image-spec knows.
    manifest: Option<(Descriptor, Vec<u8>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Every image of `source`, or the one called `reference`; `expected` is what the user said it is.
pub(crate) fn find(
    source: &Source,
    reference: Option<&str>,
    expected: Option<Transport>,
) -> Result<Vec<Found>> {
    let label = source.label();
    let refused = |why: &str| Error::new(format!("cannot load {label}"), why);
    let transport = source.transport()?.ok_or_else(|| {
        refused("it has neither index.json (an OCI layout) nor manifest.json (a docker archive)")
            .fix(format!("sbx import {label}, if it is the tar of a root file system"))
    })?;
    if let Some(expected) = expected.filter(|expected| *expected != transport) {
        let why = format!("it is {}, not {}", transport.describe(), expected.describe());
        return Err(refused(&why).fix(format!("sbx load -i {label}")));
    }
    match transport {
        Transport::Oci | Transport::OciArchive => layout(source, reference),
        Transport::DockerArchive => docker(source, reference),
        Transport::Dir if reference.is_some() => {
            let why = "it holds one image, which has no name";
            Err(refused(why).fix(format!("sbx load -i {label}")))
        }
        Transport::Dir => {
            let bytes = source.read("manifest.json")?.ok_or_else(|| {
                refused("its manifest.json is missing").fix("get it again from where it came from")
            })?;
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            let top = Descriptor::new(&super::pull::media_type(&bytes), digest, size);
            Ok(vec![layout_image(source, &top, &Platform::host())?])
        }
    }
}

/// The image of a registry whose manifest or index is `top`; it gets this name. Without a platform it
/// is the one for this host.
pub(super) fn from_registry(
    ingest: &Ingest<'_>,
    source: &Source,
    top: &Descriptor,
    name: Option<String>,
    platform: Option<&Platform>,
) -> Result<Loaded> {
    let mut found = layout_image(source, top, platform.unwrap_or(&Platform::host()))?;
    if let Some(wanted) = platform {
        check_platform(wanted, &found.config, source.label())?;
    }
    found.names = name.into_iter().collect();
    if let Some((descriptor, _)) = &mut found.manifest
        && descriptor.digest != top.digest
    {
        let host = Platform::host();
        descriptor.annotate(FROM_INDEX, Some(&chosen(&top.digest, platform.unwrap_or(&host))));
    }
    let loaded = take_in(ingest, vec![found])?;
    loaded
        .into_iter()
        .next()
        .ok_or_else(|| Error::new(format!("cannot pull {}", source.label()), "it holds no image"))
}

/// What is noted beside a manifest that was chosen from an index.
pub(super) fn chosen(index: &Digest, platform: &Platform) -> String {
    format!("{index} {platform}")
}

/// Without an index an image is what it is; that is an error only where another was asked for.
fn check_platform(wanted: &Platform, config: &[u8], label: &str) -> Result<()> {
    let (config, _) = manifest::parse_config(config, &format!("the configuration of {label}"))?;
    match Platform::of(&config) {
        Some(is) if !wanted.takes(&is) => Err(Error::new(
            format!("cannot pull {label}"),
            format!("it is for {is}, not for {wanted}"),
        )
        .fix(format!("sbx pull --platform {is} {label}, if that will do"))),
        _ => Ok(()),
    }
}

/// Puts images with their layers into the store.
pub(crate) fn take_in(ingest: &Ingest<'_>, found: Vec<Found>) -> Result<Vec<Loaded>> {
    // All layers of all images at once; what images share is recognised by its diffID.
    let mut rest = Vec::new();
    let mut layers = Vec::new();
    for image in found {
        rest.push((
            image.names,
            image.config,
            image.config_digest,
            image.manifest,
            image.layers.len(),
        ));
        layers.extend(image.layers);
    }
    let (unique, places) = unique(layers);
    let descriptors = ingest.layers(&unique)?;
    let mut places = places.into_iter();
    let mut loaded = Vec::new();
    for (names, config, id, manifest, count) in rest {
        let layers = places.by_ref().take(count).map(|i| descriptors[i].clone()).collect();
        ingest.store.put(&config)?;
        let descriptor = match manifest {
            Some((descriptor, bytes)) => {
                ingest.store.put(&bytes)?;
                descriptor
            }
            None => {
                let config = Descriptor::new(OCI_CONFIG, id.clone(), config.len() as u64);
                write_manifest(ingest, config, layers)?
            }
        };
        for name in &names {
            ingest.store.add(descriptor.clone(), Some(name))?;
        }
        let digest = descriptor.digest.clone();
        if names.is_empty() {
            ingest.store.add(descriptor, None)?;
        }
        loaded.push(Loaded { names, digest, id });
    }
    Ok(loaded)
}

/// Stores a new manifest and returns its descriptor.
pub(super) fn write_manifest(
    ingest: &Ingest<'_>,
    config: Descriptor,
    layers: Vec<Descriptor>,
) -> Result<Descriptor> {
    let bytes = serde_json::to_vec(&Manifest::new(config, layers))
        .map_err(|e| Error::new("cannot write a manifest", e.to_string()))?;
    let (digest, size) = ingest.store.put(&bytes)?;
    Ok(Descriptor::new(OCI_MANIFEST, digest, size))
}

/// Each layer once, and where each of the given ones is among them.
fn unique(layers: Vec<Layer>) -> (Vec<Layer>, Vec<usize>) {
    let mut seen = std::collections::HashMap::new();
    let mut kept: Vec<Layer> = Vec::new();
    let mut places = Vec::new();
    for layer in layers {
        let key = (layer.diff_id.clone(), layer.digest.clone());
        let place = *seen.entry(key).or_insert(kept.len());
        if place == kept.len() {
            kept.push(layer);
        }
        places.push(place);
    }
    (kept, places)
}

fn layout(source: &Source, reference: Option<&str>) -> Result<Vec<Found>> {
    let refused = |why: String| Error::new(format!("cannot load {}", source.label()), why);
    let bytes = source.read("index.json")?.unwrap_or_default();
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| refused(format!("its index.json is not valid: {e}")))?;
    let wanted: Vec<&Descriptor> =
        index.manifests.iter().filter(|d| reference.is_none_or(|r| is_called(d, r))).collect();
    if wanted.is_empty() {
        let there: Vec<&str> =
            index.manifests.iter().filter_map(|d| d.annotation(REF_NAME)).take(10).collect();
        return Err(refused(match reference {
            Some(reference) => {
                format!("it has no image {reference:?} (it has: {})", there.join(", "))
            }
            None => "it has no image".to_owned(),
        }));
    }
    let host = Platform::host();
    let fitting: Vec<&Descriptor> = wanted.iter().copied().filter(|d| host.may_be(d)).collect();
    if fitting.is_empty() {
        return Err(host.missing(source.label(), None, wanted.iter().copied()));
    }
    fitting.into_iter().map(|descriptor| layout_image(source, descriptor, &host)).collect()
}

fn is_called(descriptor: &Descriptor, reference: &str) -> bool {
    descriptor.annotation(REF_NAME) == Some(reference)
        || descriptor.digest.as_str() == reference
        || full_name(descriptor).is_some_and(|name| {
            super::reference::candidates(reference).iter().any(|n| n.to_string() == name)
        })
}

/// The name that the image gets; without a registry it is a local one, as with podman.
fn full_name(descriptor: &Descriptor) -> Option<String> {
    let name =
        descriptor.annotation(CONTAINERD_NAME).or_else(|| descriptor.annotation(REF_NAME))?;
    Name::parse(name, Unqualified::Localhost).ok().map(|name| name.to_string())
}

fn layout_image(source: &Source, descriptor: &Descriptor, platform: &Platform) -> Result<Found> {
    let names = full_name(descriptor).into_iter().collect();
    let (descriptor, manifest, bytes) = resolve(source, descriptor.clone(), platform)?;
    let config = source.read_blob(&manifest.config)?;
    let (_, diff_ids) = parse_config(source, &config, manifest.layers.len())?;
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
        let label = format!("layer {} of {}", layer.digest, source.label());
        let compression = Compression::of_media_type(&layer.media_type)
            .map_err(|e| Error { what: format!("cannot use {label}"), ..e })?;
        layers.push(Layer {
            label,
            blob: source.blob(layer)?,
            compression: Some(compression),
            digest: Some(layer.digest.clone()),
            diff_id,
        });
    }
    Ok(Found {
        names,
        config,
        config_digest: manifest.config.digest,
        layers,
        manifest: Some((descriptor, bytes)),
    })
}

fn parse_config(
    source: &Source,
    bytes: &[u8],
    layers: usize,
) -> Result<(ImageConfiguration, Vec<Digest>)> {
    let label = format!("the image configuration in {}", source.label());
    let (config, diff_ids) = manifest::parse_config(bytes, &label)?;
    if diff_ids.len() != layers {
        return Err(Error::new(
            format!("cannot use {label}"),
            format!("it has {} diffIDs for {layers} layers", diff_ids.len()),
        ));
    }
    Ok((config, diff_ids))
}

/// Follows indexes to the manifest for the platform.
fn resolve(
    source: &Source,
    mut descriptor: Descriptor,
    platform: &Platform,
) -> Result<(Descriptor, Manifest, Vec<u8>)> {
    for _ in 0..=MAX_INDEX_DEPTH {
        let bytes = source.read_manifest(&descriptor)?;
        let label = format!("manifest {} of {}", descriptor.digest, source.label());
        match manifest::parse_document(&bytes, &descriptor.media_type, &label)? {
            Document::Manifest(manifest) => {
                let size = bytes.len() as u64;
                let plain = Descriptor::new(&descriptor.media_type, descriptor.digest, size);
                return Ok((plain, *manifest, bytes));
            }
            Document::Index(manifests) => {
                let fitting = platform.choose(&manifests).cloned();
                descriptor = fitting
                    .ok_or_else(|| platform.missing(&label, source.pulled(), manifests.iter()))?;
            }
        }
    }
    Err(Error::new(
        format!("cannot load {}", source.label()),
        format!("its indexes are nested more than {MAX_INDEX_DEPTH} deep"),
    ))
}

fn docker(source: &Source, reference: Option<&str>) -> Result<Vec<Found>> {
    let refused = |why: String| Error::new(format!("cannot load {}", source.label()), why);
    let bytes = source.read("manifest.json")?.unwrap_or_default();
    let images: Vec<DockerImage> = serde_json::from_slice(&bytes)
        .map_err(|e| refused(format!("its manifest.json is not valid: {e}")))?;
    let mut found = Vec::new();
    for image in &images {
        let names: Vec<String> = image
            .repo_tags
            .iter()
            .flatten()
            .map(|tag| Name::parse(tag, Unqualified::DockerHub).map(|name| name.to_string()))
            .collect::<Result<_>>()?;
        let wanted = reference.is_none_or(|r| {
            super::reference::candidates(r).iter().any(|n| names.contains(&n.to_string()))
        });
        if wanted {
            found.push(docker_image(source, image, names)?);
        }
    }
    if found.is_empty() {
        return Err(refused(match reference {
            Some(reference) => format!("it has no image {reference:?}"),
            None => "it has no image".to_owned(),
        }));
    }
    Ok(found)
}

fn docker_image(source: &Source, image: &DockerImage, names: Vec<String>) -> Result<Found> {
    let refused = |why: String| Error::new(format!("cannot load {}", source.label()), why);
    let config = source
        .read(&image.config)?
        .ok_or_else(|| refused(format!("its configuration {:?} is missing", image.config)))?;
    let config_digest = Digest::of(&config);
    // docker names the configuration by its digest.
    let stem = image.config.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    if let Ok(expected) = Digest::parse(&format!("sha256:{stem}"))
        && expected != config_digest
    {
        let label = format!("configuration {:?} of {}", image.config, source.label());
        return Err(super::layer::mismatch(&label, "digest", &expected, &config_digest));
    }
    let (_, diff_ids) = parse_config(source, &config, image.layers.len())?;
    let mut layers = Vec::new();
    for (name, diff_id) in image.layers.iter().zip(diff_ids) {
        let blob =
            source.open(name)?.ok_or_else(|| refused(format!("its layer {name:?} is missing")))?;
        layers.push(Layer {
            label: format!("layer {name:?} of {}", source.label()),
            blob,
            compression: None,
            digest: None,
            diff_id,
        });
    }
    Ok(Found { names, config, config_digest, layers, manifest: None })
}
