//! Whether calls are answered, computed from the status.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::status::{DspexStatus, PoolState};
use super::{Availability, Dspex, InstanceSpec};
use crate::error::{Error, Result};
use crate::pool::{Load, PoolError};

/// How a [`Dspex`] is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// The version of dspex.
    pub version: &'static str,
    /// What runs in the workers of the default pool; `None` where none is ready.
    pub availability: Option<Availability>,
    /// The load of the default pool.
    pub load: Load,
    /// The workers that were asked for in the default pool.
    pub workers: usize,
    /// Starting the program anew would help nobody: false only when it was shut down.
    pub live: bool,
    /// New calls are taken now: what a load balancer wants to know. Also false while the default pool is saturated.
    pub ready: bool,
}

/// Whether calls are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "because", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Calls are answered by all workers.
    Healthy,
    /// Calls are answered, or will be soon, and something is amiss.
    Degraded(Vec<String>),
    /// Calls are not answered.
    Down(String),
}

impl Health {
    /// From what is known, without asking a worker.
    pub(crate) fn compute(dspex: &Dspex) -> Self {
        let status = DspexStatus::without_store(dspex);
        // There always is a default pool, and it comes first.
        let default = status.pools.first();
        let load = default.map_or_else(|| dspex.load(), |pool| pool.load);
        let states: Vec<_> = status.pools.iter().map(|pool| (pool.name.as_str(), &pool.state)).collect();
        let state = default.map(|pool| &pool.state);
        let full = load.in_flight >= load.capacity && load.queued >= load.queue_limit;
        Self {
            verdict: verdict(&states),
            version: status.version,
            availability: default.and_then(|pool| pool.runs.clone()),
            load,
            workers: default.map_or(0, |pool| pool.workers_wanted),
            live: !matches!(state, Some(PoolState::Stopped)),
            ready: matches!(state, Some(PoolState::Ready | PoolState::Degraded { .. }))
                && load.ready_workers > 0
                && !full,
        }
    }

    /// The same, and a worker of the default pool answers a call.
    pub(crate) async fn probe(dspex: &Dspex, deadline: Duration) -> Self {
        let begun = Instant::now();
        let answered = tokio::time::timeout(deadline, ask(dspex)).await;
        let mut health = Self::compute(dspex);
        let problem = match answered {
            Ok(Ok(())) => return health,
            // Workers that are too busy for one more call are at work.
            Ok(Err(Error::Pool(PoolError::Saturated(_)))) => return health,
            Err(_) if health.load.ready_workers > 0 && health.load.in_flight >= health.load.capacity => {
                let reason = format!("all places were taken for {:.1?}", begun.elapsed());
                health.verdict = match health.verdict {
                    Verdict::Degraded(mut reasons) => {
                        reasons.push(reason);
                        Verdict::Degraded(reasons)
                    }
                    Verdict::Healthy => Verdict::Degraded(vec![reason]),
                    down => down,
                };
                return health;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no worker answered within {deadline:?}"),
        };
        health.ready = false;
        health.verdict = Verdict::Down(problem);
        health
    }
}

/// A real call: a worker builds a predictor and says what it is.
async fn ask(dspex: &Dspex) -> Result<()> {
    let spec = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
    dspex.dspy().create_instance(spec).await.map(drop)
}

/// The default pool, which comes first, decides; another one that is not well is worth a word.
fn verdict(pools: &[(&str, &PoolState)]) -> Verdict {
    let several = pools.len() > 1;
    let named = |name: &str, text: &str| match several {
        true => format!("pool `{name}`: {text}"),
        false => text.to_owned(),
    };
    let mut reasons = Vec::new();
    for (number, (name, state)) in pools.iter().enumerate() {
        match state {
            PoolState::Ready => {}
            PoolState::Degraded { causes } => reasons.extend(causes.iter().map(|cause| named(name, cause))),
            PoolState::Down { cause } if number == 0 => return Verdict::Down(named(name, cause)),
            PoolState::Stopped if number == 0 => return Verdict::Down("the pool was shut down".to_owned()),
            other => reasons.push(named(name, &other.to_string())),
        }
    }
    if reasons.is_empty() { Verdict::Healthy } else { Verdict::Degraded(reasons) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_pool_decides_and_the_others_are_told_of() {
        let (ready, down) = (PoolState::Ready, PoolState::Down { cause: "no Python".to_owned() });
        assert_eq!(verdict(&[("default", &ready)]), Verdict::Healthy);
        assert_eq!(verdict(&[("default", &down)]), Verdict::Down("no Python".to_owned()));
        let Verdict::Degraded(reasons) = verdict(&[("default", &ready), ("gpu", &down)]) else { panic!() };
        assert_eq!(reasons, ["pool `gpu`: down: no Python"]);
        assert!(matches!(verdict(&[("default", &PoolState::Starting)]), Verdict::Degraded(_)));
        assert!(matches!(verdict(&[("default", &PoolState::Stopped)]), Verdict::Down(_)));
    }
}
