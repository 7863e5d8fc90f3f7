//! The zygote's keeper: one that can fork is kept warm, and its loss costs no worker.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Event, Supervisor, index_of};
use crate::error::PyFrame;
use crate::pool::error::PoolError;
use crate::pool::events::{PoolChange, WorkerEnd};
use crate::pool::fleet::{LocalFleet, WorkerFleet};
use crate::pool::slot::SlotState;
use crate::pool::zygote::{Report, WorkerEnds, Zygote};

/// Wait before a zygote that failed is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How long a zygote may take for what workers left behind. It takes milliseconds.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// So many forks in a row that fail condemn a zygote: it may be what lacks something, such as file descriptors.
const REFUSALS: u32 = 5;

/// The zygote there is, and what became of those before.
#[derive(Default)]
pub(super) struct Zygotes {
    current: Option<Zygote>,
    number: u64,
    ready: bool,
    /// Failures since one was last warm.
    pub(super) failures: u32,
    started: Option<Instant>,
    /// It owes an answer for so long.
    owed: Option<Duration>,
    refusals: u32,
}

impl Zygotes {
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn is_current(&self, number: u64) -> bool {
        self.current.is_some() && self.number == number
    }

    /// Asks for a worker; says which zygote was asked.
    pub(super) async fn fork(
        &self,
        worker: &str,
        generation: u64,
        listen: Option<&Path>,
    ) -> std::io::Result<(u64, WorkerEnds)> {
        match &self.current {
            Some(zygote) => Ok((self.number, zygote.fork(worker, generation, listen).await?)),
            None => Err(std::io::Error::other("none runs")),
        }
    }
}

impl Supervisor {
    pub(super) async fn start_zygote(&mut self) {
        let WorkerFleet::Local(LocalFleet { python, worker_dir, token, .. }) = &self.fleet else { return };
        if self.stopping {
            return;
        }
        self.zygotes.number += 1;
        let number = self.zygotes.number;
        let reports = self.reports.clone();
        match Zygote::start(python, worker_dir, &self.config, token.as_ref(), number, reports).await {
            Ok(zygote) => {
                self.zygotes.current = Some(zygote);
                self.zygotes.started = Some(Instant::now());
                self.zygotes.owed = None;
                self.zygotes.refusals = 0;
            }
            Err(source) => {
                let error = PoolError::Spawn { python: python.display().to_string(), error: source };
                let reason = error.to_string();
                self.report_start(Err(error));
                self.zygotes.failures += 1;
                self.refuse_if_hopeless(&reason);
                // Not at once: what it lacked, such as descriptors, takes a moment to come back.
                self.send_later(backoff(self.zygotes.failures + 1), Event::StartZygote);
            }
        }
    }

    /// What the zygote of this number reports.
    pub(super) async fn on_report(&mut self, number: u64, report: Report) {
        let current = self.zygotes.is_current(number);
        match report {
            Report::Ready { warm_ms } if current => {
                tracing::debug!(target: "dspex::pool", warm_ms, "the zygote is warm");
                self.zygotes.ready = true;
                self.zygotes.failures = 0;
                let took = self.zygotes.started.map_or(Duration::ZERO, |started| started.elapsed());
                self.listeners.of_pool(PoolChange::ZygoteWarm { took });
                self.fork_waiting().await;
            }
            Report::Failed { error } if current => {
                let message = format!("{}: {}", error.class, error.message);
                // What the worker itself does on the way to the import helps nobody.
                let own =
                    |frame: &PyFrame| frame.module.starts_with("dspex_worker") || frame.module == "__main__";
                let frames = error.frames.into_iter().filter(|frame| !own(frame)).collect();
                let import = PoolError::Import { class: error.class, message: error.message, frames };
                self.zygote_failed(Some(import), &message);
            }
            Report::Gone { last_lines } if current => {
                let summary = last_lines.lines().last().unwrap_or("no output").to_owned();
                self.zygote_failed(Some(PoolError::Died { last_lines }), &summary);
            }
            Report::Pong if current => self.zygotes.owed = None,
            // Of a zygote that was given up, or that ends with the pool.
            Report::Ready { .. }
            | Report::Failed { .. }
            | Report::Gone { .. }
            | Report::Pong
            | Report::Finished => {}
            Report::Forked { worker, generation, pid } => {
                if current {
                    self.zygotes.refusals = 0;
                }
                let worker = index_of(&worker).and_then(|index| self.slots.get_mut(index));
                if let Some(process) = worker.and_then(|worker| worker.process(generation)) {
                    process.runs_as(pid);
                }
            }
            Report::Refused { request, error } => {
                let reason = format!("the zygote refused: {}: {}", error.class, error.message);
                let index = request["worker"].as_str().and_then(index_of);
                if let (Some(index), Some(generation)) = (index, request["generation"].as_u64())
                    && index < self.slots.len()
                {
                    self.start_failed(index, generation, WorkerEnd::NotStarted(reason.clone())).await;
                    self.zygotes.refusals += 1;
                    if current && self.zygotes.refusals >= REFUSALS {
                        self.zygote_failed(None, &reason);
                    }
                }
            }
            Report::Exited { worker, generation, code, signal } => {
                if let Some(index) = index_of(&worker) {
                    self.exited(index, generation, code, signal).await;
                }
            }
        }
    }

    /// Whether the zygote still answers, where it should.
    pub(super) async fn watch_zygote(&mut self, since_last: Duration) {
        let every = self.config.heartbeat.every;
        let patience = (self.config.heartbeat.patience / 2).max(every * 2);
        let Some(zygote) = &self.zygotes.current else { return };
        if !self.zygotes.ready {
            let limit = self.config.start_timeout;
            if self.zygotes.started.is_some_and(|started| started.elapsed() > limit) {
                self.zygote_failed(None, &format!("it was not warm within {limit:?}"));
            }
            return;
        }
        match self.zygotes.owed {
            // As with workers: when the host stood still, the time is its own.
            Some(owed) if owed + since_last.min(every * 2) >= patience => {
                self.zygote_failed(None, &format!("it did not answer for {patience:?}"));
            }
            Some(owed) => self.zygotes.owed = Some(owed + since_last.min(every * 2)),
            None => {
                // Where that fails, its end is reported.
                let _ = zygote.ping().await;
                self.zygotes.owed = Some(Duration::ZERO);
            }
        }
    }

    /// The workers' lifelines are closed: the zygote ends what they started and left, which nobody else can tell from others'. One that
    /// hangs is not waited for.
    pub(super) async fn finish_zygote(&self, reports: &mut mpsc::UnboundedReceiver<(u64, Report)>) {
        let Some(zygote) = self.zygotes.current.as_ref().filter(|_| self.zygotes.ready) else { return };
        let finished = async {
            zygote.finish().await?;
            while let Some((number, report)) = reports.recv().await {
                let over = matches!(report, Report::Finished | Report::Gone { .. });
                if over && self.zygotes.is_current(number) {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        match tokio::time::timeout(FINISH_WITHIN, finished).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(target: "dspex::pool", %error, "the zygote is gone already"),
            Err(_) => {
                tracing::warn!(target: "dspex::pool", "the zygote did not end what is left of its workers")
            }
        }
    }

    /// Workers that run go on; new ones wait for a new zygote. Dropping the old one ends it, also where it hangs.
    pub(super) fn zygote_failed(&mut self, error: Option<PoolError>, summary: &str) {
        if self.zygotes.current.take().is_none() {
            return;
        }
        self.zygotes.ready = false;
        self.zygotes.failures += 1;
        let failures = self.zygotes.failures;
        tracing::warn!(target: "dspex::pool", reason = %summary, failures, "the zygote is gone");
        self.listeners.of_pool(PoolChange::ZygoteLost { reason: summary.to_owned() });
        self.report_start(Err(error.unwrap_or_else(|| PoolError::Down(summary.to_owned()))));
        // A slot whose back-off has passed waits for the new zygote.
        for worker in &mut self.slots {
            worker.due |= worker.slot.state == SlotState::Waiting;
        }
        self.refuse_if_hopeless(summary);
        // One that was warm is replaced at once.
        self.send_later(backoff(failures), Event::StartZygote);
    }
}

/// The wait after so many failures in a row: none after the first.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        failures => BACKOFF.0.saturating_mul(1 << (failures - 2).min(10)).min(BACKOFF.1),
    }
}
