//! Filters in JSON: read, converted to TOML and back, and compiled.

use super::super::convert::{Format, convert};
use super::super::{FilterDocument, json, parse};
use super::compare::theirs_text;
use super::interpreter::{self, Data, Decision, X86_64};
use super::{CapSet, Policy, base_caps, caps, compile};
use crate::profile::compile::Failure;
use crate::profile::policy::relevant;

/// All that the formats can say.
const EVERYTHING: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 41,
  "archMap": [
    { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { "architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null }
  ],
  "flags": ["SECCOMP_FILTER_FLAG_TSYNC"],
  "syscalls": [
    { "names": ["read", "a_call_of_the_future", "write"], "action": "SCMP_ACT_ALLOW", "args": null },
    { "name": "close", "action": "SCMP_ACT_ALLOW", "comment": "with \"quotes\" and a \\ and\na line" },
    { "names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8" } },
    { "names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "excludes": { "minKernel": "4.8" } },
    { "names": ["clone"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ" }],
      "excludes": { "caps": ["CAP_SYS_ADMIN"], "arches": ["s390", "s390x"] } },
    { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
    { "names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["amd64", "x32"] } },
    { "names": ["cacheflush"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["arm64"] } },
    { "names": ["lseek"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 1, "value": 18446744073709551615, "op": "SCMP_CMP_NE" },
               { "index": 2, "value": 2, "valueTwo": 0, "op": "SCMP_CMP_LE" }] },
    { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_EQ" },
               { "index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_EQ" }] },
    { "names": ["sync"], "action": "SCMP_ACT_LOG" },
    { "names": ["acct"], "action": "SCMP_ACT_TRAP" },
    { "names": ["swapon"], "action": "SCMP_ACT_KILL" },
    { "names": ["swapoff"], "action": "SCMP_ACT_KILL_THREAD" },
    { "names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS" },
    { "names": ["sethostname"], "action": "SCMP_ACT_ERRNO" }
  ]
}"#;

fn read(text: &str) -> FilterDocument {
    json::filter(text, "a.json").unwrap()
}

/// Without what says where it was read.
fn bare(mut filter: FilterDocument) -> FilterDocument {
    for rule in &mut filter.rules {
        rule.place.clear();
        // The format is a set here: what is unknown stands at the end.
        rule.syscalls.sort();
        rule.unknown.sort();
    }
    filter
}

fn converted(text: &str, name: &str, to: Option<Format>) -> String {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(name);
    std::fs::write(&path, text).unwrap();
    convert(&path, to).unwrap().text
}

fn toml(text: &str) -> FilterDocument {
    parse::document(text, "a.toml", super::super::builtin::SETS).unwrap().seccomp.unwrap()
}

/// There and back, and what both say about every set of capabilities that matters.
fn survives(text: &str) {
    let first = read(text);
    let as_toml = converted(text, "a.json", None);
    assert_eq!(bare(toml(&as_toml)), bare(first.clone()), "{as_toml}");
    let back = converted(&as_toml, "a.toml", None);
    assert_eq!(bare(read(&back)), bare(first.clone()), "{back}");
    let mut sets = vec![CapSet::EMPTY, base_caps(), CapSet::ALL];
    sets.extend(relevant(&first.rules).names().map(|name| base_caps().union(caps(name))));
    for granted in sets {
        let one = compile(&first.over(Policy::nothing()), granted).unwrap();
        let two = compile(&toml(&as_toml).over(Policy::nothing()), granted).unwrap();
        assert_eq!(one, two, "{granted:?}");
        assert!(!one.program.is_empty());
    }
}

#[test]
fn everything_survives_both_ways() {
    survives(EVERYTHING);
    let as_toml = converted(EVERYTHING, "a.json", None);
    for text in [
        "optional-syscalls = [\"a_call_of_the_future\"]",
        "min-kernel = \"4.8\"",
        "below-kernel = \"4.8\"",
        "match = \"any\"",
        "value = \"0xffffffffffffffff\"",
        "when-architecture = [\"x86_64\", \"x32\"]",
        "default-errno = 41",
        "action = \"kill-thread\"",
        "riscv64 = []",
        "name = \"with \\\"quotes\\\" and a \\\\ and\\u000Aa line\"",
    ] {
        assert!(as_toml.contains(text), "{text} in\n{as_toml}");
    }
}

#[test]
fn slow_podmans_file_survives_both_ways() {
    let Some(text) = theirs_text() else { return };
    survives(&text);
}

/// What no filter can be made of is kept all the same.
#[test]
fn notifications_and_traces_are_converted_and_not_carried_out() {
    let text = |action: &str, rest: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {{"names": ["mount"], "action": "{action}", "comment": "asks"}}] {rest} }}"#
        )
    };
    for action in ["SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE"] {
        let text = text(action, r#", "listenerPath": "/run/x", "listenerMetadata": "m""#);
        let first = read(&text);
        let as_toml = converted(&text, "a.json", None);
        assert_eq!(bare(toml(&as_toml)), bare(first.clone()));
        assert_eq!(
            bare(read(&converted(&as_toml, "a.toml", Some(Format::Oci)))).rules[0].action,
            first.rules[0].action
        );
        let failure = compile(&first.over(Policy::nothing()), CapSet::EMPTY).unwrap_err();
        assert!(matches!(failure, Failure::NoSuchAction(..)));
        assert!(failure.to_string().contains("\"asks\" (a.json:2)"), "{failure}");
        assert!(first.refused().unwrap().0.contains("listener-path"));
    }
    let flag = read(&text("SCMP_ACT_KILL", r#", "flags": ["SECCOMP_FILTER_FLAG_LOG"]"#));
    assert!(flag.refused().unwrap().1.contains("SECCOMP_FILTER_FLAG_LOG"));
}

fn decide(filter: &FilterDocument, call: &str, args: [u64; 6]) -> Decision {
    let compiled = compile(&filter.over(Policy::nothing()), CapSet::EMPTY).unwrap();
    let nr = i32::from(libseccomp::ScmpSyscall::from_name(call).unwrap());
    interpreter::run(&compiled.program, Data { nr, arch: X86_64, args })
}

#[test]
fn groups_mean_what_runtimes_make_of_them() {
    let filter = read(EVERYTHING);
    let first = |n: u64| [n, 0, 0, 0, 0, 0];
    for (call, args, expected) in [
        ("read", first(0), Decision::Allow),
        ("ptrace", first(0), Decision::Allow),
        ("clone", first(0x11), Decision::Allow),
        ("clone", first(0x1000_0011), Decision::Errno(41)),
        ("personality", first(u64::MAX), Decision::Allow),
        ("personality", first(0), Decision::Allow),
        ("personality", first(1), Decision::Errno(41)),
        ("lseek", [0, 5, 2, 0, 0, 0], Decision::Allow),
        ("lseek", [0, 5, 3, 0, 0, 0], Decision::Errno(41)),
        ("lseek", [0, u64::MAX, 2, 0, 0, 0], Decision::Errno(41)),
        ("acct", first(0), Decision::Trap),
        ("swapon", first(0), Decision::KillThread),
        ("swapoff", first(0), Decision::KillThread),
        ("reboot", first(0), Decision::Kill),
        ("sync", first(0), Decision::Log),
        ("sethostname", first(0), Decision::Errno(1)),
        ("mount", first(0), Decision::Errno(41)),
    ] {
        assert_eq!(decide(&filter, call, args), expected, "{call} {args:x?}");
    }
}

/// As libseccomp: a group without arguments goes before those with them, and of two the first.
#[test]
fn contradictions_end_as_in_libseccomp() {
    let group = |action: &str, args: &str| {
        format!(r#"{{"names": ["personality"], "action": "{action}", "args": [{args}]}}"#)
    };
    let one = r#"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#;
    let text = |groups: &[String]| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [{}]}}"#,
            groups.join(",")
        )
    };
    let args = [1, 0, 0, 0, 0, 0];
    let all =
        [group("SCMP_ACT_LOG", one), group("SCMP_ACT_ERRNO", ""), group("SCMP_ACT_ALLOW", "")];
    assert_eq!(decide(&read(&text(&all)), "personality", args), Decision::Errno(1));
    survives(&text(&all));
    // Runtimes leave out what says nothing but the default.
    let idle = [group("SCMP_ACT_KILL_PROCESS", ""), group("SCMP_ACT_LOG", one)];
    assert_eq!(decide(&read(&text(&idle)), "personality", args), Decision::Log);
}

#[test]
fn a_call_that_libseccomp_does_not_know_is_never_let_through_unseen() {
    let text = |default: &str, action: &str| {
        format!(
            r#"{{"defaultAction": "{default}", "syscalls": [
                {{"names": ["of_the_future", "read"], "action": "{action}"}}]}}"#
        )
    };
    let compile = |text: String| compile(&read(&text).over(Policy::nothing()), CapSet::EMPTY);
    assert!(compile(text("SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW")).is_ok());
    assert!(compile(text("SCMP_ACT_KILL", "SCMP_ACT_ERRNO")).is_ok());
    let failure = compile(text("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO")).unwrap_err().to_string();
    assert!(failure.contains("of_the_future"), "{failure}");
}

#[test]
fn a_runtimes_configuration_holds_a_filter_too() {
    let text = r#"{"ociVersion": "1.0.2", "linux": {"namespaces": [], "seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}}}"#;
    let as_toml = converted(text, "config.json", None);
    assert!(as_toml.contains("architectures = [\"x86\", \"native\"]"), "{as_toml}");
    let back = converted(&as_toml, "a.toml", Some(Format::Oci));
    assert_eq!(bare(read(&back)), bare(read(text)));
    assert_eq!(decide(&read(text), "swapon", [0; 6]), Decision::Errno(1));
}

/// Groups in TOML that JSON has other words for, or several.
#[test]
fn toml_becomes_json_that_means_the_same() {
    let text = "version = 1\n[seccomp]\ndefault = \"kill\"\narchitectures = [\"native\"]\n\
        [[seccomp.group]]\nname = \"@two\"\naction = \"allow\"\nsyscalls = [\"socket\"]\n\
        args = [{ index = 0, op = \"eq\", value = [1, 2] }, { index = 2, op = \"eq\", value = [0, 6] }]\n\
        [[seccomp.group]]\nname = \"either\"\naction = \"allow\"\nsyscalls = [\"ioctl\"]\nmatch = \"any\"\n\
        args = [{ index = 0, op = \"gt\", value = 5 }, { index = 1, mask = 0xff, op = \"eq\", value = 7 }]\n\
        [[seccomp.group]]\nname = \"basic\"\naction = \"allow\"\nsyscalls = [\"@basic-io\"]\n";
    let (own, json) = (toml(text), read(&converted(text, "a.toml", None)));
    assert_eq!(json.rules.len(), 4 + 2 + 1);
    for call in ["socket", "ioctl", "read"] {
        for a in [0, 1, 2, 3, 6] {
            for b in [0, 6, 7, 0x107] {
                let args = [a, b, b, 0, 0, 0];
                assert_eq!(decide(&own, call, args), decide(&json, call, args), "{call} {args:x?}");
            }
        }
    }
}

#[test]
fn what_json_cannot_say_is_refused_by_name() {
    let refused = |groups: &str, to| {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.toml");
        let text = format!("version = 1\n[seccomp]\n{groups}");
        std::fs::write(&path, text).unwrap();
        convert(&path, to).err().unwrap().to_string()
    };
    let head = "default = \"kill\"\narchitectures = [\"native\"]\n";
    let group = |name: &str, rest: &str| {
        format!("[[seccomp.group]]\nname = \"{name}\"\nsyscalls = [\"ioctl\"]\n{rest}\n")
    };
    let one = group("one", "action = \"allow\"\nargs = [{ index = 1, op = \"eq\", value = 1 }]");
    let rest = group("rest", "action = \"log\"");
    let said = refused(&format!("{head}{one}{rest}"), None);
    assert!(
        said.contains("\"one\"") && said.contains("\"rest\"") && said.contains("ioctl"),
        "{said}"
    );
    let masked =
        group("m", "action = \"allow\"\nargs = [{ index = 1, mask = 3, op = \"ne\", value = 1 }]");
    assert!(refused(&format!("{head}{masked}"), None).contains("arg1 & 0x3 != 0x1"));
    let caps = group("c", "action = \"allow\"\nwhen-capability = [\"KILL\"]");
    let said = refused(&format!("{head}{caps}"), Some(Format::Oci));
    assert!(said.contains("\"c\"") && said.contains("--to docker"), "{said}");
    assert!(refused(&one, None).contains("only a whole one"));
}

#[test]
fn what_is_wrong_with_a_filter_in_json_is_said_with_its_place() {
    let group = |rest: &str| {
        format!("{{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [{{}},\n {{\"names\": [\"read\"], {rest}}}]}}")
            .replace("{},", "{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"},")
    };
    for (text, line, message) in [
        (group("\"action\": \"SCMP_ACT_MAYBE\""), 3, "SCMP_ACT_MAYBE"),
        (group("\"action\": \"SCMP_ACT_ALLOW\", \"errnoRet\": 1"), 3, "returns no error"),
        (
            group("\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 2, \"errno\": \"EPERM\""),
            3,
            "two errors",
        ),
        (
            group("\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": [\"CAP_X\"]}"),
            3,
            "CAP_X",
        ),
        (
            group("\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"new\"}"),
            3,
            "\"new\"",
        ),
        (group("\"action\": \"SCMP_ACT_ALLOW\", \"wen\": {}"), 3, "unknown field `wen`"),
        ("{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n }".into(), 2, "trailing comma"),
        ("{\"defaultAction\": \"\"}".into(), 1, "unknown action"),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_PDP11\"]}"
                .into(),
            1,
            "SCMP_ARCH_PDP11",
        ),
    ] {
        let problem = json::filter(&text, "a.json").unwrap_err();
        assert_eq!(problem.line, line, "{text}: {problem:?}");
        assert!(problem.message.contains(message), "{text}: {problem:?}");
    }
}

#[test]
fn the_kernel_and_the_imported_bytes_are_in_the_cached_filters_key() {
    use crate::host::dirs::Dirs;
    use crate::profile::Profile;
    let root = tempfile::tempdir().unwrap();
    let dir = |name: &str| root.path().join(name);
    let dirs = Dirs {
        data: dir("data"),
        config: dir("config"),
        cache: dir("cache"),
        runtime: dir("runtime"),
    };
    let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
    write(
        "mine.toml",
        "version = 1\n[seccomp]\nimport = \"a.json\"\n[[seccomp.group]]\nname = \"more\"\n\
                        action = \"errno\"\nerrno = \"EIO\"\nsyscalls = [\"sync\"]\n",
    );
    let filter = || {
        let profile =
            Profile::load(&[root.path().join("mine.toml").into_os_string()], &dirs).unwrap();
        profile.filter(CapSet::EMPTY, &dirs).unwrap().program.into_owned()
    };
    let decide = |program: &[u8], call: &str| {
        let nr = i32::from(libseccomp::ScmpSyscall::from_name(call).unwrap());
        interpreter::run(program, Data { nr, arch: X86_64, args: [0; 6] })
    };
    write("a.json", EVERYTHING);
    let one = filter();
    assert_eq!(decide(&one, "sync"), Decision::Errno(5), "laid over the import");
    assert_eq!(decide(&one, "mount"), Decision::Errno(41), "not the default profile's");
    write("a.json", &EVERYTHING.replace("\"acct\"", "\"mount\""));
    assert_eq!(decide(&filter(), "mount"), Decision::Trap);
    let error = |text: &str| {
        write("mine.toml", text);
        Profile::load(&[root.path().join("mine.toml").into_os_string()], &dirs)
            .unwrap_err()
            .to_string()
    };
    let said = error("version = 1\n[seccomp]\nimport = \"none.json\"\n");
    assert!(said.contains("mine.toml") && said.contains("none.json"), "{said}");
    assert!(error("version = 1\n[seccomp]\nimport = \"mine.toml\"\n").contains("not JSON"));
    let both = "version = 1\n[seccomp]\nimport = \"a.json\"\ndefault = \"kill\"\narchitectures = [\"native\"]\n";
    assert!(error(both).contains("over no `import`"));
}
