//! Runs a seccomp program as the kernel would, and fails on what the kernel would refuse to load.

use crate::profile::bpf::{AND, Insn, JUMP, JUMP_EQ, JUMP_GT, LOAD, MAX_INSTRUCTIONS, RETURN};

/// AUDIT_ARCH_* of `include/uapi/linux/audit.h`.
pub(super) const X86_64: u32 = 0xc000_003e;
pub(super) const X86: u32 = 0x4000_0003;
pub(super) const AARCH64: u32 = 0xc000_00b7;
pub(super) const ARM: u32 = 0x4000_0028;
/// __X32_SYSCALL_BIT: x32 calls have x86_64's architecture and this bit in the number.
pub(super) const X32_BIT: i32 = 0x4000_0000;

/// `struct seccomp_data`; see `seccomp(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Data {
    pub(super) nr: i32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 64, "the kernel refuses a load at {offset}");
        match offset {
            0 => self.nr.cast_unsigned(),
            4 => self.arch,
            8 | 12 => 0,
            _ => {
                let (arg, at) = (self.args[offset as usize / 8 - 2], offset as usize % 8);
                u32::from_ne_bytes(arg.to_ne_bytes()[at..at + 4].try_into().unwrap())
            }
        }
    }
}

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
    assert!(program.len().is_multiple_of(8) && program.len() / 8 <= MAX_INSTRUCTIONS);
    let insn = |pc: usize| Insn::from_bytes(program[pc * 8..pc * 8 + 8].try_into().unwrap());
    let (mut pc, mut a, mut steps) = (0, 0_u32, 0);
    loop {
        let Insn { code, jt, jf, k } = insn(pc);
        steps += 1;
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        match code {
            LOAD => a = data.word(k),
            AND => a &= k,
            JUMP => pc += k as usize,
            JUMP_EQ => pc += branch(a == k),
            JUMP_GT => pc += branch(a > k),
            // JGE and JSET, which libseccomp emits too.
            0x35 => pc += branch(a >= k),
            0x45 => pc += branch(a & k != 0),
            RETURN => return (decision(k), steps),
            other => panic!("instruction {code:#x} is not known here ({other})"),
        }
    }
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
