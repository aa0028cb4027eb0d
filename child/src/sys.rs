//! Raw system calls. No libc: nothing here touches errno, a lock or the heap.

use core::ffi::CStr;

use crate::op::Stack;

/// A negative return value of the kernel, as a positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub(crate) const EPERM: Errno = Errno(1);
pub(crate) const ENOENT: Errno = Errno(2);
pub(crate) const EINTR: Errno = Errno(4);
pub(crate) const ECHILD: Errno = Errno(10);
pub(crate) const EAGAIN: Errno = Errno(11);
pub(crate) const EACCES: Errno = Errno(13);
pub(crate) const EEXIST: Errno = Errno(17);
pub(crate) const EXDEV: Errno = Errno(18);
pub(crate) const ENOTDIR: Errno = Errno(20);
pub(crate) const EINVAL: Errno = Errno(22);
pub(crate) const ENAMETOOLONG: Errno = Errno(36);
pub(crate) const ELOOP: Errno = Errno(40);
pub(crate) const ESTALE: Errno = Errno(116);
pub(crate) const EOWNERDEAD: Errno = Errno(130);

pub(crate) type Result<T> = core::result::Result<T, Errno>;

#[cfg(target_arch = "x86_64")]
pub(crate) mod nr {
    pub(crate) const READ: usize = 0;
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const MADVISE: usize = 28;
    pub(crate) const POLL: usize = 7;
    pub(crate) const RT_SIGACTION: usize = 13;
    pub(crate) const RT_SIGPROCMASK: usize = 14;
    pub(crate) const IOCTL: usize = 16;
    pub(crate) const SENDMSG: usize = 46;
    pub(crate) const CLONE: usize = 56;
    pub(crate) const EXECVE: usize = 59;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const WAIT4: usize = 61;
    pub(crate) const KILL: usize = 62;
    pub(crate) const CHDIR: usize = 80;
    pub(crate) const FCHDIR: usize = 81;
    pub(crate) const UMASK: usize = 95;
    pub(crate) const SETPGID: usize = 109;
    pub(crate) const SETSID: usize = 112;
    pub(crate) const SETGROUPS: usize = 116;
    pub(crate) const SETRESUID: usize = 117;
    pub(crate) const SETRESGID: usize = 119;
    pub(crate) const CAPSET: usize = 126;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 128;
    pub(crate) const FSTATFS: usize = 138;
    pub(crate) const PIVOT_ROOT: usize = 155;
    pub(crate) const PRCTL: usize = 157;
    pub(crate) const MOUNT: usize = 165;
    pub(crate) const UMOUNT2: usize = 166;
    pub(crate) const SETHOSTNAME: usize = 170;
    pub(crate) const SETDOMAINNAME: usize = 171;
    pub(crate) const CLOCK_GETTIME: usize = 228;
    pub(crate) const KEYCTL: usize = 250;
    pub(crate) const SOCKET: usize = 41;
    pub(crate) const MKDIRAT: usize = 258;
    pub(crate) const UNSHARE: usize = 272;
    pub(crate) const SYMLINKAT: usize = 266;
    pub(crate) const READLINKAT: usize = 267;
    pub(crate) const FCHOWNAT: usize = 260;
    pub(crate) const DUP3: usize = 292;
    pub(crate) const PRLIMIT64: usize = 302;
    pub(crate) const SECCOMP: usize = 317;
    pub(crate) const STATX: usize = 332;
    pub(crate) const OPEN_TREE: usize = 428;
    pub(crate) const MOVE_MOUNT: usize = 429;
    pub(crate) const FSOPEN: usize = 430;
    pub(crate) const FSCONFIG: usize = 431;
    pub(crate) const FSMOUNT: usize = 432;
    pub(crate) const CLOSE_RANGE: usize = 436;
    pub(crate) const OPENAT2: usize = 437;
    pub(crate) const MOUNT_SETATTR: usize = 442;
    pub(crate) const LANDLOCK_CREATE_RULESET: usize = 444;
    pub(crate) const LANDLOCK_ADD_RULE: usize = 445;
    pub(crate) const LANDLOCK_RESTRICT_SELF: usize = 446;
}

#[cfg(not(target_arch = "x86_64"))]
compile_error!("system call numbers are listed for x86_64 only");

/// One system call with up to six arguments.
///
/// # Safety
/// The caller vouches that the arguments are what call `n` expects: pointers valid for the kernel to
/// read or write for as long as the call lasts.
#[inline]
pub(crate) unsafe fn syscall(n: usize, a: [usize; 6]) -> Result<usize> {
    let value: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are the only registers it overwrites.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") n as isize => value,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&value) { Err(Errno(-value as i32)) } else { Ok(value as usize) }
}

/// A call whose arguments are numbers, or pointers into values that outlive the call.
macro_rules! call {
    ($n:expr $(, $a:expr)* $(,)?) => {{
        let given = [$($a as usize),*];
        let mut all = [0usize; 6];
        all[..given.len()].copy_from_slice(&given);
        // SAFETY: every pointer given comes from a reference that lives until after the call.
        unsafe { $crate::sys::syscall($n, all) }
    }};
}
pub(crate) use call;

pub(crate) const AT_FDCWD: i32 = -100;
pub(crate) const AT_EMPTY_PATH: usize = 0x1000;
pub(crate) const AT_RECURSIVE: usize = 0x8000;
pub(crate) const AT_SYMLINK_NOFOLLOW: usize = 0x100;

pub(crate) const O_WRONLY: u64 = 1;
pub(crate) const O_RDWR: u64 = 2;
pub(crate) const O_CREAT: u64 = 0o100;
pub(crate) const O_EXCL: u64 = 0o200;
pub(crate) const O_NOCTTY: u64 = 0o400;
pub(crate) const O_DIRECTORY: u64 = 0o200_000;
pub(crate) const O_NOFOLLOW: u64 = 0o400_000;
pub(crate) const O_CLOEXEC: u64 = 0o2_000_000;
pub(crate) const O_PATH: u64 = 0o10_000_000;

/// `openat2(2)`.
pub(crate) const RESOLVE_NO_XDEV: u64 = 0x01;
pub(crate) const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub(crate) const RESOLVE_NO_SYMLINKS: u64 = 0x04;
pub(crate) const RESOLVE_IN_ROOT: u64 = 0x10;

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub(crate) fn openat2(dir: i32, path: &CStr, flags: u64, mode: u64, resolve: u64) -> Result<i32> {
    let how = OpenHow { flags: flags | O_CLOEXEC, mode, resolve };
    loop {
        // EAGAIN: a rename raced with the walk below a scoped root; the walk is tried again.
        match call!(nr::OPENAT2, dir, path.as_ptr(), &raw const how, size_of::<OpenHow>()) {
            Err(EAGAIN | EINTR) => {}
            other => return other.map(|fd| fd as i32),
        }
    }
}

pub(crate) fn close(fd: i32) {
    let _ = call!(nr::CLOSE, fd);
}

pub(crate) fn write_all(fd: i32, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        match call!(nr::WRITE, fd, data.as_ptr(), data.len()) {
            Ok(n) => data = &data[n..],
            Err(EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The parts of `struct statx` that are used; see `statx(2)`.
#[repr(C)]
pub(crate) struct Statx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    pub(crate) mode: u16,
    pad: u16,
    pub(crate) ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    times: [u64; 8],
    pub(crate) rdev_major: u32,
    pub(crate) rdev_minor: u32,
    pub(crate) dev_major: u32,
    pub(crate) dev_minor: u32,
    pub(crate) mount_id: u64,
    spare: [u64; 13],
}

pub(crate) fn statx(fd: i32) -> Result<Statx> {
    // SAFETY: all-zero bytes are a valid Statx: it holds integers only.
    let mut buf: Statx = unsafe { core::mem::zeroed() };
    /// STATX_BASIC_STATS and STATX_MNT_ID.
    const MASK: usize = 0x7ff | 0x1000;
    call!(nr::STATX, fd, c"".as_ptr(), AT_EMPTY_PATH, MASK, &raw mut buf)?;
    Ok(buf)
}

/// `f_type` of the file system behind `fd`; `struct statfs` is 120 bytes on 64-bit machines.
pub(crate) fn filesystem_magic(fd: i32) -> Result<u64> {
    let mut buf = [0u64; 15];
    call!(nr::FSTATFS, fd, buf.as_mut_ptr())?;
    Ok(buf[0])
}

pub(crate) fn prctl(option: usize, a: usize, b: usize) -> Result<usize> {
    call!(nr::PRCTL, option, a, b, 0usize, 0usize)
}

pub(crate) fn monotonic_ns() -> u64 {
    let mut ts = [0u64; 2];
    const CLOCK_MONOTONIC: usize = 1;
    let _ = call!(nr::CLOCK_GETTIME, CLOCK_MONOTONIC, ts.as_mut_ptr());
    ts[0] * 1_000_000_000 + ts[1]
}

/// With `clone_on`: this process goes on only once the other has executed a program or ended.
pub(crate) const CLONE_VFORK: usize = 0x4000;

/// `clone(2)` with CLONE_VM and `flags`: `entry(argument)` runs in the new process on `stack`.
///
/// # Safety
/// `argument` must be what `entry` takes, until the new process has executed a program or ended: it shares
/// this one's memory until then.
pub(crate) unsafe fn clone_on(
    flags: usize,
    stack: Stack,
    entry: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> Result<i32> {
    const CLONE_VM: usize = 0x100;
    const SIGCHLD: usize = 17;
    let value: isize;
    // SAFETY: in this process only the result register changes. The new process starts behind the
    // call with an empty stack and leaves through `entry`, which does not return.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") nr::CLONE as isize => value,
            in("rdi") CLONE_VM | SIGCHLD | flags,
            in("rsi") stack.top,
            in("rdx") 0usize,
            in("r10") 0usize,
            in("r8") 0usize,
            in("r12") entry as usize,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if value < 0 { Err(Errno(-value as i32)) } else { Ok(value as i32) }
}

pub(crate) fn exit(code: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, code);
    }
}
