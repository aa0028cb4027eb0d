//! A sha256 digest, the only algorithm the store takes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// `sha256:` and 64 lowercase hexadecimal digits; see image-spec, descriptor, "Digests". Being parsed
/// strictly once, it is safe as a file name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let hex = text.strip_prefix(PREFIX).unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            let shown: String = text.chars().take(100).collect();
            return Err(Error::new(
                format!("cannot take {shown:?} for a digest"),
                "expected sha256: and 64 lowercase hexadecimal digits",
            ));
        }
        Ok(Digest(text.to_owned()))
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::from_hasher(Sha256::new_with_prefix(bytes))
    }

    pub(crate) fn from_hasher(hasher: Sha256) -> Self {
        Digest(format!("{PREFIX}{:x}", hasher.finalize()))
    }

    /// The digits alone: the name of the blob's file.
    pub(crate) fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_lowercase_sha256() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").hex(), hex);
        assert!(Digest::parse(&format!("sha256:{hex}")).is_ok());
        for bad in [
            "",
            hex,
            "sha256:",
            "sha256:../../../../etc/passwd",
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha512:{hex}"),
            &format!("sha256:{hex}0"),
            &format!("sha256:{}", &hex[1..]),
            &format!("sha256:{}/", &hex[1..]),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }
}
