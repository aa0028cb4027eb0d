//! The leak check is seen to find what it looks for: a check that cannot fail proves nothing.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use common::{World, leaks, process};

/// Panics must not hide behind the check in `Drop`, so these tests call it themselves.
#[track_caller]
fn finds(world: &World, what: &str) {
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.check_leaks()));
    let message = found.expect_err("the leak check found nothing");
    let message = message.downcast_ref::<String>().expect("a message");
    assert!(message.contains(what), "{message}");
}

#[test]
fn a_process_that_escaped_is_found() {
    let world = World::new();
    // An orphan in a session of its own: no longer a child of what was started.
    let status = Command::new("sh")
        .args(["-c", "setsid sleep 1000 >/dev/null 2>&1 &"])
        .status()
        .expect("run sh");
    assert!(status.success());
    finds(&world, "sleep 1000");
    leaks::kill_descendants();
    world.check_leaks();
}

#[test]
fn a_process_in_a_namespace_is_found() {
    let world = World::new();
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "sleep", "1000"])
        .process_group(0)
        .stdout(Stdio::null())
        .spawn()
        .expect("run unshare");
    finds(&world, "unshare");
    leaks::kill_descendants();
    let _ = child.wait();
    world.check_leaks();
}

#[test]
fn files_are_found() {
    let world = World::new();
    std::fs::create_dir_all(world.path("data/sbx/containers/abc")).unwrap();
    finds(&world, "containers/abc");
    std::fs::remove_dir(world.path("data/sbx/containers/abc")).unwrap();
    std::fs::write(world.path("tmp/x"), "").unwrap();
    finds(&world, "tmp/x");
    std::fs::remove_file(world.path("tmp/x")).unwrap();
    world.check_leaks();
}

#[test]
fn a_held_lock_is_found() {
    let world = World::new();
    let path = world.path("run/some.lock");
    let file = std::fs::File::create(&path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    finds(&world, "lock on");
    drop(file);
    world.check_leaks();
}

#[test]
fn files_of_subordinate_ids_are_removed() {
    let dir = {
        let world = World::new();
        let dir = world.path("data");
        common::tree::inside_user_namespace(
            "mkdir -p \"$1/deep\" && touch \"$1/deep/x\" && chown -R 42:42 \"$1/deep\" && chmod 700 \"$1/deep\"",
            &dir,
        );
        assert!(std::fs::read_dir(dir.join("deep")).is_err(), "the directory is not closed to us");
        world.root().to_owned()
    };
    assert!(!dir.exists());
}

#[test]
fn the_fixture_is_a_root_that_runs() {
    let world = World::new();
    let root = world.rootfs();
    let printed = Command::new(root.join("bin/busybox")).args(["echo", "ok"]).output().unwrap();
    assert_eq!(printed.stdout, b"ok\n");
    let tar = world.file(common::fixture::busybox_tar());
    let list = Command::new("tar").arg("-tvf").arg(&tar).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("1000/1000") && list.contains("var/run -> /run"), "{list}");
    assert!(process::descendants(i32::try_from(std::process::id()).unwrap()).is_empty());
}

#[test]
fn a_terminal_is_one() {
    let mut terminal = common::terminal::Terminal::open(33, 111);
    let world = World::new();
    let before = terminal.settings();
    let running = terminal.spawn_program(
        &world,
        "sh",
        &["-c", "stty size; stty raw -echo; echo raw; read -r _; stty sane"],
    );
    terminal.expect("33 111");
    terminal.expect("raw");
    assert!(terminal.settings().is_raw() && !before.is_raw());
    terminal.write("\n");
    running.wait().expect_code(0);
}
