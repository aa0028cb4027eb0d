//! Which profiles there are, and what one says.

use std::ffi::OsString;
use std::path::PathBuf;

use super::builtin::{BUILTINS, Builtin};
use super::layers::Settings;
use super::load::{self, Link};
use super::rows::{self, Row};
use crate::error::Result;
use crate::host::dirs::Dirs;

/// A profile that can be chosen by name.
pub(crate) struct Known {
    pub(crate) name: String,
    /// `None` where it is built in.
    pub(crate) file: Option<PathBuf>,
    /// The description and what it extends, or what is wrong with the file.
    pub(crate) said: Result<(Option<String>, Option<String>)>,
}

/// Those that are built in, then the user's.
pub(crate) fn all(dirs: &Dirs) -> Vec<Known> {
    let builtin = |b: &Builtin| Known {
        name: b.name.to_owned(),
        file: None,
        said: Ok((
            Some(b.description.to_owned()),
            b.chain.iter().rev().nth(1).map(ToString::to_string),
        )),
    };
    let mut all: Vec<Known> = BUILTINS.iter().map(builtin).collect();
    let entries = std::fs::read_dir(dirs.config.join("profiles")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    for path in files {
        let Some(name) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".toml")) else {
            continue;
        };
        // A file with a built-in's name is never what that name means.
        if Builtin::find(name).is_some() {
            continue;
        }
        let said = load::read(&path).map(|file| {
            let extends = file.document.extends.unwrap_or_else(|| Builtin::base().name.to_owned());
            (file.document.description, Some(extends))
        });
        all.push(Known { name: name.to_owned(), file: Some(path), said });
    }
    all
}

/// The text of a profile, as it was written.
pub(crate) fn text(choice: &OsString, dirs: &Dirs) -> Result<String> {
    let (links, _) = load::links(std::slice::from_ref(choice), dirs)?;
    Ok(match links.last() {
        Some(Link::File(file)) => String::from_utf8_lossy(&file.source).into_owned(),
        Some(Link::Builtin(builtin)) => builtin.source.to_owned(),
        None => String::new(),
    })
}

/// Every value with the file that brought it in.
pub(crate) fn resolved(choices: &[OsString], dirs: &Dirs) -> Result<Vec<(Row, String)>> {
    let (links, _) = load::links(choices, dirs)?;
    let mut settings = Settings::default();
    let mut policy = super::Policy::nothing();
    let mut known: Vec<(Row, String)> = Vec::new();
    for link in &links {
        let document = link.document()?;
        settings.apply(&document);
        for part in link.parts()? {
            policy = part.document.over(policy);
        }
        let mut now = rows::of(&settings);
        now.extend(rows::calls(&policy, settings.capabilities));
        known = now
            .into_iter()
            .map(|row| {
                let before = known.iter().find(|(r, _)| *r == row).map(|(_, by)| by.clone());
                let by = before.unwrap_or_else(|| link.name());
                (row, by)
            })
            .collect();
    }
    Ok(known)
}
