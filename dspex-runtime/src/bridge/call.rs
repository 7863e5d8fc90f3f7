//! The run of one call: its pool, its place, and its tries until there is an end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Request;
use super::attempt::{Attempt, attempt};
use super::breaker::CircuitBreaker;
use super::breakers::{Asked, Breakers, Refusal};
use super::examine::Examiner;
use super::retry::{Missed, Tries};
use crate::error::{Error, Phase, Result};
use crate::jitter::random;
use crate::pool::{InUse, Lease, LeaseError, Pool, PoolError, Pools, Want};
use crate::proto::Payload;
use crate::telemetry::{BreakerState, CallWatch, ModelFigures, Models};

/// Runs calls on pools.
pub(crate) struct Bridge {
    pools: Pools,
    /// How often a call is run again at most, where that is allowed.
    retries: u32,
    breakers: Arc<Breakers>,
    models: Models,
    suspects: Examiner,
}

impl Bridge {
    /// A bridge over running pools.
    pub(crate) fn new(pools: Pools, retries: u32, breaker: Option<CircuitBreaker>) -> Self {
        Self {
            pools,
            retries,
            breakers: Breakers::new(breaker),
            models: Models::default(),
            suspects: Examiner::default(),
        }
    }

    /// The pools below.
    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The pool of all that chooses none.
    pub(crate) fn pool(&self) -> &Pool {
        self.pools.default_pool()
    }

    /// The language models that calls have used, each with the state of its breaker.
    pub(crate) fn models(&self) -> Vec<(ModelFigures, BreakerState)> {
        let models = self.models.all().into_iter();
        models.map(|(hash, figures)| (figures, self.breakers.state(&hash))).collect()
    }

    /// That there is a pool of this name.
    pub(crate) fn check_pool(&self, name: &str) -> Result<()> {
        self.pools.get(Some(name)).map(drop).map_err(|pools| pools.error(Some(name)))
    }

    /// The pool that a request runs in.
    async fn pool_of(&self, request: &Request) -> Result<InUse> {
        let name = request.pool.as_deref();
        if !request.target.optimizes() {
            return Ok(InUse::of(self.pools.get(name).map_err(|pools| pools.error(name))?.clone()));
        }
        let started = tokio::time::timeout_at(request.expires, self.pools.optimizers(name)).await;
        let started = started.map_err(|_| lease_error(LeaseError::Deadline, request))?;
        Ok(started.map_err(|pools| pools.error(name))??)
    }

    /// Runs a call to its end. Dropping the future cancels it in Python.
    pub(crate) async fn run(&self, request: &Request) -> Result<Payload> {
        if let Some(lm) = &request.lm {
            lm.validate()?;
        }
        let pool = self.pool_of(request).await?;
        let Request { target, session, above, .. } = request;
        let callee = (target.name(), target.method());
        let mut watch = CallWatch::begin(pool.telemetry(), callee, session, above.trace.as_ref());
        let span = watch.span().clone();
        let result = self.run_watched(&pool, request, &mut watch).instrument(span).await;
        if let Some(lm) = request.lm.as_ref().filter(|_| request.target.calls_model()) {
            self.models.used(lm, matches!(&result, Err(Error::Lm(_) | Error::ModelUnavailable { .. })));
        }
        watch.ended(&result);
        result
    }

    /// Tries until there is an end, or no other try is allowed.
    async fn run_watched(&self, pool: &Pool, request: &Request, watch: &mut CallWatch) -> Result<Payload> {
        let mut tries = Tries::new(request.idempotent, self.retries);
        loop {
            let (missed, error) = match self.once(pool, request, watch).await? {
                Attempt::Ended(Err(error)) => match error.asks_to_come_again() {
                    Some(wait) => (Missed::Later(wait), error),
                    None => return Err(error),
                },
                Attempt::Ended(ended) => return ended,
                Attempt::NeverStarted => (Missed::NeverBegan, lease_error(LeaseError::Deadline, request)),
                Attempt::Lost(end) => (Missed::Lost, Error::OutcomeUnknown { end }),
            };
            let remains = request.expires.saturating_duration_since(Instant::now());
            let Some(pause) = tries.again(missed, remains, random()) else { return Err(error) };
            if missed != Missed::NeverBegan {
                watch.retried();
                let attempt = tries.made();
                tracing::info!(target: "dspex::bridge", attempt, ?pause, %error, "an idempotent call is run again");
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One try, with what the model's breaker and the losses of workers have to say.
    async fn once(&self, pool: &Pool, request: &Request, watch: &mut CallWatch) -> Result<Attempt> {
        let asked = match self.ask_breaker(request) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(Attempt::Ended(Err(refusal.error()))),
        };
        let examined = self.suspects.examine(request).await?;
        let want = Want {
            session: &request.session,
            spec: request.target.spec().map(|spec| spec.hash.as_str()),
            deadline: Some(request.expires),
            reserve: request.above.reserve.as_ref(),
        };
        let queued = watch.queue();
        // From here on, so that whoever ends a session counts those that wait, too.
        let tracked = request.tracker.as_ref().map(TaskTracker::token);
        let lease = pool.lease(want).instrument(queued.span().clone()).await;
        let mut lease = lease.map_err(|error| lease_error(error, request))?;
        tracked.into_iter().for_each(|token| lease.permit.track(token));
        let run = watch.placed(queued, &lease);
        check_fingerprint(&lease, request)?;
        let worker = lease.link.clone();
        let attempt = attempt(pool, &self.breakers, lease, request, (watch, run)).await?;
        match &attempt {
            Attempt::Ended(ended) => {
                examined.survived();
                if let Some(asked) = asked {
                    asked.ended(ended, request.target.calls_model());
                }
            }
            Attempt::Lost(end) => examined.lost(request, worker.hello(), end),
            Attempt::NeverStarted => {}
        }
        Ok(attempt)
    }

    /// Whether the call's model may be asked now. Models in Rust are asked for each request of DSPy's, so only a breaker that is open
    /// keeps the call from starting.
    fn ask_breaker(&self, request: &Request) -> Result<Option<Asked>, Refusal> {
        match &request.lm {
            Some(lm) if request.target.calls_model() => match lm.is_host() {
                true => self.breakers.check(lm).map(|()| None),
                false => self.breakers.admit(lm),
            },
            _ => Ok(None),
        }
    }
}

/// The moment that is so far away; the clock cannot name every one.
pub(crate) fn far_from_now(duration: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    Instant::now() + duration.min(THIRTY_YEARS)
}

fn lease_error(error: LeaseError, request: &Request) -> Error {
    match error {
        LeaseError::Saturated(load) => PoolError::Saturated(load).into(),
        LeaseError::Deadline => Error::DeadlineExceeded { after: request.deadline, phase: Phase::Queued },
        LeaseError::Down(cause) => PoolError::Down(cause).into(),
        LeaseError::Closed => PoolError::Closed.into(),
    }
}

/// The worker's class must be the one that the code was checked against.
fn check_fingerprint(lease: &Lease, request: &Request) -> Result<()> {
    let Some(spec) = request.target.spec() else { return Ok(()) };
    let hello = lease.link.hello();
    match (spec.fingerprint, hello.fingerprints.get(&spec.class)) {
        (Some(compiled), Some(running)) if compiled != running => {
            Err(Error::SchemaMismatch { class: spec.class.clone(), dspy_version: hello.dspy_version.clone() })
        }
        _ => Ok(()),
    }
}
