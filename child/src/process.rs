//! Identity, privileges, terminal and exec.

use crate::op::Slot;
use crate::path::PROC_SUPER_MAGIC;
use crate::run::State;
use crate::sys::{
    self, EACCES, EINTR, EINVAL, ENOENT, ENOTDIR, EOWNERDEAD, EPERM, Errno, Result, call, nr,
};

const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
const PR_CAPBSET_DROP: usize = 24;
const PR_SET_NO_NEW_PRIVS: usize = 38;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
const SIGKILL: usize = 9;
const SIGSTOP: usize = 19;

pub(crate) fn set_ids(uid: u32, gid: u32) -> Result<()> {
    call!(nr::SETRESGID, gid, gid, gid)?;
    call!(nr::SETRESUID, uid, uid, uid).map(drop)
}

/// The parent may have died before the call: then nobody reads the report pipe any more.
pub(crate) fn die_with_parent(report: i32) -> Result<()> {
    const POLLERR: u16 = 0x8;
    die_with_its_parent()?;
    // struct pollfd: int fd, short events, short revents.
    let mut pollfd = [report as u32, 0];
    call!(nr::POLL, pollfd.as_mut_ptr(), 1usize, 0usize)?;
    if (pollfd[1] >> 16) as u16 & POLLERR != 0 { Err(EOWNERDEAD) } else { Ok(()) }
}

pub(crate) fn die_with_its_parent() -> Result<()> {
    sys::prctl(PR_SET_PDEATHSIG, SIGKILL, 0).map(drop)
}

pub(crate) fn not_dumpable() -> Result<()> {
    sys::prctl(PR_SET_DUMPABLE, 0, 0).map(drop)
}

/// `SIOCSIFFLAGS` on `lo`; see `netdevice(7)`.
pub(crate) fn loopback_up() -> Result<()> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2_000_000;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    let socket = call!(nr::SOCKET, AF_INET, SOCK_DGRAM_CLOEXEC, 0usize)? as i32;
    // struct ifreq: 16 bytes of name, then the flags as a short.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16] = IFF_UP;
    let done = call!(nr::IOCTL, socket, SIOCSIFFLAGS, request.as_ptr());
    sys::close(socket);
    done.map(drop)
}

pub(crate) fn terminal(
    state: &mut State,
    pts: Slot,
    socket: i32,
    rows: u16,
    cols: u16,
    console: Slot,
) -> Result<()> {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    const TIOCSWINSZ: usize = 0x5414;
    const TIOCSCTTY: usize = 0x540e;
    const OPEN_TREE_CLONE: usize = 1;
    let flags = sys::O_RDWR | sys::O_NOCTTY;
    let master = sys::openat2(state.fd(pts)?, c"ptmx", flags, 0, sys::RESOLVE_NO_SYMLINKS)?;
    let unlock = 0i32;
    call!(nr::IOCTL, master, TIOCSPTLCK, &raw const unlock)?;
    let peer = call!(nr::IOCTL, master, TIOCGPTPEER, flags | sys::O_CLOEXEC)? as i32;
    let size = [rows, cols, 0, 0];
    call!(nr::IOCTL, master, TIOCSWINSZ, size.as_ptr())?;
    send_fd(socket, master)?;
    sys::close(master);
    call!(nr::IOCTL, peer, TIOCSCTTY, 0usize)?;
    let clone = OPEN_TREE_CLONE | sys::O_CLOEXEC as usize | sys::AT_EMPTY_PATH;
    let mount = call!(nr::OPEN_TREE, peer, c"".as_ptr(), clone)? as i32;
    state.put(console, mount)?;
    for fd in 0..3 {
        stdio(peer, fd)?;
    }
    sys::close(peer);
    Ok(())
}

/// One descriptor as SCM_RIGHTS; see `unix(7)` and `cmsg(3)`.
pub(crate) fn send_fd(socket: i32, fd: i32) -> Result<()> {
    #[repr(C)]
    struct Control {
        len: usize,
        level: i32,
        kind: i32,
        fd: i32,
        pad: i32,
    }
    #[repr(C)]
    struct Message {
        name: usize,
        name_len: usize,
        iov: usize,
        iov_len: usize,
        control: usize,
        control_len: usize,
        flags: usize,
    }
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    let byte = [0u8; 1];
    let iov = [byte.as_ptr() as usize, 1];
    let control = Control { len: 20, level: SOL_SOCKET, kind: SCM_RIGHTS, fd, pad: 0 };
    let message = Message {
        name: 0,
        name_len: 0,
        iov: iov.as_ptr() as usize,
        iov_len: 1,
        control: &raw const control as usize,
        control_len: size_of::<Control>(),
        flags: 0,
    };
    loop {
        match call!(nr::SENDMSG, socket, &raw const message, 0usize) {
            Err(EINTR) => {}
            other => return other.map(drop),
        }
    }
}

pub(crate) fn stdio(from: i32, to: i32) -> Result<()> {
    // dup3(2) refuses equal descriptors; the three are never close-on-exec.
    if from == to { Ok(()) } else { call!(nr::DUP3, from, to, 0usize).map(drop) }
}

pub(crate) fn close_on_exec(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    call!(nr::CLOSE_RANGE, first, u32::MAX, CLOSE_RANGE_CLOEXEC).map(drop)
}

pub(crate) fn new_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    call!(nr::KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, 0usize).map(drop)
}

pub(crate) fn bounding_set(keep: u64) -> Result<()> {
    // All that the running kernel has, also those that are newer than this program.
    for cap in 0..u64::BITS {
        if keep >> cap & 1 == 0 {
            match sys::prctl(PR_CAPBSET_DROP, cap as usize, 0) {
                Ok(_) => {}
                Err(EINVAL) => break,
                Err(e) => return Err(e),
            }
        }
    }
    sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0).map(drop)
}

pub(crate) fn capabilities(caps: u64) -> Result<()> {
    const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = [LINUX_CAPABILITY_VERSION_3, 0];
    let (low, high) = (caps as u32, (caps >> 32) as u32);
    // Two of struct __user_cap_data_struct: effective, permitted, inheritable.
    let data = [low, low, 0, high, high, 0];
    call!(nr::CAPSET, header.as_ptr(), data.as_ptr()).map(drop)
}

pub(crate) fn no_new_privs() -> Result<()> {
    sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// A procfs it must be, and nothing mounted in it: elsewhere the write would succeed and confine nothing
/// (CVE-2019-16884).
pub(crate) fn exec_label(line: &[u8]) -> Result<()> {
    let flags = sys::O_PATH | sys::O_DIRECTORY;
    let proc = sys::openat2(sys::AT_FDCWD, c"/proc", flags, 0, sys::RESOLVE_NO_SYMLINKS)?;
    if sys::filesystem_magic(proc)? != PROC_SUPER_MAGIC {
        return Err(EPERM);
    }
    let rules = sys::RESOLVE_NO_XDEV | sys::RESOLVE_NO_MAGICLINKS;
    let path = c"thread-self/attr/apparmor/exec";
    let file = sys::openat2(proc, path, sys::O_WRONLY, 0, rules)?;
    sys::close(proc);
    let written = sys::write_all(file, line);
    sys::close(file);
    written
}

pub(crate) fn seccomp(filter: &[u8]) -> Result<()> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    const SOCK_FILTER: usize = 8;
    #[repr(C)]
    struct Fprog {
        len: u16,
        filter: *const u8,
    }
    let len = u16::try_from(filter.len() / SOCK_FILTER).map_err(|_| EINVAL)?;
    let program = Fprog { len, filter: filter.as_ptr() };
    call!(nr::SECCOMP, SECCOMP_SET_MODE_FILTER, 0usize, &raw const program).map(drop)
}

pub(crate) fn reset_signals() -> Result<()> {
    const SIG_SETMASK: usize = 2;
    const SIGSET: usize = 8;
    // struct kernel_sigaction: handler, flags, restorer, mask; all zero is SIG_DFL.
    let default = [0u64; 4];
    for signal in (1..=64usize).filter(|s| !matches!(*s, SIGKILL | SIGSTOP)) {
        call!(nr::RT_SIGACTION, signal, default.as_ptr(), 0usize, SIGSET)?;
    }
    let none = 0u64;
    call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none, 0usize, SIGSET).map(drop)
}

/// As execvp(3): a directory that lacks the program is passed over; "permission denied" is kept for
/// the end, since a later directory may hold a program that can be run.
pub(crate) fn exec(paths: &[*const u8], argv: &[*const u8], envp: &[*const u8]) -> Result<()> {
    let mut worst = ENOENT;
    for &path in paths {
        match call!(nr::EXECVE, path, argv.as_ptr(), envp.as_ptr()) {
            Err(ENOENT | ENOTDIR) => {}
            Err(EACCES) => worst = EACCES,
            Err(e) => return Err(e),
            Ok(_) => return Err(Errno(0)),
        }
    }
    Err(worst)
}
