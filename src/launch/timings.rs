//! `--timings`: where the milliseconds of a start went.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stage::About;

/// Marks of the parent, and cells in shared memory for the child's.
pub(crate) struct Timings {
    start_ns: u64,
    marks: Vec<(&'static str, u64)>,
    pub(crate) cells: &'static [AtomicU64],
    clone_ns: u64,
}

pub(crate) fn now_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec.cast_unsigned() * 1_000_000_000 + t.tv_nsec.cast_unsigned()
}

impl Timings {
    pub(crate) fn new() -> Self {
        Timings { start_ns: now_ns(), marks: Vec::new(), cells: &[], clone_ns: 0 }
    }

    /// Everything since the last mark was `phase`.
    pub(crate) fn mark(&mut self, phase: &'static str) {
        self.marks.push((phase, now_ns()));
    }

    pub(crate) fn cloned(&mut self) {
        self.clone_ns = now_ns();
    }

    pub(crate) fn render(&self, about: &[About]) -> String {
        let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        let mut out = String::new();
        let mut last = self.start_ns;
        for (phase, at) in &self.marks {
            let _ = writeln!(out, "{:8.3} ms  {phase}", ms(last, *at));
            last = *at;
        }
        let mut last = self.clone_ns;
        for (cell, about) in self.cells.iter().zip(about) {
            let at = cell.load(Ordering::Relaxed);
            if at == 0 {
                continue;
            }
            // The text of a failure, turned into what was done.
            let what = about.what.trim_start_matches("cannot ");
            let _ = writeln!(out, "{:8.3} ms  child: {what}", ms(last, at));
            last = at;
        }
        out
    }
}
