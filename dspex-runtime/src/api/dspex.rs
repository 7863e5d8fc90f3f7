//! [`Dspex`]: the handle of everything.

use std::sync::Arc;
use std::time::Duration;

use dspex_state::State;
use dspex_state::store::StateStore;
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use super::bindings::SignatureSpec;
use super::caller::{CallContext, Caller};
use super::dspy::{Dspy, InstanceSpec};
use super::health::Health;
use super::session::{Adapter, Registry, Session, SessionConfig, SessionLimits, Sessions};
use super::status::DspexStatus;
use super::{DspexBuilder, Prediction};
use crate::bridge::Bridge;
use crate::error::Result;
use crate::lm::Lm;
use crate::pool::{Load, PoolEvent};
use crate::telemetry::{TraceContext, Traced};
use crate::tool::{Standing, States};

/// A running dspex: Python workers with the real DSPy, sessions, and the default language model.
///
/// Cheap to clone; all clones are the same. When the last one is dropped, every Python process ends at once; for
/// calls to finish first, use [`shutdown`](Dspex::shutdown).
///
/// ```no_run
/// # async fn run() -> dspex_runtime::Result<()> {
/// use dspex_runtime::{Dspex, Lm};
///
/// let dspex = Dspex::builder().lm(Lm::new("openai/gpt-4o-mini")).workers(2).start().await?;
/// let answer = dspex.predict("question -> answer", &serde_json::json!({"question": "What is 6 times 7?"})).await?;
/// println!("{}", answer["answer"]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dspex {
    pub(crate) runtime: Arc<Runtime>,
    /// Where calls on this handle stand: a tool is given one that knows.
    pub(crate) standing: Standing,
}

/// What all handles share.
pub(crate) struct Runtime {
    pub(crate) bridge: Bridge,
    pub(crate) sessions: Registry,
    pub(crate) state: State,
    /// Whether the store was opened for this runtime, and is closed with it.
    pub(crate) owns_store: bool,
    pub(crate) limits: SessionLimits,
    pub(crate) lm: Option<Lm>,
    pub(crate) adapter: Adapter,
    pub(crate) deadline: Duration,
    /// For all tools.
    pub(crate) states: States,
    /// How many tools of a session may run at once that does not say otherwise.
    pub(crate) tool_concurrency: Option<usize>,
    /// Held for its `Drop`, which ends the tasks that look after the sessions.
    pub(crate) _ended: DropGuard,
}

impl Dspex {
    /// Sets one up.
    pub fn builder() -> DspexBuilder {
        DspexBuilder::new()
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    /// A session without a name, which ends when its last handle is dropped.
    #[must_use]
    pub fn session(&self) -> Session {
        self.sessions().temporary(SessionConfig::new())
    }

    /// Where sessions, variables and instances are kept: for a backup, a look for damage, or figures of it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn StateStore> {
        self.runtime.state.store()
    }

    /// A handle whose calls belong to this trace, and those of the sessions that it gives.
    ///
    /// ```no_run
    /// # async fn run(dspex: dspex_runtime::Dspex, header: &str) -> dspex_runtime::Result<()> {
    /// use dspex_runtime::TraceContext;
    /// use serde_json::json;
    ///
    /// // Of an HTTP request; one without the header, or with a broken one, has none.
    /// let dspex = match TraceContext::parse(header, "") {
    ///     Ok(trace) => dspex.traced(trace),
    ///     Err(_) => dspex,
    /// };
    /// dspex.predict("question -> answer", &json!({"question": "What is 6 times 7?"})).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn traced(&self, trace: TraceContext) -> Self {
        let mut traced = self.clone();
        traced.standing.trace = Some(Traced::given(trace));
        traced
    }

    /// DSPy by dotted paths, without a session.
    #[must_use]
    pub fn dspy(&self) -> Dspy {
        Dspy::new(self.context())
    }

    /// Answers a signature given as text, with `dspy.Predict`.
    ///
    /// The text is DSPy's own form, `question, k: int -> answer: float, tags: list[str]`, and read more strictly.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a signature or inputs that do not fit, and whatever
    /// the call ends with.
    pub async fn predict(&self, signature: &str, inputs: &Value) -> Result<Prediction<Value>> {
        self.ask("dspy.Predict", signature, inputs).await
    }

    /// The same with `dspy.ChainOfThought`, whose answer has a `reasoning` too.
    ///
    /// # Errors
    ///
    /// As [`predict`](Dspex::predict).
    pub async fn chain_of_thought(&self, signature: &str, inputs: &Value) -> Result<Prediction<Value>> {
        self.ask("dspy.ChainOfThought", signature, inputs).await
    }

    /// An agent that answers a signature with tools: `dspy.ReAct`. The signature is a text, or that of a typed module by
    /// [`SignatureSpec::of`]. It is made with [`create`](InstanceSpec::create), in a session.
    ///
    /// ```no_run
    /// # use dspex_runtime::{Dspex, Prediction, Result, tool::ToolSet};
    /// # async fn run(dspex: Dspex, crm: ToolSet) -> Result<()> {
    /// use serde_json::{Value, json};
    ///
    /// let session = dspex.session();
    /// let agent = dspex.react("question -> answer").tools(crm).arg("max_iters", 6).create(&session).await?;
    /// let out: Prediction<Value> = agent.execute(json!({"question": "Which plan has Sara?"})).await?;
    /// println!("{}", out["answer"]);
    /// # Ok(()) }
    /// ```
    pub fn react(&self, signature: impl Into<SignatureSpec>) -> InstanceSpec {
        InstanceSpec::new("dspy.ReAct").signature(signature.into().into_document()).tools([])
    }

    async fn ask(&self, class: &str, signature: &str, inputs: &Value) -> Result<Prediction<Value>> {
        let spec = InstanceSpec::new(class).signature(json!({"text": signature}));
        self.dspy().predict_once(spec, inputs).await
    }

    /// What there is and what it does now: versions, pools, workers, models, the store's figures. Cheap enough to be asked each second:
    /// no worker is asked anything, and only the store's figures are waited for, at most a quarter of a second.
    ///
    /// ```no_run
    /// # async fn run(dspex: dspex_runtime::Dspex) {
    /// let status = dspex.status().await;
    /// println!("{status}");
    /// println!("{}", serde_json::to_string(&status).unwrap_or_default());
    /// # }
    /// ```
    pub async fn status(&self) -> DspexStatus {
        DspexStatus::of(self).await
    }

    /// How the pools are, computed from what they do. It waits for nothing, whether the pools start, are saturated, down or shut down.
    ///
    /// That calls are answered in truth, [`probe`](Self::probe) finds out.
    pub async fn health_check(&self) -> Health {
        Health::compute(self)
    }

    /// A deep [`health_check`](Self::health_check): a worker of the default pool is asked to build a predictor, within this time. It waits
    /// in the queue as every call does.
    pub async fn probe(&self, deadline: Duration) -> Health {
        Health::probe(self, deadline).await
    }

    /// The load of the pool `default` now: part of the [`status`](Self::status), for whoever decides with each request whether to take
    /// it. It is a copy of seven numbers, and waits for nothing, the store included.
    #[must_use]
    pub fn load(&self) -> Load {
        self.runtime.bridge.pool().load()
    }

    /// What happens to the workers of all pools from now on: ends and their causes, replacements, back-offs. A listener that is more than
    /// 1,024 events behind misses the oldest and is told how many.
    #[must_use]
    pub fn pool_events(&self) -> tokio::sync::broadcast::Receiver<PoolEvent> {
        self.runtime.bridge.pools().events().subscribe()
    }

    /// Takes no new calls, lets those that run finish for at most `patience`, with what their tools call in any pool, then ends every Python process and closes the
    /// store, unless it is one that was given with [`store`](DspexBuilder::store).
    pub async fn shutdown(&self, patience: Duration) {
        self.runtime.bridge.pools().shutdown(patience).await;
        if self.runtime.owns_store
            && let Err(error) = self.runtime.state.store().close().await
        {
            tracing::warn!(target: "dspex::sessions", %error, "the store could not be closed");
        }
    }
}

impl Caller for Dspex {
    fn context(&self) -> CallContext {
        CallContext { runtime: self.runtime.clone(), session: None, standing: self.standing.clone() }
    }
}

impl std::fmt::Debug for Dspex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dspex")
            .field("lm", &self.runtime.lm)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
