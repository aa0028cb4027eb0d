//! The group that is named decides as the program does.

use libseccomp::{ScmpArch, ScmpSyscall};

use super::super::builtin::BUILTINS;
use super::super::trial::{By, Trial};
use super::super::{Profile, interpreter};
use super::exhaustive::interesting;
use super::interpreter::Data;
use super::{CapSet, base_caps, caps};
use crate::host::dirs::Dirs;
use crate::profile::load::builtin_policy;
use crate::profile::policy::{Action, Arch};

fn dirs(root: &std::path::Path) -> Dirs {
    let dir = |name: &str| root.join(name);
    Dirs { data: dir("data"), config: dir("config"), cache: dir("cache"), runtime: dir("runtime") }
}

/// `decide` fails where the two differ.
#[test]
fn slow_rules_and_programs_agree_about_every_call() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let mut groups = 0;
    for builtin in BUILTINS {
        let profile = Profile::load(&[builtin.name.into()], &dirs).unwrap();
        let values = interesting(&builtin_policy(builtin).unwrap());
        for granted in [profile.settings.capabilities, CapSet::EMPTY, CapSet::ALL] {
            let trial = Trial::new(&profile, granted, &dirs).unwrap();
            for (arch, table, audit, base) in [
                (Arch::X86_64, ScmpArch::X8664, interpreter::X86_64, 0),
                (Arch::X86, ScmpArch::X86, interpreter::X86, 0),
                (Arch::X32, ScmpArch::X32, interpreter::X86_64, interpreter::X32_BIT),
            ] {
                for nr in (0..512).map(|n| n | base) {
                    let name = ScmpSyscall::from_raw_syscall(nr).get_name_by_arch(table);
                    let name = name.unwrap_or_default();
                    // Numbers without a call are alike.
                    if name.is_empty() && nr % 64 != 0 {
                        continue;
                    }
                    let mut decide = |args: [u64; 6]| {
                        let data = Data { nr, arch: audit, args };
                        let (_, by) = trial.decide(arch, &name, data).unwrap();
                        groups += usize::from(matches!(by, By::Group { .. }));
                    };
                    decide([0; 6]);
                    let looked_at = ["clone", "socket", "ioctl", "personality"];
                    for value in values.iter().filter(|_| looked_at.contains(&name.as_str())) {
                        for index in 0..3 {
                            let mut args = [16; 6];
                            args[index] = *value;
                            decide(if arch == Arch::X86 {
                                args.map(|a| a & 0xffff_ffff)
                            } else {
                                args
                            });
                        }
                    }
                }
            }
        }
    }
    assert!(groups > 10_000, "{groups}");
}

#[test]
fn the_group_is_named_with_its_file_and_line() {
    let root = tempfile::tempdir().unwrap();
    let dirs = dirs(root.path());
    let path = root.path().join("mine.toml");
    let text = "version = 1\nextends = \"strict\"\n[seccomp]\n[[seccomp.group]]\nname = \"mine\"\n\
                action = \"trap\"\nsyscalls = [\"sync\"]\n";
    std::fs::write(&path, text).unwrap();
    let profile = Profile::load(&[path.into_os_string()], &dirs).unwrap();
    let trial = Trial::new(&profile, base_caps().union(caps("SYS_ADMIN")), &dirs).unwrap();
    let tried = |arch, words: &str| {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        trial.call(arch, &words).unwrap()
    };
    for (words, action, by) in [
        ("sync", "trap", "mine.toml:4)"),
        ("socket AF_UNIX 1", "allow", "group \"socket: AF_UNIX\" (built-in profile strict:"),
        (
            "socket AF_INET 1",
            "errno EAFNOSUPPORT",
            "group \"socket: nothing else\" (built-in profile strict:",
        ),
        ("read", "allow", "group \"@basic-io\" (built-in profile default:"),
        ("mount", "allow", "built-in profile default:"),
        ("clone CLONE_NEWUSER|17", "allow", "built-in profile default:"),
        ("999", "errno ENOSYS", "no group"),
    ] {
        let answer = tried(Arch::X86_64, words);
        assert_eq!(answer.action, action, "{words}");
        assert!(answer.by.to_string().contains(by), "{words}: {}", answer.by);
    }
    // What strict does not list.
    let answer = tried(Arch::X86, "read");
    assert_eq!(
        (answer.number, &answer.action[..], answer.by),
        (3, "errno ENOSYS", By::Architecture)
    );
    let unconfined = Profile::load(&["unconfined".into()], &dirs).unwrap();
    let trial = Trial::new(&unconfined, CapSet::ALL, &dirs).unwrap();
    let answer = trial.call(Arch::X86, &["mount".to_owned()]).unwrap();
    assert_eq!(answer.by, By::NoFilter);
    let default = Profile::load(&[], &dirs).unwrap();
    let trial = Trial::new(&default, base_caps(), &dirs).unwrap();
    let refused = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        trial.call(Arch::X86_64, &words).unwrap_err().to_string()
    };
    assert!(refused(&["opnat"]).contains("`openat`"));
    assert!(refused(&["socket", "AF_INTE"]).contains("AF_INTE"));
    assert!(refused(&["read", "0", "0", "0", "0", "0", "0", "0"]).contains("six"));
    assert!(trial.call(Arch::Aarch64, &["read".to_owned()]).is_err());
    // The program decides, and a rule that says something else is noticed.
    let data = Data { nr: 0, arch: interpreter::X86_64, args: [0; 6] };
    assert_eq!(trial.decide(Arch::X86_64, "read", data).unwrap().0, Action::Allow);
    assert!(trial.decide(Arch::X86_64, "mount", data).is_err());
}
