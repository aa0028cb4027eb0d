//! Finding, reading and refusing profiles.

use std::ffi::OsStr;
use std::path::Path;

use super::super::Profile;
use super::{Builtin, CapSet, caps};
use crate::error::Error;
use crate::host::dirs::Dirs;
use crate::profile::rlimit::{Resource, Rlimit};

fn dirs(root: &Path) -> Dirs {
    let dir = |name: &str| root.join(name);
    Dirs { data: dir("data"), config: dir("config"), cache: dir("cache"), runtime: dir("runtime") }
}

fn write(root: &Path, text: &str) -> std::path::PathBuf {
    let path = root.join("mine.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn refuse(text: &str) -> Error {
    let root = tempfile::tempdir().unwrap();
    let path = write(root.path(), text);
    Profile::load(&[path.as_os_str().into()], &dirs(root.path())).unwrap_err()
}

#[test]
fn the_default_is_podmans_set_and_leaves_no_core() {
    let root = tempfile::tempdir().unwrap();
    let profile = Profile::load(&[], &dirs(root.path())).unwrap();
    let eleven = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID \
                  SYS_CHROOT";
    assert_eq!(profile.settings.capabilities, caps(eleven));
    assert_eq!(
        profile.settings.limits,
        [Rlimit { kind: Resource::Core, soft: Some(0), hard: Some(0) }]
    );
    assert!(profile.settings.no_new_privileges);
    assert_eq!(profile.name, "default");
    assert!(profile.settings.masked.iter().any(|p| p == "/proc/kcore"));
    assert!(profile.settings.read_only.iter().any(|p| p == "/proc/sys"));
    let filter = profile.filter(profile.settings.capabilities, &dirs(root.path())).unwrap();
    assert!(!filter.allows_keyctl && !filter.program.is_empty());
    assert!(!root.path().join("cache").exists(), "a built-in filter touches no file");
}

#[test]
fn unconfined_has_no_filter() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let profile = Profile::load(&[OsStr::new("unconfined").into()], &dirs).unwrap();
    assert_eq!(profile.settings.capabilities, CapSet::ALL);
    assert!(profile.settings.masked.is_empty() && !profile.settings.no_new_privileges);
    let filter = profile.filter(CapSet::ALL, &dirs).unwrap();
    assert!(filter.program.is_empty() && filter.allows_keyctl);
    let default = Profile::load(&[], &dirs).unwrap();
    let bare = default.with_seccomp(OsStr::new("unconfined"), &dirs).unwrap();
    assert!(bare.filter(CapSet::EMPTY, &dirs).unwrap().program.is_empty());
    assert!(bare.settings.no_new_privileges, "only the filter goes");
}

#[test]
fn what_a_file_leaves_out_is_the_defaults() {
    let root = tempfile::tempdir().unwrap();
    let text = "version = 1\n[limits]\nnofile = { soft = 10, hard = \"unlimited\" }\n";
    let path = write(root.path(), text);
    let profile = Profile::load(&[path.as_os_str().into()], &dirs(root.path())).unwrap();
    assert_eq!(profile.name, "mine");
    assert_eq!(profile.settings.capabilities, (Builtin::base().settings)().capabilities);
    assert!(profile.settings.limits.contains(&Rlimit {
        kind: Resource::Core,
        soft: Some(0),
        hard: Some(0)
    }));
    assert!(profile.settings.limits.contains(&Rlimit {
        kind: Resource::Nofile,
        soft: Some(10),
        hard: None
    }));
    let filter = profile.filter(profile.settings.capabilities, &dirs(root.path())).unwrap();
    assert!(matches!(filter.program, std::borrow::Cow::Borrowed(_)), "the built-in filter");
}

#[test]
fn a_custom_filter_is_compiled_once() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let text = "version = 1\n[seccomp]\ndefault = \"allow\"\narchitectures = [\"x86_64\", \"aarch64\"]\n\
                [[seccomp.group]]\nname = \"a\"\naction = \"kill\"\nsyscalls = [\"swapon\"]\n";
    let path = write(root.path(), text);
    let load = || Profile::load(&[path.as_os_str().into()], &dirs).unwrap();
    let first = load().filter(CapSet::EMPTY, &dirs).unwrap();
    assert!(first.allows_keyctl);
    let entries = || {
        let mut paths: Vec<_> = std::fs::read_dir(dirs.cache.join("seccomp"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    let [entry] = entries().try_into().unwrap();
    let stamp = std::fs::metadata(&entry).unwrap().modified().unwrap();
    // Irrelevant capabilities need no second filter.
    assert_eq!(load().filter(CapSet::ALL, &dirs).unwrap(), first);
    assert_eq!(std::fs::metadata(&entry).unwrap().modified().unwrap(), stamp, "read, not written");
    std::fs::write(&entry, b"junk").unwrap();
    assert_eq!(load().filter(CapSet::EMPTY, &dirs).unwrap(), first);
    assert!(std::fs::metadata(&entry).unwrap().len() > 8, "mended");
    write(root.path(), &text.replace("swapon", "swapoff"));
    assert_ne!(load().filter(CapSet::EMPTY, &dirs).unwrap().program, first.program);
    assert_eq!(entries().len(), 2);
}

#[test]
fn a_capability_without_a_built_in_filter_is_cached_too() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let profile = Profile::load(&[], &dirs).unwrap();
    let granted = profile.settings.capabilities.union(caps("SYS_TIME"));
    let first = profile.filter(granted, &dirs).unwrap();
    assert_eq!(std::fs::read_dir(dirs.cache.join("seccomp")).unwrap().count(), 1);
    assert_eq!(profile.filter(granted, &dirs).unwrap(), first);
    assert_ne!(
        profile.filter(profile.settings.capabilities, &dirs).unwrap().program,
        first.program
    );
}

#[test]
fn names_are_looked_up_among_the_users_profiles() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let profiles = dirs.config.join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("build.toml"), "version = 1\n").unwrap();
    std::fs::write(profiles.join("default.toml"), "version = 7\n").unwrap();
    let load = |name: &str| Profile::load(&[OsStr::new(name).into()], &dirs);
    assert_eq!(load("build").unwrap().name, "build");
    assert!(load("default").unwrap().settings.no_new_privileges, "not shadowed");
    let error = load("biuld").unwrap_err();
    assert_eq!(error.fix.as_deref(), Some("--profile build"));
    assert!(load("").is_err());
    assert!(load("..").is_err());
    assert!(load("--x").is_err());
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let seccomp = "version = 1\n[seccomp]\ndefault = \"errno\"\ndefault-errno = \"EPERM\"\n\
                   architectures = [\"x86_64\"]\n";
    let group = |body: &str| format!("{seccomp}[[seccomp.group]]\nname = \"g\"\n{body}\n");
    let cases: &[(String, &str, &str, Option<&str>)] = &[
        (
            "version = 1\n[capabilites]\n".into(),
            "line 2, column 2",
            "capabilites",
            Some("capabilities"),
        ),
        (
            "version = 1\n[paths]\nmaskd = []\n".into(),
            "line 3, column 1",
            "expected",
            Some("masked"),
        ),
        ("version = 2\n".into(), "line 1, column 11", "expected 1", None),
        ("[paths]\n".into(), "line 1", "version", None),
        ("version = 1\n[paths\n".into(), "line 2", "", None),
        ("version = 1\nversion = 1\n".into(), "line 2", "duplicate", None),
        (
            "version = 1\n[capabilities]\nkeep = [\n  \"NET_RWA\",\n]\n".into(),
            "line 4, column 3",
            "key capabilities.keep: unknown capability `NET_RWA`",
            Some("NET_RAW"),
        ),
        (
            "version = 1\n[limits]\ncoer = 0\n".into(),
            "line 3, column 1",
            "key limits.coer",
            Some("core"),
        ),
        (
            "version = 1\n[limits]\ncore = -1\n".into(),
            "line 3, column 8",
            "expected a number",
            None,
        ),
        ("version = 1\n[limits]\ncore = { soft = 2, hard = 1 }\n".into(), "line 3", "above", None),
        ("version = 1\n[limits]\ncore = { soft = 2 }\n".into(), "line 3", "`hard`", None),
        (
            "version = 1\n[paths]\nmasked = [\"proc\"]\n".into(),
            "line 3, column 11",
            "absolute",
            None,
        ),
        (
            "version = 1\n[process]\nno-new-privileges = 1\n".into(),
            "line 3, column 21",
            "expected a boolean",
            None,
        ),
        (
            group("action = \"allow\"\nsyscalls = [\"read\", \"opneat\"]"),
            "line 9, column 21",
            "key seccomp.group.syscalls: unknown system call `opneat`",
            Some("openat"),
        ),
        (
            group("action = \"alow\"\nsyscalls = []"),
            "line 8, column 10",
            "expected one of",
            Some("allow"),
        ),
        (group("action = \"errno\"\nsyscalls = []"), "line 8, column 10", "needs an error", None),
        (
            group("action = \"errno\"\nerrno = \"EPREM\"\nsyscalls = []"),
            "line 9, column 9",
            "unknown error `EPREM`",
            Some("EPERM"),
        ),
        (group("action = \"allow\"\nerrno = \"EPERM\"\nsyscalls = []"), "line 9", "only by", None),
        (
            group(
                "action = \"allow\"\nsyscalls = [\"read\"]\nargs = [{ index = 6, op = \"eq\", value = 1 }]",
            ),
            "line 10",
            "index is 0 to 5",
            None,
        ),
        (
            group(
                "action = \"allow\"\nsyscalls = [\"read\"]\nargs = [{ index = 0, op = \"eq\", value = 4, mask = 3 }]",
            ),
            "line 10",
            "outside mask",
            None,
        ),
        (
            group(
                "action = \"allow\"\nsyscalls = [\"read\"]\nargs = [{ index = 0, op = \"eq\", value = \"x\" }]",
            ),
            "line 10",
            "expected a number",
            None,
        ),
        (
            group(
                "action = \"allow\"\nsyscalls = [\"read\"]\nargs = [{ index = 0, op = \"lt\", value = [1, 2] }]",
            ),
            "line 10",
            "several values",
            None,
        ),
    ];
    for (text, place, message, hint) in cases {
        let error = refuse(text);
        let shown = error.to_string();
        assert!(error.what.contains(place), "{text}\n{shown}");
        assert!(shown.contains(message), "{text}\n{shown}");
        let expected = hint.map(|word| format!("did you mean `{word}`?"));
        assert_eq!(error.fix, expected, "{text}\n{shown}");
    }
}

#[test]
fn contradicting_groups_are_both_named() {
    let text = "version = 1\n[seccomp]\ndefault = \"allow\"\narchitectures = [\"x86_64\", \"aarch64\"]\n\
                [[seccomp.group]]\nname = \"a\"\naction = \"allow\"\nsyscalls = [\"read\"]\n\
                [[seccomp.group]]\nname = \"b\"\naction = \"kill\"\nsyscalls = [\"read\"]\n";
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let path = write(root.path(), text);
    let profile = Profile::load(&[path.as_os_str().into()], &dirs).unwrap();
    let shown = profile.filter(CapSet::EMPTY, &dirs).unwrap_err().to_string();
    let at = |name, line| format!("\"{name}\" ({}:{line})", path.display());
    assert!(shown.contains(&at("a", 5)) && shown.contains(&at("b", 9)), "{shown}");
    assert!(shown.contains("about read"), "{shown}");
}

#[test]
fn a_filter_needs_this_machines_architecture() {
    let text = "version = 1\n[seccomp]\ndefault = \"kill\"\narchitectures = [\"x86\", \"arm\"]\n";
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let path = write(root.path(), text);
    let profile = Profile::load(&[path.as_os_str().into()], &dirs).unwrap();
    let shown = profile.filter(CapSet::EMPTY, &dirs).unwrap_err().to_string();
    assert!(shown.contains("seccomp.architectures"), "{shown}");
}

#[test]
fn files_that_are_no_profile_are_refused_by_name() {
    assert!(refuse("{ \"defaultAction\": \"SCMP_ACT_ERRNO\" }").to_string().contains("in JSON"));
    let root = tempfile::tempdir().unwrap();
    let load =
        |path: &Path| Profile::load(&[path.as_os_str().into()], &dirs(root.path())).unwrap_err();
    let missing = load(&root.path().join("none.toml")).to_string();
    assert!(missing.contains("none.toml") && missing.contains("no such file"), "{missing}");
    let fifo = root.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(load(&fifo).to_string().contains("not a regular file"));
    let large = root.path().join("large.toml");
    std::fs::write(&large, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load(&large).to_string().contains("larger than"));
    let default = Profile::load(&[], &dirs(root.path())).unwrap();
    let path = write(root.path(), "version = 1\n");
    let error = default.with_seccomp(path.as_os_str(), &dirs(root.path())).unwrap_err();
    assert!(error.to_string().contains("no [seccomp] section"));
}
