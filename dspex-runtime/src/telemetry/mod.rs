//! What the pool tells of itself: spans and trace contexts, metrics, and the figures behind `Dspex::status`.
//!
//! Everything here costs next to nothing while nobody listens, and never holds what callers send or models answer.
//!
//! * [`CallWatch`] follows one call: the only place that times calls and opens their spans,
//! * [`TraceContext`] is what of a trace crosses to Python and back,
//! * [`PoolTelemetry`] is what one pool shares: its metrics, and the board on which events leave what they mean.

mod board;
mod call;
mod context;
mod metrics;
mod models;
#[cfg(feature = "otel")]
mod otel;
mod outcome;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::board::{Board, Row};
pub(crate) use self::call::{CallWatch, CallbackWatch, RunWatch};
pub(crate) use self::context::Traced;
pub use self::context::{InvalidTraceContext, TraceContext};
pub(crate) use self::metrics::PoolMetrics;
pub use self::models::BreakerState;
pub(crate) use self::models::{ModelFigures, Models};
use crate::pool::{PoolChange, PoolEvent, Retirement, WorkerEnd};

/// What all that watches one pool shares.
pub(crate) struct PoolTelemetry {
    pub(crate) pool: Arc<str>,
    pub(crate) metrics: PoolMetrics,
    board: Mutex<Board>,
}

impl PoolTelemetry {
    /// That of the pool of this name.
    pub(crate) fn new(pool: Arc<str>) -> Arc<Self> {
        let metrics = PoolMetrics::new(pool.clone());
        Arc::new(Self { pool, metrics, board: Mutex::new(Board::new()) })
    }

    /// What is known of the workers.
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        // What is noted cannot panic half-way.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(crate) fn note(&self, event: &PoolEvent) {
        self.board().note(event);
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
