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
    /// Held while they are started or ended, so that there is one pool at most.
    changing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Also while it starts or ends, so that whoever ends all pools finds it.
    pool: Option<Arc<Pool>>,
    /// It takes runs.
    ready: bool,
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
        Some(Self { plan, events, changing: tokio::sync::Mutex::default(), state: Mutex::default() })
    }

    /// The workers, which stay at least as long as what this gives.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<InUse, PoolError> {
        if let Some(running) = self.running()? {
            return Ok(running);
        }
        let _changing = self.changing.lock().await;
        if let Some(running) = self.running()? {
            return Ok(running);
        }
        let name = self.plan.config.name.clone();
        self.start().await.map_err(|error| match error {
            PoolError::Closed => error,
            error => PoolError::named(&name, error),
        })
    }

    async fn start(self: &Arc<Self>) -> Result<InUse, PoolError> {
        let PoolPlan { config, fleet } = self.plan.clone();
        let ready = {
            let mut state = self.lock();
            if state.closed {
                return Err(PoolError::Closed);
            }
            let (pool, ready) = Pool::begin(config, fleet, self.events.clone())?;
            state.pool = Some(Arc::new(pool));
            ready
        };
        // Whoever waits no more, or in vain, drops the pool, and that ends what was started.
        let _unless_ready = ForgetUnlessReady(self);
        ready.await?;
        let mut state = self.lock();
        let pool = state.pool.clone().ok_or(PoolError::Closed)?;
        state.ready = true;
        Ok(self.in_use(&mut state, pool))
    }

    /// The pool, while it takes runs.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        let state = self.lock();
        state.pool.clone().filter(|_| state.ready)
    }

    /// The pool, also while it starts or ends.
    pub(crate) fn any_pool(&self) -> Option<Arc<Pool>> {
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
        let ready = state.pool.clone().filter(|_| state.ready);
        Ok(ready.map(|pool| self.in_use(&mut state, pool)))
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
                let _changing = this.changing.lock().await;
                match this.let_go(seen) {
                    LetGo::Somebody => return,
                    // A run that was cancelled goes on in Python until its next callback.
                    LetGo::StillRuns => {}
                    LetGo::Unused(pool) => {
                        pool.shutdown(Duration::ZERO).await;
                        this.lock().pool = None;
                        return;
                    }
                }
            }
        });
    }

    fn let_go(&self, seen: u64) -> LetGo {
        let mut state = self.lock();
        if state.changes != seen {
            return LetGo::Somebody;
        }
        match state.pool.clone() {
            Some(pool) if pool.load().in_flight > 0 => LetGo::StillRuns,
            Some(pool) => {
                state.ready = false;
                LetGo::Unused(pool)
            }
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
    Unused(Arc<Pool>),
}

/// Forgets a pool that did not start.
struct ForgetUnlessReady<'a>(&'a Optimizers);

impl Drop for ForgetUnlessReady<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let unready = if state.ready { None } else { state.pool.take() };
        drop(state);
        drop(unready);
    }
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
