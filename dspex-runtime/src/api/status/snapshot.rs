//! The status, out of what pools, the bridge, the sessions and the store know.

use std::time::Duration;

use super::{
    DspexStatus, EndStatus, ModelStatus, PoolState, PoolStatus, StoreStatus, WorkerState, WorkerStatus,
};
use crate::api::{Availability, Dspex};
use crate::pool::{LeaseError, Load, Pool, PoolError, Published, SlotState, WorkerSnapshot};
use crate::telemetry::{History, SlotHistory};

/// The store is given so long to say what it holds.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

impl DspexStatus {
    pub(crate) async fn of(dspex: &Dspex) -> Self {
        let totals = tokio::time::timeout(STORE_PATIENCE, dspex.runtime.state.store().totals()).await;
        let store = totals.ok().and_then(Result::ok).map(|totals| StoreStatus {
            sessions: totals.sessions,
            temporary: totals.temporary,
            variables: totals.variables,
            bytes: totals.bytes,
            instances: totals.instances,
        });
        Self { store, ..Self::without_store(dspex) }
    }

    /// All that is known without asking anybody.
    pub(crate) fn without_store(dspex: &Dspex) -> Self {
        let bridge = &dspex.runtime.bridge;
        let mut pools: Vec<_> = bridge.pools().running().iter().map(|pool| PoolStatus::of(pool)).collect();
        let default = bridge.pool().telemetry().pool.clone();
        pools.sort_by_key(|pool| *pool.name != *default);
        let models = bridge.models().into_iter().map(|(figures, breaker)| ModelStatus {
            model: figures.model,
            calls: figures.calls,
            failed: figures.failed,
            breaker,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime: bridge.pool().telemetry().history().since.elapsed(),
            pools,
            open_sessions: dspex.runtime.sessions.open(),
            session_calls: dspex.runtime.sessions.calls(),
            models: models.collect(),
            store: None,
        }
    }
}

impl PoolStatus {
    pub(crate) fn of(pool: &Pool) -> Self {
        let (telemetry, standing, published) = (pool.telemetry(), pool.standing(), pool.workers());
        let history = telemetry.history().clone();
        let load = pool.load();
        let workers: Vec<_> = standing
            .workers
            .iter()
            .map(|worker| WorkerStatus::of(worker, &published, &history, pool.endpoints()))
            .collect();
        let facts = Facts {
            refusal: pool.refusal(),
            load,
            wanted: pool.size(),
            ended: standing.ended,
            degraded: standing.degraded.as_ref().map(ToString::to_string),
            can_fork: standing.zygote_warm,
            history: &history,
        };
        let sum = |count: fn(&SlotHistory) -> u64| history.slots.values().map(count).sum();
        Self {
            name: telemetry.pool.to_string(),
            state: facts.state(),
            runs: published.first().map(|worker| Availability::of(worker.link.hello())),
            load,
            workers_wanted: pool.size(),
            workers,
            restarts: sum(|slot| slot.restarts),
            recycled: sum(|slot| slot.recycled),
            zygotes_lost: history.zygotes_lost,
            max_message_bytes: pool.max_message_bytes(),
        }
    }
}

/// What a pool's state follows from.
struct Facts<'a> {
    refusal: Option<LeaseError>,
    load: Load,
    wanted: usize,
    /// Every process was ended.
    ended: bool,
    degraded: Option<String>,
    can_fork: bool,
    history: &'a History,
}

impl Facts<'_> {
    fn state(&self) -> PoolState {
        let load = self.load;
        match &self.refusal {
            Some(LeaseError::Closed) if self.ended => return PoolState::Stopped,
            Some(LeaseError::Closed) => return PoolState::ShuttingDown,
            Some(LeaseError::Down(cause)) => return PoolState::Down { cause: cause.clone() },
            _ => {}
        }
        if load.ready_workers == 0 && !self.history.was_ready {
            return PoolState::Starting;
        }
        let mut causes = Vec::new();
        if load.ready_workers < self.wanted {
            causes.push(format!("{} of {} workers are ready", load.ready_workers, self.wanted));
        }
        if let Some(end) = &self.degraded {
            causes.push(format!("workers end too often; the last one: {end}"));
        }
        match &self.history.zygote_lost {
            Some(reason) => {
                causes.push(format!("no worker can be forked now, since the zygote is gone: {reason}"))
            }
            None if !self.can_fork => {
                causes.push("no worker can be forked now: the zygote is not warm".to_owned())
            }
            None => {}
        }
        let full = load.in_flight >= load.capacity && load.queued >= load.queue_limit;
        if full && load.ready_workers > 0 {
            causes.push(PoolError::Saturated(load).to_string());
        } else if load.queued > 0 && load.queued * 2 >= load.queue_limit {
            causes.push(format!("{} of {} places in the queue are taken", load.queued, load.queue_limit));
        }
        if causes.is_empty() { PoolState::Ready } else { PoolState::Degraded { causes } }
    }
}

impl WorkerStatus {
    fn of(worker: &WorkerSnapshot, published: &[Published], history: &History, endpoints: &[String]) -> Self {
        let of = |published: &&Published| {
            (published.index, published.generation) == (worker.id.index, worker.id.generation)
        };
        let published = published.iter().find(of);
        let stats = published.and_then(|published| published.link.stats());
        let slot = history.slots.get(&worker.id.index).cloned().unwrap_or_default();
        let known = |bytes: u64| (bytes > 0).then_some(bytes);
        Self {
            index: worker.id.index,
            generation: worker.id.generation,
            // The scheduler knows which workers take calls a moment before the board does.
            state: match (worker.state, published.is_some()) {
                (SlotState::Starting, true) => WorkerState::Ready,
                (SlotState::Ready | SlotState::Renewing, false) => WorkerState::Draining,
                (state, _) => state.into(),
            },
            suspected: worker.suspected,
            pid: worker.pid,
            endpoint: endpoints.get(worker.id.index).cloned(),
            ready_for: worker.ready.map(|since| since.elapsed()),
            calls: published.map_or(worker.calls, |published| published.link.calls_begun()),
            in_flight: published.map_or(0, |published| published.in_flight),
            rss_bytes: known(worker.memory.rss),
            pss_bytes: known(worker.memory.pss),
            loop_lag: stats.map(|stats| Duration::from_micros(stats.loop_lag_us)),
            sync_threads_busy: stats.map(|stats| stats.sync_threads_busy),
            instances: stats.map(|stats| stats.instances),
            restarts: slot.restarts,
            recycled: slot.recycled,
            last_end: slot.last_end.map(|(end, at)| EndStatus {
                cause: end.cause(),
                text: end.to_string(),
                at,
            }),
        }
    }
}

impl From<SlotState> for WorkerState {
    fn from(state: SlotState) -> Self {
        match state {
            SlotState::Waiting => Self::Waiting,
            SlotState::BackingOff => Self::BackingOff,
            SlotState::Starting => Self::Starting,
            SlotState::Ready => Self::Ready,
            SlotState::Renewing => Self::Renewing,
            SlotState::Draining => Self::Draining,
            SlotState::Stopped => Self::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(history: &History) -> Facts<'_> {
        let load = Load {
            ready_workers: 2,
            in_flight: 0,
            capacity: 64,
            queued: 0,
            queue_limit: 10,
            waiting_sessions: 0,
            retry_after: None,
        };
        Facts { refusal: None, load, wanted: 2, ended: false, degraded: None, can_fork: true, history }
    }

    #[test]
    fn a_pools_state_follows_from_what_is_known() {
        let mut history = History::new();
        let mut starting = facts(&history);
        starting.load.ready_workers = 0;
        assert_eq!(starting.state(), PoolState::Starting);
        assert_eq!(facts(&history).state(), PoolState::Ready);
        history.was_ready = true;
        let mut amiss = facts(&history);
        (amiss.load.ready_workers, amiss.can_fork, amiss.degraded) = (1, false, Some("it ended".to_owned()));
        let PoolState::Degraded { causes } = amiss.state() else { panic!("{}", amiss.state()) };
        assert_eq!(causes.len(), 3, "{causes:?}");
        let mut full = facts(&history);
        (full.load.in_flight, full.load.queued) = (64, 10);
        assert!(full.state().to_string().contains("saturated"), "{}", full.state());
        full.load.queued = 5;
        assert!(full.state().to_string().contains("5 of 10 places in the queue"), "{}", full.state());
        full.refusal = Some(LeaseError::Down("no Python".to_owned()));
        assert_eq!(full.state(), PoolState::Down { cause: "no Python".to_owned() });
        let mut ending = facts(&history);
        ending.refusal = Some(LeaseError::Closed);
        assert_eq!(ending.state(), PoolState::ShuttingDown);
        ending.ended = true;
        assert_eq!(ending.state(), PoolState::Stopped);
    }
}
