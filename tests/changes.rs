//! What a container changed: `sbx diff`, `sbx commit` and `sbx export`.

mod common;

use common::{World, need};

/// Adds, changes, deletes, replaces a directory, and opens a file for writing without a write.
const SCRIPT: &str = "
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

const CHANGES: &str = "\
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
fn kept(world: &World, flags: &[&str], script: &str) -> String {
    let image = world.image();
    world.sbx(["run"]).args(flags).args([image, "sh", "-ec", script]).ok();
    let ids = world.sbx(["ps", "-a", "-q"]).ok();
    ids.lines().next().expect("a kept container").to_owned()
}

fn remove_all(world: &World) {
    world.sbx(["rm", "--all"]).ok();
}

fn diff(world: &World, args: &[&str]) -> String {
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

fn config(world: &World, name: &str) -> serde_json::Value {
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

/// Name, mode, owner and link of each member.
fn members(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let head = entry.header();
        let link = entry.link_name().unwrap().unwrap_or_default().display().to_string();
        let (mode, uid) = (head.mode().unwrap(), head.uid().unwrap());
        format!("{} {mode:o} {uid}:{} {link}", entry.path().unwrap().display(), head.gid().unwrap())
    };
    entries.map(|entry| line(entry.unwrap())).collect()
}

#[test]
fn an_exported_container_is_all_that_it_shows() {
    let world = World::new();
    let volume = format!("{}:/mnt/volume", world.folder().display());
    let id = kept(&world, &["-v", &volume], SCRIPT);
    let tar = world.sbx(["export", &id]).run().expect_code(0).stdout;
    let members = members(&tar);
    for line in [
        "bin/sh 777 0:0 busybox",
        "etc/mine 644 0:0 ",
        "etc/data 600 0:0 ",
        "home/ana/new 644 5:6 ",
        "home/ana/same 644 5:6 home/ana/new",
        "tmp/ 1777 0:0 ",
    ] {
        assert!(members.iter().any(|m| m == line), "{line:?} is not in {members:?}");
    }
    for gone in ["etc/group", "home/ana/own", "mnt/", "etc/hosts", ".wh."] {
        assert!(!members.iter().any(|m| m.contains(gone)), "{gone} is in {members:?}");
    }
    let file = world.fresh("out");
    world.sbx(["export", "-o", file.to_str().unwrap(), &id]).ok();
    assert!(std::fs::read(&file).unwrap() == tar);
    // And back again: the same files, owners and links.
    world.sbx(["import", file.to_str().unwrap(), "made"]).ok();
    let look = "cat /home/ana/same; stat -c '%u:%g %h' /home/ana/new; ls /home/ana";
    let seen = world.sbx(["run", "--rm", "made", "sh", "-c", look]).ok();
    assert_eq!(seen, "new\n5:6 2\nnew\nsame");
    remove_all(&world);
}

#[test]
fn a_running_container_is_exported_but_not_to_a_terminal() {
    let world = World::new();
    let script = "echo x >/x; echo up; exec sleep 1000";
    let mut running = world.sbx(["run", world.image(), "sh", "-c", script]).spawn();
    running.until("up");
    let id = world.sbx(["ps", "-q"]).ok();
    let tar = world.sbx(["export", &id]).run().expect_code(0).stdout;
    assert!(members(&tar).iter().any(|m| m == "x 644 0:0 "));
    let mut terminal = common::terminal::Terminal::open(24, 80);
    let refused = terminal.spawn(&world, &["export", &id]);
    terminal.expect("-o FILE");
    refused.wait().expect_code(125);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().expect_code(143);
    remove_all(&world);
}

#[test]
fn an_import_is_configured_by_changes() {
    let world = World::new();
    world.image();
    let tar = world.path("busybox.tar");
    let changes = ["--change", "CMD echo \"$A\"", "-c", "ENV A='b c'", "-m", "why"];
    world.sbx(["import"]).args(changes).args([tar.to_str().unwrap(), "made"]).ok();
    assert_eq!(world.sbx(["run", "--rm", "made"]).ok(), "b c");
    assert_eq!(config(&world, "made")["history"][0]["comment"], "why");
    let said = world.sbx(["import", "-c", "RUN x", tar.to_str().unwrap(), "bad"]).fails(125);
    assert!(said.contains("RUN") && said.contains("ENTRYPOINT"), "{said}");
}

#[test]
fn an_unknown_thing_is_named() {
    let world = World::new();
    world.image();
    let said = world.sbx(["diff", "abcdef"]).fails(125);
    assert!(said.contains("abcdef") && said.contains("container"), "{said}");
}
