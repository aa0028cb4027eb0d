//! `--filter` of the listings of images.

use crate::error::{Error, Result};
use crate::image::reference::{self, Name, Unqualified};
use crate::image::store::{Details, Listed, Store};

const KNOWN: &str =
    "reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE and since=IMAGE";

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
        self.others.iter().all(|filter| match filter {
            Filter::Dangling(wanted) => listed.names.is_empty() == *wanted,
            Filter::Label(key, None) => details.label(key).is_some(),
            Filter::Label(key, value) => details.label(key) == value.as_deref(),
            Filter::Before(time) => details.created().is_some_and(|own| own < *time),
            Filter::Since(time) => details.created().is_some_and(|own| own > *time),
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
