//! SIGKILL at twenty points of what changes the store: it is whole each time, the same verb does its work
//! the next time, and nothing is left of what was killed.

mod common;

use std::time::Instant;

use common::fixture::TarFile;
use common::registry::{Options, Registry};
use common::{Sbx, World, process};
use nix::sys::signal::Signal;

const POINTS: u32 = 20;
const APP: &str = "localhost/app:1";

/// An archive of an image of three layers, with 800 files and over a megabyte each.
fn archive(world: &World) -> String {
    let layers = [layer(1), layer(2), layer(3)];
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    world.load_layers(APP, &layers, &serde_json::json!({}));
    let file = world.fresh("archive").display().to_string();
    world.sbx(["save", "--format", "oci-archive", "-o", &file, APP]).ok();
    world.sbx(["rmi", APP]).ok();
    file
}

fn layer(seed: u32) -> Vec<u8> {
    let mut tar = TarFile::new();
    tar.file("large", &noise(seed, 1 << 20), 0o644, 0);
    for dir in 0..20 {
        tar.dir(&format!("d{dir}"), 0o755, dir);
        for file in 0..40 {
            tar.file(&format!("d{dir}/{seed}-{file}"), &noise(file, 1000), 0o644, dir);
        }
    }
    tar.finish()
}

/// Bytes that do not compress.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed);
    let mut next = || {
        // Knuth's MMIX; its upper half is random enough.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What the store holds, by name: an image's parts, and leftovers if there are any.
fn parts(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    for dir in ["images/blobs/sha256", "layers"] {
        let entries = std::fs::read_dir(world.path("data/sbx").join(dir)).expect("a directory");
        names.extend(
            entries.map(|e| format!("{dir}/{}", e.expect("an entry").file_name().display())),
        );
    }
    names.retain(|name| name != "layers/mountpoints");
    names.sort();
    names
}

/// Kills `verb` at points that are spread over its run. `put_back` makes its work be there to be done
/// again; `meanwhile` is what happens between a kill and the next run.
fn killed_anywhere<'w>(
    world: &'w World,
    verb: &dyn Fn() -> Sbx<'w>,
    put_back: &dyn Fn(),
    meanwhile: &dyn Fn(u32),
) {
    let is_whole = || drop(world.sbx(["system", "check"]).ok());
    put_back();
    let before = parts(world);
    let start = Instant::now();
    verb().ok();
    let mut whole = start.elapsed();
    let after = parts(world);
    assert_ne!(before, after);
    let (mut point, mut missed) = (0, 0);
    while point < POINTS {
        put_back();
        assert_eq!(parts(world), before, "before point {point}");
        let start = Instant::now();
        let running = verb().spawn();
        // Not a wait for something to happen: the moment of the kill is what varies.
        process::ends(running.pid(), whole * point / POINTS);
        running.signal(Signal::SIGKILL);
        let finished = running.wait();
        if finished.signal() != Some(9) {
            // It was faster than the last time: this is no point.
            finished.expect_code(0);
            whole = start.elapsed().min(whole * 9 / 10);
            missed += 1;
            assert!(missed < 100, "no kill comes in time");
            continue;
        }
        is_whole();
        meanwhile(point);
        verb().ok();
        assert_eq!(parts(world), after, "after point {point}");
        is_whole();
        let staged = std::fs::read_dir(world.path("data/sbx/tmp")).expect("a directory");
        assert_eq!(staged.count(), 1, "only the lock is left after point {point}");
        point += 1;
    }
}

fn removed(world: &World) {
    world.sbx(["rmi", "--force", APP]).ok();
}

#[test]
fn slow_killed_at_any_point_of_a_load() {
    let world = World::in_memory();
    let archive = archive(&world);
    let load = || world.sbx(["load", "-i", &archive]);
    killed_anywhere(&world, &load, &|| removed(&world), &|_| ());
}

#[test]
fn slow_killed_at_any_point_of_a_pull() {
    let world = World::in_memory();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/app:1", registry.host);
    world.sbx(["load", "-i", &archive(&world)]).ok();
    world.sbx(["push", "--tls-verify=false", APP, &name]).ok();
    removed(&world);
    let pull = || world.sbx(["pull", "--tls-verify=false", &name]);
    let remove = || drop(world.sbx(["rmi", "--force", &name]).ok());
    killed_anywhere(&world, &pull, &remove, &|_| ());
}

#[test]
fn slow_killed_at_any_point_of_a_commit() {
    let world = World::in_memory();
    let files = "for d in $(seq 20); do mkdir /d$d; for f in $(seq 40); do echo $d $f >/d$d/$f; \
                 done; done; head -c 2000000 /dev/urandom >/large; rm /etc/group";
    world.sbx(["run", world.image(), "sh", "-ec", files]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    // The parts of the image are the same each time.
    let commit = || world.sbx(["commit", "-q", &id, APP]).env("SOURCE_DATE_EPOCH", "1");
    killed_anywhere(&world, &commit, &|| removed(&world), &|_| ());
    world.sbx(["rm", "--all"]).ok();
}

#[test]
fn slow_killed_at_any_point_of_a_removal() {
    let world = World::in_memory();
    let archive = archive(&world);
    let load = || drop(world.sbx(["load", "-i", &archive]).ok());
    let remove = || world.sbx(["rmi", "--force", APP]);
    // What is left does no harm to the image when it is taken in again.
    let meanwhile = |point| {
        if point % 2 == 1 {
            load();
            world.sbx(["system", "check"]).ok();
        }
    };
    killed_anywhere(&world, &remove, &load, &meanwhile);
}
