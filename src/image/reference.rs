//! Image names: `registry/repository:tag`, read as Docker and podman read them.

use std::fmt;

use super::digest::Digest;
use crate::error::{Error, Result};

/// A name with every part present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) domain: String,
    pub(crate) path: String,
    pub(crate) tag: String,
}

/// Which registry a name without one belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unqualified {
    /// podman's choice for imported images and for OCI layouts.
    Localhost,
    /// What a docker archive means by a short name.
    DockerHub,
}

impl Name {
    /// Parses `[domain/]path[:tag]`. The first part is a domain when it has a dot or a colon or is
    /// `localhost`; the tag is `latest` when none is given.
    pub(crate) fn parse(text: &str, unqualified: Unqualified) -> Result<Self> {
        let bad = |why: &str| {
            let shown: String = text.chars().take(300).collect();
            Error::new(format!("cannot take {shown:?} for an image name"), why)
                .fix("name it like example/app:1.0, in lowercase")
        };
        if text.len() > 255 {
            return Err(bad("it is longer than 255 bytes"));
        }
        if text.contains('@') {
            return Err(bad("a digest cannot be part of a name that is given"));
        }
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest)) if is_domain(first) => (Some(first), rest),
            _ => (None, text),
        };
        let (path, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        if !is_tag(tag) {
            return Err(bad(
                "its tag has characters beyond letters, digits, dot, dash, underscore",
            ));
        }
        if path.is_empty() || !path.split('/').all(is_path_component) {
            return Err(bad(
                "between slashes it takes lowercase letters and digits, separated by dot, dash or underscore",
            ));
        }
        if domain.is_some_and(|d| !d.bytes().all(is_domain_byte) || d.starts_with(['.', '-', ':']))
        {
            return Err(bad("its registry is not a host name"));
        }
        let domain = match (domain, unqualified) {
            (Some(domain), _) => domain.to_owned(),
            (None, Unqualified::Localhost) => "localhost".to_owned(),
            (None, Unqualified::DockerHub) => "docker.io".to_owned(),
        };
        let path = if domain == "docker.io" && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        Ok(Name { domain, path, tag: tag.to_owned() })
    }

    /// Without the tag.
    pub(crate) fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.domain, self.path, self.tag)
    }
}

/// An image of a registry: by its tag, or by its digest where one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) name: Name,
    pub(crate) digest: Option<Digest>,
    /// Whether a tag was given beside the digest.
    tagged: bool,
}

impl Remote {
    /// Parses `[docker://][domain/]path[:tag][@digest]`. A name without a registry belongs to
    /// `default`, unless it is one of the aliases.
    pub(crate) fn parse(text: &str, short: &ShortNames) -> Result<Self> {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (path, tag) = match named.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (named, None),
        };
        let full = short.resolve(path);
        let full = tag.map_or(full.clone(), |tag| format!("{full}:{tag}"));
        let name = Name::parse(&full, Unqualified::DockerHub)?;
        Ok(Remote { name, digest, tagged: tag.is_some() })
    }

    /// The same image at a mirror, `HOST[:PORT][/PATH]`.
    pub(crate) fn at(&self, mirror: &str) -> Result<Self> {
        let host = mirror.split('/').next().unwrap_or_default();
        let text = format!("{mirror}/{}:{}", self.name.path, self.name.tag);
        let name = Name::parse(&text, Unqualified::DockerHub).ok();
        let name = name.filter(|name| name.domain == host).ok_or_else(|| {
            Error::new(
                format!("cannot use {mirror:?} as a mirror of {}", self.name.domain),
                "it is not the name of a registry",
            )
            .fix("name it like mirror.example:5000 or mirror.example/path in config.toml")
        })?;
        Ok(Remote { name, ..self.clone() })
    }

    /// What the image is called in the store.
    pub(crate) fn stored_name(&self) -> String {
        match &self.digest {
            Some(digest) if !self.tagged => format!("{}@{digest}", self.name.repository()),
            _ => self.name.to_string(),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}@{digest}", self.name.repository()),
            None => self.name.fmt(f),
        }
    }
}

/// What names without a registry stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortNames {
    pub(crate) default: Option<String>,
    pub(crate) aliases: std::collections::BTreeMap<String, String>,
}

impl ShortNames {
    fn resolve(&self, path: &str) -> String {
        if let Some(full) = self.aliases.get(path) {
            return full.clone();
        }
        let qualified = path.split_once('/').is_some_and(|(first, _)| is_domain(first));
        match &self.default {
            Some(registry) if !qualified => format!("{registry}/{path}"),
            _ => path.to_owned(),
        }
    }
}

/// What `text` may mean, in the order in which it is looked for.
pub(crate) fn candidates(text: &str) -> Vec<Name> {
    let mut names: Vec<Name> = [Unqualified::Localhost, Unqualified::DockerHub]
        .into_iter()
        .filter_map(|unqualified| Name::parse(text, unqualified).ok())
        .collect();
    names.dedup();
    names
}

fn is_domain(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':'])
}

fn is_domain_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':')
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_path_component(part: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(part.bytes().next())
        && edge(part.bytes().next_back())
        && part.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_names() {
        for (text, unqualified, full) in [
            ("x", Unqualified::Localhost, "localhost/x:latest"),
            ("x", Unqualified::DockerHub, "docker.io/library/x:latest"),
            ("a/b:1", Unqualified::DockerHub, "docker.io/a/b:1"),
            ("docker.io/x", Unqualified::Localhost, "docker.io/library/x:latest"),
            ("localhost:5000/x:2", Unqualified::DockerHub, "localhost:5000/x:2"),
            ("example.com/a/b/c", Unqualified::Localhost, "example.com/a/b/c:latest"),
        ] {
            assert_eq!(Name::parse(text, unqualified).unwrap().to_string(), full);
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        for bad in ["", "X", "a//b", "a:", "a:b:c", "../x", "a/-b", "a b", "x@sha256:0", "\x1b[0m"]
        {
            assert!(Name::parse(bad, Unqualified::Localhost).is_err(), "{bad}");
        }
    }
}
