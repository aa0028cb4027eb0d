//! Where archives go: a file that appears when it is whole, or standard output.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Error, Result};

/// Something new beside its final place; removed unless it was finished.
pub(super) struct Staged {
    staged: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Staged {
    /// For `path`, through links: what a link leads to is replaced, not the link.
    fn new(path: &Path) -> Result<Self> {
        let what = || format!("cannot write {}", path.display());
        let path = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => path.to_owned(),
            Err(e) => return Err(e).what(what),
        };
        let Some(name) = path.file_name() else {
            return Err(Error::new(what(), "it has no name").fix("-o FILE"));
        };
        let name = format!(".{}.{}", name.display(), std::process::id());
        Ok(Staged { staged: path.with_file_name(name), path, finished: false })
    }

    pub(super) fn directory(path: &Path) -> Result<Self> {
        let staged = Staged::new(path)?;
        if std::fs::read_dir(&staged.path).is_ok_and(|mut dir| dir.next().is_some()) {
            return Err(Error::new(format!("cannot write {}", path.display()), "it is not empty")
                .fix(format!("rm -r {}, or another place", path.display())));
        }
        std::fs::create_dir(&staged.staged).what(|| format!("cannot make {}", path.display()))?;
        Ok(staged)
    }

    /// For a directory that may hold an OCI layout already, to which then something is added.
    pub(super) fn layout(path: &Path) -> Result<Self> {
        if !path.join("index.json").is_file() {
            return Staged::directory(path);
        }
        let staged = Staged::new(path)?;
        std::fs::create_dir(&staged.staged).what(|| format!("cannot make {}", path.display()))?;
        Ok(staged)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn staged(&self) -> &Path {
        &self.staged
    }

    pub(super) fn finish(mut self) -> Result<()> {
        std::fs::rename(&self.staged, &self.path)
            .what(|| format!("cannot write {}", self.path.display()))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.finished {
            let _ = crate::sys::tree::remove(&self.staged);
        }
    }
}

/// An archive in the making.
pub(super) struct Archive {
    pub(super) file: File,
    staged: Option<Staged>,
}

impl Archive {
    /// `fix` is what to write instead where nobody asked for a terminal full of bytes.
    pub(super) fn new(output: Option<&Path>, fix: &str) -> Result<Self> {
        let Some(path) = output else {
            let stdout = std::io::stdout();
            if stdout.is_terminal() {
                let what = "cannot write an archive";
                return Err(Error::new(what, "standard output is a terminal").fix(fix));
            }
            let fd = rustix::stdio::stdout().try_clone_to_owned();
            let file = File::from(fd.what(|| "cannot use standard output")?);
            return Ok(Archive { file, staged: None });
        };
        let what = || format!("cannot write {}", path.display());
        // A FIFO or a device is written to as it is.
        if let Ok(meta) = std::fs::metadata(path)
            && !meta.is_file()
        {
            let file = File::options().write(true).open(path).what(what)?;
            return Ok(Archive { file, staged: None });
        }
        let staged = Staged::new(path)?;
        let file = File::create_new(&staged.staged).what(what)?;
        Ok(Archive { file, staged: Some(staged) })
    }

    /// Everything is written.
    pub(super) fn finish(self) -> Result<()> {
        self.staged.map_or(Ok(()), Staged::finish)
    }
}
