//! Filters from JSON to TOML and back.

mod to_json;
mod to_toml;

use std::path::Path;

use super::layers::FilterDocument;
use super::{json, load};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    /// For `--security-opt seccomp=` of Docker and podman.
    Docker,
    /// `linux.seccomp` of the runtime-spec.
    Oci,
}

pub(crate) struct Converted {
    pub(crate) text: String,
    /// What whoever asked should know.
    pub(crate) notes: Vec<String>,
}

/// From JSON to TOML and from TOML to JSON where `to` does not say.
pub(crate) fn convert(path: &Path, to: Option<Format>) -> Result<Converted> {
    let bytes = load::bytes(path)?;
    let text = load::utf8(path, &bytes)?;
    let mut notes = Vec::new();
    let filter = if json::is_json(text) {
        load::json_filter(path, text)?
    } else {
        let file = load::read(path)?;
        let refuse = |why: &str| {
            Error::new(format!("cannot convert {}", path.display()), why)
                .fix("give its [seccomp] a `default` and `architectures`")
        };
        let filter = file.document.seccomp.ok_or_else(|| refuse("it has no [seccomp] section"))?;
        if filter.default.is_none() {
            return Err(refuse(
                "its groups are laid over another filter, and only a whole one can be converted",
            ));
        }
        if to != Some(Format::Toml) {
            notes.push(
                "JSON has the [seccomp] section only: nothing else of the profile is in it"
                    .to_owned(),
            );
        }
        filter
    };
    let to = to.unwrap_or(if json::is_json(text) { Format::Toml } else { Format::Docker });
    let unknown = unknown(&filter);
    if !unknown.is_empty() {
        notes.push(format!(
            "libseccomp {} does not know, so that the default action is taken: {}",
            super::compile::library_version(),
            unknown.join(", ")
        ));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = match to {
        Format::Toml => to_toml::text(&filter, &name),
        Format::Docker | Format::Oci => {
            to_json::text(&filter, to == Format::Oci).map_err(|impossible| {
                let error = Error::new(
                    format!("cannot convert {} to JSON", path.display()),
                    impossible.what,
                );
                match impossible.docker_can {
                    true => error.fix("add --to docker, whose format has that"),
                    false => error,
                }
            })?
        }
    };
    Ok(Converted { text, notes })
}

/// Calls that the file names and libseccomp does not know, each once.
pub(super) fn unknown(filter: &FilterDocument) -> Vec<&str> {
    let mut names: Vec<&str> =
        filter.rules.iter().flat_map(|r| &r.unknown).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}
