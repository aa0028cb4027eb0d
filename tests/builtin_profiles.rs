//! What each built-in profile permits, seen from inside, call by call.
//!
//! `tests/profiles/NAME.txt` has a line for each attempt of the probe: where it was made, what, and the
//! answer; where hosts differ, the answers with `|` between them. `ok`, EFAULT, EBADF and most EINVAL mean
//! that the kernel was reached. A change of what a profile permits shows as a change of its table; the
//! message of the failure has the new one.

mod common;

use std::fmt::Write as _;

use common::probe::attempts;
use common::{World, skip};

/// As the probe names them: natively, through `int 0x80`, with the x32 bit, and on files.
const SECTIONS: [&str; 7] = ["native", "int80", "x32", "more", "more32", "files", "status"];

/// What of `/proc/self/status` is the profile's.
const STATUS: [&str; 5] = ["CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"];

fn rows(found: &serde_json::Value) -> Vec<(String, String)> {
    let section = |name: &'static str| {
        let entries = found[name].as_object().unwrap_or_else(|| panic!("no table {name}"));
        let wanted =
            entries.iter().filter(move |(key, _)| name != "status" || STATUS.contains(&&key[..]));
        wanted.map(move |(key, answer)| {
            (format!("{name}: {key}"), answer.as_str().unwrap_or("").to_owned())
        })
    };
    SECTIONS.into_iter().flat_map(section).collect()
}

fn check(profile: &str) {
    let world = World::new();
    let image = world.image();
    let Some(found) = attempts(&world, &["--profile", profile], &[image]) else {
        skip!("sbx-probe is not built")
    };
    let rows = rows(&found);
    assert!(rows.len() >= 40);
    let path = common::source_tree().join(format!("tests/profiles/{profile}.txt"));
    let table = std::fs::read_to_string(&path).unwrap_or_default();
    let expected: Vec<(&str, &str)> = table.lines().filter_map(|l| l.split_once(" = ")).collect();
    let mut changes = String::new();
    for (name, answer) in &rows {
        let line = expected.iter().find(|(n, _)| n == name).map(|(_, answers)| *answers);
        if !line.is_some_and(|answers| answers.split('|').any(|a| a == answer)) {
            let _ = writeln!(
                changes,
                "{name}: {answer}, and the table says {}",
                line.unwrap_or("nothing")
            );
        }
    }
    for (name, _) in expected.iter().filter(|(name, _)| rows.iter().all(|(n, _)| n != name)) {
        let _ = writeln!(changes, "{name}: is not tried any more");
    }
    let new = rows
        .iter()
        .fold(String::new(), |out, (name, answer)| out + &format!("{name} = {answer}\n"));
    assert!(changes.is_empty(), "{}:\n{changes}\nThe whole table now:\n{new}", path.display());
}

#[test]
fn default() {
    check("default");
}

#[test]
fn strict() {
    check("strict");
}

#[test]
fn dev() {
    check("dev");
}

#[test]
fn ci() {
    check("ci");
}

#[test]
fn nested() {
    check("nested");
}

#[test]
fn unconfined() {
    check("unconfined");
}
