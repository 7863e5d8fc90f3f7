//! How a pool is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::fleet::FleetConfig;
use super::heartbeat::Heartbeat;
use super::limits::WorkerLimits;
use super::recycling::Recycling;

/// Which carrier moves the messages to local workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carrier {
    /// Length-delimited frames over an inherited unix socket: the fast one, and the default.
    #[default]
    Framed,
    /// gRPC over a unix socket in a private directory.
    Grpc,
}

/// The pool of all that chooses none.
pub(crate) const DEFAULT_POOL: &str = "default";

/// Everything that a pool needs to know.
#[derive(Clone, Debug)]
pub(crate) struct PoolConfig {
    /// What events and errors call it.
    pub(crate) name: Arc<str>,
    /// Worker processes.
    pub(crate) workers: usize,
    /// Calls that one worker runs at once.
    pub(crate) in_flight_per_worker: usize,
    /// Calls that may wait for a place.
    pub(crate) queue_limit: usize,
    /// The largest message, either way, in bytes.
    pub(crate) max_message_bytes: u64,
    /// How long a cancelled call may go on in Python before its worker is killed.
    pub(crate) cancel_grace: Duration,
    /// How long the zygote may take to import and warm DSPy, and the first worker to be ready.
    pub(crate) start_timeout: Duration,
    /// Threads in which one worker runs modules that are not async-capable.
    pub(crate) sync_threads: usize,
    /// Python modules besides DSPy whose public classes and functions may be called.
    pub(crate) modules: Vec<String>,
    /// Directories that Python searches for them.
    pub(crate) python_path: Vec<PathBuf>,
    /// The carrier for local workers.
    pub(crate) carrier: Carrier,
    /// How workers are known to live.
    pub(crate) heartbeat: Heartbeat,
    /// How often a worker's slot may lose its worker before it is replaced ever more slowly: so often within so long. The
    /// pool is degraded then, and also when all slots together lose three times as many as there are slots.
    pub(crate) restarts: (usize, Duration),
    /// When workers are replaced by fresh ones.
    pub(crate) recycling: Recycling,
    /// What a local worker may use.
    pub(crate) limits: WorkerLimits,
    /// The workers for runs of optimizers.
    pub(crate) optimizers: OptimizerConfig,
}

/// The workers that run optimizers beside those that serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptimizerConfig {
    /// So many; 0: those that serve.
    pub(crate) workers: usize,
    /// So long without a call they stay.
    pub(crate) idle: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            name: DEFAULT_POOL.into(),
            workers: 2,
            in_flight_per_worker: 32,
            queue_limit: 1024,
            max_message_bytes: 64 << 20,
            cancel_grace: Duration::from_secs(5),
            start_timeout: Duration::from_secs(60),
            sync_threads: 8,
            modules: Vec::new(),
            python_path: Vec::new(),
            carrier: Carrier::default(),
            heartbeat: Heartbeat::default(),
            restarts: (5, Duration::from_secs(60)),
            recycling: Recycling::default(),
            limits: WorkerLimits::default(),
            optimizers: OptimizerConfig { workers: 1, idle: Duration::from_secs(60) },
        }
    }
}

/// A pool before its start.
#[derive(Clone, Debug)]
pub(crate) struct PoolPlan {
    pub(crate) config: PoolConfig,
    pub(crate) fleet: FleetConfig,
}
