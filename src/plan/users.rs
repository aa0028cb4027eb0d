//! Users and groups, from the root's own `passwd(5)` and `group(5)`.

use crate::config::{Id, UserSpec};
use crate::error::{Error, Result};

/// What the root says about users; absent files are empty. That one cannot be read matters only to
/// those who need it.
#[derive(Debug)]
pub(crate) struct RootFiles {
    pub(crate) passwd: Result<String>,
    pub(crate) group: Result<String>,
}

impl RootFiles {
    fn passwd(&self) -> Result<&str> {
        self.passwd.as_deref().map_err(Clone::clone)
    }

    fn group(&self) -> Result<&str> {
        self.group.as_deref().map_err(Clone::clone)
    }
}

/// The ids a process runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, from /etc/group where the user has a name there.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: Option<String>,
    pub(crate) name: Option<String>,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn passwd(text: &str) -> impl Iterator<Item = Result<Passwd<'_>>> {
    text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
        // A number that does not fit must not quietly become another one (CVE-2024-40635).
        Some(
            number(uid)
                .zip(number(gid))
                .map(|(uid, gid)| Passwd { name, uid, gid, home })
                .ok_or_else(|| {
                    Error::new(
                        format!("cannot use the root's /etc/passwd entry {name:?}"),
                        format!("{uid}:{gid} are not ids from 0 to {}", u32::MAX - 1),
                    )
                    .fix("--user UID:GID, with numbers")
                }),
        )
    })
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX && !text.starts_with('+'))
}

/// `(name, gid, members)`; lines that are not proper are passed over.
fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = number(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

/// The ids for a `--user`, or for a `USER` of an image.
pub(crate) fn resolve(spec: &UserSpec, files: &RootFiles) -> Result<Resolved> {
    let entry = match &spec.user {
        Id::Number(uid) => {
            // With a group beside it a number needs no entry; it has one for the sake of the home.
            let text = match files.passwd() {
                Err(_) if spec.group.is_some() => "",
                text => text?,
            };
            // Only an entry that is well formed can match a number.
            passwd(text).filter_map(Result::ok).find(|p| p.uid == *uid)
        }
        Id::Name(name) => Some(
            passwd(files.passwd()?)
                .find(|p| match p {
                    Ok(p) => p.name == name,
                    Err(e) => e.what.contains(&format!("{name:?}")),
                })
                .ok_or_else(|| {
                    Error::new(
                        format!("cannot run as user {name:?}"),
                        "the root's /etc/passwd has no such user",
                    )
                    .fix("--user UID:GID, with numbers")
                })??,
        ),
    };
    let uid = match (&spec.user, &entry) {
        (Id::Number(uid), _) => *uid,
        (Id::Name(_), Some(entry)) => entry.uid,
        (Id::Name(name), None) => {
            return Err(Error::new(format!("cannot run as user {name:?}"), "no such user"));
        }
    };
    let gid = match &spec.group {
        Some(group) => group_id(group, files)?,
        None => entry.as_ref().map_or(0, |e| e.gid),
    };
    let extra = match &entry {
        Some(entry) if spec.group.is_none() => groups(files.group()?)
            .filter(|(_, _, members)| members.split(',').any(|m| m == entry.name))
            .map(|(_, gid, _)| gid)
            .filter(|other| *other != gid)
            .collect(),
        _ => Vec::new(),
    };
    Ok(Resolved {
        uid,
        gid,
        groups: extra,
        home: entry.as_ref().map(|e| e.home.to_owned()).filter(|h| h.starts_with('/')),
        name: entry.map(|e| e.name.to_owned()),
    })
}

pub(crate) fn group_id(group: &Id, files: &RootFiles) -> Result<u32> {
    match group {
        Id::Number(gid) => Ok(*gid),
        Id::Name(name) => groups(files.group()?)
            .find(|(n, ..)| n == name)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| {
                Error::new(
                    format!("cannot use group {name:?}"),
                    "the root's /etc/group has no such group",
                )
                .fix("give the group as a number")
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> RootFiles {
        RootFiles {
            passwd: Ok("root:x:0:0:root:/root:/bin/sh\nana:x:1000:1001::/home/ana:/bin/sh\n\
                     big:x:4294967296:0::/:/bin/sh\njunk\n"
                .into()),
            group: Ok("root:x:0:\naudio:x:29:bob,ana\nana:x:1001:ana\n".into()),
        }
    }

    fn get(text: &str) -> Result<Resolved> {
        resolve(&UserSpec::parse(text, "--user").unwrap(), &files())
    }

    #[test]
    fn names_bring_their_groups() {
        let user = get("ana").unwrap();
        assert_eq!((user.uid, user.gid), (1000, 1001));
        assert_eq!(user.groups, [29]);
        assert_eq!(user.home.as_deref(), Some("/home/ana"));
    }

    #[test]
    fn a_given_group_stands_alone() {
        let user = get("ana:audio").unwrap();
        assert_eq!((user.gid, user.groups.len()), (29, 0));
    }

    #[test]
    fn unknown_numbers_are_fine_and_unknown_names_are_not() {
        assert_eq!(get("77").unwrap().gid, 0);
        assert!(get("bob").is_err());
        assert!(get("ana:nogroup").is_err());
    }

    #[test]
    fn an_entry_out_of_range_is_an_error_and_never_root() {
        assert!(get("big").is_err());
    }
}
