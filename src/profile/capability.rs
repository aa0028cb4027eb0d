//! Capabilities and sets of them; see `capabilities(7)`.

use std::fmt;

/// Names by number, from `include/uapi/linux/capability.h`, without the prefix.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities: bit n stands for capability n.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CapSet(pub(crate) u64);

impl CapSet {
    pub(crate) const EMPTY: CapSet = CapSet(0);
    /// The highest capability known here, CAP_CHECKPOINT_RESTORE (Linux 5.9). The running kernel's is
    /// in `/proc/sys/kernel/cap_last_cap` and may be lower or higher.
    pub(crate) const LAST: u8 = 40;
    pub(crate) const ALL: CapSet = CapSet((1 << (Self::LAST + 1)) - 1);

    /// `NET_RAW`, `cap_net_raw` or `ALL`, in any case.
    pub(crate) fn parse(text: &str) -> Option<CapSet> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if upper == "ALL" {
            return Some(CapSet::ALL);
        }
        NAMES.iter().position(|n| *n == name).map(|bit| CapSet(1 << bit))
    }

    pub(crate) const fn has(self, capability: u8) -> bool {
        capability <= Self::LAST && self.0 >> capability & 1 == 1
    }

    pub(crate) const fn contains(self, other: CapSet) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn intersection(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    pub(crate) const fn union(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Short names (`NET_RAW`), lowest number first.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        (0..=Self::LAST).filter(move |n| self.has(*n)).map(|n| NAMES[usize::from(n)])
    }

    /// Every short name, for suggestions and completions.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().copied()
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for n in 0..=CapSet::LAST {
            let set = CapSet(1 << n);
            let name = set.names().next().unwrap();
            assert_eq!(CapSet::parse(name), Some(set));
            assert_eq!(CapSet::parse(&format!("cap_{}", name.to_lowercase())), Some(set));
        }
        assert_eq!(CapSet::parse("ALL"), Some(CapSet::ALL));
        assert_eq!(CapSet::parse("CAP_ALL"), None);
        assert_eq!(CapSet::parse("NET_RAWW"), None);
        assert_eq!(CapSet::parse(""), None);
    }

    #[test]
    fn numbers_are_the_kernels() {
        // Spot checks against capability.h: a shifted table would grant the neighbour.
        for (name, n) in
            [("KILL", 5), ("NET_RAW", 13), ("SYS_ADMIN", 21), ("SETFCAP", 31), ("BPF", 39)]
        {
            assert_eq!(CapSet::parse(name), Some(CapSet(1 << n)), "{name}");
        }
    }
}
