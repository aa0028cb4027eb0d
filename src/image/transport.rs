//! Images that lie in files, and how they are named: containers-transports(5).

use std::path::{Path, PathBuf};

/// How an image lies in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A directory of one manifest and its blobs, which has no name.
    Dir,
    /// An OCI image layout.
    Oci,
    /// Its tar.
    OciArchive,
    /// What docker save writes.
    DockerArchive,
}

impl Transport {
    /// Parses `TRANSPORT:REST`; `None` where the text is the name of an image.
    pub(crate) fn of(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(':')?;
        let transport = match word {
            "dir" => Transport::Dir,
            "oci" => Transport::Oci,
            "oci-archive" => Transport::OciArchive,
            "docker-archive" => Transport::DockerArchive,
            _ => return None,
        };
        Some((transport, rest))
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Transport::Dir => "a directory of the dir: transport",
            Transport::Oci => "an OCI layout",
            Transport::OciArchive => "an OCI archive",
            Transport::DockerArchive => "a docker archive",
        }
    }

    /// Where to read from: a path, and which of the images there is meant.
    pub(crate) fn source(self, rest: &str) -> (PathBuf, Option<String>) {
        match self {
            Transport::Dir => (PathBuf::from(rest), None),
            _ => split_reference(Path::new(rest)),
        }
    }

    /// Where to write to: a path, and what the image is called there.
    pub(crate) fn destination(self, rest: &str) -> (PathBuf, Option<&str>) {
        match rest.split_once(':') {
            Some((path, name)) if self != Transport::Dir => (PathBuf::from(path), Some(name)),
            _ => (PathBuf::from(rest), None),
        }
    }
}

/// A path, or a path and the name of an image in it: `DIR:ref`.
pub(crate) fn split_reference(text: &Path) -> (PathBuf, Option<String>) {
    let whole = || (text.to_owned(), None);
    if text.exists() {
        return whole();
    }
    let Some(text) = text.to_str() else { return whole() };
    // The path may have a colon as well as the name: the longest path that exists counts.
    let colons: Vec<usize> = text.match_indices(':').map(|(i, _)| i).collect();
    let split = colons.into_iter().rev().find(|i| Path::new(&text[..*i]).exists());
    split.map_or_else(whole, |i| (PathBuf::from(&text[..i]), Some(text[i + 1..].to_owned())))
}
