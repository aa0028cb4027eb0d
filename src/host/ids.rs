//! Who calls, and which subordinate ids belong to them.

use std::path::Path;

use crate::error::{Context, Result};

/// The invoking user.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// From /etc/passwd; `None` where a name service knows the user and /etc/passwd does not.
    pub(crate) name: Option<String>,
}

impl Caller {
    pub(crate) fn current() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        Caller { uid, gid, name: login_name(uid) }
    }

    /// What to call the user in a message and in a `usermod` line.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }
}

fn login_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// A range of `/etc/subuid` or `/etc/subgid`; see `subuid(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubRange {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SubIds {
    pub(crate) uids: Vec<SubRange>,
    pub(crate) gids: Vec<SubRange>,
}

impl SubIds {
    pub(crate) fn of(caller: &Caller) -> Result<Self> {
        Ok(SubIds {
            uids: read(Path::new("/etc/subuid"), caller)?,
            gids: read(Path::new("/etc/subgid"), caller)?,
        })
    }
}

fn read(path: &Path, caller: &Caller) -> Result<Vec<SubRange>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, caller)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).what(|| format!("cannot read {}", path.display())),
    }
}

/// Entries may name the user or give the number; malformed lines are somebody else's business.
fn parse(text: &str, caller: &Caller) -> Vec<SubRange> {
    let number = caller.uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let mine = owner == number || caller.name.as_deref() == Some(owner);
            let start: u32 = fields.next()?.parse().ok()?;
            let len: u32 = fields.next()?.parse().ok()?;
            (mine && len > 0 && start.checked_add(len).is_some()).then_some(SubRange { start, len })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_entries_by_name_and_by_number() {
        let caller = Caller { uid: 1000, gid: 1000, name: Some("ana".into()) };
        let text = "bob:1:2\nana:100000:65536\n1000:300000:10\nana:junk:1\nana:4294967295:2\n";
        assert_eq!(
            parse(text, &caller),
            [SubRange { start: 100_000, len: 65_536 }, SubRange { start: 300_000, len: 10 }]
        );
    }
}
