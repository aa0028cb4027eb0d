//! `completions/` and `man/` are generated from the command line definition: this test compares what is
//! committed, and writes it when `SBX_DOCS=write` is set (`make docs`). The generators are dependencies of this
//! test and not of the binary.

mod common;

#[path = "../src/cli/mod.rs"]
#[allow(dead_code, reason = "what is parsed is read by the binary, not here")]
mod cli;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;

/// Every generated file, by its path in the tree.
fn generated() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (shell, name) in
        [(Shell::Bash, "sbx.bash"), (Shell::Zsh, "_sbx"), (Shell::Fish, "sbx.fish")]
    {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut cli::Cli::command(), "sbx", &mut text);
        files.insert(Path::new("completions").join(name), text);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    clap_mangen::generate_to(cli::Cli::command(), dir.path()).expect("generate the manual pages");
    for entry in std::fs::read_dir(dir.path()).expect("list the manual pages") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read(&path).expect("read a manual page");
        files.insert(Path::new("man").join(path.file_name().expect("a name")), text);
    }
    files
}

fn committed() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dir in ["completions", "man"] {
        let Ok(list) = std::fs::read_dir(common::source_tree().join(dir)) else { continue };
        for entry in list {
            let path = entry.expect("an entry").path();
            let name = Path::new(dir).join(path.file_name().expect("a name"));
            files.insert(name, std::fs::read(&path).expect("read a committed file"));
        }
    }
    files
}

#[test]
fn completions_and_manual_pages_are_current() {
    let (generated, committed) = (generated(), committed());
    if std::env::var_os("SBX_DOCS").is_some_and(|v| v == "write") {
        let top = common::source_tree();
        for path in committed.keys().filter(|path| !generated.contains_key(*path)) {
            std::fs::remove_file(top.join(path))
                .expect("remove a file that is no longer generated");
        }
        for (path, text) in &generated {
            let path = top.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
            std::fs::write(path, text).expect("write a generated file");
        }
        return;
    }
    let stale: Vec<String> = generated
        .iter()
        .filter(|(path, text)| committed.get(*path) != Some(*text))
        .map(|(path, _)| path.display().to_string())
        .chain(
            committed
                .keys()
                .filter(|path| !generated.contains_key(*path))
                .map(|path| format!("{} (no longer generated)", path.display())),
        )
        .collect();
    assert!(stale.is_empty(), "stale, run `make docs`:\n{}", stale.join("\n"));
}
