//! Shows what a provisioning is doing: it takes a minute once, and nothing may look stuck meanwhile.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where the progress of a provisioning goes. A start that finds the environment ready reports nothing.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Progress {
    /// A bar on stderr if that is a terminal, else [`Lines`](Progress::Lines).
    #[default]
    Auto,
    /// A plain line on stderr for each step.
    Lines,
    /// Nowhere. Steps are still `tracing` events at level `INFO`.
    Silent,
    /// To a function of the program's own.
    Custom(Arc<dyn Fn(ProgressEvent<'_>) + Send + Sync>),
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "Auto",
            Self::Lines => "Lines",
            Self::Silent => "Silent",
            Self::Custom(_) => "Custom(..)",
        })
    }
}

/// One piece of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// A new step began (or ended), told in a sentence for people.
    Step(&'a str),
    /// A package is being dealt with.
    Package {
        /// Its name.
        name: &'a str,
        /// How many packages were seen so far in this step.
        done: u64,
        /// How many there are at most: a lock holds some packages for other platforms only.
        total: u64,
    },
}

/// Sends the progress of one provisioning to where the user wants it.
pub(super) struct Reporter {
    sink: Sink,
    total: u64,
    done: u64,
    /// When the last plain line was written.
    told: Instant,
}

/// How long plain lines may stay away while packages come in.
const QUIET: Duration = Duration::from_secs(10);

enum Sink {
    Bar(ProgressBar),
    Lines,
    Silent,
    Custom(Arc<dyn Fn(ProgressEvent<'_>) + Send + Sync>),
}

impl Reporter {
    pub(super) fn new(progress: &Progress, total: u64) -> Self {
        let sink = match progress {
            Progress::Auto if std::io::stderr().is_terminal() => Sink::Bar(bar(total)),
            Progress::Auto | Progress::Lines => Sink::Lines,
            Progress::Silent => Sink::Silent,
            Progress::Custom(function) => Sink::Custom(Arc::clone(function)),
        };
        Self { sink, total, done: 0, told: Instant::now() }
    }

    /// A new step began.
    pub(super) fn step(&mut self, what: &str) {
        tracing::info!(target: "dspex::env", "{what}");
        self.done = 0;
        match &self.sink {
            Sink::Bar(bar) => {
                bar.set_position(0);
                bar.set_message(what.to_owned());
            }
            Sink::Lines => self.line(what),
            Sink::Silent => {}
            Sink::Custom(function) => function(ProgressEvent::Step(what)),
        }
    }

    /// The next package of this step.
    pub(super) fn package(&mut self, name: &str) {
        self.done = (self.done + 1).min(self.total);
        match &self.sink {
            Sink::Bar(bar) => {
                bar.set_position(self.done);
                bar.set_message(name.to_owned());
            }
            Sink::Lines if self.told.elapsed() >= QUIET => {
                self.line(&format!("{name} ({} of at most {} packages)", self.done, self.total));
            }
            Sink::Lines | Sink::Silent => {}
            Sink::Custom(function) => {
                function(ProgressEvent::Package { name, done: self.done, total: self.total });
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.told = Instant::now();
        eprintln!("dspex: {text}");
    }

    /// All is ready: the bar leaves the terminal, a closing line stays.
    pub(super) fn finish(mut self, what: &str) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
            self.sink = Sink::Lines;
        }
        self.step(what);
    }
}

impl Drop for Reporter {
    /// An error message is not to be drawn over by a bar.
    fn drop(&mut self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("dspex: {spinner} [{bar:30}] {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
