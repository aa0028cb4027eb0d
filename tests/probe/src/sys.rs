//! System calls by number, natively and as a 32-bit program makes them, each in a process of its own.

use std::ffi::{CStr, CString, c_long};

/// What a call returned: a value of 0 or more, or an error number.
pub(crate) type Outcome = Result<i64, i32>;

/// A native call. Arguments are values, null, or addresses of data that outlives the call.
pub(crate) fn call(number: i64, args: [u64; 6]) -> Outcome {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the callers pass calls that write nothing through their arguments.
    let ret = unsafe { libc::syscall(number as c_long, a, b, c, d, e, f) };
    if ret == -1 {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        Ok(ret)
    }
}

/// A call through int 0x80, which takes 32-bit numbers and arguments. A kernel without 32-bit
/// support answers with SIGSEGV.
pub(crate) fn call32(number: u32, args: [u32; 5]) -> Outcome {
    let [a, b, c, d, e] = args;
    let ret: i32;
    // SAFETY: the callers pass null for every address. rbx, which the compiler keeps for itself, is
    // put back; r8 to r11 are not preserved by kernels before 4.17.
    unsafe {
        std::arch::asm!(
            "xchg {first}, rbx",
            "int 0x80",
            "xchg {first}, rbx",
            first = inout(reg) u64::from(a) => _,
            inlateout("eax") number => ret,
            in("ecx") b,
            in("edx") c,
            in("esi") d,
            in("edi") e,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    if ret < 0 { Err(-ret) } else { Ok(i64::from(ret)) }
}

/// How an attempt ended.
pub(crate) enum End {
    Ok,
    Errno(i32),
    Signal(i32),
}

/// Runs an attempt in a child, so that what it changes of a process ends with that.
pub(crate) fn apart(attempt: impl FnOnce() -> Outcome) -> End {
    // SAFETY: this process has one thread, so that the child may do whatever this one may.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = match attempt() {
            Ok(_) => 0,
            // Error numbers end at 133 and fit into an exit code.
            Err(errno) => errno,
        };
        leave(code);
    }
    wait(pid)
}

pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: _exit takes any code and runs no handler.
    unsafe { libc::_exit(code) }
}

fn wait(pid: i32) -> End {
    let mut status = 0;
    // A child that is traced stops before it dies; only its end counts.
    // SAFETY: status is a valid place for an int during the call.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
        if libc::WIFEXITED(status) {
            return match libc::WEXITSTATUS(status) {
                0 => End::Ok,
                errno => End::Errno(errno),
            };
        }
        if libc::WIFSIGNALED(status) {
            return End::Signal(libc::WTERMSIG(status));
        }
    }
    End::Errno(libc::ECHILD)
}

/// The extended attributes of a file, by name; links are not followed.
pub(crate) fn xattrs(path: &CStr) -> std::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // What the kernel allows: xattr(7).
    let mut names = vec![0_u8; 1 << 16];
    // SAFETY: the path ends in NUL, and the buffer is as long as is said.
    let len = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(len).map_err(|_| std::io::Error::last_os_error())?);
    let mut list = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let key = CString::new(name)?;
        let mut value = vec![0_u8; 1 << 16];
        let (at, len) = (value.as_mut_ptr().cast(), value.len());
        // SAFETY: as above.
        let len = unsafe { libc::lgetxattr(path.as_ptr(), key.as_ptr(), at, len) };
        value.truncate(usize::try_from(len).map_err(|_| std::io::Error::last_os_error())?);
        list.push((name.to_owned(), value));
    }
    list.sort_unstable();
    Ok(list)
}

/// A child that waits for its end.
pub(crate) fn pausing() -> Result<i32, i32> {
    // SAFETY: as above, this process has one thread.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: pause takes no arguments.
            unsafe { libc::pause() };
        },
        child if child < 0 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        child => Ok(child),
    }
}

/// Ends a child of this process.
pub(crate) fn killed(child: i32) {
    // SAFETY: the child has not been waited for, so that the id is its own.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait(child);
}

/// Nanoseconds for each of so many calls.
pub(crate) fn getppid(count: u32) -> f64 {
    let start = std::time::Instant::now();
    for _ in 0..count {
        // SAFETY: getppid takes no arguments.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1))
}
