//! The formats that images come in.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::archive::*;

fn tar() -> Vec<u8> {
    Tar::default().dir("d").file("d/f", "x").end()
}

#[test]
fn imports_plain_gzip_and_zstd() {
    let tar = tar();
    for (bytes, media_type) in [
        (tar.clone(), LAYER.to_owned()),
        (gzip(&tar), format!("{LAYER}+gzip")),
        (zstd(&tar), format!("{LAYER}+zstd")),
    ] {
        let place = Place::new();
        fs::write(place.path("in.tar"), &bytes).unwrap();
        let (out, err) = place.succeed(&["import", "in.tar", "x"]);
        assert!(out.starts_with("sha256:") && out.len() == 72, "{out}");
        assert_eq!(err, "");
        assert!(place.layer(&tar).join("d/f").is_file());
        let blob = place.data().join("images/blobs/sha256").join(hex(&sha256(&bytes)));
        assert_eq!(fs::read(blob).unwrap(), bytes);
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(place.data().join("images/index.json")).unwrap())
                .unwrap();
        let manifest = &index["manifests"][0];
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.ref.name"],
            "localhost/x:latest"
        );
        let blobs = place.data().join("images/blobs/sha256");
        let manifest: serde_json::Value = serde_json::from_slice(
            &fs::read(blobs.join(hex(manifest["digest"].as_str().unwrap()))).unwrap(),
        )
        .unwrap();
        assert_eq!(manifest["layers"][0]["mediaType"], media_type);
        assert_eq!(manifest["config"]["digest"], out.trim_end());
    }
}

#[test]
fn imports_standard_input_reproducibly() {
    let id = || {
        let place = Place::new();
        let mut child = place
            .command(&["import", "-", "example.com/x:1"])
            .env("SOURCE_DATE_EPOCH", "86400")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&tar()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(place.layer(&tar()).join("d/f").exists());
        let id = String::from_utf8(output.stdout).unwrap();
        let config = place.data().join("images/blobs/sha256").join(hex(id.trim_end()));
        assert!(fs::read_to_string(config).unwrap().contains("1970-01-02T00:00:00Z"));
        id
    };
    assert_eq!(id(), id());
}

#[test]
fn loads_layouts_and_their_archives() {
    let place = Place::new();
    let layers = [
        (LAYER, Tar::default().file("a", "1").end()),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Tar::default().file("b", "2").end()),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Tar::default().file("c", "3").end()),
    ];
    Layout::new(&layers).write(&place.path("layout"), "x:1");
    let (out, _) = place.succeed(&["load", "-i", "layout"]);
    assert_eq!(out, "Loaded image: localhost/x:1\n");
    for ((_, tar), name) in layers.iter().zip(["a", "b", "c"]) {
        assert!(place.layer(tar).join(name).is_file());
    }
    place.check_clean();
    pack(&place.path("layout"), &place.path("layout.tar"));
    for name in ["layout.tar", "layout.tar.gz"] {
        fs::write(place.path("layout.tar.gz"), gzip(&fs::read(place.path("layout.tar")).unwrap()))
            .unwrap();
        let other = Place::new();
        let path = place.path(name);
        let (out, _) = other.succeed(&["load", "--input", path.to_str().unwrap()]);
        assert_eq!(out, "Loaded image: localhost/x:1\n");
        assert!(other.layer(&layers[2].1).join("c").is_file());
        other.check_clean();
    }
    let other = Place::new();
    let output = other
        .command(&["load"])
        .stdin(
            Command::new("cat")
                .arg(place.path("layout.tar"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
                .stdout
                .unwrap(),
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(other.layers(), 3);
}

#[test]
fn chooses_by_reference_and_by_platform() {
    let place = Place::new();
    let ours = Layout::new(&[(LAYER, Tar::default().file("ours", "").end())]);
    let mut blobs = ours.blobs.clone();
    let mut descriptor = |layout: Layout, architecture: &str| {
        let mut manifest = layout.manifest;
        let config = layout.config.to_string().into_bytes();
        manifest["config"] = serde_json::json!({
            "mediaType": CONFIG, "digest": sha256(&config), "size": config.len(),
        });
        let manifest = manifest.to_string().into_bytes();
        let descriptor = serde_json::json!({
            "mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len(),
            "platform": { "os": "linux", "architecture": architecture },
        });
        blobs.insert(sha256(&config), config);
        blobs.insert(sha256(&manifest), manifest);
        descriptor
    };
    let other = Layout::new(&[(LAYER, Tar::default().file("other", "").end())]);
    let other = descriptor(other, "s390x");
    let host = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let ours = descriptor(ours, host);
    let inner = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, ours],
    });
    let inner = inner.to_string().into_bytes();
    let named = |digest: &str, media_type: &str, size: usize, name: &str| {
        serde_json::json!({
            "mediaType": media_type, "digest": digest, "size": size,
            "annotations": { "org.opencontainers.image.ref.name": name },
        })
    };
    let mut foreign = other.clone();
    foreign["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "foreign" });
    let index = serde_json::json!({
        "schemaVersion": 2,
        "manifests": [named(&sha256(&inner), INDEX, inner.len(), "multi"), foreign],
    });
    blobs.insert(sha256(&inner), inner);
    write_layout(&place.path("a:b"), &blobs, &index);
    let (out, _) = place.succeed(&["load", "-i", "a:b:multi"]);
    assert_eq!(out, "Loaded image: localhost/multi:latest\n");
    assert_eq!(place.layers(), 1);
    let err = place.fail(&["load", "-i", "a:b:foreign"]);
    assert!(err.contains("linux/s390x") && err.contains(&format!("linux/{host}")), "{err}");
    let err = place.fail(&["load", "-i", "a:b:none"]);
    assert!(err.contains("multi, foreign"), "{err}");
}

#[test]
fn loads_docker_archives() {
    let place = Place::new();
    let (one, two) = (Tar::default().file("a", "1").end(), Tar::default().file("b", "2").end());
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Env": ["A=b"], "Entrypoint": null, "Volumes": null, "OnBuild": null },
        "rootfs": { "type": "layers", "diff_ids": [sha256(&one), sha256(&two), sha256(&one)] },
    })
    .to_string();
    let id = sha256(config.as_bytes());
    let manifest = serde_json::json!([{
        "Config": format!("{}.json", hex(&id)),
        "RepoTags": ["app:1", "localhost/app:2"],
        "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"],
    }])
    .to_string();
    // docker of old names a layer that it has already by a link; this one compresses another.
    let archive = Tar::default()
        .dir("1")
        .entry("1/layer.tar", &Head::default(), &one)
        .entry("2/layer.tar", &Head::default(), &gzip(&two))
        .symlink("3/layer.tar", "../1/layer.tar")
        .file(&format!("{}.json", hex(&id)), &config)
        .file("manifest.json", &manifest)
        .end();
    fs::write(place.path("docker.tar"), archive).unwrap();
    let (out, _) = place.succeed(&["load", "-i", "docker.tar"]);
    assert_eq!(out, "Loaded image: docker.io/library/app:1\nLoaded image: localhost/app:2\n");
    assert_eq!(place.layers(), 2);
    assert!(place.data().join("images/blobs/sha256").join(hex(&id)).exists());
    // Once more changes nothing.
    let before = listing(&place.data());
    place.succeed(&["load", "-i", "docker.tar"]);
    assert_eq!(before.len(), listing(&place.data()).len());
}

#[test]
fn what_is_neither_is_told_so() {
    let place = Place::new();
    fs::write(place.path("root.tar"), tar()).unwrap();
    let err = place.fail(&["load", "-i", "root.tar"]);
    assert!(err.contains("manifest.json") && err.contains("Fix: sbx import root.tar"), "{err}");
    assert!(place.fail(&["load", "-i", "none"]).contains("cannot open none"));
    assert!(place.fail(&["import", "none"]).contains("cannot open none"));
    assert!(place.fail(&["import", "canary"]).contains("directory"));
    assert!(place.fail(&["import", "root.tar", "Bad Name"]).contains("Bad Name"));
    let twice = Tar::default().file("manifest.json", "[]").file("./manifest.json", "[]").end();
    fs::write(place.path("twice.tar"), twice).unwrap();
    assert!(place.fail(&["load", "-i", "twice.tar"]).contains("twice"));
}

/// A tar of a directory's files.
fn pack(dir: &Path, to: &Path) {
    let status =
        Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(to).arg(".").status().unwrap();
    assert!(status.success());
}
