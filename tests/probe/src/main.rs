//! Tries what a sandbox must refuse and prints what happened, as JSON:
//!
//! `{"native": {NAME: RESULT, …}, "int80": {…}, "x32": {…}, "more": {…}, "more32": {…}, "files": {…}, "status": {…}}`
//!
//! A result is `ok`, an error's name, or a signal's number as `signal 11`. Every attempt is harmless
//! where it is permitted: its arguments are null or invalid, so that a call which gets past a filter
//! fails with another error than the filter's, or what it made is removed again.
//!
//! `sbx-probe tree ROOT HIDDEN…` lists a tree instead; see `tree`. `sbx-probe getppid COUNT` makes one
//! call that often and prints how many nanoseconds each took.

mod attempts;
mod files;
mod more;
mod names;
mod sys;
mod tree;

use std::io::Write as _;

/// Strings in here need no escapes but for backslash and quote.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn object(entries: &[(String, String)]) -> String {
    let lines: Vec<String> =
        entries.iter().map(|(k, v)| format!("    {}: {}", quoted(k), quoted(v))).collect();
    format!("{{\n{}\n  }}", lines.join(",\n"))
}

/// The lines of `/proc/self/status` that confinement shows in.
fn status() -> Vec<(String, String)> {
    let wanted = [
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
    ];
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| wanted.contains(key))
        .map(|(key, value)| (key.to_owned(), value.trim().replace('\t', " ")))
        .collect()
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, root, hidden @ ..] = args.as_slice()
        && word == "tree"
    {
        let lines = tree::list(std::path::Path::new(root), hidden)?;
        return writeln!(std::io::stdout(), "{}", lines.join("\n"));
    }
    if let [word, count] = args.as_slice()
        && word == "getppid"
    {
        return writeln!(std::io::stdout(), "{:.2}", sys::getppid(count.parse().unwrap_or(1)));
    }
    let sections = [
        ("native", attempts::native()),
        ("int80", attempts::int80()),
        ("x32", attempts::x32()),
        ("more", more::native()),
        ("more32", more::int80()),
        ("files", files::all()),
        ("status", status()),
    ];
    let body: Vec<String> = sections
        .iter()
        .map(|(name, entries)| format!("  \"{name}\": {}", object(entries)))
        .collect();
    writeln!(std::io::stdout(), "{{\n{}\n}}", body.join(",\n"))
}
