//! Standard streams without a terminal: every byte arrives, in both directions, and the end of file too.

mod common;

use common::{World, tree::hex};
use sha2::{Digest as _, Sha256};

/// Bytes that repeat nowhere within a page, so that a lost or doubled block changes the hash.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn slow_two_hundred_megabytes_pass_both_ways() {
    let world = World::new();
    let sent = noise(200_000_000);
    let hash = hex(&Sha256::digest(&sent));
    for run in
        [vec!["run", "-i", "--host", "--", "cat"], vec!["run", "-i", "--rm", world.image(), "cat"]]
    {
        let finished = world.sbx(&run).input(sent.clone()).run().expect_code(0);
        assert_eq!(finished.stdout.len(), sent.len(), "{run:?}");
        assert_eq!(hex(&Sha256::digest(&finished.stdout)), hash, "{run:?}");
    }
}

#[test]
fn one_direction_at_a_time_and_none() {
    let world = World::new();
    let run = ["run", "-i", "--host", "--", "wc", "-c"];
    assert_eq!(world.sbx(run).input(noise(1_000_003)).ok(), "1000003");
    assert_eq!(world.sbx(run).input(Vec::new()).ok(), "0");
    let run = ["run", "--host", "--", "head", "-c", "1000003", "/dev/zero"];
    assert_eq!(world.sbx(run).run().expect_code(0).stdout.len(), 1_000_003);
}

#[test]
fn without_i_standard_input_is_empty() {
    let world = World::new();
    assert_eq!(world.host(["wc", "-c"]).input("not for you").ok(), "0");
}

#[test]
fn output_and_errors_stay_apart() {
    let world = World::new();
    let finished = world.host_sh("echo out; echo err >&2").run().expect_code(0);
    assert_eq!((finished.text().as_str(), finished.stderr.as_str()), ("out", "err\n"));
}

#[test]
fn a_command_that_does_not_read_does_not_hang_sbx() {
    let world = World::new();
    let run = ["run", "-i", "--host", "--", "true"];
    world.sbx(run).input(noise(10_000_000)).run().expect_code(0);
}

#[test]
fn an_early_end_of_the_reader_ends_the_writer() {
    let world = World::new();
    let run = ["run", "--host", "--", "yes"];
    assert_eq!(world.through_sh("\"$0\" \"$@\" | head -n 1", &run).ok(), "y");
}

#[test]
fn a_conversation_is_not_buffered() {
    let world = World::new();
    let script = "while read -r line; do echo \"got $line\"; done; echo end";
    let mut running = world.sbx(["run", "-i", "--host", "--", "sh", "-c", script]).spawn_open();
    running.say("one").until("got one\n").say("two").until("got two\n").close_input();
    assert_eq!(running.wait().expect_code(0).text(), "got one\ngot two\nend");
}

#[test]
fn a_file_on_standard_input_cannot_be_changed() {
    let world = World::new();
    let file = world.file("mine\n");
    let script = "cat; echo x > /proc/self/fd/0; echo x >> /proc/self/fd/0; true";
    let run = ["run", "-i", "--host", "--", "sh", "-c", script];
    let own = std::fs::File::options().read(true).write(true).open(&file).expect("open the file");
    for stdin in [std::fs::File::open(&file).expect("open the file"), own] {
        let out = world.fresh("out");
        let to = || std::fs::File::create(&out).expect("make a file");
        world.sbx(run).stdio(stdin, to(), std::process::Stdio::null()).spawn().wait();
        assert_eq!(std::fs::read_to_string(&out).expect("read the output"), "mine\n");
        assert_eq!(std::fs::read_to_string(&file).expect("read the file"), "mine\n");
    }
}

#[test]
fn a_log_can_be_appended_to_and_nothing_else() {
    let world = World::new();
    // Reading comes first: what the script has written to a pipe it could read back.
    let script = "exec 3>&1 4>&2; \
                  for fd in 3 4; do \
                      seen=$(dd if=/proc/self/fd/$fd iflag=nonblock 2>/dev/null); \
                      [ -z \"$seen\" ] || echo was read; \
                      : > /proc/self/fd/$fd; \
                  done; \
                  echo new; echo also new >&2";
    for redirect in [">>log 2>>err", ">>log 2>&1"] {
        for file in ["log", "err"] {
            std::fs::write(world.path("work").join(file), "secret\n").expect("write a log");
        }
        let run = ["run", "--host", "--", "sh", "-c", script];
        world.through_sh(&format!("\"$0\" \"$@\" {redirect}"), &run).run().expect_code(0);
        let text =
            |file| std::fs::read_to_string(world.path("work").join(file)).expect("read a log");
        let (log, err) = match redirect {
            ">>log 2>&1" => ("secret\nnew\nalso new\n", "secret\n"),
            _ => ("secret\nnew\n", "secret\nalso new\n"),
        };
        assert_eq!((text("log").as_str(), text("err").as_str()), (log, err), "{redirect}");
    }
}

#[test]
fn output_and_errors_in_one_file_keep_their_order() {
    let world = World::new();
    let script = "for i in $(seq 500); do echo $i; echo e$i >&2; done";
    let run = ["run", "--host", "--", "bash", "-c", script];
    world.through_sh("\"$0\" \"$@\" >log 2>&1", &run).ok();
    let expected: String = (1..=500).map(|i| format!("{i}\ne{i}\n")).collect();
    let log = std::fs::read_to_string(world.path("work").join("log")).expect("read the log");
    assert_eq!(log, expected);
}

#[test]
fn a_file_passes_to_a_file_byte_for_byte() {
    let world = World::new();
    let sent = noise(5_000_011);
    let (from, to) = (world.file(&sent), world.fresh("copy"));
    // Small reads make room for a part of a write only.
    world
        .sbx(["run", "-i", "--host", "--", "dd", "bs=777"])
        .stdio(
            std::fs::File::open(&from).expect("open the file"),
            std::fs::File::create(&to).expect("make the copy"),
            std::process::Stdio::null(),
        )
        .spawn()
        .wait()
        .expect_code(0);
    assert!(std::fs::read(&to).expect("read the copy") == sent, "the copy differs");
}

#[test]
fn a_file_that_is_not_read_keeps_nobody_waiting() {
    let world = World::new();
    let file = world.file(noise(5_000_011));
    let run = |command: &[&str]| {
        let run = ["run", "-i", "--timeout", "20", "--host", "--"];
        let stdin = std::fs::File::open(&file).expect("open the file");
        let null = std::process::Stdio::null;
        world.sbx(run).args(command).stdio(stdin, null(), null()).spawn()
    };
    run(&["true"]).wait().expect_code(0);
    run(&["head", "-c", "1"]).wait().expect_code(0);
    // A signal gets through though the pipe is nearly full, so nothing waits in a write to it.
    let ready = world.folder();
    let fifo = common::fifo::Fifo::new(&ready.join("fifo"));
    let script = format!("head -c 70000; echo > {}; exec sleep 1000", ready.join("fifo").display());
    let volume = format!("{0}:{0}", ready.display());
    let run = ["run", "-i", "-v", &volume, "--host", "--", "sh", "-c", &script];
    let stdin = std::fs::File::open(&file).expect("open the file");
    let null = std::process::Stdio::null;
    let running = world.sbx(run).stdio(stdin, null(), null()).spawn();
    fifo.wait();
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().expect_code(143);
}

#[test]
fn what_would_lead_out_is_refused() {
    let world = World::new();
    let folder = world.folder();
    let dir = || std::fs::File::open(&folder).expect("open the folder");
    let null = std::process::Stdio::null;
    let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("eventfd");
    let run = ["run", "-i", "--host", "--", "ls", "/proc/self/fd/0/"];
    let said = world.fresh("said");
    let err = || std::fs::File::create(&said).expect("make a file");
    let tell = || std::fs::read_to_string(&said).expect("read what was said");

    world.sbx(run).stdio(dir(), null(), err()).spawn().wait().expect_code(125);
    let name = folder.display();
    assert_eq!(
        tell(),
        format!(
            "sbx: cannot give {name} to the command as standard input: a directory leads out of \
             the sandbox. Fix: </dev/null\n"
        )
    );
    world.sbx(run).stdio(event, null(), err()).spawn().wait().expect_code(125);
    assert!(tell().contains("[eventfd] to the command as standard input"), "{}", tell());
    world.sbx(run).stdio(null(), dir(), err()).spawn().wait().expect_code(125);
    assert!(tell().contains("as standard output") && tell().ends_with("Fix: >/dev/null\n"));
    world.sbx(run).stdio(null(), null(), dir()).spawn().wait().expect_code(125);
    // Without -i it is not handed over.
    world.host(["true"]).stdio(dir(), null(), err()).spawn().wait().expect_code(0);
}

#[test]
fn output_that_is_lost_is_no_success() {
    let world = World::new();
    let script = "ulimit -f 1; exec \"$0\" \"$@\" >file";
    let finished = world.through_sh(script, &["run", "--host", "--", "seq", "1", "5000"]).run();
    let finished = finished.expect_code(125);
    assert!(finished.stderr.contains("cannot write the output"), "{finished:?}");
}

#[test]
fn lines_of_several_sandboxes_stay_whole_in_one_log() {
    let world = World::new();
    let script = "for w in a b c d; do \"$0\" run --host -- sh -c \"$1\" sh $(printf \"$w%.0s\" $(seq 100)) >>log & \
                  done; wait; grep -vcE '^(a+|b+|c+|d+)$' log; grep -c . log";
    let lines = "i=0; while [ $i -lt 20000 ]; do echo $1; i=$((i+1)); done";
    assert_eq!(world.through_sh(script, &[lines]).run().text(), "0\n80000");
}
