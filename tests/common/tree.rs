//! File trees: removing them with their files of subordinate ids, and comparing them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// Removes a tree. What belongs to subordinate ids is removed from inside a user namespace.
pub(crate) fn remove(dir: &Path) {
    if std::fs::remove_dir_all(dir).is_ok() {
        return;
    }
    inside_user_namespace("chmod -R u+rwX \"$1\" 2>/dev/null; rm -rf \"$1\"", dir);
    // A failure shows: the test script looks for leftovers.
    let _ = std::fs::remove_dir_all(dir);
}

/// Runs a script as root of a user namespace with the caller's id as 0 and its subordinate ids from 1 on,
/// without the help of sbx.
pub(crate) fn inside_user_namespace(script: &str, dir: &Path) {
    let child = Command::new("unshare")
        .args(["--user", "sh", "-c", "echo; read -r _; exec sh -c \"$0\" sh \"$1\"", script])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return };
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line);
    let pid = child.id().to_string();
    for (helper, file, own) in [
        ("newuidmap", "/etc/subuid", rustix::process::getuid().as_raw()),
        ("newgidmap", "/etc/subgid", rustix::process::getgid().as_raw()),
    ] {
        let mut command = Command::new(helper);
        command.args([pid.as_str(), "0", &own.to_string(), "1"]);
        if let Some((start, len)) = first_range(file) {
            command.args(["1", &start, &len]);
        }
        let _ = command.status();
    }
    let _ = child.stdin.take().expect("a pipe").write_all(b"\n");
    let _ = child.wait();
}

/// The user's first range in `/etc/subuid` or `/etc/subgid`.
pub(crate) fn first_range(file: &str) -> Option<(String, String)> {
    let uid = rustix::process::getuid();
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid.as_raw())).ok()??.name;
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let mine = fields.next()? == user;
        mine.then_some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    })
}

/// Fails with the lines that differ when `dir` is no longer what [`fingerprint`] said.
#[track_caller]
pub(crate) fn assert_same(dir: &Path, before: &str, context: &str) {
    let after = fingerprint(dir);
    let only = |a: &str, b: &str| {
        let b: Vec<&str> = b.lines().collect();
        a.lines().filter(|l| !b.contains(l)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(
        after == before,
        "{} changed {context}\n  gone: {:?}\n  new: {:?}",
        dir.display(),
        only(before, &after),
        only(&after, before)
    );
}

/// A tree in one line per file: type, mode, owner, size and content. Two equal texts are two equal trees.
pub(crate) fn fingerprint(dir: &Path) -> String {
    let mut lines = Vec::new();
    walk(dir, dir, &mut lines);
    lines.sort_unstable();
    lines.join("\n")
}

fn walk(root: &Path, path: &Path, lines: &mut Vec<String>) {
    let meta = std::fs::symlink_metadata(path).expect("look at a file of the tree");
    let kind = meta.file_type();
    let name = path.strip_prefix(root).expect("below the root").display();
    let what = if kind.is_symlink() {
        format!("link {}", std::fs::read_link(path).expect("read a link").display())
    } else if kind.is_file() {
        let content = std::fs::read(path).expect("read a file of the tree");
        format!("file {}", hex(&Sha256::digest(content)))
    } else if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        "other".to_owned()
    };
    let mode = meta.permissions().mode();
    lines.push(format!("{name} {mode:o} {}:{} {what}", meta.uid(), meta.gid()));
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).expect("list a directory of the tree") {
            walk(root, &entry.expect("an entry").path(), lines);
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        use std::fmt::Write as _;
        let _ = write!(out, "{b:02x}");
        out
    })
}
