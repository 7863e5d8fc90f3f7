//! Workers for runs of optimizers: started at the first run, and let go some time after the last one.
//!
//! A run takes minutes, holds the GIL for seconds, and starts threads; beside it, calls that are served would be slow. So it has a pool of
//! its own, with the environment of the pool that it belongs to.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::config::PoolPlan;
use super::events::PoolEvents;
use super::{Pool, PoolError};

/// The workers of one pool for runs of optimizers, whether there are any now or not.
pub(crate) struct Optimizers {
    plan: PoolPlan,
    events: PoolEvents,
    /// Held while they are started, so that they are started once.
    starting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pool: Option<Arc<Pool>>,
    runs: usize,
    /// Counts the changes of `runs`: a look that comes later sees whether anything happened.
    changes: u64,
    closed: bool,
}

impl Optimizers {
    /// Those that belong to a pool; none where its own workers do everything.
    pub(crate) fn new(plan: &PoolPlan, events: &PoolEvents) -> Option<Self> {
        let workers = plan.config.optimizers.workers;
        if workers == 0 || !plan.fleet.is_local() {
            return None;
        }
        let mut plan = plan.clone();
        plan.config.workers = workers;
        // Runs are synchronous: more of them than threads would only wait inside the worker.
        plan.config.in_flight_per_worker = plan.config.sync_threads;
        // A run is worth hours: a worker that is to be replaced finishes it, and code that holds the GIL for long is borne longer.
        plan.config.recycling.patience = Duration::MAX;
        plan.config.heartbeat.patience = plan.config.heartbeat.patience.saturating_mul(6);
        plan.config.name = format!("{}/optimizers", plan.config.name).into();
        let events = events.of(plan.config.name.clone());
        Some(Self { plan, events, starting: tokio::sync::Mutex::default(), state: Mutex::default() })
    }

    /// The workers, which stay at least as long as what this gives.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<InUse, PoolError> {
        if let Some(running) = self.running()? {
            return Ok(running);
        }
        let _starting = self.starting.lock().await;
        if let Some(running) = self.running()? {
            return Ok(running);
        }
        let PoolPlan { config, fleet } = self.plan.clone();
        let name = config.name.clone();
        let started = Pool::start(config, fleet, self.events.clone()).await;
        let pool = Arc::new(started.map_err(|error| PoolError::named(&name, error))?);
        let mut state = self.lock();
        if state.closed {
            return Err(PoolError::Closed);
        }
        state.pool = Some(pool.clone());
        Ok(self.in_use(&mut state, pool))
    }

    /// The pool, while there is one.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.lock().pool.clone()
    }

    /// No new runs. Those that run go on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    fn running(self: &Arc<Self>) -> Result<Option<InUse>, PoolError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PoolError::Closed);
        }
        Ok(state.pool.clone().map(|pool| self.in_use(&mut state, pool)))
    }

    fn in_use(self: &Arc<Self>, state: &mut State, pool: Arc<Pool>) -> InUse {
        state.runs += 1;
        state.changes += 1;
        InUse { pool, owner: Some(self.clone()), runtime: tokio::runtime::Handle::try_current().ok() }
    }

    /// A run has ended; if it was the last one, somebody looks after a while.
    fn ended(self: &Arc<Self>, runtime: Option<&tokio::runtime::Handle>) {
        let mut state = self.lock();
        state.runs -= 1;
        state.changes += 1;
        if state.runs > 0 {
            return;
        }
        let (this, seen, idle) = (Arc::downgrade(self), state.changes, self.plan.config.optimizers.idle);
        drop(state);
        let Some(runtime) = runtime else { return };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(idle).await;
                let Some(this) = this.upgrade() else { return };
                match this.let_go(seen) {
                    LetGo::Somebody => return,
                    // A run that was cancelled goes on in Python until its next callback.
                    LetGo::StillRuns => {}
                    LetGo::Gone(pool) => return pool.shutdown(Duration::ZERO).await,
                }
            }
        });
    }

    fn let_go(&self, seen: u64) -> LetGo {
        let mut state = self.lock();
        if state.changes != seen {
            return LetGo::Somebody;
        }
        match state.pool.take() {
            Some(pool) if pool.load().in_flight > 0 => {
                state.pool = Some(pool);
                LetGo::StillRuns
            }
            Some(pool) => LetGo::Gone(pool),
            None => LetGo::Somebody,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look after a while found.
enum LetGo {
    /// Somebody came meanwhile, who looks later.
    Somebody,
    StillRuns,
    Gone(Arc<Pool>),
}

/// A pool that a run uses.
pub(crate) struct InUse {
    pool: Arc<Pool>,
    owner: Option<Arc<Optimizers>>,
    runtime: Option<tokio::runtime::Handle>,
}

impl InUse {
    /// A pool that stays anyway.
    pub(crate) fn of(pool: Arc<Pool>) -> Self {
        Self { pool, owner: None, runtime: None }
    }
}

impl Deref for InUse {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner {
            owner.ended(self.runtime.as_ref());
        }
    }
}
