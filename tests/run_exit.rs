//! Exit codes: the command's own, 128 + n for a signal, and 125 to 127 of sbx.

mod common;

use std::time::{Duration, Instant};

use common::{World, process};
use nix::sys::signal::Signal;

#[test]
fn the_code_of_the_command_is_the_code_of_sbx() {
    let world = World::new();
    for code in [0, 1, 7, 125, 255] {
        world.host_sh(&format!("exit {code}")).run().expect_code(code);
    }
}

#[test]
fn a_signal_that_kills_the_command_gives_128_more() {
    let world = World::new();
    for (signal, code) in [("KILL", 137), ("SEGV", 139), ("ABRT", 134)] {
        world.host_sh(&format!("kill -{signal} $$")).run().expect_code(code);
    }
}

#[test]
fn signals_to_sbx_reach_the_command() {
    let world = World::new();
    let script = "echo ready; exec sleep 1000";
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        // Behind an init, and as PID 1, where the kernel drops what has no handler.
        for sbx in [world.host_sh(script), world.image_sh(&[], script)] {
            let mut running = sbx.spawn();
            running.until("ready").signal(signal);
            running.wait().expect_code(code);
        }
    }
}

#[test]
fn a_command_may_handle_the_signal() {
    let world = World::new();
    let script = "trap 'echo got it; exit 3' TERM; trap 'echo user' USR1; echo ready; \
                  while :; do sleep 1000 & wait $!; done";
    for sbx in [world.host_sh(script), world.image_sh(&[], script)] {
        let mut running = sbx.spawn();
        running.until("ready").signal(Signal::SIGUSR1);
        running.until("user").signal(Signal::SIGTERM);
        let finished = running.wait().expect_code(3);
        assert!(finished.text().ends_with("got it"), "{finished:?}");
    }
}

#[test]
fn the_whole_job_stops_and_goes_on() {
    let world = World::new();
    let script = "sleep 1000 & echo ready; read -r _; echo on";
    let image = world.image();
    for run in [
        vec!["run", "-i", "--host", "--", "sh", "-c", script],
        vec!["run", "-i", "--rm", image, "sh", "-c", script],
    ] {
        let mut running = world.sbx(&run).spawn_open();
        running.until("ready").signal(Signal::SIGTSTP);
        let inside = process::descendants(running.outer_init());
        assert!(inside.len() >= 2, "{inside:?}");
        let all_are = |stopped: bool| {
            let state = |pid: &i32| process::status_field(*pid, "State").unwrap_or_default();
            inside.iter().all(|pid| state(pid).starts_with('T') == stopped)
        };
        process::until("every process inside stops", || all_are(true));
        process::until("sbx stops", || {
            process::status_field(running.pid(), "State").is_some_and(|s| s.starts_with('T'))
        });
        running.signal(Signal::SIGCONT);
        process::until("every process inside goes on", || all_are(false));
        running.say("line").until("on");
        running.wait().expect_code(0);
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_is_named() {
    let world = World::new();
    for command in ["no-such-command", "/no/such/command", "./no-such-command"] {
        let said = world.host([command]).fails(127);
        assert!(said.contains(command), "{said}");
    }
    let said = world.sbx(["run", "--rm", world.image(), "no-such-command"]).fails(127);
    assert!(said.contains("no-such-command"), "{said}");
}

#[test]
fn a_command_that_cannot_be_invoked_is_126_and_is_named() {
    let world = World::new();
    for command in ["/etc/passwd", "/etc"] {
        let said = world.host([command]).fails(126);
        assert!(said.contains(command), "{said}");
    }
    let said = world.sbx(["run", "--rm", world.image(), "/etc/nobinfmt"]).fails(126);
    assert!(said.contains("/etc/nobinfmt"), "{said}");
}

#[test]
fn a_daemonised_grandchild_dies_with_the_sandbox() {
    let world = World::new();
    // The leak check at the end of the world looks for it.
    let script = "setsid sh -c 'echo up >&3; exec sleep 1000' 3>&1 >/dev/null 2>&1 & read -r _";
    let mut running = world.sbx(["run", "-i", "--host", "--", "sh", "-c", script]).spawn_open();
    running.until("up").say("go");
    running.wait().expect_code(0);
}

#[test]
fn sbx_returns_though_a_grandchild_holds_its_output() {
    let world = World::new();
    let start = Instant::now();
    let finished = world.host_sh("sleep 1000 & echo done; exit 4").run().expect_code(4);
    assert_eq!(finished.text(), "done");
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

#[test]
fn orphans_are_reaped() {
    let world = World::new();
    // Without a reaper the loop would never end, and the harness would.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (true &); done
                  while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ' Z '; do :; done; echo none";
    assert_eq!(world.host_sh(script).ok(), "none");
    assert_eq!(world.image_sh(&["--init"], script).ok(), "none");
}

#[test]
fn a_crash_leaves_no_core_file() {
    let world = World::new();
    let folder = world.folder();
    let mount = format!("{}:/mnt", folder.display());
    world
        .sbx(["run", "--host", "-v", &mount, "-w", "/mnt", "--", "sh", "-c", "kill -SEGV $$"])
        .run()
        .expect_code(139);
    assert_eq!(std::fs::read_dir(&folder).expect("list the folder").count(), 0);
    assert_eq!(world.host_sh("ulimit -c; ulimit -Hc").ok(), "0\n0");
}

#[test]
fn a_timeout_ends_the_sandbox() {
    let world = World::new();
    let start = Instant::now();
    let finished = world
        .sbx(["run", "--timeout", "1", "--host", "--", "sh", "-c", "trap '' TERM; sleep 1000; :"])
        .run();
    assert!(matches!(finished.code(), Some(137 | 143)), "{finished:?}");
    assert!(finished.stderr.contains("the time is up (1s)"), "{finished:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "took {:?}", start.elapsed());
}
