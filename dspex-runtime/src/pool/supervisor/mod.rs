//! One task owns every slot and the zygote: it starts workers, watches them and replaces them.
//!
//! All decisions are pure functions' ([`Slot::step`], [`Pulse`](super::heartbeat::Pulse), [`Term`](super::recycling::Term),
//! [`Intensity`](super::intensity::Intensity)); this folder carries them out and turns what happens into events.
//!
//! * this file is the loop: what happened, which slot, what to do,
//! * `starting` starts worker processes, `ending` finds out how they ended, by the rules of `death`,
//! * `board` is what others may know of it,
//! * `watching` looks at all of them now and then, `zygotes` keeps one that can fork.

mod board;
mod death;
mod ending;
mod process;
mod starting;
mod watching;
mod zygotes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::config::PoolConfig;
use super::error::PoolError;
use super::events::{PoolChange, PoolEvents, Retirement, WorkerEnd, WorkerId};
use super::fleet::WorkerFleet;
use super::intensity::Intensity;
use super::oom::OomCount;
use super::owned_dir;
use super::process::Memory;
use super::scheduler::{LeaseError, Scheduler};
use super::slot::{Action, Slot, SlotEvent};
use super::transport::Link;
use super::zygote::Report;
use crate::jitter::{random, spread};
use crate::proto::cancel;
pub(crate) use board::{Board, Standing, WorkerSnapshot};
use process::{Process, Worker};
use zygotes::Zygotes;

/// By how much the wait before a replacement is spread, so that slots that failed together do not come back together.
const BACKOFF_JITTER: f64 = 0.2;

/// The pool as a whole may lose so many workers for each of its slots, before it is degraded.
const ENDS_PER_SLOT: usize = 3;

/// What the supervisor reacts to. The numbers are a slot's index and its worker's generation.
pub(crate) enum Event {
    /// Ready to fork again.
    Fork(usize, u64),
    /// The worker said Hello.
    Connected(usize, u64, Arc<Link>),
    /// It did not.
    ConnectFailed(usize, u64, String),
    /// And its zygote told nothing of its end.
    NotStarted(usize, u64, String),
    /// The link ended.
    Lost(usize, u64),
    /// The worker's memory was measured.
    Measured(usize, u64, Memory),
    /// A worker that was replaced still has calls after its time: they are cancelled.
    Overdue(usize, u64),
    /// And even then: it is killed.
    LongOverdue(usize, u64),
    /// How a worker ended will not be known better.
    Bury(usize, u64),
    /// The zygote of this number should have forked the worker by now.
    ForkUnanswered(u64, usize, u64),
    /// Start the zygote (again).
    StartZygote,
    /// The pool takes no new calls, and will end.
    Finishing,
    /// The pool ends: calls that run may finish for so long. Answered when every process was ended.
    Shutdown(Duration, oneshot::Sender<()>),
}

/// The supervisor's state; [`Supervisor::run`] is its life.
pub(crate) struct Supervisor {
    config: Arc<PoolConfig>,
    fleet: WorkerFleet,
    scheduler: Arc<Scheduler>,
    slots: Vec<Worker>,
    /// Workers that are gone from their slots, whose end is not understood yet.
    ended: HashMap<(usize, u64), Process>,
    zygotes: Zygotes,
    intensity: Intensity,
    degraded: Option<WorkerEnd>,
    oom: OomCount,
    looked: Instant,
    looks: u64,
    stopping: bool,
    /// Everybody was told that it will end.
    announced: bool,
    events: mpsc::UnboundedSender<Event>,
    reports: mpsc::UnboundedSender<(u64, Report)>,
    listeners: PoolEvents,
    board: Arc<Board>,
    started: Option<oneshot::Sender<Result<(), PoolError>>>,
}

/// The channels that a running supervisor listens to.
pub(crate) struct Inbox {
    events: mpsc::UnboundedReceiver<Event>,
    reports: mpsc::UnboundedReceiver<(u64, Report)>,
}

/// How far the pool's end has come.
enum Ending {
    No,
    /// Calls may finish.
    Waiting,
    /// Calls were cancelled.
    Cancelled,
}

impl Supervisor {
    /// A supervisor that tells `started` when the first worker is ready, or why none will be.
    pub(crate) fn new(
        config: Arc<PoolConfig>,
        fleet: WorkerFleet,
        scheduler: Arc<Scheduler>,
        started: oneshot::Sender<Result<(), PoolError>>,
        listeners: PoolEvents,
    ) -> (Self, Inbox, mpsc::UnboundedSender<Event>) {
        owned_dir::clean(&std::env::temp_dir());
        let (events, event_inbox) = mpsc::unbounded_channel();
        let (reports, report_inbox) = mpsc::unbounded_channel();
        let (limit, within) = config.restarts;
        let slots = (0..config.workers).map(|_| Worker::new(Intensity::new(limit, within))).collect();
        let supervisor = Self {
            intensity: Intensity::new(ENDS_PER_SLOT * config.workers, within),
            config,
            fleet,
            scheduler,
            slots,
            ended: HashMap::new(),
            zygotes: Zygotes::default(),
            degraded: None,
            oom: OomCount::find(),
            looked: Instant::now(),
            looks: 0,
            stopping: false,
            announced: false,
            events: events.clone(),
            reports,
            listeners,
            board: Arc::default(),
            started: Some(started),
        };
        (supervisor, Inbox { events: event_inbox, reports: report_inbox }, events)
    }

    /// Where it leaves what others may know.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Runs until the pool is dropped or shut down.
    pub(crate) async fn run(mut self, mut inbox: Inbox, closed: tokio_util::sync::CancellationToken) {
        self.start_zygote().await;
        self.fork_waiting().await;
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut ending = Ending::No;
        let mut patience = std::pin::pin!(tokio::time::sleep(Duration::MAX));
        let mut look = tokio::time::interval(self.config.heartbeat.every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while matches!(ending, Ending::No) || !self.all_stopped() {
            tokio::select! {
                () = closed.cancelled() => break,
                () = &mut patience, if !matches!(ending, Ending::No) => match ending {
                    Ending::Waiting => {
                        self.cancel_all();
                        ending = Ending::Cancelled;
                        // The links themselves give up workers that ignore it; this is the net below.
                        let grace = self.config.cancel_grace.saturating_add(Duration::from_millis(250));
                        patience.set(tokio::time::sleep(grace));
                    }
                    _ => break,
                },
                Some(event) = inbox.events.recv() => match event {
                    Event::Shutdown(limit, done) => {
                        // Whoever asks last says how long; `sleep` knows how to cap what the clock cannot name.
                        patience.set(tokio::time::sleep(limit));
                        self.announce_the_end();
                        ending = Ending::Waiting;
                        waiting.push(done);
                        self.drain().await;
                    }
                    event => self.on_event(event).await,
                },
                Some((zygote, report)) = inbox.reports.recv() => self.on_report(zygote, report).await,
                _ = look.tick() => self.look().await,
            }
            self.board.write(self.standing());
        }
        self.stopping = true;
        self.scheduler.refuse(LeaseError::Closed);
        self.step_all(SlotEvent::Stop).await;
        // Those of which nobody knows yet how they ended: dropping their lifelines ends them.
        self.ended.clear();
        self.board.write(self.standing());
        self.finish_zygote(&mut inbox.reports).await;
        // Dropping the zygote ends it.
        drop(self);
        for done in waiting {
            let _ = done.send(());
        }
    }

    fn announce_the_end(&mut self) {
        if !std::mem::replace(&mut self.announced, true) {
            self.listeners.of_pool(PoolChange::ShuttingDown);
        }
    }

    fn all_stopped(&self) -> bool {
        self.slots.iter().all(|worker| worker.slot.is_stopped())
    }

    /// No new calls; each worker ends after its last one.
    async fn drain(&mut self) {
        self.stopping = true;
        for worker in &mut self.slots {
            for process in &mut worker.processes {
                process.retired.get_or_insert(Retirement::Shutdown);
            }
        }
        self.step_all(SlotEvent::Drain).await;
    }

    fn cancel_all(&self) {
        for link in self.slots.iter().flat_map(|worker| &worker.processes).filter_map(|p| p.link.as_ref()) {
            link.cancel_all(cancel::Reason::Shutdown);
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Fork(index, generation) => {
                let worker = &mut self.slots[index];
                if worker.slot.generation == generation {
                    worker.due = true;
                    self.fork_if_possible(index).await;
                }
            }
            Event::Connected(index, generation, link) => self.connected(index, generation, link).await,
            Event::ConnectFailed(index, generation, reason) => {
                self.connect_failed(index, generation, reason).await;
            }
            Event::NotStarted(index, generation, reason) => {
                self.start_failed(index, generation, WorkerEnd::NotStarted(reason)).await;
            }
            Event::Lost(index, generation) => self.lost(index, generation).await,
            Event::Measured(index, generation, memory) => {
                if let Some(process) = self.slots[index].process(generation) {
                    process.memory = memory;
                }
                self.recycle(index).await;
            }
            Event::Overdue(index, generation) => {
                if let Some(link) = self.slots[index].process(generation).and_then(|p| p.link.clone()) {
                    link.cancel_all(cancel::Reason::Recycled);
                    let grace = self.config.cancel_grace.saturating_add(Duration::from_millis(250));
                    self.remind(index, generation, grace, Event::LongOverdue(index, generation));
                }
            }
            Event::LongOverdue(index, generation) => {
                self.step(index, SlotEvent::Overdue(generation)).await;
            }
            Event::Bury(index, generation) => self.bury_unexplained(index, generation),
            Event::ForkUnanswered(zygote, index, generation) => {
                let unanswered = self.slots[index]
                    .process(generation)
                    .is_some_and(|process| process.link.is_none() && process.pid.is_none());
                if unanswered && self.zygotes.is_current(zygote) {
                    self.zygote_failed(None, "it did not fork a worker in time");
                }
            }
            Event::StartZygote => self.start_zygote().await,
            Event::Finishing => self.announce_the_end(),
            // Handled by `run`.
            Event::Shutdown(..) => {}
        }
    }

    /// The worker is gone, or was given up. What replaces it waits for nothing, the verdict on its end included.
    async fn lost(&mut self, index: usize, generation: u64) {
        let worker = &mut self.slots[index];
        let Some(process) = worker.process(generation) else { return };
        let planned = process.retired.is_some();
        let mut excess = 0;
        if !planned {
            let now = Instant::now();
            excess = worker.intensity.count(now);
            self.intensity.count(now);
        }
        self.step(index, SlotEvent::Lost(generation, excess)).await;
    }

    async fn step_all(&mut self, event: SlotEvent) {
        for index in 0..self.slots.len() {
            self.step(index, event).await;
        }
    }

    async fn step(&mut self, index: usize, event: SlotEvent) {
        let (slot, actions) = self.slots[index].slot.step(event);
        self.slots[index].slot = slot;
        for action in actions {
            self.act(index, action).await;
        }
    }

    async fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::Start(generation) => self.start_worker(index, generation).await,
            Action::Publish(generation) => {
                let Some(process) = self.slots[index].process(generation) else { return };
                let (id, took) = (process.id, process.asked.elapsed());
                if let Some(link) = process.link.clone() {
                    let pid = link.hello().pid;
                    self.scheduler.publish(index, generation, link);
                    // Whoever hears of it finds it in the rotation.
                    self.listeners.of_worker(id, PoolChange::Ready { pid, took });
                }
            }
            Action::Withdraw(generation) => self.scheduler.withdraw(index, generation),
            Action::Drain(generation) => {
                let leaving = self.slots[index].slot.leaving == Some(generation);
                let patience = self.config.recycling.patience;
                let Some(process) = self.slots[index].process(generation) else { return };
                let why = process.leaves_for.unwrap_or(Retirement::Shutdown);
                let why = process.retired.get_or_insert(why);
                self.listeners
                    .of_worker(WorkerId::new(index, generation), PoolChange::Draining { why: *why });
                if let Some(link) = &process.link {
                    link.drain();
                }
                if leaving {
                    self.remind(index, generation, patience, Event::Overdue(index, generation));
                }
            }
            Action::Kill(generation) => self.remove(index, generation),
            Action::ForkAfter(wait) => self.fork_after(index, wait),
        }
    }

    fn fork_after(&mut self, index: usize, wait: Duration) {
        let Slot { generation, failures, .. } = self.slots[index].slot;
        // Workers that were lost after they had been ready count as well.
        let failures = failures.max(self.slots[index].intensity.recent());
        let wait = wait.min(self.fleet.longest_backoff());
        let wait = Duration::from_secs_f64(spread(wait.as_secs_f64(), BACKOFF_JITTER, random()));
        self.slots[index].due = wait.is_zero();
        if !wait.is_zero() {
            let change = PoolChange::BackingOff { wait, failures };
            self.listeners.of_worker(WorkerId::new(index, generation), change);
        }
        self.send_later(wait, Event::Fork(index, generation));
    }

    /// With no worker left and starts failing, callers are told at once instead of waiting for their deadline. A zygote that was warm and
    /// is lost is no failed start yet: the next one is on its way.
    fn refuse_if_hopeless(&self, reason: &str) {
        let failing = self.zygotes.failures > 1 || self.slots.iter().all(|worker| worker.slot.failures >= 3);
        // One that is only suspected to hang may answer yet.
        let none = self.scheduler.links().iter().all(|link| link.is_lost());
        if failing && none {
            self.scheduler.refuse(LeaseError::Down(reason.to_owned()));
        }
    }

    fn send_later(&self, wait: Duration, event: Event) {
        if wait.is_zero() {
            let _ = self.events.send(event);
            return;
        }
        tokio::spawn(send_after(wait, event, self.events.clone()));
    }

    /// Sends an event of a worker later, if there still is that worker.
    fn remind(&mut self, index: usize, generation: u64, wait: Duration, event: Event) {
        let sending = send_after(wait, event, self.events.clone());
        if let Some(process) = self.slots[index].process(generation) {
            process.reminder = Some(AbortOnDropHandle::new(tokio::spawn(sending)));
        }
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
        self.board.end();
    }
}

async fn send_after(wait: Duration, event: Event, events: mpsc::UnboundedSender<Event>) {
    tokio::select! {
        // Nobody is left to be told.
        () = events.closed() => {}
        () = tokio::time::sleep(wait) => drop(events.send(event)),
    }
}

/// A worker's name by its slot.
fn worker_name(index: usize) -> String {
    format!("w{index}")
}

/// The slot of a worker of this name.
fn index_of(name: &str) -> Option<usize> {
    name.strip_prefix('w')?.parse().ok()
}
