//! The names of system calls, from libseccomp's tables.

use std::collections::BTreeSet;

use libseccomp::{ScmpArch, ScmpSyscall};

/// Tables whose names a profile may use, whatever machine it is compiled on.
const TABLES: [ScmpArch; 5] =
    [ScmpArch::X8664, ScmpArch::X86, ScmpArch::X32, ScmpArch::Aarch64, ScmpArch::Arm];

/// Whether libseccomp knows the name for any architecture.
pub(crate) fn is_known(name: &str) -> bool {
    TABLES.iter().any(|arch| ScmpSyscall::from_name_by_arch(name, *arch).is_ok())
}

/// Every name of the architectures above; slow, for suggestions and tests.
pub(crate) fn all() -> BTreeSet<String> {
    // x32 numbers start at bit 30; no table reaches 1024.
    TABLES
        .iter()
        .flat_map(|arch| {
            let base = if *arch == ScmpArch::X32 { 0x4000_0000 } else { 0 };
            (base..base + 1024)
                .filter_map(|n| ScmpSyscall::from_raw_syscall(n).get_name_by_arch(*arch).ok())
        })
        .collect()
}

/// Every name that a profile may use, also those of calls that only other machines have; slower still.
pub(crate) fn known() -> BTreeSet<String> {
    // libseccomp numbers downwards from -100 and -10000 what an architecture lacks.
    let lacking = (-12_000..0)
        .filter_map(|n| ScmpSyscall::from_raw_syscall(n).get_name_by_arch(ScmpArch::X8664).ok());
    lacking.chain(all()).collect()
}
