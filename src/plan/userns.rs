//! From `--userns` to an id map.

use crate::config::Userns;
use crate::error::{Error, Result};
use crate::host::ids::Caller;
use crate::userns::idmap::{IdMap, Range};

/// The map of a sandbox. `store` is the map that image layers are unpacked with: the caller first,
/// then the subordinate ids. Where `wide` is false one id is enough, and no helper is started.
pub(crate) fn resolve(mode: &Userns, caller: &Caller, store: &IdMap, wide: bool) -> Result<IdMap> {
    let single = |uid: u32, gid: u32| IdMap::Single {
        uid: Range { inside: uid, outside: caller.uid, len: 1 },
        gid: Range { inside: gid, outside: caller.gid, len: 1 },
    };
    let narrow = !wide || matches!(store, IdMap::Single { .. });
    match mode {
        Userns::Host => Ok(IdMap::Inherit),
        Userns::HostRoot if narrow => Ok(single(0, 0)),
        Userns::HostRoot => Ok(store.clone()),
        Userns::KeepId { uid, gid } => {
            let (uid, gid) = (uid.unwrap_or(caller.uid), gid.unwrap_or(caller.gid));
            if narrow {
                return Ok(single(uid, gid));
            }
            let moved = |ranges: &[Range], id: u32| {
                let total = total(ranges);
                // The caller, number 0 of the store's map, moves to `id`; what stood below moves down.
                let below = id.min(total - 1);
                let mut wanted = vec![Range { inside: id, outside: 0, len: 1 }];
                wanted.push(Range { inside: 0, outside: 1, len: below });
                if total - 1 > below {
                    let len = (total - 1 - below).min(u32::MAX - id - 1);
                    wanted.push(Range { inside: id + 1, outside: below + 1, len });
                }
                translate(&wanted, ranges)
            };
            build(store, moved(store.uids(), uid)?, moved(store.gids(), gid)?)
        }
        Userns::NoMap => {
            let shifted = |ranges: &[Range]| {
                translate(&[Range { inside: 0, outside: 1, len: total(ranges) - 1 }], ranges)
            };
            if matches!(store, IdMap::Single { .. }) {
                return Err(Error::new("--userns nomap", "the caller has no subordinate ids")
                    .fix("sbx doctor (it says how to get some)"));
            }
            build(store, shifted(store.uids())?, shifted(store.gids())?)
        }
        Userns::Explicit { uids, gids } => {
            let (uids, gids) = (translate(uids, store.uids())?, translate(gids, store.gids())?);
            build(store, uids, gids)
        }
    }
}

fn build(store: &IdMap, uids: Vec<Range>, gids: Vec<Range>) -> Result<IdMap> {
    match store {
        IdMap::Direct { .. } => Ok(IdMap::Direct { uids, gids }),
        IdMap::Single { .. } => match (&uids[..], &gids[..]) {
            ([uid], [gid]) if uid.len == 1 && gid.len == 1 => {
                Ok(IdMap::Single { uid: *uid, gid: *gid })
            }
            _ => {
                Err(Error::new("cannot map more than one id", "the caller has no subordinate ids")
                    .fix("sbx doctor"))
            }
        },
        _ => Ok(IdMap::Helpers { uids, gids }),
    }
}

fn total(ranges: &[Range]) -> u32 {
    ranges.iter().map(|r| r.len).sum()
}

/// `wanted` counts its outside in positions of `store`; the result counts it in ids of the host.
fn translate(wanted: &[Range], store: &[Range]) -> Result<Vec<Range>> {
    let mut out = Vec::new();
    for want in wanted.iter().filter(|w| w.len > 0) {
        let mut left = *want;
        for have in store {
            // Positions and inside ids of the store's map are the same numbers.
            let (start, end) = (have.inside, have.inside + have.len);
            if left.len == 0 || left.outside < start || left.outside >= end {
                continue;
            }
            let len = left.len.min(end - left.outside);
            out.push(Range {
                inside: left.inside,
                outside: have.outside + (left.outside - start),
                len,
            });
            left = Range {
                inside: left.inside + len,
                outside: left.outside + len,
                len: left.len - len,
            };
        }
        if left.len > 0 {
            return Err(Error::new(
                format!("cannot map {}:{}:{}", want.inside, want.outside, want.len),
                format!("the caller has {} ids to map, counted from 0", total(store)),
            )
            .fix("use a shorter range, or add subordinate ids: see sbx doctor"));
        }
    }
    out.sort_by_key(|r| r.inside);
    if let Some(pair) = out.windows(2).find(|p| p[0].inside + p[0].len > p[1].inside) {
        return Err(Error::new(
            format!("cannot map {} twice", pair[1].inside),
            "two ranges overlap",
        )
        .fix("give each id one place"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> IdMap {
        let ranges = vec![
            Range { inside: 0, outside: 1000, len: 1 },
            Range { inside: 1, outside: 100_000, len: 65_536 },
        ];
        IdMap::Helpers { uids: ranges.clone(), gids: ranges }
    }

    fn caller() -> Caller {
        Caller { uid: 1000, gid: 1000, name: Some("ana".into()) }
    }

    #[test]
    fn keep_id_moves_the_caller_and_nothing_else() {
        let map =
            resolve(&Userns::KeepId { uid: None, gid: None }, &caller(), &store(), true).unwrap();
        assert_eq!(
            map.uids(),
            [
                Range { inside: 0, outside: 100_000, len: 1000 },
                Range { inside: 1000, outside: 1000, len: 1 },
                Range { inside: 1001, outside: 101_000, len: 64_536 },
            ]
        );
    }

    #[test]
    fn keep_id_beyond_the_range() {
        let mode = Userns::KeepId { uid: Some(200_000), gid: Some(0) };
        let map = resolve(&mode, &caller(), &store(), true).unwrap();
        assert_eq!(
            map.uids(),
            [
                Range { inside: 0, outside: 100_000, len: 65_536 },
                Range { inside: 200_000, outside: 1000, len: 1 },
            ]
        );
        assert_eq!(map.gids()[0], Range { inside: 0, outside: 1000, len: 1 });
    }

    #[test]
    fn nomap_leaves_the_caller_out() {
        let map = resolve(&Userns::NoMap, &caller(), &store(), true).unwrap();
        assert_eq!(map.uids(), [Range { inside: 0, outside: 100_000, len: 65_536 }]);
    }

    #[test]
    fn explicit_ranges_are_checked() {
        let range = |inside, outside, len| vec![Range { inside, outside, len }];
        let mode = Userns::Explicit { uids: range(0, 0, 10), gids: range(0, 1, 70_000) };
        assert!(resolve(&mode, &caller(), &store(), true).is_err());
        let mode = Userns::Explicit { uids: range(0, 0, 10), gids: range(0, 1, 10) };
        let map = resolve(&mode, &caller(), &store(), true).unwrap();
        assert_eq!(map.uids().len(), 2);
        assert_eq!(map.gids(), [Range { inside: 0, outside: 100_000, len: 10 }]);
    }
}
