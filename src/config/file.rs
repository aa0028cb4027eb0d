//! The user's `config.toml`: defaults for `sbx run`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Source, Sourced};
use crate::error::{Context, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::reference::ShortNames;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    pub(crate) run: RunSection,
    #[serde(default)]
    pub(crate) registries: Registries,
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RunSection {
    pub(crate) profile: Option<String>,
    pub(crate) userns: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) storage: Option<String>,
    pub(crate) init: Option<bool>,
}

/// Where images come from.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Registries {
    /// The registry of names without one; docker.io where nothing is said.
    pub(crate) default: Option<String>,
    /// Short names, and what they stand for.
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, String>,
    /// Registries on this machine that need no verified certificate, and no TLS.
    #[serde(default)]
    pub(crate) insecure: Vec<String>,
    /// Where images of a registry are looked for before it is asked: `HOST[:PORT][/PATH]`.
    #[serde(default)]
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    /// Token servers beyond a registry's own domain that may be sent its login.
    #[serde(default)]
    pub(crate) realms: BTreeMap<String, Vec<String>>,
}

impl Registries {
    /// Whether certificates of this host are to be verified.
    pub(crate) fn verifies(&self, host: &str) -> bool {
        !self.insecure.iter().any(|insecure| insecure == host)
    }

    pub(crate) fn mirrors_of(&self, host: &str) -> &[String] {
        self.mirrors.get(host).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn realms_of(&self, host: &str) -> Vec<String> {
        self.realms.get(host).cloned().unwrap_or_default()
    }

    pub(crate) fn short_names(&self) -> ShortNames {
        ShortNames { default: self.default.clone(), aliases: self.aliases.clone() }
    }
}

impl ConfigFile {
    /// A value of the file.
    pub(super) fn said<T>(&self, value: Option<T>) -> Option<Sourced<T>> {
        value.map(|value| Sourced { value, source: Source::File(self.path.clone()) })
    }

    /// A missing file is an empty one.
    pub(crate) fn read(dirs: &Dirs) -> Result<Self> {
        let path = dirs.config.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).what(|| format!("cannot read {}", path.display())),
        };
        if text.is_empty() {
            return Ok(ConfigFile { path, ..ConfigFile::default() });
        }
        let mut file: ConfigFile = toml::from_str(&text).map_err(|e| {
            let start = e.span().map_or(0, |s| s.start);
            let before = text.get(..start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            Error::new(
                format!("cannot use {}:{line}:{column}", path.display()),
                format!(
                    "{} in {:?}",
                    e.message().trim().replace('\n', "; "),
                    text.lines().nth(line - 1).unwrap_or_default().trim()
                ),
            )
            .fix(format!("edit {}", path.display()))
        })?;
        file.path = path;
        Ok(file)
    }
}
