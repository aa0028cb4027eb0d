//! What a layer's tree looks like.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use crate::archive::*;

#[test]
fn files_have_their_owner_mode_and_time() {
    let place = Place::new();
    let owned = |flag, mode| Head { flag, mode, uid: 42, gid: 43, ..Head::default() };
    let tar = Tar::default()
        .entry("./", &Head { flag: b'5', mode: 0o750, ..Head::default() }, b"")
        .entry("d/", &owned(b'5', 0o2775), b"")
        .entry("d/plain", &Head::default(), b"x")
        .entry("d/setuid", &owned(b'0', 0o6755), b"x")
        .entry("d/fifo", &owned(b'6', 0o600), b"")
        .entry("d/link", &Head { link: "plain".into(), ..owned(b'2', 0o777) }, b"")
        .entry("closed/", &Head { flag: b'5', mode: 0, ..Head::default() }, b"")
        .entry("closed/f", &Head { mode: 0, ..Head::default() }, b"x")
        .hard_link("same", "d/plain")
        .file("implied/parents/f", "x")
        .end();
    let (tree, err) = place.import(&tar);
    assert_eq!(err, "");
    let mtime = "1000000000.0000000000";
    let lines = listing(&tree);
    for line in [
        format!(" d 750 0:0 {mtime}"),
        format!("d d 2775 42:43 {mtime}"),
        format!("d/plain f 644 0:0 {mtime} 2 1 -> "),
        format!("d/setuid f 6755 42:43 {mtime} 1 1 -> "),
        format!("d/fifo p 600 42:43 {mtime} 1 0 -> "),
        format!("d/link l 777 42:43 {mtime} 1 5 -> plain"),
        format!("closed d 0 0:0 {mtime}"),
        format!("closed/f f 0 0:0 {mtime} 1 1 -> "),
        format!("same f 644 0:0 {mtime} 2 1 -> "),
    ] {
        assert!(lines.contains(&line), "{line}\n{}", lines.join("\n"));
    }
    assert!(lines.iter().any(|line| line.starts_with("implied/parents d 755 0:0")));
}

#[test]
fn devices_are_skipped_and_counted() {
    let place = Place::new();
    let tar = Tar::default()
        .entry("null", &Head { flag: b'3', ..Head::default() }, b"")
        .entry("disk", &Head { flag: b'4', ..Head::default() }, b"")
        .file("f", "x")
        .end();
    let (tree, err) = place.import(&tar);
    assert!(err.contains("skipped 2 device nodes"), "{err}");
    assert_eq!(fs::read_dir(tree).unwrap().count(), 1);
}

#[test]
fn the_store_is_private() {
    let place = Place::new();
    let tar = Tar::default().entry("su", &Head { mode: 0o4755, ..Head::default() }, b"x").end();
    let (tree, _) = place.import(&tar);
    assert_eq!(mode(&tree.join("su")) & 0o7777, 0o4755);
    for dir in ["", "images", "layers", "tmp"] {
        assert_eq!(mode(&place.data().join(dir)) & 0o7777, 0o700, "{dir}");
    }
}

#[test]
fn only_vetted_attributes_survive() {
    let place = Place::new();
    let tar = Tar::default()
        .pax(&[
            ("SCHILY.xattr.user.mime", "text"),
            ("SCHILY.xattr.user.overlay.opaque", "y"),
            ("SCHILY.xattr.user.overlay.redirect", "/etc"),
            ("SCHILY.xattr.user.containers.override_stat", "0:0:4755"),
            ("SCHILY.xattr.trusted.overlay.opaque", "y"),
            ("SCHILY.xattr.security.selinux", "x"),
        ])
        .dir("d")
        .pax(&[("SCHILY.xattr.user.mime", "text")])
        .file("f", "x")
        .end();
    let (tree, err) = place.import(&tar);
    assert!(err.contains("skipped 5 extended attributes"), "{err}");
    let mut names = vec![0; 1024];
    let n = rustix::fs::listxattr(tree.join("d"), &mut names[..]).unwrap();
    let names = String::from_utf8_lossy(&names[..n]).into_owned();
    let names: Vec<&str> =
        names.split_terminator('\0').filter(|name| *name != "security.selinux").collect();
    assert_eq!(names, ["user.mime"]);
    assert_eq!(xattr(&tree.join("f"), "user.mime").unwrap(), b"text");
}

#[test]
fn whiteouts_become_overlays_own() {
    let place = Place::new();
    let tar = Tar::default()
        .dir("d")
        .file("d/.wh.gone", "")
        .file("implied/.wh.gone", "")
        .dir("before")
        .file("before/.wh..wh..opq", "")
        .file("before/f", "x")
        .file("after/f", "x")
        .file("after/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .end();
    let (tree, err) = place.import(&tar);
    assert!(err.contains("aufs"), "{err}");
    assert!(is_whiteout(&tree.join("d/gone")));
    assert!(is_whiteout(&tree.join("implied/gone")));
    for dir in ["before", "after"] {
        assert!(is_opaque(&tree.join(dir)), "{dir}");
        assert!(tree.join(dir).join("f").exists());
        assert_eq!(fs::read_dir(tree.join(dir)).unwrap().count(), 1);
    }
    assert!(!is_opaque(&tree.join("d")));
}

#[test]
fn a_whiteout_never_hides_its_own_layer() {
    let place = Place::new();
    let tar = Tar::default()
        .file("late", "x")
        .file(".wh.late", "")
        .file(".wh.early", "")
        .file("early", "x")
        .dir("dir1")
        .file("dir1/f", "x")
        .file(".wh.dir1", "")
        .file(".wh.dir2", "")
        .dir("dir2")
        .file(".wh.dir3", "")
        .file("dir3/f", "x")
        .end();
    let (tree, _) = place.import(&tar);
    for name in ["late", "early", "dir1/f", "dir3/f"] {
        assert_eq!(fs::read_to_string(tree.join(name)).unwrap(), "x", "{name}");
    }
    for name in ["dir1", "dir2", "dir3"] {
        assert!(is_opaque(&tree.join(name)), "{name}");
    }
}

#[test]
fn an_opaque_root_is_marked_beside_the_tree() {
    let place = Place::new();
    let (tree, _) = place.import(&Tar::default().file(".wh..wh..opq", "").end());
    assert!(is_opaque(&tree));
    assert!(tree.with_extension("opaque").exists());
}

#[test]
fn sparse_files_keep_their_holes() {
    let place = Place::new();
    let size = 64 << 20;
    let tar = Tar::default()
        .pax(&[("GNU.sparse.size", &size.to_string()), ("GNU.sparse.map", "1048576,5,67108860,4")])
        .entry("s", &Head::default(), b"helloend.")
        .end();
    let (tree, _) = place.import(&tar);
    let bytes = fs::read(tree.join("s")).unwrap();
    assert_eq!(bytes.len(), size);
    assert_eq!(&bytes[1 << 20..][..5], b"hello");
    assert_eq!(&bytes[size - 4..], b"end.");
    assert!(fs::metadata(tree.join("s")).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let place = Place::new();
    let tar = Tar::default()
        .dir("a")
        .file("a/f", "1")
        .file("a", "2")
        .file("b", "1")
        .dir("b")
        .file("b/f", "2")
        .file("c", "1")
        .file("c", "2")
        .entry("d", &Head { flag: b'6', ..Head::default() }, b"")
        .symlink("d", "c")
        .end();
    let (tree, _) = place.import(&tar);
    for (name, data) in [("a", "2"), ("b/f", "2"), ("c", "2"), ("d", "2")] {
        assert_eq!(fs::read_to_string(tree.join(name)).unwrap(), data, "{name}");
    }
    assert!(!fs::symlink_metadata(tree.join("d")).unwrap().file_type().is_fifo());
}

#[test]
fn an_owner_that_is_not_mapped_is_named_with_the_fix() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root has every id");
        return;
    }
    let place = Place::new();
    let head = Head { uid: 1_000_000, ..Head::default() };
    let err = place.import_fails(&Tar::default().entry("f", &head, b"").end());
    assert!(err.contains("user id 1000000") && err.contains("usermod --add-subuids"), "{err}");
}

#[test]
fn without_helpers_only_root_owned_layers_unpack() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root needs no helpers");
        return;
    }
    let place = Place::new();
    let import = |tar: Vec<u8>| {
        fs::write(place.path("in.tar"), tar).unwrap();
        place.command(&["import", "in.tar"]).env("PATH", "/nowhere").output().unwrap()
    };
    let tar = Tar::default().file("f", "x").end();
    assert!(import(tar.clone()).status.success());
    assert!(place.layer(&tar).join("f").exists());
    let head = Head { gid: 42, ..Head::default() };
    let output = import(Tar::default().entry("f", &head, b"").end());
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("group id 42") && err.contains("apt-get install uidmap"), "{err}");
    place.check_clean();
}
