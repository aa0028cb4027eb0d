//! `sbx pull` and `sbx push` with images in files: dir:, oci:, oci-archive: and docker-archive:.

use std::fs;

use serde_json::{Value, json};

use crate::archive::*;
use crate::reference_tools::{have, skopeo};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const ALL: [&str; 4] = ["dir", "oci", "oci-archive", "docker-archive"];

fn tar(name: &str) -> Vec<u8> {
    let user = Head { uid: 5, gid: 6, ..Head::default() };
    Tar::default().dir("d").entry(&format!("d/{name}"), &user, name.as_bytes()).end()
}

/// A layer of each compression.
fn layers() -> [(&'static str, Vec<u8>); 3] {
    [(GZIP, tar("gzip")), (ZSTD, tar("zstd")), (LAYER, tar("plain"))]
}

/// A store with the image `app`, whose layout is in `layout`; the manifest's digest.
fn stored(layers: &[(&'static str, Vec<u8>)]) -> (Place, String) {
    let place = Place::new();
    Layout::new(layers).write(&place.path("layout"), "app");
    place.succeed(&["load", "-i", "layout"]);
    let digest = images(&place)[0]["Digest"].as_str().unwrap().to_owned();
    (place, digest)
}

fn images(place: &Place) -> Value {
    serde_json::from_str(&place.out(&["images", "--json"])).unwrap()
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn at(place: &Place, transport: &str, name: &str) -> String {
    format!("{transport}:{}", place.path(name).display())
}

/// Copies everything below `dir`, as another tool would hand it over.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[test]
fn what_is_pushed_to_files_is_pulled_from_them() {
    let (place, digest) = stored(&layers());
    let id = images(&place)[0]["Id"].clone();
    for transport in ALL {
        let to = at(&place, transport, transport);
        place.succeed(&["push", "app", &to]);
        let other = Place::new();
        // The id is all that is printed, as with a registry.
        assert_eq!(other.out(&["pull", "-q", &to]).trim_end(), id, "{transport}");
        let there = images(&other);
        assert_eq!(there[0]["Id"], id);
        assert_eq!((transport == "docker-archive"), (there[0]["Digest"] != digest.as_str()));
        let name = if transport == "dir" { json!([]) } else { json!(["localhost/app:latest"]) };
        assert_eq!(there[0]["Names"], name, "{transport}");
        // But for the root, which no entry describes.
        let files = |place: &Place| listing(&place.layer(&tar("zstd"))).split_off(1);
        assert_eq!(files(&other), files(&place));
        // load finds out by itself.
        let out = Place::new().out(&["load", "-i", place.path(transport).to_str().unwrap()]);
        assert!(out.starts_with("Loaded image: "), "{out}");
    }
    let version = fs::read_to_string(place.path("dir/version")).unwrap();
    assert_eq!(version, "Directory Transport Version: 1.1\n");
    assert_eq!(sha256(&fs::read(place.path("dir/manifest.json")).unwrap()), digest);
}

#[test]
fn slow_skopeo_reads_what_is_pushed_and_writes_what_is_pulled() {
    if !have("skopeo") {
        return;
    }
    let (place, digest) = stored(&layers());
    for transport in ALL {
        let to = at(&place, transport, transport);
        place.succeed(&["push", "app", &to]);
        // A copy reads and verifies every blob.
        skopeo(&place, &["copy", "-q", &to, &at(&place, "dir", &format!("copy-{transport}"))]);
        if transport != "docker-archive" {
            let raw = skopeo(&place, &["inspect", "--raw", &to]);
            assert_eq!(sha256(raw.as_bytes()), digest, "{transport}");
        }
    }
    // OCI with its compressions, and Docker's manifest, which knows no zstd.
    let from = format!("{}:app", at(&place, "oci", "layout"));
    let gzip = stored(&[(GZIP, tar("gzip")), (LAYER, tar("plain"))]).0;
    let from_gzip = format!("{}:app", at(&gzip, "oci", "layout"));
    for (name, args, from) in [
        ("oci", &[][..], &from),
        ("zstd", &["--dest-compress", "--dest-compress-format", "zstd"], &from),
        ("v2s2", &["--format", "v2s2"], &from_gzip),
    ] {
        let to = at(&place, "dir", &format!("skopeo-{name}"));
        skopeo(&place, &[&["copy", "-q"], args, &[from, &to]].concat());
        let other = Place::new();
        other.succeed(&["pull", &to]);
        let raw = skopeo(&place, &["inspect", "--raw", &to]);
        assert_eq!(images(&other)[0]["Digest"], sha256(raw.as_bytes()), "{name}");
        assert!(other.layer(&tar("plain")).is_dir(), "{name}");
    }
}

#[test]
fn a_directory_of_several_platforms_has_manifests_beside_the_index() {
    let (place, digest) = stored(&layers());
    place.succeed(&["push", "app", "dir:app"]);
    let dir = place.path("app");
    let inner = format!("{}.manifest.json", hex(&digest));
    fs::rename(dir.join("manifest.json"), dir.join(&inner)).unwrap();
    let size = fs::metadata(dir.join(&inner)).unwrap().len();
    let entry = |arch: &str, digest: &str| {
        json!({ "mediaType": MANIFEST, "digest": digest, "size": size,
                "platform": { "os": "linux", "architecture": arch } })
    };
    // No media type: the document tells what it is.
    let other = format!("sha256:{}", "0".repeat(64));
    let index = json!({ "schemaVersion": 2,
                        "manifests": [entry("s390x", &other), entry("amd64", &digest)] });
    fs::write(dir.join("manifest.json"), index.to_string()).unwrap();
    let fresh = Place::new();
    fresh.succeed(&["pull", &at(&place, "dir", "app")]);
    assert_eq!(images(&fresh)[0]["Digest"], digest.as_str());
    let good = fs::read_to_string(dir.join(&inner)).unwrap();
    fs::write(dir.join(&inner), good.replace("\"layers\"", " \"layers\"")).unwrap();
    let said = Place::new().fail(&["pull", &at(&place, "dir", "app")]);
    assert!(said.contains(&digest) && said.contains("its digest is"), "{said}");
    fs::remove_file(dir.join(inner)).unwrap();
    let said = Place::new().fail(&["pull", &at(&place, "dir", "app")]);
    assert!(said.contains(&digest) && said.contains("missing"), "{said}");
}

#[test]
fn what_a_directory_holds_is_verified() {
    let (place, digest) = stored(&layers());
    place.succeed(&["push", "app", "dir:app"]);
    let manifest = read(&place.path("app/manifest.json"));
    let layer = hex(manifest["layers"][0]["digest"].as_str().unwrap()).to_owned();
    let config = hex(manifest["config"]["digest"].as_str().unwrap()).to_owned();
    let flip = |path: &std::path::Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    type Damage<'a> = &'a dyn Fn(&std::path::Path);
    let damages: [(&str, Damage<'_>); 8] = [
        ("its digest is", &|dir| flip(&dir.join(&layer))),
        ("its digest is", &|dir| flip(&dir.join(&config))),
        ("descriptor says", &|dir| fs::write(dir.join(&layer), "short").unwrap()),
        ("missing", &|dir| fs::remove_file(dir.join(&layer)).unwrap()),
        ("not a regular file", &|dir| {
            fs::remove_file(dir.join(&layer)).unwrap();
            fs::create_dir(dir.join(&layer)).unwrap();
        }),
        ("cannot open", &|dir| {
            fs::remove_file(dir.join(&layer)).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", dir.join(&layer)).unwrap();
        }),
        ("manifest.json is missing", &|dir| {
            fs::remove_file(dir.join("manifest.json")).unwrap();
        }),
        ("ambiguous", &|dir| {
            let mut both = manifest.clone();
            both["manifests"] = json!([]);
            fs::write(dir.join("manifest.json"), both.to_string()).unwrap();
        }),
    ];
    for (n, (word, damage)) in damages.iter().enumerate() {
        let dir = place.path(&format!("damaged{n}"));
        copy(&place.path("app"), &dir);
        damage(&dir);
        let fresh = Place::new();
        let said = fresh.fail(&["pull", &format!("dir:{}", dir.display())]);
        assert!(said.contains(word), "{n}: {said}");
        assert_eq!(images(&fresh), json!([]), "{n}");
    }
    // Nothing vouches for the manifest: with another one it is another image.
    let mut other = manifest.clone();
    other["annotations"] = json!({ "a": "b" });
    fs::write(place.path("app/manifest.json"), other.to_string()).unwrap();
    let fresh = Place::new();
    fresh.succeed(&["pull", &at(&place, "dir", "app")]);
    assert_ne!(images(&fresh)[0]["Digest"], digest.as_str());
}

#[test]
fn a_layout_takes_one_more_image() {
    let (place, digest) = stored(&layers());
    Layout::new(&[(LAYER, tar("other"))]).write(&place.path("second"), "other");
    place.succeed(&["load", "-i", "second"]);
    place.succeed(&["push", "--digestfile", "digest", "app", "oci:out:one"]);
    assert_eq!(fs::read_to_string(place.path("digest")).unwrap(), digest);
    place.succeed(&["push", "other", "oci:out:two"]);
    let names = |place: &Place| -> Vec<Value> {
        let index = read(&place.path("out/index.json"));
        let all = index["manifests"].as_array().unwrap().iter();
        all.map(|m| m["annotations"]["org.opencontainers.image.ref.name"].clone()).collect()
    };
    assert_eq!(names(&place), ["one", "two"]);
    // A name is one image's; the same again changes nothing.
    place.succeed(&["push", "other", "oci:out:one"]);
    place.succeed(&["push", "other", "oci:out:one"]);
    assert_eq!(names(&place), ["two", "one"]);
    let fresh = Place::new();
    let path = at(&place, "oci", "out");
    fresh.succeed(&["pull", &format!("{path}:one")]);
    assert!(fresh.layer(&tar("other")).is_dir() && !fresh.layer(&tar("plain")).exists());
    let left = fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(".out")).collect();
    assert!(left.is_empty(), "{left:?}");
    // What is no layout is not mixed with one.
    let said = place.fail(&["push", "-q", "app", "oci:canary"]);
    assert!(said.contains("not empty"), "{said}");
    let said = place.fail(&["push", "-q", "app", "dir:out"]);
    assert!(said.contains("not empty"), "{said}");
    fs::write(place.path("out/index.json"), "{").unwrap();
    let said = place.fail(&["push", "-q", "app", "oci:out:three"]);
    assert!(said.contains("index.json"), "{said}");
}

#[test]
fn a_docker_archive_has_full_names() {
    let (place, _) = stored(&layers());
    place.succeed(&["push", "app", "docker-archive:out.tar:some/app"]);
    let fresh = Place::new();
    fresh.succeed(&["pull", &at(&place, "docker-archive", "out.tar")]);
    assert_eq!(images(&fresh)[0]["Names"], json!(["docker.io/some/app:latest"]));
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let (place, _) = stored(&layers());
    place.succeed(&["push", "-q", "app", "dir:dir"]);
    place.succeed(&["push", "-q", "app", "oci-archive:archive"]);
    for (args, word) in [
        (&["pull", "oci:dir"][..], "it is a directory of the dir: transport, not an OCI layout"),
        (&["pull", "dir:layout"], "it is an OCI layout"),
        (&["pull", "docker-archive:archive"], "it is an OCI archive"),
        (&["pull", "dir:canary"], "neither index.json"),
        (&["pull", "dir:nothing"], "cannot open nothing"),
        (&["load", "-i", "dir:app"], "no name"),
        (&["pull", "--policy", "never", "dir:dir"], "always loaded"),
        (&["pull", "--creds", "a:b", "dir:dir"], "--creds"),
        (&["pull", "--authfile", "x", "dir:dir"], "--authfile"),
        (&["pull", "--tls-verify=false", "dir:dir"], "--tls-verify"),
        (&["push", "--creds", "a:b", "app", "dir:new"], "--creds"),
        (&["push", "dir:new"], "sbx push IMAGE dir:new"),
        (&["push", "--digestfile", "d", "app", "docker-archive:new"], "--digestfile"),
    ] {
        let said = place.fail(args);
        assert!(said.contains(word), "{args:?}: {said}");
        assert!(said.contains("Fix: ") || word == "cannot open nothing", "{said}");
    }
    assert!(!place.path("new").exists());
}
