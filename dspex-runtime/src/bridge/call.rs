//! The run of one call: a place at a worker, the messages, the end.

use std::sync::Arc;
use std::time::Duration;

use dspex_state::Variables;
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::breaker::CircuitBreaker;
use super::breakers::{Asked, Breakers, Refusal, unavailable};
use super::callbacks::{self, Reach};
use super::examine::Examiner;
use super::retry::{Missed, Tries, random};
use super::{HostFunctions, Spec, ToolDocument, errors};
use crate::error::{Error, Phase, Result};
use crate::functions::Functions;
use crate::lm::Lm;
use crate::pool::transport::{Call, Inbound, SendError};
use crate::pool::{InUse, Lease, LeaseError, Pool, PoolError, Pools, Want, WorkerEnd};
use crate::proto::{self, Open, Payload, SessionView, cancel, down, open, up};
use crate::telemetry::{BreakerState, CallWatch, ModelFigures, Models, RunWatch};
use crate::tool::Standing;

/// What a call is about.
pub(crate) enum Target {
    /// A method of an instance; empty: the call of the module itself.
    Instance {
        /// What the instance is.
        spec: Arc<Spec>,
        /// The method's name.
        method: String,
    },
    /// Builds an instance and calls nothing.
    Check(Arc<Spec>),
    /// A function or class by its path.
    Function(String),
    /// Descriptions of modules.
    Introspect(Vec<String>),
    /// A tool that is written in Python, by its path: what it is, or its run.
    Tool {
        /// The dotted path.
        path: String,
        /// Nothing is run.
        describe: bool,
    },
}

impl Target {
    pub(super) fn spec(&self) -> Option<&Arc<Spec>> {
        match self {
            Self::Instance { spec, .. } | Self::Check(spec) => Some(spec),
            Self::Function(_) | Self::Introspect(_) | Self::Tool { .. } => None,
        }
    }

    /// Whether it is the call of a module, which asks its language model as a rule.
    fn calls_model(&self) -> bool {
        matches!(self, Self::Instance { method, .. } if method.is_empty())
    }

    /// Whether it is a run of an optimizer: nothing else of DSPy's has a `compile`.
    fn optimizes(&self) -> bool {
        matches!(self, Self::Instance { method, .. } if method == "compile")
    }

    /// The functions of the program that its instance has; none for most.
    pub(crate) fn functions(&self) -> Option<Arc<Functions>> {
        self.spec().map(|spec| spec.functions.clone()).filter(|functions| !functions.is_empty())
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Instance { spec, .. } | Self::Check(spec) => &spec.class,
            Self::Function(path) | Self::Tool { path, .. } => path,
            Self::Introspect(_) => "introspection",
        }
    }

    /// The method of an instance; empty for all else.
    pub(super) fn method(&self) -> &str {
        match self {
            Self::Instance { method, .. } => method,
            _ => "",
        }
    }

    fn to_wire(&self) -> open::Target {
        match self {
            Self::Instance { spec, method } => open::Target::Instance(proto::InstanceCall {
                spec: spec.hash.clone(),
                method: method.clone(),
            }),
            Self::Check(spec) => open::Target::Check(proto::Check { spec: spec.hash.clone() }),
            Self::Function(path) => open::Target::Function(proto::FunctionCall { path: path.clone() }),
            Self::Introspect(modules) => {
                open::Target::Introspect(proto::Introspect { modules: modules.clone() })
            }
            Self::Tool { path, describe } => {
                open::Target::Tool(proto::ToolCall { path: path.clone(), describe: *describe })
            }
        }
    }
}

/// Everything about one call.
pub(crate) struct Request {
    /// What it is about.
    pub(crate) target: Target,
    /// Its inputs as JSON; empty where it takes none.
    pub(crate) inputs: bytes::Bytes,
    /// The name of the pool; the default one if none is chosen.
    pub(crate) pool: Option<Arc<str>>,
    /// The session's id; empty without one.
    pub(crate) session: String,
    /// The language model that it uses.
    pub(crate) lm: Option<Lm>,
    /// The session's variables, for Python to read and write; none without a session.
    pub(crate) variables: Option<Variables>,
    /// The functions of the program that Python may call, and what takes its events.
    pub(crate) host: Option<Arc<dyn HostFunctions>>,
    /// The tools of the session, for Python's own programs.
    pub(crate) tools: Option<Arc<ToolDocument>>,
    /// Where this call stands, among those above it that each wait for a tool that made the next.
    pub(crate) above: Standing,
    /// Where those stand that its tools make.
    pub(crate) below: Standing,
    /// `""`, `chat`, `json` or `xml`.
    pub(crate) adapter: &'static str,
    /// From now until it must have ended, queueing included.
    pub(crate) deadline: Duration,
    /// May be run again if its worker was lost.
    pub(crate) idempotent: bool,
    /// Ends the call when it is cancelled.
    pub(crate) cancellation: Option<CancellationToken>,
    /// Knows the call until Python has ended it.
    pub(crate) tracker: Option<TaskTracker>,
}

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
    async fn pool_of(&self, request: &Request, deadline: Instant) -> Result<InUse> {
        let name = request.pool.as_deref();
        if !request.target.optimizes() {
            return Ok(InUse::of(self.pools.get(name).map_err(|pools| pools.error(name))?.clone()));
        }
        let started = tokio::time::timeout_at(deadline, self.pools.optimizers(name)).await;
        let started = started.map_err(|_| lease_error(LeaseError::Deadline, request))?;
        Ok(started.map_err(|pools| pools.error(name))??)
    }

    /// Runs a call to its end. Dropping the future cancels it in Python, and so does its token.
    pub(crate) async fn run(&self, request: &Request) -> Result<Payload> {
        let Some(token) = &request.cancellation else { return self.run_alone(request).await };
        tokio::select! {
            biased;
            () = token.cancelled() => Err(Error::Cancelled("the program cancelled it".to_owned())),
            result = self.run_alone(request) => result,
        }
    }

    async fn run_alone(&self, request: &Request) -> Result<Payload> {
        if let Some(lm) = &request.lm {
            lm.validate()?;
        }
        let deadline = far_from_now(request.deadline);
        let pool = self.pool_of(request, deadline).await?;
        let Request { target, session, above, .. } = request;
        let callee = (target.name(), target.method());
        let mut watch = CallWatch::begin(pool.telemetry(), callee, session, above.trace.as_ref());
        let span = watch.span().clone();
        let result = self.run_watched(&pool, request, deadline, &mut watch).instrument(span).await;
        if let Some(lm) = request.lm.as_ref().filter(|_| request.target.calls_model()) {
            self.models.used(lm, matches!(&result, Err(Error::Lm(_) | Error::ModelUnavailable { .. })));
        }
        watch.ended(&result);
        result
    }

    /// Tries until there is an end, or no other try is allowed.
    async fn run_watched(
        &self,
        pool: &Pool,
        request: &Request,
        deadline: Instant,
        watch: &mut CallWatch,
    ) -> Result<Payload> {
        let mut tries = Tries::new(request.idempotent, self.retries);
        loop {
            let (missed, error) = match self.once(pool, request, deadline, watch).await? {
                Attempt::Ended(Err(error)) => match error.asks_to_come_again() {
                    Some(wait) => (Missed::Later(wait), error),
                    None => return Err(error),
                },
                Attempt::Ended(ended) => return ended,
                Attempt::NeverStarted => (Missed::NeverBegan, lease_error(LeaseError::Deadline, request)),
                Attempt::Lost(end) => (Missed::Lost, Error::OutcomeUnknown { end }),
            };
            let remains = deadline.saturating_duration_since(Instant::now());
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
    async fn once(
        &self,
        pool: &Pool,
        request: &Request,
        deadline: Instant,
        watch: &mut CallWatch,
    ) -> Result<Attempt> {
        let asked = match self.ask_breaker(request) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(Attempt::Ended(Err(refusal.error()))),
        };
        let examined = self.suspects.examine(request, deadline).await?;
        let want = Want {
            session: &request.session,
            spec: request.target.spec().map(|spec| spec.hash.as_str()),
            deadline: Some(deadline),
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
        let attempt = self.attempt(pool, lease, request, deadline, (watch, run)).await?;
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

    async fn attempt(
        &self,
        pool: &Pool,
        lease: Lease,
        request: &Request,
        deadline: Instant,
        (watch, mut run): (&mut CallWatch, RunWatch),
    ) -> Result<Attempt> {
        let Lease { link, permit } = lease;
        // A worker that reads slowly makes its callers wait, not the host hold what they would send.
        if tokio::time::timeout_at(deadline, link.room()).await.is_err() {
            return Err(Error::DeadlineExceeded { after: request.deadline, phase: Phase::Queued });
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        let mut open = Open {
            target: Some(request.target.to_wire()),
            inputs: Some(Payload { json: request.inputs.clone(), attachments: Vec::new() }),
            // The worker's own deadline is a safety net behind the host's; it comes a little later.
            deadline_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX).saturating_add(250),
            session: Some(SessionView {
                id: request.session.clone(),
                lm: request.lm.as_ref().map(|lm| lm.spec().hash.clone()).unwrap_or_default(),
                adapter: request.adapter.to_owned(),
                tools: request.tools.as_ref().map(|tools| tools.hash.clone()).unwrap_or_default(),
                ..SessionView::default()
            }),
            depth: request.above.depth,
            ..Open::default()
        };
        run.tell(&mut open);
        let mut call = match link.open(open, permit) {
            Ok(call) => call,
            Err(SendError::Lost) => {
                // The supervisor learns of the loss in its own task; let it, before the next lease is asked for.
                tokio::task::yield_now().await;
                return Ok(Attempt::NeverStarted);
            }
            Err(SendError::TooLarge { size, limit }) => {
                return Err(Error::TooLarge { what: "the request", size, limit });
            }
        };
        let mut callbacks = JoinSet::new();
        let mut items = Items::default();
        let mut expiry = std::pin::pin!(tokio::time::sleep_until(deadline));
        loop {
            let inbound = tokio::select! {
                biased;
                inbound = call.next() => inbound,
                () = &mut expiry => {
                    call.cancel(cancel::Reason::Deadline);
                    return Err(Error::DeadlineExceeded { after: request.deadline, phase: Phase::Running });
                }
            };
            match inbound {
                Inbound::Message(down::Kind::Done(done)) => {
                    watch.ran(&mut run, done.run_us);
                    return Ok(Attempt::Ended(Ok(done.output.unwrap_or_default())));
                }
                Inbound::Message(down::Kind::Failed(failed)) => {
                    watch.ran(&mut run, failed.run_us);
                    let error = failed.error.unwrap_or_default();
                    if error.kind() == proto::error::Kind::Draining {
                        call.link().refused_as_draining();
                        return Ok(Attempt::NeverStarted);
                    }
                    let error = match errors::from_wire(error, request.target.name(), request.deadline) {
                        Error::Lm(error) => unavailable(error, request.lm.as_ref()),
                        error => error,
                    };
                    return Ok(Attempt::Ended(Err(error)));
                }
                Inbound::Message(down::Kind::Callback(callback)) => {
                    while callbacks.try_join_next().is_some() {}
                    let reach = Reach {
                        lm: request.lm.clone(),
                        variables: request.variables.clone(),
                        host: request.host.clone(),
                        breakers: self.breakers.clone(),
                    };
                    let watched = watch.callback(&mut run, &callback);
                    let (span, mut below) = (watched.span(), request.below.clone());
                    below.trace = watched.trace();
                    let served = callbacks::serve(callback, reach, call.sender(), watched);
                    // Most are answered at once, without a task of their own.
                    let mut served = Box::pin(below.scope(served).instrument(span));
                    if futures::poll!(served.as_mut()).is_pending() {
                        callbacks.spawn(served);
                    }
                }
                Inbound::Message(down::Kind::NeedState(need)) => {
                    run.answered();
                    send_state(&call, &need, request)?;
                }
                Inbound::Message(down::Kind::Event(event)) => {
                    run.answered();
                    let item = event.r#type == "item";
                    // Served here and not in a task: so events keep their order. While there is no room for one, what else
                    // Python asks within this call waits as well: who does not read a stream holds its call up. Calls
                    // with many callbacks at once are no generators, and their workers send no events.
                    if let Some(host) = &request.host {
                        tokio::select! {
                            biased;
                            () = host.event(event) => {}
                            () = &mut expiry => {
                                call.cancel(cancel::Reason::Deadline);
                                return Err(Error::DeadlineExceeded { after: request.deadline, phase: Phase::Running });
                            }
                        }
                    }
                    if item {
                        items.took_one(&call);
                    }
                }
                Inbound::Message(_) => {}
                Inbound::TooLarge(size) => {
                    call.cancel(cancel::Reason::Requested);
                    let limit = pool.max_message_bytes();
                    return Err(Error::TooLarge { what: "the answer", size, limit });
                }
                Inbound::Flooded(reason) => return Err(Error::Protocol(reason)),
                Inbound::Unsent => return Ok(Attempt::NeverStarted),
                Inbound::Lost => return Ok(Attempt::Lost(call.link().end().await)),
            }
        }
    }
}

/// The moment that is so far away; the clock cannot name every one.
pub(crate) fn far_from_now(duration: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    Instant::now() + duration.min(THIRTY_YEARS)
}

/// The items of a generator in Python that there was room for; Python makes more as it is told so.
#[derive(Default)]
struct Items {
    taken: u64,
    told: u64,
}

impl Items {
    /// So many are taken at most before Python is told: half of what it makes ahead, so that it need not stop.
    const AT_ONCE: u64 = 16;

    fn took_one(&mut self, call: &Call) {
        self.taken += 1;
        // Python may wait for this answer, unless something of it is here already.
        if self.taken - self.told >= Self::AT_ONCE || !call.has_more() {
            self.told = self.taken;
            // The loss of the worker arrives as the call's end.
            let _ = call.send(up::Kind::ItemsTaken(proto::ItemsTaken { count: self.taken }));
        }
    }
}

/// How one try ended.
enum Attempt {
    Ended(Result<Payload>),
    /// The worker was gone before anything was sent.
    NeverStarted,
    /// The worker went while it had the call.
    Lost(WorkerEnd),
}

fn send_state(call: &Call, need: &proto::NeedState, request: &Request) -> Result<()> {
    let mut state = proto::State::default();
    for hash in &need.specs {
        let spec =
            request.target.spec().filter(|spec| spec.hash == *hash).ok_or_else(|| unknown("spec", hash))?;
        state.specs.push(proto::Spec { hash: hash.clone(), json: spec.json.clone().into() });
    }
    for hash in &need.lms {
        let lm =
            request.lm.as_ref().filter(|lm| lm.spec().hash == *hash).ok_or_else(|| unknown("model", hash))?;
        let spec = lm.spec();
        let api_key = spec.api_key.as_ref().map(|key| key.expose_secret().to_owned()).unwrap_or_default();
        state.lms.push(proto::LmSpec { hash: hash.clone(), json: spec.json.clone().into(), api_key });
    }
    for hash in &need.tools {
        let tools = request
            .tools
            .as_ref()
            .filter(|tools| tools.hash == *hash)
            .ok_or_else(|| unknown("tools", hash))?;
        state.tools.push(proto::ToolSet { hash: hash.clone(), json: tools.json.clone().into() });
    }
    match call.send(up::Kind::State(state)) {
        // The loss itself arrives as the call's end.
        Ok(()) | Err(SendError::Lost) => Ok(()),
        Err(SendError::TooLarge { size, limit }) => {
            Err(Error::TooLarge { what: "the instance's spec", size, limit })
        }
    }
}

fn unknown(what: &str, hash: &str) -> Error {
    Error::Protocol(format!("the worker asked for the {what} {hash}, which the call did not name"))
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
