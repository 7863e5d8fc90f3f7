//! The pool: Python worker processes that start in milliseconds, take calls, and are replaced when they die.
//!
//! * [`mod@env`] provides the Python environment,
//! * `fleet` says where workers come from: `zygote`, the warm process that forks them, or an operator,
//! * `slot` is the life of one worker as a pure function, and `supervisor` the one owner of all slots and of the zygote,
//! * `scheduler` hands out places, `transport` moves the messages,
//! * `pools` holds the pools of a program by their names, and `optimizers` those that come and go.
//!
//! Above this folder nobody knows of processes: `Pool::lease` gives a place at some worker, and dropping what
//! it gives puts everything back.

pub(crate) mod config;
mod endpoint;
pub mod env;
mod error;
mod events;
#[cfg(test)]
mod fake_worker;
mod fleet;
mod heartbeat;
mod intensity;
#[cfg(test)]
mod life_tests;
mod limits;
mod logs;
mod oom;
mod optimizers;
mod owned_dir;
mod pools;
mod process;
mod recycling;
pub(crate) mod scheduler;
mod slot;
mod supervisor;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bounds;
#[cfg(feature = "tls")]
mod tls;
pub(crate) mod transport;
mod zygote;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use config::Carrier;
pub(crate) use config::{DEFAULT_POOL, PoolConfig, PoolPlan};
pub use endpoint::Endpoint;
pub use error::PoolError;
pub(crate) use events::PoolEvents;
pub use events::{PoolChange, PoolEvent, Retirement, WorkerEnd, WorkerId};
pub(crate) use fleet::FleetConfig;
use fleet::WorkerFleet;
pub(crate) use heartbeat::Heartbeat;
pub use limits::WorkerLimits;
pub(crate) use optimizers::InUse;
pub(crate) use pools::Pools;
pub use scheduler::Load;
pub(crate) use scheduler::Published;
use scheduler::Scheduler;
pub(crate) use scheduler::{Lease, LeaseError, Want};
pub(crate) use slot::SlotState;
pub(crate) use supervisor::{Board, WorkerSnapshot};
use supervisor::{Event, Supervisor};
#[cfg(feature = "tls")]
pub use tls::ClientTls;
use transport::Link;

use crate::telemetry::PoolTelemetry;

/// A running pool. Dropping it ends every Python process at once.
pub(crate) struct Pool {
    scheduler: Arc<Scheduler>,
    telemetry: Arc<PoolTelemetry>,
    supervisor: mpsc::UnboundedSender<Event>,
    closed: CancellationToken,
    board: Arc<Board>,
    max_message_bytes: u64,
    size: usize,
    endpoints: Vec<String>,
}

impl Pool {
    /// Starts the workers; completes when the first one is ready.
    pub(crate) async fn start(
        config: PoolConfig,
        fleet: FleetConfig,
        events: PoolEvents,
    ) -> Result<Self, PoolError> {
        // Leaving early drops the pool, and that ends what was started.
        let (pool, ready) = Self::begin(config, fleet, events)?;
        ready.await.map(|()| pool)
    }

    /// Begins to start the workers; what it gives completes when the first one is ready.
    fn begin(
        mut config: PoolConfig,
        fleet: FleetConfig,
        events: PoolEvents,
    ) -> Result<(Self, impl Future<Output = Result<(), PoolError>> + use<>), PoolError> {
        config.workers = fleet.slots(config.workers);
        let endpoints = fleet.addresses();
        let fleet = WorkerFleet::open(fleet, config.carrier)?;
        let telemetry = events.telemetry().clone();
        let config = Arc::new(config);
        let scheduler = Scheduler::new(config.workers, config.in_flight_per_worker, config.queue_limit);
        let (started, ready) = oneshot::channel();
        let closed = CancellationToken::new();
        let (task, inbox, supervisor) =
            Supervisor::new(config.clone(), fleet, scheduler.clone(), started, events);
        let max_message_bytes = config.max_message_bytes;
        let pool = Self {
            scheduler,
            telemetry,
            supervisor,
            closed: closed.clone(),
            board: task.board(),
            max_message_bytes,
            size: config.workers,
            endpoints,
        };
        tokio::spawn(task.run(inbox, closed));
        let ready = async move {
            match tokio::time::timeout(config.start_timeout, ready).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(PoolError::Closed),
                Err(_) => Err(PoolError::StartTimeout { seconds: config.start_timeout.as_secs() }),
            }
        };
        Ok((pool, ready))
    }

    /// A place at the least loaded worker. A call that a tool of another call makes has the other's reserve: see
    /// [`Scheduler::lease`](scheduler::Scheduler::lease).
    pub(crate) async fn lease(&self, want: Want<'_>) -> Result<Lease, LeaseError> {
        self.scheduler.lease(want).await
    }

    /// The largest message, either way, in bytes.
    pub(crate) fn max_message_bytes(&self) -> u64 {
        self.max_message_bytes
    }

    /// The workers that were asked for.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// What is known and measured of the pool.
    pub(crate) fn telemetry(&self) -> &Arc<PoolTelemetry> {
        &self.telemetry
    }

    /// Every worker process, whether the pool is degraded, and whether it can fork.
    pub(crate) fn standing(&self) -> supervisor::Standing {
        self.board.read()
    }

    /// Why nobody is given a place, while nobody is.
    pub(crate) fn refusal(&self) -> Option<LeaseError> {
        self.scheduler.refusal()
    }

    /// The addresses of workers that an operator started, by slot; none for local ones.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The load now.
    pub(crate) fn load(&self) -> Load {
        self.scheduler.load()
    }

    /// The workers that were published, with their slots and the calls that they run.
    pub(crate) fn workers(&self) -> Vec<Published> {
        self.scheduler.workers()
    }

    /// The workers that take calls now.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.scheduler.links()
    }

    /// Takes no new calls, but those that tools make of calls that run.
    pub(crate) fn finish(&self) {
        self.scheduler.finish();
        let _ = self.supervisor.send(Event::Finishing);
    }

    /// Completes when no call runs.
    pub(crate) async fn idle(&self) {
        self.scheduler.idle().await;
    }

    /// Ends every process, also if nobody waits for it.
    pub(crate) fn end(&self, patience: Duration) {
        let (done, _) = oneshot::channel();
        let _ = self.supervisor.send(Event::Shutdown(patience, done));
    }

    /// Takes no new calls at all, waits for those that run, at most for `patience`, then ends every process.
    pub(crate) async fn shutdown(&self, patience: Duration) {
        self.scheduler.refuse(LeaseError::Closed);
        let (done, ended) = oneshot::channel();
        if self.supervisor.send(Event::Shutdown(patience, done)).is_ok() {
            let _ = ended.await;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
