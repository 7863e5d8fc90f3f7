//! What a [`Dspex`](crate::Dspex) is and does now, as data: the types here, where it is all gathered in `snapshot`, and the text for
//! people in `text`.

mod snapshot;
mod text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use super::Availability;
use crate::pool::Load;
use crate::pool::scheduler::some_seconds;
use crate::telemetry::BreakerState;

/// What a [`Dspex`](crate::Dspex) is and does now: a snapshot, to be read by people (`Display`), by monitoring (`Serialize`) and by programs.
///
/// Times are seconds where it is serialised, sizes are bytes.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DspexStatus {
    /// The version of dspex.
    pub version: &'static str,
    /// How long ago it was started.
    #[serde(rename = "uptime_seconds", serialize_with = "seconds")]
    pub uptime: Duration,
    /// The pools; the first one is `default`. Workers for runs of optimizers are pools of their own while there are any.
    pub pools: Vec<PoolStatus>,
    /// Sessions that this process has handles of.
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
    /// Workers that ended unplanned since the pool was started.
    pub restarts: u64,
    /// Workers that were replaced as planned since then: see `recycle_after_calls` and its like.
    pub recycled: u64,
    /// Zygotes that ended since then.
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

fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

fn unix_seconds<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    // A clock before 1970 says nothing.
    to.serialize_f64(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
