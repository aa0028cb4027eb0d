//! What the tests share: a world of their own for each, the binary in it, and a leak check at its end.

#![allow(dead_code, reason = "every test file compiles this module and uses a part of it")]
#![allow(unused_macros, unused_imports, reason = "as above")]

pub(crate) mod command;
pub(crate) mod fifo;
pub(crate) mod fixture;
pub(crate) mod leaks;
pub(crate) mod podman;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod scripted;
pub(crate) mod terminal;
pub(crate) mod tokens;
pub(crate) mod tree;
pub(crate) mod world;

pub(crate) use command::{Finished, Running, Sbx};
pub(crate) use world::World;

/// Ends the test because something that it needs is not to be had, and says so past the test runner's
/// capture. CI fails on a skip that is not listed in `tests/expected-skips`.
macro_rules! skip {
    ($($reason:tt)*) => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIP {name}: {}", format_args!($($reason)*));
        return;
    }};
}
pub(crate) use skip;

/// Skips the test where one of these programs is not installed.
macro_rules! need {
    ($($program:literal),+) => {
        $(if $crate::common::which($program).is_none() {
            $crate::common::skip!(concat!($program, " is not installed"));
        })+
    };
}
pub(crate) use need;

/// Where `program` is on the path that the tests give to sbx.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(command::PATH).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The top of the source tree, or the copy of it that the unprivileged user can read.
pub(crate) fn source_tree() -> std::path::PathBuf {
    std::env::var_os("SBX_TREE").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), Into::into)
}
