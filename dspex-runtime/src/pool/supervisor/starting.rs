//! Workers from the request for them to their Hello.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ending::REPORT_WITHIN;
use super::process::Process;
use super::{Event, Supervisor, worker_name};
use crate::jitter::random;
use crate::pool::error::PoolError;
use crate::pool::events::{PoolChange, WorkerEnd, WorkerId};
use crate::pool::recycling::Term;
use crate::pool::slot::SlotEvent;
use crate::pool::transport::{Link, LinkLimits};

/// How long a worker may take from its fork to Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a zygote may take to answer a request for a worker. A fork takes milliseconds.
const FORK_TIMEOUT: Duration = Duration::from_secs(3);

impl Supervisor {
    pub(super) async fn fork_waiting(&mut self) {
        for index in 0..self.slots.len() {
            self.fork_if_possible(index).await;
        }
    }

    pub(super) async fn fork_if_possible(&mut self, index: usize) {
        if self.slots[index].due && !self.stopping && self.can_fork() {
            self.slots[index].due = false;
            self.step(index, SlotEvent::Fork).await;
        }
    }

    /// Whether a worker can be had now.
    pub(super) fn can_fork(&self) -> bool {
        self.zygotes.is_ready() || !self.fleet.is_local()
    }

    pub(super) async fn start_worker(&mut self, index: usize, generation: u64) {
        let id = WorkerId::new(index, generation);
        let term = Term::draw(&self.config.recycling, random(), self.slots[index].hungry);
        self.slots[index].processes.push(Process::new(id, term));
        self.listeners.of_worker(id, PoolChange::Starting);
        let limits = LinkLimits {
            max_message_bytes: self.config.max_message_bytes,
            cancel_grace: self.config.cancel_grace,
        };
        let Some(route) = self.fleet.route(index, generation) else { return };
        let mut socket = None;
        if self.fleet.is_local() {
            match self.zygotes.fork(&worker_name(index), generation, route.listens_at()).await {
                Ok((zygote, ends)) => {
                    if let Some(process) = self.slots[index].process(generation) {
                        process.lifeline = Some(ends.lifeline);
                        process.zygote = zygote;
                        process.tail = ends.tail;
                    }
                    socket = ends.socket;
                    self.send_later(FORK_TIMEOUT, Event::ForkUnanswered(zygote, index, generation));
                }
                Err(error) => {
                    return self.fail_later(index, generation, &format!("the zygote cannot fork: {error}"));
                }
            }
        }
        let events = self.events.clone();
        tokio::spawn(async move {
            let connecting = route.connect(socket, limits, HELLO_TIMEOUT - Duration::from_secs(1));
            let failed = |reason: String| {
                Event::ConnectFailed(index, generation, format!("{reason}{}", route.place()))
            };
            let event = match tokio::time::timeout(HELLO_TIMEOUT, connecting).await {
                Ok(Ok(link)) => Event::Connected(index, generation, link),
                Ok(Err(error)) => failed(error.to_string()),
                Err(_) => failed(format!("no Hello within {HELLO_TIMEOUT:?}")),
            };
            let _ = events.send(event);
        });
    }

    pub(super) async fn connected(&mut self, index: usize, generation: u64, link: Arc<Link>) {
        let retired_before = self.slots[index].slot.serving;
        let local = self.fleet.is_local();
        let Some(process) = self.slots[index].process(generation) else { return };
        process.ready = Some(Instant::now());
        process.link = Some(link.clone());
        if local {
            process.runs_as(link.hello().pid);
        }
        let (took, pid) = (process.asked.elapsed(), link.hello().pid);
        let events = self.events.clone();
        tokio::spawn(async move {
            link.lost().await;
            let _ = events.send(Event::Lost(index, generation));
        });
        tracing::debug!(target: "dspex::pool", worker = index, generation, pid, ?took, replaces = retired_before, "a worker is ready");
        self.step(index, SlotEvent::Connected(generation)).await;
        self.report_start(Ok(()));
    }

    /// A worker could not be reached. One that was forked has ended, most likely: its zygote knows how, and says so in a moment.
    pub(super) async fn connect_failed(&mut self, index: usize, generation: u64, reason: String) {
        let forked = self.slots[index].process(generation).filter(|process| process.lifeline.is_some());
        match forked.map(|process| process.zygote) {
            Some(zygote) if self.zygotes.is_current(zygote) => {
                self.send_later(REPORT_WITHIN, Event::NotStarted(index, generation, reason));
            }
            _ => self.start_failed(index, generation, WorkerEnd::NotStarted(reason)).await,
        }
    }

    /// A worker did not come to its Hello.
    pub(super) async fn start_failed(&mut self, index: usize, generation: u64, end: WorkerEnd) {
        let Some(process) = self.slots[index].process(generation) else { return };
        let reason = end.to_string();
        process.verdict = Some(end);
        // A replacement that did not start: the old one goes on, and the next try has time.
        self.slots[index].renew_after = Some(Instant::now() + Duration::from_secs(10));
        self.intensity.count(Instant::now());
        self.step(index, SlotEvent::Failed(generation)).await;
        if self.slots.iter().all(|worker| worker.slot.failures > 0) {
            self.report_start(Err(PoolError::Down(reason.clone())));
        }
        self.refuse_if_hopeless(&reason);
    }

    pub(super) fn fail_later(&self, index: usize, generation: u64, reason: &str) {
        let _ = self.events.send(Event::ConnectFailed(index, generation, reason.to_owned()));
    }
}
