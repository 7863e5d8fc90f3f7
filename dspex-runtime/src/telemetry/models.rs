//! Which language models calls use, and how they fare.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::lm::Lm;

/// Models that are told apart. A program has few; what comes later is not counted.
const KEPT_MODELS: usize = 256;

/// The state of a language model's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half open",
            Self::Open => "open",
        })
    }
}

/// What is known of one language model.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelFigures {
    /// Its name, as the program gave it.
    pub(crate) model: String,
    /// Calls that had it at hand and ended, in this process.
    pub(crate) calls: u64,
    /// Of these, calls that ended with an error of the model's.
    pub(crate) failed: u64,
}

/// The language models that calls have used, by the hashes of their specs.
#[derive(Debug, Default)]
pub(crate) struct Models(Mutex<BTreeMap<String, ModelFigures>>);

impl Models {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ModelFigures>> {
        // Map operations leave the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that had the model at hand ended.
    pub(crate) fn used(&self, lm: &Lm, failed: bool) {
        let mut models = self.lock();
        let hash = &lm.spec().hash;
        if !models.contains_key(hash) {
            if models.len() >= KEPT_MODELS {
                return;
            }
            let model = lm.model().to_owned();
            models.insert(hash.clone(), ModelFigures { model, ..ModelFigures::default() });
        }
        if let Some(figures) = models.get_mut(hash) {
            figures.calls += 1;
            figures.failed += u64::from(failed);
        }
    }

    /// All of them, with their hashes.
    pub(crate) fn all(&self) -> Vec<(String, ModelFigures)> {
        self.lock().iter().map(|(hash, figures)| (hash.clone(), figures.clone())).collect()
    }
}
