//! Platforms, `OS/ARCHITECTURE[/VARIANT]`: which image of an index is meant, and which can run here.
//!
//! Names and variants are image-spec's, "Image Index", platform. What stands in for what is
//! containerd's: an older variant for a newer one, never the other way round.

use std::fmt;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

use super::manifest::Descriptor;
use crate::error::{Error, Result};

/// As an index has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

/// With the names that one thing has made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    /// Empty where the architecture says it all.
    variant: String,
}

impl Platform {
    fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (os, variant) = (os.to_ascii_lowercase(), variant.to_ascii_lowercase());
        let architecture = architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("i386", variant) => ("386", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            other => other,
        };
        let number = variant.strip_prefix('v').unwrap_or(variant);
        let variant = match (architecture, number) {
            ("amd64", "1") | ("arm64", "8") => String::new(),
            ("amd64" | "arm64" | "arm", number) if number.parse::<u8>().is_ok() => {
                format!("v{number}")
            }
            _ => variant.to_owned(),
        };
        Platform { os, architecture: architecture.to_owned(), variant }
    }

    /// What `--platform` says.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(format!("--platform {text}"), why)
                .fix(format!("--platform linux/{}", host_architecture()))
        };
        let parts: Vec<&str> = text.split('/').collect();
        let proper = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let (2..=3, true) = (parts.len(), parts.iter().all(proper)) else {
            return Err(bad("that is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT"));
        };
        let platform = Platform::new(parts[0], parts[1], parts.get(2).copied().unwrap_or_default());
        if platform.os != "linux" {
            return Err(bad("sbx has images of linux only"));
        }
        Ok(platform)
    }

    pub(crate) fn host() -> Self {
        Platform::new("linux", host_architecture(), "")
    }

    /// What an image says that it is for; `None` where it does not say.
    pub(crate) fn of(config: &ImageConfiguration) -> Option<Self> {
        let architecture = config.architecture().to_string();
        let variant = config.variant().as_deref().unwrap_or_default();
        (!architecture.is_empty())
            .then(|| Platform::new(&config.os().to_string(), &architecture, variant))
    }

    /// The variants that will do, the best first.
    fn variants(&self) -> Vec<String> {
        let below = |number: u8, last: u8| (last..=number).rev().map(|n| format!("v{n}"));
        let number = self.variant.strip_prefix('v').and_then(|n| n.parse().ok());
        let plain = String::new();
        match (self.architecture.as_str(), number) {
            // As podman: the one for all of them, though this machine may be able to do more.
            ("amd64", None) if *self == Platform::host() => {
                std::iter::once(plain).chain(below(x86_level(), 2)).collect()
            }
            ("amd64", Some(number)) => below(number, 2).chain([plain]).collect(),
            ("arm", None) => below(7, 5).chain([plain]).collect(),
            ("arm", Some(number)) => below(number, 5).chain([plain]).collect(),
            ("arm64", Some(number)) => below(number, 9).chain([plain]).collect(),
            _ if self.variant.is_empty() => vec![plain],
            _ => vec![self.variant.clone(), plain],
        }
    }

    /// Whether an image for `other` will do.
    pub(crate) fn takes(&self, other: &Platform) -> bool {
        let like = self.os == other.os && self.architecture == other.architecture;
        self == other || (like && self.variants().contains(&other.variant))
    }

    /// The manifest of an index: the best, or else one that does not say what it is for.
    pub(crate) fn choose<'a>(&self, all: &'a [Descriptor]) -> Option<&'a Descriptor> {
        let mut best = None;
        for (descriptor, found) in all.iter().filter_map(|d| Some((d, platform(d)?))) {
            if self.takes(&found) {
                let rank = self.variants().iter().position(|v| *v == found.variant);
                if best.is_none_or(|(other, _)| rank < other) {
                    best = Some((rank, descriptor));
                }
            }
        }
        best.map(|(_, descriptor)| descriptor).or_else(|| all.iter().find(|d| d.platform.is_none()))
    }

    /// Whether a descriptor may be for this platform.
    pub(crate) fn may_be(&self, descriptor: &Descriptor) -> bool {
        platform(descriptor).is_none_or(|found| self.takes(&found))
    }

    /// There is none: what there is, and how to pull that, where `label` is of a registry's image.
    pub(crate) fn missing<'a>(
        &self,
        label: &str,
        pulled: Option<&str>,
        all: impl Iterator<Item = &'a Descriptor>,
    ) -> Error {
        let mut there: Vec<String> = all.filter_map(platform).map(|p| p.to_string()).collect();
        // Attestations are in there as well.
        there.retain(|platform| platform != "unknown/unknown");
        there.sort();
        there.dedup();
        there.truncate(20);
        let error = Error::new(
            format!("cannot load {label}"),
            format!("it has no image for {self}, only for {}", there.join(", ")),
        );
        match (there.first(), pulled) {
            (Some(first), Some(name)) => {
                error.fix(format!("sbx pull --platform {first} {name}, if that will do"))
            }
            _ => error,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn platform(descriptor: &Descriptor) -> Option<Platform> {
    let found = descriptor.platform.as_ref()?;
    let variant = found.variant.as_deref().unwrap_or_default();
    Some(Platform::new(&found.os, &found.architecture, variant))
}

/// The host's architecture as Go and image-spec call it.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// x86-64 psABI, "Micro-Architecture Levels".
#[cfg(target_arch = "x86_64")]
fn x86_level() -> u8 {
    use std::arch::is_x86_feature_detected as has;
    let second = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2");
    let second = second && has!("popcnt") && has!("cmpxchg16b");
    let third = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c") && has!("fma");
    let third = second && third && has!("lzcnt") && has!("movbe");
    let fourth = has!("avx512f") && has!("avx512bw") && has!("avx512cd");
    let fourth = third && fourth && has!("avx512dq") && has!("avx512vl");
    1 + u8::from(second) + u8::from(third) + u8::from(fourth)
}

#[cfg(not(target_arch = "x86_64"))]
fn x86_level() -> u8 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let entry = |text: &&str| {
            let mut parts = text.split('/');
            let mut platform =
                serde_json::json!({"os": parts.next(), "architecture": parts.next()});
            if let Some(variant) = parts.next() {
                platform["variant"] = variant.into();
            }
            let digest = super::super::digest::Digest::of(text.as_bytes());
            serde_json::from_value(serde_json::json!({
                "mediaType": "m", "digest": digest, "size": 1, "platform": platform,
            }))
            .unwrap()
        };
        platforms.iter().map(entry).collect()
    }

    fn chosen(wanted: &str, platforms: &[&str]) -> Option<String> {
        let all = index(platforms);
        let found = Platform::parse(wanted).unwrap().choose(&all).cloned();
        found.map(|d| platform(&d).unwrap().to_string())
    }

    #[test]
    fn an_older_variant_stands_in_for_a_newer_one() {
        let arms = ["linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/arm/v6"];
        for (wanted, found) in [
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux/armhf", Some("linux/arm/v7")),
            ("linux/arm64", Some("linux/arm64")),
            ("linux/arm64/v8", Some("linux/arm64")),
            ("linux/aarch64", Some("linux/arm64")),
            ("linux/arm64/v9", Some("linux/arm64")),
            ("linux/arm/v4", None),
            ("linux/amd64", None),
        ] {
            assert_eq!(chosen(wanted, &arms).as_deref(), found, "{wanted}");
        }
        assert_eq!(chosen("linux/arm/v7", &["linux/arm/v5", "linux/arm"]).unwrap(), "linux/arm/v5");
        assert_eq!(chosen("linux/arm/v6", &["linux/arm/v7"]), None);
        assert_eq!(chosen("linux/arm64", &["linux/arm64/v9"]), None);
        assert_eq!(chosen("linux/ppc64le/power9", &["linux/ppc64le"]).unwrap(), "linux/ppc64le");
        assert_eq!(chosen("linux/ppc64le", &["linux/ppc64le/power9"]), None);
    }

    #[test]
    fn levels_of_amd64_are_variants() {
        let all = ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"];
        assert_eq!(chosen("linux/amd64/v4", &all).unwrap(), "linux/amd64/v3");
        assert_eq!(chosen("linux/amd64/v2", &all).unwrap(), "linux/amd64/v2");
        assert_eq!(chosen("linux/x86_64/v1", &all).unwrap(), "linux/amd64");
        // The plain one, as podman.
        assert_eq!(chosen("linux/amd64", &all).unwrap(), "linux/amd64");
        assert_eq!(chosen("linux/amd64", &["linux/amd64/v9"]), None);
    }

    #[test]
    fn what_says_nothing_will_do_in_the_end() {
        let mut all = index(&["linux/s390x", "linux/riscv64"]);
        all[0].platform = None;
        let wanted = Platform::parse("linux/riscv64").unwrap();
        assert_eq!(wanted.choose(&all).unwrap().digest, all[1].digest);
        let wanted = Platform::parse("linux/arm64").unwrap();
        assert_eq!(wanted.choose(&all).unwrap().digest, all[0].digest);
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for bad in ["", "arm64", "linux/", "/arm64", "linux/a/b/c", "linux/a b", "windows/amd64"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }
}
