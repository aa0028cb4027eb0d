//! More system calls, for the tables of the built-in profiles.
//!
//! Where a call gets past the filter, its arguments make the kernel answer the same on every host: an
//! error that comes before anything is looked for, or a success that the process takes along at its end.

use crate::attempts::{Results, child_ends, padded, result};
use crate::sys::{Outcome, call, call32, killed, pausing};

const SIGCHLD: u32 = 17;
/// A type that no family has. It is looked at before a family's module is asked for.
const NO_TYPE: u32 = 15;
const MINUS: u64 = u64::MAX;

/// Families of `include/linux/socket.h`.
const FAMILIES: [(&str, u32); 21] = [
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_AX25", 3),
    ("AF_IPX", 4),
    ("AF_APPLETALK", 5),
    ("AF_X25", 9),
    ("AF_INET6", 10),
    ("AF_KEY", 15),
    ("AF_NETLINK", 16),
    ("AF_PACKET", 17),
    ("AF_RDS", 21),
    ("AF_PPPOX", 24),
    ("AF_CAN", 29),
    ("AF_TIPC", 30),
    ("AF_BLUETOOTH", 31),
    ("AF_RXRPC", 33),
    ("AF_ALG", 38),
    ("AF_NFC", 39),
    ("AF_VSOCK", 40),
    ("AF_KCM", 41),
    ("AF_XDP", 44),
];

/// Values of `include/uapi/linux/personality.h`.
const PERSONALITIES: [(&str, u32); 9] = [
    ("linux32", 8),
    ("uname26", 0x2_0000),
    ("linux32 uname26", 0x2_0008),
    ("query", 0xffff_ffff),
    ("no-randomize", 0x4_0000),
    ("linux32 no-randomize", 0x4_0008),
    ("page-zero", 0x10_0000),
    ("compat-layout", 0x20_0000),
    ("svr4", 0x410_0001),
];

/// Flags of `include/uapi/linux/sched.h`.
const NAMESPACES: [(&str, u32); 7] = [
    ("NEWNS", 0x2_0000),
    ("NEWCGROUP", 0x200_0000),
    ("NEWUTS", 0x400_0000),
    ("NEWIPC", 0x800_0000),
    ("NEWUSER", 0x1000_0000),
    ("NEWPID", 0x2000_0000),
    ("NEWNET", 0x4000_0000),
];

/// What each table tries beside its own rows: the call's name and number, and the first argument.
fn by_first<'a>(
    name: &'a str,
    values: &'a [(&'a str, u32)],
) -> impl Iterator<Item = (String, u32)> + 'a {
    values.iter().map(move |(word, value)| (format!("{name} {word}"), *value))
}

pub(crate) fn native() -> Results {
    let nowhere = c"/nonexistent-sbx-probe".as_ptr() as u64;
    let pid = u64::from(std::process::id());
    let rows: &[(&str, i64, &[u64])] = &[
        ("adjtimex", libc::SYS_adjtimex, &[]),
        ("arch_prctl", libc::SYS_arch_prctl, &[9999]),
        ("cachestat", 451, &[MINUS]),
        ("chroot", libc::SYS_chroot, &[nowhere]),
        ("clock_adjtime", libc::SYS_clock_adjtime, &[]),
        ("clock_settime", libc::SYS_clock_settime, &[]),
        ("delete_module", libc::SYS_delete_module, &[nowhere]),
        ("fanotify_init", libc::SYS_fanotify_init, &[]),
        ("fanotify_mark", libc::SYS_fanotify_mark, &[MINUS]),
        ("fchmodat2", 452, &[MINUS, nowhere, 0, 0xffff]),
        ("finit_module", libc::SYS_finit_module, &[MINUS]),
        ("fsconfig", libc::SYS_fsconfig, &[MINUS]),
        ("fsmount", libc::SYS_fsmount, &[MINUS]),
        ("fspick", libc::SYS_fspick, &[MINUS, nowhere]),
        ("futex_waitv", 449, &[]),
        ("inotify_init1", libc::SYS_inotify_init1, &[0xffff]),
        ("io_setup", libc::SYS_io_setup, &[]),
        ("io_uring_enter", libc::SYS_io_uring_enter, &[MINUS]),
        ("io_uring_register", libc::SYS_io_uring_register, &[MINUS]),
        ("ioperm", libc::SYS_ioperm, &[]),
        ("iopl", libc::SYS_iopl, &[4]),
        ("kcmp", libc::SYS_kcmp, &[pid, pid, 99]),
        ("kexec_file_load", libc::SYS_kexec_file_load, &[MINUS]),
        ("memfd_secret", 447, &[0xffff]),
        (
            "mknod fifo nowhere",
            libc::SYS_mknodat,
            &[MINUS, c"/nonexistent-sbx/a".as_ptr() as u64, 0o10600],
        ),
        ("modify_ldt", libc::SYS_modify_ldt, &[]),
        ("mount", libc::SYS_mount, &[]),
        ("mount_setattr", 442, &[MINUS, nowhere, 0xffff]),
        ("move_mount", libc::SYS_move_mount, &[MINUS, nowhere, MINUS, nowhere]),
        ("move_pages", libc::SYS_move_pages, &[0, 0, 0, 0, 0, 99]),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, &[MINUS, nowhere]),
        ("openat2", libc::SYS_openat2, &[MINUS, nowhere]),
        ("pidfd_open", libc::SYS_pidfd_open, &[pid]),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal, &[MINUS]),
        ("process_madvise", libc::SYS_process_madvise, &[MINUS, 0, 0, 0, 1]),
        ("process_vm_writev", libc::SYS_process_vm_writev, &[pid]),
        ("quotactl", libc::SYS_quotactl, &[0xff]),
        ("remap_file_pages", libc::SYS_remap_file_pages, &[0, 0, 1]),
        ("seccomp", libc::SYS_seccomp, &[99]),
        ("semget", libc::SYS_semget, &[0, MINUS]),
        ("set_mempolicy", libc::SYS_set_mempolicy, &[99]),
        ("setdomainname", libc::SYS_setdomainname, &[0, MINUS]),
        ("setgroups", libc::SYS_setgroups, &[]),
        ("sethostname", libc::SYS_sethostname, &[0, MINUS]),
        ("setuid 1", libc::SYS_setuid, &[1]),
        ("shmget", libc::SYS_shmget, &[]),
        ("splice", libc::SYS_splice, &[MINUS, 0, MINUS, 0, 1]),
        ("swapoff", libc::SYS_swapoff, &[nowhere]),
        ("vhangup", libc::SYS_vhangup, &[]),
        ("vmsplice", libc::SYS_vmsplice, &[MINUS, 0, 1]),
    ];
    let mut results: Results =
        rows.iter().map(|(name, nr, args)| result(name, || call(*nr, padded(args)))).collect();
    for (name, family) in by_first("socket", &FAMILIES) {
        let args = [family.into(), NO_TYPE.into()];
        results.push(result(&name, || call(libc::SYS_socket, padded(&args))));
    }
    for (name, value) in by_first("personality", &PERSONALITIES) {
        results.push(result(&name, || call(libc::SYS_personality, padded(&[value.into()]))));
    }
    for (name, flag) in by_first("unshare", &NAMESPACES) {
        results.push(result(&name, || call(libc::SYS_unshare, padded(&[flag.into()]))));
    }
    for (name, flag) in by_first("clone", &NAMESPACES) {
        let args = [u64::from(flag | SIGCHLD)];
        results.push(result(&name, || child_ends(call(libc::SYS_clone, padded(&args)))));
    }
    results.push(result("ptrace ATTACH a child", attach));
    results
}

pub(crate) fn int80() -> Results {
    // Numbers of arch/x86/entry/syscalls/syscall_32.tbl.
    const MINUS: u32 = u32::MAX;
    let pid = std::process::id();
    let rows: &[(&str, u32, &[u32])] = &[
        ("acct", 51, &[]),
        ("adjtimex", 124, &[]),
        ("chroot", 61, &[]),
        ("clock_adjtime", 343, &[]),
        ("clock_settime", 264, &[]),
        ("delete_module", 129, &[]),
        ("fanotify_init", 338, &[]),
        ("finit_module", 350, &[MINUS]),
        ("fsconfig", 431, &[MINUS]),
        ("fsmount", 432, &[MINUS]),
        ("fsopen", 430, &[]),
        ("fspick", 433, &[MINUS]),
        ("futex_waitv", 449, &[]),
        ("io_setup", 245, &[]),
        ("io_uring_enter", 426, &[MINUS]),
        ("io_uring_register", 427, &[MINUS]),
        ("ioperm", 101, &[]),
        ("iopl", 110, &[4]),
        ("ipc", 117, &[99]),
        ("kcmp", 349, &[pid, pid, 99]),
        ("memfd_secret", 447, &[0xffff]),
        ("modify_ldt", 123, &[]),
        ("mount_setattr", 442, &[MINUS, 0, 0xffff]),
        ("move_mount", 429, &[MINUS, 0, MINUS]),
        ("name_to_handle_at", 341, &[MINUS]),
        ("oldumount", 22, &[]),
        ("open_tree", 428, &[MINUS]),
        ("pidfd_getfd", 438, &[MINUS]),
        ("pidfd_open", 434, &[pid]),
        ("process_madvise", 440, &[MINUS, 0, 0, 0, 1]),
        ("quotactl", 131, &[0xff]),
        ("readdir", 89, &[MINUS]),
        ("seccomp", 354, &[99]),
        ("set_mempolicy", 276, &[99]),
        ("setdomainname", 121, &[0, MINUS]),
        ("setgroups32", 206, &[]),
        ("sethostname", 74, &[0, MINUS]),
        ("setuid32 1", 213, &[1]),
        ("sigaction", 67, &[]),
        ("signal", 48, &[9]),
        ("stime", 25, &[]),
        ("swapoff", 115, &[]),
        ("syslog", 103, &[10]),
        ("vhangup", 111, &[]),
        ("vm86old", 113, &[]),
        ("vmsplice", 316, &[MINUS, 0, 1]),
    ];
    let mut results: Results =
        rows.iter().map(|(name, nr, args)| result(name, || call32(*nr, padded(args)))).collect();
    for (name, family) in by_first("socket", &FAMILIES) {
        results.push(result(&name, || call32(359, padded(&[family, NO_TYPE]))));
    }
    for (name, value) in by_first("personality", &PERSONALITIES) {
        results.push(result(&name, || call32(136, padded(&[value]))));
    }
    for (name, flag) in by_first("unshare", &NAMESPACES) {
        results.push(result(&name, || call32(310, padded(&[flag]))));
    }
    for (name, flag) in by_first("clone", &NAMESPACES) {
        results.push(result(&name, || child_ends(call32(120, padded(&[flag | SIGCHLD])))));
    }
    results
}

/// PTRACE_ATTACH, of a process that does nothing.
fn attach() -> Outcome {
    let child = pausing()?;
    let outcome = call(libc::SYS_ptrace, padded(&[16, child.cast_unsigned().into()]));
    killed(child);
    outcome
}
