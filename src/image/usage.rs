//! What trees take on disk. Runs in a worker, which may look into all of them.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// The kind of job that a worker knows this as.
pub(crate) const JOB: &str = "measure trees";

/// stat(2): the unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    paths: Vec<PathBuf>,
}

/// The bytes on disk of each path with all below it.
pub(crate) fn measure(map: &IdMap, paths: Vec<PathBuf>) -> Result<Vec<u64>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    worker::run(map, JOB, &Job { paths }, Stdio::null(), &|_| ())
}

/// A file with several names counts once; what goes meanwhile does not count.
pub(crate) fn run(job: &Job) -> Result<Vec<u64>> {
    let mut seen = HashSet::new();
    job.paths.iter().map(|path| tree(path.clone(), &mut seen)).collect()
}

fn tree(top: PathBuf, seen: &mut HashSet<(u64, u64)>) -> Result<u64> {
    let mut bytes = 0;
    let mut todo = vec![top];
    while let Some(path) = todo.pop() {
        let what = || format!("cannot measure {}", path.display());
        let meta = match path.symlink_metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            other => other.what(what)?,
        };
        if !meta.is_dir() && meta.nlink() > 1 && !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        bytes += meta.blocks() * BLOCK_BYTES;
        if meta.is_dir() {
            let entries = match path.read_dir() {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                other => other.what(what)?,
            };
            for entry in entries {
                todo.push(entry.what(what)?.path());
            }
        }
    }
    Ok(bytes)
}
