//! Where the output of `-t` goes when the caller's side is no terminal: all of it arrives, or the command
//! learns that it cannot.

mod common;

use common::World;

#[test]
fn a_file_is_written_where_the_caller_stands_in_it() {
    let world = World::new();
    let script = "{ echo a; \"$0\" \"$@\"; echo c; } > f";
    world.through_sh(script, &["run", "-t", "--host", "--", "echo", "b"]).ok();
    let text = std::fs::read_to_string(world.path("work").join("f")).expect("read the file");
    assert_eq!(text, "a\nb\r\nc\n");
}
