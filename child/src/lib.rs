//! What runs between `clone3` and `exec`.
//!
//! The parent prepares an ordered list of operations ([`Op`]); [`run`] interprets it with raw system
//! calls. There is no allocator in this crate, so code that would allocate, format or take a lock in
//! the cloned process does not compile. The first failure is written to a pipe as the number of the
//! operation and the errno, and the process ends.

#![no_std]

mod init;
mod landlock;
mod mount;
mod op;
mod path;
mod process;
mod run;
mod start;
mod sys;

pub use op::{
    Arguments, Failure, FileId, From, Landlock, Lookup, Op, Param, Port, Program, Rule, SLOTS,
    Segment, Shape, Slot, Stack,
};
pub use run::run;
pub use start::{NOT_EXECUTED, Start, start};
pub use sys::Errno;
