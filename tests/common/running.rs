//! What tests and figures ask of a running dspex between two steps, all of it out of its status.

use dspex::{BreakerState, Dspex, DspexStatus, PoolStatus, WorkerState};

/// The status, also where nothing can be awaited. The runtime must have several threads.
pub fn status(dspex: &Dspex) -> DspexStatus {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(dspex.status()))
}

/// A pool by its name, if there is one.
pub fn pool(dspex: &Dspex, name: &str) -> Option<PoolStatus> {
    status(dspex).pools.into_iter().find(|pool| pool.name == name)
}

/// The process ids of the workers of the pool `default` that take calls, in the order of their slots.
pub fn worker_pids(dspex: &Dspex) -> Vec<u32> {
    pids_of(&status(dspex).pools[0])
}

/// The same of any pool.
pub fn pids_of(pool: &PoolStatus) -> Vec<u32> {
    let serves = |state| matches!(state, WorkerState::Ready | WorkerState::Renewing);
    pool.workers.iter().filter(|worker| serves(worker.state)).filter_map(|worker| worker.pid).collect()
}

/// The states of all models' circuit breakers.
pub fn breakers(dspex: &Dspex) -> Vec<BreakerState> {
    status(dspex).models.into_iter().map(|model| model.breaker).collect()
}
