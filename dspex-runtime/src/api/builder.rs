//! How a [`Dspex`] is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dspex_state::store::{StateStore, StoreError};
use dspex_state::{Quotas, SqliteStore, State};
use tokio_util::sync::CancellationToken;

use super::dspex::Runtime;
use super::pool_options::environments;
use super::session::{Adapter, Registry, SessionLimits, start_sweeping};
use super::{Dspex, PoolOptions};
use crate::bridge::{Bridge, CircuitBreaker};
use crate::error::{Error, Result};
use crate::lm::Lm;
use crate::pool::{DEFAULT_POOL, PoolError, Pools};
use crate::telemetry::start_looking;
use crate::tool::{Standing, States};

/// So often an idempotent call is run again when nothing else is said: one loss of a worker is chance, two are bad luck.
const DEFAULT_RETRIES: u32 = 2;

/// The time that a call may take when nothing else is said.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);

/// Sets up and starts a [`Dspex`]. Every setting has a default that suits a first program.
///
/// ```no_run
/// # async fn run() -> dspex_runtime::Result<()> {
/// use std::time::Duration;
/// use dspex_runtime::{Dspex, Lm};
///
/// let dspex = Dspex::builder()
///     .lm(Lm::new("openai/gpt-4o-mini").temperature(0.2))
///     .workers(4)
///     .deadline(Duration::from_secs(60))
///     .allow_module("my_team.rag")
///     .python_path("python")
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct DspexBuilder {
    lm: Option<Lm>,
    adapter: Adapter,
    deadline: Duration,
    pub(super) default_pool: PoolOptions,
    pools: Vec<(String, PoolOptions)>,
    store: Store,
    limits: SessionLimits,
    states: States,
    tool_concurrency: Option<usize>,
    retries: u32,
    breaker: Option<CircuitBreaker>,
}

/// Where sessions are kept.
#[derive(Clone, Debug)]
enum Store {
    Ephemeral,
    File(PathBuf),
    Other(Arc<dyn StateStore>),
}

impl DspexBuilder {
    pub(crate) fn new() -> Self {
        Self {
            lm: None,
            adapter: Adapter::default(),
            deadline: DEFAULT_DEADLINE,
            default_pool: PoolOptions::new(),
            pools: Vec::new(),
            store: Store::Ephemeral,
            limits: SessionLimits::default(),
            states: States::default(),
            tool_concurrency: None,
            retries: DEFAULT_RETRIES,
            breaker: None,
        }
    }

    /// The language model of every call that has no other. Without one, calls that need a model fail.
    pub fn lm(mut self, lm: impl Into<Lm>) -> Self {
        self.lm = Some(lm.into());
        self
    }

    /// How DSPy turns signatures into prompts, and answers into values. Default: DSPy's own choice.
    pub fn adapter(mut self, adapter: Adapter) -> Self {
        self.adapter = adapter;
        self
    }

    /// How long a call may take that does not say otherwise, waiting for a worker included; then it ends with
    /// [`Error::DeadlineExceeded`]. Default: 5 minutes.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often a call that is marked as [idempotent](crate::Run::idempotent) is run again at most, within its deadline: after the
    /// loss of its worker, with short pauses that differ, or when its language model says that it may be asked again. Default: 2.
    /// Calls of which nothing ran are tried again anyway.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Leaves language models that keep failing alone for a while; see [`CircuitBreaker`]. Default: none does, so that what happens to
    /// one call says nothing about another.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Another pool, with workers, environment, sizes, limits and a queue of its own. Sessions
    /// ([`SessionConfig::pool`](super::SessionConfig::pool)), instances and calls choose it by its name. One given again replaces the
    /// one before. A name needs one character at least, and no control characters; [`start`](Self::start) says so otherwise
    /// ([`PoolError::Name`]).
    ///
    /// The other settings here are those of the pool `default`, for all that chooses none; `pool("default", ..)` replaces all of them.
    pub fn pool(mut self, name: impl Into<String>, options: PoolOptions) -> Self {
        let name = name.into();
        self.pools.retain(|(other, _)| *other != name);
        self.pools.push((name, options));
        self
    }

    /// Keeps sessions, variables and instances in a file, so that they are there when the program starts again. What was
    /// answered survives a crash and the loss of power. Without this, they end with the program.
    pub fn durable(mut self, file: impl Into<PathBuf>) -> Self {
        self.store = Store::File(file.into());
        self
    }

    /// Keeps sessions, variables and instances in a store of yours, such as one that several hosts share.
    pub fn store(mut self, store: impl StateStore) -> Self {
        self.store = Store::Other(Arc::new(store));
        self
    }

    /// The most sessions that there may be. Not limited if nothing is said.
    pub fn max_sessions(mut self, sessions: u64) -> Self {
        self.limits.sessions = Some(sessions);
        self
    }

    /// How much each session may hold that does not say otherwise. Not limited if nothing is said.
    pub fn session_quotas(mut self, quotas: Quotas) -> Self {
        self.limits.quotas = quotas;
        self
    }

    /// About how often sessions whose time is over are removed from the store; until then nobody reaches them. Default: 20 s.
    pub fn sweep_every(mut self, interval: Duration) -> Self {
        self.limits.sweep = interval.max(Duration::from_millis(10));
        self
    }

    /// Gives all tools a state, which those that take a [`State<T>`](crate::State) share. The last one of a type counts.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// How many Rust tools may run at once in each session that does not say otherwise; at least 1. Those of a call that a tool
    /// makes run in the place of that tool. Not limited if nothing is said.
    pub fn tool_concurrency(mut self, tools: usize) -> Self {
        self.tool_concurrency = Some(tools.max(1));
        self
    }

    /// Provides the Python environment where it is missing, starts the workers, and completes when the first one is
    /// ready.
    ///
    /// # Errors
    ///
    /// [`Error::Env`] where Python or the environment cannot be provided, [`Error::Pool`] where no worker starts,
    /// [`Error::Lm`] for a language model that is set up wrongly, [`Error::Store`] where the store cannot be opened.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. The pool lives on the runtime that it was started on: when that ends, so does the
    /// pool, and its calls with [`PoolError::Closed`].
    pub async fn start(self) -> Result<Dspex> {
        if let Some(lm) = &self.lm {
            lm.validate()?;
        }
        let mut pools = vec![(DEFAULT_POOL.to_owned(), self.default_pool)];
        for (name, options) in self.pools {
            if name == DEFAULT_POOL {
                pools[0].1 = options;
            } else if name.is_empty() || name.chars().any(char::is_control) {
                return Err(PoolError::Name(name).into());
            } else {
                pools.push((name, options));
            }
        }
        pools.iter().try_for_each(|(_, options)| options.check())?;
        // First what is quick to fail.
        let owns_store = !matches!(self.store, Store::Other(_));
        let state = open(self.store).await?;
        let environments = environments(&pools).await?;
        let plans = pools.into_iter().zip(environments);
        let plans = plans.map(|((name, options), environment)| (name, options.plan(environment)));
        let pools = Pools::start(plans.collect()).await?;
        let ended = CancellationToken::new();
        let runtime = Runtime {
            bridge: Bridge::new(pools, self.retries, self.breaker),
            sessions: Registry::default(),
            state,
            owns_store,
            limits: self.limits,
            lm: self.lm,
            adapter: self.adapter,
            deadline: self.deadline,
            states: self.states,
            tool_concurrency: self.tool_concurrency,
            _ended: ended.clone().drop_guard(),
        };
        let runtime = Arc::new(runtime);
        start_sweeping(&runtime, &ended);
        start_looking(Arc::downgrade(&runtime), |runtime| &runtime.bridge, &ended);
        Ok(Dspex { runtime, standing: Standing::default() })
    }
}

async fn open(store: Store) -> Result<State> {
    let open = move || {
        Ok(match store {
            Store::Ephemeral => State::new(SqliteStore::ephemeral()?),
            Store::File(file) => State::new(SqliteStore::open(file)?),
            Store::Other(store) => State::shared(store),
        })
    };
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|error| Error::Store(StoreError::Unavailable { doing: "open", source: error.into() }))?
}
