//! The id map that layers are unpacked with, which is the default one of containers, and what to say
//! when it cannot be had.

use serde::{Deserialize, Serialize};

use super::idmap::{IdMap, Range};
use crate::error::{Context, Error, Result};
use crate::host::ids::{Caller, SubIds, SubRange};
use crate::host::prereq;

/// Ids from here on are negative to programs that keep them in an `int`.
const END_OF_IDS: u32 = 1 << 31;

/// As many ids as images expect; what `useradd` hands out.
const USUAL_COUNT: u32 = 65_536;

/// 0 is the caller and 1 onwards are the caller's subordinate ids in order; root gets what its own
/// namespace has, as it is. Without subordinate ids or helpers only 0 is mapped.
pub(crate) fn for_store(caller: &Caller, ids: &SubIds) -> Result<IdMap> {
    if caller.uid == 0 {
        return Ok(IdMap::Direct { uids: own_map("uid_map")?, gids: own_map("gid_map")? });
    }
    if lack(caller, ids).is_some() {
        return Ok(single(caller));
    }
    Ok(IdMap::Helpers { uids: chain(caller.uid, &ids.uids), gids: chain(caller.gid, &ids.gids) })
}

/// The map that needs no helper.
pub(crate) fn single(caller: &Caller) -> IdMap {
    let one = |outside| Range { inside: 0, outside, len: 1 };
    IdMap::Single { uid: one(caller.uid), gid: one(caller.gid) }
}

/// Why subordinate ids cannot be mapped, with the fix for this host; `None` where they can.
pub(crate) fn lack(caller: &Caller, ids: &SubIds) -> Option<Error> {
    if caller.uid == 0 {
        return None;
    }
    for (list, file, kind) in
        [(&ids.uids, "/etc/subuid", "user"), (&ids.gids, "/etc/subgid", "group")]
    {
        if list.is_empty() {
            let why = format!("\"{}\" has no entry in {file}", caller.label());
            return Some(
                Error::new(format!("cannot map {USUAL_COUNT} {kind} ids"), why).fix(usermod(
                    &caller.label(),
                    host_free_start(),
                    USUAL_COUNT,
                )),
            );
        }
    }
    let helper =
        ["newuidmap", "newgidmap"].into_iter().find(|name| prereq::find_program(name).is_none())?;
    Some(
        Error::new("cannot map subordinate ids", format!("{helper} is not on PATH"))
            .fix(prereq::install("uidmap")),
    )
}

/// How the caller gets an id that is not mapped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum MoreIds {
    /// Root has all that there are.
    Never,
    /// This command, whatever the id.
    Command(String),
    /// More subordinate ids for `user`, from `start`, where ids are free.
    Range { user: String, start: u32 },
}

impl MoreIds {
    pub(crate) fn of(caller: &Caller, ids: &SubIds) -> Self {
        if caller.uid == 0 {
            return MoreIds::Never;
        }
        match lack(caller, ids).and_then(|e| e.fix) {
            Some(command) => MoreIds::Command(command),
            None => MoreIds::Range { user: caller.label(), start: host_free_start() },
        }
    }

    /// The command after which `id` is mapped, where `mapped` ids from 0 are now.
    pub(crate) fn fix(&self, id: u64, mapped: u64) -> Option<String> {
        match self {
            MoreIds::Never => None,
            MoreIds::Command(command) => Some(command.clone()),
            MoreIds::Range { user, start } => {
                let usual = u64::from(USUAL_COUNT);
                let count = (id.saturating_sub(mapped) + 1).next_multiple_of(usual);
                let count =
                    u32::try_from(count).ok().filter(|c| start.checked_add(*c).is_some())?;
                Some(usermod(user, *start, count))
            }
        }
    }
}

/// The command that gives `user` subordinate ids.
fn usermod(user: &str, start: u32, count: u32) -> String {
    let range = format!("{start}-{}", start.saturating_add(count - 1));
    format!("sudo usermod --add-subuids {range} --add-subgids {range} {user}")
}

fn host_free_start() -> u32 {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    free_start(&[&read("/etc/subuid"), &read("/etc/subgid")])
}

/// The first id from 100000 on that is behind every range of the files' text.
fn free_start(texts: &[&str]) -> u32 {
    let ends = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let mut fields = line.trim().split(':').skip(1).map(str::parse::<u32>);
        fields.next()?.ok()?.checked_add(fields.next()?.ok()?)
    });
    ends.max().unwrap_or(0).max(100_000)
}

/// `first` as 0, then the ranges in order. The kernel refuses maps that overlap, so an id that comes
/// twice is mapped once.
fn chain(first: u32, ranges: &[SubRange]) -> Vec<Range> {
    let mut map = vec![Range { inside: 0, outside: first, len: 1 }];
    let mut inside = 1;
    for range in ranges {
        let mut start = range.start;
        let end = range.start + range.len;
        while start < end && inside < END_OF_IDS {
            let taken = map.iter().find(|r| start >= r.outside && start - r.outside < r.len);
            if let Some(taken) = taken {
                start = taken.outside + taken.len;
                continue;
            }
            let next = map.iter().map(|r| r.outside).filter(|o| *o > start).min();
            let len = next.unwrap_or(end).min(end) - start;
            let len = len.min(END_OF_IDS - inside);
            map.push(Range { inside, outside: start, len });
            inside += len;
            start += len;
        }
    }
    map
}

/// The ids of the caller's own namespace, each standing for itself.
fn own_map(file: &str) -> Result<Vec<Range>> {
    let path = format!("/proc/self/{file}");
    let text = std::fs::read_to_string(&path).what(|| format!("cannot read {path}"))?;
    Ok(identity(&text))
}

fn identity(text: &str) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
            let start = fields.next()?.ok()?;
            let len = fields.nth(1)?.ok()?.min(END_OF_IDS.checked_sub(start)?);
            (len > 0).then_some(Range { inside: start, outside: start, len })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(map: &[Range]) -> Vec<(u32, u32, u32)> {
        map.iter().map(|r| (r.inside, r.outside, r.len)).collect()
    }

    #[test]
    fn chains_ranges_and_cuts_overlaps() {
        let sub = |start, len| SubRange { start, len };
        assert_eq!(
            ranges(&chain(1000, &[sub(100_000, 65_536), sub(300_000, 10)])),
            [(0, 1000, 1), (1, 100_000, 65_536), (65_537, 300_000, 10)]
        );
        assert_eq!(
            ranges(&chain(1000, &[sub(999, 3), sub(1000, 4)])),
            [(0, 1000, 1), (1, 999, 1), (2, 1001, 1), (3, 1002, 2)]
        );
        assert_eq!(
            ranges(&chain(1, &[sub(10, 1 << 31), sub(3_000_000_000, 10)])),
            [(0, 1, 1), (1, 10, (1 << 31) - 1)]
        );
    }

    #[test]
    fn takes_the_own_namespace_as_it_is() {
        assert_eq!(ranges(&identity("0 0 4294967295\n")), [(0, 0, 1 << 31)]);
        assert_eq!(
            ranges(&identity("         0       1000          1\n 1 100000 65536\n")),
            [(0, 0, 1), (1, 1, 65_536)]
        );
    }

    #[test]
    fn finds_a_free_range() {
        assert_eq!(free_start(&["", ""]), 100_000);
        assert_eq!(free_start(&["a:100000:65536\nb:junk\n", "a:165536:65536\n"]), 231_072);
    }

    #[test]
    fn asks_for_as_many_ids_as_are_missing() {
        let more = MoreIds::Range { user: "ana".into(), start: 200_000 };
        assert_eq!(
            more.fix(65_537, 65_537).unwrap(),
            "sudo usermod --add-subuids 200000-265535 --add-subgids 200000-265535 ana"
        );
        assert!(more.fix(200_000, 65_537).unwrap().contains("200000-396607"));
        assert!(more.fix(4_294_967_294, 65_537).is_none());
    }

    #[test]
    fn names_the_user_and_the_file() {
        let ana = Caller { uid: 1000, gid: 1000, name: Some("ana".into()) };
        let error = lack(&ana, &SubIds::default()).unwrap().to_string();
        assert!(error.starts_with(
            "cannot map 65536 user ids: \"ana\" has no entry in /etc/subuid. Fix: sudo usermod --add-subuids "
        ));
        assert!(error.ends_with(" ana"));
    }
}
