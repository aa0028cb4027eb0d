//! The processes that stay: PID 1 for programs that do not reap, and the outer init of a program that
//! is PID 1 itself. Both forward every signal and collect every child.

use core::ffi::CStr;

use crate::op::{Arguments, Program, Segment, Stack};
use crate::run::{self, State};
use crate::sys::{self, EAGAIN, ECHILD, EINTR, Result, call, nr};

const SIGCHLD: usize = 17;
const SIGKILL: usize = 9;
const SIGCONT: usize = 18;
const SIGSTOP: usize = 19;
const SIGTSTP: usize = 20;

/// What `ps` shows of these processes.
const NAME: &CStr = c"sbx-init";

/// What is left of the list for the process that is forked.
pub(crate) struct Rest<'a> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) state: &'a mut State,
    pub(crate) first: usize,
}

/// Forks. The child goes on with the list; this process becomes the reaper. It has the credentials
/// and the filter of the program, and all signals blocked: a blocked signal is queued for PID 1 even
/// where the default action would have the kernel drop it (`pid_namespaces(7)`).
pub(crate) fn split(
    rest: Rest<'_>,
    terminal: bool,
    arguments: Arguments,
    image: &[Segment],
    stack: Stack,
) -> Result<()> {
    let begin = if terminal { own_group_in_front } else { own_group };
    become_reaper(rest, begin, 0, arguments, image, stack)
}

/// Forks into a PID namespace below this one, which ends with this process.
pub(crate) fn nest(
    rest: Rest<'_>,
    arguments: Arguments,
    image: &[Segment],
    stack: Stack,
) -> Result<()> {
    const CLONE_NEWPID: usize = 0x2000_0000;
    // Nothing of the host is to be held as the working directory once the root has changed.
    call!(nr::CHDIR, c"/".as_ptr())?;
    become_reaper(rest, || Ok(()), CLONE_NEWPID, arguments, image, stack)
}

/// The child borrows this process's memory until exec, as vfork(2) has it: a copy would cost more than
/// all that the child has left to do. It runs on a stack of its own, so that this one stays whole.
fn become_reaper(
    rest: Rest<'_>,
    begin: fn() -> Result<()>,
    flags: usize,
    arguments: Arguments,
    image: &[Segment],
    stack: Stack,
) -> Result<()> {
    // The program may look at PID 1 before this process has run again. Nothing below needs this memory:
    // what the program is given has been copied elsewhere.
    overwrite(arguments);
    let mut entry = Entry { rest, begin };
    // SAFETY: `stack` is for this, and `entry` outlives the child's use of it, since this process is suspended
    // until the child has its own memory or has ended; `enter` takes an `Entry`.
    let child =
        unsafe { sys::clone_on(sys::CLONE_VFORK | flags, stack, enter, (&raw mut entry).cast()) }?;
    const PR_SET_NAME: usize = 15;
    let _ = sys::prctl(PR_SET_NAME, NAME.as_ptr() as usize, 0);
    forget(image);
    reap(child)
}

struct Entry<'a> {
    rest: Rest<'a>,
    begin: fn() -> Result<()>,
}

extern "C" fn enter(entry: *mut u8) -> ! {
    // SAFETY: `become_reaper` passes its own `Entry`, and does not touch it while this runs.
    let Entry { rest, begin } = unsafe { &mut *entry.cast::<Entry<'_>>() };
    if let Err(errno) = begin() {
        run::fail(rest.program, rest.first - 1, errno);
    }
    run::mark(rest.program, rest.first - 1);
    run::go_on(rest.program, rest.state, rest.first)
}

/// A signal of the terminal reaches the program once, not also through the reaper.
fn own_group() -> Result<()> {
    call!(nr::SETPGID, 0usize, 0usize).map(drop)
}

fn own_group_in_front() -> Result<()> {
    own_group()?;
    foreground()
}

fn foreground() -> Result<()> {
    const TIOCSPGRP: usize = 0x5410;
    const GETPID: usize = 39;
    let group = call!(GETPID)? as i32;
    call!(nr::IOCTL, 0usize, TIOCSPGRP, &raw const group).map(drop)
}

/// The command line of sbx names files of the host.
fn overwrite(arguments: Arguments) {
    let bytes = NAME.to_bytes();
    for at in 0..arguments.len {
        let byte = bytes.get(at).copied().unwrap_or(0);
        // SAFETY: the parent read from the kernel that its command line lies there, this process has
        // a copy of that memory, and nothing here refers to it.
        unsafe { ((arguments.start + at) as *mut u8).write_volatile(byte) };
    }
}

/// What is needed again comes back from the file: a few pages of this loop.
fn forget(image: &[Segment]) {
    const MADV_DONTNEED: usize = 4;
    for segment in image {
        let _ = call!(nr::MADVISE, segment.start, segment.len, MADV_DONTNEED);
    }
}

fn reap(child: i32) -> ! {
    // Nothing may be held open by this process: end of file on the report pipe and on the program's
    // output must mean what it says.
    let _ = call!(nr::CLOSE_RANGE, 0u32, u32::MAX, 0usize);
    let all = u64::MAX;
    loop {
        // Children first: one may have ended before this loop began.
        if let Some(code) = collect(child) {
            sys::exit(code);
        }
        match call!(nr::RT_SIGTIMEDWAIT, &raw const all, 0usize, 0usize, 8usize) {
            Ok(SIGCHLD) | Err(EINTR | EAGAIN) => {}
            // The job is stopped and goes on as a whole.
            Ok(SIGTSTP) => everybody(SIGSTOP),
            Ok(SIGCONT) => everybody(SIGCONT),
            Ok(signal) => {
                let _ = call!(nr::KILL, child, signal);
            }
            Err(_) => {
                let _ = call!(nr::KILL, child, SIGKILL);
            }
        }
    }
}

/// Every process of this namespace and of those below it, but this one (`kill(2)`).
fn everybody(signal: usize) {
    let _ = call!(nr::KILL, -1i32, signal);
}

/// Collects all that have ended; the exit code once `child` is among them.
fn collect(child: i32) -> Option<i32> {
    const WNOHANG: usize = 1;
    loop {
        let mut status = 0i32;
        match call!(nr::WAIT4, -1i32, &raw mut status, WNOHANG, 0usize) {
            Ok(0) | Err(ECHILD) => return None,
            Ok(pid) if pid as i32 == child => {
                let signal = status & 0x7f;
                return Some(if signal == 0 { status >> 8 & 0xff } else { 128 + signal });
            }
            Ok(_) | Err(EINTR) => {}
            Err(_) => return None,
        }
    }
}
