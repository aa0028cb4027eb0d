//! Ranges of call numbers → a program that finds a number's range.
//!
//! A start pays for each instruction (the kernel checks and translates it) and for each step (Linux
//! 5.11 and later run the filter once for every number, to learn which are permitted whatever their
//! arguments), so both count in the choice of the tree.

use std::collections::BTreeMap;

use super::bpf::{self, Insn, TooLong};
use super::ranges::{ARCHITECTURE, NUMBER, Range};

/// An architecture's AUDIT_ARCH_* and what is decided there.
pub(crate) type Searched = (u32, Vec<Range>);

/// The architectures are tried in order; any other gets `foreign`. `code` is what stands for a value
/// of a range, and returns in every branch.
pub(crate) fn program(
    architectures: &[Searched],
    foreign: u32,
    code: impl Fn(u32) -> Vec<Insn>,
) -> Result<Vec<Insn>, TooLong> {
    let mut out = Backwards::default();
    let values = architectures.iter().flat_map(|(_, ranges)| ranges).map(|r| r.value);
    for value in values.chain([foreign]) {
        out.leaf(value, &code);
    }
    let mut next = To::Leaf(foreign);
    for (arch, ranges) in architectures.iter().rev() {
        let mut found = out.tree(&Plan::new(ranges), 0, ranges.len())?;
        if let To::At(_) = found {
            found = out.push(Insn { code: bpf::LOAD, jt: 0, jf: 0, k: NUMBER });
        }
        next = out.branch(bpf::JUMP_EQ, *arch, found, next)?;
    }
    out.push(Insn { code: bpf::LOAD, jt: 0, jf: 0, k: ARCHITECTURE });
    out.code.reverse();
    Ok(out.code)
}

/// The cheapest tree for each run of neighbouring ranges: where to split it, or nowhere.
struct Plan<'a> {
    ranges: &'a [Range],
    splits: Vec<Option<usize>>,
}

/// The price of an instruction, in steps. From 20 to 1000, a start with the default filter takes the
/// same; with less, the program grows.
const INSTRUCTION: usize = 50;

/// The kernel asks about numbers below its NR_syscalls, which is less than this.
const TABLE: u32 = 512;

impl<'a> Plan<'a> {
    fn new(ranges: &'a [Range]) -> Self {
        let n = ranges.len();
        let mut plan = Plan { ranges, splits: vec![None; n * (n + 1)] };
        let mut costs = vec![0; plan.splits.len()];
        for length in 1..=n {
            for from in 0..=n - length {
                let to = from + length;
                let asked = ranges[to - 1].last.min(TABLE) - ranges[from].first.min(TABLE);
                let test = INSTRUCTION + asked as usize;
                let islands = is_sea(&ranges[from..to]).then_some((length / 2 * test, None));
                let halves = (from + 1..to).map(|middle| {
                    let below = costs[plan.index(from, middle)] + costs[plan.index(middle, to)];
                    (test + below, Some(middle))
                });
                let best = halves.chain(islands).min().unwrap_or_default();
                let index = plan.index(from, to);
                (costs[index], plan.splits[index]) = best;
            }
        }
        plan
    }

    fn index(&self, from: usize, to: usize) -> usize {
        from * (self.ranges.len() + 1) + to
    }
}

/// One value with single numbers in it that have others: a test for each of these is enough.
fn is_sea(ranges: &[Range]) -> bool {
    ranges.len() % 2 == 1
        && ranges.iter().step_by(2).all(|r| r.value == ranges[0].value)
        && ranges.iter().skip(1).step_by(2).all(|r| r.first == r.last)
}

/// Where a jump goes.
#[derive(Clone, Copy)]
enum To {
    /// The code for this value, or any copy of it.
    Leaf(u32),
    /// An instruction, by its place in `Backwards`.
    At(usize),
}

/// Jumps go forward only, so the program is written from its end: every target is known.
#[derive(Default)]
struct Backwards {
    code: Vec<Insn>,
    /// Where each value's code begins, the copy nearest to the program's beginning.
    leaves: BTreeMap<u32, usize>,
}

/// How far a conditional jump is let go. Its offsets have 8 bits, and reaching its other target may
/// put one more instruction in between.
const REACH: usize = 254;

impl Backwards {
    fn push(&mut self, insn: Insn) -> To {
        self.code.push(insn);
        To::At(self.code.len() - 1)
    }

    fn leaf(&mut self, value: u32, code: impl Fn(u32) -> Vec<Insn>) {
        if !self.leaves.contains_key(&value) {
            self.code.extend(code(value).into_iter().rev());
            self.leaves.insert(value, self.code.len() - 1);
        }
    }

    /// Code that tells the ranges `from..to` apart.
    fn tree(&mut self, plan: &Plan<'_>, from: usize, to: usize) -> Result<To, TooLong> {
        if let Some(middle) = plan.splits[plan.index(from, to)] {
            let high = self.tree(plan, middle, to)?;
            let low = self.tree(plan, from, middle)?;
            return self.branch(bpf::JUMP_GE, plan.ranges[middle].first, high, low);
        }
        let mut next = To::Leaf(plan.ranges[from].value);
        for island in plan.ranges[from + 1..to].iter().step_by(2).rev() {
            next = self.branch(bpf::JUMP_EQ, island.first, To::Leaf(island.value), next)?;
        }
        Ok(next)
    }

    fn branch(&mut self, code: u16, k: u32, yes: To, no: To) -> Result<To, TooLong> {
        let (yes, no) = (self.reach(yes)?, self.reach(no)?);
        let here = self.code.len();
        let offset = |at: usize| u8::try_from(here - at - 1).map_err(|_| TooLong);
        Ok(self.push(Insn { code, jt: offset(yes)?, jf: offset(no)?, k }))
    }

    /// The target's place, or that of something nearer which leads there.
    fn reach(&mut self, to: To) -> Result<usize, TooLong> {
        let at = match to {
            To::Leaf(value) => *self.leaves.get(&value).ok_or(TooLong)?,
            To::At(at) => at,
        };
        let distance = self.code.len() - at - 1;
        if distance <= REACH {
            return Ok(at);
        }
        let far = self.code[at];
        self.code.push(if far.code == bpf::RETURN {
            far
        } else {
            let k = u32::try_from(distance).map_err(|_| TooLong)?;
            Insn { code: bpf::JUMP, jt: 0, jf: 0, k }
        });
        let near = self.code.len() - 1;
        if let To::Leaf(value) = to {
            self.leaves.insert(value, near);
        }
        Ok(near)
    }
}
