//! `sbx system check`: damage is found, named and mended.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use common::World;
use common::registry::{Options, Registry};

fn layer(world: &World) -> PathBuf {
    let layers = std::fs::read_dir(world.path("data/sbx/layers")).expect("layers").flatten();
    let mut trees = layers.map(|e| e.path()).filter(|p| !p.ends_with("mountpoints"));
    trees.next().expect("a layer")
}

fn largest_blob(world: &World) -> PathBuf {
    let blobs = std::fs::read_dir(world.path("data/sbx/images/blobs/sha256")).expect("blobs");
    let size = |path: &PathBuf| path.metadata().map_or(0, |m| m.len());
    blobs.flatten().map(|e| e.path()).max_by_key(size).expect("a blob")
}

#[test]
fn a_whole_store_is_said_to_be_so() {
    let world = World::new();
    assert!(world.sbx(["system", "check"]).ok().contains("0 images"));
    world.image_sh(&[], "true").ok();
    let said = world.sbx(["system", "check"]).ok();
    assert_eq!(said, "1 images, 3 blobs, 1 unpacked layers: all whole");
}

/// A whiteout has the time at which it was made, whatever its archive says.
#[test]
fn a_committed_deletion_is_no_damage() {
    let world = World::new();
    world.sbx(["run", world.image(), "rm", "/etc/group"]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    world.sbx(["commit", "-q", &id, "made"]).ok();
    let said = world.sbx(["system", "check"]).ok();
    assert_eq!(said, "2 images, 6 blobs, 2 unpacked layers: all whole");
    world.sbx(["rm", "--all"]).ok();
}

#[test]
fn each_change_of_a_layer_is_found_and_mended() {
    let world = World::new();
    world.image();
    let tree = layer(&world);
    let changes: [(&str, &dyn Fn()); 7] = [
        ("content", &|| {
            let path = tree.join("etc/data");
            let time = path.metadata().unwrap().modified().unwrap();
            std::fs::write(&path, "not a progrom\n").unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }),
        ("mode", &|| common::world::chmod(&tree.join("etc/group"), 0o4755)),
        ("missing", &|| std::fs::remove_file(tree.join("etc/passwd")).unwrap()),
        ("not of the image", &|| std::fs::write(tree.join("usr/bin/evil"), "x").unwrap()),
        ("link target", &|| {
            std::fs::remove_file(tree.join("bin/ls")).unwrap();
            std::os::unix::fs::symlink("evilbox", tree.join("bin/ls")).unwrap();
            let time = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, tree.join("bin/ls"), &times, flags).unwrap();
        }),
        ("kind", &|| {
            std::fs::remove_dir(tree.join("usr/bin")).unwrap();
            std::fs::write(tree.join("usr/bin"), "").unwrap();
        }),
        ("missing", &|| {
            std::fs::rename(&tree, world.path("tmp/away")).unwrap();
        }),
    ];
    for (why, change) in changes {
        change();
        let finished = world.sbx(["system", "check"]).run().expect_code(1);
        let said = finished.text();
        assert!(
            said.contains("localhost/busybox:latest") && said.contains("Fix: "),
            "{why}: {said}"
        );
        let said = world.sbx(["system", "check", "--repair"]).ok();
        assert!(said.contains("mended"), "{why}: {said}");
        world.sbx(["system", "check"]).ok();
        world.image_sh(&[], "stat -c %u /home/ana").ok();
    }
    // What was moved away has owners that only a user namespace can remove.
    let away = world.path("tmp/away");
    std::fs::rename(away, world.path("data/sbx/tmp/away")).unwrap();
    world.sbx(["system", "check"]).ok();
}

#[test]
fn a_damaged_blob_is_pulled_again_or_named() {
    let world = World::new();
    world.image();
    let blob = largest_blob(&world);
    let damage = || {
        let mut bytes = std::fs::read(&blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::set_permissions(&blob, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&blob, bytes).unwrap();
    };
    damage();
    let said = world.sbx(["system", "check"]).run().expect_code(1).text();
    assert!(said.contains("expected sha256") && said.contains("busybox"), "{said}");
    let finished = world.sbx(["system", "check", "--repair"]).run().expect_code(1);
    assert!(finished.text().contains("damaged: "), "{finished:?}");

    // With a registry that has it.
    let tar = world.path("busybox.tar");
    world.sbx(["import"]).arg(&tar).arg("again").ok();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/b:1", registry.host);
    world.sbx(["push", "--tls-verify=false", "again", &name]).ok();
    world.sbx(["pull", "--tls-verify=false", &name]).ok();
    let config = world.path("config/sbx");
    std::fs::create_dir_all(&config).unwrap();
    let insecure = format!("[registries]\ninsecure = [{:?}]\n", registry.host);
    std::fs::write(config.join("config.toml"), insecure).unwrap();
    damage();
    let json = world.sbx(["system", "check", "--repair", "--json"]).ok();
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(found["damage"][0]["mended"], true, "{json}");
    world.sbx(["system", "check"]).ok();
}
