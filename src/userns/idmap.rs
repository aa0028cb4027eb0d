//! Id maps: which ids inside the user namespace stand for which ids outside.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub(crate) use super::defaults::{MoreIds, for_store, lack, single};

/// One line of `/proc/PID/uid_map`; see `user_namespaces(7)`, "Defining user and group ID mappings".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) inside: u32,
    pub(crate) outside: u32,
    pub(crate) len: u32,
}

/// How the user namespace gets its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdMap {
    /// No new user namespace: the ids and privileges that the caller has already.
    Inherit,
    /// One user id and one group id, written by the parent without help; setgroups is denied.
    Single { uid: Range, gid: Range },
    /// Ranges of subordinate ids, written by newuidmap and newgidmap.
    Helpers { uids: Vec<Range>, gids: Vec<Range> },
    /// Ranges written by the parent, which has CAP_SETUID and CAP_SETGID (root as the caller).
    Direct { uids: Vec<Range>, gids: Vec<Range> },
}

impl IdMap {
    pub(crate) fn uids(&self) -> &[Range] {
        match self {
            IdMap::Inherit => &[],
            IdMap::Single { uid, .. } => std::slice::from_ref(uid),
            IdMap::Helpers { uids, .. } | IdMap::Direct { uids, .. } => uids,
        }
    }

    pub(crate) fn gids(&self) -> &[Range] {
        match self {
            IdMap::Inherit => &[],
            IdMap::Single { gid, .. } => std::slice::from_ref(gid),
            IdMap::Helpers { gids, .. } | IdMap::Direct { gids, .. } => gids,
        }
    }

    /// Whether `id` has a meaning inside; every id has one where no namespace is made.
    pub(crate) fn maps_uid(&self, id: u32) -> bool {
        matches!(self, IdMap::Inherit) || to_outside(self.uids(), id).is_some()
    }

    pub(crate) fn maps_gid(&self, id: u32) -> bool {
        matches!(self, IdMap::Inherit) || to_outside(self.gids(), id).is_some()
    }
}

/// The id outside that `id` inside stands for.
pub(crate) fn to_outside(ranges: &[Range], id: u32) -> Option<u32> {
    ranges
        .iter()
        .find(|r| id >= r.inside && id - r.inside < r.len)
        .map(|r| r.outside + (id - r.inside))
}

/// The ids of `a`, as `inside`, with those of `b`, as `outside`, that stand for the same ids of the host.
pub(crate) fn between(a: &[Range], b: &[Range]) -> Vec<Range> {
    let mut out = Vec::new();
    for x in a {
        for y in b {
            let start = x.outside.max(y.outside);
            let end = x.outside.saturating_add(x.len).min(y.outside.saturating_add(y.len));
            if start < end {
                let inside = x.inside + (start - x.outside);
                let outside = y.inside + (start - y.outside);
                out.push(Range { inside, outside, len: end - start });
            }
        }
    }
    out
}

/// Each id stands for itself: where there is no user namespace.
pub(crate) const IDENTITY: Range = Range { inside: 0, outside: 0, len: u32::MAX };

/// The lines as the kernel reads them from `uid_map` and `gid_map`.
pub(crate) fn lines(ranges: &[Range]) -> String {
    ranges.iter().fold(String::new(), |mut out, r| {
        let _ = writeln!(out, "{} {} {}", r.inside, r.outside, r.len);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: [Range; 2] = [
        Range { inside: 0, outside: 1000, len: 1 },
        Range { inside: 1, outside: 100_000, len: 65_536 },
    ];

    #[test]
    fn translates_at_the_edges_of_a_range() {
        assert_eq!(to_outside(&MAP, 0), Some(1000));
        assert_eq!(to_outside(&MAP, 1), Some(100_000));
        assert_eq!(to_outside(&MAP, 65_536), Some(165_535));
        assert_eq!(to_outside(&MAP, 65_537), None);
    }

    #[test]
    fn goes_from_one_map_to_another() {
        // keep-id: the caller is 1000, and 0 the first subordinate id.
        let keep = [
            Range { inside: 0, outside: 100_000, len: 1000 },
            Range { inside: 1000, outside: 1000, len: 1 },
        ];
        let ids = between(&keep, &MAP);
        for (inside, store) in [(0, Some(1)), (999, Some(1000)), (1000, Some(0)), (1001, None)] {
            assert_eq!(to_outside(&ids, inside), store, "{inside}");
        }
        let own = between(&[IDENTITY], &MAP);
        assert_eq!((to_outside(&own, 1000), to_outside(&own, 0)), (Some(0), None));
    }

    #[test]
    fn prints_the_kernel_format() {
        assert_eq!(lines(&MAP), "0 1000 1\n1 100000 65536\n");
    }
}
