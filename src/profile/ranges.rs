//! A search for single call numbers → a search for ranges of them.
//!
//! libseccomp compares a number with each call that has a rule. Most neighbours are decided alike, so
//! that comparing with the bounds of the ranges is enough: a quarter of the instructions, which the
//! kernel has to check, translate and emulate for every call number at each start.

use super::bpf::{self, Insn};

/// `struct seccomp_data`: where the number and the architecture are.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The program that decides as `program` does for each of the architectures, and as that does for a
/// foreign one otherwise. `None` where it looks at something else than architecture and number.
pub(crate) fn by_ranges(program: &[Insn], architectures: &[u32]) -> Option<Vec<Insn>> {
    let foreign = decide(program, 0, 0)?;
    let mut trees = Vec::new();
    for arch in architectures {
        let mut tree = vec![plain(bpf::LOAD, NUMBER)];
        tree.extend(search(&ranges(program, *arch)?)?);
        trees.push(tree);
    }
    let mut out = vec![plain(bpf::LOAD, ARCHITECTURE)];
    // Behind the head of two instructions an architecture, and the return for a foreign one.
    let mut start = 1 + 2 * architectures.len() + 1;
    for (arch, tree) in architectures.iter().zip(&trees) {
        out.push(Insn { code: bpf::JUMP_EQ, jt: 0, jf: 1, k: *arch });
        out.push(plain(bpf::JUMP, u32::try_from(start - out.len() - 1).ok()?));
        start += tree.len();
    }
    out.push(plain(bpf::RETURN, foreign));
    out.extend(trees.into_iter().flatten());
    Some(out)
}

fn plain(code: u16, k: u32) -> Insn {
    Insn { code, jt: 0, jf: 0, k }
}

/// The first number of each range, and what is returned for the range. A decision changes only at a
/// constant that the program compares with, or behind one.
fn ranges(program: &[Insn], arch: u32) -> Option<Vec<(u32, u32)>> {
    let compared = program
        .iter()
        .filter(|i| matches!(i.code, bpf::JUMP_EQ | bpf::JUMP_GT | bpf::JUMP_GE))
        .map(|i| i.k);
    let mut bounds: Vec<u32> =
        compared.flat_map(|k| [Some(k), k.checked_add(1)]).flatten().chain([0]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut out: Vec<(u32, u32)> = Vec::new();
    for start in bounds {
        let value = decide(program, arch, start)?;
        if out.last().is_none_or(|(_, last)| *last != value) {
            out.push((start, value));
        }
    }
    Some(out)
}

/// What the program returns, by running it.
fn decide(program: &[Insn], arch: u32, number: u32) -> Option<u32> {
    let (mut pc, mut a) = (0, 0);
    loop {
        let insn = program.get(pc)?;
        pc += 1;
        let holds = match insn.code {
            bpf::RETURN => return Some(insn.k),
            bpf::LOAD => {
                a = match insn.k {
                    NUMBER => number,
                    ARCHITECTURE => arch,
                    _ => return None,
                };
                continue;
            }
            bpf::JUMP => {
                pc += insn.k as usize;
                continue;
            }
            bpf::JUMP_EQ => a == insn.k,
            bpf::JUMP_GT => a > insn.k,
            bpf::JUMP_GE => a >= insn.k,
            _ => return None,
        };
        pc += usize::from(if holds { insn.jt } else { insn.jf });
    }
}

/// A balanced search: lower half first, then upper half.
fn search(ranges: &[(u32, u32)]) -> Option<Vec<Insn>> {
    if let [(_, value)] = ranges {
        return Some(vec![plain(bpf::RETURN, *value)]);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let k = high.first()?.0;
    let (low, high) = (search(low)?, search(high)?);
    let mut out = match u8::try_from(low.len()) {
        Ok(jt) => vec![Insn { code: bpf::JUMP_GE, jt, jf: 0, k }],
        // Conditional jumps reach 255 instructions.
        Err(_) => vec![
            Insn { code: bpf::JUMP_GE, jt: 0, jf: 1, k },
            plain(bpf::JUMP, u32::try_from(low.len()).ok()?),
        ],
    };
    out.extend(low);
    out.extend(high);
    Some(out)
}
