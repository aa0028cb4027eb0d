//! What a search for call numbers decides, as ranges of numbers that are decided alike.
//!
//! libseccomp compares with each number that has a rule. Neighbours are mostly decided alike, so that
//! a search needs to know the ranges' bounds only.

use super::bpf::{self, Insn};

/// `struct seccomp_data`: where the number and the architecture are.
pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCHITECTURE: u32 = 4;

/// Numbers for which the program returns the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u32,
    /// The last number itself.
    pub(crate) last: u32,
    /// What is returned.
    pub(crate) value: u32,
}

/// The program looks at more than architecture and number, or uses instructions that no search needs.
#[derive(Debug)]
pub(crate) struct NotASearch;

/// All numbers, in order; neighbouring ranges differ in value.
pub(crate) fn ranges(program: &[Insn], arch: u32) -> Result<Vec<Range>, NotASearch> {
    // `decide` knows no arithmetic: what it returns changes only at a constant of a comparison, or
    // behind one.
    let compared = program
        .iter()
        .filter(|i| matches!(i.code, bpf::JUMP_EQ | bpf::JUMP_GT | bpf::JUMP_GE))
        .map(|i| i.k);
    let mut bounds: Vec<u32> =
        compared.flat_map(|k| [Some(k), k.checked_add(1)]).flatten().chain([0]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut out: Vec<Range> = Vec::new();
    for first in bounds {
        let value = decide(program, arch, first)?;
        match out.last_mut() {
            Some(before) if before.value == value => continue,
            Some(before) => before.last = first - 1,
            None => {}
        }
        out.push(Range { first, last: u32::MAX, value });
    }
    Ok(out)
}

/// What the program returns for a number, by running it.
pub(crate) fn decide(program: &[Insn], arch: u32, number: u32) -> Result<u32, NotASearch> {
    let (mut pc, mut a) = (0, 0);
    loop {
        let insn = program.get(pc).ok_or(NotASearch)?;
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { insn.jt } else { insn.jf });
        match (insn.code, insn.k) {
            (bpf::LOAD, NUMBER) => a = number,
            (bpf::LOAD, ARCHITECTURE) => a = arch,
            (bpf::JUMP, k) => pc += k as usize,
            (bpf::JUMP_EQ, k) => pc += branch(a == k),
            (bpf::JUMP_GT, k) => pc += branch(a > k),
            (bpf::JUMP_GE, k) => pc += branch(a >= k),
            (bpf::RETURN, k) => return Ok(k),
            _ => return Err(NotASearch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    #[test]
    fn every_number_is_in_one_range_and_neighbours_differ() {
        let program = [
            insn(bpf::LOAD, 0, 0, NUMBER),
            insn(bpf::JUMP_EQ, 3, 0, 7),
            insn(bpf::JUMP_GT, 2, 0, 9),
            insn(bpf::JUMP_EQ, 0, 0, 3),
            insn(bpf::RETURN, 0, 0, 1),
            insn(bpf::RETURN, 0, 0, 2),
        ];
        let range = |first, last, value| Range { first, last, value };
        let expected = [range(0, 6, 1), range(7, 7, 2), range(8, 9, 1), range(10, u32::MAX, 2)];
        assert_eq!(ranges(&program, 0).unwrap(), expected);
    }

    #[test]
    fn a_program_that_looks_at_an_argument_is_refused() {
        let program = [insn(bpf::LOAD, 0, 0, 16), insn(bpf::RETURN, 0, 0, 1)];
        assert!(ranges(&program, 0).is_err());
    }
}
