//! The store under load and after accidents.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::archive::*;

#[test]
fn many_layers_and_duplicates_work() {
    let place = Place::new();
    let layers: Vec<(&str, Vec<u8>)> = (0..128)
        .map(|i| (LAYER, Tar::default().file(&format!("f{}", i % 100), "x").end()))
        .collect();
    Layout::new(&layers).write(&place.path("layout"), "x");
    place.succeed(&["load", "-i", "layout"]);
    assert_eq!(place.layers(), 100);
    place.check_clean();
}

#[test]
fn the_same_image_loads_many_times_at_once() {
    let place = Place::new();
    let layers: Vec<(&str, Vec<u8>)> = (0..4)
        .map(|i| (LAYER, Tar::default().file(&format!("f{i}"), &"x".repeat(1 << 20)).end()))
        .collect();
    Layout::new(&layers).write(&place.path("layout"), "x");
    let children: Vec<_> =
        (0..6).map(|_| place.command(&["load", "-i", "layout"]).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(place.layers(), 4);
    place.check_clean();
}

#[test]
fn a_killed_import_is_swept_by_the_next() {
    let place = Place::new();
    let mut child = place.command(&["import", "-", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let head = Head { flag: b'5', mode: 0, uid: 7, ..Head::default() };
    let begun = Tar::default().entry("closed", &head, b"").file("closed/f", &"x".repeat(1 << 20));
    // Two megabytes are more than its pipe and buffers hold: when they are taken, it is at work.
    stdin.write_all(&begun.0).unwrap();
    stdin.write_all(&begun.0).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let left = fs::read_dir(place.data().join("tmp")).unwrap().count();
    assert!(left > 1, "nothing was left to sweep");
    place.import(&Tar::default().file("f", "x").end());
}

#[test]
fn a_damaged_blob_is_not_hidden_by_a_tree_that_exists() {
    let place = Place::new();
    let tar = Tar::default().file("f", "x").end();
    place.import(&tar);
    // Another image claims the same diffID for other bytes.
    let other = Tar::default().file("f", "y").end();
    let mut layout = Layout::new(&[("application/vnd.oci.image.layer.v1.tar+gzip", other)]);
    layout.config["rootfs"]["diff_ids"][0] = sha256(&tar).into();
    layout.write(&place.path("layout"), "liar");
    assert!(place.fail(&["load", "-i", "layout"]).contains("diffID"));
}

#[test]
fn a_store_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(place.path("in.tar"), Tar::default().end()).unwrap();
    assert!(place.fail(&["import", "in.tar"]).contains("others can write"));
}
