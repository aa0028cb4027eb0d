//! The system calls.

use crate::names;
use crate::sys::{Outcome, apart, call, call32, leave};

pub(crate) type Results = Vec<(String, String)>;

const NEWUSER: u64 = 0x1000_0000;
const SIGCHLD: u64 = 17;
/// Requests of `ioctl_tty(2)`. A null argument makes both fail where they are permitted.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
/// A bit that the kernel does not look at in a 32-bit argument.
const HIGH: u64 = 1 << 32;
const UNKNOWN: i64 = 999;

fn ascii(path: &'static std::ffi::CStr) -> u64 {
    path.as_ptr() as u64
}

pub(crate) fn native() -> Results {
    let nowhere = ascii(c"/nonexistent-sbx-probe");
    let terminal = || std::fs::File::options().read(true).open("/dev/tty").ok();
    let tty = terminal();
    let tty_fd = tty.as_ref().map_or(u64::MAX, |f| std::os::fd::AsRawFd::as_raw_fd(f) as u64);
    let rows: &[(&str, i64, &[u64])] = &[
        ("getpid", libc::SYS_getpid, &[]),
        // An unknown command.
        ("bpf", libc::SYS_bpf, &[0xffff]),
        ("perf_event_open", libc::SYS_perf_event_open, &[]),
        // UFFD_USER_MODE_ONLY, which needs no privilege, and a flag that does not exist.
        ("userfaultfd", libc::SYS_userfaultfd, &[1 | 8]),
        ("io_uring_setup", libc::SYS_io_uring_setup, &[1]),
        ("keyctl", libc::SYS_keyctl, &[0xffff]),
        ("add_key", libc::SYS_add_key, &[]),
        ("request_key", libc::SYS_request_key, &[]),
        ("kexec_load", libc::SYS_kexec_load, &[0, 0, 0, 0xffff]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, &[u64::MAX]),
        ("socket AF_UNIX", libc::SYS_socket, &[1, 1]),
        ("socket AF_INET", libc::SYS_socket, &[2, 1]),
        ("socket AF_INET6", libc::SYS_socket, &[10, 1]),
        ("socket AF_NETLINK", libc::SYS_socket, &[16, 3]),
        ("socket AF_NETLINK audit", libc::SYS_socket, &[16, 3, 9]),
        ("socket AF_PACKET", libc::SYS_socket, &[17, 3]),
        ("socket AF_ALG", libc::SYS_socket, &[38, 5]),
        ("socket AF_ALG high bits", libc::SYS_socket, &[HIGH | 38, 5]),
        ("socket AF_VSOCK", libc::SYS_socket, &[40, 1]),
        ("personality 0", libc::SYS_personality, &[0]),
        // ADDR_NO_RANDOMIZE and READ_IMPLIES_EXEC.
        ("personality no-randomize", libc::SYS_personality, &[0x4_0000]),
        ("personality read-implies-exec", libc::SYS_personality, &[0x40_0000]),
        ("unshare NEWUSER", libc::SYS_unshare, &[NEWUSER]),
        ("setns", libc::SYS_setns, &[u64::MAX]),
        ("clone3", libc::SYS_clone3, &[]),
        ("umount", libc::SYS_umount2, &[nowhere]),
        ("pivot_root", libc::SYS_pivot_root, &[nowhere, nowhere]),
        ("fsopen", libc::SYS_fsopen, &[]),
        ("open_tree", libc::SYS_open_tree, &[u64::MAX, nowhere]),
        ("ptrace TRACEME", libc::SYS_ptrace, &[]),
        ("process_vm_readv", libc::SYS_process_vm_readv, &[std::process::id().into()]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, &[u64::MAX, 0, 0]),
        ("swapon", libc::SYS_swapon, &[nowhere]),
        // Neither of the magic numbers.
        ("reboot", libc::SYS_reboot, &[]),
        // Neither a time nor a zone.
        ("settimeofday", libc::SYS_settimeofday, &[]),
        ("init_module", libc::SYS_init_module, &[]),
        ("syslog", libc::SYS_syslog, &[10]),
        ("acct", libc::SYS_acct, &[nowhere]),
        ("TIOCSTI stdin", libc::SYS_ioctl, &[0, TIOCSTI]),
        ("TIOCSTI stdin high bits", libc::SYS_ioctl, &[0, HIGH | TIOCSTI]),
        ("TIOCLINUX stdin", libc::SYS_ioctl, &[0, TIOCLINUX]),
        ("TIOCLINUX stdin high bits", libc::SYS_ioctl, &[0, HIGH | TIOCLINUX]),
        ("TIOCSTI tty", libc::SYS_ioctl, &[tty_fd, TIOCSTI]),
        ("TIOCSTI tty high bits", libc::SYS_ioctl, &[tty_fd, HIGH | TIOCSTI]),
        ("TIOCLINUX tty", libc::SYS_ioctl, &[tty_fd, TIOCLINUX]),
        ("unknown call", UNKNOWN, &[]),
    ];
    let mut results: Results =
        rows.iter().map(|(name, nr, args)| result(name, || call(*nr, padded(args)))).collect();
    results.push(result("clone NEWUSER", || {
        child_ends(call(libc::SYS_clone, padded(&[NEWUSER | SIGCHLD])))
    }));
    results.push(result("clone", || child_ends(call(libc::SYS_clone, padded(&[SIGCHLD])))));
    results.push(result("thread", thread));
    results.push(result("acct in a thread", || {
        std::thread::Builder::new()
            .spawn(|| call(libc::SYS_acct, padded(&[ascii(c"/nonexistent-sbx-probe")])))
            .map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?;
        alone()
    }));
    results
}

/// Waits for the end of the other threads, however they end: one that is killed cannot be joined.
fn alone() -> Outcome {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    while threads() > 1 {
        std::thread::yield_now();
    }
    Ok(0)
}

pub(crate) fn int80() -> Results {
    // Numbers of arch/x86/entry/syscalls/syscall_32.tbl.
    let rows: &[(&str, u32, &[u32])] = &[
        ("getpid", 20, &[]),
        ("bpf", 357, &[0xffff]),
        ("perf_event_open", 336, &[]),
        ("userfaultfd", 374, &[1 | 8]),
        ("io_uring_setup", 425, &[1]),
        ("keyctl", 288, &[0xffff]),
        ("add_key", 286, &[]),
        ("request_key", 287, &[]),
        ("kexec_load", 283, &[0, 0, 0, 0xffff]),
        ("open_by_handle_at", 342, &[u32::MAX]),
        ("socket AF_UNIX", 359, &[1, 1]),
        ("socket AF_INET", 359, &[2, 1]),
        ("socket AF_ALG", 359, &[38, 5]),
        ("socket AF_VSOCK", 359, &[40, 1]),
        // SYS_SOCKET; its arguments would be at the address 0.
        ("socketcall", 102, &[1, 0]),
        ("personality 0", 136, &[0]),
        ("personality no-randomize", 136, &[0x4_0000]),
        ("unshare NEWUSER", 310, &[0x1000_0000]),
        ("setns", 346, &[u32::MAX]),
        ("clone3", 435, &[]),
        ("mount", 21, &[]),
        ("umount", 52, &[]),
        ("pivot_root", 217, &[]),
        ("ptrace TRACEME", 26, &[]),
        ("swapon", 87, &[]),
        ("reboot", 88, &[]),
        ("settimeofday", 79, &[]),
        ("init_module", 128, &[]),
        ("TIOCSTI stdin", 54, &[0, 0x5412]),
        ("TIOCLINUX stdin", 54, &[0, 0x541c]),
        ("vm86", 166, &[]),
        ("unknown call", 999, &[]),
    ];
    let mut results: Results =
        rows.iter().map(|(name, nr, args)| result(name, || call32(*nr, padded(args)))).collect();
    results.push(result("clone NEWUSER", || child_ends(call32(120, padded(&[0x1000_0000 | 17])))));
    results
}

/// Numbers with __X32_SYSCALL_BIT.
pub(crate) fn x32() -> Results {
    let rows = [("getpid", libc::SYS_getpid), ("keyctl", 250), ("ptrace", 521), ("unshare", 272)];
    rows.iter()
        .map(|(name, nr)| result(name, || call(nr | 0x4000_0000, padded(&[0xffff]))))
        .collect()
}

pub(crate) fn padded<T: Copy + Default, const N: usize>(args: &[T]) -> [T; N] {
    let mut all = [T::default(); N];
    all[..args.len()].copy_from_slice(args);
    all
}

pub(crate) fn result(name: &str, attempt: impl FnOnce() -> Outcome) -> (String, String) {
    (name.to_owned(), names::of(&apart(attempt)))
}

/// After a clone that copies the process, as fork does.
pub(crate) fn child_ends(outcome: Outcome) -> Outcome {
    if outcome == Ok(0) {
        leave(0);
    }
    outcome
}

/// As libc starts one: clone3, and clone where that is missing.
fn thread() -> Outcome {
    match std::thread::Builder::new().spawn(|| {}) {
        Ok(thread) => thread.join().map(|()| 0).map_err(|_| libc::EIO),
        Err(e) => Err(e.raw_os_error().unwrap_or(libc::EIO)),
    }
}
