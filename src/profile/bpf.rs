//! Classic BPF: instructions as bytes, and the code that tests a call's arguments.
//!
//! See `seccomp(2)` for `struct seccomp_data` and `Documentation/networking/filter.rst` for the
//! instruction set.

use super::policy::{Action, Condition, Op, Verdict};

pub(crate) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(crate) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(crate) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(crate) const JUMP_EQ: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(crate) const JUMP_GT: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
pub(crate) const JUMP_GE: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(crate) const JUMP_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
pub(crate) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// BPF_MAXINSNS, the kernel's bound on one program.
pub(crate) const MAX_INSTRUCTIONS: usize = 4096;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

impl Insn {
    pub(crate) const SIZE: usize = 8;

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.k.to_ne_bytes();
        [c0, c1, self.jt, self.jf, k0, k1, k2, k3]
    }

    pub(crate) fn from_bytes(b: [u8; 8]) -> Self {
        let k = u32::from_ne_bytes([b[4], b[5], b[6], b[7]]);
        Insn { code: u16::from_ne_bytes([b[0], b[1]]), jt: b[2], jf: b[3], k }
    }
}

/// The return value of a filter; see `seccomp(2)`.
pub(crate) fn return_value(action: Action) -> u32 {
    match action {
        Action::Kill => 0x8000_0000,
        Action::KillThread => 0,
        Action::Trap => 0x0003_0000,
        Action::Notify => 0x7fc0_0000,
        Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
        Action::Errno(number) => 0x0005_0000 | u32::from(number),
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    }
}

/// The action behind a filter's return value.
pub(crate) fn action(value: u32) -> Option<Action> {
    let data = (value & 0xffff) as u16;
    let plain = [Action::Allow, Action::Log, Action::Kill, Action::KillThread, Action::Trap];
    let found = plain.into_iter().find(|action| return_value(*action) == value);
    found.or_else(|| (value >> 16 == 5).then_some(Action::Errno(data)))
}

/// Too many comparisons for the 8-bit jumps of one rule.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Code that tries the cases of a verdict in order and returns an action in every branch.
///
/// It reads `args` only, whose place in `struct seccomp_data` is the same for every architecture;
/// 32-bit calls have the upper halves zero.
pub(crate) fn block(verdict: &Verdict) -> Result<Vec<Insn>, TooLong> {
    let mut out = Vec::new();
    for (conditions, action) in &verdict.cases {
        let mut case = Case::default();
        for condition in conditions {
            case.test(condition);
        }
        case.plain(RETURN, return_value(*action));
        out.extend(case.resolve()?);
    }
    out.push(Insn { code: RETURN, jt: 0, jf: 0, k: return_value(verdict.otherwise) });
    Ok(out)
}

/// Where a jump goes.
#[derive(Clone, Copy)]
enum To {
    /// The next instruction.
    Next,
    /// A place within the case, by the number of its label.
    Label(usize),
    /// Past the case's end: it does not match.
    Fail,
}

#[derive(Default)]
struct Case {
    code: Vec<(u16, u32, To, To)>,
    labels: Vec<usize>,
}

impl Case {
    fn plain(&mut self, code: u16, k: u32) {
        self.code.push((code, k, To::Next, To::Next));
    }

    fn jump(&mut self, code: u16, k: u32, jt: To, jf: To) {
        self.code.push((code, k, jt, jf));
    }

    fn label(&mut self) -> usize {
        self.labels.push(usize::MAX);
        self.labels.len() - 1
    }

    fn place(&mut self, label: usize) {
        self.labels[label] = self.code.len();
    }

    fn load(&mut self, condition: &Condition, half: Half) {
        // The offset of args in struct seccomp_data is 16; x86 and Arm are little-endian.
        let offset = 16 + 8 * u32::from(condition.index) + if half == Half::High { 4 } else { 0 };
        self.plain(LOAD, offset);
        let mask = half.of(condition.mask);
        if mask != u32::MAX {
            self.plain(AND, mask);
        }
    }

    fn test(&mut self, condition: &Condition) {
        let pass = self.label();
        let (equal, unequal) = match condition.op {
            Op::Ne => (To::Fail, To::Label(pass)),
            _ => (To::Label(pass), To::Fail),
        };
        let value = condition.values[0];
        match condition.op {
            Op::Eq | Op::Ne
                if condition.values.iter().all(|v| Half::High.of(*v) == Half::High.of(value)) =>
            {
                if Half::High.of(condition.mask) != 0 {
                    self.load(condition, Half::High);
                    self.jump(JUMP_EQ, Half::High.of(value), To::Next, unequal);
                }
                self.load(condition, Half::Low);
                let (last, rest) = condition.values.split_last().unwrap_or((&value, &[]));
                for v in rest {
                    self.jump(JUMP_EQ, Half::Low.of(*v), equal, To::Next);
                }
                self.jump(JUMP_EQ, Half::Low.of(*last), equal, unequal);
            }
            Op::Eq | Op::Ne => {
                for (n, v) in condition.values.iter().enumerate() {
                    let another = self.label();
                    let next =
                        if n + 1 == condition.values.len() { unequal } else { To::Label(another) };
                    self.load(condition, Half::High);
                    self.jump(JUMP_EQ, Half::High.of(*v), To::Next, next);
                    self.load(condition, Half::Low);
                    self.jump(JUMP_EQ, Half::Low.of(*v), equal, next);
                    self.place(another);
                }
            }
            Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                let go = |holds: bool| if holds { To::Label(pass) } else { To::Fail };
                let above = go(matches!(condition.op, Op::Gt | Op::Ge));
                let below = go(matches!(condition.op, Op::Lt | Op::Le));
                let same = go(matches!(condition.op, Op::Le | Op::Ge));
                self.load(condition, Half::High);
                self.jump(JUMP_GT, Half::High.of(value), above, To::Next);
                self.jump(JUMP_EQ, Half::High.of(value), To::Next, below);
                self.load(condition, Half::Low);
                self.jump(JUMP_GT, Half::Low.of(value), above, To::Next);
                self.jump(JUMP_EQ, Half::Low.of(value), same, below);
            }
        }
        self.place(pass);
    }

    fn resolve(&self) -> Result<Vec<Insn>, TooLong> {
        let end = self.code.len();
        let offset = |from: usize, to: To| {
            let target = match to {
                To::Next => from + 1,
                To::Label(n) => self.labels[n],
                To::Fail => end,
            };
            u8::try_from(target - from - 1).map_err(|_| TooLong)
        };
        (0..)
            .zip(&self.code)
            .map(|(n, (code, k, jt, jf))| {
                Ok(Insn { code: *code, jt: offset(n, *jt)?, jf: offset(n, *jf)?, k: *k })
            })
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Low,
    High,
}

impl Half {
    fn of(self, value: u64) -> u32 {
        match self {
            Half::Low => (value & 0xffff_ffff) as u32,
            Half::High => (value >> 32) as u32,
        }
    }
}
