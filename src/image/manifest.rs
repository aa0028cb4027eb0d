//! Manifests, indexes and configurations: the JSON of image-spec, taken strictly.

use std::collections::BTreeMap;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::platform::Described;
use crate::error::{Error, Result};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a registry is asked for.
pub(crate) const ACCEPTED: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// image-spec, annotations: the name of a manifest inside a layout.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// In the store's index: the digest of the index from which a manifest was chosen, and for which platform.
pub(crate) const FROM_INDEX: &str = "dev.sbx.image.from-index";

/// Manifests, indexes and configurations are read into memory whole; registries cap them likewise.
pub(crate) const MAX_JSON: u64 = 4 << 20;

/// As many layers as one overlay mount takes lower directories, with room to spare.
const MAX_LAYERS: usize = 500;

/// What to do about something that sbx does not know.
const CONVERT: &str = "convert it with a tool that knows it: \
                       skopeo copy docker://IMAGE oci:DIR:NAME && sbx load -i DIR";

/// How a layer's tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Compression::None => "application/vnd.oci.image.layer.v1.tar",
            Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// What Docker's own manifests call it.
    pub(crate) fn docker_media_type(self) -> &'static str {
        match self {
            Compression::None => "application/vnd.docker.image.rootfs.diff.tar",
            Compression::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Compression::Zstd => "application/vnd.docker.image.rootfs.diff.tar.zstd",
        }
    }

    /// By the media type of a layer's descriptor, OCI's or Docker's.
    pub(crate) fn of_media_type(media_type: &str) -> Result<Self> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Compression::None),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(Compression::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
            other if other.contains("nondistributable") || other.contains("foreign") => {
                let why = format!("its media type {other:?} says that no registry has to have it");
                Err(Error::new("cannot use a layer", why)
                    .fix("pull an image whose layers are all in the registry"))
            }
            other => Err(Error::new(
                "cannot use a layer",
                format!("its media type {other:?} is not known: tar, tar+gzip and tar+zstd are"),
            )
            .fix(CONVERT)),
        }
    }
}

/// image-spec, descriptor. Fields that sbx has no use for survive a rewrite of the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Described>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: None,
            platform: None,
            other: serde_json::Map::new(),
        }
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn set_ref_name(&mut self, name: Option<&str>) {
        self.annotate(REF_NAME, name);
    }

    pub(crate) fn annotate(&mut self, key: &str, value: Option<&str>) {
        let annotations = self.annotations.get_or_insert_default();
        match value {
            Some(value) => annotations.insert(key.to_owned(), value.to_owned()),
            None => annotations.remove(key),
        };
        if annotations.is_empty() {
            self.annotations = None;
        }
    }
}

/// `index.json` of a layout, rewritten without losing what others put there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

impl Index {
    pub(crate) fn empty() -> Self {
        Index {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests: Vec::new(),
            other: serde_json::Map::new(),
        }
    }
}

/// What a manifest descriptor may point at.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Box<Manifest>),
    Index(Vec<Descriptor>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

impl Manifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest { schema_version: 2, media_type: OCI_MANIFEST, config, layers }
    }

    /// Image manifest version 2, schema 2: what Docker had before image-spec.
    pub(crate) fn docker(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest { media_type: DOCKER_MANIFEST, ..Manifest::new(config, layers) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Either {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a manifest or index that a descriptor of `media_type` points at. A document that could be
/// read as both, or that calls itself something else than its descriptor does, is refused: another
/// tool may have checked the other meaning (CVE-2021-41190).
pub(crate) fn parse_document(bytes: &[u8], media_type: &str, label: &str) -> Result<Document> {
    let refused = |why: String| Error::new(format!("cannot read {label}"), why);
    let doc: Either = serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
    if doc.schema_version != 2 {
        let why = format!("its schemaVersion is {}, not 2", doc.schema_version);
        return Err(refused(why).fix(CONVERT));
    }
    if let Some(own) = doc.media_type.as_deref().filter(|own| *own != media_type) {
        return Err(refused(format!(
            "it is ambiguous: it says that it is a {own:?}, its descriptor says {media_type:?}"
        )));
    }
    match (media_type, doc.config, doc.layers, doc.manifests) {
        (_, Some(_), _, Some(_)) | (_, _, Some(_), Some(_)) => {
            Err(refused("it is ambiguous: manifest and index at once".to_owned()))
        }
        (OCI_MANIFEST | DOCKER_MANIFEST, Some(config), Some(layers), None) => {
            if !matches!(config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
                return Err(refused(format!(
                    "it is no container image: its configuration is a {:?}",
                    config.media_type
                ))
                .fix("fetch it with the tool that it is for, or with oras pull"));
            }
            if layers.len() > MAX_LAYERS {
                return Err(refused(format!(
                    "it has {} layers, the limit is {MAX_LAYERS}",
                    layers.len()
                )));
            }
            Ok(Document::Manifest(Box::new(Manifest::new(config, layers))))
        }
        (OCI_INDEX | DOCKER_INDEX, None, None, Some(manifests)) => Ok(Document::Index(manifests)),
        (OCI_MANIFEST | DOCKER_MANIFEST, ..) => {
            Err(refused("it lacks a configuration or layers".to_owned()))
        }
        (OCI_INDEX | DOCKER_INDEX, ..) => Err(refused("it lacks manifests".to_owned())),
        (other, ..) => Err(refused(format!("its media type {other:?} is not known")).fix(CONVERT)),
    }
}

/// Reads an image configuration and its diffIDs.
pub(crate) fn parse_config(bytes: &[u8], label: &str) -> Result<(ImageConfiguration, Vec<Digest>)> {
    let refused = |why: String| Error::new(format!("cannot read {label}"), why);
    let config: ImageConfiguration =
        serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
    if config.rootfs().typ() != "layers" {
        return Err(refused(format!(
            "its rootfs is of type {:?}, not \"layers\"",
            config.rootfs().typ()
        )));
    }
    let diff_ids =
        config.rootfs().diff_ids().iter().map(|id| Digest::parse(id)).collect::<Result<_>>()?;
    Ok((config, diff_ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str, size: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{D}","size":{size}}}"#)
    }

    fn why(json: &str, media_type: &str) -> String {
        parse_document(json.as_bytes(), media_type, "it").unwrap_err().to_string()
    }

    #[test]
    fn refuses_ambiguity() {
        let config = descriptor(OCI_CONFIG, "2");
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        assert!(why(&both, OCI_MANIFEST).contains("ambiguous"));
        assert!(why(&both, OCI_INDEX).contains("ambiguous"));
        let other = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","config":{config},"layers":[]}}"#
        );
        assert!(why(&other, OCI_MANIFEST).contains("ambiguous"));
        let twice = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"layers":[]}}"#);
        assert!(why(&twice, OCI_MANIFEST).contains("duplicate"));
        assert!(why(r#"{"schemaVersion":2}"#, "text/plain").contains("not known"));
    }

    #[test]
    fn refuses_negative_sizes_and_odd_digests() {
        let json = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#,
            descriptor(OCI_CONFIG, "-1")
        );
        assert!(why(&json, OCI_MANIFEST).contains("cannot read"));
        let json = json.replace("-1", "1").replace(D, "sha256:../..");
        assert!(why(&json, OCI_MANIFEST).contains("sha256:../.."));
    }

    #[test]
    fn keeps_unknown_fields_of_an_index() {
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{D}","size":1,"artifactType":"x"}}],"annotations":{{"a":"b"}}}}"#
        );
        let index: Index = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&index).unwrap(), json);
    }

    #[test]
    fn refuses_unknown_layers() {
        assert!(Compression::of_media_type("application/vnd.oci.image.layer.v1.tar+xz").is_err());
    }
}
