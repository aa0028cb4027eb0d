//! A bar on standard error for work that takes over a second; on a terminal only.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::printable;
use crate::image::ingest::Watch;

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Progress {
    start: Instant,
    terminal: bool,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self::showing(std::io::stderr().is_terminal())
    }

    /// Without a bar; warnings are still shown.
    pub(crate) fn quiet() -> Self {
        Self::showing(false)
    }

    fn showing(terminal: bool) -> Self {
        Progress { start: Instant::now(), terminal, bar: OnceLock::new() }
    }
}

impl Watch for Progress {
    fn progress(&self, done: u64, total: Option<u64>) {
        if !self.terminal || self.start.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = match total {
                Some(_) => "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}",
                None => "{bytes} {spinner} {bytes_per_sec}",
            };
            // Without a template that it understands, indicatif's own will do.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position(done);
    }

    fn warn(&self, text: &str) {
        let line = format!("sbx: warning: {}", printable(text));
        match self.bar.get() {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
