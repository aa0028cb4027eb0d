//! Architectures, and the hosts that a rule is for.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arch {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
    /// Whatever the machine's own is.
    Native,
    /// Of machines that sbx does not run on.
    Foreign(&'static str),
}

/// libseccomp's other architectures: files that are shared between machines name them.
const FOREIGN: [&str; 17] = [
    "loongarch64",
    "m68k",
    "mips",
    "mips64",
    "mips64n32",
    "mipsel",
    "mipsel64",
    "mipsel64n32",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv64",
    "s390",
    "s390x",
    "sh",
];

impl Arch {
    pub(crate) const EVERY: [(Arch, &'static str); 6] = [
        (Arch::X86_64, "x86_64"),
        (Arch::X86, "x86"),
        (Arch::X32, "x32"),
        (Arch::Aarch64, "aarch64"),
        (Arch::Arm, "arm"),
        (Arch::Native, "native"),
    ];

    pub(crate) fn parse(name: &str) -> Option<Arch> {
        let own = Self::EVERY.into_iter().find(|(_, n)| *n == name).map(|(arch, _)| arch);
        own.or_else(|| FOREIGN.into_iter().find(|n| *n == name).map(Arch::Foreign))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Arch::Foreign(name) => name,
            _ => Self::EVERY.into_iter().find(|(a, _)| *a == self).map_or("", |(_, name)| name),
        }
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::EVERY.into_iter().map(|(_, name)| name).chain(FOREIGN)
    }

    /// The machine that can run calls of this architecture.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Arch::X86_64 | Arch::X86 | Arch::X32 => "x86_64",
            Arch::Aarch64 | Arch::Arm => "aarch64",
            Arch::Native => "native",
            Arch::Foreign(name) => name,
        }
    }
}

/// The hosts for which a rule exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostNeeds {
    /// The machine's own architecture is one of these; empty for any,
    pub(crate) when: Vec<Arch>,
    /// and none of these.
    pub(crate) unless: Vec<Arch>,
    /// Linux at least of this version,
    pub(crate) min_kernel: Option<(u16, u16)>,
    /// and older than this one.
    pub(crate) below_kernel: Option<(u16, u16)>,
}

impl HostNeeds {
    pub(crate) fn met_on(&self, machine: &str, kernel: impl Fn() -> (u16, u16)) -> bool {
        let named = |list: &[Arch]| list.iter().any(|arch| arch.name() == machine);
        (self.when.is_empty() || named(&self.when))
            && !named(&self.unless)
            && self.min_kernel.is_none_or(|least| kernel() >= least)
            && self.below_kernel.is_none_or(|end| kernel() < end)
    }

    pub(crate) fn on_kernel(&self) -> bool {
        self.min_kernel.is_some() || self.below_kernel.is_some()
    }
}

/// Of the running kernel; 0.0 where it cannot be told, so that nothing is taken to be there.
pub(crate) fn running_kernel() -> (u16, u16) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
