//! What an image has where a new volume is mounted goes into the volume, once.

mod common;

use common::World;
use common::fixture::{self, TarFile};
use serde_json::json;
use tar::EntryType;

/// Everything below /seed: names, modes, owners, times, kinds, contents and targets, and the names that a
/// file has (of a directory an overlay does not tell).
const LIST: &str = "cd /seed && find . | sort | while read -r f; do \
                    stat -c '%n %a %u:%g %Y %F' \"$f\"; readlink \"$f\"; done; \
                    find . ! -type d | sort | xargs stat -c '%n %h'; \
                    find . -type f | sort | xargs cat";

/// The busybox root, with /seed in two layers: owners, modes, links, a whiteout, an opaque directory.
fn seeded(world: &World) {
    let mut low = TarFile::new();
    low.dir("seed", 0o755, 0);
    for name in ["seed/low", "seed/both", "seed/gone"] {
        low.file(name, b"low\n", 0o644, 7);
    }
    low.dir("seed/opaque", 0o755, 0);
    low.file("seed/opaque/hidden", b"low\n", 0o644, 0);
    let mut high = TarFile::new();
    high.dir("seed", 0o2750, 33);
    high.file("seed/both", b"high\n", 0o4711, 33);
    high.file("seed/.wh.gone", b"", 0o644, 0);
    high.dir("seed/opaque", 0o700, 1000);
    high.file("seed/opaque/.wh..wh..opq", b"", 0o644, 0);
    high.file("seed/opaque/shown", b"high\n", 0o600, 1000);
    high.link("seed/link", "/nowhere");
    high.add("seed/second", EntryType::Link, Some("seed/both"), &[], 0o644, 33);
    high.add("seed/fifo", EntryType::Fifo, None, &[], 0o620, 5);
    high.dir("shut", 0o750, 1000);
    high.link("away", "/seed");
    let (low, high) = (low.finish(), high.finish());
    let layers: [&[u8]; 3] = [fixture::busybox_tar(), &low, &high];
    world.load_layers("seeded", &layers, &json!({"Volumes": {"/seed": {}}}));
}

fn sh(world: &World, flags: &[&str], script: &str) -> String {
    world.sbx(["run", "--rm"]).args(flags).args(["seeded", "sh", "-c", script]).ok()
}

#[test]
fn a_new_volume_gets_the_images_files_once() {
    let world = World::new();
    seeded(&world);
    let image = sh(&world, &[], LIST);
    for word in
        ["both 4711 33:33", "opaque 700 1000:1000", "/nowhere", "fifo", "second 2\n", "low 644"]
    {
        assert!(image.contains(word), "{word} is not in {image}");
    }
    assert!(!image.contains("gone") && !image.contains("hidden"), "{image}");
    assert_eq!(sh(&world, &["-v", "data:/seed"], LIST), image);
    // Read-only, through a link, and without a name.
    assert_eq!(sh(&world, &["-v", "other:/away:ro"], LIST), image);
    assert_eq!(sh(&world, &["-v", "/seed"], LIST), image);
    assert_eq!(sh(&world, &["--upper", "tmpfs", "-v", "/seed"], LIST), image);
    // What is removed stays away, and what is there stays as it is.
    sh(&world, &["-v", "data:/seed"], "rm -r /seed/*");
    assert_eq!(sh(&world, &["-v", "data:/seed"], "ls -A /seed"), "");
}

/// VOLUME of an image: in the container's own layer, unless that is read-only.
#[test]
fn what_the_image_declares_a_volume_can_be_written_to() {
    let world = World::new();
    seeded(&world);
    let image = sh(&world, &[], LIST);
    let mounted = "grep -c ' /seed ' /proc/mounts || touch /seed/x";
    assert_eq!(sh(&world, &[], mounted), "0");
    assert_eq!(sh(&world, &["--read-only"], LIST), image);
    let script = "touch /seed/x; grep -c ' /seed ' /proc/mounts; ! touch /x 2>/dev/null";
    assert_eq!(sh(&world, &["--read-only"], script), "1");
    let run = ["run", "--rm", "--read-only", "--explain", "seeded", "true"];
    let text = world.sbx(run).ok();
    let line = text.lines().find(|l| l.starts_with("mount /seed "));
    assert!(line.is_some_and(|l| l.ends_with("[image]")), "{text}");
    // What the caller mounts there comes first.
    let flags = ["--read-only", "--tmpfs", "/seed"];
    assert_eq!(sh(&world, &flags, "ls -A /seed; touch /seed/x"), "");
    assert_eq!(sh(&world, &["--read-only", "-v", "data:/seed"], LIST), image);
    assert_eq!(world.sbx(["volume", "ls", "-q"]).ok(), "data");
}

#[test]
fn a_volume_that_holds_something_is_left_as_it_is() {
    let world = World::new();
    seeded(&world);
    let on_host = ["run", "-v", "data:/tmp/v", "--host", "--", "touch", "/tmp/v/mine"];
    world.sbx(on_host).ok();
    assert_eq!(sh(&world, &["-v", "data:/seed"], "ls -A /seed"), "mine");
}

#[test]
fn nocopy_brings_the_owner_only() {
    let world = World::new();
    seeded(&world);
    let script = "stat -c '%a %u:%g' /seed; ls -A /seed";
    assert_eq!(sh(&world, &["-v", "data:/seed:nocopy"], script), "2750 33:33");
    let long = "type=volume,src=other,dst=/seed,volume-nocopy=true";
    assert_eq!(sh(&world, &["--mount", long], script), "2750 33:33");
    // It is new still for those who want files.
    assert!(sh(&world, &["-v", "data:/seed"], script).contains("both"));
}

#[test]
fn an_empty_volume_belongs_to_who_uses_it() {
    let world = World::new();
    seeded(&world);
    let script = "stat -c '%a %u:%g' /v; touch /v/mine";
    let flags = ["-u", "1000:50", "-v", "data:/v"];
    assert_eq!(sh(&world, &flags, script), "755 1000:50");
    // The first one decides.
    assert_eq!(sh(&world, &["-v", "data:/v"], script), "755 1000:50");
    // An empty directory of the image decides before.
    let flags = ["-u", "7", "-v", "shut:/shut"];
    assert_eq!(sh(&world, &flags, "stat -c '%a %u:%g' /shut"), "750 1000:1000");
    let root = format!("{}:O", world.rootfs().display());
    let run = ["run", "--rootfs", &root, "-u", "1000:50", "-v", "dir:/v", "--", "sh", "-c", script];
    assert_eq!(world.sbx(run).ok(), "755 1000:50");
}

#[test]
fn files_have_the_images_owners_under_another_id_map() {
    common::need!("fuse-overlayfs");
    let world = World::new();
    seeded(&world);
    let image = sh(&world, &[], LIST);
    for map in [&["--userns", "keep-id"][..], &["--uidmap", "0:1:5000"]] {
        let flags: Vec<&str> = map.iter().copied().chain(["-u", "0", "-v", "/seed"]).collect();
        assert_eq!(sh(&world, &flags, LIST), image, "{map:?}");
    }
    let flags = ["--uidmap", "0:1:20", "-v", "data:/seed"];
    let run = ["run", "--rm"];
    let said = world.sbx(run).args(flags).args(["seeded", "true"]).fails(125);
    assert!(said.contains("33:33") && said.contains("Fix: add nocopy"), "{said}");
    let flags = ["--userns", "keep-id", "-v", "mine:/v"];
    let own = sh(&world, &flags, "[ $(stat -c %u /v) = $(id -u) ] && touch /v/x && echo own");
    assert_eq!(own, "own");
}

#[test]
fn starts_at_the_same_time_copy_once() {
    let world = World::new();
    seeded(&world);
    let start = |n| {
        let script = format!("test -f /seed/opaque/shown && touch /seed/{n}.started");
        let run = ["run", "--rm", "-v", "data:/seed", "seeded", "sh", "-c", &script];
        world.sbx(run).spawn()
    };
    let started: Vec<_> = (0..8).map(start).collect();
    for running in started {
        running.wait().expect_code(0);
    }
    assert_eq!(sh(&world, &["-v", "data:/seed"], "ls /seed/*.started | wc -l"), "8");
}

/// A start that is killed leaves the copy unfinished beside the volume's data.
#[test]
fn half_a_copy_is_done_again() {
    let world = World::new();
    seeded(&world);
    let image = sh(&world, &[], LIST);
    world.sbx(["volume", "create", "data"]).ok();
    let dir = world.path("data/sbx/volumes/data");
    std::fs::create_dir_all(dir.join("new/half")).unwrap();
    assert_eq!(sh(&world, &["-v", "data:/seed"], LIST), image);
    assert!(!dir.join("new").exists());
}

/// The directory that somebody has mounted cannot be replaced by another.
#[test]
fn an_empty_volume_in_use_is_not_filled() {
    let world = World::new();
    seeded(&world);
    let script = "echo up; read -r _";
    let run = ["run", "--rm", "-i", "-v", "data:/seed:nocopy", "seeded", "sh", "-c", script];
    let mut running = world.sbx(run).spawn_open();
    running.until("up");
    let run = ["run", "--rm", "-v", "data:/seed", "seeded", "true"];
    let said = world.sbx(run).fails(125);
    assert!(said.contains("in a container") && said.contains("nocopy"), "{said}");
    assert_eq!(sh(&world, &["-v", "data:/v"], "ls -A /v"), "");
    running.close_input();
    running.wait();
}

/// Row of the store: a link of the image leads nowhere outside of it.
#[test]
fn a_link_of_the_image_leads_nowhere_outside() {
    let world = World::new();
    let secret = world.folder();
    std::fs::write(secret.join("secret"), "secret\n").unwrap();
    let mut tar = TarFile::new();
    let up = format!("../../../../../../../..{}", secret.display());
    tar.add("out", EntryType::Symlink, Some(&up), &[], 0o777, 0);
    tar.dir("seed", 0o755, 0);
    tar.add("seed/out", EntryType::Symlink, Some(secret.to_str().unwrap()), &[], 0o777, 0);
    let tar = tar.finish();
    world.load_layers("seeded", &[fixture::busybox_tar(), &tar], &json!({}));
    assert_eq!(sh(&world, &["-v", "data:/out"], "ls -A /out"), "");
    assert_eq!(sh(&world, &["-v", "other:/seed"], "readlink /seed/out"), secret.to_str().unwrap());
}
