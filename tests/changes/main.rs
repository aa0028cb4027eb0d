//! What a container changed: `sbx diff`, `sbx commit` and `sbx export`.

#[path = "../common/mod.rs"]
mod common;

mod commit;
mod diff;
mod export;

use common::World;

/// Adds, changes, deletes, replaces a directory, and opens a file for writing without a write.
pub(crate) const SCRIPT: &str = "
    echo mine >/etc/mine
    chmod 600 /etc/data
    rm /etc/group
    rm -r /home/ana
    mkdir /home/ana
    echo new >/home/ana/new
    chown 5:6 /home/ana/new
    ln /home/ana/new /home/ana/same
    exec 3<>/etc/passwd
";

pub(crate) const CHANGES: &str = "\
C /etc
C /etc/data
D /etc/group
A /etc/mine
C /home
C /home/ana
A /home/ana/new
D /home/ana/own
A /home/ana/same
";

/// The id of the one container that `run` leaves.
pub(crate) fn kept(world: &World, flags: &[&str], script: &str) -> String {
    let image = world.image();
    world.sbx(["run"]).args(flags).args([image, "sh", "-ec", script]).ok();
    let ids = world.sbx(["ps", "-a", "-q"]).ok();
    ids.lines().next().expect("a kept container").to_owned()
}

pub(crate) fn remove_all(world: &World) {
    world.sbx(["rm", "--all"]).ok();
}

pub(crate) fn config(world: &World, name: &str) -> serde_json::Value {
    let images = world.path("data/sbx/images");
    let read = |path: &std::path::Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let blob = |digest: &serde_json::Value| {
        read(&images.join(digest.as_str().unwrap().replace("sha256:", "blobs/sha256/")))
    };
    let index = read(&images.join("index.json"));
    let found = index["manifests"].as_array().unwrap().iter().find(|m| {
        m["annotations"]["org.opencontainers.image.ref.name"] == format!("localhost/{name}:latest")
    });
    let manifest = blob(&found.expect("the image")["digest"]);
    let mut config = blob(&manifest["config"]["digest"]);
    config["manifest"] = manifest;
    config
}
