//! The changes between two stacks of trees, as a list; the work is done by a worker, since files belong to
//! subordinate ids.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};

use super::changes::{self, Kind, MountTargets, Sink};
use super::merged::{self, Merged, Node};
use crate::error::Result;
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// The kind of job that a worker knows this as.
pub(crate) const JOB: &str = "compare trees";

/// Trees, the topmost first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trees {
    pub(crate) new: Vec<PathBuf>,
    pub(crate) old: Vec<PathBuf>,
    /// Where `new` was mounted on.
    pub(crate) targets: Vec<PathBuf>,
}

/// Trees that are open.
pub(crate) struct Opened {
    new: Vec<OwnedFd>,
    old: Vec<OwnedFd>,
    targets: MountTargets,
}

impl Trees {
    pub(crate) fn open(&self) -> Result<Opened> {
        Ok(Opened {
            new: merged::open(self.new.iter())?,
            old: merged::open(self.old.iter())?,
            targets: MountTargets::new(&self.targets),
        })
    }
}

impl Opened {
    /// Tells `sink` how the new trees differ from the old ones.
    pub(super) fn compare(&self, sink: &mut dyn Sink) -> Result<()> {
        let (new, old) = (Merged::new(&self.new)?, Merged::new(&self.old)?);
        changes::compare(new, &old, &self.targets, sink)
    }
}

/// A path with a leading slash and what became of it: `A`, `C` or `D`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) kind: char,
    pub(crate) path: String,
}

/// Finds the changes, in the order of paths.
pub(crate) fn diff(map: &IdMap, trees: &Trees) -> Result<Vec<Change>> {
    worker::run(map, JOB, trees, Stdio::null(), &|_| ())
}

impl Opened {
    /// The worker's part.
    pub(crate) fn changes(&self) -> Result<Vec<Change>> {
        let mut list = List(Vec::new());
        self.compare(&mut list)?;
        Ok(list.0)
    }
}

struct List(Vec<Change>);

impl List {
    fn push(&mut self, kind: char, path: &[u8]) {
        // The root itself is no change.
        if !path.is_empty() {
            self.0.push(Change { kind, path: format!("/{}", String::from_utf8_lossy(path)) });
        }
    }
}

impl Sink for List {
    fn changed(&mut self, kind: Kind, path: &[u8], _: &Node<'_>) -> Result<()> {
        self.push(if kind == Kind::Added { 'A' } else { 'C' }, path);
        Ok(())
    }

    fn deleted(&mut self, path: &[u8]) -> Result<()> {
        self.push('D', path);
        Ok(())
    }

    fn marks_emptied(&self) -> bool {
        false
    }

    fn emptied(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}
