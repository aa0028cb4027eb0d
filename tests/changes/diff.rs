//! `sbx diff`.

use crate::common::{World, need};
use crate::{CHANGES, SCRIPT, kept, remove_all};

pub(crate) fn diff(world: &World, args: &[&str]) -> String {
    let text = world.sbx(["diff"]).args(args).ok();
    if text.is_empty() { text } else { text + "\n" }
}

#[test]
fn diff_lists_what_a_container_changed() {
    let world = World::new();
    let id = kept(&world, &[], SCRIPT);
    assert_eq!(diff(&world, &[&id]), CHANGES);
    let json: serde_json::Value =
        serde_json::from_str(&world.sbx(["diff", "--json", &id]).ok()).unwrap();
    assert_eq!(json["deleted"], serde_json::json!(["/etc/group", "/home/ana/own"]));
    assert_eq!(json["added"][0], "/etc/mine");
    assert_eq!(json["changed"][0], "/etc");
    remove_all(&world);
}

#[test]
fn diff_reads_what_fuse_overlayfs_writes() {
    need!("fuse-overlayfs");
    let world = World::new();
    let id = kept(&world, &["--storage", "fuse-overlayfs"], SCRIPT);
    assert_eq!(diff(&world, &[&id]), CHANGES);
    remove_all(&world);
}

#[test]
fn places_to_mount_on_are_no_change() {
    let world = World::new();
    let folder = world.folder();
    let volume = format!("{}:/var/deep/volume", folder.display());
    let file = format!("{}:/etc/one", world.file("x").display());
    let flags = ["-v", &volume, "-v", &file, "--tmpfs", "/scratch"];
    let id = kept(&world, &flags, "echo x >/scratch/x; echo y >/var/deep/volume/y");
    assert_eq!(diff(&world, &[&id]), "");
    remove_all(&world);
    // What is beside such a place is one, and so is the way to it.
    let id = kept(&world, &flags, "echo x >/var/deep/mine");
    assert_eq!(diff(&world, &[&id]), "C /var\nA /var/deep\nA /var/deep/mine\n");
    remove_all(&world);
}

#[test]
fn files_of_other_users_are_compared_too() {
    let world = World::new();
    let script =
        "chown 7 /etc/data; umask 077; mkdir /closed; echo x >/closed/x; chown -R 7 /closed";
    let id = kept(&world, &[], script);
    let expected = "A /closed\nA /closed/x\nC /etc\nC /etc/data\n";
    assert_eq!(diff(&world, &[&id]), expected);
    remove_all(&world);
}

#[test]
fn an_unknown_thing_is_named() {
    let world = World::new();
    world.image();
    let said = world.sbx(["diff", "abcdef"]).fails(125);
    assert!(said.contains("abcdef") && said.contains("container"), "{said}");
}
