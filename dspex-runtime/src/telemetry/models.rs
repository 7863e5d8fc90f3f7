//! Which language models calls use, how they fare, and the state of their breakers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::metrics;

/// Models that are told apart. A program has few; what comes later is not counted.
const KEPT_MODELS: usize = 256;

/// The state of a language model's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go through.
    #[default]
    Closed,
    /// A few calls try whether the model answers again.
    HalfOpen,
    /// Calls are refused at once, since the model failed too often.
    Open,
}

/// What is known of one language model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelFigures {
    /// Calls that used it, in this process.
    pub(crate) calls: u64,
    /// Of these, calls that ended with an error of the model's.
    pub(crate) failed: u64,
    pub(crate) breaker: BreakerState,
}

/// The language models that calls have used.
#[derive(Debug, Default)]
pub(crate) struct Models(Mutex<BTreeMap<String, ModelFigures>>);

impl Models {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ModelFigures>> {
        // Map operations leave the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, model: &str, change: impl FnOnce(&mut ModelFigures)) {
        let mut models = self.lock();
        if let Some(figures) = models.get_mut(model) {
            change(figures);
        } else if models.len() < KEPT_MODELS {
            change(models.entry(model.to_owned()).or_default());
        }
    }

    /// A call that used the model ended.
    pub(crate) fn used(&self, model: &str, failed: bool) {
        self.change(model, |figures| {
            figures.calls += 1;
            figures.failed += u64::from(failed);
        });
    }

    /// The model's breaker has another state.
    #[expect(dead_code, reason = "the breakers are not there yet")]
    pub(crate) fn breaker(&self, model: &str, state: BreakerState) {
        self.change(model, |figures| figures.breaker = state);
        metrics::breaker(model, state);
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(String, ModelFigures)> {
        self.lock().iter().map(|(name, figures)| (name.clone(), *figures)).collect()
    }
}
