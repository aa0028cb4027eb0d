//! Resource limits; see `getrlimit(2)`.

/// What is limited. The numbers are those of `include/uapi/asm-generic/resource.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Cpu = 0,
    Fsize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    Rss = 5,
    Nproc = 6,
    Nofile = 7,
    Memlock = 8,
    As = 9,
    Locks = 10,
    Sigpending = 11,
    Msgqueue = 12,
    Nice = 13,
    Rtprio = 14,
    Rttime = 15,
}

impl Resource {
    pub(crate) const EVERY: [Resource; 16] = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];

    /// The number that `prlimit64` takes.
    pub(crate) const fn raw(self) -> u32 {
        self as u32
    }

    /// `core`, as in profiles and in `--ulimit`; the runtime-spec writes it `RLIMIT_CORE`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Fsize => "fsize",
            Resource::Data => "data",
            Resource::Stack => "stack",
            Resource::Core => "core",
            Resource::Rss => "rss",
            Resource::Nproc => "nproc",
            Resource::Nofile => "nofile",
            Resource::Memlock => "memlock",
            Resource::As => "as",
            Resource::Locks => "locks",
            Resource::Sigpending => "sigpending",
            Resource::Msgqueue => "msgqueue",
            Resource::Nice => "nice",
            Resource::Rtprio => "rtprio",
            Resource::Rttime => "rttime",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Resource> {
        Self::EVERY.into_iter().find(|r| r.name() == name)
    }
}

/// One limit, in the unit of its resource; `None` is unlimited. A resource without an `Rlimit` keeps
/// the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rlimit {
    pub(crate) kind: Resource,
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(Resource::Core.raw(), libc::RLIMIT_CORE);
        assert_eq!(Resource::Nofile.raw(), libc::RLIMIT_NOFILE);
        assert_eq!(Resource::Rttime.raw(), libc::RLIMIT_RTTIME);
        for (n, r) in (0..).zip(Resource::EVERY) {
            assert_eq!(r.raw(), n);
            assert_eq!(Resource::parse(r.name()), Some(r));
        }
    }
}
