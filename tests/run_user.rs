//! Id maps and users: who the command is inside, and who that is outside.

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use common::{World, need, tree};

fn me() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
}

fn first_subordinate_uid() -> u32 {
    let (start, _) = tree::first_range("/etc/subuid").expect("a range in /etc/subuid");
    start.parse().expect("a number")
}

#[test]
fn the_caller_is_root_inside_by_default() {
    let world = World::new();
    assert_eq!(world.host_sh("id -u; id -g").ok(), "0\n0");
    assert_eq!(world.image_sh(&[], "id -u; id -g").ok(), "0\n0");
}

#[test]
fn keep_id_keeps_the_callers_ids() {
    let world = World::new();
    let (uid, gid) = me();
    let expected = format!("{uid}\n{gid}");
    let run = ["run", "--userns", "keep-id", "--host", "--", "sh", "-c", "id -u; id -g"];
    assert_eq!(world.sbx(run).ok(), expected);
    assert_eq!(world.image_sh(&["--userns", "keep-id"], "id -u; id -g").ok(), expected);
    assert_eq!(world.image_sh(&["--userns", "keep-id:uid=5,gid=6"], "id -u; id -g").ok(), "5\n6");
}

#[test]
fn keep_id_shows_the_images_owners_unchanged_and_copies_no_layer() {
    let world = World::new();
    // The first run makes the tree of mount points, once.
    world.image_sh(&[], "true").ok();
    let before = layers(&world);
    let script = "stat -c %u:%g /bin/busybox /home/ana";
    assert_eq!(world.image_sh(&["--userns", "keep-id"], script).ok(), "0:0\n1000:1000");
    assert_eq!(layers(&world), before);
}

fn layers(world: &World) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(world.path("data/sbx/layers"))
        .expect("list the layers")
        .map(|e| e.expect("an entry").path())
        .collect();
    list.sort();
    list
}

#[test]
fn a_file_made_under_keep_id_belongs_to_the_caller_outside() {
    let world = World::new();
    let folder = world.folder();
    let mount = format!("{}:/mnt", folder.display());
    for flags in [["--userns", "keep-id"], ["--userns", "host-root"]] {
        world.image_sh(&[&flags[..], &["-v", &mount]].concat(), "touch /mnt/x").ok();
        let meta = std::fs::metadata(folder.join("x")).expect("the file");
        assert_eq!((meta.uid(), meta.gid()), me(), "{flags:?}");
        std::fs::remove_file(folder.join("x")).expect("remove the file");
    }
}

#[test]
fn nomap_leaves_the_caller_out_of_the_map() {
    let world = World::new();
    let map = world.image_sh(&["--userns", "nomap"], "cat /proc/self/uid_map").ok();
    let (uid, _) = me();
    for line in map.lines() {
        let mut fields = line.split_whitespace().map(|f| f.parse::<u32>().expect("a number"));
        let (_, outside, len) = (fields.next(), fields.next().unwrap(), fields.next().unwrap());
        assert!(uid < outside || uid - outside >= len, "{uid} is mapped by {line}");
    }
    assert!(!map.is_empty());
}

#[test]
fn an_explicit_map_is_the_map() {
    let world = World::new();
    let flags = ["--uidmap", "0:1:1000", "--gidmap", "0:1:1000"];
    let map = world.image_sh(&flags, "cat /proc/self/uid_map").ok();
    let fields: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(fields, ["0", &first_subordinate_uid().to_string(), "1000"]);
}

#[test]
fn ids_of_the_image_are_subordinate_ids_in_the_store() {
    let world = World::new();
    let script = "chown 42:42 /tmp/x && stat -c %u /tmp/x";
    let script = format!("touch /tmp/x && {script}");
    assert_eq!(world.image_sh(&[], &script).ok(), "42");
    let own = find(&world.path("data/sbx/layers"), "ana").expect("home/ana in the store");
    let meta = std::fs::symlink_metadata(own).expect("look at home/ana");
    // 0 inside is the caller; 1 is the first subordinate id.
    assert_eq!(meta.uid(), first_subordinate_uid() + 999);
}

#[test]
fn chown_works_on_fuse_overlayfs_too() {
    need!("fuse-overlayfs");
    let world = World::new();
    let script = "touch /tmp/x && chown 42:42 /tmp/x && stat -c %u /tmp/x && stat -c %u /home/ana \
                  && grep -c 'fuse-overlayfs / \\|^[^ ]* / fuse' /proc/mounts";
    assert_eq!(world.image_sh(&["--storage", "fuse-overlayfs"], script).ok(), "42\n1000\n1");
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        if entry.file_name() == name {
            return Some(entry.path());
        }
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if let Some(found) = is_dir.then(|| find(&entry.path(), name)).flatten() {
            return Some(found);
        }
    }
    None
}

#[test]
fn users_and_groups_are_those_of_the_root() {
    let world = World::new();
    let script = "echo $(id -u):$(id -g):$(id -G):$HOME";
    for (user, expected) in [
        ("ana", "1000:1000:1000 50 60:/home/ana"),
        ("1000", "1000:1000:1000 50 60:/home/ana"),
        ("ana:staff", "1000:50:50:/home/ana"),
        ("daemon", "2:2:2 60:/"),
        ("1000:50", "1000:50:50:/home/ana"),
        ("4242", "4242:0:0:/"),
        ("4242:4343", "4242:4343:4343:/"),
        ("root", "0:0:0:/root"),
    ] {
        assert_eq!(world.image_sh(&["--user", user], script).ok(), expected, "--user {user}");
        assert_eq!(world.image_sh(&["-u", user], script).ok(), expected, "-u {user}");
    }
}

#[test]
fn a_user_that_the_root_does_not_know_is_named() {
    let world = World::new();
    for user in ["nobody-here", "ana:no-such-group"] {
        let said = world.image_sh(&["--user", user], "true").fails(125);
        assert!(said.contains(user.rsplit(':').next().unwrap()), "{said}");
        assert!(said.contains("/etc/passwd") || said.contains("/etc/group"), "{said}");
    }
}

/// Row S11: CVE-2024-40635.
#[test]
fn a_number_that_is_no_user_id_never_becomes_root() {
    let world = World::new();
    for user in [
        "-1",
        "4294967295",
        "4294967296",
        "4294967297",
        "18446744073709551616",
        "huge",
        "minus",
        "0x0",
        "+0",
        " 0",
        "",
        "1000:-1",
        "1000:4294967296",
        ":",
    ] {
        let said = world.image_sh(&[&format!("--user={user}")], "id -u").fails(125);
        assert!(!said.is_empty(), "--user {user:?} said nothing");
    }
}

/// Row S12: a passwd file that blocks or fills the memory.
#[test]
fn a_hostile_passwd_file_is_an_error() {
    let world = World::new();
    let sound = world.rootfs();
    let id = ["run", "--user", "ana", "--rootfs", sound.to_str().unwrap(), "--", "id", "-u"];
    assert_eq!(world.sbx(id).ok(), "1000");
    let fifo = world.rootfs();
    std::fs::remove_file(fifo.join("etc/passwd")).unwrap();
    nix::unistd::mkfifo(&fifo.join("etc/passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let huge = world.rootfs();
    std::fs::File::create(huge.join("etc/passwd")).unwrap().set_len(1 << 40).unwrap();
    let outside = world.rootfs();
    std::fs::remove_file(outside.join("etc/passwd")).unwrap();
    let target = world.file("ana:x:0:0::/:/bin/sh\n");
    std::os::unix::fs::symlink(&target, outside.join("etc/passwd")).unwrap();
    // The reason counts: what is left unread also ends in an error, of a user who is not there.
    let not_there = "no such user";
    for (root, why) in
        [(fifo, "not a regular file"), (huge, "larger than 1048576 bytes"), (outside, not_there)]
    {
        let root = root.to_str().unwrap();
        // Not id, which would look into the file itself.
        let uid = ["--", "awk", "/^Uid:/ { print $2 }", "/proc/self/status"];
        let run = |user| world.sbx(["run", "--rootfs", root, "--user", user]).args(uid);
        let said = run("ana").fails(125);
        assert!(said.contains(why), "{said}");
        // What is advised helps, and who asks for nothing needs nothing.
        assert!(said.contains("--user UID:GID"), "{said}");
        assert_eq!(run("1000:1000").ok(), "1000");
        assert_eq!(world.sbx(["run", "--rootfs", root]).args(uid).ok(), "0");
    }
}

/// Row K4.
#[test]
fn a_single_id_cannot_set_groups() {
    let world = World::new();
    let map = world.host_sh("cat /proc/self/uid_map").ok();
    if map.lines().count() == 1 && map.split_whitespace().last() == Some("1") {
        assert_eq!(world.host_sh("cat /proc/self/setgroups").ok(), "deny");
    } else {
        assert_eq!(world.host_sh("cat /proc/self/setgroups").ok(), "allow");
    }
}

/// Row K4: nested user namespaces are off by default.
#[test]
fn no_user_namespace_can_be_made_inside() {
    let world = World::new();
    let script = "unshare --user true && echo made || echo refused";
    assert_eq!(world.host_sh(script).ok(), "refused");
    assert_eq!(world.host_sh(&script.replace("--user", "--user --map-root-user")).ok(), "refused");
}

#[test]
fn groups_of_the_caller_go_unless_they_are_kept() {
    let world = World::new();
    if nix::unistd::getgroups().is_ok_and(|g| g.iter().all(|g| g.as_raw() == me().1)) {
        common::skip!("the user is in no supplementary group");
    }
    let inside = |flags: &[&str]| {
        let groups =
            world.sbx(["run"]).args(flags).args(["--host", "--", "sh", "-c", "id -G"]).ok();
        groups.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // Unmapped groups show as the overflow id.
    assert!(inside(&["--group-add", "keep-groups"]).contains(&"65534".to_owned()));
}

/// The caller is root of a user namespace already, as in a rootless container.
#[test]
fn sbx_runs_as_root_of_a_user_namespace() {
    let world = World::new();
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(common::world::binary());
    let run = ["run", "--host", "--", "sh", "-c", "id -u"];
    assert_eq!(common::Sbx::through(&world, command).args(run).ok(), "0");
}

/// The home of `bin` is /bin, that of `daemon` /usr/sbin: covered, nothing could be run.
#[test]
fn on_the_hosts_root_only_the_callers_home_is_covered() {
    let world = World::new();
    for (user, id) in [("bin", "2"), ("daemon", "1"), ("games", "5"), ("root", "0")] {
        let run = ["run", "--host", "--user", user, "--", "id", "-u"];
        assert_eq!(world.sbx(run).ok(), id, "{user}");
    }
    let run = ["run", "--host", "--user", "bin", "--", "ls", "-A", "/usr/share"];
    assert_ne!(world.sbx(run).ok(), "");
    assert_eq!(world.sbx(run).env("HOME", "/usr/share").ok(), "");
}
