//! One layer from its bytes to a tree: read, hash, keep, inflate, hash, unpack, each in a thread of
//! its own with buffers that go round. Runs in a worker when a tree is made.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::inflate;
use super::manifest::Compression;
use super::pipe::{self, Sender};
use super::unpack::{self, Counts};
use crate::error::{Context, Error, Result, errno_text};
use crate::userns::idmap::MoreIds;

/// The kind of job that a worker knows this as.
pub(crate) const JOB: &str = "unpack a layer";

/// Suffix of the empty file beside a tree whose root is opaque: overlayfs does not look for the mark
/// on the root of a layer.
pub(crate) const OPAQUE_SUFFIX: &str = ".opaque";

/// Between two reports of progress.
const TICK: Duration = Duration::from_millis(100);

/// Enough to tell how a layer is compressed.
const FIRST: usize = 4096;

/// Name of the tree inside the staging directory.
const STAGED_TREE: &str = "tree";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Names the layer in errors.
    pub(crate) label: String,
    /// Where it is in the input; `None` reads a stream to its end.
    pub(crate) range: Option<(u64, u64)>,
    /// `None` goes by the first bytes.
    pub(crate) compression: Option<Compression>,
    /// Where the bytes are kept.
    pub(crate) blob: Option<PathBuf>,
    pub(crate) tree: Option<TreeJob>,
    pub(crate) digest: Option<Digest>,
    pub(crate) diff_id: Option<Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TreeJob {
    /// The tree is made in here ...
    pub(crate) staging: PathBuf,
    /// ... and moved to here, where its name is its diffID. Without it the files go into `staging` as it
    /// is, and names that mean something in a layer mean nothing.
    pub(crate) layers: Option<PathBuf>,
    /// What to say of an owner that is not mapped.
    pub(crate) more_ids: MoreIds,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) diff_id: Digest,
    pub(crate) compression: Compression,
    pub(crate) counts: Counts,
}

impl Job {
    /// Unpacks what is read over the files of a directory that exists.
    pub(crate) fn over(dir: PathBuf, label: &str, more_ids: MoreIds) -> Self {
        Job {
            label: label.to_owned(),
            range: None,
            compression: None,
            blob: None,
            tree: Some(TreeJob { staging: dir, layers: None, more_ids }),
            digest: None,
            diff_id: None,
        }
    }
}

/// A job with its files open.
pub(crate) struct Prepared {
    job: Job,
    input: File,
    blob: Option<File>,
    tree: Option<(OwnedFd, Option<OwnedFd>)>,
}

/// Opens what the job names. `input` is the file that the layer is read from.
pub(crate) fn prepare(job: Job, input: File) -> Result<Prepared> {
    let blob = job.blob.as_ref().map(|path| {
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .what(|| format!("cannot create {}", path.display()))
    });
    let open = |path: &PathBuf, mode: OFlags| {
        let flags = mode | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .what(|| format!("cannot open {}", path.display()))
    };
    let open_tree = |tree: &TreeJob| match &tree.layers {
        Some(layers) => {
            let staging = open(&tree.staging, OFlags::RDONLY)?;
            Ok::<_, Error>((staging, Some(open(layers, OFlags::RDONLY)?)))
        }
        // It may belong to a subordinate id: only the namespace's root opens it to read.
        None => Ok((open(&tree.staging, OFlags::PATH)?, None)),
    };
    let tree = job.tree.as_ref().map(open_tree).transpose()?;
    Ok(Prepared { blob: blob.transpose()?, tree, job, input })
}

impl Prepared {
    /// Does the job; a tree that was begun is removed on failure. `progress` gets the number of bytes
    /// that were read, several times a second, however slowly they come.
    pub(crate) fn run(self, progress: &mut dyn FnMut(u64)) -> Result<Report> {
        let Prepared { job, mut input, mut blob, tree } = self;
        let read = AtomicU64::new(0);
        let mut source = Source::new(&mut input, &job, &read);
        let mut first = Vec::new();
        source.fill(&mut first, FIRST)?;
        let compression = inflate::detect(&first, job.compression, &job.label)?;
        let result = std::thread::scope(|scope| {
            let (raw_in, raw_out) = pipe::new();
            let must_match = job.digest.is_some() || job.diff_id.is_some();
            let read = &read;
            let feeder =
                scope.spawn(move || feed(source, first, blob.as_mut(), &raw_in, must_match));
            let (tar, inflater) = if compression == Compression::None {
                (raw_out, None)
            } else {
                let (tar_in, tar_out) = pipe::new();
                let label = job.label.as_str();
                let work = move || inflate::run(compression, raw_out, &tar_in, read, label);
                (tar_out, Some(scope.spawn(work)))
            };
            let (job, staging) = (&job, tree.as_ref().map(|(staging, _)| staging));
            // Dropped at its end.
            let (end, ended) = mpsc::channel::<()>();
            let taker = scope.spawn(move || {
                let _end = end;
                take(job, staging, tar)
            });
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                progress(read.load(Ordering::Relaxed));
            }
            let unpacked = taker.join().unwrap_or_else(|_| Err(died()));
            let inflated = inflater.map(|thread| thread.join().unwrap_or_else(|_| Err(died())));
            let fed = feeder.join().unwrap_or_else(|_| Err(died()));
            conclude(job, compression, fed, inflated, unpacked)
        });
        let Some((staging, Some(layers))) = tree else { return result };
        let settled =
            result.and_then(|report| publish(&job, &staging, &layers, &report).map(|()| report));
        if settled.is_err() {
            // The next run sweeps what cannot be removed now.
            use std::os::fd::AsFd as _;
            let _ = crate::sys::tree::remove_at(staging.as_fd(), c"tree");
        }
        settled
    }
}

fn died() -> Error {
    Error::new("cannot unpack a layer", "a thread of the worker died")
}

/// Unpacks the tar, or reads past it where no tree is wanted.
fn take(job: &Job, staging: Option<&OwnedFd>, mut tar: pipe::Receiver) -> Result<Counts> {
    let (Some(staging), Some(tree)) = (staging, &job.tree) else {
        let mut seen = 0;
        while let Some(n) = tar.skip().what(|| format!("cannot read {}", job.label))? {
            seen += n;
        }
        return Ok(Counts { bytes: seen, ..Counts::default() });
    };
    let root = match &tree.layers {
        Some(_) => unpack::make_root(staging, STAGED_TREE)?,
        None => unpack::existing_root(staging)?,
    };
    // An archive that nobody vouches for must have its end mark; a digest vouches otherwise.
    let vouched = job.digest.is_some() || job.diff_id.is_some();
    let options = unpack::Options {
        label: &job.label,
        place: &tree.staging,
        need_end: !vouched,
        whiteouts: tree.layers.is_some(),
        more_ids: &tree.more_ids,
    };
    unpack::run(tar, root, &options)
}

/// Picks the error that explains the others: a wrong digest before what its bytes then led to, what
/// could not be inflated before the tar that thus ended early.
fn conclude(
    job: &Job,
    compression: Compression,
    fed: Result<(Digest, u64)>,
    inflated: Option<Result<Digest>>,
    unpacked: Result<Counts>,
) -> Result<Report> {
    let (digest, size) = fed?;
    if let Some(expected) = job.digest.as_ref().filter(|expected| **expected != digest) {
        return Err(mismatch(&job.label, "digest", expected, &digest));
    }
    let diff_id = inflated.transpose()?.unwrap_or_else(|| digest.clone());
    // Inflated data is whole only when its receiver took all of it.
    let whole = compression == Compression::None || unpacked.is_ok();
    if let Some(expected) = job.diff_id.as_ref().filter(|id| whole && **id != diff_id) {
        return Err(mismatch(&job.label, "diffID", expected, &diff_id));
    }
    let counts = unpacked?;
    Ok(Report { digest, size, diff_id, compression, counts })
}

pub(crate) fn mismatch(label: &str, kind: &str, expected: &Digest, found: &Digest) -> Error {
    Error::new(
        format!("cannot take {label}"),
        format!("its {kind} is {found}, expected {expected}: it is damaged or was tampered with"),
    )
    .fix("get it again from where it came from")
}

/// Makes the tree appear under its diffID, whole and on disk.
fn publish(job: &Job, staging: &OwnedFd, layers: &OwnedFd, report: &Report) -> Result<()> {
    let what = || format!("cannot store {}", job.label);
    rustix::fs::syncfs(staging).what(what)?;
    let name = report.diff_id.hex();
    if report.counts.opaque_root {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mark = format!("{name}{OPAQUE_SUFFIX}");
        rustix::fs::openat(layers, mark.as_str(), flags, Mode::RUSR | Mode::WUSR).what(what)?;
    }
    match rustix::fs::renameat_with(staging, STAGED_TREE, layers, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Somebody imported the same bytes meanwhile.
        Err(Errno::EXIST) => {
            use std::os::fd::AsFd as _;
            let _ = crate::sys::tree::remove_at(staging.as_fd(), c"tree");
            Ok(())
        }
        // Not every file system knows the flag: an existing tree is not empty and refuses.
        Err(Errno::INVAL) => match rustix::fs::renameat(staging, STAGED_TREE, layers, name) {
            Ok(()) => Ok(()),
            Err(_) if rustix::fs::statat(layers, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() => Ok(()),
            Err(e) => Err(Error::new(what(), errno_text(e.raw_os_error()))),
        },
        Err(e) => Err(Error::new(what(), errno_text(e.raw_os_error()))),
    }
}

struct Source<'a> {
    input: &'a mut File,
    job: &'a Job,
    /// How much of it, for those who watch.
    read: &'a AtomicU64,
}

impl<'a> Source<'a> {
    fn new(input: &'a mut File, job: &'a Job, read: &'a AtomicU64) -> Self {
        if let Some((start, len)) = job.range {
            let len = std::num::NonZero::new(len);
            let _ = rustix::fs::fadvise(&*input, start, len, rustix::fs::Advice::Sequential);
        }
        Source { input, job, read }
    }

    /// The next bytes, `most` except at the end; none there.
    fn fill(&mut self, buffer: &mut Vec<u8>, most: usize) -> Result<()> {
        let what = || format!("cannot read {}", self.job.label);
        let mut position = self.read.load(Ordering::Relaxed);
        let (start, want) = match self.job.range {
            Some((start, len)) => {
                let left = usize::try_from(len - position).unwrap_or(usize::MAX);
                (Some(start), left.min(most))
            }
            None => (None, most),
        };
        buffer.resize(want, 0);
        let mut have = 0;
        while have < want {
            let into = &mut buffer[have..];
            let read = match start {
                Some(start) => self.input.read_at(into, start + position),
                None => self.input.read(into),
            };
            match read {
                Ok(0) if start.is_some() => {
                    return Err(Error::new(what(), "it is truncated: the file ends inside it"));
                }
                Ok(0) => break,
                Ok(n) => {
                    have += n;
                    position += n as u64;
                    self.read.store(position, Ordering::Relaxed);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e).what(what),
            }
        }
        buffer.truncate(have);
        Ok(())
    }
}

/// Reads, hashes and keeps the bytes, and passes them on. Where they must match a digest it goes on
/// after the receiver gave up, so that a wrong digest is what the user hears of.
fn feed(
    mut source: Source<'_>,
    first: Vec<u8>,
    mut blob: Option<&mut File>,
    out: &Sender,
    must_match: bool,
) -> Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut chunk = first;
    while !chunk.is_empty() {
        hasher.update(&chunk);
        if let Some(file) = blob.as_mut() {
            file.write_all(&chunk).what(|| match &source.job.blob {
                Some(path) => format!("cannot write {}", path.display()),
                None => format!("cannot write {}", source.job.label),
            })?;
        }
        chunk = match out.send(chunk) {
            Some(next) => next,
            None if must_match => {
                blob = None;
                Vec::new()
            }
            None => break,
        };
        source.fill(&mut chunk, pipe::CHUNK)?;
    }
    Ok((Digest::from_hasher(hasher), source.read.load(Ordering::Relaxed)))
}
