//! A policy → the BPF program that the kernel runs.
//!
//! libseccomp knows the numbers of every architecture. It cannot say "permit ioctl except for these
//! requests, whatever the upper half of the argument is": one rule compares an argument once, and a
//! rule without conditions swallows those with. So calls with conditions are given to it as a numbered
//! marker, SECCOMP_RET_TRACE, which no profile can ask for, and each marker then stands for code of
//! ours that looks at the arguments.
//!
//! Its program compares with every number that has a rule. What it decides for each number is read off
//! (`ranges`) and written down as a search for ranges (`search`), a fifth of the size. A call without
//! conditions stays constant for the kernel's own cache of permitted calls (Linux 5.11).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpFilterContext, ScmpSyscall, ScmpVersion};

use super::bpf::{self, Insn};
use super::capability::CapSet;
use super::policy::{Action, Arch, Contradiction, Policy, Verdict};
use super::ranges::{self, NotASearch};
use super::search;

/// A program and what the caller must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// An array of `struct sock_filter`; empty where nothing is filtered.
    pub(crate) program: Vec<u8>,
    /// keyctl may succeed, so that the session keyring must not be the caller's.
    pub(crate) allows_keyctl: bool,
}

#[derive(Debug)]
pub(crate) enum Failure {
    Contradiction(Contradiction),
    /// No architecture of this machine is listed.
    NoArchitecture(&'static str),
    TooLong,
    /// An action that sbx has nothing for, the group or key that asks for it, and why.
    NoSuchAction(String, &'static str),
    /// The group refuses calls that this libseccomp does not know, and that the default permits.
    Unknown(String, Vec<String>),
    Library(SeccompError),
    /// libseccomp's program is not what it was asked for.
    NotASearch,
    Io(std::io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Contradiction(Contradiction { syscall, first, second }) => {
                write!(f, "groups {first} and {second} contradict each other about {syscall}")
            }
            Failure::NoArchitecture(name) => {
                write!(f, "key seccomp.architectures: {name}, this machine's own, is not listed")
            }
            Failure::TooLong => write!(
                f,
                "the filter is too long: more than {} instructions, or 255 in one group's args",
                bpf::MAX_INSTRUCTIONS
            ),
            Failure::NoSuchAction(place, why) => write!(f, "{place}: {why}"),
            Failure::Unknown(origin, names) => write!(
                f,
                "group {origin} refuses calls that libseccomp {} does not know and that `default` would \
                 permit: {}",
                library_version(),
                names.join(", ")
            ),
            Failure::Library(e) => write!(f, "libseccomp: {e}"),
            Failure::NotASearch => {
                write!(f, "this version of libseccomp writes filters that sbx cannot read")
            }
            Failure::Io(e) => write!(f, "cannot read the filter back: {e}"),
        }
    }
}

impl From<SeccompError> for Failure {
    fn from(e: SeccompError) -> Self {
        Failure::Library(e)
    }
}

impl From<NotASearch> for Failure {
    fn from(_: NotASearch) -> Self {
        Failure::NotASearch
    }
}

/// Raised with every change to the programs that this compiler makes of a policy.
pub(crate) const REVISION: u32 = 3;

/// The library's version, which is part of what a compiled filter depends on.
pub(crate) fn library_version() -> String {
    ScmpVersion::current()
        .map_or_else(|_| "unknown".to_owned(), |v| format!("{}.{}.{}", v.major, v.minor, v.micro))
}

/// Calls that multiplex others on 32-bit x86. libseccomp adds a rule for socketcall beside each rule
/// for socket, and the like for ipc, whose arguments are then not those of the call that was named.
/// They get the verdict of their own names instead.
const MULTIPLEXERS: [&str; 2] = ["socketcall", "ipc"];

/// The marker for the first block; SECCOMP_RET_TRACE is 0x7ff0_0000.
const MARKER: u32 = 0x7ff0_0000;
const MARKER_MASK: u32 = 0xffff_0000;

pub(crate) fn compile(policy: &Policy, caps: CapSet) -> Result<Compiled, Failure> {
    compile_for(policy, caps, std::env::consts::ARCH)
}

/// For the machine of this name, which need not be the one that compiles.
pub(crate) fn compile_for(
    policy: &Policy,
    caps: CapSet,
    machine: &'static str,
) -> Result<Compiled, Failure> {
    carried_out(policy, caps)?;
    let verdicts = policy.verdicts(caps).map_err(Failure::Contradiction)?;
    let allows_keyctl =
        verdicts.get("keyctl").map_or(policy.default == Action::Allow, Verdict::may_allow);
    if policy.is_unconfined() {
        return Ok(Compiled { program: Vec::new(), allows_keyctl: true });
    }
    let Marked { program, blocks } = marked(policy, verdicts, machine)?;
    let program = blocks.inline(program);
    let architectures = audited(policy, machine)
        .into_iter()
        .map(|arch| Ok((arch, ranges::ranges(&program, arch)?)))
        .collect::<Result<Vec<_>, NotASearch>>()?;
    let foreign = ranges::decide(&program, 0, 0)?;
    let code = search::program(&architectures, foreign, |value| blocks.code(value))
        .map_err(|_| Failure::TooLong)?;
    if code.len() > bpf::MAX_INSTRUCTIONS {
        return Err(Failure::TooLong);
    }
    let program = code.into_iter().flat_map(Insn::to_bytes).collect();
    Ok(Compiled { program, allows_keyctl })
}

/// Refuses what cannot be done as the policy says.
fn carried_out(policy: &Policy, caps: CapSet) -> Result<(), Failure> {
    let refused = |action| match action {
        Action::Notify => {
            Some("the action `notify` needs a supervisor of its own, which sbx does not have")
        }
        Action::Trace(_) => Some(
            "the action `trace` is no restriction: a program in the sandbox can trace itself and let the \
             call through",
        ),
        _ => None,
    };
    if let Some(why) = refused(policy.default) {
        return Err(Failure::NoSuchAction("key seccomp.default".to_owned(), why));
    }
    for rule in policy.active(caps) {
        if let Some(why) = refused(rule.action) {
            return Err(Failure::NoSuchAction(format!("group {}", rule.origin()), why));
        }
        if policy.default.permits() && !rule.action.permits() && !rule.unknown.is_empty() {
            return Err(Failure::Unknown(rule.origin(), rule.unknown.clone()));
        }
    }
    Ok(())
}

/// What libseccomp makes of a policy: every number's action, or the marker of a block.
pub(crate) struct Marked {
    pub(crate) program: Vec<Insn>,
    pub(crate) blocks: Blocks,
}

pub(crate) fn marked(
    policy: &Policy,
    mut verdicts: BTreeMap<&str, Verdict>,
    machine: &'static str,
) -> Result<Marked, Failure> {
    for name in MULTIPLEXERS {
        let default = Verdict { cases: Vec::new(), otherwise: policy.default };
        verdicts.entry(name).or_insert(default);
    }

    let mut blocks = Blocks::default();
    let default = blocks.action(policy.default)?;
    let mut filter = ScmpFilterContext::new(default)?;
    filter.set_ctl_optimize(2)?;
    // Architectures that are not listed fail like those that a kernel was built without, and never
    // fall to a permissive default.
    filter.set_act_badarch(ScmpAction::Errno(ENOSYS))?;
    architectures(&mut filter, policy, machine)?;

    // The multiplexers last: their rules replace those that came along with other calls.
    let (last, first): (Vec<_>, Vec<_>) =
        verdicts.iter().partition(|(name, _)| MULTIPLEXERS.contains(name));
    for (name, verdict) in first {
        let action = blocks.verdict(verdict)?;
        if action != default {
            filter.add_rule(action, ScmpSyscall::from_name(name)?)?;
        }
    }
    for (name, verdict) in last {
        // Always a marker of their own: libseccomp refuses a rule that equals the default.
        let action = blocks.fresh(bpf::block(verdict).map_err(|_| Failure::TooLong)?)?;
        filter.add_rule(action, ScmpSyscall::from_name(name)?)?;
    }
    Ok(Marked { program: instructions(&export(&filter)?), blocks })
}

const ENOSYS: i32 = 38;

fn architectures(
    filter: &mut ScmpFilterContext,
    policy: &Policy,
    machine: &'static str,
) -> Result<(), Failure> {
    let native = Arch::EVERY.into_iter().find(|(_, name)| *name == machine).map(|(arch, _)| arch);
    match native {
        Some(native) if policy.architectures.contains(&native) => {}
        _ => return Err(Failure::NoArchitecture(machine)),
    }
    for arch in listed(policy, machine) {
        filter.add_arch(match arch {
            Arch::X86_64 => ScmpArch::X8664,
            Arch::X86 => ScmpArch::X86,
            Arch::X32 => ScmpArch::X32,
            Arch::Aarch64 => ScmpArch::Aarch64,
            Arch::Arm => ScmpArch::Arm,
            Arch::Native | Arch::Foreign(_) => continue,
        })?;
    }
    if machine != std::env::consts::ARCH {
        // A filter begins with the architecture that libseccomp runs on.
        filter.remove_arch(ScmpArch::Native)?;
    }
    Ok(())
}

/// The policy's architectures that the machine can run.
fn listed(policy: &Policy, machine: &'static str) -> impl Iterator<Item = Arch> {
    policy.architectures.iter().copied().filter(move |a| a.machine() == machine)
}

/// AUDIT_ARCH_* of `include/uapi/linux/audit.h`, the 64-bit one first: nearly all calls come by it.
fn audited(policy: &Policy, machine: &'static str) -> Vec<u32> {
    let mut out: Vec<u32> = listed(policy, machine)
        .filter_map(|arch| match arch {
            // x32 is x86_64 with a bit in the number.
            Arch::X86_64 | Arch::X32 => Some(0xc000_003e),
            Arch::X86 => Some(0x4000_0003),
            Arch::Aarch64 => Some(0xc000_00b7),
            Arch::Arm => Some(0x4000_0028),
            Arch::Native | Arch::Foreign(_) => None,
        })
        .collect();
    out.sort_unstable_by_key(|arch| std::cmp::Reverse(*arch));
    out.dedup();
    out
}

fn instructions(program: &[u8]) -> Vec<Insn> {
    program
        .chunks_exact(Insn::SIZE)
        .map(|c| Insn::from_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
        .collect()
}

/// The pieces of code that stand behind the markers.
#[derive(Default)]
pub(crate) struct Blocks(Vec<Vec<Insn>>);

impl Blocks {
    fn verdict(&mut self, verdict: &Verdict) -> Result<ScmpAction, Failure> {
        if verdict.cases.is_empty() {
            return self.action(verdict.otherwise);
        }
        self.marker(bpf::block(verdict).map_err(|_| Failure::TooLong)?)
    }

    /// Only actions that libseccomp passes on without asking the running kernel whether it has them:
    /// filters are compiled on other machines than they run on.
    fn action(&mut self, action: Action) -> Result<ScmpAction, Failure> {
        match action {
            Action::Allow => Ok(ScmpAction::Allow),
            Action::Errno(number) => Ok(ScmpAction::Errno(i32::from(number))),
            Action::Log
            | Action::Kill
            | Action::KillThread
            | Action::Trap
            | Action::Trace(_)
            | Action::Notify => {
                let k = bpf::return_value(action);
                self.marker(vec![Insn { code: bpf::RETURN, jt: 0, jf: 0, k }])
            }
        }
    }

    fn marker(&mut self, block: Vec<Insn>) -> Result<ScmpAction, Failure> {
        match self.0.iter().position(|b| *b == block) {
            Some(n) => trace(n),
            None => self.fresh(block),
        }
    }

    fn fresh(&mut self, block: Vec<Insn>) -> Result<ScmpAction, Failure> {
        self.0.push(block);
        trace(self.0.len() - 1)
    }

    /// The code behind a return value of libseccomp's program.
    pub(crate) fn code(&self, value: u32) -> Vec<Insn> {
        match value & MARKER_MASK {
            MARKER => self.0[(value & !MARKER_MASK) as usize].clone(),
            _ => vec![Insn { code: bpf::RETURN, jt: 0, jf: 0, k: value }],
        }
    }

    /// The program with each marker of a lone return replaced by that, so that it equals others.
    fn inline(&self, mut program: Vec<Insn>) -> Vec<Insn> {
        for insn in program.iter_mut().filter(|i| i.code == bpf::RETURN) {
            if let [only] = self.code(insn.k)[..] {
                *insn = only;
            }
        }
        program
    }
}

fn trace(marker: usize) -> Result<ScmpAction, Failure> {
    u16::try_from(marker).map(ScmpAction::Trace).map_err(|_| Failure::TooLong)
}

/// libseccomp before 2.6 writes a program to a descriptor only.
pub(crate) fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>, Failure> {
    let (mut reader, writer) = std::io::pipe().map_err(Failure::Io)?;
    std::thread::scope(|scope| {
        // A pipe holds 64 KiB: without a reader, a program that is far too long would block for ever.
        let read = scope.spawn(move || {
            let mut program = Vec::new();
            reader.read_to_end(&mut program).map(|_| program)
        });
        let written = filter.export_bpf(&writer);
        drop(writer);
        let program = read.join().map_err(|_| Failure::Io(std::io::ErrorKind::Other.into()))?;
        written?;
        program.map_err(Failure::Io)
    })
}
