//! `-v NAME:/path`, `-v /path` and `--mount type=volume`: what is in a volume stays, and nothing else of the
//! store is in reach.

mod common;

use common::World;
use nix::sys::signal::Signal;

const UP: &str = "echo up; exec sleep 1000";

fn volumes(world: &World) -> Vec<String> {
    world.sbx(["volume", "ls", "-q"]).ok().lines().map(str::to_owned).collect()
}

#[test]
fn a_volume_keeps_what_is_written_to_it() {
    let world = World::new();
    let flags = ["-v", "data:/data"];
    world.image_sh(&flags, "echo kept >/data/file; chown 5:6 /data/file").ok();
    assert_eq!(volumes(&world), ["data"]);
    let script = "cat /v/file; stat -c %u:%g /v/file";
    let flags = ["--mount", "type=volume,source=data,target=/v,ro"];
    assert_eq!(world.image_sh(&flags, script).ok(), "kept\n5:6");
    assert!(world.image_sh(&flags, "touch /v/new").run().stderr.contains("Read-only"));
    // The host's programs and a directory as the root use the same.
    let on_host = ["run", "-v", "data:/tmp/v", "--host", "--", "ls", "/tmp/v"];
    assert_eq!(world.sbx(on_host).ok(), "file");
    let root = format!("{}:O", world.rootfs().display());
    let run = ["run", "-v", "data:/v", "--rootfs", &root, "--", "cat", "/v/file"];
    assert_eq!(world.sbx(run).ok(), "kept");
    world.sbx(["volume", "rm", "data"]).ok();
    assert!(volumes(&world).is_empty());
}

#[test]
fn options_are_in_force() {
    let world = World::new();
    let script = "grep ' /v ' /proc/mounts";
    let shown = world.image_sh(&["-v", "data:/v:noexec"], script).ok();
    for option in ["rw", "nosuid", "nodev", "noexec"] {
        assert!(shown.contains(option), "{option} is not in {shown}");
    }
    for (mount, word) in [("na me:/v", "a name is"), ("data:/v:O", "no mount option O")] {
        let said = world.image_sh(&["-v", mount], "true").fails(125);
        assert!(said.contains(word) && said.contains("Fix:"), "{said}");
    }
}

#[test]
fn a_volume_in_use_is_not_removed() {
    let world = World::new();
    let run = ["run", "--rm", "-v", "data:/data", world.image(), "sh", "-c", UP];
    let mut running = world.sbx(run).spawn();
    running.until("up");
    world.sbx(["volume", "create", "a-free-one"]).ok();
    for args in [&["rm", "a-free-one", "data"][..], &["rm", "-f", "data"]] {
        let said = world.sbx(["volume"]).args(args).fails(125);
        assert!(said.contains("a running container uses it") && said.contains("Fix:"), "{said}");
    }
    assert_eq!(volumes(&world), ["a-free-one", "data"]);
    world.sbx(["volume", "prune", "-f"]).ok();
    world.sbx(["volume", "rm", "-a"]).ok();
    assert_eq!(volumes(&world), ["data"]);
    assert_eq!(world.sbx(["volume", "ls", "-q", "--filter", "dangling=false"]).ok(), "data");
    // Its users are many.
    world.image_sh(&["-v", "data:/data"], "true").ok();
    running.signal(Signal::SIGKILL);
    running.wait();
    world.sbx(["volume", "rm", "data"]).ok();
    world.recovers();
}

#[test]
fn a_volume_of_a_kept_container_is_removed_by_force_only() {
    let world = World::new();
    world.sbx(["run", "-v", "data:/data", world.image(), "true"]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    let said = world.sbx(["volume", "rm", "data"]).fails(125);
    assert!(said.contains(&id) && said.contains("Fix: sbx rm"), "{said}");
    world.sbx(["volume", "prune", "-f"]).ok();
    assert_eq!(volumes(&world), ["data"]);
    world.sbx(["volume", "rm", "-f", "data"]).ok();
    assert!(volumes(&world).is_empty());
    world.sbx(["rm", "-a"]).ok();
}

#[test]
fn a_volume_without_a_name_goes_with_its_container() {
    let world = World::new();
    let script = "echo x >/data/file; chown 7 /data /data/file; grep -c ' /data ' /proc/mounts";
    // What the next start finds is that the leak check finds nothing.
    assert_eq!(world.image_sh(&["-v", "/data"], script).ok(), "1");
    assert_eq!(world.image_sh(&["--mount", "type=volume,dst=/data"], script).ok(), "1");
    assert_eq!(world.image_sh(&["--upper", "tmpfs", "-v", "/data"], script).ok(), "1");
    world.sbx(["run", "-v", "/tmp/v", "--host", "--", "touch", "/tmp/v/x"]).ok();
    world.check_leaks();
    assert!(volumes(&world).is_empty());

    world.sbx(["run", "-v", "/data", world.image(), "sh", "-c", script]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    let containers = world.path("data/sbx/containers");
    let kept = std::fs::read_dir(&containers).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("volume-0/data").is_dir(), "{}", kept.display());
    world.sbx(["rm", &id]).ok();
    assert!(!kept.exists());
}

#[test]
fn what_a_killed_monitor_leaves_of_a_volume_without_a_name_is_swept() {
    let world = World::new();
    let run = ["run", "--rm", "-v", "/data", world.image(), "sh", "-c", UP];
    let mut running = world.sbx(run).spawn();
    running.until("up");
    running.signal(Signal::SIGKILL);
    running.wait();
    world.recovers();
}

#[test]
fn starts_at_the_same_time_make_a_volume_once() {
    let world = World::new();
    let image = world.image();
    let start = |n| {
        let script = format!("echo {n} >/data/{n}");
        world.sbx(["run", "--rm", "-v", "data:/data", image, "sh", "-c", &script]).spawn()
    };
    let started: Vec<_> = (0..8).map(start).collect();
    for running in started {
        running.wait().expect_code(0);
    }
    assert_eq!(world.image_sh(&["-v", "data:/data"], "ls /data | wc -l").ok(), "8");
}

#[test]
fn explain_shows_a_volume_and_makes_none() {
    let world = World::new();
    let image = world.image();
    let run = ["run", "--rm", "--explain", "-v", "data:/data", "-v", "/own", image, "true"];
    let text = world.sbx(run).ok();
    assert!(text.contains("volume data (new)") && text.contains("volumes/data/data"), "{text}");
    assert!(text.contains("volume of the container's own"), "{text}");
    assert!(volumes(&world).is_empty());
    world.sbx(["volume", "create", "data"]).ok();
    assert!(world.sbx(run).ok().contains("volume data /"));
}

/// The store may be reached through a link; the mount is of the directory itself.
#[test]
fn the_store_may_lie_behind_a_link() {
    let world = World::new();
    std::fs::create_dir(world.path("home/real")).unwrap();
    std::os::unix::fs::symlink("real", world.path("home/link")).unwrap();
    for script in ["echo kept >/tmp/v/file", "cat /tmp/v/file"] {
        let run = ["run", "-v", "data:/tmp/v", "--host", "--", "sh", "-c", script];
        let printed = world.sbx(run).env("XDG_DATA_HOME", world.path("home/link")).ok();
        assert!(printed == "kept" || script.starts_with("echo"), "{printed}");
    }
}

/// A volume is the one thing of the store that is shown, by what it is and not by where it lies.
#[test]
fn nothing_else_of_the_store_is_in_reach() {
    let world = World::new();
    world.image();
    world.sbx(["volume", "create", "other"]).ok();
    world.sbx(["volume", "create", "data"]).ok();
    let volumes = world.path("data/sbx/volumes");
    for path in ["", "data", "data/data"] {
        let mount = format!("{}:/v", volumes.join(path).display());
        let said = world.image_sh(&["-v", &mount], "true").fails(125);
        assert!(said.contains("belongs to sbx itself"), "{said}");
    }
    let everything = format!("{}:/world", world.root().display());
    let script = "touch /v/mine; ls -A /v /v/.. | grep -e json -e other -e lock; \
                  find /world/data/sbx /v -name '*.json' -o -name other -o -name lock; \
                  awk '$5 == \"/v\" { print $4 }' /proc/self/mountinfo | grep -o 'volumes.*'";
    let flags = ["-v", &everything, "-v", "data:/v"];
    assert_eq!(world.image_sh(&flags, script).run().text(), "volumes/data/data");
    assert!(volumes.join("data/data/mine").exists());
}
