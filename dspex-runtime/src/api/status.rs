//! What a [`Dspex`] is and does now, as data.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use super::{Availability, Dspex};
use crate::pool::scheduler::some_seconds;
use crate::pool::{LeaseError, Load, Pool, PoolError, Published, SlotState, WorkerSnapshot};
use crate::telemetry::{BreakerState, History, SlotHistory};

/// The store is given so long to say what it holds.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// What a [`Dspex`] is and does now: a snapshot, to be read by people (`Display`), by monitoring (`Serialize`) and by programs.
///
/// Times are seconds where it is serialised, sizes are bytes.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DspexStatus {
    /// The version of dspex.
    pub version: &'static str,
    /// Since it was started.
    #[serde(rename = "uptime_seconds", serialize_with = "seconds")]
    pub uptime: Duration,
    /// The pools; the first one is `default`. Workers for runs of optimizers are pools of their own while there are any.
    pub pools: Vec<PoolStatus>,
    /// Sessions with handles in this process.
    pub open_sessions: usize,
    /// Calls of sessions that Python has not ended.
    pub session_calls: usize,
    /// The language models that calls have used.
    pub models: Vec<ModelStatus>,
    /// What the store holds; `None` where it did not answer at once.
    pub store: Option<StoreStatus>,
}

/// One pool.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PoolState,
    /// What runs in its workers; `None` where none is ready.
    pub runs: Option<Availability>,
    /// Its load.
    pub load: Load,
    /// The workers that were asked for.
    pub workers_wanted: usize,
    /// Every worker process. A slot has two while one replaces the other, and one without a process while it has none.
    pub workers: Vec<WorkerStatus>,
    /// Workers that ended unplanned.
    pub restarts: u64,
    /// Workers that were replaced as planned.
    pub recycled: u64,
    /// Zygotes that ended.
    pub zygotes_lost: u64,
    /// The largest message, either way, in bytes.
    pub max_message_bytes: u64,
}

/// How a pool is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolState {
    /// No worker has been ready yet.
    Starting,
    /// All workers take calls.
    Ready,
    /// Calls are served, or wait for a worker that comes, and something is amiss.
    Degraded {
        /// What.
        causes: Vec<String>,
    },
    /// Calls are refused, since no worker can be started.
    Down {
        /// Why.
        cause: String,
    },
    /// No new calls; those that run may finish.
    ShuttingDown,
    /// It was shut down.
    Stopped,
}

/// One worker process, or a slot without one.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The slot that it has, from 0 on.
    pub index: usize,
    /// Counts the workers of the slot.
    pub generation: u64,
    /// Where it stands.
    pub state: WorkerState,
    /// It owes a sign of life and gets no calls until it gives one.
    pub suspected: bool,
    /// Its process id, where it lives on this machine.
    pub pid: Option<u32>,
    /// Its address, where an operator started it.
    pub endpoint: Option<String>,
    /// For how long it has been ready.
    #[serde(rename = "ready_seconds", serialize_with = "some_seconds")]
    pub ready_for: Option<Duration>,
    /// Calls that it was given, in all.
    pub calls: u64,
    /// Calls that it runs now.
    pub in_flight: usize,
    /// Its resident memory in bytes, some seconds ago. What forked workers share counts in full for each.
    pub rss_bytes: Option<u64>,
    /// Its proportional memory in bytes, some seconds ago: what is shared counts in part, so that the sum of all workers is true.
    pub pss_bytes: Option<u64>,
    /// How late its event loop was of late, at most.
    #[serde(rename = "loop_lag_seconds", serialize_with = "some_seconds")]
    pub loop_lag: Option<Duration>,
    /// Threads that run calls which have no async form.
    pub sync_threads_busy: Option<u32>,
    /// Instances that it keeps for the next call.
    pub instances: Option<u32>,
    /// Workers of this slot that ended unplanned.
    pub restarts: u64,
    /// Workers of this slot that were replaced as planned.
    pub recycled: u64,
    /// How the last worker of this slot ended.
    pub last_end: Option<EndStatus>,
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerState {
    /// There is none: it is about to be asked for.
    Waiting,
    /// There is none, after failures: it is asked for after a while.
    BackingOff,
    /// It was asked for, and has not said who it is.
    Starting,
    /// It takes calls.
    Ready,
    /// It takes calls, and the one that will replace it starts.
    Renewing,
    /// It takes no new calls, and ends after those that it has.
    Draining,
    /// It ended for good.
    Stopped,
}

/// How a worker ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EndStatus {
    /// The cause in one word, as metrics have it: see [`WorkerEnd::cause`](crate::WorkerEnd::cause).
    pub cause: &'static str,
    /// What is known, in words.
    pub text: String,
    /// When.
    #[serde(rename = "at_unix_seconds", serialize_with = "unix_seconds")]
    pub at: SystemTime,
}

/// One language model.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModelStatus {
    /// Its name, as the program gave it. Models of one name that differ in their settings are listed apart.
    pub model: String,
    /// Calls of modules that had it at hand and ended, in this process.
    pub calls: u64,
    /// Of these, calls that ended with an error of the model's.
    pub failed: u64,
    /// The state of its circuit breaker.
    pub breaker: BreakerState,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct StoreStatus {
    /// Sessions that live.
    pub sessions: u64,
    /// Of these, temporary ones.
    pub temporary: u64,
    /// Variables of all sessions.
    pub variables: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Instances that are kept.
    pub instances: u64,
}

impl DspexStatus {
    pub(crate) async fn of(dspex: &Dspex) -> Self {
        let totals = tokio::time::timeout(STORE_PATIENCE, dspex.runtime.state.store().totals()).await;
        let store = totals.ok().and_then(Result::ok).map(|totals| StoreStatus {
            sessions: totals.sessions,
            temporary: totals.temporary,
            variables: totals.variables,
            bytes: totals.bytes,
            instances: totals.instances,
        });
        Self { store, ..Self::without_store(dspex) }
    }

    /// All that is known without asking anybody.
    pub(crate) fn without_store(dspex: &Dspex) -> Self {
        let bridge = &dspex.runtime.bridge;
        let mut pools: Vec<_> = bridge.pools().running().iter().map(|pool| PoolStatus::of(pool)).collect();
        let default = bridge.pool().telemetry().pool.clone();
        pools.sort_by_key(|pool| *pool.name != *default);
        let models = bridge.models().into_iter().map(|(figures, breaker)| ModelStatus {
            model: figures.model,
            calls: figures.calls,
            failed: figures.failed,
            breaker,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime: bridge.pool().telemetry().history().since.elapsed(),
            pools,
            open_sessions: dspex.runtime.sessions.open(),
            session_calls: dspex.runtime.sessions.calls(),
            models: models.collect(),
            store: None,
        }
    }
}

impl PoolStatus {
    pub(crate) fn of(pool: &Pool) -> Self {
        let (telemetry, standing, published) = (pool.telemetry(), pool.standing(), pool.workers());
        let history = telemetry.history().clone();
        let load = pool.load();
        let workers: Vec<_> = standing
            .workers
            .iter()
            .map(|worker| WorkerStatus::of(worker, &published, &history, pool.endpoints()))
            .collect();
        let facts = Facts {
            refusal: pool.refusal(),
            load,
            wanted: pool.size(),
            degraded: standing.degraded.as_ref().map(ToString::to_string),
            can_fork: standing.zygote_warm,
            history: &history,
        };
        let sum = |count: fn(&SlotHistory) -> u64| history.slots.values().map(count).sum();
        Self {
            name: telemetry.pool.to_string(),
            state: facts.state(),
            runs: published.first().map(|worker| Availability::of(worker.link.hello())),
            load,
            workers_wanted: pool.size(),
            workers,
            restarts: sum(|slot| slot.restarts),
            recycled: sum(|slot| slot.recycled),
            zygotes_lost: history.zygotes_lost,
            max_message_bytes: pool.max_message_bytes(),
        }
    }
}

/// What a pool's state follows from.
struct Facts<'a> {
    refusal: Option<LeaseError>,
    load: Load,
    wanted: usize,
    degraded: Option<String>,
    can_fork: bool,
    history: &'a History,
}

impl Facts<'_> {
    fn state(&self) -> PoolState {
        let load = self.load;
        match &self.refusal {
            Some(LeaseError::Closed) if self.history.shutting_down && load.in_flight > 0 => {
                return PoolState::ShuttingDown;
            }
            Some(LeaseError::Closed) => return PoolState::Stopped,
            Some(LeaseError::Down(cause)) => return PoolState::Down { cause: cause.clone() },
            _ => {}
        }
        if load.ready_workers == 0 && !self.history.was_ready {
            return PoolState::Starting;
        }
        let mut causes = Vec::new();
        if load.ready_workers < self.wanted {
            causes.push(format!("{} of {} workers are ready", load.ready_workers, self.wanted));
        }
        if let Some(end) = &self.degraded {
            causes.push(format!("workers end too often; the last one: {end}"));
        }
        match &self.history.zygote_lost {
            Some(reason) => {
                causes.push(format!("no worker can be forked now, since the zygote is gone: {reason}"))
            }
            None if !self.can_fork => {
                causes.push("no worker can be forked now: the zygote is not warm".to_owned())
            }
            None => {}
        }
        let full = load.in_flight >= load.capacity && load.queued >= load.queue_limit;
        if full && load.ready_workers > 0 {
            causes.push(PoolError::Saturated(load).to_string());
        } else if load.queued > 0 && load.queued * 2 >= load.queue_limit {
            causes.push(format!("{} of {} places in the queue are taken", load.queued, load.queue_limit));
        }
        if causes.is_empty() { PoolState::Ready } else { PoolState::Degraded { causes } }
    }
}

impl WorkerStatus {
    fn of(worker: &WorkerSnapshot, published: &[Published], history: &History, endpoints: &[String]) -> Self {
        let of = |published: &&Published| {
            (published.index, published.generation) == (worker.id.index, worker.id.generation)
        };
        let published = published.iter().find(of);
        let stats = published.and_then(|published| published.link.stats());
        let slot = history.slots.get(&worker.id.index).cloned().unwrap_or_default();
        let known = |bytes: u64| (bytes > 0).then_some(bytes);
        Self {
            index: worker.id.index,
            generation: worker.id.generation,
            // The scheduler knows which workers take calls a moment before the board does.
            state: match (worker.state, published.is_some()) {
                (SlotState::Starting, true) => WorkerState::Ready,
                (SlotState::Ready | SlotState::Renewing, false) => WorkerState::Draining,
                (state, _) => state.into(),
            },
            suspected: worker.suspected,
            pid: worker.pid,
            endpoint: endpoints.get(worker.id.index).cloned(),
            ready_for: worker.ready.map(|since| since.elapsed()),
            calls: published.map_or(worker.calls, |published| published.link.calls_begun()),
            in_flight: published.map_or(0, |published| published.in_flight),
            rss_bytes: known(worker.memory.rss),
            pss_bytes: known(worker.memory.pss),
            loop_lag: stats.map(|stats| Duration::from_micros(stats.loop_lag_us)),
            sync_threads_busy: stats.map(|stats| stats.sync_threads_busy),
            instances: stats.map(|stats| stats.instances),
            restarts: slot.restarts,
            recycled: slot.recycled,
            last_end: slot.last_end.map(|(end, at)| EndStatus {
                cause: end.cause(),
                text: end.to_string(),
                at,
            }),
        }
    }
}

impl From<SlotState> for WorkerState {
    fn from(state: SlotState) -> Self {
        match state {
            SlotState::Waiting => Self::Waiting,
            SlotState::BackingOff => Self::BackingOff,
            SlotState::Starting => Self::Starting,
            SlotState::Ready => Self::Ready,
            SlotState::Renewing => Self::Renewing,
            SlotState::Draining => Self::Draining,
            SlotState::Stopped => Self::Stopped,
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

fn unix_seconds<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    // A clock before 1970 says nothing.
    to.serialize_f64(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

impl fmt::Display for PoolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Degraded { causes } => write!(f, "degraded: {}", causes.join("; ")),
            Self::Down { cause } => write!(f, "down: {cause}"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::BackingOff => "backing off",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Renewing => "ready, its replacement starts",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        })
    }
}

impl fmt::Display for DspexStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dspex {}, up for {} s", self.version, self.uptime.as_secs())?;
        self.pools.iter().try_for_each(|pool| pool.fmt(f))?;
        writeln!(f, "sessions: {} open, {} calls", self.open_sessions, self.session_calls)?;
        for ModelStatus { model, calls, failed, breaker } in &self.models {
            writeln!(f, "model {model}: {calls} calls, {failed} failed, breaker {breaker}")?;
        }
        match &self.store {
            Some(StoreStatus { sessions, variables, bytes, instances, .. }) => {
                writeln!(
                    f,
                    "store: {sessions} sessions, {variables} variables ({bytes} bytes), {instances} instances"
                )
            }
            None => writeln!(f, "store: no answer"),
        }
    }
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { in_flight, capacity, queued, queue_limit, .. } = self.load;
        writeln!(f, "pool {}: {}", self.name, self.state)?;
        if let Some(Availability { dspy, python, .. }) = &self.runs {
            writeln!(f, "  DSPy {dspy}, Python {python}")?;
        }
        writeln!(f, "  {in_flight} of {capacity} places taken, {queued} of {queue_limit} in the queue")?;
        self.workers.iter().try_for_each(|worker| worker.fmt(f))
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  worker {}.{} {}", self.index, self.generation, self.state)?;
        if self.suspected {
            f.write_str(", gives no sign of life")?;
        }
        match (self.pid, &self.endpoint) {
            (_, Some(endpoint)) => write!(f, ", at {endpoint}")?,
            (Some(pid), None) => write!(f, ", process {pid}")?,
            (None, None) => {}
        }
        if let Some(ready) = self.ready_for {
            write!(f, " for {} s, {} calls, {} now", ready.as_secs(), self.calls, self.in_flight)?;
        }
        if let Some(bytes) = self.pss_bytes.or(self.rss_bytes) {
            write!(f, ", {} MiB", bytes >> 20)?;
        }
        if let Some(lag) = self.loop_lag {
            write!(f, ", loop late by {} ms", lag.as_millis())?;
        }
        if let Some(end) = &self.last_end {
            write!(
                f,
                "; {} restarts, {} recycled, the one before: {}",
                self.restarts, self.recycled, end.text
            )?;
        }
        f.write_str("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(history: &History) -> Facts<'_> {
        let load = Load {
            ready_workers: 2,
            in_flight: 0,
            capacity: 64,
            queued: 0,
            queue_limit: 10,
            waiting_sessions: 0,
            retry_after: None,
        };
        Facts { refusal: None, load, wanted: 2, degraded: None, can_fork: true, history }
    }

    #[test]
    fn a_pools_state_follows_from_what_is_known() {
        let mut history = History::new();
        let mut starting = facts(&history);
        starting.load.ready_workers = 0;
        assert_eq!(starting.state(), PoolState::Starting);
        assert_eq!(facts(&history).state(), PoolState::Ready);
        history.was_ready = true;
        let mut amiss = facts(&history);
        (amiss.load.ready_workers, amiss.can_fork, amiss.degraded) = (1, false, Some("it ended".to_owned()));
        let PoolState::Degraded { causes } = amiss.state() else { panic!("{}", amiss.state()) };
        assert_eq!(causes.len(), 3, "{causes:?}");
        let mut full = facts(&history);
        (full.load.in_flight, full.load.queued) = (64, 10);
        assert!(full.state().to_string().contains("saturated"), "{}", full.state());
        full.load.queued = 5;
        assert!(full.state().to_string().contains("5 of 10 places in the queue"), "{}", full.state());
        full.refusal = Some(LeaseError::Down("no Python".to_owned()));
        assert_eq!(full.state(), PoolState::Down { cause: "no Python".to_owned() });
        full.refusal = Some(LeaseError::Closed);
        assert_eq!(full.state(), PoolState::Stopped);
        history.shutting_down = true;
        let mut ending = facts(&history);
        (ending.refusal, ending.load.in_flight) = (Some(LeaseError::Closed), 1);
        assert_eq!(ending.state(), PoolState::ShuttingDown);
    }
}
