//! System calls that nix and rustix lack, or wrap in a way that does not serve.

pub(crate) mod line;
pub(crate) mod pinned;
pub(crate) mod start;
pub(crate) mod tree;

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;

/// `struct clone_args`; see `clone(2)`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A process that was cloned.
#[derive(Debug)]
pub(crate) struct Cloned {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// `clone3(2)` with copied memory: `child` runs in the new process, which ends with it.
///
/// The calling process must have one thread: a lock that another thread held at the time would stay
/// locked in the copy.
pub(crate) fn clone3(flags: u64, child: impl FnOnce()) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM the child works on its own copy of this stack, and `args` lives until
    // the call has returned in both.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if pid == 0 {
        child();
        exit_now(125);
    }
    let pid = Errno::result(pid)?;
    // SAFETY: CLONE_PIDFD made the descriptor, and nothing else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned { pid: pid as u32, pidfd })
}

/// A stack with a page below it that catches what grows too far.
pub(crate) fn stack() -> rustix::io::Result<sbx_child::Stack> {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
    const GUARD: usize = 4096;
    let len = GUARD + sbx_child::Stack::LEN;
    let (prot, flags) =
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
    // SAFETY: a new mapping at a place of the kernel's choosing.
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, prot, flags) }?;
    // SAFETY: the first page of that mapping, which nobody knows of yet.
    unsafe { mprotect(start, GUARD, MprotectFlags::empty()) }?;
    // SAFETY: it is page-aligned, never unmapped, and handed to the caller alone.
    Ok(unsafe { sbx_child::Stack::new(start as usize + len) })
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

impl Ended {
    /// The shell's convention.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Ended::Code(code) => code as u8,
            Ended::Signal(signal) => 128u8.wrapping_add(signal as u8),
        }
    }
}

/// Waits for the process behind a pidfd; `waitid(2)`, P_PIDFD.
pub(crate) fn wait(pidfd: &OwnedFd) -> nix::Result<Ended> {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    use std::os::fd::AsFd as _;
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Ended::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// `pidfd_send_signal(2)`: unlike a number, a pidfd never means another process.
pub(crate) fn send_signal(pidfd: &OwnedFd, signal: i32) -> nix::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: three numbers and a null pointer.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    Errno::result(sent).map(drop)
}

/// The only child of a process: `/proc/PID/task/TID/children` in `proc_pid_task(5)`. `None` where the
/// kernel lacks the file or there is no child any more.
pub(crate) fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Whether a process handles, ignores or blocks a signal: `/proc/PID/status` in `proc(5)`. A process
/// that cannot be looked at is taken to.
pub(crate) fn cares_about(pid: u32, signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
    let bit = 1u64 << (signal - 1);
    status
        .lines()
        .filter_map(|line| {
            let (name, mask) = line.split_once(":\t")?;
            matches!(name, "SigBlk" | "SigIgn" | "SigCgt").then_some(mask)
        })
        .any(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & bit != 0))
}

/// Whether a blocked signal that means the end is pending; `sigpending(2)`.
pub(crate) fn is_asked_to_end() -> bool {
    // SAFETY: all-zero bytes are a valid set of signals.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a place for the kernel to write to.
    let known = unsafe { libc::sigpending(&raw mut set) } == 0;
    let is_in = |signal| {
        // SAFETY: `set` was filled in, and only read here.
        unsafe { libc::sigismember(&raw const set, signal) == 1 }
    };
    known && [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].into_iter().any(is_in)
}

/// Blocked signals as a descriptor; `signalfd(2)`.
pub(crate) struct SignalFd(nix::sys::signalfd::SignalFd);

impl SignalFd {
    pub(crate) fn new() -> nix::Result<Self> {
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&nix::sys::signal::SigSet::all(), flags).map(SignalFd)
    }

    /// The next signal, if one is pending.
    pub(crate) fn read(&self) -> Option<i32> {
        match self.0.read_signal() {
            Ok(Some(info)) => Some(info.ssi_signo as i32),
            _ => None,
        }
    }
}

impl std::os::fd::AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Closes a descriptor by number, in a cloned process that must not touch its owner.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: in the copy of the process that calls this nothing uses the descriptor again.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor but those of `keep`, in a cloned process.
pub(crate) fn close_all_but(keep: &[RawFd]) {
    let mut keep: [u32; 2] = [keep[0] as u32, keep[1] as u32];
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: as for `close`: the cloned process uses none of them again.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Ends a cloned process without running what the original has registered for its own end.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// Whether a received descriptor survives exec.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inherit {
    Yes,
    No,
}

/// Waits for one descriptor, sent as SCM_RIGHTS; `unix(7)`.
pub(crate) fn receive_fd(socket: RawFd, inherit: Inherit) -> nix::Result<OwnedFd> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut byte = [0u8; 1];
    let mut iov = [std::io::IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let flags = match inherit {
        Inherit::Yes => MsgFlags::empty(),
        Inherit::No => MsgFlags::MSG_CMSG_CLOEXEC,
    };
    let message = recvmsg::<()>(socket, &mut iov, Some(&mut space), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the message made this descriptor, in this process, and nothing else owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    // The other side went away without sending one.
    Err(Errno::EPIPE)
}

/// Memory that a cloned child shares with its parent.
pub(crate) fn shared_cells(count: usize) -> &'static [std::sync::atomic::AtomicU64] {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let bytes = count * 8;
    let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a new mapping at a place of the kernel's choosing.
    match unsafe { mmap_anonymous(std::ptr::null_mut(), bytes.max(8), prot, flags) } {
        // SAFETY: page-aligned, zeroed, of `count` words, and never unmapped.
        Ok(start) => unsafe { std::slice::from_raw_parts(start.cast(), count) },
        Err(_) => &[],
    }
}

/// The version of Landlock; `landlock_create_ruleset(2)`, LANDLOCK_CREATE_RULESET_VERSION.
pub(crate) fn landlock_abi() -> Option<u32> {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: with this flag the call takes a null pointer and a size of 0.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION) };
    u32::try_from(abi).ok()
}

/// Where this process's command line lies: fields 48 and 49 of `/proc/self/stat`, `proc_pid_stat(5)`.
pub(crate) fn command_line() -> sbx_child::Arguments {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses that may hold anything.
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = after.split(' ').skip(45).map_while(|f| f.parse().ok());
    let (start, end): (usize, usize) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
    sbx_child::Arguments { start, len: end.saturating_sub(start) }
}

/// The read-only segments of this program, from its program headers; `getauxval(3)`, `elf(5)`.
pub(crate) fn read_only_image() -> Vec<sbx_child::Segment> {
    const PAGE: usize = 4096;
    // SAFETY: takes a number and returns one.
    let at = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    // SAFETY: takes a number and returns one.
    let count = unsafe { libc::getauxval(libc::AT_PHNUM) } as usize;
    let headers: &[libc::Elf64_Phdr] = if at == 0 {
        &[]
    } else {
        // SAFETY: the kernel mapped `count` program headers there, and they are never written to.
        unsafe { std::slice::from_raw_parts(at as *const libc::Elf64_Phdr, count) }
    };
    // Where the program was put, against where it was linked for: 0 unless position-independent.
    let base = headers
        .iter()
        .find(|h| h.p_type == libc::PT_PHDR)
        .map_or(0, |h| at.wrapping_sub(h.p_vaddr as usize));
    headers
        .iter()
        .filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W == 0)
        .map(|h| {
            let start = base.wrapping_add(h.p_vaddr as usize) & !(PAGE - 1);
            let end = base.wrapping_add((h.p_vaddr + h.p_memsz) as usize);
            sbx_child::Segment { start, len: end.next_multiple_of(PAGE) - start }
        })
        .collect()
}

/// Gives memory back that can be read from the program's file again: most of what a start needs is
/// not needed beside the running command.
pub(crate) fn forget_image() {
    for segment in read_only_image() {
        // SAFETY: pages that are backed by the file and were never written to: their content stays.
        unsafe { libc::madvise(segment.start as *mut _, segment.len, libc::MADV_DONTNEED) };
    }
}

/// An existing path without links, in three calls: realpath(3) makes one for each component.
pub(crate) fn real_path(path: &std::path::Path) -> Option<std::path::PathBuf> {
    use rustix::fs::{Mode, OFlags};
    use std::os::fd::AsRawFd as _;
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

/// The same of a path that may not exist yet, or in part: what exists of it without links.
pub(crate) fn real_path_of_all(path: &std::path::Path) -> std::path::PathBuf {
    path.ancestors()
        .find_map(|a| Some(real_path(a)?.join(path.strip_prefix(a).ok()?)))
        .unwrap_or_else(|| path.to_owned())
}

/// `getauxval(3)`, AT_SECURE.
pub(crate) fn is_privileged_by_exec() -> bool {
    // SAFETY: takes a number and returns one.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
