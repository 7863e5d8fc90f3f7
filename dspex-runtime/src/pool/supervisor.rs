//! One task owns every slot and the zygote: it starts workers, watches them and replaces them.
//!
//! All decisions are [`Slot::step`]'s; this file carries them out and turns what happens into events.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::config::{Carrier, FleetConfig, PoolConfig};
use super::endpoint::Endpoint;
use super::error::PoolError;
use super::logs::Tail;
use super::scheduler::{LeaseError, Scheduler};
use super::slot::{Action, Slot, SlotEvent, SlotState};
use super::transport::{Link, LinkError, LinkLimits, framed, grpc};
use super::zygote::{Report, Zygote};
use crate::error::PyFrame;

/// How long a worker may take from its fork to Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Wait before a zygote that failed is started again.
const ZYGOTE_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// What the supervisor reacts to.
pub(crate) enum Event {
    /// Ready to fork again.
    Fork(usize, u64),
    /// The worker said Hello.
    Connected(usize, u64, Arc<Link>),
    /// It did not.
    ConnectFailed(usize, u64, String),
    /// The link ended.
    Lost(usize, u64, String),
    /// Start the zygote (again).
    StartZygote,
    /// The pool ends: calls that run may finish for so long. Answered when every process was ended.
    Shutdown(Duration, oneshot::Sender<()>),
}

/// The supervisor's state; [`Supervisor::run`] is its life.
pub(crate) struct Supervisor {
    config: Arc<PoolConfig>,
    fleet: FleetConfig,
    scheduler: Arc<Scheduler>,
    token: String,
    socket_dir: Option<tempfile::TempDir>,
    slots: Vec<Worker>,
    zygote: Option<Zygote>,
    zygote_ready: bool,
    zygote_failures: u32,
    events: mpsc::UnboundedSender<Event>,
    reports: mpsc::UnboundedSender<Report>,
    started: Option<oneshot::Sender<Result<(), PoolError>>>,
}

/// A slot and its process.
struct Worker {
    slot: Slot,
    lifeline: Option<OwnedFd>,
    link: Option<Arc<Link>>,
    tail: Tail,
    ready_since: Option<Instant>,
}

/// The channels that a running supervisor listens to.
pub(crate) struct Inbox {
    events: mpsc::UnboundedReceiver<Event>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl Supervisor {
    /// A supervisor that tells `started` when the first worker is ready, or why none will be.
    pub(crate) fn new(
        config: Arc<PoolConfig>,
        fleet: FleetConfig,
        scheduler: Arc<Scheduler>,
        token: String,
        started: oneshot::Sender<Result<(), PoolError>>,
    ) -> Result<(Self, Inbox, mpsc::UnboundedSender<Event>), PoolError> {
        let (events, event_inbox) = mpsc::unbounded_channel();
        let (reports, report_inbox) = mpsc::unbounded_channel();
        let socket_dir = match (&fleet, config.carrier) {
            (FleetConfig::Local { .. }, Carrier::Grpc) => Some(private_dir()?),
            _ => None,
        };
        let worker = || Worker {
            slot: Slot::new(),
            lifeline: None,
            link: None,
            tail: Tail::default(),
            ready_since: None,
        };
        let slots = (0..config.workers).map(|_| worker()).collect();
        let supervisor = Self {
            config,
            fleet,
            scheduler,
            token,
            socket_dir,
            slots,
            zygote: None,
            zygote_ready: false,
            zygote_failures: 0,
            events: events.clone(),
            reports,
            started: Some(started),
        };
        Ok((supervisor, Inbox { events: event_inbox, reports: report_inbox }, events))
    }

    /// Runs until the pool is dropped or shut down.
    pub(crate) async fn run(mut self, mut inbox: Inbox, closed: tokio_util::sync::CancellationToken) {
        match self.fleet {
            FleetConfig::Local { .. } => self.start_zygote().await,
            FleetConfig::Endpoints { .. } => self.fork_waiting().await,
        }
        let mut ending: Vec<oneshot::Sender<()>> = Vec::new();
        let mut patience = std::pin::pin!(tokio::time::sleep(Duration::MAX));
        while ending.is_empty() || !self.all_stopped() {
            tokio::select! {
                () = closed.cancelled() => break,
                () = &mut patience, if !ending.is_empty() => break,
                Some(event) = inbox.events.recv() => match event {
                    Event::Shutdown(limit, done) => {
                        // Whoever asks last says how long; `sleep` knows how to cap what the clock cannot name.
                        patience.set(tokio::time::sleep(limit));
                        ending.push(done);
                        self.step_all(SlotEvent::Drain).await;
                    }
                    event => self.on_event(event).await,
                },
                Some(report) = inbox.reports.recv() => self.on_report(report),
            }
        }
        self.scheduler.refuse(LeaseError::Closed);
        self.step_all(SlotEvent::Stop).await;
        // Dropping the zygote and the lifelines ends every process.
        drop(self);
        for done in ending {
            let _ = done.send(());
        }
    }

    fn all_stopped(&self) -> bool {
        self.slots.iter().all(|worker| worker.slot.state == SlotState::Stopped)
    }

    async fn step_all(&mut self, event: SlotEvent) {
        for index in 0..self.slots.len() {
            self.step(index, event).await;
        }
    }

    async fn on_event(&mut self, event: Event) {
        let current = |index: usize, generation: u64| self.slots[index].slot.generation == generation;
        match event {
            Event::Fork(index, generation) if current(index, generation) => {
                self.fork_if_possible(index).await
            }
            Event::Connected(index, generation, link) if current(index, generation) => {
                self.connected(index, generation, link).await;
            }
            Event::ConnectFailed(index, generation, reason) if current(index, generation) => {
                let last_lines = self.slots[index].tail.text();
                tracing::warn!(target: "dspex::pool", worker = index, generation, %reason, %last_lines, "a worker did not start");
                self.step(index, SlotEvent::Failed).await;
                if self.slots.iter().all(|worker| worker.slot.failures > 0) {
                    self.report_start(Err(PoolError::Down(reason.clone())));
                }
                self.refuse_if_hopeless(&reason);
            }
            Event::Lost(index, generation, reason) if current(index, generation) => {
                tracing::warn!(target: "dspex::pool", worker = index, generation, %reason, "a worker is gone");
                let lived =
                    self.slots[index].ready_since.take().map_or(Duration::ZERO, |since| since.elapsed());
                self.step(index, SlotEvent::Lost(lived)).await;
                self.refuse_if_hopeless(&reason);
            }
            Event::StartZygote => self.start_zygote().await,
            // Of an earlier generation, or handled by `run`.
            Event::Fork(..)
            | Event::Connected(..)
            | Event::ConnectFailed(..)
            | Event::Lost(..)
            | Event::Shutdown(..) => {}
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Ready { warm_ms } => {
                tracing::debug!(target: "dspex::pool", warm_ms, "the zygote is warm");
                self.zygote_ready = true;
                self.zygote_failures = 0;
                for (index, worker) in self.slots.iter().enumerate() {
                    let _ = self.events.send(Event::Fork(index, worker.slot.generation));
                }
            }
            Report::Failed { error } => {
                let message = format!("{}: {}", error.class, error.message);
                // What the worker itself does on the way to the import helps nobody.
                let own =
                    |frame: &PyFrame| frame.module.starts_with("dspex_worker") || frame.module == "__main__";
                let frames = error.frames.into_iter().filter(|frame| !own(frame)).collect();
                self.zygote_failed(
                    PoolError::Import { class: error.class, message: error.message, frames },
                    &message,
                );
            }
            Report::Forked { worker, generation, pid } => {
                tracing::debug!(target: "dspex::pool", worker, generation, pid, "a worker runs");
            }
            Report::Refused { request, error } => {
                let reason = format!("the zygote refused: {}: {}", error.class, error.message);
                let of = |index: &usize| request["worker"] == worker_name(*index).as_str();
                if let (Some(index), Some(generation)) =
                    ((0..self.slots.len()).find(of), request["generation"].as_u64())
                {
                    self.fail_later(index, generation, &reason);
                }
            }
            Report::Exited { worker, generation, code, signal } => {
                tracing::info!(target: "dspex::pool", worker, generation, ?code, ?signal, "a worker ended");
                let ended = self.slots.iter().enumerate().find(|(index, _)| worker_name(*index) == worker);
                // The framed carrier has seen the end of its socket already; gRPC may have no stream to see it by.
                if let Some((_, slot)) = ended.filter(|(_, slot)| slot.slot.generation == generation)
                    && let Some(link) = &slot.link
                {
                    link.give_up(match (code, signal) {
                        (_, Some(signal)) => format!("the worker was ended by signal {signal}"),
                        (Some(code), None) => format!("the worker ended with code {code}"),
                        (None, None) => "the worker ended".to_owned(),
                    });
                }
            }
            Report::Gone { last_lines } => {
                let summary = last_lines.lines().last().unwrap_or("no output").to_owned();
                self.zygote_failed(PoolError::Died { last_lines }, &summary);
            }
        }
    }

    /// Workers that run go on; new ones wait for a new zygote.
    fn zygote_failed(&mut self, error: PoolError, summary: &str) {
        if self.zygote.take().is_none() {
            return;
        }
        self.zygote_ready = false;
        self.zygote_failures += 1;
        tracing::warn!(target: "dspex::pool", %error, failures = self.zygote_failures, "the zygote is gone");
        self.report_start(Err(error));
        self.refuse_if_hopeless(summary);
        let wait =
            ZYGOTE_BACKOFF.0.saturating_mul(1 << (self.zygote_failures - 1).min(10)).min(ZYGOTE_BACKOFF.1);
        self.send_later(wait, Event::StartZygote);
    }

    /// With no worker left and starts failing, callers are told at once instead of waiting for their deadline.
    fn refuse_if_hopeless(&self, reason: &str) {
        let failing = self.zygote_failures > 0 || self.slots.iter().all(|worker| worker.slot.failures >= 3);
        if failing && self.scheduler.load().ready_workers == 0 {
            self.scheduler.refuse(LeaseError::Down(reason.to_owned()));
        }
    }

    async fn start_zygote(&mut self) {
        let FleetConfig::Local { python, worker_dir } = &self.fleet else { return };
        match Zygote::start(python, worker_dir, &self.config, &self.token, self.reports.clone()).await {
            Ok(zygote) => self.zygote = Some(zygote),
            Err(source) => {
                let error = PoolError::Spawn { python: python.display().to_string(), error: source };
                let reason = error.to_string();
                self.report_start(Err(error));
                self.zygote_failures += 1;
                self.refuse_if_hopeless(&reason);
                self.send_later(ZYGOTE_BACKOFF.1, Event::StartZygote);
            }
        }
    }

    async fn fork_waiting(&mut self) {
        for index in 0..self.slots.len() {
            self.fork_if_possible(index).await;
        }
    }

    async fn fork_if_possible(&mut self, index: usize) {
        if self.zygote_ready || matches!(self.fleet, FleetConfig::Endpoints { .. }) {
            self.step(index, SlotEvent::Fork).await;
        }
    }

    async fn connected(&mut self, index: usize, generation: u64, link: Arc<Link>) {
        self.slots[index].ready_since = Some(Instant::now());
        self.slots[index].link = Some(link.clone());
        let events = self.events.clone();
        let watched = link.clone();
        tokio::spawn(async move {
            watched.lost().await;
            let reason = watched.lost_reason().to_owned();
            let _ = events.send(Event::Lost(index, generation, reason));
        });
        self.step_with(index, SlotEvent::Connected, Some(link)).await;
        self.report_start(Ok(()));
    }

    async fn step(&mut self, index: usize, event: SlotEvent) {
        self.step_with(index, event, None).await;
    }

    async fn step_with(&mut self, index: usize, event: SlotEvent, link: Option<Arc<Link>>) {
        let (slot, actions) = self.slots[index].slot.step(event);
        let before = std::mem::replace(&mut self.slots[index].slot, slot);
        for action in actions {
            match action {
                Action::Start => self.start_worker(index, slot.generation).await,
                Action::Publish => {
                    if let Some(link) = &link {
                        self.scheduler.publish(index, slot.generation, link.clone());
                    }
                }
                Action::Withdraw => self.scheduler.withdraw(index, before.generation),
                Action::Drain => {
                    if let Some(link) = &self.slots[index].link {
                        link.drain();
                    }
                }
                // The kernel kills the process when its lifeline closes.
                Action::Kill => {
                    self.slots[index].lifeline = None;
                    if let Some(link) = self.slots[index].link.take() {
                        link.give_up("the worker was ended".into());
                    }
                }
                Action::ForkAfter(wait) => self.send_later(wait, Event::Fork(index, slot.generation)),
            }
        }
    }

    async fn start_worker(&mut self, index: usize, generation: u64) {
        let limits = LinkLimits {
            max_message_bytes: self.config.max_message_bytes,
            cancel_grace: self.config.cancel_grace,
            silence: self.config.endpoint_silence,
        };
        let address = match &self.fleet {
            FleetConfig::Endpoints { addresses, .. } => match addresses.get(index) {
                Some(endpoint) => Some(endpoint.clone()),
                None => return,
            },
            FleetConfig::Local { .. } => {
                let path = |dir| socket_path(dir, index, generation);
                self.socket_dir.as_ref().map(|dir| Endpoint::unix(path(dir)).token(self.token.clone()))
            }
        };
        let mut socket = None;
        if matches!(self.fleet, FleetConfig::Local { .. }) {
            let Some(zygote) = &self.zygote else {
                return self.fail_later(index, generation, "no zygote runs");
            };
            let listen = address.as_ref().and_then(Endpoint::socket);
            match zygote.fork(&worker_name(index), generation, listen).await {
                Ok(ends) => {
                    self.slots[index].lifeline = Some(ends.lifeline);
                    self.slots[index].tail = ends.tail;
                    socket = ends.socket;
                }
                Err(error) => {
                    return self.fail_later(index, generation, &format!("the zygote cannot fork: {error}"));
                }
            }
        }
        let forked = matches!(self.fleet, FleetConfig::Local { .. });
        let at = match &self.fleet {
            FleetConfig::Endpoints { addresses, .. } => {
                addresses.get(index).map(|endpoint| format!(" (at {endpoint})")).unwrap_or_default()
            }
            FleetConfig::Local { .. } => String::new(),
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let connecting = async {
                match (socket, address) {
                    (Some(socket), _) => framed::connect(socket, limits).await,
                    (None, Some(address)) if forked => connect_patiently(&address, limits).await,
                    (None, Some(address)) => grpc::connect(&address, limits).await,
                    (None, None) => Err(LinkError::Carrier("the worker has no address".into())),
                }
            };
            let event = match tokio::time::timeout(HELLO_TIMEOUT, connecting).await {
                Ok(Ok(link)) => Event::Connected(index, generation, link),
                Ok(Err(error)) => Event::ConnectFailed(index, generation, format!("{error}{at}")),
                Err(_) => {
                    Event::ConnectFailed(index, generation, format!("no Hello within {HELLO_TIMEOUT:?}"))
                }
            };
            let _ = events.send(event);
        });
    }

    fn fail_later(&self, index: usize, generation: u64, reason: &str) {
        let _ = self.events.send(Event::ConnectFailed(index, generation, reason.to_owned()));
    }

    fn send_later(&self, wait: Duration, event: Event) {
        let events = self.events.clone();
        if wait.is_zero() {
            let _ = events.send(event);
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = events.send(event);
        });
    }

    fn report_start(&mut self, result: Result<(), PoolError>) {
        if let Some(started) = self.started.take() {
            let _ = started.send(result);
        }
    }
}

impl Drop for Supervisor {
    /// However the supervisor ends, also with the runtime that it ran on: nobody waits for a place any more.
    fn drop(&mut self) {
        self.scheduler.refuse(LeaseError::Closed);
    }
}

/// A listener needs some milliseconds after the fork; until then connecting is refused.
async fn connect_patiently(address: &Endpoint, limits: LinkLimits) -> Result<Arc<Link>, LinkError> {
    let give_up = tokio::time::Instant::now() + HELLO_TIMEOUT - Duration::from_secs(1);
    loop {
        match grpc::connect(address, limits).await {
            Err(LinkError::Carrier(_)) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            done => return done,
        }
    }
}

/// A worker's name by its slot.
fn worker_name(index: usize) -> String {
    format!("w{index}")
}

/// A directory that only this user can enter.
fn private_dir() -> Result<tempfile::TempDir, PoolError> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix("dspex-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| PoolError::Io { what: "the directory for the workers' sockets", error })
}

fn socket_path(dir: &tempfile::TempDir, index: usize, generation: u64) -> PathBuf {
    dir.path().join(format!("{index}-{generation}.sock"))
}
