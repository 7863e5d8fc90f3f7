//! The circuit breakers of all language models, by the hashes of their specs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::breaker::{Breaker, CircuitBreaker, Outcome, Pass};
use crate::error::Error;
use crate::lm::{Lm, LmError};
use crate::proto::Payload;
use crate::telemetry::BreakerState;

/// How many breakers are kept for what comes, besides those that are open or were asked of late.
const KEPT: usize = 256;

/// A breaker that was not asked for so long, and is closed, starts anew.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What a refusal within a call is marked with, as the provider's code.
const REFUSED: &str = "dspex_circuit_open";

/// All breakers. Without settings, nothing is counted or refused.
pub(crate) struct Breakers {
    settings: Option<CircuitBreaker>,
    breakers: Mutex<HashMap<String, Known>>,
}

struct Known {
    /// The model's name, which several may have.
    model: String,
    breaker: Breaker,
    /// As it was told to whoever watches.
    state: BreakerState,
    /// What the model failed with last.
    last: String,
    /// When it was asked last.
    asked: Instant,
}

impl Breakers {
    pub(crate) fn new(settings: Option<CircuitBreaker>) -> Arc<Self> {
        Arc::new(Self { settings, breakers: Mutex::default() })
    }

    /// Asks for a pass; none is needed where there are no breakers.
    pub(crate) fn admit(self: &Arc<Self>, lm: &Lm) -> Result<Option<Asked>, Refusal> {
        let Some(settings) = self.settings else { return Ok(None) };
        let hash = &lm.spec().hash;
        let mut breakers = self.lock();
        if !breakers.contains_key(hash) {
            if breakers.len() >= KEPT {
                let now = now();
                breakers.retain(|_, known| !known.is_over(now));
            }
            let (breaker, state) = (Breaker::new(settings), BreakerState::Closed);
            let known =
                Known { model: lm.model().to_owned(), breaker, state, last: String::new(), asked: now() };
            breakers.insert(hash.clone(), known);
        }
        let Some(known) = breakers.get_mut(hash) else { return Ok(None) };
        known.asked = now();
        let admitted = known.breaker.admit(now());
        known.tell();
        match admitted {
            Ok(pass) => {
                let clear = known.breaker.is_clear();
                Ok(Some(Asked { breakers: self.clone(), hash: hash.clone(), pass, clear, told: false }))
            }
            Err(retry_after) => Err(Refusal::of(lm, retry_after, &known.last)),
        }
    }

    /// Whether the model's breaker is open now, so that a call on it need not start.
    pub(crate) fn check(&self, lm: &Lm) -> Result<(), Refusal> {
        if self.settings.is_none() {
            return Ok(());
        }
        match self.lock().get(&lm.spec().hash) {
            Some(known) => match known.breaker.is_open(now()) {
                Some(retry_after) => Err(Refusal::of(lm, retry_after, &known.last)),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The state of the breaker of the model with this hash; closed where there is none.
    pub(crate) fn state(&self, hash: &str) -> BreakerState {
        self.lock().get(hash).map(|known| known.breaker.state(now())).unwrap_or_default()
    }

    fn record(&self, hash: &str, pass: Pass, outcome: Outcome, last: Option<String>) {
        if let Some(known) = self.lock().get_mut(hash) {
            known.breaker.record(pass, outcome, now());
            if let Some(last) = last {
                known.last = last;
            }
            known.tell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing under this lock panics.
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether nothing is lost with it.
    fn is_over(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.asked) >= FORGOTTEN;
        self.breaker.is_clear() || (idle && self.breaker.is_open(now).is_none())
    }

    /// Tells whoever watches of another state.
    fn tell(&mut self) {
        let state = self.breaker.state(now());
        if state == self.state {
            return;
        }
        self.state = state;
        let Self { model, last, .. } = self;
        match self.breaker.is_open(now()) {
            Some(open) => {
                tracing::warn!(target: "dspex::bridge", %model, ?open, %last, "a language model's circuit breaker opened");
            }
            None => {
                tracing::info!(target: "dspex::bridge", %model, ?state, "a language model's circuit breaker")
            }
        }
    }
}

/// The time on tokio's clock, which tests may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A model that is not asked now.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    model: String,
    retry_after: Duration,
    last: String,
}

impl Refusal {
    fn of(lm: &Lm, retry_after: Duration, last: &str) -> Self {
        Self { model: lm.model().to_owned(), retry_after, last: last.to_owned() }
    }

    /// As a call's end.
    pub(crate) fn error(self) -> Error {
        let Self { model, retry_after, last } = self;
        Error::ModelUnavailable { model, retry_after, last }
    }

    /// As what Python is told in the middle of a call.
    pub(crate) fn lm_error(self) -> LmError {
        let mut error = LmError::server(self.last).with_retry_after(self.retry_after);
        let details = error.details_mut();
        details.model = Some(self.model);
        details.provider_code = Some(REFUSED.to_owned());
        error
    }
}

/// What a refusal in the middle of a call became on its way through Python.
pub(crate) fn unavailable(error: LmError, lm: Option<&Lm>) -> Error {
    let details = error.details();
    match (details.provider_code.as_deref(), details.retry_after, lm) {
        (Some(REFUSED), Some(retry_after), Some(lm)) => Error::ModelUnavailable {
            model: lm.model().to_owned(),
            retry_after,
            last: details.message.clone(),
        },
        _ => Error::Lm(error),
    }
}

/// A model that is asked. Whoever asks tells what came of it; dropping this says that nothing is known.
pub(crate) struct Asked {
    breakers: Arc<Breakers>,
    hash: String,
    pass: Pass,
    clear: bool,
    told: bool,
}

impl Asked {
    /// The model's own answer.
    pub(crate) fn answered<T>(self, answer: &Result<T, LmError>) {
        match answer {
            Ok(_) => self.tell(Outcome::Answered, None),
            Err(error) => self.failed(error),
        }
    }

    /// What a call ended with whose model DSPy asked itself. `calls_model`: it is one of a module, which asks its model as a rule.
    pub(crate) fn ended(self, ended: &Result<Payload, Error>, calls_model: bool) {
        match ended {
            Err(Error::Lm(error)) => self.failed(error),
            // The model answered, if not well.
            Err(Error::InvalidOutput { .. }) => self.tell(Outcome::Answered, None),
            // For a probe, or after failures, a call that did not ask the model must not count as one.
            Ok(payload) if calls_model && (self.clear || has_usage(payload)) => {
                self.tell(Outcome::Answered, None);
            }
            _ => {}
        }
    }

    fn failed(self, error: &LmError) {
        let outcome = match error {
            error if error.is_retryable() => Outcome::Failed(error.retry_after()),
            LmError::InvalidRequest(_)
            | LmError::ContextWindowExceeded(_)
            | LmError::UnsupportedFeature(_) => Outcome::Answered,
            _ => Outcome::Unknown,
        };
        let last = matches!(outcome, Outcome::Failed(_)).then(|| error.to_string());
        self.tell(outcome, last);
    }

    fn tell(mut self, outcome: Outcome, last: Option<String>) {
        self.told = true;
        self.breakers.record(&self.hash, self.pass, outcome, last);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.told {
            self.breakers.record(&self.hash, self.pass, Outcome::Unknown, None);
        }
    }
}

/// Whether a prediction says that a model was used.
fn has_usage(payload: &Payload) -> bool {
    #[derive(Deserialize)]
    struct Used {
        #[serde(default)]
        usage: HashMap<String, IgnoredAny>,
    }
    serde_json::from_slice::<Used>(&payload.json).is_ok_and(|used| !used.usage.is_empty())
}
