//! sbx as a normal user on an ordinary Debian, with whichever security module the machine was booted.

use crate::common::World;

#[test]
fn the_host_runs() {
    vm!();
    let world = World::new();
    assert_eq!(world.host(["id", "-u"]).ok(), "0");
}

#[test]
fn an_image_runs_and_is_written_to() {
    vm!();
    let world = World::new();
    let script = "id -u; echo new >/etc/data; cat /etc/data; rm /etc/group; ls /home/ana";
    assert_eq!(world.image_sh(&[], script).ok(), "0\nnew\nown");
}

#[test]
fn an_image_runs_on_fuse_overlayfs() {
    vm!();
    let world = World::new();
    let done =
        world.image_sh(&["--storage", "fuse-overlayfs"], "echo new >/etc/data; cat /etc/data");
    assert_eq!(done.ok(), "new");
}

#[test]
fn a_directory_and_a_volume_are_written_to() {
    vm!();
    let world = World::new();
    let folder = world.folder();
    let bind = format!("{}:/mine", folder.display());
    let flags = ["-v", bind.as_str(), "-v", "kept:/kept"];
    world.image_sh(&flags, "echo a >/mine/a; echo b >/kept/b").ok();
    assert_eq!(std::fs::read_to_string(folder.join("a")).unwrap(), "a\n");
    assert_eq!(world.image_sh(&flags, "cat /mine/a /kept/b").ok(), "a\nb");
}

#[test]
fn doctor_finds_nothing_missing() {
    vm!();
    let world = World::new();
    let text = world.sbx(["doctor", "--json"]).ok();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for row in value["capabilities"].as_array().expect("a list") {
        // A login session's cgroup is not delegated; the scope that one asks systemd for is.
        let expected = if row["capability"] == "cgroup delegation" { "limited" } else { "ok" };
        assert_eq!(row["state"], expected, "{row}");
    }
}
