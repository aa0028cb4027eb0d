//! Runs a seccomp program as the kernel would.

use super::bpf::{
    AND, Insn, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, JUMP_SET, LOAD, MAX_INSTRUCTIONS, RETURN,
};

/// AUDIT_ARCH_* of `include/uapi/linux/audit.h`.
pub(crate) const X86_64: u32 = 0xc000_003e;
pub(crate) const X86: u32 = 0x4000_0003;
pub(crate) const AARCH64: u32 = 0xc000_00b7;
pub(crate) const ARM: u32 = 0x4000_0028;
/// __X32_SYSCALL_BIT: x32 calls have x86_64's architecture and this bit in the number.
pub(crate) const X32_BIT: i32 = 0x4000_0000;

/// `struct seccomp_data`; see `seccomp(2)`. The instruction pointer is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Data {
    pub(crate) nr: i32,
    pub(crate) arch: u32,
    pub(crate) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            0 => Some(self.nr.cast_unsigned()),
            4 => Some(self.arch),
            8 | 12 => Some(0),
            16..64 if offset.is_multiple_of(4) => {
                let (arg, at) = (self.args[offset as usize / 8 - 2], offset as usize % 8);
                let half = arg.to_ne_bytes();
                Some(u32::from_ne_bytes([half[at], half[at + 1], half[at + 2], half[at + 3]]))
            }
            _ => None,
        }
    }
}

/// What the program returns and after how many instructions; `None` for a program that the kernel
/// would refuse.
pub(crate) fn run(program: &[u8], data: Data) -> Option<(u32, usize)> {
    if !program.len().is_multiple_of(Insn::SIZE) || program.len() / Insn::SIZE > MAX_INSTRUCTIONS {
        return None;
    }
    let (mut pc, mut a, mut steps) = (0, 0_u32, 0);
    loop {
        let bytes = program.get(pc * Insn::SIZE..(pc + 1) * Insn::SIZE)?;
        let Insn { code, jt, jf, k } = Insn::from_bytes(bytes.try_into().ok()?);
        steps += 1;
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        match code {
            LOAD => a = data.word(k)?,
            AND => a &= k,
            JUMP => pc += k as usize,
            JUMP_EQ => pc += branch(a == k),
            JUMP_GT => pc += branch(a > k),
            JUMP_GE => pc += branch(a >= k),
            JUMP_SET => pc += branch(a & k != 0),
            RETURN => return Some((k, steps)),
            _ => return None,
        }
    }
}
