//! Files that extend others, and files laid over others.

use std::path::Path;

use libseccomp::ScmpSyscall;

use super::super::Profile;
use super::interpreter::{self, Data, Decision, X86_64};
use super::{base_caps, caps};
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;

fn dirs(root: &Path) -> Dirs {
    let dir = |name: &str| root.join(name);
    Dirs { data: dir("data"), config: dir("config"), cache: dir("cache"), runtime: dir("runtime") }
}

/// Writes files that begin with their version, and loads some of them over each other.
fn load(files: &[(&str, &str)], choices: &[&str]) -> (tempfile::TempDir, Result<Profile>) {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(root.path().join(name), format!("version = 1\n{text}")).unwrap();
    }
    let choice = |name: &&str| match files.iter().any(|(file, _)| file == name) {
        true => root.path().join(name).into_os_string(),
        false => name.into(),
    };
    let choices: Vec<_> = choices.iter().map(choice).collect();
    let profile = Profile::load(&choices, &dirs(root.path()));
    (root, profile)
}

fn loaded(files: &[(&str, &str)], choices: &[&str]) -> (tempfile::TempDir, Profile) {
    let (root, profile) = load(files, choices);
    (root, profile.unwrap())
}

fn refused(files: &[(&str, &str)]) -> Error {
    load(files, &[files[0].0]).1.unwrap_err()
}

fn decide(profile: &Profile, root: &Path, call: &str, args: [u64; 6]) -> Decision {
    let filter = profile.filter(base_caps(), &dirs(root)).unwrap();
    let nr = i32::from(ScmpSyscall::from_name(call).unwrap());
    interpreter::run(&filter.program, Data { nr, arch: X86_64, args })
}

#[test]
fn a_chain_of_files_ends_at_the_default() {
    let (_root, profile) = loaded(
        &[
            (
                "top.toml",
                "extends = \"./mid.toml\"\n[capabilities]\nkeep = [\"...\", \"NET_RAW\"]\n",
            ),
            ("mid.toml", "[capabilities]\ndrop = [\"KILL\"]\n[limits]\ncore = 7\n"),
        ],
        &["top.toml"],
    );
    let expected = base_caps().without(caps("KILL")).union(caps("NET_RAW"));
    assert_eq!(profile.settings.capabilities, expected);
    assert_eq!(profile.settings.limits[0].soft, Some(7));
    assert_eq!(profile.name, "top");
}

#[test]
fn lists_are_replaced_or_go_on() {
    let file =
        "[paths]\nmasked = [\"/a\"]\nread-only = [\"...\", \"/b\"]\nunmasked = [\"/proc/sys\"]\n";
    let (_root, profile) = loaded(&[("x.toml", file)], &["x.toml"]);
    assert_eq!(profile.settings.masked, ["/a"]);
    let read_only = &profile.settings.read_only;
    assert!(read_only.contains(&"/b".to_owned()) && read_only.contains(&"/proc/bus".to_owned()));
    assert!(!read_only.contains(&"/proc/sys".to_owned()), "{read_only:?}");
}

#[test]
fn later_profiles_are_laid_over_earlier_ones() {
    let one = ("one.toml", "[process]\ntimeout = \"1s\"\n[env]\nset = { A = \"1\", B = \"1\" }\n");
    let two = ("two.toml", "[process]\ntimeout = \"2s\"\n[env]\nset = { B = \"2\" }\n");
    let settings = |choices: &[&str]| loaded(&[one, two], choices).1.settings;
    let both = settings(&["one.toml", "two.toml"]);
    assert_eq!(both.timeout.as_deref(), Some("2s"));
    let env: Vec<_> = both.env_set.iter().map(|(a, b)| format!("{a}={b}")).collect();
    assert_eq!(env, ["A=1", "B=2"]);
    assert_eq!(settings(&["two.toml", "one.toml"]).timeout.as_deref(), Some("1s"));
    // One that was laid already is not laid again: it would undo what came between.
    assert_eq!(settings(&["one.toml", "default"]).timeout.as_deref(), Some("1s"));
    assert_eq!(loaded(&[one, two], &["one.toml", "unconfined"]).1.name, "one+unconfined");
    assert!(settings(&["one.toml", "unconfined"]).masked.is_empty());
}

#[test]
fn a_cycle_is_named() {
    let a = ("a.toml", "extends = \"./b.toml\"\n");
    let b = ("b.toml", "extends = \"./a.toml\"\n");
    let error = refused(&[a, b]);
    let mut names = error.why.split(" -> ").map(|p| p.rsplit('/').next().unwrap().to_owned());
    assert_eq!(names.by_ref().take(3).collect::<Vec<_>>(), ["a.toml", "b.toml", "a.toml"]);
    assert!(error.fix.is_some());
    let gone = refused(&[("a.toml", "extends = \"./gone.toml\"\n")]);
    assert!(gone.what.contains("gone.toml"), "{gone}");
    let unknown = refused(&[("a.toml", "extends = \"defualt\"\n")]);
    assert!(unknown.to_string().contains("default"), "{unknown}");
}

const OVER: &str = "[[seccomp.group]]\nname = \"no pipes\"\naction = \"errno\"\nerrno = \"EACCES\"\n\
    syscalls = [\"pipe2\", \"@keyring\"]\n\
    [[seccomp.group]]\nname = \"one clone flag more\"\naction = \"allow\"\n\
    args = [{ index = 0, mask = 0x10000000, op = \"eq\", value = 0x10000000 }]\nsyscalls = [\"clone\"]\n";

#[test]
fn groups_are_laid_over_the_filter_that_is_extended() {
    let (root, profile) = loaded(&[("x.toml", &format!("[seccomp]\n{OVER}"))], &["x.toml"]);
    let decide = |call, args| decide(&profile, root.path(), call, args);
    assert_eq!(decide("pipe2", [0; 6]), Decision::Errno(13));
    assert_eq!(decide("keyctl", [0; 6]), Decision::Errno(13), "a set of the default's");
    assert_eq!(decide("read", [0; 6]), Decision::Allow);
    assert_eq!(decide("clone", [0x1000_0000, 0, 0, 0, 0, 0]), Decision::Allow);
    assert_eq!(decide("clone", [0x2000_0000, 0, 0, 0, 0, 0]), Decision::Errno(1));
    assert_eq!(decide("clone", [0; 6]), Decision::Allow);
    assert_eq!(decide("mount", [0; 6]), Decision::Errno(1));
}

#[test]
fn a_filter_with_a_default_takes_the_others_place() {
    let own = format!(
        "[seccomp]\ndefault = \"errno\"\ndefault-errno = \"EPERM\"\narchitectures = [\"x86_64\", \"aarch64\"]\n{OVER}"
    );
    let (root, profile) = loaded(&[("x.toml", &own)], &["x.toml"]);
    assert_eq!(decide(&profile, root.path(), "read", [0; 6]), Decision::Errno(1));
    assert_eq!(decide(&profile, root.path(), "pipe2", [0; 6]), Decision::Errno(13));
    // A default alone would leave the architectures open.
    let bare = refused(&[("x.toml", "[seccomp]\ndefault = \"allow\"\n")]);
    assert!(bare.why.contains("architectures"), "{bare}");
}

#[test]
fn the_cached_filter_is_that_of_the_whole_chain() {
    let x = "extends = \"./low.toml\"\n[seccomp]\n";
    let low = |call: &str| {
        format!(
            "version = 1\n[seccomp]\n[[seccomp.group]]\nname = \"n\"\naction = \"kill\"\nsyscalls = [\"{call}\"]\n"
        )
    };
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("x.toml"), format!("version = 1\n{x}")).unwrap();
    let load = || Profile::load(&[root.path().join("x.toml").into()], &dirs(root.path())).unwrap();
    for call in ["pipe2", "dup3"] {
        std::fs::write(root.path().join("low.toml"), low(call)).unwrap();
        for known in ["pipe2", "dup3"] {
            let killed = decide(&load(), root.path(), known, [0; 6]) == Decision::Kill;
            assert_eq!(killed, known == call);
        }
    }
}

#[test]
fn sets_are_known_by_name() {
    let error = refused(&[(
        "x.toml",
        "[seccomp]\n[[seccomp.group]]\nname = \"x\"\naction = \"kill\"\nsyscalls = [\"@netwrok\"]\n",
    )]);
    assert_eq!(error.fix.as_deref(), Some("did you mean `@network`?"));
    let page = include_str!("../../../docs/profiles.md");
    for (name, _) in super::super::builtin::SETS {
        assert!(page.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
