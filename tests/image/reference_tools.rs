//! sbx's trees and store against those of other tools.

use std::path::Path;
use std::process::Command;

use crate::archive::*;

/// Whether a tool is installed. It is not started for that: podman would make directories for its user.
pub(crate) fn have(tool: &str) -> bool {
    use std::io::Write as _;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    if !found {
        // Past the test runner's capture: CI fails on a skip that it does not expect.
        let _ = writeln!(std::io::stderr(), "SKIP image::{tool}: it is not installed");
    }
    found
}

fn layers() -> Vec<(&'static str, Vec<u8>)> {
    let owned = |flag, mode, uid, gid| Head { flag, mode, uid, gid, ..Head::default() };
    let long = format!("{}/{}", "long-".repeat(30), "name-".repeat(30));
    let base = Tar::default()
        .entry("./", &owned(b'5', 0o755, 0, 0), b"")
        .dir("etc")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .entry("etc/shadow", &owned(b'0', 0o640, 0, 42), b"secret")
        .dir("bin")
        .entry("bin/su", &owned(b'0', 0o4755, 0, 0), b"su")
        .dir("lib")
        .hard_link("lib/su", "bin/su")
        .symlink("sbin", "bin")
        .dir("gone")
        .file("gone/a", "a")
        .file("gone/b", "b")
        .dir("opaque")
        .file("opaque/old", "old")
        .entry("tmp", &owned(b'5', 0o1777, 0, 0), b"")
        .dir(&long[..40])
        .pax(&[("path", &long), ("mtime", "1234567890.5")])
        .file("x", "long")
        .end();
    let middle = Tar::default()
        .dir("etc")
        .file("etc/.wh.passwd", "")
        .file(".wh.gone", "")
        .dir("opaque")
        .file("opaque/new", "new")
        .file("opaque/.wh..wh..opq", "")
        .entry("home", &owned(b'5', 0o755, 0, 0), b"")
        .entry("home/user", &owned(b'5', 0o700, 1000, 1000), b"")
        .entry("home/user/f", &owned(b'0', 0o600, 1000, 1000), b"mine")
        .entry("home/pipe", &owned(b'6', 0o622, 5, 6), b"")
        .end();
    let top = Tar::default()
        .dir("gone")
        .file("gone/again", "again")
        .dir("etc")
        .file("etc/passwd", "new")
        .hard_link("etc/passwd-", "etc/passwd")
        .file("bin/.wh.su", "")
        .dir("bin")
        .end();
    vec![
        ("application/vnd.oci.image.layer.v1.tar+gzip", base),
        ("application/vnd.oci.image.layer.v1.tar+gzip", middle),
        (LAYER, top),
    ]
}

#[test]
fn skopeo_reads_the_store() {
    if !have("skopeo") {
        return;
    }
    let place = Place::new();
    place.import(&Tar::default().file("f", "x").end());
    let image = format!("oci:{}:localhost/x:latest", place.data().join("images").display());
    let output = skopeo(&place, &["inspect", &image]);
    assert!(output.contains("\"Architecture\""), "{output}");
}

#[test]
fn archives_of_skopeo_load() {
    if !have("skopeo") {
        return;
    }
    let place = Place::new();
    let layers = layers();
    Layout::new(&layers).write(&place.path("layout"), "x");
    let from = format!("oci:{}:x", place.path("layout").display());
    for (transport, loaded) in
        [("docker-archive", "docker.io/library/app:1"), ("oci-archive", "localhost/app:1")]
    {
        let file = place.path(transport);
        let to = format!("{transport}:{}:app:1", file.display());
        skopeo(&place, &["copy", "-q", &from, &to]);
        let other = Place::new();
        let (out, _) = other.succeed(&["load", "-i", file.to_str().unwrap()]);
        assert_eq!(out, format!("Loaded image: {loaded}\n"));
        assert_eq!(other.layers(), 3);
        assert!(Path::exists(&other.layer(&layers[2].1)));
    }
}

pub(crate) fn skopeo(place: &Place, args: &[&str]) -> String {
    let output = Command::new("skopeo").args(args).env("HOME", place.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
