//! What programs decide, in tests: a program that the kernel would refuse fails them.

pub(super) use crate::profile::interpreter::{AARCH64, ARM, Data, X32_BIT, X86, X86_64};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    Log,
    Kill,
    KillThread,
    Trap,
    Errno(u16),
    Other(u32),
}

pub(super) fn run(program: &[u8], data: Data) -> Decision {
    count(program, data).0
}

/// The decision, and how many instructions it took.
pub(super) fn count(program: &[u8], data: Data) -> (Decision, usize) {
    let run = crate::profile::interpreter::run(program, data);
    let (value, steps) = run.expect("a program that the kernel takes");
    (decision(value), steps)
}

fn decision(k: u32) -> Decision {
    match k & 0xffff_0000 {
        0x7fff_0000 => Decision::Allow,
        0x7ffc_0000 => Decision::Log,
        0x8000_0000 => Decision::Kill,
        0 => Decision::KillThread,
        0x0003_0000 => Decision::Trap,
        0x0005_0000 => Decision::Errno((k & 0xffff) as u16),
        _ => Decision::Other(k),
    }
}
