//! Who can be called on: a [`Dspex`](super::Dspex) or a [`Session`](super::Session).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Dspex;
use super::dspex::Runtime;
use super::events::CallEvents;
use super::session::{Adapter, Session, SessionState};
use super::steering::{Steered, Steering};
use crate::bridge::{HostFunctions, Request, Spec, Target, far_from_now};
use crate::error::{Error, Phase, Result};
use crate::functions::{CallHost, Functions};
use crate::lm::Lm;
use crate::proto::Payload;
use crate::telemetry::{TraceContext, Traced};
use crate::tool::{Answered, Entry, Scope, Standing, ToolError};
use crate::wire;

/// A tool that calls a module that calls the tool, and so on, is stopped here.
const MAX_NESTING: u32 = 16;

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::api::Dspex {}
    impl Sealed for crate::api::Session {}
}

/// Something that calls can be made on: a [`Dspex`](super::Dspex), with its language model, or a
/// [`Session`](super::Session), with the session's.
pub trait Caller: sealed::Sealed + Sync {
    /// What calls see.
    #[doc(hidden)]
    fn context(&self) -> CallContext;
}

/// What a call takes from where it was made.
#[doc(hidden)]
#[derive(Clone)]
pub struct CallContext {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) session: Option<Arc<SessionState>>,
    pub(crate) standing: Standing,
}

/// What one call sets for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) deadline: Option<Duration>,
    pub(crate) idempotent: bool,
    /// The pool that it runs in.
    pub(crate) pool: Option<Arc<str>>,
    /// Ends it when it is cancelled.
    pub(crate) cancellation: Option<CancellationToken>,
    pub(crate) lm: Option<Lm>,
    pub(crate) adapter: Option<Adapter>,
    /// What variables steer the call; only for calls in a session.
    pub(crate) steering: Option<Arc<Steering>>,
    /// The call is the module's own, so that variables may be among its inputs; other methods have other arguments.
    pub(crate) takes_inputs: bool,
    /// The functions of the program among the call's own arguments.
    pub(crate) functions: Arc<Functions>,
    /// Who reads what happens while the call runs.
    pub(crate) events: CallEvents,
    /// The trace that the program says the call belongs to.
    pub(crate) trace: Option<TraceContext>,
}

impl CallContext {
    /// Runs a call to its end, which its session, its token and its deadline may bring about sooner.
    pub(crate) async fn run(&self, target: Target, inputs: Bytes, options: &CallOptions) -> Result<Payload> {
        let session = self.session.as_deref();
        if let Some(session) = session {
            session.ensure_open()?;
            session.used();
        }
        let run = self.run_alone(target, inputs, options);
        let run = async {
            let Some(token) = &options.cancellation else { return run.await };
            tokio::select! {
                biased;
                () = token.cancelled() => Err(Error::Cancelled("the program cancelled it".to_owned())),
                result = run => result,
            }
        };
        let Some(session) = session else { return run.await };
        tokio::select! {
            biased;
            never = session.in_use() => match never {},
            () = session.closed() => Err(Error::Cancelled(format!("the session `{}` ended", session.id()))),
            result = run => result,
        }
    }

    async fn run_alone(&self, target: Target, inputs: Bytes, options: &CallOptions) -> Result<Payload> {
        let deadline = options.deadline.unwrap_or(self.runtime.deadline);
        let expires = far_from_now(deadline);
        let session = self.session.as_deref();
        let lm = match (&options.lm, session) {
            (Some(lm), _) => Some(lm.clone()),
            (None, Some(session)) => session.lm()?,
            (None, None) => None,
        };
        let adapter = options.adapter.or_else(|| session.and_then(SessionState::adapter));
        let mut call = Steered { target, inputs, lm: lm.or_else(|| self.runtime.lm.clone()) };
        if let (Some(steering), Some(session)) = (&options.steering, &self.session) {
            let variables = session.variables();
            let applied = steering.apply(&variables, call, options.takes_inputs);
            let passed = |_| Error::DeadlineExceeded { after: deadline, phase: Phase::Queued };
            call = tokio::time::timeout_at(expires, applied).await.map_err(passed)??;
        }
        let Steered { target, inputs, lm } = call;
        let mut above = self.standing()?;
        if let Some(trace) = &options.trace {
            above.trace = Some(Traced::given(trace.clone()));
        }
        let below = above.below(Some(Arc::new(Semaphore::new(1))));
        let cancelled = CancellationToken::new();
        let host = self.host(&target, &below, &cancelled, options);
        // Tools that started something elsewhere are told, however the call ends.
        let _cancel = host.is_some().then(|| cancelled.drop_guard());
        let request = Request {
            target,
            inputs,
            pool: options.pool.clone().or_else(|| session.and_then(SessionState::pool)),
            session: session.map(|session| session.id().to_owned()).unwrap_or_default(),
            lm,
            variables: self.session.as_ref().map(SessionState::variables),
            host,
            tools: session.and_then(|session| session.tools().document()),
            above,
            below,
            adapter: adapter.unwrap_or(self.runtime.adapter).name(),
            deadline,
            expires,
            idempotent: options.idempotent,
            tracker: session.map(|session| session.tracker().clone()),
        };
        self.runtime.bridge.run(&request).await
    }

    /// Where a call stands that is made here.
    fn standing(&self) -> Result<Standing> {
        let standing = self.standing.clone().or_deeper(Standing::here()).in_trace_of_task();
        if standing.depth > MAX_NESTING { Err(Error::TooDeep { limit: MAX_NESTING }) } else { Ok(standing) }
    }

    /// What the call's callbacks reach of the program; nothing for one without functions of its own, as most are.
    fn host(
        &self,
        target: &Target,
        below: &Standing,
        cancelled: &CancellationToken,
        options: &CallOptions,
    ) -> Option<Arc<dyn HostFunctions>> {
        let CallOptions { events, functions, .. } = options;
        let functions = functions.with(target.functions());
        let tools = self.session.as_ref().map(|session| session.tools().clone());
        let has_tools = tools.as_ref().is_some_and(|tools| tools.document().is_some());
        if functions.is_empty() && !has_tools && !events.is_read() {
            return None;
        }
        let scope = self.scope(below, cancelled);
        Some(Arc::new(CallHost { functions, tools, scope, events: events.clone() }))
    }

    fn scope(&self, below: &Standing, cancelled: &CancellationToken) -> Scope {
        let dspex = Dspex { runtime: self.runtime.clone(), standing: below.clone() };
        let session = self.session.clone().map(|state| Session::of(dspex.clone(), state));
        let (states, cancelled) = (self.runtime.states.clone(), cancelled.clone());
        Scope { dspex: Some(dspex), session, cancelled, states, standing: below.clone() }
    }

    /// Runs a Rust tool without Python, within the deadline of a call.
    pub(crate) async fn run_tool(
        &self,
        entry: &Entry,
        arguments: &Value,
        events: &CallEvents,
    ) -> Result<Result<Answered, ToolError>> {
        let arguments = encode_document(arguments)?;
        // It holds no place in the pool, so the modules that it calls wait for theirs, as those of a program do.
        let (below, cancelled) = (self.standing()?.below(None), CancellationToken::new());
        let scope = self.scope(&below, &cancelled);
        let _cancel = cancelled.drop_guard();
        let deadline = self.runtime.deadline;
        let within = |run| async move {
            let passed = |_| Error::DeadlineExceeded { after: deadline, phase: Phase::Running };
            tokio::time::timeout(deadline, run).await.map_err(passed)
        };
        let Some(session) = &self.session else {
            return within(Box::pin(entry.answer(&arguments, scope, None, events))).await;
        };
        session.ensure_open()?;
        session.used();
        tokio::select! {
            biased;
            never = session.in_use() => match never {},
            () = session.closed() => Err(Error::Cancelled(format!("the session `{}` ended", session.id()))),
            answered = within(Box::pin(entry.answer(&arguments, scope, session.tools().limit(), events))) => answered,
        }
    }

    /// That what a spec has of the program's functions can run here.
    pub(crate) fn check_functions(&self, spec: &Spec) -> Result<()> {
        if spec.functions.is_empty() {
            return Ok(());
        }
        let session = self.session.as_ref().map(|session| session.tools().rust_tools());
        Ok(spec.functions.check(&self.runtime.states, session.as_ref())?)
    }

    /// Has a worker build the instance, so that what is wrong with its spec is known at once.
    pub(crate) async fn check(&self, spec: &Arc<Spec>) -> Result<()> {
        self.check_with(spec, &CallOptions::default()).await
    }

    /// The same with settings.
    pub(crate) async fn check_with(&self, spec: &Arc<Spec>, options: &CallOptions) -> Result<()> {
        self.check_functions(spec)?;
        // Building changes nothing, so it may be tried again.
        let options = CallOptions { idempotent: true, ..options.clone() };
        self.run(Target::Check(spec.clone()), Bytes::new(), &options).await.map(drop)
    }
}

/// Writes a call's inputs for the wire.
pub(crate) fn encode<T: Serialize + ?Sized>(inputs: &T) -> Result<Bytes> {
    wire::to_vec(inputs)
        .map(Bytes::from)
        .map_err(|problem| Error::Wire { what: "the inputs cannot be sent".to_owned(), problem })
}

/// Reads what a call answered.
pub(crate) fn decode<T: DeserializeOwned>(payload: &Payload, class: &str) -> Result<T> {
    wire::from_slice(&payload.json).map_err(|problem| Error::Wire {
        what: format!("the answer of `{class}` does not fit its Rust type"),
        problem,
    })
}

/// Writes a dynamic value for the wire: tags in it mean what they say.
pub(crate) fn encode_document(value: &Value) -> Result<Bytes> {
    wire::document_to_vec(value)
        .map(Bytes::from)
        .map_err(|problem| Error::Wire { what: "the inputs cannot be sent".to_owned(), problem })
}

/// Reads a dynamic value, tags visible.
pub(crate) fn decode_document(payload: &Payload, target: &str) -> Result<Value> {
    wire::document_from_slice(&payload.json)
        .map_err(|problem| Error::Wire { what: format!("the answer of `{target}` cannot be read"), problem })
}
