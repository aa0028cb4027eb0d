//! `--userns`, `--uidmap`, `--gidmap`.

use crate::error::{Error, Result};
use crate::userns::idmap::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Userns {
    /// The caller is root inside.
    HostRoot,
    /// The caller keeps its ids, or gets the given ones.
    KeepId { uid: Option<u32>, gid: Option<u32> },
    /// Subordinate ids only: the caller has no id inside.
    NoMap,
    /// No new user namespace.
    Host,
    /// `--uidmap`, `--gidmap`: the outside counted in the caller's own id (0) and subordinate ids (1
    /// and on), as podman counts them.
    Explicit { uids: Vec<Range>, gids: Vec<Range> },
}

impl std::fmt::Display for Userns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Userns::HostRoot => "host-root",
            Userns::KeepId { .. } => "keep-id",
            Userns::NoMap => "nomap",
            Userns::Host => "host",
            Userns::Explicit { .. } => "explicit",
        })
    }
}

impl Userns {
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self> {
        let (mode, options) = text.split_once(':').unwrap_or((text, ""));
        let bad = |why: String| {
            Error::new(format!("{origin} {text}"), why)
                .fix(format!("{origin} keep-id (or host-root, keep-id:uid=N,gid=N, nomap, host)"))
        };
        if !options.is_empty() && mode != "keep-id" {
            return Err(bad(format!("{mode} takes no options")));
        }
        match mode {
            "host-root" | "" => Ok(Userns::HostRoot),
            "nomap" => Ok(Userns::NoMap),
            "host" => Ok(Userns::Host),
            "keep-id" => {
                let (mut uid, mut gid) = (None, None);
                for option in options.split(',').filter(|o| !o.is_empty()) {
                    let (key, value) = option
                        .split_once('=')
                        .ok_or_else(|| bad(format!("{option} is not KEY=VALUE")))?;
                    let id = value.parse::<u32>().ok().filter(|id| *id < u32::MAX);
                    let id = id.ok_or_else(|| bad(format!("{value} is not an id")))?;
                    match key {
                        "uid" => uid = Some(id),
                        "gid" => gid = Some(id),
                        _ => return Err(bad(format!("keep-id has no option {key}"))),
                    }
                }
                Ok(Userns::KeepId { uid, gid })
            }
            _ => Err(bad(format!("there is no mode {mode}"))),
        }
    }

    pub(crate) fn explicit(uids: &[String], gids: &[String]) -> Result<Option<Self>> {
        if uids.is_empty() && gids.is_empty() {
            return Ok(None);
        }
        let parse = |flag: &str, list: &[String]| {
            list.iter().map(|text| parse_range(flag, text)).collect::<Result<Vec<_>>>()
        };
        // One of the two alone serves for both, as in podman.
        let (uids, gids) = match (parse("--uidmap", uids)?, parse("--gidmap", gids)?) {
            (uids, gids) if gids.is_empty() => (uids.clone(), uids),
            (uids, gids) if uids.is_empty() => (gids.clone(), gids),
            both => both,
        };
        Ok(Some(Userns::Explicit { uids, gids }))
    }
}

fn parse_range(flag: &str, text: &str) -> Result<Range> {
    let bad = |why: &str| {
        Error::new(format!("{flag} {text}"), why)
            .fix(format!("{flag} 0:1:65536 (inside:outside[:length])"))
    };
    let mut fields = text.split(':').map(|f| f.parse::<u32>().map_err(|_| bad("not numbers")));
    let mut next = || fields.next().transpose();
    let inside = next()?.ok_or_else(|| bad("no inside id"))?;
    let outside = next()?.ok_or_else(|| bad("no outside id"))?;
    let len = next()?.unwrap_or(1);
    if fields.next().is_some() {
        return Err(bad("more than three fields"));
    }
    if len == 0 || inside.checked_add(len).is_none() || outside.checked_add(len).is_none() {
        return Err(bad("the range is empty or ends beyond 2^32-1"));
    }
    Ok(Range { inside, outside, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(Userns::parse("host-root", "--userns").unwrap(), Userns::HostRoot);
        assert_eq!(
            Userns::parse("keep-id:uid=5,gid=6", "--userns").unwrap(),
            Userns::KeepId { uid: Some(5), gid: Some(6) }
        );
        for text in ["auto", "keep-id:uid", "keep-id:x=1", "nomap:uid=1", "keep-id:uid=4294967295"]
        {
            assert!(Userns::parse(text, "--userns").is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        let range = parse_range("--uidmap", "0:1:65536").unwrap();
        assert_eq!(range, Range { inside: 0, outside: 1, len: 65_536 });
        for text in ["0", "0:x", "0:1:0", "4294967295:0:2", "1:2:3:4"] {
            assert!(parse_range("--uidmap", text).is_err(), "{text}");
        }
    }
}
