//! Where sbx keeps things: the XDG base directories.

use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

/// sbx's own directories. None of them is ever visible inside a sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Dirs {
    /// `$XDG_DATA_HOME/sbx`: images, layers, containers.
    pub(crate) data: PathBuf,
    /// `$XDG_CONFIG_HOME/sbx`: config.toml and the user's profiles.
    pub(crate) config: PathBuf,
    /// `$XDG_CACHE_HOME/sbx`: compiled filters.
    pub(crate) cache: PathBuf,
    /// `$XDG_RUNTIME_DIR/sbx`, or `run` below `data` where there is no run-time directory.
    pub(crate) runtime: PathBuf,
}

fn base() -> Result<directories::BaseDirs> {
    directories::BaseDirs::new().ok_or_else(|| {
        Error::new("cannot find a home directory", "HOME is not set").fix("export HOME=/home/USER")
    })
}

/// The caller's home.
pub(crate) fn home() -> Result<PathBuf> {
    Ok(base()?.home_dir().to_owned())
}

impl Dirs {
    pub(crate) fn from_env() -> Result<Self> {
        let base = base()?;
        let data = base.data_dir().join("sbx");
        let runtime = match base.runtime_dir() {
            Some(dir) if usable_runtime_dir(dir) => dir.join("sbx"),
            _ => data.join("run"),
        };
        Ok(Dirs {
            config: base.config_dir().join("sbx"),
            cache: base.cache_dir().join("sbx"),
            data,
            runtime,
        })
    }

    pub(crate) fn all(&self) -> [&Path; 4] {
        [&self.data, &self.config, &self.cache, &self.runtime]
    }
}

/// The directory of a container: one that is removed with it lies apart, so that the next start can
/// sweep what a killed monitor left.
pub(crate) fn container(dirs: &Dirs, id: &str, remove: bool) -> PathBuf {
    dirs.data.join(if remove { "scratch" } else { "containers" }).join(id)
}

/// A run-time directory left over in the environment (su, sudo) may be somebody else's.
fn usable_runtime_dir(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(dir)
        .is_ok_and(|m| m.is_dir() && m.uid() == rustix::process::geteuid().as_raw())
}

/// Makes `dir` and its parents with mode 0700, and refuses one that others could change.
pub(crate) fn make_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .what(|| format!("cannot make directory {}", dir.display()))?;
    let meta = std::fs::symlink_metadata(dir)
        .what(|| format!("cannot look at directory {}", dir.display()))?;
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != me {
        return Err(Error::new(
            format!("cannot use directory {}", dir.display()),
            format!("it is not a directory owned by user id {me}"),
        )
        .fix(format!("mv {0} {0}.old", dir.display())));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Error::new(
            format!("cannot use directory {}", dir.display()),
            "others can write to it".to_owned(),
        )
        .fix(format!("chmod 700 {}", dir.display())));
    }
    Ok(())
}
