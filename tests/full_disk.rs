//! What takes images in on a disk that is too small: the error says so, nothing is left, and once there is
//! room the same works. The disk is a tmpfs over the store, in a user and a mount namespace of the test,
//! whose root runs sbx.

mod common;

use std::io::Write as _;
use std::process::Command;

use common::fixture::TarFile;
use common::registry::{Options, Registry};
use common::{Sbx, World, fixture};

/// `$1` is a small image's archive. `verb` needs more than the four megabytes that are left free, after `prepare`.
const SCRIPT: &str = r#"
    set -e
    sbx=$0
    mount -t tmpfs -o size=64m none "$XDG_DATA_HOME"
    store=$XDG_DATA_HOME/sbx fill=$XDG_DATA_HOME/fill
    fill() {
        dd if=/dev/zero of="$fill" bs=64k 2>/dev/null || :
        truncate -s -4M "$fill"
    }
    parts() { find "$store/images" "$store/layers" -mindepth 1 | sort; ls -A "$store/tmp"; }
    "$sbx" import "$1" small
    prepare
    fill
    before=$(parts)
    ! verb || { echo "there was room"; exit 1; }
    [ "$before" = "$(parts)" ] || { echo "left behind:"; parts; exit 1; }
    "$sbx" system check
    "$sbx" rmi small
    rm "$fill"
    verb
    # What cannot be looked at is neither damaged nor to be removed.
    fill
    before=$(parts)
    ! "$sbx" system check --repair || { echo "there was room"; exit 1; }
    [ "$before" = "$(parts)" ] || { echo "left behind:"; parts; exit 1; }
    rm "$fill"
    "$sbx" system check
    "$sbx" rm --all
"#;

/// Four megabytes in files of a kilobyte, which take a page each; no compression makes them smaller.
fn large() -> Vec<u8> {
    let mut tar = TarFile::new();
    let mut state = 1_u32;
    for file in 0..4000 {
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let content: Vec<u8> = (0..1000).map(|_| byte()).collect();
        tar.file(&format!("f{file}"), &content, 0o644, 0);
    }
    tar.finish()
}

fn no_room(world: &World, prepare: &str, verb: &str) {
    let mut tar = TarFile::new();
    tar.file("small", b"small", 0o644, 0);
    let small = world.file(tar.finish());
    let script = format!("prepare() {{ :\n{prepare}\n}}\nverb() {{\n{verb}\n}}\n{SCRIPT}");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "--mount", "sh", "-c", &script]);
    command.arg(common::world::binary());
    let finished = Sbx::through(world, command).arg(small).run().expect_code(0);
    let printed = finished.text();
    assert!(!printed.contains("damaged"), "{printed}");
    assert_eq!(printed.matches("all whole").count(), 2, "{printed}");
    let path = world.path("data/sbx").display().to_string();
    let said: Vec<&str> =
        finished.stderr.lines().filter(|l| l.starts_with("sbx: cannot")).collect();
    assert_eq!(said.len(), 2, "of the verb, and of the check: {finished:?}");
    for said in said {
        assert!(said.contains(": no space left on device. Fix: free some space"), "{said}");
        assert!(said.contains(&path), "the error names no path of the store: {said}");
    }
}

#[test]
fn slow_an_import_without_room() {
    let world = World::new();
    let tar = world.file(large()).display().to_string();
    no_room(&world, "", &format!("\"$sbx\" import {tar} large"));
}

/// What is kept of it as it is fits, and what it unpacks to does not.
#[test]
fn slow_an_import_whose_files_have_no_room() {
    let world = World::new();
    let mut tar = TarFile::new();
    tar.file("zeros", &[0; 20 << 20], 0o644, 0);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar.finish()).unwrap();
    let tar = world.file(gzip.finish().unwrap()).display().to_string();
    no_room(&world, "", &format!("\"$sbx\" import {tar} large"));
}

#[test]
fn slow_a_load_without_room() {
    let world = World::new();
    world.load_layers("localhost/large", &[&large()], &serde_json::json!({}));
    let file = world.fresh("archive").display().to_string();
    world.sbx(["save", "-o", &file, "localhost/large"]).ok();
    no_room(&world, "", &format!("\"$sbx\" load -i {file}"));
}

#[test]
fn slow_a_pull_without_room() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    world.load_layers("localhost/large", &[&large()], &serde_json::json!({}));
    let name = format!("{}/large:1", registry.host);
    world.sbx(["push", "--tls-verify=false", "localhost/large", &name]).ok();
    no_room(&world, "", &format!("\"$sbx\" pull --tls-verify=false {name}"));
}

#[test]
fn slow_a_commit_without_room() {
    let world = World::new();
    let root = world.file(fixture::busybox_tar()).display().to_string();
    let write = "head -c 8000000 /dev/urandom >/large";
    let prepare = format!(
        "\"$sbx\" import {root} root\n\"$sbx\" run root sh -c '{write}'\n\
         id=$(\"$sbx\" ps -aq)"
    );
    no_room(&world, &prepare, "\"$sbx\" commit \"$id\" large");
}
