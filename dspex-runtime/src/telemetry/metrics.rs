//! Metrics through the `metrics` facade: recorded by whatever recorder the program installs, and by none otherwise.
//!
//! Labels are the pool's name, a worker's index, and words of this crate. Ids of sessions, names of classes and other texts of
//! callers are never labels: there may be any number of them.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
};

use super::models::BreakerState;
use super::outcome::{CallbackKind, Outcome};
use crate::pool::Load;

/// What is recorded, by name.
mod names {
    pub(super) const QUEUE_DEPTH: &str = "dspex_pool_queue_depth";
    pub(super) const IN_FLIGHT: &str = "dspex_pool_in_flight";
    pub(super) const CAPACITY: &str = "dspex_pool_capacity";
    pub(super) const READY_WORKERS: &str = "dspex_pool_ready_workers";
    pub(super) const SATURATED: &str = "dspex_pool_saturated_total";
    pub(super) const QUEUE_SECONDS: &str = "dspex_call_queue_seconds";
    pub(super) const CALL_SECONDS: &str = "dspex_call_seconds";
    pub(super) const PYTHON_SECONDS: &str = "dspex_call_python_seconds";
    pub(super) const RETRIES: &str = "dspex_call_retries_total";
    pub(super) const CALLBACK_SECONDS: &str = "dspex_callback_seconds";
    pub(super) const RESTARTS: &str = "dspex_worker_restarts_total";
    pub(super) const RECYCLED: &str = "dspex_worker_recycled_total";
    pub(super) const ZYGOTE_LOST: &str = "dspex_zygote_lost_total";
    pub(super) const SENT: &str = "dspex_worker_sent_bytes_total";
    pub(super) const RECEIVED: &str = "dspex_worker_received_bytes_total";
    pub(super) const RSS: &str = "dspex_worker_rss_bytes";
    pub(super) const PSS: &str = "dspex_worker_pss_bytes";
    pub(super) const LOOP_LAG: &str = "dspex_worker_loop_lag_seconds";
    pub(super) const BREAKER: &str = "dspex_lm_breaker_state";
}

/// Tells the recorder what the names mean.
fn describe() {
    use names::*;
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Calls that wait for a place at a worker");
    describe_gauge!(
        IN_FLIGHT,
        Unit::Count,
        "Calls that workers run, cancelled ones that have not ended included"
    );
    describe_gauge!(CAPACITY, Unit::Count, "Calls that may run at once, over all ready workers");
    describe_gauge!(READY_WORKERS, Unit::Count, "Workers that take calls");
    describe_counter!(SATURATED, Unit::Count, "Calls that were refused because the queue was full");
    describe_histogram!(QUEUE_SECONDS, Unit::Seconds, "Time that calls waited for a place");
    describe_histogram!(
        CALL_SECONDS,
        Unit::Seconds,
        "Time of calls, queueing and retries included, by outcome"
    );
    describe_histogram!(PYTHON_SECONDS, Unit::Seconds, "Time of calls in the worker, as it timed them");
    describe_counter!(
        RETRIES,
        Unit::Count,
        "Calls that were run again, after the loss of their worker or when their model asked for it"
    );
    describe_histogram!(
        CALLBACK_SECONDS,
        Unit::Seconds,
        "Time of what Python asked the program for, by kind"
    );
    describe_counter!(RESTARTS, Unit::Count, "Workers that ended unplanned, by cause");
    describe_counter!(RECYCLED, Unit::Count, "Workers that were replaced as planned, by reason");
    describe_counter!(ZYGOTE_LOST, Unit::Count, "Zygotes that ended");
    describe_counter!(SENT, Unit::Bytes, "Messages to the worker");
    describe_counter!(RECEIVED, Unit::Bytes, "Messages from the worker");
    describe_gauge!(RSS, Unit::Bytes, "Resident memory of the worker; forked workers share some of it");
    describe_gauge!(PSS, Unit::Bytes, "Proportional memory of the worker: what is shared counts in part");
    describe_gauge!(LOOP_LAG, Unit::Seconds, "How late the worker's event loop was of late");
    describe_gauge!(BREAKER, Unit::Count, "0: the language model's breaker is closed, 1: half open, 2: open");
}

/// Which recorder the next look-up would find. Handles of another one must not be used for it.
fn recorder() -> usize {
    metrics::with_recorder(|recorder| std::ptr::from_ref(recorder).cast::<()>().addr())
}

/// The metrics of one pool. What every call records is looked up once for each recorder.
pub(crate) struct PoolMetrics {
    pool: Arc<str>,
    handles: RwLock<(usize, Arc<Handles>)>,
}

/// What every call records.
struct Handles {
    queue: Histogram,
    python: Histogram,
    retries: Counter,
    saturated: Counter,
    /// Made when they are first needed, so that no recorder shows outcomes that never were.
    calls: [OnceLock<Histogram>; Outcome::ALL.len()],
    callbacks: [OnceLock<Histogram>; CallbackKind::ALL.len()],
}

impl Handles {
    fn new(pool: &Arc<str>) -> Self {
        Self {
            queue: metrics::histogram!(names::QUEUE_SECONDS, "pool" => pool.clone()),
            python: metrics::histogram!(names::PYTHON_SECONDS, "pool" => pool.clone()),
            retries: counter!(names::RETRIES, "pool" => pool.clone()),
            saturated: counter!(names::SATURATED, "pool" => pool.clone()),
            calls: Default::default(),
            callbacks: Default::default(),
        }
    }
}

impl PoolMetrics {
    /// Those of the pool of this name.
    pub(crate) fn new(pool: Arc<str>) -> Self {
        describe();
        let handles = RwLock::new((recorder(), Arc::new(Handles::new(&pool))));
        Self { pool, handles }
    }

    fn with(&self, record: impl FnOnce(&Handles)) {
        let now = recorder();
        {
            // Replacing the handles cannot be interrupted half-way.
            let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
            if handles.0 == now {
                return record(&handles.1);
            }
        }
        // A recorder was installed since.
        describe();
        let fresh = Arc::new(Handles::new(&self.pool));
        record(&fresh);
        *self.handles.write().unwrap_or_else(PoisonError::into_inner) = (now, fresh);
    }

    /// A call had a place after so long in the queue.
    pub(crate) fn queued(&self, waited: Duration) {
        self.with(|handles| handles.queue.record(waited));
    }

    /// A call ended. `python`: how long the worker had it, where it said so.
    pub(crate) fn call_ended(&self, outcome: Outcome, took: Duration, python: Option<Duration>) {
        self.with(|handles| {
            let calls = handles.calls[outcome as usize].get_or_init(
                || metrics::histogram!(names::CALL_SECONDS, "pool" => self.pool.clone(), "outcome" => outcome.as_str()),
            );
            calls.record(took);
            if let Some(python) = python {
                handles.python.record(python);
            }
            if outcome == Outcome::Saturated {
                handles.saturated.increment(1);
            }
        });
    }

    /// A call is run again.
    pub(crate) fn retried(&self) {
        self.with(|handles| handles.retries.increment(1));
    }

    /// The program answered Python.
    pub(crate) fn callback_ended(&self, kind: CallbackKind, took: Duration) {
        self.with(|handles| {
            let callbacks = handles.callbacks[kind as usize].get_or_init(
                || metrics::histogram!(names::CALLBACK_SECONDS, "pool" => self.pool.clone(), "kind" => kind.as_str()),
            );
            callbacks.record(took);
        });
    }

    /// A worker ended that nobody asked to.
    pub(crate) fn restarted(&self, worker: usize, cause: &'static str) {
        let (pool, worker) = (self.pool.clone(), worker.to_string());
        counter!(names::RESTARTS, "pool" => pool, "worker" => worker, "cause" => cause).increment(1);
    }

    /// A worker was replaced as planned.
    pub(crate) fn recycled(&self, worker: usize, reason: &'static str) {
        let (pool, worker) = (self.pool.clone(), worker.to_string());
        counter!(names::RECYCLED, "pool" => pool, "worker" => worker, "reason" => reason).increment(1);
    }

    /// The zygote ended.
    pub(crate) fn zygote_lost(&self) {
        counter!(names::ZYGOTE_LOST, "pool" => self.pool.clone()).increment(1);
    }

    /// The pool's load, as it is now.
    #[expect(clippy::cast_precision_loss, reason = "no pool has 2^53 places")]
    pub(crate) fn load(&self, load: &Load) {
        let set =
            |name: &'static str, value: usize| gauge!(name, "pool" => self.pool.clone()).set(value as f64);
        set(names::QUEUE_DEPTH, load.queued);
        set(names::IN_FLIGHT, load.in_flight);
        set(names::CAPACITY, load.capacity);
        set(names::READY_WORKERS, load.ready_workers);
    }

    /// A worker's memory; what is not known is 0, and left out.
    #[expect(clippy::cast_precision_loss, reason = "no worker has 2^53 bytes")]
    pub(crate) fn memory(&self, worker: usize, rss_bytes: u64, pss_bytes: u64) {
        for (name, bytes) in [(names::RSS, rss_bytes), (names::PSS, pss_bytes)] {
            if bytes > 0 {
                gauge!(name, "pool" => self.pool.clone(), "worker" => worker.to_string()).set(bytes as f64);
            }
        }
    }

    /// How late a worker's event loop was.
    pub(crate) fn loop_lag(&self, worker: usize, lag: Duration) {
        let (pool, worker) = (self.pool.clone(), worker.to_string());
        gauge!(names::LOOP_LAG, "pool" => pool, "worker" => worker).set(lag.as_secs_f64());
    }

    /// So many more bytes went to a worker and came from it.
    pub(crate) fn traffic(&self, worker: usize, sent: u64, received: u64) {
        let index = worker.to_string();
        let of = |name: &'static str| counter!(name, "pool" => self.pool.clone(), "worker" => index.clone());
        of(names::SENT).increment(sent);
        of(names::RECEIVED).increment(received);
    }
}

/// The state of a language model's breaker. The label is the model's name as the program gave it: a program has few.
pub(crate) fn breaker(model: &str, state: BreakerState) {
    let level = match state {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    };
    gauge!(names::BREAKER, "model" => model.to_owned()).set(level);
}
