//! Takes layers into the store: many at once, each unpacked once.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::compare;
use super::digest::Digest;
use super::inflate;
use super::layer::{self, Job, Report, TreeJob};
use super::manifest::{Compression, Descriptor};
use super::source::Blob;
use super::staging::{self, Staging};
use super::store::{Hold, Store};
use super::tally::Tally;
use super::unpack::Counts;
use crate::error::{Context, Error, Result};
use crate::host::ids::{Caller, SubIds};
use crate::userns::idmap::{self, IdMap, MoreIds};
use crate::userns::worker;

/// How far the work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Read, of all layers together.
    pub(crate) bytes: u64,
    /// `None` where nobody knows.
    pub(crate) total: Option<u64>,
    pub(crate) layers: usize,
    /// 0 where the work has nothing to do with layers.
    pub(crate) layers_total: usize,
}

/// Who hears of what happens meanwhile.
pub(crate) trait Watch: Sync {
    /// Several times a second, whether there is something new or not.
    fn progress(&self, done: Done);
    fn warn(&self, text: &str);
}

/// The store with what it takes to fill it.
pub(crate) struct Ingest<'a> {
    pub(crate) store: &'a Store,
    pub(crate) watch: &'a dyn Watch,
    map: IdMap,
    more_ids: MoreIds,
    /// Until it is gone nothing is taken for a leftover.
    _hold: Hold,
}

/// A layer to be taken in.
pub(crate) struct Layer {
    pub(crate) label: String,
    pub(crate) blob: Blob,
    /// `None` where only the bytes tell.
    pub(crate) compression: Option<Compression>,
    /// `None` where the archive does not say.
    pub(crate) digest: Option<Digest>,
    pub(crate) diff_id: Digest,
}

/// A layer that the store has.
pub(crate) struct Known {
    pub(crate) label: String,
    pub(crate) blob: std::fs::File,
    pub(crate) compression: Compression,
    pub(crate) digest: Digest,
    pub(crate) diff_id: Digest,
}

impl Known {
    fn job(self, tree: Option<TreeJob>) -> (Job, std::fs::File) {
        let job = Job {
            label: self.label,
            range: None,
            compression: Some(self.compression),
            blob: None,
            tree,
            digest: Some(self.digest),
            diff_id: Some(self.diff_id),
        };
        (job, self.blob)
    }
}

impl<'a> Ingest<'a> {
    /// Also removes what killed runs left in the store.
    pub(crate) fn new(store: &'a Store, watch: &'a dyn Watch) -> Result<Self> {
        let caller = Caller::current();
        let ids = SubIds::of(&caller)?;
        let map = idmap::for_store(&caller, &ids)?;
        let hold = Hold::new(store, &map)?;
        for failure in staging::sweep(store.tmp(), &map)? {
            watch.warn(&failure.to_string());
        }
        Ok(Ingest { store, watch, map, more_ids: MoreIds::of(&caller, &ids), _hold: hold })
    }

    pub(super) fn map(&self) -> &IdMap {
        &self.map
    }

    pub(crate) fn staging(&self) -> Result<Staging> {
        Staging::private(self.store.tmp(), &self.map)
    }

    /// Takes all layers in and returns their descriptors in the same order. As many are worked on at
    /// once as there are processors.
    pub(crate) fn layers(&self, layers: &[Layer]) -> Result<Vec<Descriptor>> {
        let total = layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.blob.len()));
        let tally = Tally::new(self.watch, total, layers.len());
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let results: Mutex<Vec<(usize, Result<Descriptor>)>> = Mutex::default();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(layers.len()) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(layer) = layers.get(i) else { break };
                        let part = tally.layer(layer.blob.len());
                        let result = self.layer(layer, &|now| part.at(now));
                        if result.is_ok() {
                            part.finish();
                        }
                        stop.fetch_or(result.is_err(), Ordering::Relaxed);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(i, _)| *i);
        let descriptors: Vec<_> = results.into_iter().map(|(_, r)| r).collect::<Result<_>>()?;
        if descriptors.len() != layers.len() {
            return Err(Error::new("cannot take in all layers", "a thread died"));
        }
        Ok(descriptors)
    }

    fn layer(&self, layer: &Layer, progress: &dyn Fn(u64)) -> Result<Descriptor> {
        let compression = match layer.compression {
            Some(compression) => compression,
            None => sniff(layer)?,
        };
        let digest = match (&layer.digest, compression) {
            (None, Compression::None) => Some(&layer.diff_id),
            (digest, _) => digest.as_ref(),
        };
        let name = format!("layer-{}", layer.diff_id.hex());
        let staging = Staging::shared(self.store.tmp(), &name, &self.map)?;
        let has_tree = self.store.layer(&layer.diff_id).is_dir();
        let has_blob = digest.is_some_and(|digest| self.store.blob(digest).exists());
        if let Some(digest) = digest.filter(|_| has_tree && has_blob) {
            return Ok(Descriptor::new(compression.media_type(), digest.clone(), layer.blob.len()));
        }
        let what = || format!("cannot read {}", layer.label);
        let (input, range, outcome) = match &layer.blob {
            Blob::Part { file, start, len } => {
                (file.try_clone().what(what)?, Some((*start, *len)), None)
            }
            Blob::Remote { from, digest, len } => {
                let incoming = from.stream(digest, *len)?;
                (incoming.file, None, Some(incoming.outcome))
            }
        };
        let job = Job {
            label: layer.label.clone(),
            range,
            compression: Some(compression),
            blob: (!has_blob).then(|| staging.path().join("blob")),
            tree: (!has_tree).then(|| self.tree_job(&staging)),
            digest: digest.cloned(),
            diff_id: Some(layer.diff_id.clone()),
        };
        let ran = self.run(job, input, &staging, progress);
        let report = match (ran, outcome.map(|outcome| outcome.recv())) {
            // What came was not all: the reason is better than what it looked like.
            (Err(_), Some(Ok(Err(reason)))) => return Err(reason),
            (ran, _) => ran?,
        };
        Ok(Descriptor::new(report.compression.media_type(), report.digest, report.size))
    }

    /// Takes in one layer of which nothing is known: `input` is read to its end.
    pub(crate) fn unknown(&self, input: std::fs::File, label: &str) -> Result<Report> {
        let staging = self.staging()?;
        let total = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        let job = Job {
            label: label.to_owned(),
            range: None,
            compression: None,
            blob: Some(staging.path().join("blob")),
            tree: Some(self.tree_job(&staging)),
            digest: None,
            diff_id: None,
        };
        let mut done = Done { total, layers_total: 1, ..Done::default() };
        let watch = |bytes| self.watch.progress(Done { bytes, ..done });
        let report = self.run(job, input, &staging, &watch)?;
        (done.bytes, done.total, done.layers) = (report.size, Some(report.size), 1);
        self.watch.progress(done);
        Ok(report)
    }

    /// Unpacks a layer of the store once more, beside what is there already. The tree goes with the
    /// staging directory.
    pub(crate) fn unpack_beside(&self, layer: Known) -> Result<(Staging, PathBuf)> {
        let staging = self.staging()?;
        let beside = staging.path().join("layers");
        std::fs::create_dir(&beside).what(|| format!("cannot make {}", beside.display()))?;
        let tree = beside.join(layer.diff_id.hex());
        let job = TreeJob { layers: Some(beside), ..self.tree_job(&staging) };
        let (job, blob) = layer.job(Some(job));
        self.run(job, blob, &staging, &|_| ())?;
        Ok((staging, tree))
    }

    /// Whether a layer of the store has its digests.
    pub(crate) fn verify(&self, layer: Known) -> Result<()> {
        let (job, blob) = layer.job(None);
        layer::prepare(job, blob)?.run(&mut |_| ()).map(drop)
    }

    /// The first difference between two trees.
    pub(crate) fn compare(&self, job: &compare::Job) -> Result<Option<String>> {
        worker::run(&self.map, compare::JOB, job, Stdio::null(), &|_| ())
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        worker::remove_tree(&self.map, path)
    }

    fn tree_job(&self, staging: &Staging) -> TreeJob {
        TreeJob {
            staging: staging.path().to_owned(),
            layers: Some(self.store.layers().to_owned()),
            more_ids: self.more_ids.clone(),
        }
    }

    /// A tree is made by a worker; bytes alone are verified and kept right here.
    fn run(
        &self,
        job: Job,
        input: std::fs::File,
        staging: &Staging,
        progress: &dyn Fn(u64),
    ) -> Result<Report> {
        let label = job.label.clone();
        let keeps_blob = job.blob.is_some();
        let report: Report = if job.tree.is_some() {
            worker::run(&self.map, layer::JOB, &job, Stdio::from(input), progress)?
        } else {
            layer::prepare(job, input)?.run(&mut |n| progress(n))?
        };
        if keeps_blob {
            let what = || format!("cannot store {label}");
            let staged = staging.path().join("blob");
            let file = std::fs::File::open(&staged).what(what)?;
            file.sync_all().what(what)?;
            std::fs::rename(&staged, self.store.blob(&report.digest)).what(what)?;
        }
        self.warn(&label, &report.counts);
        Ok(report)
    }

    fn warn(&self, label: &str, counts: &Counts) {
        if let Some(skipped) = counts.skipped() {
            self.watch.warn(&format!("{label}: {skipped}"));
        }
    }
}

fn sniff(layer: &Layer) -> Result<Compression> {
    use std::os::unix::fs::FileExt as _;
    let what = || format!("cannot read {}", layer.label);
    let Blob::Part { file, start, len } = &layer.blob else {
        return Err(Error::new(what(), "its media type does not say how it is compressed"));
    };
    let mut first = [0; 16];
    let n = usize::try_from(*len).unwrap_or(usize::MAX).min(first.len());
    file.read_exact_at(&mut first[..n], *start).what(what)?;
    inflate::detect(&first[..n], None, &layer.label)
}
