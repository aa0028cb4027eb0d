//! `sbx save`, read back by sbx and by other tools.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use crate::archive::*;
use crate::podman::Podman;
use crate::reference_tools::{have, skopeo};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn layer(name: &str, content: &str) -> Vec<u8> {
    let user = Head { uid: 5, gid: 6, ..Head::default() };
    Tar::default().dir("d").entry(&format!("d/{name}"), &user, content.as_bytes()).end()
}

/// Two images that share a layer: `a:1`, also called `alias`, and `b:2`.
fn stored() -> Place {
    let place = Place::new();
    let shared = layer("shared", &"shared".repeat(50_000));
    let one = [(GZIP, shared.clone()), (ZSTD, layer("one", "1"))];
    let two = [(GZIP, shared), (LAYER, layer("two", "2"))];
    Layout::new(&one).write(&place.path("one"), "a:1");
    Layout::new(&two).write(&place.path("two"), "b:2");
    Layout::new(&one).write(&place.path("alias"), "alias");
    for layout in ["one", "two", "alias"] {
        place.succeed(&["load", "-i", layout]);
    }
    place
}

fn members(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let mut members = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let head = entry.header();
        let fixed = (head.mtime().unwrap(), head.uid().unwrap(), head.gid().unwrap());
        assert_eq!(fixed, (0, 0, 0), "what differs from one machine to the next");
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert!(members.insert(name.clone(), bytes).is_none(), "{name} twice");
    }
    members
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The digests of the manifest and of the configuration, by the store's index.
fn digests(place: &Place, name: &str) -> (String, String) {
    let images = place.data().join("images");
    let index = json(&fs::read(images.join("index.json")).unwrap());
    let manifest = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["annotations"]["org.opencontainers.image.ref.name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {index}"))["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let blob = fs::read(images.join("blobs/sha256").join(hex(&manifest))).unwrap();
    (manifest, json(&blob)["config"]["digest"].as_str().unwrap().to_owned())
}

fn trees(place: &Place) -> Vec<String> {
    let mut lines = listing(&place.data().join("layers"));
    // The times of the directories that no archive describes.
    lines.retain(|line| line.contains('/'));
    assert!(lines.len() > 5);
    lines
}

#[test]
fn a_docker_archive_has_plain_layers_named_by_their_digest() {
    let place = stored();
    place.succeed(&["save", "-o", "out.tar", "a:1", "b:2", "localhost/alias"]);
    let members = members(&fs::read(place.path("out.tar")).unwrap());
    let manifest = json(&members["manifest.json"]);
    assert_eq!(
        manifest[0]["RepoTags"],
        serde_json::json!(["localhost/a:1", "localhost/alias:latest"])
    );
    assert_eq!(manifest[1]["RepoTags"], serde_json::json!(["localhost/b:2"]));
    assert_eq!(manifest.as_array().unwrap().len(), 2);
    let mut layers = 0;
    for (name, bytes) in &members {
        if let Some(digits) = name.strip_suffix(".tar").or(name.strip_suffix(".json")) {
            if digits != "manifest" {
                assert_eq!(hex(&sha256(bytes)), digits);
            }
            layers += usize::from(name.ends_with(".tar"));
        }
    }
    assert_eq!(layers, 3, "the shared one is there once");
    // And back again, with the owners of the files.
    let other = Place::new();
    let archive = place.path("out.tar");
    other.succeed(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(trees(&other), trees(&place));
    assert_eq!(digests(&other, "localhost/b:2").1, digests(&place, "localhost/b:2").1);
}

#[test]
fn what_is_named_by_a_digest_has_no_name() {
    let place = stored();
    let (digest, _) = digests(&place, "localhost/b:2");
    place.succeed(&["save", "-o", "out.tar", &digest]);
    let members = members(&fs::read(place.path("out.tar")).unwrap());
    assert_eq!(json(&members["manifest.json"])[0]["RepoTags"], serde_json::json!([]));
}

#[test]
fn an_oci_archive_keeps_every_digest() {
    let place = stored();
    place.succeed(&["save", "--format", "oci-archive", "-o", "out.tar", "a:1", "b:2", "alias"]);
    let members = members(&fs::read(place.path("out.tar")).unwrap());
    for (name, bytes) in &members {
        if let Some(digits) = name.strip_prefix("blobs/sha256/").filter(|d| !d.is_empty()) {
            assert_eq!(hex(&sha256(bytes)), digits);
        }
    }
    assert_eq!(json(&members["index.json"])["manifests"].as_array().unwrap().len(), 3);
    let other = Place::new();
    other.succeed(&["load", "-i", place.path("out.tar").to_str().unwrap()]);
    assert_eq!(trees(&other), trees(&place));
    for name in ["localhost/a:1", "localhost/b:2", "localhost/alias:latest"] {
        assert_eq!(digests(&other, name), digests(&place, name));
    }
}

#[test]
fn the_same_images_give_the_same_bytes() {
    let place = stored();
    for format in ["docker-archive", "oci-archive"] {
        let save = |args: &[&str]| {
            let all = [&["save", "--format", format][..], args, &["b:2", "a:1"]].concat();
            let output = place.run(&all);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let piped = save(&[]);
        save(&["-o", "file.tar"]);
        assert!(piped.len() > 1000);
        assert!(fs::read(place.path("file.tar")).unwrap() == piped, "{format}");
    }
}

#[test]
fn skopeo_reads_every_format() {
    if !have("skopeo") {
        return;
    }
    let place = stored();
    let (manifest, config) = digests(&place, "localhost/a:1");
    let path = |name: &str| place.path(name).display().to_string();
    for (format, from) in [
        ("docker-archive", format!("docker-archive:{}:localhost/a:1", path("docker-archive"))),
        ("oci-archive", format!("oci-archive:{}:localhost/a:1", path("oci-archive"))),
        ("oci-dir", format!("oci:{}:localhost/a:1", path("oci-dir"))),
        ("docker-dir", format!("dir:{}", path("docker-dir"))),
    ] {
        let images: &[&str] = if format == "docker-dir" { &["a:1"] } else { &["b:2", "a:1"] };
        place.succeed(&[&["save", "--format", format, "-o", format], images].concat());
        let raw = skopeo(&place, &["inspect", "--raw", &from]);
        assert_eq!(json(raw.as_bytes())["config"]["digest"], config.as_str(), "{format}");
        if format.starts_with("oci") {
            assert_eq!(sha256(raw.as_bytes()), manifest, "{format}");
        }
        // A copy reads and verifies every blob.
        let to = format!("dir:{}", path(&format!("copy-{format}")));
        skopeo(&place, &["copy", "-q", &from, &to]);
    }
}

#[test]
fn podman_loads_what_is_saved() {
    if !have("podman") {
        return;
    }
    let place = stored();
    let (_, config) = digests(&place, "localhost/a:1");
    for (format, images) in [("docker-archive", &["b:2", "a:1"][..]), ("oci-archive", &["a:1"])] {
        place.succeed(&[&["save", "--format", format, "-o", format], images].concat());
        let podman = Podman::new(&place.path(""));
        podman.run(&["load", "-q", "-i", format]);
        let id = podman.run(&["images", "--no-trunc", "-q", "localhost/a:1"]);
        assert_eq!(id.trim(), config, "{format}");
        let names = podman.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert_eq!(names.lines().count(), images.len(), "{names}");
    }
}

#[test]
fn directories_can_be_compressed() {
    let place = stored();
    for (format, manifest) in [("docker-dir", "manifest.json"), ("oci-dir", "")] {
        place.succeed(&["save", "--compress", "--format", format, "-o", format, "b:2"]);
        let dir = place.path(format);
        let (manifest, blobs) = if manifest.is_empty() {
            let index = json(&fs::read(dir.join("index.json")).unwrap());
            let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
            let blobs = dir.join("blobs/sha256");
            (blobs.join(hex(&digest)), blobs)
        } else {
            (dir.join(manifest), dir)
        };
        let layers = json(&fs::read(manifest).unwrap())["layers"].clone();
        for (layer, tar) in layers
            .as_array()
            .unwrap()
            .iter()
            .zip([layer("shared", &"shared".repeat(50_000)), layer("two", "2")])
        {
            assert!(layer["mediaType"].as_str().unwrap().ends_with("gzip"), "{layer}");
            let digest = layer["digest"].as_str().unwrap();
            let blob = fs::read(blobs.join(hex(digest))).unwrap();
            assert_eq!(
                (sha256(&blob), blob.len() as u64),
                (digest.into(), layer["size"].as_u64().unwrap())
            );
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
            assert!(plain == tar);
        }
    }
    let said = place.fail(&["save", "--compress", "-o", "x", "b:2"]);
    assert!(said.contains("oci-dir"), "{said}");
}

#[test]
fn a_terminal_is_not_filled_with_bytes() {
    let place = stored();
    let pair = nix::pty::openpty(None, None).unwrap();
    // Should it write after all, it does not wait for a reader.
    let mut master = fs::File::from(pair.master);
    std::thread::spawn(move || std::io::copy(&mut master, &mut std::io::sink()));
    let output = place.command(&["save", "a:1"]).stdout(pair.slave).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(said.contains("terminal") && said.contains("-o FILE"), "{said}");
}

#[test]
fn a_damaged_store_is_not_handed_on() {
    let place = stored();
    fs::write(place.path("out.tar"), "before").unwrap();
    let index = json(&fs::read(place.path("two/index.json")).unwrap());
    let manifest = index["manifests"][0]["digest"].as_str().unwrap();
    let manifest = json(&fs::read(place.path("two/blobs/sha256").join(hex(manifest))).unwrap());
    let blobs = place.data().join("images/blobs/sha256");
    // A plain layer and a compressed one.
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = blobs.join(hex(layer["digest"].as_str().unwrap()));
        let good = fs::read(&blob).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&blob, bad).unwrap();
        for format in ["docker-archive", "oci-archive"] {
            let said = place.fail(&["save", "--format", format, "-o", "out.tar", "b:2"]);
            assert!(said.contains("damaged"), "{said}");
            assert_eq!(fs::read_to_string(place.path("out.tar")).unwrap(), "before");
        }
        fs::write(&blob, good).unwrap();
    }
    let left = fs::read_dir(place.path("")).unwrap();
    let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".out")), "{left:?}");
}

#[test]
fn what_is_there_is_not_mixed_with_an_image() {
    let place = stored();
    let said = place.fail(&["save", "--format", "oci-dir", "-o", "canary", "a:1"]);
    assert!(said.contains("not empty"), "{said}");
    let said = place.fail(&["save", "--format", "docker-dir", "-o", "new", "a:1", "b:2"]);
    assert!(said.contains("oci-dir"), "{said}");
    let said = place.fail(&["save", "-o", "new", "a:1", "nothing"]);
    assert!(said.contains("nothing"), "{said}");
    assert!(!place.path("new").exists());
}
