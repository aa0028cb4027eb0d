//! What a start's filter decides about a call, and which group says so.

use std::borrow::Cow;
use std::fmt;

use libseccomp::{ScmpArch, ScmpSyscall};

use super::interpreter::{self, Data};
use super::policy::{Action, Arch, Contradiction, Policy};
use super::suggest::nearest;
use super::{CapSet, Profile, Seccomp, arguments, bpf, load, rows, syscalls};
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;

/// A profile's filter with the rules that it was made of.
pub(crate) struct Trial {
    caps: CapSet,
    /// The bytes that a start installs.
    program: Cow<'static, [u8]>,
    policy: Policy,
}

/// A call that was tried.
#[derive(Debug)]
pub(crate) struct Answer {
    /// By the table of the architecture, or the number.
    pub(crate) call: String,
    pub(crate) number: i32,
    pub(crate) arch: &'static str,
    pub(crate) args: Vec<u64>,
    /// As `allow` or `errno EPERM`.
    pub(crate) action: String,
    pub(crate) by: By,
    /// How many BPF instructions the kernel runs for it, where it does not remember the answer.
    pub(crate) instructions: usize,
}

/// What decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Its name or first call, file and line.
    Group {
        name: String,
        place: String,
    },
    Default,
    /// The architecture is not listed.
    Architecture,
    NoFilter,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Group { name, place } => write!(f, "group \"{name}\" ({place})"),
            By::Default => f.write_str("no group: the default action"),
            By::Architecture => f.write_str("the architecture is not listed"),
            By::NoFilter => f.write_str("there is no filter"),
        }
    }
}

impl Trial {
    pub(crate) fn new(profile: &Profile, caps: CapSet, dirs: &Dirs) -> Result<Trial> {
        let program = profile.filter(caps, dirs)?.program;
        let policy = match &profile.seccomp {
            Seccomp::Builtin(builtin) => load::builtin_policy(builtin)?,
            Seccomp::Custom(custom) => custom.policy()?,
            Seccomp::Unconfined => Policy::nothing(),
        };
        Ok(Trial { caps, program, policy })
    }

    /// `words` are a call's name or number, and its arguments.
    pub(crate) fn call(&self, arch: Arch, words: &[String]) -> Result<Answer> {
        let what = || format!("cannot try `{}`", words.join(" "));
        let (word, rest) = words
            .split_first()
            .ok_or_else(|| Error::new("cannot try a call", "there is no name of one"))?;
        let (table, audit) =
            tables(arch).filter(|_| arch.machine() == std::env::consts::ARCH).ok_or_else(|| {
                Error::new(what(), format!("this machine makes no calls through {}", arch.name()))
            })?;
        let (name, number) = find(word, table, arch).ok_or_else(|| {
            let error = Error::new(what(), format!("{} has no system call {word}", arch.name()));
            let all = syscalls::all();
            match nearest(word, all.iter().map(String::as_str)) {
                Some(word) => error.fix(format!("did you mean `{word}`?")),
                None => error,
            }
        })?;
        if rest.len() > 6 {
            return Err(Error::new(what(), "a call has six arguments"));
        }
        let narrow = matches!(arch, Arch::X86 | Arch::Arm);
        let args: Vec<u64> = rest
            .iter()
            .map(|word| arguments::parse(word, narrow).map_err(|why| Error::new(what(), why)))
            .collect::<Result<_>>()?;
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(&args);
        let data = Data { nr: number, arch: audit, args: all };
        let (action, by) = self.decide(arch, &name, data)?;
        let action = rows::action(action);
        let instructions = interpreter::run(&self.program, data).map_or(0, |(_, steps)| steps);
        Ok(Answer { call: name, number, arch: arch.name(), args, action, by, instructions })
    }

    /// By the program; the rules say who, and must agree.
    pub(super) fn decide(&self, arch: Arch, name: &str, data: Data) -> Result<(Action, By)> {
        if self.program.is_empty() {
            return Ok((Action::Allow, By::NoFilter));
        }
        let damaged = |why: String| Error::new("cannot run the filter", why);
        let value = interpreter::run(&self.program, data)
            .ok_or_else(|| damaged("the kernel would refuse it".to_owned()))?;
        let action =
            bpf::action(value.0).ok_or_else(|| damaged(format!("it returns {:#x}", value.0)))?;
        let (expected, by) = if self.policy.architectures.contains(&arch) {
            let rule = self.policy.decider(self.caps, name, &data.args).map_err(
                |Contradiction { syscall, first, second }| {
                    damaged(format!(
                        "groups {first} and {second} contradict each other about {syscall}"
                    ))
                },
            )?;
            match rule {
                Some(rule) => (
                    rule.action,
                    By::Group { name: rule.label().to_owned(), place: rule.place.clone() },
                ),
                None => (self.policy.default, By::Default),
            }
        } else {
            (Action::Errno(ENOSYS), By::Architecture)
        };
        if action != expected {
            let (got, said) = (rows::action(action), rows::action(expected));
            return Err(damaged(format!(
                "it decides {got} about {name}, and its rules say {said}"
            )));
        }
        Ok((action, by))
    }
}

/// What calls through an architecture that is not listed return.
const ENOSYS: u16 = 38;

fn tables(arch: Arch) -> Option<(ScmpArch, u32)> {
    Some(match arch {
        Arch::X86_64 => (ScmpArch::X8664, interpreter::X86_64),
        Arch::X86 => (ScmpArch::X86, interpreter::X86),
        Arch::X32 => (ScmpArch::X32, interpreter::X86_64),
        Arch::Aarch64 => (ScmpArch::Aarch64, interpreter::AARCH64),
        Arch::Arm => (ScmpArch::Arm, interpreter::ARM),
        Arch::Native | Arch::Foreign(_) => return None,
    })
}

/// The call's name and number. By number, since libseccomp answers with numbers of its own for 32-bit
/// socket calls.
fn find(word: &str, table: ScmpArch, arch: Arch) -> Option<(String, i32)> {
    let base = if arch == Arch::X32 { interpreter::X32_BIT } else { 0 };
    let name_of = |number: i32| ScmpSyscall::from_raw_syscall(number).get_name_by_arch(table).ok();
    if let Ok(number) = arguments::parse(word, true) {
        let number = u32::try_from(number).ok()?.cast_signed() | base;
        return Some((name_of(number).unwrap_or_else(|| word.to_owned()), number));
    }
    let numbers = (base..base + 1024).chain(0x000f_0000..0x000f_0010);
    numbers
        .into_iter()
        .find(|n| name_of(*n).is_some_and(|name| name == word))
        .map(|n| (word.to_owned(), n))
}
