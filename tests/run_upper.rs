//! `--upper tmpfs`: changes that never reach the disk.

mod common;

use common::{World, tree};

#[test]
fn changes_are_in_memory_and_gone_afterwards() {
    let world = World::new();
    let flags = ["--upper", "tmpfs"];
    world.image();
    let script = "echo x >/etc/new; rm /etc/passwd; rm -r /usr; mkdir /usr; chown 7:7 /etc/group; \
                  ls -A /usr; stat -c %u /etc/group; cat /etc/new; ls /etc/passwd 2>/dev/null";
    world.image_sh(&flags, script).run().expect_code(1);
    let printed = world.image_sh(&flags, script).run().text();
    assert_eq!(printed, "7\nx");
    let scratch = world.path("data/sbx/scratch");
    assert!(!scratch.exists(), "something was made on disk");
    let clean = "ls /etc/passwd; stat -c %u /etc/group; ls /etc/new 2>/dev/null; true";
    assert_eq!(world.image_sh(&flags, clean).ok(), "/etc/passwd\n0");
}

#[test]
fn it_stacks_over_a_directory_too() {
    let world = World::new();
    let root = world.rootfs();
    let before = tree::fingerprint(&root);
    let overlay = format!("{}:O", root.display());
    let run = [
        "run",
        "--upper",
        "tmpfs",
        "--rootfs",
        &overlay,
        "--",
        "sh",
        "-c",
        "echo x >/new; cat /new",
    ];
    assert_eq!(world.sbx(run).ok(), "x");
    tree::assert_same(&root, &before, "");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let world = World::new();
    let said = world.sbx(["run", "--upper", "tmpfs", world.image(), "true"]).fails(125);
    assert!(said.contains("--rm"), "{said}");
    let fuse =
        ["run", "--rm", "--upper", "tmpfs", "--storage", "fuse-overlayfs", world.image(), "true"];
    let said = world.sbx(fuse).fails(125);
    assert!(said.contains("--upper disk"), "{said}");
}
