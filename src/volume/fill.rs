//! What the image has where a volume is mounted goes into the volume, once: with its owners, by a worker
//! in the user namespace.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::DATA;
use crate::error::{Context, Error, Result, errno_text};
use crate::image::copy::{self, Ids};
use crate::image::merged::{self, Merged};
use crate::image::view;
use crate::userns::idmap::IdMap;
use crate::userns::worker;

pub(crate) const JOB: &str = "fill a volume";

/// The copy before it is whole.
const STAGED: &std::ffi::CStr = c"new";

/// What a container can bring into a new volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The image's layers, lowest first; none where the root is no image.
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) target: PathBuf,
    /// Whether files are wanted; the owner always is.
    pub(crate) copy: bool,
    /// The process's ids: the owner where the image has no such directory.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) ids: Ids,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    volume: PathBuf,
    /// Somebody has `data` mounted: another directory cannot take its place.
    used: bool,
    content: Content,
}

/// Fills the volume whose directory is `volume`, if it is empty.
pub(super) fn run(map: &IdMap, volume: &Path, used: bool, content: &Content) -> Result<()> {
    // As it was made.
    if content.lowers.is_empty() && content.ids.translate(content.uid, content.gid) == Some((0, 0))
    {
        return Ok(());
    }
    let job = Job { volume: volume.to_owned(), used, content: content.clone() };
    worker::run(map, JOB, &job, Stdio::null(), &|_| ())
}

/// In the worker: opens what the job names.
pub(crate) fn prepare(job: Job) -> Result<impl FnOnce() -> Result<()>> {
    let volume =
        File::open(&job.volume).what(|| format!("cannot open {}", job.volume.display()))?;
    let layers = merged::open(job.content.lowers.iter().rev())?;
    Ok(move || fill(&volume.into(), &layers, &job))
}

fn fill(volume: &OwnedFd, layers: &[OwnedFd], job: &Job) -> Result<()> {
    let content = &job.content;
    let what = || format!("cannot fill the volume for {}", content.target.display());
    let data = open(volume, DATA).what(what)?;
    let mut entries = rustix::fs::Dir::read_from(&data).what(what)?;
    if entries.any(|e| e.is_ok_and(|e| e.file_name() != c"." && e.file_name() != c"..")) {
        return Ok(());
    }
    let found = match view::resolve(&content.lowers, &content.target).what(what)? {
        Some((_, real)) => Merged::new(layers)?.descend(&real).what(what)?,
        None => None,
    };
    let Some(dir) = found else {
        let (uid, gid) = copy::owner(content.uid, content.gid, &content.ids)?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        return rustix::fs::fchown(&data, Some(uid), Some(gid)).what(what);
    };
    if !content.copy || dir.is_empty().what(what)? {
        return copy::look_like(&data, &dir.stat().what(what)?, &content.ids);
    }
    if job.used {
        let why = "it is empty, and mounted in a container that brought no files of an image";
        return Err(Error::new(what(), why)
            .fix("end that container first, or add nocopy: -v NAME:/path:nocopy"));
    }
    // Left by a start that was killed.
    crate::sys::tree::remove_at(volume.as_fd(), STAGED)
        .map_err(|e| Error::new(what(), errno_text(e.errno.raw_os_error())))?;
    rustix::fs::mkdirat(volume, STAGED, Mode::RWXU).what(what)?;
    let staged = open(volume, STAGED).what(what)?;
    copy::copy(&dir, &staged, &content.ids)?;
    rustix::fs::syncfs(&staged).what(what)?;
    // rename(2) replaces an empty directory.
    rustix::fs::renameat(volume, STAGED, volume, DATA).what(what)
}

fn open<P: rustix::path::Arg>(dir: &OwnedFd, name: P) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}
