//! What the pool tells of itself: spans and trace contexts, metrics, and the figures behind `Dspex::status`.
//!
//! Everything here costs next to nothing while nobody listens, and never holds what callers send or models answer.
//!
//! * [`CallWatch`] follows one call: the only place that times calls and opens their spans,
//! * [`TraceContext`] is what of a trace crosses to Python and back,
//! * [`PoolTelemetry`] is what one pool shares: its metrics, and what became of its workers so far.

mod call;
mod context;
#[cfg(test)]
mod documented;
mod history;
mod metrics;
mod models;
#[cfg(feature = "otel")]
mod otel;
mod outcome;
mod sampler;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::call::{CallWatch, CallbackWatch, RunWatch};
pub(crate) use self::context::Traced;
pub use self::context::{InvalidTraceContext, TraceContext};
pub(crate) use self::history::{History, SlotHistory};
pub(crate) use self::metrics::{PoolMetrics, breaker};
pub use self::models::BreakerState;
pub(crate) use self::models::{ModelFigures, Models};
pub(crate) use self::sampler::start as start_looking;
use crate::pool::{PoolChange, PoolEvent, Retirement, WorkerEnd};

/// What all that watches one pool shares.
pub(crate) struct PoolTelemetry {
    pub(crate) pool: Arc<str>,
    pub(crate) metrics: PoolMetrics,
    history: Mutex<History>,
}

impl PoolTelemetry {
    /// That of the pool of this name.
    pub(crate) fn new(pool: Arc<str>) -> Arc<Self> {
        let metrics = PoolMetrics::new(pool.clone());
        Arc::new(Self { pool, metrics, history: Mutex::new(History::new()) })
    }

    /// What became of the workers so far.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        // What is noted cannot panic half-way.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(crate) fn note(&self, event: &PoolEvent) {
        self.history().note(event);
        match (&event.change, event.worker) {
            (PoolChange::Ended { end: WorkerEnd::Shutdown, .. }, _) => {}
            (PoolChange::Ended { end: WorkerEnd::Recycled(why), .. }, Some(worker)) => {
                self.metrics.recycled(worker.index, reason(*why));
            }
            (PoolChange::Ended { end, .. }, Some(worker)) => {
                self.metrics.restarted(worker.index, end.cause())
            }
            (PoolChange::ZygoteLost { .. }, _) => self.metrics.zygote_lost(),
            _ => {}
        }
    }
}

/// A retirement as one word.
fn reason(why: Retirement) -> &'static str {
    match why {
        Retirement::Calls(_) => "calls",
        Retirement::Age(_) => "age",
        Retirement::Memory(_) => "memory",
        Retirement::Shutdown => "shutdown",
    }
}

impl std::fmt::Debug for PoolTelemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolTelemetry").field("pool", &self.pool).finish_non_exhaustive()
    }
}
