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
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "\"$0\" \"$@\" | head -n 1"]).arg(common::world::binary());
    let run = ["run", "--host", "--", "yes"];
    assert_eq!(common::Sbx::through(&world, command).args(run).ok(), "y");
}

#[test]
fn a_conversation_is_not_buffered() {
    let world = World::new();
    let script = "while read -r line; do echo \"got $line\"; done; echo end";
    let mut running = world.sbx(["run", "-i", "--host", "--", "sh", "-c", script]).spawn_open();
    running.say("one").until("got one\n").say("two").until("got two\n").close_input();
    assert_eq!(running.wait().expect_code(0).text(), "got one\ngot two\nend");
}
