//! Every number of both architectures, with arguments around every constant that a rule mentions:
//! the program decides as the policy's rules say when read one by one, and as libseccomp's own.

use std::collections::BTreeSet;

use libseccomp::{ScmpArch, ScmpSyscall};

use super::interpreter::{self, AARCH64, ARM, Data, Decision, X32_BIT, X86, X86_64};
use super::{CapSet, Policy, caps, compile, default_policy, policy_of, run};
use crate::profile::bpf::Insn;
use crate::profile::compile::{Marked, compile_for, marked};
use crate::profile::policy::{Action, Arch, Condition, Op};

/// The policy read naively, without verdicts, trees or bytes.
fn model(policy: &Policy, granted: CapSet, name: &str, args: [u64; 6]) -> Decision {
    let holds = |c: &Condition| {
        let (a, v) = (args[usize::from(c.index)] & c.mask, c.values[0]);
        match c.op {
            Op::Eq => c.values.contains(&a),
            Op::Ne => !c.values.contains(&a),
            Op::Lt => a < v,
            Op::Le => a <= v,
            Op::Gt => a > v,
            Op::Ge => a >= v,
        }
    };
    let rules: Vec<_> = policy
        .rules
        .iter()
        .filter(|r| r.syscalls.iter().any(|s| s == name))
        .filter(|r| r.when.0 & !granted.0 == 0 && r.unless.0 & granted.0 == 0)
        .collect();
    let conditional = rules.iter().filter(|r| !r.conditions.is_empty());
    let plain = rules.iter().filter(|r| r.conditions.is_empty());
    let found = conditional.chain(plain).find(|r| r.conditions.iter().all(holds));
    match found.map_or(policy.default, |r| r.action) {
        Action::Allow => Decision::Allow,
        Action::Log => Decision::Log,
        Action::Kill => Decision::Kill,
        Action::KillThread => Decision::KillThread,
        Action::Trap => Decision::Trap,
        Action::Errno(n) => Decision::Errno(n),
        other => panic!("no filter is made of {other:?}"),
    }
}

/// Values around each constant, in both halves of an argument.
pub(super) fn interesting(policy: &Policy) -> Vec<u64> {
    let constants = policy.rules.iter().flat_map(|r| &r.conditions);
    let mut values: Vec<u64> = constants
        .flat_map(|c| c.values.iter().copied().chain([c.mask]))
        .flat_map(|v| [v, v.wrapping_sub(1), v.wrapping_add(1), v | 1 << 32, v << 32])
        .chain([0, 1, u64::MAX, 1 << 31, 1 << 63])
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// On each machine whose own architecture is listed, whichever runs the test.
fn agree_with_libseccomp(policy: &Policy, granted: CapSet) {
    for (arch, machine) in [(Arch::X86_64, "x86_64"), (Arch::Aarch64, "aarch64")] {
        if policy.architectures.contains(&arch) {
            agree_on(policy, granted, machine);
        }
    }
}

/// The program decides as libseccomp's own and the blocks behind its markers, beyond all tables too.
fn agree_on(policy: &Policy, granted: CapSet, machine: &'static str) {
    let compiled = compile_for(policy, granted, machine).unwrap();
    let verdicts = policy.verdicts(granted).unwrap();
    let Marked { program, blocks } = marked(policy, verdicts, machine).unwrap();
    let bytes = |code: &[Insn]| code.iter().flat_map(|i| i.to_bytes()).collect::<Vec<u8>>();
    let program = bytes(&program);
    let values = interesting(policy);
    let powers = (0..32).flat_map(|bit| (-3..=3).map(move |n| (1_i32 << bit).wrapping_add(n)));
    let x32 = (0..2048).map(|nr| nr | X32_BIT);
    // Arm's private calls, such as cacheflush.
    let private = (0..16).map(|nr| nr | 0x000f_0000);
    let numbers: BTreeSet<i32> =
        (0..=2048).chain(powers).chain(x32).chain(private).chain([-1]).collect();
    let mut filtered = BTreeSet::new();
    // The last ones are never listed, nor those of the other machine.
    for arch in [X86_64, X86, AARCH64, ARM, 0, u32::MAX] {
        for nr in numbers.iter().copied() {
            let expected = |data: Data| match interpreter::run(&program, data) {
                Decision::Other(marker) => interpreter::run(&bytes(&blocks.code(marker)), data),
                decision => decision,
            };
            let check = |args: [u64; 6]| {
                let data = Data { nr, arch, args };
                let got = run(&compiled, data);
                assert_eq!(got, expected(data), "{machine} {data:x?} {granted:?}");
                got
            };
            if check([0; 6]) != Decision::Errno(38) {
                filtered.insert(arch);
            }
            check([u64::MAX; 6]);
            let first = interpreter::run(&program, Data { nr, arch, args: [0; 6] });
            if !matches!(first, Decision::Other(marker) if blocks.code(marker).len() > 1) {
                continue;
            }
            for (value, index) in values.iter().flat_map(|v| (0..6).map(move |n| (*v, n))) {
                for rest in [0, 16, 9] {
                    let mut args = [rest; 6];
                    args[index] = value;
                    check(args);
                }
            }
        }
    }
    // Otherwise two programs that know no architecture at all would agree.
    let listed = policy.architectures.iter().filter(|a| a.machine() == machine);
    let listed: BTreeSet<u32> = listed
        .map(|arch| match arch {
            Arch::X86_64 | Arch::X32 => X86_64,
            Arch::X86 => X86,
            Arch::Aarch64 => AARCH64,
            Arch::Arm => ARM,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(filtered, listed, "{machine}");
}

fn agree(policy: &Policy, granted: CapSet) {
    agree_with_libseccomp(policy, granted);
    let compiled = compile(policy, granted).unwrap();
    let values = interesting(policy);
    let with_args: Vec<&str> = policy
        .rules
        .iter()
        .filter(|r| !r.conditions.is_empty())
        .flat_map(|r| r.syscalls.iter().map(String::as_str))
        .collect();
    for (table, arch, narrow) in [(ScmpArch::X8664, X86_64, false), (ScmpArch::X86, X86, true)] {
        // Negative numbers and those past any table too: ptrace can set them.
        for nr in (0..1100).chain([-1, -2, -100, i32::MIN, X32_BIT - 1]) {
            let name = ScmpSyscall::from_raw_syscall(nr).get_name_by_arch(table).ok();
            let name = name.filter(|_| nr >= 0).unwrap_or_default();
            let check = |args: [u64; 6]| {
                let expected = if arch == X86_64 && nr < -1 {
                    // The x32 bit is set in these.
                    Decision::Errno(38)
                } else {
                    model(policy, granted, &name, args)
                };
                let got = run(&compiled, Data { nr, arch, args });
                assert_eq!(got, expected, "{arch:x} {nr} {name} {args:x?} {granted:?}");
            };
            check([0; 6]);
            check([u64::from(u32::MAX); 6]);
            if with_args.contains(&name.as_str()) {
                for a in &values {
                    for index in 0..6 {
                        for rest in [0, 16, 9] {
                            let mut args = [rest; 6];
                            args[index] = *a;
                            check(if narrow { args.map(|a| a & 0xffff_ffff) } else { args });
                        }
                    }
                }
            }
        }
    }
    for nr in 0..1100 {
        let data = Data { nr: nr | X32_BIT, arch: X86_64, args: [0; 6] };
        assert_eq!(run(&compiled, data), Decision::Errno(38), "x32 {nr}");
        // Arm's 64-bit calls: an architecture that is not this machine's.
        let data = Data { nr, arch: AARCH64, args: [0; 6] };
        assert_eq!(run(&compiled, data), Decision::Errno(38), "foreign {nr}");
    }
}

#[test]
fn the_default_filter_is_what_its_rules_say() {
    let policy = default_policy();
    for set in [super::base_caps(), CapSet::EMPTY, CapSet::ALL, caps("NET_RAW")] {
        agree(&policy, set);
    }
}

#[test]
fn every_operator_action_and_width_compiles_to_what_it_says() {
    let mut text =
        "default = \"log\"\narchitectures = [\"x86_64\", \"x86\", \"aarch64\", \"arm\"]\n"
            .to_owned();
    let calls = ["read", "write", "open", "close", "socket", "ioctl"];
    let masks = ["", ", mask = 0xffff_ffff", ", mask = 0xff00_0000_ff00"];
    for (n, (call, op)) in calls.iter().zip(["eq", "ne", "lt", "le", "gt", "ge"]).enumerate() {
        for (mask, value) in masks.iter().zip(["0x2_0000_0003", "0x8000_0000", "0x1200_0000_3400"])
        {
            text += &format!(
                "[[seccomp.group]]\nname = \"{call}\"\naction = \"errno\"\nerrno = \"E2BIG\"\n\
                 syscalls = [\"{call}\"]\n\
                 args = [{{ index = {n}, op = \"{op}\", value = {value}{mask} }}]\n"
            );
        }
        let rest = ["kill", "kill-thread", "trap"][n % 3];
        text += &format!(
            "[[seccomp.group]]\nname = \"{call} rest\"\naction = \"{rest}\"\nsyscalls = [\"{call}\"]\n"
        );
    }
    text += "[[seccomp.group]]\nname = \"both\"\naction = \"allow\"\nsyscalls = [\"futex\"]\nargs = \
             [{ index = 0, op = \"eq\", value = [1, 0x1_0000_0000] }, { index = 1, op = \"ne\", \
             value = [1, 0x1_0000_0000] }]\n";
    agree(&policy_of(&text), CapSet::EMPTY);
}

/// No two neighbours alike, on three architectures, and blocks between: the search itself is longer
/// than a conditional jump reaches, and so is the way to what it finds.
#[test]
fn a_long_program_reaches_all_its_parts() {
    let mut text =
        "default = \"kill\"\narchitectures = [\"x86_64\", \"x86\", \"x32\", \"aarch64\", \"arm\"]\n".to_owned();
    for (n, name) in crate::profile::syscalls::all().iter().enumerate() {
        let args = match n % 8 {
            0 => format!("args = [{{ index = {}, op = \"gt\", value = {} }}]\n", n % 6, n % 7),
            _ => String::new(),
        };
        let action = match n % 3 {
            0 => "\"allow\"".to_owned(),
            1 => "\"log\"".to_owned(),
            _ => format!("\"errno\"\nerrno = \"{}\"", ["EPERM", "ENOENT", "EIO"][n / 3 % 3]),
        };
        text += &format!(
            "[[seccomp.group]]\nname = \"{n}\"\naction = {action}\nsyscalls = [\"{name}\"]\n{args}"
        );
    }
    let policy = policy_of(&text);
    let size = compile(&policy, CapSet::EMPTY).unwrap().program.len() / Insn::SIZE;
    assert!(size > 3 * 255, "{size} instructions");
    agree_with_libseccomp(&policy, CapSet::EMPTY);
}

#[test]
fn the_shipped_filters_are_small() {
    for filter in super::Builtin::base().filters {
        let size = filter.program.len() / Insn::SIZE;
        assert!(size <= 200, "{size} instructions");
    }
}

#[test]
fn filters_of_the_other_machine_are_small_too() {
    let caps = super::base_caps();
    for machine in ["x86_64", "aarch64"] {
        let compiled = compile_for(&default_policy(), caps, machine).unwrap();
        let size = compiled.program.len() / Insn::SIZE;
        assert!((100..=220).contains(&size), "{machine}: {size} instructions");
    }
}

#[test]
fn the_cost_of_frequent_calls_is_bounded() {
    let compiled = compile(&default_policy(), super::base_caps()).unwrap();
    for name in ["read", "write", "openat", "futex", "clone3", "close", "epoll_wait"] {
        let nr = ScmpSyscall::from_name_by_arch(name, ScmpArch::X8664).unwrap().as_raw_syscall();
        let data = Data { nr, arch: X86_64, args: [0; 6] };
        let (_, steps) = interpreter::count(&compiled.program, data);
        assert!(steps <= 12, "{name} takes {steps} instructions");
    }
}
