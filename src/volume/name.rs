//! The name of a volume, which is the name of its directory.

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

/// Checked once: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most as long as a file name may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && text.len() <= 255 {
            return Ok(Name(text.to_owned()));
        }
        Err(Error::new(
            format!("cannot call a volume {text:?}"),
            "a name is a letter or digit, then letters, digits, '_', '.' and '-', 255 at most",
        )
        .fix("sbx volume create my-data (a directory is written with a slash: ./my-data)"))
    }

    /// As podman and docker name volumes that are not given a name.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0u8; 32];
        let flags = rustix::rand::GetRandomFlags::empty();
        rustix::rand::getrandom(&mut bytes, flags).what(|| "cannot get random bytes")?;
        Ok(Name(bytes.iter().map(|b| format!("{b:02x}")).collect()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Name::parse(&text).map_err(|e| e.what)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_file_names_and_nothing_else() {
        for name in ["a", "0", "my-data", "a.b_c-d", &"x".repeat(255)] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        for name in
            ["", ".", "..", "-a", "_a", ".lock", "a/b", "a b", "a:b", "ä", "a\n", &"x".repeat(256)]
        {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
    }
}
