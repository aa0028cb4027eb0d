//! What a sandbox cannot do, seen from inside.

mod common;

use common::World;

/// The capabilities that podman leaves: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
/// NET_BIND_SERVICE, SYS_CHROOT, SETFCAP; see capabilities(7) for the numbers.
const DEFAULT_CAPS: u64 = 1 << 0
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 18
    | 1 << 31;

fn status(text: &str, field: &str) -> String {
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}

fn caps(text: &str, set: &str) -> u64 {
    u64::from_str_radix(&status(text, set), 16).expect("a hexadecimal set")
}

/// Row S10, and the state that every other row rests on.
#[test]
fn privileges_are_what_the_default_profile_says() {
    let world = World::new();
    let text = world.image_sh(&[], "cat /proc/self/status").ok();
    assert_eq!(status(&text, "NoNewPrivs"), "1");
    assert_eq!(status(&text, "Seccomp"), "2");
    assert_eq!(caps(&text, "CapInh"), 0);
    assert_eq!(caps(&text, "CapAmb"), 0);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(caps(&text, set), DEFAULT_CAPS, "{set}");
    }
}

#[test]
fn capabilities_are_added_and_dropped() {
    let world = World::new();
    let run = |flags: &[&str]| world.image_sh(flags, "cat /proc/self/status").ok();
    let text = run(&["--cap-drop", "ALL", "--cap-add", "chown"]);
    assert_eq!(caps(&text, "CapEff"), 1);
    assert_eq!(caps(&text, "CapBnd"), 1);
    let text = run(&["--cap-add", "CAP_NET_RAW", "--cap-drop", "KILL"]);
    assert_eq!(caps(&text, "CapEff"), (DEFAULT_CAPS | 1 << 13) & !(1 << 5));
    assert_eq!((caps(&text, "CapInh"), caps(&text, "CapAmb")), (0, 0));
    // A user other than root keeps none, as execve(2) would have it.
    let text = run(&["--user", "ana"]);
    assert_eq!(caps(&text, "CapEff"), 0);
    assert_eq!((caps(&text, "CapInh"), caps(&text, "CapAmb")), (0, 0));
}

/// Row K1: a fresh procfs would show what the masks hide.
#[test]
fn file_systems_cannot_be_mounted() {
    let world = World::new();
    let script = "mkdir /tmp/m; mount -t proc proc /tmp/m && echo proc; \
                  mount -t tmpfs none /tmp/m && echo tmpfs; mount --bind /etc /tmp/m && echo bind; \
                  umount /proc && echo umount; mount -o remount,rw /sys && echo remount; echo end";
    assert_eq!(world.image_sh(&[], script).ok(), "end");
}

#[test]
fn kernel_files_are_masked_and_read_only() {
    let world = World::new();
    let script = "
        for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/sysrq-trigger; do
            [ -e $f ] && [ -s $f ] && echo \"$f has content\"
        done
        for d in /proc/acpi /proc/scsi /sys/firmware; do
            [ -d $d ] && [ -n \"$(ls -A $d 2>/dev/null)\" ] && echo \"$d has entries\"
        done
        for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity \
                 /sys/kernel/uevent_helper /proc/sys/vm/drop_caches; do
            [ -e $f ] && (echo 1 >$f) 2>/dev/null && [ $f != /proc/sysrq-trigger ] && echo \"$f was written\"
        done
        cat /proc/keys 2>/dev/null | head -n 1
        grep -q ' /proc/sys proc ro' /proc/mounts || echo '/proc/sys is not a read-only mount'
        grep -q '^sysfs /sys sysfs ro' /proc/mounts || grep -q ' /sys .* ro' /proc/mounts || echo '/sys is writable'
        echo end";
    assert_eq!(world.image_sh(&[], script).ok(), "end");
    assert_eq!(world.host_sh(script).ok(), "end");
}

/// Row S15: CVE-2023-25809.
#[test]
fn control_groups_cannot_be_written() {
    let world = World::new();
    let script = "find /sys/fs/cgroup -type f 2>/dev/null | while read -r f; do \
                  (echo 1 >\"$f\") 2>/dev/null && echo \"$f\"; done; \
                  mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; \
                  awk '$5 == \"/sys/fs/cgroup\" && $6 !~ /^ro/' /proc/self/mountinfo; echo end";
    for flags in [&[][..], &["--userns", "keep-id"], &["--read-only"], &["--network", "host"]] {
        assert_eq!(world.image_sh(flags, script).ok(), "end", "{flags:?}");
    }
    assert_eq!(world.host_sh(script).ok(), "end");
}

#[test]
fn every_namespace_is_a_new_one() {
    let world = World::new();
    let script = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done";
    let inside = world.host_sh(script).ok();
    for link in inside.lines() {
        let name = link.split(':').next().unwrap();
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(link, own.to_str().unwrap());
    }
    assert_eq!(inside.lines().count(), 7);
    assert_eq!(world.host_sh("ls /sys/class/net").ok(), "lo");
}

/// Row K3.
#[test]
fn two_sandboxes_do_not_see_each_other() {
    let world = World::new();
    let mut first = world.host_sh("echo ready; exec sleep 987654").spawn();
    first.until("ready");
    let outside = common::process::descendants(first.pid());
    let script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 98765[4]'; ls /proc | grep -c '^[0-9]'";
    let seen = world.host_sh(script).run().text();
    let mut lines = seen.lines();
    assert_eq!(lines.next(), Some("0"), "{seen}");
    assert!(lines.next().and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n < 10), "{seen}");
    for pid in outside {
        let script =
            format!("kill -0 {pid} 2>/dev/null && echo reached; ls /proc/{pid} 2>/dev/null; true");
        let reached = world.host_sh(&script).ok();
        // The number may exist inside as one of its own few processes.
        assert!(pid < 20 || reached.is_empty(), "process {pid}: {reached}");
    }
    first.signal(nix::sys::signal::Signal::SIGTERM);
    first.wait().expect_code(143);
}

/// Row K5.
#[test]
fn agents_and_session_sockets_are_absent() {
    let world = World::new();
    let script = "env | grep -i -e agent -e dbus -e display -e wayland -e xauth; \
                  ls -A /run /tmp | grep -v -e '^$' -e ':$'; \
                  ls -d /run/user /tmp/.X11-unix /run/dbus /var/run/docker.sock 2>/dev/null; echo end";
    let printed = world
        .host_sh(script)
        .env("SSH_AUTH_SOCK", "/tmp/ssh/agent")
        .env("DISPLAY", ":0")
        .env("WAYLAND_DISPLAY", "wayland-0")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus")
        .ok();
    assert_eq!(printed, "end");
}

/// Attempts that need system calls of their own are made by `sbx-probe`, a static program that prints what
/// it could do as JSON: the name of each attempt with "ok" or the name of an errno.
mod probe {
    use super::common::probe::attempts;
    use super::common::{World, skip};

    /// Row K1: refused by the default profile with EPERM, natively and through `int 0x80`.
    const DENIED: [&str; 18] = [
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "open_by_handle_at",
        "socket AF_ALG",
        "socket AF_VSOCK",
        "personality no-randomize",
        "unshare NEWUSER",
        "clone NEWUSER",
        "setns",
        "umount",
        "TIOCSTI stdin",
        "TIOCLINUX stdin",
    ];

    /// Refused with EPERM with a filter and without: for want of a capability, or by the kind of mount.
    const DENIED_ANYWAY: [&str; 4] = ["pivot_root", "swapon", "reboot", "settimeofday"];

    /// What else answers in another way under the default profile.
    const NATIVE: [(&str, &str); 14] = [
        ("clone3", "ENOSYS"),
        ("init_module", "EPERM"),
        ("open_tree", "EPERM"),
        ("personality read-implies-exec", "EPERM"),
        ("pidfd_getfd", "EPERM"),
        ("socket AF_ALG high bits", "EPERM"),
        ("socket AF_PACKET", "EAFNOSUPPORT"),
        ("socket AF_NETLINK audit", "EINVAL"),
        ("TIOCSTI stdin high bits", "EPERM"),
        ("TIOCSTI tty", "EPERM"),
        ("TIOCSTI tty high bits", "EPERM"),
        ("TIOCLINUX stdin high bits", "EPERM"),
        ("TIOCLINUX tty", "EPERM"),
        ("unknown call", "ENOSYS"),
    ];
    const INT80: [(&str, &str); 6] = [
        ("clone3", "ENOSYS"),
        ("init_module", "EPERM"),
        ("mount", "EPERM"),
        ("socketcall", "ENOSYS"),
        ("vm86", "EPERM"),
        ("unknown call", "ENOSYS"),
    ];

    /// What an entry of the probe must be under the default profile, where that is for the filter to say.
    fn filtered(table: &str, name: &str) -> Option<&'static str> {
        let own: &[(&str, &'static str)] = if table == "native" { &NATIVE } else { &INT80 };
        let own = own.iter().find(|(n, _)| *n == name).map(|(_, answer)| *answer);
        own.or_else(|| DENIED.contains(&name).then_some("EPERM"))
    }

    #[track_caller]
    fn expect(found: &serde_json::Value, table: &str, name: &str, expected: &str) {
        let got = found[table][name].as_str();
        assert_eq!(got, Some(expected), "{table}: {name}");
    }

    /// `tests/profiles/default.txt` has what is asserted here.
    #[test]
    fn the_default_profiles_table_says_the_same() {
        let path = super::common::source_tree().join("tests/profiles/default.txt");
        let table = std::fs::read_to_string(path).expect("the table");
        let has = |section: &str, name: &str, answer: &str| {
            let line = format!("{section}: {name} = {answer}");
            assert!(table.lines().any(|l| l == line), "{line} is not in the table");
        };
        for (section, own) in [("native", &NATIVE[..]), ("int80", &INT80[..])] {
            for name in DENIED.into_iter().chain(DENIED_ANYWAY) {
                has(section, name, "EPERM");
            }
            for (name, answer) in own {
                has(section, name, answer);
            }
        }
    }

    #[test]
    fn the_default_profile_denies_what_is_dangerous() {
        let world = World::new();
        let image = world.image();
        let Some(found) = attempts(&world, &[], &[image]) else { skip!("sbx-probe is not built") };
        // Row K2 is in here too: ENOSYS is what a library must be able to do without.
        for (table, own) in [("native", &NATIVE[..]), ("int80", &INT80[..])] {
            for name in DENIED.into_iter().chain(DENIED_ANYWAY) {
                expect(&found, table, name, "EPERM");
            }
            for (name, answer) in own {
                expect(&found, table, name, answer);
            }
        }
        for name in
            ["getpid", "thread", "clone", "socket AF_INET", "socket AF_UNIX", "ptrace TRACEME"]
        {
            expect(&found, "native", name, "ok");
        }
        for name in ["getpid", "keyctl", "unshare"] {
            expect(&found, "x32", name, "ENOSYS");
        }
        for name in ["mount proc", "mount tmpfs", "mknod null"] {
            expect(&found, "files", name, "EPERM");
        }
        expect(&found, "status", "NoNewPrivs", "1");
        expect(&found, "status", "Seccomp", "2");
    }

    /// The same without a filter, whose refusals those above are. Whatever differs must be in a table.
    #[test]
    fn without_the_filter_the_probe_gets_through() {
        let world = World::new();
        let image = world.image();
        let Some(with) = attempts(&world, &[], &[image]) else { skip!("sbx-probe is not built") };
        let flags = ["--security-opt", "seccomp=unconfined"];
        let found = attempts(&world, &flags, &[image]).expect("the probe, as above");
        for table in ["native", "int80"] {
            for name in DENIED {
                let got = found[table][name].as_str().unwrap_or("missing");
                assert!(!matches!(got, "EPERM" | "missing"), "{table}: {name}: {got}");
            }
            for (name, answer) in with[table].as_object().expect("a table") {
                let answer = answer.as_str();
                if found[table][name].as_str() != answer {
                    assert_eq!(filtered(table, name), answer, "{table}: {name} is in no table");
                }
            }
        }
        expect(&found, "native", "unshare NEWUSER", "ok");
        expect(&found, "status", "Seccomp", "0");
    }

    /// Row S16, with the sandbox's own terminal as the controlling one.
    #[test]
    fn nothing_can_be_typed_into_a_terminal() {
        let world = World::new();
        let image = world.image();
        for flags in
            [&["-t"][..], &["-t", "--init"], &["--security-opt", "no-new-privileges=false"]]
        {
            let Some(found) = attempts(&world, flags, &[image]) else {
                skip!("sbx-probe is not built")
            };
            for name in ["TIOCSTI", "TIOCLINUX"] {
                expect(&found, "native", &format!("{name} stdin"), "EPERM");
                expect(&found, "native", &format!("{name} stdin high bits"), "EPERM");
                expect(&found, "native", &format!("{name} tty"), "EPERM");
                expect(&found, "int80", &format!("{name} stdin"), "EPERM");
            }
        }
    }

    /// Row S10: inheritable and ambient sets are empty whatever is added.
    #[test]
    fn no_capability_is_inheritable() {
        let world = World::new();
        let image = world.image();
        for flags in [
            &[][..],
            &["--cap-add", "NET_RAW"],
            &["--cap-add", "ALL"],
            &["--cap-add", "NET_RAW", "--user", "7"],
        ] {
            let Some(found) = attempts(&world, flags, &[image]) else {
                skip!("sbx-probe is not built")
            };
            for set in ["CapInh", "CapAmb"] {
                expect(&found, "status", set, "0000000000000000");
            }
            if flags.contains(&"--user") {
                expect(&found, "status", "CapEff", "0000000000000000");
            }
        }
    }

    /// Row S15 and the masks, in every mode.
    #[test]
    fn kernel_files_are_out_of_reach_in_every_mode() {
        let world = World::new();
        let image = world.image();
        let root = world.rootfs();
        let root = root.to_str().expect("UTF-8");
        let throw_away = format!("{root}:O");
        for (flags, root) in [
            (&[][..], &[image][..]),
            (&[], &["--host", "--"]),
            (&[], &["--rootfs", root, "--"]),
            (&["--upper", "tmpfs"], &["--rootfs", &throw_away, "--"]),
            (&["--network", "host"], &[image]),
            (&["--userns", "keep-id"], &["--host", "--"]),
        ] {
            let Some(found) = attempts(&world, flags, root) else {
                skip!("sbx-probe is not built")
            };
            for (name, answer) in found["files"].as_object().expect("the table of files") {
                let reached = answer == "ok";
                let harmless = name == "mknod fifo";
                assert!(!reached || harmless, "{name} with {flags:?} in {root:?}");
            }
        }
    }
}

/// Row S7: /dev/console is the sandbox's terminal.
#[test]
fn the_console_is_the_terminal() {
    let world = World::new();
    let script = "test -c /dev/console && stat -c %t /dev/console; stat -c %t $(tty)";
    let printed = world.image_sh(&["-t"], script).ok();
    let majors: Vec<&str> = printed.split_whitespace().collect();
    // Unix98 pseudo-terminals: major 136, 0x88.
    assert_eq!(majors, ["88", "88"]);
}
