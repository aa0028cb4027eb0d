//! What is known of a container beyond its files: `containers/ID/state.json`.
//!
//! Whether it runs is not written down, where it could be wrong after a crash: its monitor holds a
//! lock (flock(2)) on the directory, and the kernel lets go of it whatever ends the monitor.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

const VERSION: u32 = 1;
const FILE: &str = "state.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    version: u32,
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
    /// Places in it that something was mounted on: sbx made those that were missing.
    #[serde(default)]
    pub(crate) mounts: Vec<PathBuf>,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// Of the last run; `None` before its end.
    pub(crate) exit_code: Option<u8>,
    /// The names of those that it mounts.
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    /// The layers of the image that it needs, lowest first.
    #[serde(default)]
    pub(crate) layers: Vec<PathBuf>,
}

impl Container {
    pub(crate) fn new(id: &str, image: &str, command: &[String], mounts: Vec<PathBuf>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Container {
            version: VERSION,
            id: id.to_owned(),
            image: image.to_owned(),
            command: command.to_vec(),
            mounts,
            created: now.map_or(0, |d| d.as_secs()),
            exit_code: None,
            volumes: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// What the image was called.
    pub(crate) fn image_name(&self) -> &str {
        self.image.split(' ').next().unwrap_or_default()
    }

    /// Of the image's manifest. An image without a name is called by it.
    pub(crate) fn image_digest(&self) -> &str {
        self.image.rsplit(' ').next().unwrap_or_default()
    }

    /// Written beside and renamed: a reader sees the old state or the new one.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let (path, new) = (dir.join(FILE), dir.join("state.json.new"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(format!("cannot write {}", path.display()), e.to_string()))?;
        std::fs::write(&new, text).what(|| format!("cannot write {}", new.display()))?;
        std::fs::rename(&new, &path).what(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let what = || format!("cannot use {}", path.display());
        let text = std::fs::read(&path).what(what)?;
        let fix = || format!("sbx rm {}", dir.file_name().unwrap_or_default().display());
        let state: Container = serde_json::from_slice(&text)
            .map_err(|e| Error::new(what(), e.to_string()).fix(fix()))?;
        if state.version != VERSION {
            let why = format!("it has version {}, this sbx knows {VERSION}", state.version);
            return Err(Error::new(what(), why).fix("use the sbx that made it, or a newer one"));
        }
        Ok(state)
    }
}

/// A container's directory, found in the store.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    pub(crate) running: bool,
    pub(crate) state: Result<Container>,
}

/// All containers that were kept, newest first; those whose state is damaged are among them.
pub(crate) fn list(data: &Path) -> Result<Vec<Found>> {
    let containers = data.join("containers");
    let what = || format!("cannot list {}", containers.display());
    let entries = match std::fs::read_dir(&containers) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.what(what)?,
    };
    let mut out = Vec::new();
    for entry in entries {
        let dir = entry.what(what)?.path();
        let id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        out.push(Found { id, running: is_locked(&dir), state: Container::read(&dir), dir });
    }
    out.sort_by_key(|f| std::cmp::Reverse(f.state.as_ref().map_or(0, |s| s.created)));
    Ok(out)
}

/// The one container whose id begins with `prefix`.
pub(crate) fn find(data: &Path, prefix: &str) -> Result<Found> {
    let mut found: Vec<_> = list(data)?
        .into_iter()
        .filter(|f| !prefix.is_empty() && f.id.starts_with(prefix))
        .collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => {
            Err(Error::new(format!("cannot find container {prefix}"), "there is no such id")
                .fix("sbx ps -a"))
        }
        (Some(_), more) => Err(Error::new(
            format!("cannot tell which container {prefix} is"),
            format!("{} ids begin like that", more + 1),
        )
        .fix("give more digits: sbx ps -a --json")),
    }
}

/// A container that needs its image.
pub(crate) struct Holder {
    pub(crate) running: bool,
    pub(crate) state: Container,
}

/// All containers that need their images; an error where that cannot be told.
pub(crate) fn holders(data: &Path) -> Result<Vec<Holder>> {
    let mut out = Vec::new();
    for Found { id, dir, running, state } in list(data)? {
        match state {
            Ok(state) => out.push(Holder { running, state }),
            // Its monitor holds the image itself.
            Err(_) if running => {}
            // It never ran.
            Err(_) if !dir.join(FILE).exists() => {}
            Err(e) => {
                let why = format!("container {id} may need them: {} ({})", e.what, e.why);
                return Err(Error::new("cannot tell which layers are needed", why)
                    .fix(format!("sbx rm {id}")));
            }
        }
    }
    Ok(out)
}

fn is_locked(dir: &Path) -> bool {
    File::open(dir).is_ok_and(|f| f.try_lock().is_err())
}
