//! How a [`Dspex`] is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dspex_state::store::{StateStore, StoreError};
use dspex_state::{Quotas, SqliteStore, State};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Dspex;
use super::dspex::Runtime;
use super::session::{Adapter, Registry, SessionLimits, start_sweeping};
use crate::bridge::Bridge;
use crate::error::{Error, Result};
use crate::lm::Lm;
use crate::pool::env::{EnvConfig, Environment};
use crate::pool::{Carrier, Endpoint, FleetConfig, Pool, PoolConfig, PoolError};
use crate::tool::{Standing, States};

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
    pool: PoolConfig,
    env: EnvConfig,
    endpoints: Vec<Endpoint>,
    token: Option<SecretString>,
    unencrypted: bool,
    store: Store,
    limits: SessionLimits,
    states: States,
    tool_concurrency: Option<usize>,
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
            pool: PoolConfig::default(),
            env: EnvConfig::new(),
            endpoints: Vec::new(),
            token: None,
            unencrypted: false,
            store: Store::Ephemeral,
            limits: SessionLimits::default(),
            states: States::default(),
            tool_concurrency: None,
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

    /// How long a call may take, waiting for a worker included. Default: 5 minutes.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many Python processes run. Default: 2; at least 1. One serves hundreds of calls that wait for a model, so
    /// more than the machine's cores seldom helps.
    pub fn workers(mut self, workers: usize) -> Self {
        self.pool.workers = workers.max(1);
        self
    }

    /// How many calls one worker runs at once. Default: 32; at least 1.
    pub fn in_flight_per_worker(mut self, calls: usize) -> Self {
        self.pool.in_flight_per_worker = calls.max(1);
        self
    }

    /// How many calls may wait for a worker before [`PoolError::Saturated`] answers at once. Default: 1024.
    pub fn queue_limit(mut self, calls: usize) -> Self {
        self.pool.queue_limit = calls;
        self
    }

    /// The largest message, either way, in bytes. Default: 64 MiB.
    pub fn max_message_bytes(mut self, bytes: u64) -> Self {
        self.pool.max_message_bytes = bytes;
        self
    }

    /// How long a cancelled call may go on in Python before its worker is killed and replaced. Default: 5 s.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.pool.cancel_grace = grace;
        self
    }

    /// How long the first worker may take to be ready, once the environment is there. Default: 60 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.pool.start_timeout = timeout;
        self
    }

    /// In how many threads one worker runs DSPy modules that have no async form. Default: 8; at least 1.
    pub fn sync_threads(mut self, threads: usize) -> Self {
        self.pool.sync_threads = threads.max(1);
        self
    }

    /// Lets calls reach the public classes and functions of a Python module besides DSPy.
    pub fn allow_module(mut self, module: impl Into<String>) -> Self {
        self.pool.modules.push(module.into());
        self
    }

    /// A directory in which Python looks for your modules.
    pub fn python_path(mut self, dir: impl Into<PathBuf>) -> Self {
        self.pool.python_path.push(dir.into());
        self
    }

    /// How messages reach local workers. Default: [`Carrier::Framed`].
    pub fn carrier(mut self, carrier: Carrier) -> Self {
        self.pool.carrier = carrier;
        self
    }

    /// Where the Python environment comes from. Default: provisioned from the embedded lock into the user's cache,
    /// or the interpreter that `DSPEX_PYTHON` names.
    pub fn environment(mut self, env: EnvConfig) -> Self {
        self.env = env;
        self
    }

    /// Uses a worker that an operator started, instead of local ones. May be given several times.
    ///
    /// Such a worker is started with `dspex serve --listen unix:/path` (or `HOST:PORT`) of the crate `dspex-cli`, or
    /// with `python -I run.py serve ..` and the interpreter and the `run.py` that the example `provision` prints;
    /// `--help` tells the rest. One on another machine needs TLS, with the feature `tls`: keys and tokens travel on the
    /// connection. See `docs/security.md`.
    ///
    /// Each call goes to the endpoint with the fewest, those of other hosts included. One that is gone, drains or does
    /// not answer gets none until it answers again.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Lets [`endpoint`](Self::endpoint)s be on other machines, although their connections are not encrypted: only for
    /// a network that nobody else can read.
    pub fn allow_unencrypted_endpoints(mut self) -> Self {
        self.unencrypted = true;
        self
    }

    /// The token of this host at [`endpoint`](Self::endpoint)s that have none of their own.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
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
        for endpoint in &self.endpoints {
            endpoint
                .check()
                .map_err(|problem| PoolError::Endpoint { endpoint: endpoint.to_string(), problem })?;
        }
        if let Some(far) = self.endpoints.iter().find(|endpoint| !self.unencrypted && !endpoint.is_private())
        {
            return Err(PoolError::Unencrypted(far.to_string()).into());
        }
        // First what is quick to fail.
        let owns_store = !matches!(self.store, Store::Other(_));
        let state = open(self.store).await?;
        let fleet = if self.endpoints.is_empty() {
            local_fleet(self.env).await?
        } else {
            let token = self.token.as_ref();
            let addresses = self.endpoints.into_iter().map(|endpoint| endpoint.or_token(token)).collect();
            FleetConfig::Endpoints { addresses }
        };
        let pool = Pool::start(self.pool, fleet).await?;
        let ended = CancellationToken::new();
        let runtime = Runtime {
            bridge: Bridge::new(pool),
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

async fn local_fleet(env: EnvConfig) -> Result<FleetConfig> {
    // A thread of its own: the runtime's end would wait for one of its blocking threads, so that a program that gave
    // up on `start` could not exit before the environment is complete.
    let (done, provisioned) = tokio::sync::oneshot::channel();
    let provisioning = std::thread::Builder::new().name("dspex-provisioning".to_owned()).spawn(move || {
        let _ = done.send(Environment::provision(&env));
    });
    let failed = |error| Error::Pool(PoolError::Io { what: "the environment could not be provided", error });
    provisioning.map_err(failed)?;
    let environment = provisioned.await.map_err(|error| failed(std::io::Error::other(error)))??;
    Ok(FleetConfig::Local { python: environment.python, worker_dir: environment.worker_dir })
}
