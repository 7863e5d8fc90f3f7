//! The settings of a pool: of the one that every [`Dspex`](super::Dspex) has, on its builder, and of further ones.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::DspexBuilder;
use crate::error::{Error, Result};
use crate::pool::env::{EnvConfig, Environment};
use crate::pool::{Carrier, Endpoint, FleetConfig, Heartbeat, PoolConfig, PoolError, PoolPlan, WorkerLimits};

/// The settings of a pool beside the default one: its own workers, environment, sizes, limits and queue.
///
/// Settings are those of [`DspexBuilder`], which are the default pool's, and have the same defaults; nothing is taken over from there but
/// the environment.
///
/// ```
/// use dspex_runtime::{Dspex, PoolOptions};
///
/// let builder = Dspex::builder()
///     .workers(4)
///     .pool("gpu", PoolOptions::new().workers(1).in_flight_per_worker(2).allow_module("my_team.vision"));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PoolOptions {
    pub(super) config: PoolConfig,
    pub(super) env: Option<EnvConfig>,
    endpoints: Vec<Endpoint>,
    token: Option<SecretString>,
    unencrypted: bool,
}

impl PoolOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    fn settings(&mut self) -> &mut Self {
        self
    }

    /// What is wrong before anything was started.
    pub(super) fn check(&self) -> Result<()> {
        for endpoint in &self.endpoints {
            endpoint
                .check()
                .map_err(|problem| PoolError::Endpoint { endpoint: endpoint.to_string(), problem })?;
        }
        match self.endpoints.iter().find(|endpoint| !self.unencrypted && !endpoint.is_private()) {
            Some(far) => Err(PoolError::Unencrypted(far.to_string()).into()),
            None => Ok(()),
        }
    }

    /// Whether its workers are started on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// What to start, with the environment where it needs one.
    pub(super) fn plan(self, environment: Option<Environment>) -> PoolPlan {
        let fleet = match environment {
            Some(environment) if self.endpoints.is_empty() => {
                FleetConfig::Local { python: environment.python, worker_dir: environment.worker_dir }
            }
            _ => {
                let token = self.token.as_ref();
                let addresses = self.endpoints.into_iter().map(|endpoint| endpoint.or_token(token));
                FleetConfig::Endpoints(addresses.collect())
            }
        };
        PoolPlan { config: self.config, fleet }
    }
}

impl DspexBuilder {
    fn settings(&mut self) -> &mut PoolOptions {
        &mut self.default_pool
    }
}

/// The settings, for both of the types that have them.
macro_rules! settings {
    ($($type:ty),*) => { $(impl $type {
        /// How many Python processes run. Default: 2; at least 1. One serves hundreds of calls that wait for a model, so
        /// more than the machine's cores seldom helps.
        pub fn workers(mut self, workers: usize) -> Self {
            self.settings().config.workers = workers.max(1);
            self
        }

        /// How many calls one worker runs at once. Default: 32; at least 1.
        pub fn in_flight_per_worker(mut self, calls: usize) -> Self {
            self.settings().config.in_flight_per_worker = calls.max(1);
            self
        }

        /// How many calls may wait for a worker before [`PoolError::Saturated`] answers at once. Default: 1024. Sessions share the
        /// queue evenly once it is full: the last call of the session with the most makes room for that of one with at least two
        /// fewer.
        pub fn queue_limit(mut self, calls: usize) -> Self {
            self.settings().config.queue_limit = calls;
            self
        }

        /// The largest message, either way, in bytes. A call with a larger one ends with [`Error::TooLarge`]. Default: 64 MiB.
        pub fn max_message_bytes(mut self, bytes: u64) -> Self {
            self.settings().config.max_message_bytes = bytes;
            self
        }

        /// How long a cancelled call may go on in Python before its worker is killed and replaced; calls beside it end with
        /// [`Error::OutcomeUnknown`]. Default: 5 s.
        pub fn cancel_grace(mut self, grace: Duration) -> Self {
            self.settings().config.cancel_grace = grace;
            self
        }

        /// About how often each worker must give a sign of life, and for how long it may fail to before it is killed and replaced; one
        /// that is stopped (SIGSTOP) for half as long. While a worker's messages flow, nothing is asked. Default: 1 s and
        /// 10 s (and at least 10 ms, and as long as `every`), since code may well hold Python's lock for some seconds, and killing a worker costs all calls on it. A call that
        /// computes in a thread does not keep its worker from answering.
        pub fn heartbeat(mut self, every: Duration, patience: Duration) -> Self {
            let every = every.clamp(Duration::from_millis(10), Duration::from_secs(86_400));
            self.settings().config.heartbeat = Heartbeat { every, patience: patience.max(every) };
            self
        }

        /// How many workers each slot may lose within this time and have replaced at once; beyond that, it waits ever longer, from
        /// 0.1 s to 30 s, and the pool is degraded. Default: 5 within 60 s: what a call or two can kill is no reason to wait,
        /// and what kills every worker is no reason to burn a core on new ones.
        pub fn restart_intensity(mut self, workers: usize, within: Duration) -> Self {
            self.settings().config.restarts = (workers, within);
            self
        }

        /// A worker that ran so many calls (within a tenth) is replaced: the fresh one first, then the old one finishes what it has.
        /// `None`: never. Default: 100,000, seconds of work for a busy worker, against a fork of about 10 ms.
        pub fn recycle_after_calls(mut self, calls: impl Into<Option<u64>>) -> Self {
            self.settings().config.recycling.calls = calls.into();
            self
        }

        /// The same for a worker of this age. Default: a day, for what drifts slowly.
        pub fn recycle_after_age(mut self, age: impl Into<Option<Duration>>) -> Self {
            self.settings().config.recycling.age = age.into();
            self
        }

        /// The same for a worker that uses more memory, in bytes; what workers share counts for its part (PSS). One that needs so much
        /// from its start is replaced ever more seldom. Default: 1.5 GiB, about ten times what a fresh worker has.
        pub fn recycle_above_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
            self.settings().config.recycling.memory = bytes.into();
            self
        }

        /// How long the calls of a worker that was replaced may go on, before they are cancelled. Default: an hour; set it above the
        /// longest deadline of your calls.
        pub fn recycle_patience(mut self, patience: Duration) -> Self {
            self.settings().config.recycling.patience = patience;
            self
        }

        /// What a local worker may use of the system: memory, files, processes. Default: what the program itself may.
        pub fn worker_limits(mut self, limits: WorkerLimits) -> Self {
            self.settings().config.limits = limits;
            self
        }

        /// How long the first worker may take to be ready, once the environment is there; then `start` ends with
        /// [`PoolError::StartTimeout`]. Default: 60 s.
        pub fn start_timeout(mut self, timeout: Duration) -> Self {
            self.settings().config.start_timeout = timeout;
            self
        }

        /// In how many threads one worker runs DSPy modules that have no async form. Default: 8; at least 1.
        pub fn sync_threads(mut self, threads: usize) -> Self {
            self.settings().config.sync_threads = threads.max(1);
            self
        }

        /// How many Python processes run `compile` of optimizers, so that it never holds up what is served. They are started at its
        /// first call, and are let go when they have had none for [`optimizer_idle`](Self::optimizer_idle). Default: 1; 0: the
        /// workers that serve all else. Workers of endpoints serve everything themselves.
        pub fn optimizer_workers(mut self, workers: usize) -> Self {
            self.settings().config.optimizers.workers = workers;
            self
        }

        /// How long the workers of optimizers stay without a call, in case the next one comes soon: starting them takes a second or two.
        /// Default: 60 s.
        pub fn optimizer_idle(mut self, idle: Duration) -> Self {
            self.settings().config.optimizers.idle = idle;
            self
        }

        /// Lets calls reach the public classes and functions of a Python module besides DSPy. It is imported before the first worker
        /// is ready, so that one with errors ends `start` with [`PoolError::Import`]; what was not allowed ends a call with
        /// [`Error::NotAllowed`].
        pub fn allow_module(mut self, module: impl Into<String>) -> Self {
            self.settings().config.modules.push(module.into());
            self
        }

        /// A directory in which Python looks for your modules, after those that were given before. May be given several times.
        pub fn python_path(mut self, dir: impl Into<PathBuf>) -> Self {
            self.settings().config.python_path.push(dir.into());
            self
        }

        /// How messages reach local workers. Default: [`Carrier::Framed`].
        pub fn carrier(mut self, carrier: Carrier) -> Self {
            self.settings().config.carrier = carrier;
            self
        }

        /// Where the Python environment comes from. Default: provisioned from the embedded lock into the user's cache, or the
        /// interpreter that `DSPEX_PYTHON` names; for a pool beside the default one, the default one's.
        pub fn environment(mut self, env: EnvConfig) -> Self {
            self.settings().env = Some(env);
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
            self.settings().endpoints.push(endpoint);
            self
        }

        /// Lets [`endpoint`](Self::endpoint)s be on other machines, although their connections are not encrypted: only for
        /// a network that nobody else can read.
        pub fn allow_unencrypted_endpoints(mut self) -> Self {
            self.settings().unencrypted = true;
            self
        }

        /// The token of this host at [`endpoint`](Self::endpoint)s that have none of their own.
        pub fn token(mut self, token: impl Into<SecretString>) -> Self {
            self.settings().token = Some(token.into());
            self
        }
    })* };
}

settings!(PoolOptions, DspexBuilder);

/// The environments of the pools, each of which is provided once; none for those of endpoints.
pub(super) async fn environments(pools: &[(String, PoolOptions)]) -> Result<Vec<Option<Environment>>> {
    let usual = pools.first().and_then(|(_, options)| options.env.clone()).unwrap_or_default();
    let wanted = |options: &PoolOptions| options.env.clone().unwrap_or_else(|| usual.clone());
    let mut different: Vec<EnvConfig> = Vec::new();
    for (_, options) in pools.iter().filter(|(_, options)| options.is_local()) {
        let env = wanted(options);
        if !different.iter().any(|other| other.is_same_place(&env)) {
            different.push(env);
        }
    }
    let provided = futures::future::try_join_all(different.iter().cloned().map(provision)).await?;
    let place = |options: &PoolOptions| {
        let env = wanted(options);
        different.iter().position(|other| other.is_same_place(&env)).map(|index| provided[index].clone())
    };
    Ok(pools.iter().map(|(_, options)| options.is_local().then(|| place(options)).flatten()).collect())
}

async fn provision(env: EnvConfig) -> Result<Environment> {
    // A thread of its own: the runtime's end would wait for one of its blocking threads, so that a program that gave
    // up on `start` could not exit before the environment is complete.
    let (done, provisioned) = tokio::sync::oneshot::channel();
    let provisioning = std::thread::Builder::new().name("dspex-provisioning".to_owned()).spawn(move || {
        let _ = done.send(Environment::provision(&env));
    });
    let failed = |error| Error::Pool(PoolError::Io { what: "the environment could not be provided", error });
    provisioning.map_err(failed)?;
    Ok(provisioned.await.map_err(|error| failed(std::io::Error::other(error)))??)
}
