//! Volumes: directories that outlive the containers they are mounted in.
//!
//! `volumes/NAME/` holds `data/`, which is what a container sees, and beside it `volume.json` and a
//! lock, which no container ever sees.

pub(crate) mod fill;
pub(crate) mod import;
mod name;
pub(crate) mod store;

pub(crate) use name::Name;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

const VERSION: u32 = 1;
const FILE: &str = "volume.json";
/// What a container sees.
pub(crate) const DATA: &str = "data";

/// What is known of a volume beyond its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    version: u32,
    pub(crate) name: Name,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) labels: BTreeMap<String, String>,
    /// No image's files have been put into it yet: the first container that could bring some does.
    pub(crate) needs_copy: bool,
    /// Its owner has not been chosen yet.
    pub(crate) needs_owner: bool,
}

impl Volume {
    fn new(name: Name, labels: BTreeMap<String, String>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let created = now.map_or(0, |d| d.as_secs());
        Volume { version: VERSION, name, created, labels, needs_copy: true, needs_owner: true }
    }

    /// Written beside, synced and renamed: a reader sees the old text or the new one.
    fn write(&self, dir: &Path) -> Result<()> {
        use std::io::Write as _;
        let (path, new) = (dir.join(FILE), dir.join("volume.json.new"));
        let what = || format!("cannot write {}", path.display());
        let text =
            serde_json::to_vec_pretty(self).map_err(|e| Error::new(what(), e.to_string()))?;
        let mut file = std::fs::File::create(&new).what(what)?;
        file.write_all(&text).what(what)?;
        file.sync_all().what(what)?;
        std::fs::rename(&new, &path).what(what)
    }

    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let what = || format!("cannot use {}", path.display());
        let text = std::fs::read(&path).what(what)?;
        let volume: Volume = serde_json::from_slice(&text).map_err(|e| {
            let name = dir.file_name().unwrap_or_default().display();
            Error::new(what(), e.to_string()).fix(format!("sbx volume rm {name}"))
        })?;
        if volume.version != VERSION {
            let why = format!("it has version {}, this sbx knows {VERSION}", volume.version);
            return Err(Error::new(what(), why).fix("use the sbx that made it, or a newer one"));
        }
        Ok(volume)
    }
}
