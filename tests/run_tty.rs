//! `-t`: a terminal of its own inside, and the caller's left as it was.

mod common;

use common::World;
use common::terminal::Terminal;
use nix::sys::signal::Signal;

#[test]
fn the_command_has_a_terminal_of_its_own() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let script = "test -t 0 && test -t 1 && test -t 2 && echo all three; tty; ps -o tty= -p $$";
    let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "sh", "-c", script]);
    terminal.expect("all three");
    terminal.expect("/dev/pts/0");
    running.wait().expect_code(0);
}

#[test]
fn the_size_follows_the_window() {
    let world = World::new();
    let mut terminal = Terminal::open(33, 111);
    let script = "stty size; trap 'stty size; exit 0' WINCH; echo wait; sleep 1000 & wait $!";
    let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "bash", "-c", script]);
    terminal.expect("33 111");
    terminal.expect("wait");
    terminal.resize(44, 122);
    terminal.expect("44 122");
    running.wait().expect_code(0);
}

#[test]
fn control_c_interrupts_the_command() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let before = terminal.settings();
    let script = "echo ready; exec sleep 1000";
    let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "sh", "-c", script]);
    terminal.expect("ready");
    assert!(terminal.settings().is_raw());
    terminal.write("\x03");
    running.wait().expect_code(130);
    assert_eq!(terminal.settings(), before);
}

#[test]
fn control_z_and_fg_work_inside() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let running = terminal.spawn(
        &world,
        &["run", "-it", "-e", "PS1=prompt>", "--host", "--", "bash", "--norc", "-i"],
    );
    terminal.expect("prompt>");
    terminal.write("sh -c 'echo star''ted; exec sleep 1000'\n");
    terminal.expect("started");
    terminal.write("\x1a");
    terminal.expect("Stopped");
    terminal.expect("prompt>");
    terminal.write("fg\n");
    terminal.expect("sleep 1000");
    terminal.write("\x03");
    terminal.expect("prompt>");
    terminal.write("exit 5\n");
    running.wait().expect_code(5);
}

#[test]
fn in_the_background_the_terminal_is_left_alone() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let before = terminal.settings();
    let script = format!(
        "set -m; '{}' run -it --host -- sh -c 'echo in front; exec sleep 1000' & \
         echo started $!; read -r _; fg; exit $?",
        common::world::binary().display()
    );
    let running = terminal.spawn_program(&world, "bash", &["-c", &script]);
    terminal.expect("started ");
    let pid: i32 = terminal.expect("\r\n").trim().parse().expect("a pid");
    common::process::until("sbx stops", || {
        common::process::status_field(pid, "State").is_some_and(|s| s.starts_with('T'))
    });
    assert_eq!(terminal.settings(), before);
    terminal.write("\n");
    terminal.expect("in front");
    common::process::until("the terminal is raw", || terminal.settings().is_raw());
    terminal.write("\x03");
    running.wait().expect_code(130);
    assert_eq!(terminal.settings(), before);
}

#[test]
fn a_typed_end_of_file_ends_the_shell() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let before = terminal.settings();
    let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "cat"]);
    terminal.write("typed\n");
    // Echoed by the inner terminal, then printed by cat.
    terminal.expect("typed");
    terminal.expect("typed");
    terminal.write("\x04");
    running.wait().expect_code(0);
    assert_eq!(terminal.settings(), before);
}

#[test]
fn output_before_the_end_is_complete() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo the last one";
    let running = terminal.spawn(&world, &["run", "-t", "--host", "--", "sh", "-c", script]);
    let text = terminal.expect("the last one");
    assert_eq!(text.matches("line ").count(), 5000);
    running.wait().expect_code(0);
}

#[test]
fn the_terminal_is_restored_after_every_death() {
    let world = World::new();
    for victim in ["monitor", "init", "command", "term"] {
        let mut terminal = Terminal::open(24, 80);
        let before = terminal.settings();
        let script = "echo ready; read -r _; kill -9 $$";
        let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "sh", "-c", script]);
        terminal.expect("ready");
        assert!(terminal.settings().is_raw(), "{victim}");
        match victim {
            "monitor" => running.signal(Signal::SIGKILL),
            "init" => common::process::signal(running.init(), Signal::SIGKILL),
            "term" => running.signal(Signal::SIGTERM),
            _ => terminal.write("now\n"),
        }
        let finished = running.wait();
        match victim {
            "monitor" => assert_eq!(finished.signal(), Some(9)),
            "term" => assert_eq!(finished.code(), Some(143)),
            _ => assert_eq!(finished.code(), Some(137), "{victim}"),
        }
        // Whoever restores it may be a process that outlives the monitor for a moment.
        world.recovers();
        assert_eq!(terminal.settings(), before, "after the death of the {victim}");
    }
}

#[test]
fn a_hang_up_ends_the_sandbox() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let script = "echo ready; exec sleep 1000";
    let running = terminal.spawn(&world, &["run", "-it", "--host", "--", "sh", "-c", script]);
    terminal.expect("ready");
    drop(terminal);
    let finished = running.wait();
    assert_ne!(finished.code(), Some(0));
}

#[test]
fn a_terminal_is_given_to_the_command_though_the_caller_has_none() {
    let world = World::new();
    let script = "test -t 0 && test -t 1 && echo both";
    let printed = world.sbx(["run", "-t", "--host", "--", "sh", "-c", script]).ok();
    assert_eq!(printed.trim_end(), "both");
}
