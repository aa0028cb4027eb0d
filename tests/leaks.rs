//! Faults and load: one clear error or success, and nothing left. The leak check runs at the end of every test.

mod common;

use std::time::{Duration, Instant};

use common::{World, need, process};
use nix::sys::signal::Signal;

const READY: &str = "setsid sleep 1000 & echo ready; exec sleep 1000";

#[test]
fn a_killed_monitor_takes_its_sandbox_with_it() {
    let world = World::new();
    let image = world.image();
    for run in [
        vec!["run", "--host", "--", "sh", "-c", READY],
        vec!["run", "--rm", image, "sh", "-c", READY],
    ] {
        let mut running = world.sbx(&run).spawn();
        running.until("ready").signal(Signal::SIGKILL);
        assert_eq!(running.wait().signal(), Some(9));
        world.recovers();
    }
}

#[test]
fn a_program_that_shook_off_the_signal_of_its_parents_death_ends_too() {
    let world = World::new();
    let image = world.image();
    // A change of ids clears PR_SET_PDEATHSIG (prctl(2)); here the program is PID 1.
    let script = "exec su ana -c 'test $$ = 1 && id -u && exec sleep 1000'";
    for keep in [false, true] {
        let flags: &[&str] = if keep { &[] } else { &["--rm"] };
        let run = [&["run"], flags, &[image, "sh", "-c", script]].concat();
        let mut running = world.sbx(run).spawn();
        running.until("1000");
        let (outer, program) = (running.outer_init(), running.init());
        running.signal(Signal::SIGKILL);
        assert_eq!(running.wait().signal(), Some(9));
        for pid in [outer, program] {
            assert!(process::ends(pid, Duration::from_secs(20)), "{pid} lives on");
        }
        if keep {
            let id = world.sbx(["ps", "-aq"]).ok();
            world.sbx(["rm", &id]).ok();
        }
        world.recovers();
    }
}

#[test]
fn a_killed_outer_init_takes_everything_with_it() {
    let world = World::new();
    let mut running = world.image_sh(&[], READY).spawn();
    running.until("ready");
    assert_ne!(running.outer_init(), running.init());
    process::signal(running.outer_init(), Signal::SIGKILL);
    running.wait().expect_code(137);
}

#[test]
fn a_killed_init_is_137_and_takes_its_children() {
    let world = World::new();
    let mut running = world.host_sh(READY).spawn();
    running.until("ready");
    process::signal(running.init(), Signal::SIGKILL);
    running.wait().expect_code(137);
    let mut running = world.image_sh(&[], READY).spawn();
    running.until("ready");
    process::signal(running.init(), Signal::SIGKILL);
    running.wait().expect_code(137);
}

#[test]
fn a_killed_fuse_overlayfs_is_named() {
    need!("fuse-overlayfs");
    let world = World::new();
    let script = "echo ready; while :; do cat /etc/passwd >/dev/null || exit 9; done";
    let mut running = world.image_sh(&["--storage", "fuse-overlayfs"], script).spawn();
    running.until("ready");
    process::signal(fuse_overlayfs(&running), Signal::SIGKILL);
    let finished = running.wait();
    assert_ne!(finished.code(), Some(0));
    assert!(finished.stderr.contains("fuse-overlayfs"), "{finished:?}");
    world.recovers();
}

fn fuse_overlayfs(running: &common::Running<'_>) -> i32 {
    process::descendants(running.pid())
        .into_iter()
        .find(|pid| {
            process::status_field(*pid, "Name").is_some_and(|n| n.starts_with("fuse-overlay"))
        })
        .expect("a fuse-overlayfs process")
}

#[test]
fn fuse_overlayfs_goes_with_the_monitor() {
    need!("fuse-overlayfs");
    let world = World::new();
    let mut running = world.image_sh(&["--storage", "fuse-overlayfs"], READY).spawn();
    running.until("ready").signal(Signal::SIGKILL);
    running.wait();
    world.recovers();
}

#[test]
fn killed_at_any_moment_of_a_start() {
    let world = World::new();
    world.image();
    let start = Instant::now();
    world.image_sh(&[], "true").ok();
    let whole = start.elapsed();
    // Twenty moments over one start and a little more.
    for n in 0..20 {
        let running = world.image_sh(&[], "true").spawn();
        // Not a wait for something to happen: the moment of the kill is what the test varies.
        process::ends(running.pid(), whole * n / 16);
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid()), Signal::SIGKILL);
        running.wait();
    }
    world.recovers();
}

#[test]
fn a_missing_helper_is_one_line_with_its_fix() {
    let world = World::new();
    let image = world.image();
    let empty = world.folder();
    let finished = world.sbx(["run", "--rm", image, "true"]).env("PATH", &empty).run();
    let finished = finished.expect_code(125);
    assert!(finished.stderr.contains("newuidmap"), "{finished:?}");
    assert!(finished.stderr.contains("apt-get install uidmap"), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
}

#[test]
fn a_helper_that_hangs_does_not_make_sbx_deaf() {
    let world = World::new();
    let image = world.image();
    let dir = world.folder();
    for name in ["newuidmap", "newgidmap"] {
        std::fs::write(dir.join(name), "#!/bin/sh\nkill -STOP $$\n").unwrap();
        common::world::chmod(&dir.join(name), 0o755);
    }
    let path = format!("{}:/usr/bin:/bin", dir.display());
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let running = world.sbx(["run", "--rm", image, "true"]).env("PATH", &path).spawn();
        let stopped = || {
            let below = process::descendants(running.pid());
            let state = |pid| process::status_field(pid, "State").unwrap_or_default();
            below.into_iter().filter(|pid| state(*pid).starts_with('T')).count() == 2
        };
        process::until("both helpers have stopped", stopped);
        running.signal(signal);
        let finished = running.wait();
        if signal == Signal::SIGTERM {
            let finished = finished.expect_code(125);
            assert!(finished.stderr.contains("newuidmap"), "{finished:?}");
        }
        world.recovers();
    }
}

#[test]
fn a_data_directory_that_cannot_be_written_to_is_named() {
    let world = World::new();
    let closed = world.folder();
    common::world::chmod(&closed, 0o500);
    let file = world.file(common::fixture::busybox_tar());
    let said = world.sbx(["import"]).arg(&file).arg("x").env("XDG_DATA_HOME", &closed).fails(125);
    assert!(said.contains(closed.to_str().unwrap()), "{said}");
    // --host needs no store, but must still start.
    assert_eq!(world.host_sh("echo ok").env("XDG_DATA_HOME", &closed).ok(), "ok");
}

#[test]
fn slow_two_hundred_starts_at_once() {
    let world = World::new();
    let image = world.image();
    for run in [
        vec!["run", "--host", "--", "sh", "-c", "echo $$"],
        vec!["run", "--rm", image, "sh", "-c", "echo $$"],
    ] {
        let all: Vec<_> = (0..200).map(|_| world.sbx(&run).spawn()).collect();
        for running in all {
            running.wait().expect_code(0);
        }
        world.check_leaks();
    }
}

#[test]
fn slow_two_hundred_and_ten_alive_at_once() {
    let world = World::new();
    world.image();
    // More than the 200 keys that a user may have (keyrings(7), "maxkeys").
    let mut all: Vec<_> = (0..210).map(|_| world.image_sh(&[], READY).spawn()).collect();
    for running in &mut all {
        running.until("ready");
    }
    for running in &all {
        running.signal(Signal::SIGTERM);
    }
    for running in all {
        running.wait().expect_code(143);
    }
}

#[test]
fn slow_five_hundred_starts_in_a_row() {
    let world = World::new();
    world.host(["true"]).ok();
    let keys = common::leaks::key_count();
    for _ in 0..500 {
        world.host(["true"]).ok();
    }
    // The kernel takes dead keyrings away in the background, and the quota is 200 for a user.
    assert!(common::leaks::key_count() < keys + 100, "session keyrings pile up");
}

#[test]
fn a_flood_of_output_to_a_slow_reader_can_be_killed() {
    let world = World::new();
    let mut command = std::process::Command::new("sh");
    // The reader never reads.
    command.args(["-c", "exec \"$0\" \"$@\" | { read -r _; exec sleep 1000; }"]);
    command.arg(common::world::binary());
    let running = common::Sbx::through(&world, command)
        .args(["run", "--host", "--", "sh", "-c", "echo first; exec cat /dev/zero"])
        .spawn();
    let deadline = Instant::now() + Duration::from_secs(20);
    let sbx = loop {
        let found = process::descendants(running.pid()).into_iter().find(|pid| {
            process::status_field(*pid, "Name").as_deref() == Some("sbx")
                && process::init_below(*pid).is_some()
        });
        if let Some(pid) = found {
            break pid;
        }
        assert!(Instant::now() < deadline, "sbx never started");
    };
    process::signal(sbx, Signal::SIGTERM);
    assert!(process::ends(sbx, Duration::from_secs(20)), "TERM did not end it");
    common::leaks::kill_descendants();
}
