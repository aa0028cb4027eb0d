//! The default filter, call by call.

use libseccomp::{ScmpArch, ScmpSyscall};

use super::interpreter::{Data, Decision, X32_BIT, X86, X86_64};
use super::{Builtin, CapSet, base_caps, caps, compile, default_policy, interpreter};
use Decision::{Allow, Errno};

const EPERM: Decision = Errno(1);
const EINVAL: Decision = Errno(22);
const ENOSYS: Decision = Errno(38);
const EAFNOSUPPORT: Decision = Errno(97);
const HIGH: u64 = 1 << 32;

/// The program that a start would install.
fn shipped() -> &'static [u8] {
    let base = Builtin::base();
    base.filter(base_caps()).unwrap().program
}

fn decide(program: &[u8], table: ScmpArch, name: &str, args: &[u64]) -> Decision {
    // By number: for 32-bit socket calls libseccomp answers with numbers of its own.
    let called = |nr: &i32| {
        ScmpSyscall::from_raw_syscall(*nr).get_name_by_arch(table).is_ok_and(|n| n == name)
    };
    let nr = (0..1100).find(called).expect(name);
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let arch = if table == ScmpArch::X86 { X86 } else { X86_64 };
    interpreter::run(program, Data { nr, arch, args: all })
}

fn table(arch: ScmpArch, rows: &[(&str, &[u64], Decision)]) {
    for (name, args, expected) in rows {
        let got = decide(shipped(), arch, name, args);
        assert_eq!(got, *expected, "{arch:?} {name} {args:x?}");
    }
}

#[test]
fn native_calls() {
    table(
        ScmpArch::X8664,
        &[
            ("read", &[], Allow),
            ("openat", &[], Allow),
            ("execve", &[], Allow),
            ("futex", &[], Allow),
            ("exit_group", &[], Allow),
            ("mmap", &[], Allow),
            ("chroot", &[], Allow),
            ("ptrace", &[], Allow),
            ("process_vm_readv", &[], Allow),
            ("seccomp", &[], Allow),
            ("mknod", &[], Allow),
            ("name_to_handle_at", &[], Allow),
            ("bpf", &[], EPERM),
            ("perf_event_open", &[], EPERM),
            ("userfaultfd", &[], EPERM),
            ("io_uring_setup", &[], EPERM),
            ("io_uring_enter", &[], EPERM),
            ("io_uring_register", &[], EPERM),
            ("keyctl", &[], EPERM),
            ("add_key", &[], EPERM),
            ("request_key", &[], EPERM),
            ("kexec_load", &[], EPERM),
            ("kexec_file_load", &[], EPERM),
            ("open_by_handle_at", &[], EPERM),
            ("unshare", &[0], EPERM),
            ("unshare", &[0x1000_0000], EPERM),
            ("setns", &[], EPERM),
            ("mount", &[], EPERM),
            ("umount2", &[], EPERM),
            ("pivot_root", &[], EPERM),
            ("fsopen", &[], EPERM),
            ("fsmount", &[], EPERM),
            ("move_mount", &[], EPERM),
            ("open_tree", &[], EPERM),
            ("mount_setattr", &[], EPERM),
            ("swapon", &[], EPERM),
            ("reboot", &[], EPERM),
            ("settimeofday", &[], EPERM),
            ("clock_settime", &[], EPERM),
            ("init_module", &[], EPERM),
            ("delete_module", &[], EPERM),
            ("syslog", &[], EPERM),
            ("pidfd_getfd", &[], EPERM),
            ("kcmp", &[], EPERM),
            ("iopl", &[], EPERM),
            ("acct", &[], EPERM),
            ("quotactl", &[], EPERM),
            ("mbind", &[], EPERM),
            ("move_pages", &[], EPERM),
            ("vmsplice", &[], EPERM),
            ("sethostname", &[], EPERM),
            ("fanotify_init", &[], EPERM),
            ("vhangup", &[], EPERM),
            ("clone3", &[], ENOSYS),
        ],
    );
}

#[test]
fn native_arguments() {
    table(
        ScmpArch::X8664,
        &[
            ("clone", &[0x3d_0f00], Allow),
            ("clone", &[17], Allow),
            ("clone", &[0x0002_0000 | 17], EPERM),
            ("clone", &[0x0200_0000], EPERM),
            ("clone", &[0x0400_0000], EPERM),
            ("clone", &[0x0800_0000], EPERM),
            ("clone", &[0x1000_0000], EPERM),
            ("clone", &[0x2000_0000], EPERM),
            ("clone", &[0x4000_0000], EPERM),
            ("clone", &[HIGH | 0x1000_0000], EPERM),
            ("ioctl", &[0, 0x5401], Allow),
            ("ioctl", &[0, 0x5413], Allow),
            ("ioctl", &[0x5412, 0], Allow),
            ("ioctl", &[0, 0x5412], EPERM),
            ("ioctl", &[0, HIGH | 0x5412], EPERM),
            ("ioctl", &[0, 0xffff_ffff_0000_5412], EPERM),
            ("ioctl", &[0, 0x541c], EPERM),
            ("ioctl", &[0, HIGH | 0x541c], EPERM),
            ("socket", &[1, 1, 0], Allow),
            ("socket", &[2, 1, 0], Allow),
            ("socket", &[10, 2, 0], Allow),
            ("socket", &[16, 3, 0], Allow),
            ("socket", &[16, 3, 9], EINVAL),
            ("socket", &[16 | HIGH, 3, 9 | HIGH], EINVAL),
            ("socket", &[17, 3, 0], EAFNOSUPPORT),
            ("socket", &[38, 5, 0], EPERM),
            ("socket", &[HIGH | 38, 5, 0], EPERM),
            ("socket", &[40, 1, 0], EPERM),
            ("socket", &[31, 3, 0], EAFNOSUPPORT),
            ("socket", &[u64::MAX, 0, 0], EAFNOSUPPORT),
            ("personality", &[0], Allow),
            ("personality", &[8], Allow),
            ("personality", &[0x2_0000], Allow),
            ("personality", &[0xffff_ffff], Allow),
            ("personality", &[0x4_0000], EPERM),
            ("personality", &[0x40_0000], EPERM),
            ("personality", &[HIGH], EPERM),
            ("personality", &[1], EPERM),
        ],
    );
}

#[test]
fn calls_of_32_bit_programs() {
    table(
        ScmpArch::X86,
        &[
            ("read", &[], Allow),
            ("mmap2", &[], Allow),
            ("fcntl64", &[], Allow),
            ("clock_gettime64", &[], Allow),
            ("ipc", &[21], Allow),
            ("bpf", &[], EPERM),
            ("perf_event_open", &[], EPERM),
            ("userfaultfd", &[], EPERM),
            ("io_uring_setup", &[], EPERM),
            ("keyctl", &[], EPERM),
            ("add_key", &[], EPERM),
            ("kexec_load", &[], EPERM),
            ("open_by_handle_at", &[], EPERM),
            ("mount", &[], EPERM),
            ("umount", &[], EPERM),
            ("unshare", &[0x1000_0000], EPERM),
            ("setns", &[], EPERM),
            ("stime", &[], EPERM),
            ("vm86", &[], EPERM),
            ("clone", &[17], Allow),
            ("clone", &[0x1000_0000], EPERM),
            ("clone3", &[], ENOSYS),
            ("ioctl", &[0, 0x5412], EPERM),
            ("ioctl", &[0, 0x541c], EPERM),
            ("ioctl", &[0, 0x5401], Allow),
            ("socket", &[2, 1, 0], Allow),
            ("socket", &[38, 5, 0], EPERM),
            ("socket", &[40, 1, 0], EPERM),
            ("personality", &[0x4_0000], EPERM),
            ("personality", &[0], Allow),
        ],
    );
    // Each call that socketcall(2) multiplexes, since libseccomp adds rules for it by itself.
    for call in 0..=21 {
        table(ScmpArch::X86, &[("socketcall", &[call], ENOSYS)]);
    }
}

#[test]
fn numbers_without_a_call() {
    for nr in [999, 5000, -1, i32::MAX, i32::MIN] {
        for arch in [X86_64, X86] {
            let data = Data { nr, arch, args: [0; 6] };
            assert_eq!(interpreter::run(shipped(), data), ENOSYS, "{nr} {arch:x}");
        }
    }
}

#[test]
fn x32_has_no_call_at_all() {
    for name in ["read", "ioctl", "ptrace", "keyctl", "mount"] {
        let nr = ScmpSyscall::from_name_by_arch(name, ScmpArch::X32).unwrap().as_raw_syscall();
        assert_ne!(nr & X32_BIT, 0);
        let data = Data { nr, arch: X86_64, args: [0; 6] };
        assert_eq!(interpreter::run(shipped(), data), ENOSYS, "{name}");
    }
}

#[test]
fn a_granted_capability_opens_its_calls_and_no_others() {
    let policy = default_policy();
    let pairs = [
        ("SYS_ADMIN", "mount"),
        ("SYS_ADMIN", "unshare"),
        ("SYS_ADMIN", "clone3"),
        ("SYSLOG", "syslog"),
        ("DAC_READ_SEARCH", "open_by_handle_at"),
        ("SYS_CHROOT", "chroot"),
        ("SYS_MODULE", "init_module"),
        ("SYS_BOOT", "reboot"),
        ("SYS_PACCT", "acct"),
        ("SYS_PTRACE", "kcmp"),
        ("SYS_RAWIO", "iopl"),
        ("SYS_TIME", "settimeofday"),
        ("SYS_TTY_CONFIG", "vhangup"),
        ("SYS_NICE", "mbind"),
    ];
    for (capability, call) in pairs {
        let with = compile(&policy, caps(capability)).unwrap();
        let without = compile(&policy, CapSet::ALL.without(caps(capability))).unwrap();
        assert_eq!(decide(&with.program, ScmpArch::X8664, call, &[]), Allow, "{capability} {call}");
        let refused = decide(&without.program, ScmpArch::X8664, call, &[]);
        // SYS_ADMIN holds the log as well.
        let expected = match call {
            "clone3" => ENOSYS,
            "syslog" => Allow,
            _ => EPERM,
        };
        assert_eq!(refused, expected, "{capability} {call}");
    }
    let raw = compile(&policy, caps("NET_RAW")).unwrap();
    assert_eq!(decide(&raw.program, ScmpArch::X8664, "socket", &[17, 3, 0]), Allow);
    let audit = compile(&policy, caps("AUDIT_WRITE")).unwrap();
    assert_eq!(decide(&audit.program, ScmpArch::X8664, "socket", &[16, 3, 9]), Allow);
    let all = compile(&policy, CapSet::ALL).unwrap();
    for call in ["keyctl", "io_uring_setup", "userfaultfd", "kexec_load", "swapon"] {
        assert_eq!(decide(&all.program, ScmpArch::X8664, call, &[]), EPERM, "{call}");
    }
    assert_eq!(decide(&all.program, ScmpArch::X8664, "ioctl", &[0, 0x5412]), EPERM);
}

#[test]
fn what_is_built_in_is_what_a_compile_gives() {
    let policy = default_policy();
    let base = Builtin::base();
    for set in [base_caps(), CapSet::EMPTY, CapSet::ALL, base_caps().union(caps("KILL"))] {
        let built = base.filter(set).expect("built in");
        let compiled = compile(&policy, set).unwrap();
        assert!(built.program == compiled.program.as_slice(), "{set:?}");
        assert_eq!(built.allows_keyctl, compiled.allows_keyctl);
        assert!(!built.allows_keyctl);
    }
    assert!(base.filter(caps("SYS_TIME")).is_none(), "compiled on demand");
}

#[test]
fn every_known_call_is_decided_on() {
    let policy = default_policy();
    let tables = [ScmpArch::X8664, ScmpArch::X86];
    for name in crate::profile::syscalls::all() {
        let here = tables.iter().any(|t| {
            ScmpSyscall::from_name_by_arch(&name, *t).is_ok_and(|s| s.as_raw_syscall() >= 0)
        });
        let named = policy.rules.iter().any(|r| r.syscalls.contains(&name));
        assert!(!here || named, "no group of profiles/default.toml names {name}");
    }
}
