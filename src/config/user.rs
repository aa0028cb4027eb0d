//! `--user`.

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Number(u32),
    Name(String),
}

/// `USER[:GROUP]`, each a name or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSpec {
    pub(crate) user: Id,
    pub(crate) group: Option<Id>,
}

impl UserSpec {
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let group = group.filter(|g| !g.is_empty());
        Ok(UserSpec {
            user: parse_id(user, text, origin)?,
            group: group.map(|g| parse_id(g, text, origin)).transpose()?,
        })
    }
}

/// Whatever looks like a number must be one: a number out of range that fell back to a name, and the
/// name to uid 0, has been a way to root (CVE-2024-40635). 2^32-1 means "no change" to the kernel.
fn parse_id(text: &str, whole: &str, origin: &str) -> Result<Id> {
    // An image's USER cannot be changed from here, only overruled.
    let fix = if origin == "--group-add" { "--group-add 1000" } else { "--user 1000:1000" };
    let bad = |why: String| Error::new(format!("{origin} {whole}"), why).fix(fix);
    let looks_numeric = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !looks_numeric.is_empty() && looks_numeric.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse::<u32>() {
            Ok(id) if id != u32::MAX && !text.starts_with('+') => Ok(Id::Number(id)),
            _ => Err(bad(format!("{text} is not an id from 0 to {}", u32::MAX - 1))),
        };
    }
    if text.is_empty() || text.bytes().any(|b| b == b':' || b == b'/' || b.is_ascii_control()) {
        return Err(bad("not a user name or number".to_owned()));
    }
    Ok(Id::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        let spec = UserSpec::parse("www-data:4", "--user").unwrap();
        assert_eq!(spec.user, Id::Name("www-data".into()));
        assert_eq!(spec.group, Some(Id::Number(4)));
        assert_eq!(UserSpec::parse("0", "--user").unwrap().user, Id::Number(0));
    }

    #[test]
    fn out_of_range_is_never_a_name() {
        for text in ["-1", "4294967295", "4294967296", "+1", "99999999999999999999", "1:-1", ""] {
            assert!(UserSpec::parse(text, "--user").is_err(), "{text}");
        }
    }
    #[test]
    fn what_is_advised_can_be_typed() {
        let fix = |origin| UserSpec::parse("-1", origin).unwrap_err().fix;
        assert_eq!(fix("the image's USER").as_deref(), Some("--user 1000:1000"));
        assert_eq!(fix("--user").as_deref(), Some("--user 1000:1000"));
        assert_eq!(fix("--group-add").as_deref(), Some("--group-add 1000"));
    }
}
