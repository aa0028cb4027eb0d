//! Containers that are kept: without `--rm`, listed by `sbx ps`, removed by `sbx rm`.

mod common;

use common::World;
use nix::sys::signal::Signal;

fn listed(world: &World) -> Vec<serde_json::Value> {
    let text = world.sbx(["ps", "-a", "--json"]).ok();
    serde_json::from_str(&text).expect("a JSON array")
}

fn remove_all(world: &World) {
    world.sbx(["rm", "--all"]).ok();
    assert!(listed(world).is_empty());
}

#[test]
fn without_rm_a_container_is_kept_with_its_files_and_exit_code() {
    let world = World::new();
    let run =
        ["run", world.image(), "sh", "-c", "echo mine >/etc/mine; chown 5:5 /etc/mine; exit 3"];
    world.sbx(run).run().expect_code(3);
    let list = listed(&world);
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["exitCode"], &list[0]["running"]), (&3.into(), &false.into()));
    let id = list[0]["id"].as_str().unwrap();
    let file = world.path("data/sbx/containers").join(id).join("upper/etc/mine");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine\n");
    assert!(world.sbx(["ps", "-a"]).ok().contains("exited (3)"));
    assert!(!world.sbx(["ps"]).ok().contains(&id[..12]));
    assert_eq!(world.sbx(["rm", &id[..6]]).ok(), id);
    assert!(listed(&world).is_empty());
}

#[test]
fn a_running_container_is_not_removed() {
    let world = World::new();
    let mut running =
        world.sbx(["run", world.image(), "sh", "-c", "echo up; exec sleep 1000"]).spawn();
    running.until("up");
    let id = world.sbx(["ps", "-q"]).ok();
    let said = world.sbx(["rm", &id]).fails(125);
    assert!(said.contains("running"), "{said}");
    running.signal(Signal::SIGTERM);
    running.wait().expect_code(143);
    remove_all(&world);
}

#[test]
fn a_container_that_died_with_its_monitor_is_not_half_alive() {
    let world = World::new();
    let mut running =
        world.sbx(["run", world.image(), "sh", "-c", "echo up; exec sleep 1000"]).spawn();
    running.until("up");
    running.signal(Signal::SIGKILL);
    running.wait();
    let list = listed(&world);
    assert_eq!(
        (&list[0]["running"], &list[0]["exitCode"]),
        (&false.into(), &serde_json::Value::Null)
    );
    remove_all(&world);
}

#[test]
fn a_damaged_state_is_reported_and_the_others_work() {
    let world = World::new();
    world.sbx(["run", world.image(), "true"]).ok();
    world.sbx(["run", world.image(), "true"]).ok();
    let id = listed(&world)[0]["id"].as_str().unwrap().to_owned();
    let file = world.path("data/sbx/containers").join(&id).join("state.json");
    for text in [
        "{\"version\": 1,",
        "{\"version\":99,\"id\":\"x\",\"image\":\"x\",\"command\":[],\"created\":1}",
    ] {
        std::fs::write(&file, text).unwrap();
        let list = listed(&world);
        assert_eq!(list.len(), 2);
        let damaged = list.iter().find(|c| c["id"] == id.as_str()).unwrap();
        assert!(damaged["damaged"].as_str().unwrap().contains("state.json"), "{damaged}");
        assert!(list.iter().any(|c| c["exitCode"] == 0));
    }
    remove_all(&world);
}

#[test]
fn a_start_that_fails_keeps_nothing() {
    let world = World::new();
    world.sbx(["run", world.image(), "no-such-command"]).fails(127);
    world.sbx(["run", world.image(), "-w", "/proc/self/fd/0"]).run();
    assert!(listed(&world).is_empty());
}

/// Everything that can fail once the container has a directory and before its command runs.
#[test]
fn a_start_that_is_not_even_tried_keeps_nothing() {
    let world = World::new();
    let image = world.image();
    let mounts = (0..300).map(|n| format!("--tmpfs=/t{n}"));
    world.sbx(["run"]).args(mounts).args([image, "true"]).fails(125);
    assert!(listed(&world).is_empty(), "too many mounts");

    // newuidmap and newgidmap are there, fuse-overlayfs is not.
    let helpers = world.folder();
    for helper in ["newuidmap", "newgidmap"] {
        std::os::unix::fs::symlink(common::which(helper).unwrap(), helpers.join(helper)).unwrap();
    }
    let run = ["run", "--storage", "fuse-overlayfs", image, "true"];
    world.sbx(run).env("PATH", &helpers).fails(125);
    assert!(listed(&world).is_empty(), "no fuse-overlayfs");

    // Its state cannot be written.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -f 0; exec \"$@\"", "sh"]).arg(common::world::binary());
    common::Sbx::through(&world, command).args(["run", image, "true"]).fails(125);
    assert!(listed(&world).is_empty(), "no file may grow");
}

#[test]
fn the_exit_code_is_the_commands_even_where_it_cannot_be_written_down() {
    let world = World::new();
    let script = "echo up; read -r _; exit 3";
    let mut running = world.sbx(["run", "-i", world.image(), "sh", "-c", script]).spawn_open();
    running.until("up");
    let id = listed(&world)[0]["id"].as_str().unwrap().to_owned();
    let dir = world.path("data/sbx/containers").join(id);
    std::fs::create_dir(dir.join("state.json.new")).unwrap();
    running.say("go on");
    let finished = running.wait().expect_code(3);
    assert!(finished.stderr.contains("state.json"), "{finished:?}");
    remove_all(&world);
}

#[test]
fn inspect_shows_what_is_known_of_a_container() {
    let world = World::new();
    let image = world.image();
    world.sbx(["run", image, "sh", "-c", "exit 3"]).run().expect_code(3);
    let id = listed(&world)[0]["id"].as_str().unwrap().to_owned();
    let text = world.sbx(["inspect", "--type", "container", &id[..12]]).ok();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let value = &value[0];
    assert_eq!(value["Id"], id.as_str());
    assert_eq!((&value["Path"], &value["Args"]), (&"sh".into(), &vec!["-c", "exit 3"].into()));
    assert_eq!(value["State"]["Status"], "exited");
    assert_eq!(value["State"]["ExitCode"], 3);
    assert_eq!(value["ImageName"], "localhost/busybox:latest");
    let of_image = world.sbx(["inspect", "-f", "{{.Id}} {{.Digest}}", image]).ok();
    let parts = [value["Image"].as_str().unwrap(), value["ImageDigest"].as_str().unwrap()];
    assert_eq!(of_image, parts.join(" "));
    let data = &value["GraphDriver"]["Data"];
    let lower = std::path::Path::new(data["LowerDir"].as_str().unwrap());
    assert!(lower.join("bin/busybox").exists());
    assert!(std::path::Path::new(data["UpperDir"].as_str().unwrap()).is_dir());
    // A container comes before an image, and is not looked for where an image is meant.
    assert_eq!(world.sbx(["inspect", "-f", "{{.State.Running}}", &id]).ok(), "false");
    world.sbx(["inspect", "--type", "image", &id]).fails(125);
    let mut running =
        world.sbx(["run", "-i", image, "sh", "-c", "echo up; read -r _"]).spawn_open();
    running.until("up");
    let other = world.sbx(["ps", "-q"]).ok();
    let status = world.sbx(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", &other]).ok();
    assert_eq!(status, "running <no value>");
    running.say("end");
    running.wait().expect_code(0);
    remove_all(&world);
}

#[test]
fn an_unknown_container_is_named() {
    let world = World::new();
    let said = world.sbx(["rm", "abcdef"]).fails(125);
    assert!(said.contains("abcdef") && said.contains("sbx ps"), "{said}");
}
