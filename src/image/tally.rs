//! How far work with several layers has come, in turn or at once.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::ingest::{Done, Watch};

pub(crate) struct Tally<'a> {
    watch: &'a dyn Watch,
    done: Mutex<Done>,
}

/// One layer, or something else that bytes are read of.
pub(crate) struct Part<'a> {
    tally: &'a Tally<'a>,
    size: u64,
    layers: usize,
    told: Cell<u64>,
}

impl<'a> Tally<'a> {
    /// For parts of `total` bytes together, `layers` of which are layers.
    pub(crate) fn new(watch: &'a dyn Watch, total: u64, layers: usize) -> Self {
        let done = Done { total: Some(total), layers_total: layers, ..Done::default() };
        Tally { watch, done: Mutex::new(done) }
    }

    pub(crate) fn layer(&'a self, size: u64) -> Part<'a> {
        Part { tally: self, size, layers: 1, told: Cell::new(0) }
    }

    /// What is no layer.
    pub(crate) fn other(&'a self, size: u64) -> Part<'a> {
        Part { layers: 0, ..self.layer(size) }
    }

    /// Told with the lock held, so that whoever watches sees numbers that grow.
    fn add(&self, bytes: u64, layers: usize) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // Manifests may say what they like.
        done.bytes = done.bytes.saturating_add(bytes);
        done.layers += layers;
        self.watch.progress(*done);
    }
}

impl Part<'_> {
    /// This much of it was read; less than before where it is read once more.
    pub(crate) fn at(&self, now: u64) {
        let (told, now) = (self.told.get(), now.min(self.size));
        self.told.set(told.max(now));
        self.tally.add(now.saturating_sub(told), 0);
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.at(self.told.get().saturating_add(bytes));
    }

    /// Whatever was read of it: it may have been there already.
    pub(crate) fn finish(self) {
        self.tally.add(self.size - self.told.get(), self.layers);
    }
}
