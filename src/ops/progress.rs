//! How work that takes a while is watched: a bar on a terminal, or lines of JSON, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::image::{ProgressArgs, ProgressMode};
use crate::error::printable;
use crate::image::ingest::{Done, Watch};
use crate::sys::line::Line;

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two lines of JSON that tell of bytes alone.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Progress {
    start: Instant,
    show: Show,
    bar: OnceLock<(ProgressBar, Line)>,
    /// What was told last, and when.
    told: Mutex<(Done, Option<Instant>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    /// Nothing but warnings.
    Quiet,
    Nothing,
    Bar,
    Json,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self::showing(if terminal { Show::Bar } else { Show::Nothing })
    }

    pub(crate) fn of(args: &ProgressArgs) -> Self {
        match args.progress {
            ProgressMode::Auto => Self::new(),
            ProgressMode::Json => Self::showing(Show::Json),
            ProgressMode::None => Self::showing(Show::Nothing),
        }
    }

    /// Without a bar and without what is announced; warnings are still shown.
    pub(crate) fn quiet() -> Self {
        Self::showing(Show::Quiet)
    }

    fn showing(show: Show) -> Self {
        let (start, told) = (Instant::now(), Mutex::default());
        Progress { start, show, bar: OnceLock::new(), told }
    }

    /// What is being done, and to which image.
    pub(crate) fn begin(&self, action: &str, image: &str) {
        match self.show {
            Show::Json => line(&json!({ "event": action, "image": image })),
            Show::Quiet => {}
            Show::Nothing | Show::Bar => eprintln!("sbx: {action} {}", printable(image)),
        }
    }

    fn draw(&self, done: Done) {
        let (bar, _) = self.bar.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(done.total, ProgressDrawTarget::stderr());
            let template = match done.total {
                Some(_) => "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}{msg}",
                None => "{bytes} {spinner} {bytes_per_sec}{msg}",
            };
            // Without a template that it understands, indicatif's own will do.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            // Before it is drawn for the first time.
            let bar = bar.with_position(done.bytes).with_message(layers(done));
            (bar, Line::erased_by_signals())
        });
        if bar.message() != layers(done) {
            bar.set_message(layers(done));
        }
        bar.set_position(done.bytes);
    }

    fn tell(&self, done: Done) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, at) = *told;
        let event = if done.layers > before.layers {
            "layer"
        } else if done != before
            && (done.total == Some(done.bytes) || at.is_none_or(|at| at.elapsed() >= PAUSE))
        {
            "progress"
        } else {
            return;
        };
        *told = (done, Some(Instant::now()));
        line(&json!({
            "event": event,
            "bytes": done.bytes,
            "total": done.total,
            "layers": done.layers,
            "layersTotal": done.layers_total,
        }));
    }
}

fn layers(done: Done) -> String {
    match done.layers_total {
        0 => String::new(),
        all => format!(", {} of {all} layers", done.layers),
    }
}

/// In one write, whole among those of others.
fn line(value: &Value) {
    // Whoever listens may have gone; the work goes on.
    let _ = std::io::stderr().write_all(format!("{value}\n").as_bytes());
}

impl Watch for Progress {
    fn progress(&self, done: Done) {
        match self.show {
            Show::Bar if self.start.elapsed() >= PATIENCE => self.draw(done),
            Show::Json => self.tell(done),
            _ => {}
        }
    }

    fn warn(&self, text: &str) {
        if self.show == Show::Json {
            return line(&json!({ "event": "warning", "text": text }));
        }
        let line = format!("sbx: warning: {}", printable(text));
        match self.bar.get() {
            Some((bar, _)) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, _)) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
