//! Where workers come from: the seam under the supervisor, to which all workers are the same.
//!
//! What differs from fleet to fleet stands here, and nothing else does: whether the processes are this host's own, how a worker is
//! reached, and how long to wait before one that failed is tried again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::net::UnixStream;

use super::config::Carrier;
use super::endpoint::Endpoint;
use super::error::PoolError;
use super::owned_dir::OwnedDir;
use super::transport::{Link, LinkError, LinkLimits, framed, grpc};

/// The longest wait before an endpoint that went is tried again.
const ENDPOINT_BACKOFF: Duration = Duration::from_secs(2);

/// How often a forked worker that does not listen yet is tried.
const LISTENS_WITHIN: Duration = Duration::from_millis(3);

/// How a pool comes to its workers, before its start.
#[derive(Clone, Debug)]
pub(crate) enum FleetConfig {
    /// Forked from a zygote on this machine.
    Local {
        /// The interpreter.
        python: PathBuf,
        /// The directory that holds `run.py` and the worker's package.
        worker_dir: PathBuf,
    },
    /// Started by an operator: one slot each.
    Endpoints(Vec<Endpoint>),
}

impl FleetConfig {
    /// Whether the workers are this host's own processes.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local { .. })
    }

    /// The slots of a pool for which so many workers were asked.
    pub(super) fn slots(&self, asked: usize) -> usize {
        match self {
            Self::Local { .. } => asked,
            Self::Endpoints(addresses) => addresses.len(),
        }
    }

    /// The addresses by slot, where there are any.
    pub(super) fn addresses(&self) -> Vec<String> {
        match self {
            Self::Local { .. } => Vec::new(),
            Self::Endpoints(addresses) => addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What a running pool has its workers from.
pub(super) enum WorkerFleet {
    /// Processes of this host.
    Local(LocalFleet),
    /// Those of an operator.
    Endpoints(Vec<Endpoint>),
}

/// What every local worker of one start is made with.
pub(super) struct LocalFleet {
    pub(super) python: PathBuf,
    pub(super) worker_dir: PathBuf,
    /// A secret per start, for the carriers on which somebody else could speak.
    pub(super) token: Option<SecretString>,
    /// Where workers listen; none where they inherit their sockets.
    sockets: Option<OwnedDir>,
}

/// How a worker is reached.
pub(super) enum Route {
    /// By the socket that it inherits.
    Inherited,
    /// Where it will listen once it was forked.
    Forked(Endpoint),
    /// Where it listens, on whatever machine.
    Remote(Endpoint),
}

impl WorkerFleet {
    pub(super) fn open(config: FleetConfig, carrier: Carrier) -> Result<Self, PoolError> {
        let (python, worker_dir) = match config {
            FleetConfig::Local { python, worker_dir } => (python, worker_dir),
            FleetConfig::Endpoints(addresses) => return Ok(Self::Endpoints(addresses)),
        };
        let (token, sockets) = match carrier {
            Carrier::Framed => (None, None),
            Carrier::Grpc => {
                let directory = OwnedDir::new();
                let what = "the directory for the workers' sockets";
                (Some(token()), Some(directory.map_err(|error| PoolError::Io { what, error })?))
            }
        };
        Ok(Self::Local(LocalFleet { python, worker_dir, token, sockets }))
    }

    /// Whether the workers are this host's own processes: forked by its zygote, measured, recycled, killed.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// The longest wait before a worker that failed is tried again. To knock at an endpoint costs nothing, and it should be used
    /// again soon after it is back.
    pub(super) fn longest_backoff(&self) -> Duration {
        match self {
            Self::Local(_) => Duration::MAX,
            Self::Endpoints(_) => ENDPOINT_BACKOFF,
        }
    }

    /// How the worker of a slot is reached.
    pub(super) fn route(&self, index: usize, generation: u64) -> Option<Route> {
        match self {
            Self::Local(local) => Some(local.route(index, generation)),
            Self::Endpoints(addresses) => addresses.get(index).cloned().map(Route::Remote),
        }
    }

    /// The worker is gone: what it left goes too, or a pool would have a file for each worker that it ever had.
    pub(super) fn clean_up(&self, index: usize, generation: u64) {
        if let Self::Local(local) = self
            && let Some(socket) = local.socket(index, generation)
        {
            let _ = std::fs::remove_file(socket);
        }
    }
}

impl LocalFleet {
    fn socket(&self, index: usize, generation: u64) -> Option<PathBuf> {
        Some(self.sockets.as_ref()?.path().join(format!("{index}-{generation}.sock")))
    }

    fn route(&self, index: usize, generation: u64) -> Route {
        match self.socket(index, generation) {
            None => Route::Inherited,
            Some(socket) => Route::Forked(Endpoint::unix(socket).or_token(self.token.as_ref())),
        }
    }
}

impl Route {
    /// Where a worker that is forked shall listen.
    pub(super) fn listens_at(&self) -> Option<&Path> {
        match self {
            Self::Forked(endpoint) => endpoint.socket(),
            Self::Inherited | Self::Remote(_) => None,
        }
    }

    /// For messages: where that is, if there is more than one place where it could be.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Remote(endpoint) => format!(" (at {endpoint})"),
            Self::Inherited | Self::Forked(_) => String::new(),
        }
    }

    /// Goes there, until the worker said Hello. A fork needs some milliseconds before it listens; it is tried again for so long.
    pub(super) async fn connect(
        &self,
        inherited: Option<UnixStream>,
        limits: LinkLimits,
        patience: Duration,
    ) -> Result<Arc<Link>, LinkError> {
        match (self, inherited) {
            (Self::Inherited, Some(socket)) => framed::connect(socket, limits).await,
            (Self::Inherited, None) => Err(LinkError::Carrier("the worker has no socket".into())),
            (Self::Remote(endpoint), _) => grpc::connect(endpoint, limits).await,
            (Self::Forked(endpoint), _) => {
                let give_up = tokio::time::Instant::now() + patience;
                loop {
                    match grpc::connect(endpoint, limits).await {
                        Err(LinkError::Carrier(_)) if tokio::time::Instant::now() < give_up => {
                            tokio::time::sleep(LISTENS_WITHIN).await;
                        }
                        done => return done,
                    }
                }
            }
        }
    }
}

/// What workers of one start ask for: 244 random bits.
fn token() -> SecretString {
    let mut buffer = Zeroizing::new(uuid::Uuid::encode_buffer());
    // Of the length that it has in the end: a text that grows leaves copies behind.
    let mut token = String::with_capacity(64);
    for _ in 0..2 {
        token.push_str(uuid::Uuid::new_v4().simple().encode_lower(&mut *buffer));
    }
    token.into()
}
