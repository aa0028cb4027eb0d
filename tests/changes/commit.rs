//! `sbx commit`.

use crate::common::{World, need};
use crate::{CHANGES, SCRIPT, config, diff::diff, kept, remove_all};

/// What a script sees in the committed image and in the container that it was made of.
const LOOK: &str = "cd /; stat -c '%n %a %u:%g %F %h' etc/mine etc/data home/ana home/ana/*; \
    cat etc/mine home/ana/same; ls -a etc home/ana; readlink link; ls -d /mnt/* 2>&1; exit 0";

fn commit_and_look(flags: &[&str]) {
    let world = World::new();
    let volume = format!("{}:/mnt/volume", world.folder().display());
    let script = format!("{SCRIPT} ln -s a/b /link; mkfifo -m 640 /fifo; chown 3 /fifo");
    let id = kept(&world, &[flags, &["-v", &volume]].concat(), &script);
    let printed = world.sbx(["commit", "-q", &id, "made"]).ok();
    assert!(printed.starts_with("sha256:"), "{printed}");
    let look = |image: &str| world.sbx(["run", "--rm", image, "sh", "-c", LOOK]).ok();
    let expected = "\
etc/mine 644 0:0 regular file 1
etc/data 600 0:0 regular file 1
home/ana 755 0:0 directory 2
home/ana/new 644 5:6 regular file 2
home/ana/same 644 5:6 regular file 2
mine
new
etc:
.
..
data
hostname
hosts
mine
nobinfmt
passwd
resolv.conf

home/ana:
.
..
new
same
a/b
ls: /mnt/*: No such file or directory";
    assert_eq!(look("made"), expected);
    // The container differs from what was made of it in nothing but times, which layers cut.
    let expected = CHANGES.replace("C /home\n", "A /fifo\nC /home\n") + "A /link\n";
    assert_eq!(diff(&world, &["made", "busybox"]), expected);
    assert_eq!(diff(&world, &["made"]), expected);
    remove_all(&world);
}

#[test]
fn a_committed_image_shows_what_the_container_did() {
    commit_and_look(&[]);
}

#[test]
fn a_committed_image_shows_what_fuse_overlayfs_wrote() {
    need!("fuse-overlayfs");
    commit_and_look(&["--storage", "fuse-overlayfs"]);
}

/// The members of the committed layer, in order.
fn layer(world: &World, name: &str) -> Vec<(String, tar::Header, Vec<String>)> {
    let config = config(world, name);
    let layers = config["manifest"]["layers"].as_array().unwrap();
    let digest = layers.last().unwrap()["digest"].as_str().unwrap();
    let blob = world.path("data/sbx/images").join(digest.replace("sha256:", "blobs/sha256/"));
    let inflated = flate2::read::GzDecoder::new(std::fs::File::open(blob).unwrap());
    let mut archive = tar::Archive::new(inflated);
    let mut out = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let keys = entry.pax_extensions().unwrap().into_iter().flatten();
        let keys = keys.map(|key| key.unwrap().key().unwrap().to_owned()).collect();
        out.push((name, entry.header().clone(), keys));
    }
    out
}

#[test]
fn a_committed_layer_has_whiteouts_links_and_no_marks_of_overlay() {
    let world = World::new();
    let id = kept(&world, &[], SCRIPT);
    world.sbx(["commit", &id, "made"]).ok();
    let layer = layer(&world, "made");
    let names: Vec<&str> = layer.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "./",
            "etc/",
            "etc/data",
            "etc/.wh.group",
            "etc/mine",
            "home/",
            "home/ana/",
            "home/ana/.wh..wh..opq",
            "home/ana/new",
            "home/ana/same"
        ]
    );
    let link = &layer[9].1;
    assert_eq!(link.entry_type(), tar::EntryType::Link);
    assert_eq!(link.link_name().unwrap().unwrap().to_str(), Some("home/ana/new"));
    assert_eq!((layer[8].1.uid().unwrap(), layer[8].1.gid().unwrap()), (5, 6));
    assert!(layer.iter().all(|(.., keys)| keys.is_empty()), "{layer:?}");
    // The same changes are the same layer.
    world.sbx(["commit", &id, "again"]).ok();
    let diff_ids = |name| config(&world, name)["rootfs"]["diff_ids"].clone();
    assert_eq!(diff_ids("made"), diff_ids("again"));
    remove_all(&world);
}

#[test]
fn attributes_are_committed() {
    let world = World::new();
    let id = kept(&world, &[], "echo x >/x");
    let file = world.path("data/sbx/containers");
    let full = std::fs::read_dir(file).unwrap().next().unwrap().unwrap().path().join("upper/x");
    for name in ["user.mine", "user.overlay.origin"] {
        rustix::fs::setxattr(&full, name, b"1", rustix::fs::XattrFlags::empty()).unwrap();
    }
    world.sbx(["commit", &id, "made"]).ok();
    let layer = layer(&world, "made");
    assert_eq!(layer.last().unwrap().2, ["SCHILY.xattr.user.mine"]);
    remove_all(&world);
}

#[test]
fn the_configuration_is_the_images_with_the_changes() {
    let world = World::new();
    let id = kept(&world, &[], "echo x >/x");
    let flags = ["-c", "CMD [\"cat\", \"/x\"]", "--change", "ENV A=b", "-a", "Ana", "-m", "why"];
    world.sbx(["commit"]).args(flags).args([&id, "made"]).ok();
    let oci = config(&world, "made");
    assert_eq!(oci["config"]["Cmd"], serde_json::json!(["cat", "/x"]));
    assert_eq!(oci["author"], "Ana");
    let history = oci["history"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((&history[1]["comment"], &history[1]["author"]), (&"why".into(), &"Ana".into()));
    assert_eq!(history[1]["created_by"], "sh -ec echo x >/x");
    assert_eq!(world.sbx(["run", "--rm", "made"]).ok(), "x");
    assert_eq!(world.sbx(["run", "--rm", "made", "sh", "-c", "echo $A"]).ok(), "b");
    world.sbx(["commit", "-f", "docker", &id, "docker"]).ok();
    let docker = config(&world, "docker")["manifest"].clone();
    for media_type in [
        &docker["mediaType"],
        &docker["config"]["mediaType"],
        &docker["layers"][0]["mediaType"],
        &docker["layers"][1]["mediaType"],
    ] {
        assert!(media_type.as_str().unwrap().starts_with("application/vnd.docker."), "{docker}");
    }
    assert_eq!(world.sbx(["run", "--rm", "docker", "cat", "/x"]).ok(), "x");
    let said = world.sbx(["commit", "-c", "ONBUILD RUN x", &id]).fails(125);
    assert!(said.contains("ONBUILD"), "{said}");
    remove_all(&world);
}

#[test]
fn a_running_container_is_not_committed() {
    let world = World::new();
    let mut running =
        world.sbx(["run", world.image(), "sh", "-c", "echo up; exec sleep 1000"]).spawn();
    running.until("up");
    let id = world.sbx(["ps", "-q"]).ok();
    let said = world.sbx(["commit", &id, "made"]).fails(125);
    assert!(said.contains("running") && said.contains("Fix"), "{said}");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().expect_code(143);
    remove_all(&world);
}

#[test]
fn a_name_that_a_layer_cannot_hold_is_refused() {
    let world = World::new();
    let id = kept(&world, &["--storage", "native"], "echo x >/etc/.wh.x");
    let said = world.sbx(["commit", &id, "made"]).fails(125);
    assert!(said.contains("/etc/.wh.x") && said.contains("rename"), "{said}");
    assert!(!world.sbx(["save", "made"]).fails(125).is_empty());
    remove_all(&world);
}
