//! Archives made to get out, to fill the disk, or to be read in two ways.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use crate::archive::*;

fn head(flag: u8) -> Head {
    Head { flag, ..Head::default() }
}

#[test]
fn names_with_dots_are_refused() {
    for name in ["../canary/file", "a/../../canary/file", "..", "/../canary/file", "a/.."] {
        let place = Place::new();
        let err = place.import_fails(&Tar::default().file(name, "evil").end());
        assert!(err.contains("\"..\""), "{name}: {err}");
    }
}

#[test]
fn absolute_names_stay_inside() {
    let place = Place::new();
    let name = place.path("canary/file");
    let (tree, _) = place.import(&Tar::default().file(name.to_str().unwrap(), "evil").end());
    let inside = tree.join(name.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(inside).unwrap(), "evil");
}

#[test]
fn links_lead_nowhere_but_into_the_tree() {
    let place = Place::new();
    let canary = place.path("canary");
    let canary = canary.to_str().unwrap();
    let up = "../".repeat(10) + canary;
    for to in [canary, &up] {
        // The same path inside the tree does not exist: there is nothing to write into.
        let err = place.import_fails(&Tar::default().symlink("l", to).file("l/file", "evil").end());
        assert!(err.contains("symbolic link to nothing"), "{err}");
        let err =
            place.import_fails(&Tar::default().symlink("l", to).hard_link("h", "l/file").end());
        assert!(err.contains("hard link"), "{err}");
        let whiteout = Tar::default().symlink("l", to).file("l/.wh.file", "").end();
        assert!(place.import_fails(&whiteout).contains("symbolic link to nothing"));
        let opaque = Tar::default().symlink("l", to).file("l/.wh..wh..opq", "").end();
        assert!(place.import_fails(&opaque).contains("symbolic link to nothing"));
    }
    let tar =
        Tar::default().dir("real").symlink("l", "/real").file("l/file", "good").dir("l/sub").end();
    let (tree, _) = place.import(&tar);
    assert_eq!(fs::read_to_string(tree.join("real/file")).unwrap(), "good");
    assert!(tree.join("real/sub").is_dir());
}

#[test]
fn a_file_replaces_a_link_and_does_not_follow_it() {
    let place = Place::new();
    let target = place.path("target");
    let target = target.to_str().unwrap();
    let tar = Tar::default().symlink("l", target).file("l", "evil").end();
    let (tree, _) = place.import(&tar);
    assert_eq!(fs::read_to_string(tree.join("l")).unwrap(), "evil");
    // A directory in the place of a link is made, not found behind it.
    let tar = Tar::default().symlink("d", place.path("canary").to_str().unwrap()).dir("d").end();
    let (tree, _) = place.import(&tar);
    assert!(fs::symlink_metadata(tree.join("d")).unwrap().is_dir());
}

#[test]
fn hard_links_bind_links_and_not_their_targets() {
    let place = Place::new();
    let target = place.path("target");
    let tar = Tar::default().symlink("l", target.to_str().unwrap()).hard_link("h", "l").end();
    let (tree, _) = place.import(&tar);
    assert!(fs::symlink_metadata(tree.join("h")).unwrap().is_symlink());
    for (to, why) in [("none", "not there"), ("../target", "\"..\""), ("d", "directory")] {
        let place = Place::new();
        let err = place.import_fails(&Tar::default().dir("d").hard_link("h", to).end());
        assert!(err.contains(why), "{to}: {err}");
    }
}

#[test]
fn what_is_no_directory_is_no_parent() {
    let place = Place::new();
    let err = place.import_fails(&Tar::default().file("f", "x").file("f/g", "x").end());
    assert!(err.contains("not a directory"), "{err}");
    let err = place.import_fails(&Tar::default().file("f", "x").file("f/.wh..wh..opq", "").end());
    assert!(err.contains("not a directory"), "{err}");
    let err = place.import_fails(&Tar::default().file("./", "x").end());
    assert!(err.contains("root directory"), "{err}");
    let loops = Tar::default().symlink("a", "b").symlink("b", "a").file("a/f", "x").end();
    assert!(place.import_fails(&loops).contains("loop"));
}

#[test]
fn whiteouts_of_nothing_are_refused() {
    for name in [".wh.", "d/.wh.", ".wh..", ".wh...", ".wh.d/file"] {
        let place = Place::new();
        let err = place.import_fails(&Tar::default().file(name, "").end());
        assert!(err.contains(".wh."), "{name}: {err}");
    }
}

#[test]
fn bombs_meet_limits() {
    let place = Place::new();
    let tebibyte = Tar::default()
        .pax(&[("GNU.sparse.size", "1099511627776"), ("GNU.sparse.map", "0,1")])
        .entry("huge", &Head::default(), b"x")
        .end();
    assert!(place.import_fails(&tebibyte).contains("64 GiB"));
    for flag in [b'x', b'L', b'K', b'g'] {
        let tar = Tar::default().entry("x", &Head { size: 2 << 20, ..head(flag) }, b"").0;
        assert!(place.import_fails(&tar).contains("limit"));
    }
    // Zeros behind the end of the tar: what they inflate to goes nowhere, and is not endless.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 19).unwrap();
    encoder.write_all(&Tar::default().end()).unwrap();
    let zeros = vec![0; 16 << 20];
    for _ in 0..80 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(place.import_fails(&bomb).contains("decompression bomb"));
}

#[test]
fn long_names_are_named() {
    let place = Place::new();
    let long = "a".repeat(300);
    let tar = Tar::default().pax(&[("path", &long)]).file("x", "x").end();
    assert!(place.import_fails(&tar).contains("255"));
    let deep = "a/".repeat(2500);
    let tar = Tar::default().pax(&[("path", &deep)]).file("x", "x").end();
    assert!(place.import_fails(&tar).contains("4096"));
}

#[test]
fn terminal_escapes_are_escaped() {
    let place = Place::new();
    let err = place.import_fails(&Tar::default().file("\x1b]0;x\x07/../y", "").end());
    assert!(!err.contains('\x1b'), "{err:?}");
}

#[test]
fn truncation_is_named_with_the_file() {
    let place = Place::new();
    let whole = Tar::default().file("a", &"x".repeat(5000)).dir("d").end();
    for len in [100, 600, 3000, 5632 + 512, whole.len() - 1024] {
        let err = place.import_fails(&whole[..len]);
        assert!(err.contains("truncated") && err.contains("in.tar"), "{len}: {err}");
    }
    for packed in [gzip(&whole), zstd(&whole)] {
        let err = place.import_fails(&packed[..packed.len() - 5]);
        assert!(err.contains("in.tar"), "{err}");
    }
    let packed = gzip(&whole);
    assert!(place.import_fails(&packed[..packed.len() / 2]).contains("truncated"));
    assert!(place.import_fails(b"").contains("truncated"));
    assert!(place.import_fails(&[7; 4096]).contains("not a tar archive"));
    assert!(place.import_fails(b"\xfd7zXZ\0").contains("xz"));
}

/// Loads a layout that `spoil` has changed and expects an error with each of `words`.
fn refused(words: &[&str], spoil: impl FnOnce(&mut Layout)) {
    let place = Place::new();
    let tar = Tar::default().file("f", "x").end();
    let mut layout = Layout::new(&[("application/vnd.oci.image.layer.v1.tar+gzip", tar)]);
    spoil(&mut layout);
    layout.write(&place.path("layout"), "x");
    let err = place.fail(&["load", "-i", "layout"]);
    for word in words {
        assert!(err.contains(word), "{word}: {err}");
    }
    assert_eq!(place.layers(), 0);
    assert!(!place.data().join("images/index.json").exists());
}

const NONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn layouts_that_lie_are_refused() {
    let other = Tar::default().file("f", "y").end();
    refused(&["diffID", NONE, "expected"], |layout| {
        layout.config["rootfs"]["diff_ids"][0] = NONE.into();
    });
    refused(&["digest", &sha256(&gzip(&other)), "expected"], |layout| {
        let bytes = gzip(&other);
        layout.manifest["layers"][0]["size"] = bytes.len().into();
        let digest = layout.manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
        layout.blobs.insert(digest, bytes);
    });
    refused(&["bytes", "descriptor"], |layout| {
        layout.manifest["layers"][0]["size"] = 7.into();
    });
    refused(&["-1"], |layout| layout.manifest["layers"][0]["size"] = (-1).into());
    refused(&["sha256:../../canary/file"], |layout| {
        layout.manifest["layers"][0]["digest"] = "sha256:../../canary/file".into();
    });
    refused(&["ambiguous"], |layout| layout.manifest["manifests"] = serde_json::json!([]));
    refused(&["ambiguous"], |layout| layout.manifest["mediaType"] = INDEX.into());
    refused(&["media type", "+xz"], |layout| {
        layout.manifest["layers"][0]["mediaType"] = format!("{LAYER}+xz").into();
    });
    refused(&["media type says None", "Gzip"], |layout| {
        layout.manifest["layers"][0]["mediaType"] = LAYER.into();
    });
    refused(&["diffIDs"], |layout| {
        layout.config["rootfs"]["diff_ids"] = serde_json::json!([]);
    });
    refused(&["missing"], |layout| layout.blobs.clear());
    refused(&["limit"], |layout| layout.config["padding"] = " ".repeat(5 << 20).into());
}

#[test]
fn indexes_do_not_go_in_circles() {
    let place = Place::new();
    // A circle needs a digest that lies; without one, indexes can only be nested.
    let mut blobs = BTreeMap::new();
    let mut inner = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    for _ in 0..10 {
        let bytes = inner.to_string().into_bytes();
        let digest = sha256(&bytes);
        inner = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{ "mediaType": INDEX, "digest": digest, "size": bytes.len() }],
        });
        blobs.insert(digest, bytes);
    }
    write_layout(&place.path("layout"), &blobs, &inner);
    assert!(place.fail(&["load", "-i", "layout"]).contains("nested"));
    let digest = inner["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let circle = inner.to_string().into_bytes();
    inner["manifests"][0]["size"] = circle.len().into();
    blobs.insert(digest, circle);
    write_layout(&place.path("circle"), &blobs, &inner);
    assert!(place.fail(&["load", "-i", "circle"]).contains("digest"));
}

#[test]
fn a_fifo_in_a_layout_does_not_hang() {
    let place = Place::new();
    let layout = Layout::new(&[(LAYER, Tar::default().file("f", "x").end())]);
    let blob = layout.manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    layout.write(&place.path("layout"), "x");
    let blob = place.path("layout/blobs/sha256").join(hex(&blob));
    fs::remove_file(&blob).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &blob, fifo, mode, 0).unwrap();
    assert!(place.fail(&["load", "-i", "layout"]).contains("regular file"));
    // Nor is a link out of the layout followed.
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink(place.path("target"), &blob).unwrap();
    place.fail(&["load", "-i", "layout"]);
}
