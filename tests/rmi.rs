//! `sbx rmi` of an image that is in use.

mod common;

use std::path::PathBuf;

use common::World;
use nix::sys::signal::Signal;

/// The unpacked layer of the busybox image.
fn layer(world: &World) -> PathBuf {
    let entries = std::fs::read_dir(world.path("data/sbx/layers")).unwrap();
    let mut layers = entries.map(|e| e.unwrap().path()).filter(|p| !p.ends_with("mountpoints"));
    layers.next().expect("a layer")
}

fn is_empty(world: &World) -> bool {
    std::fs::read_dir(world.path("data/sbx/images/blobs/sha256")).unwrap().count() == 0
}

#[test]
fn a_kept_container_keeps_its_image() {
    let world = World::new();
    let image = world.image();
    world.sbx(["run", image, "true"]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    let said = world.sbx(["rmi", image]).fails(125);
    assert!(said.contains(&format!("container {id} uses it")), "{said}");
    assert!(said.contains("sbx rmi -f"), "{said}");
    world.sbx(["run", "--rm", image, "true"]).ok();
    // One of two names can go.
    world.sbx(["tag", image, "other"]).ok();
    world.sbx(["rmi", "other"]).ok();
    world.sbx(["image", "prune", "--all", "--force"]).ok();
    world.sbx(["run", "--rm", image, "true"]).ok();

    let finished = world.sbx(["rmi", "-f", image]).run().expect_code(0);
    assert!(finished.text().contains("Deleted: "), "{finished:?}");
    assert!(finished.stderr.contains(&format!("until container {id} is gone")), "{finished:?}");
    let said = world.sbx(["run", "--rm", "--pull", "never", image, "true"]).fails(125);
    assert!(said.contains("cannot find image"), "{said}");
    assert!(layer(&world).join("bin/busybox").exists());
    assert!(!is_empty(&world), "manifest and configuration describe the container");
    world.sbx(["rm", &id]).ok();
    world.sbx(["image", "prune", "--force"]).ok();
    assert!(is_empty(&world));
}

/// The layers alone are enough, whatever other tools do to the images.
#[test]
fn a_containers_layers_stay_without_its_manifest() {
    let world = World::new();
    world.sbx(["run", world.image(), "true"]).ok();
    let images = world.path("data/sbx/images");
    std::fs::remove_file(images.join("index.json")).unwrap();
    std::fs::remove_dir_all(images.join("blobs/sha256")).unwrap();
    world.sbx(["image", "prune", "--force"]).ok();
    assert!(layer(&world).join("bin/busybox").exists());
    world.sbx(["rm", "--all"]).ok();
}

fn running_keeps(flags: &[&str]) {
    let world = World::new();
    let image = world.image();
    let script = "echo up; read -r _; cat /etc/passwd";
    let mut running =
        world.sbx(["run", "--rm", "-i"]).args(flags).args([image, "sh", "-c", script]).spawn_open();
    running.until("up");
    let said = world.sbx(["rmi", image]).fails(125);
    assert!(said.contains("a sandbox that runs uses it"), "{said}");
    world.sbx(["image", "prune", "--all", "--force"]).ok();
    let finished = world.sbx(["rmi", "-f", image]).run().expect_code(0);
    assert!(finished.stderr.contains("until a sandbox that runs is gone"), "{finished:?}");
    running.say("go on").until("ana:x:1000");
    running.wait().expect_code(0);
    world.sbx(["image", "prune", "--force"]).ok();
    assert!(is_empty(&world));
}

#[test]
fn a_running_sandbox_keeps_its_image() {
    running_keeps(&[]);
}

#[test]
fn a_running_sandbox_in_memory_keeps_its_image() {
    let world = World::new();
    let finished = world.image_sh(&["--upper", "tmpfs"], "true").run();
    drop(world);
    if finished.code() != Some(0) {
        common::skip!("--upper tmpfs does not work here: {}", finished.stderr);
    }
    running_keeps(&["--upper", "tmpfs"]);
}

#[test]
fn a_killed_sandbox_keeps_nothing() {
    let world = World::new();
    let image = world.image();
    let mut running =
        world.sbx(["run", "--rm", image, "sh", "-c", "echo up; exec sleep 1000"]).spawn();
    running.until("up");
    running.signal(Signal::SIGKILL);
    running.wait();
    world.host(["true"]).ok();
    let removed = || world.sbx(["rmi", image]).run().code() == Some(0);
    // The kernel takes a moment to end what was inside.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !removed() {
        assert!(std::time::Instant::now() < deadline, "the image is still in use");
    }
    assert!(is_empty(&world));
    // The next start sweeps the directory.
    world.sbx(["import", &world.path("busybox.tar").display().to_string(), image]).ok();
    world.image_sh(&[], "true").ok();
}

#[test]
fn a_damaged_container_is_not_guessed_about() {
    let world = World::new();
    world.sbx(["run", world.image(), "true"]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    let containers = std::fs::read_dir(world.path("data/sbx/containers")).unwrap();
    let dir = containers.map(|e| e.unwrap().path()).next().unwrap();
    std::fs::write(dir.join("state.json"), "{").unwrap();
    let said = world.sbx(["rmi", "-f", world.image()]).fails(125);
    assert!(said.contains(&format!("Fix: sbx rm {id}")), "{said}");
    assert!(layer(&world).join("bin/busybox").exists());
    world.sbx(["rm", "--all"]).ok();
    world.sbx(["rmi", world.image()]).ok();
    assert!(is_empty(&world));
}

/// A run that starts as its image goes works, or says that there is none.
#[test]
fn slow_a_start_and_a_removal_at_once() {
    let world = World::new();
    let image = world.image();
    let tar = world.path("busybox.tar").display().to_string();
    let (mut worked, mut refused) = (0, 0);
    for round in 0..150_u32 {
        world.sbx(["import", &tar, image]).ok();
        let script = "ls /bin /etc >/dev/null && cat /etc/passwd >/dev/null && echo whole";
        let run = || {
            world.sbx(["run", "--rm", "--pull", "never", image, "/bin/sh", "-c", script]).spawn()
        };
        let first = run();
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_micros(u64::from(round % 50) * 100) {
            std::hint::spin_loop();
        }
        let removal = world.sbx(["rmi", "-f", image]).spawn();
        for run in [first, run()] {
            let finished = run.wait();
            match finished.code() {
                Some(0) => {
                    assert_eq!(finished.text(), "whole");
                    worked += 1;
                }
                Some(125) => {
                    assert!(finished.stderr.contains("cannot find image"), "{finished:?}");
                    refused += 1;
                }
                _ => panic!("{finished:?}"),
            }
        }
        removal.wait().expect_code(0);
        world.sbx(["image", "prune", "--force"]).ok();
        assert!(is_empty(&world));
    }
    assert!(worked > 0 && refused > 0, "{worked} worked, {refused} were refused");
}
