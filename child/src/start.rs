//! Starting a helper without waiting for it to execute: posix_spawn(3) suspends its caller until then,
//! which for a program with many libraries is a third of a millisecond.

use crate::op::Stack;
use crate::process;
use crate::sys::{self, Result, call, nr};

/// A program, and what it gets.
#[derive(Debug)]
pub struct Start<'a> {
    /// An absolute path; tables of C strings, each ended by a null pointer.
    pub path: *const u8,
    pub argv: &'a [*const u8],
    pub envp: &'a [*const u8],
    /// What becomes its standard input, output and error. It gets nothing else.
    pub stdio: [i32; 3],
}

/// The exit code of a process whose program could not be executed.
pub const NOT_EXECUTED: i32 = 127;

/// Starts it and returns its number. It ends with its parent, unless it is a program whose privileges
/// are raised (`prctl(2)`, PR_SET_PDEATHSIG).
///
/// Until then the process works in this one's memory, so that what it is given must never go away.
pub fn start(what: &'static Start<'static>, stack: Stack) -> Result<i32> {
    // SAFETY: `stack` is for this; `what` is never freed; `enter` takes a `Start`.
    unsafe { sys::clone_on(0, stack, enter, core::ptr::from_ref(what).cast_mut().cast()) }
}

extern "C" fn enter(what: *mut u8) -> ! {
    // SAFETY: `start` passes its own argument, which nobody writes to.
    let what = unsafe { &*what.cast::<Start<'_>>() };
    let ready = process::die_with_its_parent()
        .and_then(|()| {
            what.stdio.iter().zip(0..).try_for_each(|(from, to)| process::stdio(*from, to))
        })
        .and_then(|()| process::close_on_exec(3))
        .and_then(|()| process::reset_signals());
    if ready.is_ok() {
        let _ = call!(nr::EXECVE, what.path, what.argv.as_ptr(), what.envp.as_ptr());
    }
    sys::exit(NOT_EXECUTED)
}
