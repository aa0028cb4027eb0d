//! Where the output of `-t` goes when the caller's side is no terminal: all of it arrives, or the command
//! learns that it cannot.

mod common;

use std::fs::File;
use std::io::{PipeReader, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::fifo::Fifo;
use common::terminal::Terminal;
use common::{Running, World, process, world};
use nix::sys::signal::Signal;

/// More than a pipe holds, and less than it holds together with a terminal: the command can end before
/// anybody reads.
const LEN: usize = 70_000;

/// A program that feels the hang-up by its signal only: one that writes may meet the error first.
const FEELS: [&str; 3] = ["sh", "-c", "yes & exec sleep 1000"];

#[test]
fn the_end_of_the_reader_hangs_the_terminal_up() {
    let world = World::new();
    let script = "{ \"$0\" \"$@\"; echo status $? >&2; } | head -n 1";
    // In an image it is PID 1, which feels no SIGHUP of the kernel's.
    for run in [&["run", "-t", "--host", "--"][..], &["run", "-t", "--rm", world.image()]] {
        let finished = world.through_sh(script, &[run, &FEELS].concat()).run().expect_code(0);
        assert_eq!((finished.text().as_str(), finished.stderr.as_str()), ("y\r", "status 129\n"));
        let finished = world.through_sh(script, &[run, &["yes"]].concat()).run().expect_code(0);
        assert_eq!(finished.text(), "y\r");
    }
}

#[test]
fn a_hung_up_program_that_goes_on_can_be_interrupted() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let folder = world.folder();
    let hung_up = Fifo::new(&folder.join("hung up"));
    let volume = format!("{0}:{0}", folder.display());
    let script = "trap '' HUP; yes; echo >\"$0\"; exec sleep 1000";
    let fifo = folder.join("hung up");
    let outer = "\"$@\" | head -n 1";
    let mut args = vec!["-c", outer, "sh", world::binary().to_str().expect("a path")];
    args.extend(["run", "-it", "-v", &volume, "--host", "--", "sh", "-c", script]);
    args.push(fifo.to_str().expect("a path"));
    let running = terminal.spawn_program(&world, "sh", &args);
    hung_up.wait();
    assert!(!terminal.settings().is_raw());
    terminal.write("\x03");
    running.wait();
}

#[test]
fn a_full_disk_hangs_the_terminal_up() {
    let world = World::new();
    let run = [&["run", "-t", "--host", "--"], &FEELS[..]].concat();
    let said = world.through_sh("\"$0\" \"$@\" > /dev/full", &run).fails(129);
    assert_eq!(said, "sbx: cannot write the output: no space left on device\n");
}

#[test]
fn a_file_is_written_where_the_caller_stands_in_it() {
    let world = World::new();
    let script = "{ echo a; \"$0\" \"$@\"; echo c; } > f";
    world.through_sh(script, &["run", "-t", "--host", "--", "echo", "b"]).ok();
    let text = std::fs::read_to_string(world.path("work").join("f")).expect("read the file");
    assert_eq!(text, "a\nb\r\nc\n");
}

/// A command that has written all it has to say, which waits for its reader. It ignores signals. What
/// sbx says goes to a file.
fn unread<'w>(world: &'w World, said: &Path, flags: &[&str]) -> (PipeReader, Running<'w>) {
    let (reader, writer) = std::io::pipe().expect("make a pipe");
    let folder = world.folder();
    let written = Fifo::new(&folder.join("written"));
    let script = format!(
        "trap '' TERM INT HUP QUIT; head -c {LEN} /dev/zero; echo >{}",
        folder.join("written").display()
    );
    let volume = format!("{0}:{0}", folder.display());
    let running = world
        .sbx(["run", "-t", "-v", &volume])
        .args(flags)
        .args(["--host", "--", "sh", "-c", &script])
        .stdio(Stdio::null(), writer, File::create(said).expect("make a file"))
        .spawn();
    written.wait();
    (reader, running)
}

#[test]
fn a_reader_may_take_its_time() {
    let world = World::new();
    let said = world.fresh("said");
    let (mut reader, running) = unread(&world, &said, &[]);
    assert!(!process::ends(running.pid(), Duration::from_secs(2)), "sbx did not wait");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("read the output");
    assert_eq!(bytes.len(), LEN);
    running.wait().expect_code(0);
    assert_eq!(std::fs::read_to_string(&said).expect("read what was said"), "");
}

#[test]
fn a_signal_or_the_timeout_ends_the_wait_for_a_reader() {
    let world = World::new();
    let said = world.fresh("said");
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
    for signal in signals.map(Some).into_iter().chain([None]) {
        let flags = if signal.is_some() { &[][..] } else { &["--timeout", "1"] };
        let (reader, running) = unread(&world, &said, flags);
        if let Some(signal) = signal {
            // The first may still be for the command.
            while !process::ends(running.pid(), Duration::from_millis(100)) {
                running.signal(signal);
            }
        }
        running.wait().expect_code(0);
        let said = std::fs::read_to_string(&said).expect("read what was said");
        assert_eq!(said, "sbx: output that was not read in time is dropped\n", "{signal:?}");
        drop(reader);
    }
}

#[test]
fn control_c_ends_the_wait_for_a_reader() {
    let world = World::new();
    let mut terminal = Terminal::open(24, 80);
    let folder = world.folder();
    let written = Fifo::new(&folder.join("written"));
    let volume = format!("{0}:{0}", folder.display());
    let script = format!("trap '' INT; head -c {LEN} /dev/zero; echo >\"$0\"");
    let fifo = folder.join("written");
    let outer = "\"$@\" | sleep 1000";
    let mut args = vec!["-c", outer, "sh", world::binary().to_str().expect("a path")];
    args.extend(["run", "-it", "-v", &volume, "--host", "--", "sh", "-c", &script]);
    args.push(fifo.to_str().expect("a path"));
    let running = terminal.spawn_program(&world, "sh", &args);
    written.wait();
    // Keys that come before the end of the command are for the command.
    let ended = (0..50).any(|_| {
        terminal.write("\x03");
        process::ends(running.pid(), Duration::from_millis(100))
    });
    assert!(ended, "sbx waits on");
    running.wait();
}

#[test]
fn a_closed_terminal_can_be_opened_again() {
    let world = World::new();
    for device in ["/dev/tty", "/dev/console"] {
        let folder = world.folder();
        let closed = Fifo::new(&folder.join("closed"));
        let script = format!(
            "trap 'echo again >{device}; exit 0' USR1; \
             exec 0<&- 1>&- 2>&-; \
             echo >{}; \
             sleep 1000 & wait $!",
            folder.join("closed").display()
        );
        let volume = format!("{0}:{0}", folder.display());
        let run = ["run", "-t", "-v", &volume, "--host", "--", "sh", "-c", &script];
        let running = world.sbx(run).spawn();
        closed.wait();
        // sbx has looked at the terminal before it passes this on.
        running.signal(Signal::SIGUSR1);
        assert_eq!(running.wait().expect_code(0).text(), "again\r");
    }
}
