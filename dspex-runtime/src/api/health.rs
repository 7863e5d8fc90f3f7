//! Whether the pool answers.

use std::time::Duration;

use serde_json::json;

use super::{Availability, Dspex, InstanceSpec};
use crate::error::{Error, Result};
use crate::pool::{Load, PoolError};

/// A check that takes longer says something is wrong.
const CHECK_DEADLINE: Duration = Duration::from_secs(5);

/// How a [`Dspex`] is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The verdict.
    pub status: Status,
    /// The version of dspex.
    pub version: &'static str,
    /// What runs in the workers; `None` where none answered.
    pub availability: Option<Availability>,
    /// The pool's load.
    pub load: Load,
    /// The workers that were asked for.
    pub workers: usize,
}

/// The verdict on a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Calls are answered by all workers.
    Healthy,
    /// Calls are answered, and something is amiss.
    Degraded(Vec<String>),
    /// Calls are not answered.
    Down(String),
}

impl Health {
    pub(crate) async fn compute(dspex: &Dspex) -> Self {
        let answered = tokio::time::timeout(CHECK_DEADLINE, ask(dspex)).await;
        let load = dspex.load();
        let workers = dspex.runtime.bridge.pool().size();
        let (availability, status) = match answered {
            Ok(Ok(availability)) => (Some(availability), verdict(load, workers)),
            // Workers that are too busy for one more call are at work.
            Ok(Err(Error::Pool(error @ PoolError::Saturated(_)))) => {
                (hello(dspex).await, Status::Degraded(vec![error.to_string()]))
            }
            Err(_) if load.ready_workers > 0 && load.in_flight >= load.capacity => {
                let reason = format!("all places were taken for {CHECK_DEADLINE:?}");
                (hello(dspex).await, Status::Degraded(vec![reason]))
            }
            Ok(Err(error)) => (None, Status::Down(error.to_string())),
            Err(_) => (None, Status::Down(format!("no worker answered within {CHECK_DEADLINE:?}"))),
        };
        Self { status, version: env!("CARGO_PKG_VERSION"), availability, load, workers }
    }
}

/// A real call: a worker builds a predictor and says what it is.
async fn ask(dspex: &Dspex) -> Result<Availability> {
    let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    dspex.dspy().create_instance(spec).await?;
    dspex.dspy().check_availability().await
}

async fn hello(dspex: &Dspex) -> Option<Availability> {
    dspex.dspy().check_availability().await.ok()
}

fn verdict(load: Load, workers: usize) -> Status {
    let mut reasons = Vec::new();
    if load.ready_workers < workers {
        reasons.push(format!("{} of {workers} workers are ready", load.ready_workers));
    }
    if load.queued > 0 && load.queued * 2 >= load.queue_limit {
        reasons.push(format!("{} of {} places in the queue are taken", load.queued, load.queue_limit));
    }
    if reasons.is_empty() { Status::Healthy } else { Status::Degraded(reasons) }
}
