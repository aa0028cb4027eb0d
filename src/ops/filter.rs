//! `--filter` of the listings of images.

use crate::error::{Error, Result};
use crate::image::date;
use crate::image::reference::{self, Name, Unqualified};
use crate::image::store::{Details, Listed, Store};

const KNOWN: &str =
    "reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE and until=TIME";

/// An image must fit one of the references, where there are any, and all of the others.
#[derive(Default)]
pub(super) struct Filters {
    references: Vec<String>,
    others: Vec<Filter>,
}

enum Filter {
    Dangling(bool),
    Label(String, Option<String>),
    /// Seconds since 1970.
    Before(i64),
    Since(i64),
}

impl Filters {
    pub(super) fn parse(texts: &[String], store: &Store) -> Result<Self> {
        let mut filters = Filters::default();
        for text in texts {
            let refused = |why: String| {
                Error::new(format!("cannot filter by {text:?}"), why)
                    .fix(format!("--filter takes {KNOWN}"))
            };
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            if value.is_empty() {
                return Err(refused("it has no value".to_owned()));
            }
            let created = || -> Result<i64> {
                let (listed, _) = store.get(value)?;
                listed
                    .details?
                    .created()
                    .ok_or_else(|| refused(format!("image {value} has no date")))
            };
            filters.others.push(match key {
                "reference" => {
                    filters.reference(value)?;
                    continue;
                }
                "dangling" => Filter::Dangling(match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(refused(format!("{value:?} is neither true nor false"))),
                }),
                "label" => match value.split_once('=') {
                    Some((key, value)) => Filter::Label(key.to_owned(), Some(value.to_owned())),
                    None => Filter::Label(value.to_owned(), None),
                },
                "until" => Filter::Before(moment(value).ok_or_else(|| {
                    refused(format!("{value:?} is neither a date nor an age such as 24h"))
                })?),
                "before" => Filter::Before(created()?),
                "since" | "after" => Filter::Since(created()?),
                _ => return Err(refused("it is not known".to_owned())),
            });
        }
        Ok(filters)
    }

    pub(super) fn reference(&mut self, glob: &str) -> Result<()> {
        if glob.contains(['[', ']', '\\']) {
            let why = "besides letters it takes * and ? only";
            return Err(Error::new(format!("cannot look for images called {glob:?}"), why)
                .fix("write * for any text without a slash, ? for one character"));
        }
        self.references.push(glob.to_owned());
        Ok(())
    }

    pub(super) fn matches(&self, listed: &Listed, details: &Details) -> bool {
        let is_dangling = listed.names.is_empty();
        self.takes(is_dangling, details.created(), |key| details.label(key))
    }

    /// Whether all hold for something with these labels, made then.
    pub(super) fn takes<'a>(
        &self,
        is_dangling: bool,
        created: Option<i64>,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> bool {
        self.others.iter().all(|filter| match filter {
            Filter::Dangling(wanted) => is_dangling == *wanted,
            Filter::Label(key, None) => label(key).is_some(),
            Filter::Label(key, value) => label(key) == value.as_deref(),
            Filter::Before(time) => created.is_some_and(|own| own < *time),
            Filter::Since(time) => created.is_some_and(|own| own > *time),
        })
    }

    /// Which of the image's names are wanted; none where the image is not. An image without a name has
    /// one that is `None`.
    pub(super) fn names<'a>(&self, listed: &'a Listed, details: &Details) -> Vec<Option<&'a str>> {
        let names: Vec<Option<&str>> = match listed.names.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let by_id = |wanted: &String| {
            let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
            digits.len() >= 4
                && (details.id.hex().starts_with(digits) || listed.digest.hex().starts_with(digits))
        };
        if self.references.is_empty() || self.references.iter().any(by_id) {
            return names;
        }
        let wanted = |name: &str| self.references.iter().any(|glob| is_called(name, glob));
        names.into_iter().filter(|name| name.is_some_and(wanted)).collect()
    }
}

/// A date (RFC 3339), a day, seconds since 1970, or how long ago, as in 24h or 1h30m.
fn moment(text: &str) -> Option<i64> {
    let day = || date::seconds(&format!("{text}T00:00:00Z"));
    let ago = || date::now().checked_sub(age(text)?);
    text.parse().ok().or_else(|| date::seconds(text)).or_else(day).or_else(ago)
}

fn age(mut text: &str) -> Option<i64> {
    let mut seconds: i64 = 0;
    while !text.is_empty() {
        let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let unit = match rest.chars().next()? {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(digits.parse::<i64>().ok()?.checked_mul(unit)?)?;
        text = &rest[1..];
    }
    Some(seconds)
}

/// Whether a glob is for the name, without its registry or its tag if it has none itself.
fn is_called(name: &str, glob: &str) -> bool {
    let parsed = Name::parse(name, Unqualified::Localhost).ok();
    let repository = parsed.as_ref().map_or_else(|| name.to_owned(), Name::repository);
    let ends = |text: &str| {
        let slashes = text.match_indices('/').map(|(at, _)| at + 1);
        std::iter::once(0).chain(slashes).any(|at| fits(&text[at..], glob))
    };
    let tagged = glob.rsplit('/').next().is_some_and(|last| last.contains(':'));
    ends(name)
        || ends(&repository)
        || (tagged && reference::candidates(glob).iter().any(|c| c.to_string() == name))
}

/// As path.Match of Go: no star goes over a slash.
fn fits(text: &str, glob: &str) -> bool {
    let mut glob = glob.chars();
    let mut chars = text.chars();
    match glob.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = glob.as_str();
            let longest = text.find('/').unwrap_or(text.len());
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.take_while(|at| *at <= longest).any(|at| fits(&text[at..], rest))
        }
        Some('?') => chars.next().is_some_and(|c| c != '/') && fits(chars.as_str(), glob.as_str()),
        Some(c) => chars.next() == Some(c) && fits(chars.as_str(), glob.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for text in ["0", "1970-01-01", "1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00"] {
            assert_eq!(moment(text), Some(0), "{text}");
        }
        assert_eq!(age("1h30m10s"), Some(5410));
        assert!(moment("24h").is_some_and(|t| t < date::now() - 86_399));
        for bad in ["h", "1x", "1h30", "tomorrow", "99999999999999999999h", "1970-13-01"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn globs() {
        let name = "localhost:5000/team/app:1.2";
        for glob in
            ["app", "app:1.2", "team/app", "localhost:5000/team/app", "a*", "*:1.?", "team/*", "*"]
        {
            assert!(is_called(name, glob), "{glob}");
        }
        for glob in ["ap", "app:1", "tea*", "localhost*p", "team", "*/x", "app:1.2?"] {
            assert!(!is_called(name, glob), "{glob}");
        }
        assert!(is_called("docker.io/library/x:latest", "x:latest"));
    }
}
