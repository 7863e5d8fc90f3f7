//! What has to be looked at from time to time, since nothing tells of it: loads, traffic, breakers, and how workers are.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{BreakerState, PoolTelemetry, breaker};
use crate::bridge::Bridge;
use crate::pool::transport::Link;
use crate::pool::{Pool, Published, SlotState};

/// Gauges are no older than this.
const EVERY: Duration = Duration::from_secs(1);

/// Workers are asked how they are once in so many looks. Those that are busy are asked by nobody else.
const ASK_EVERY: u32 = 3;

/// Looks until `ended`, or until there is nothing to look at. `bridge` finds it, in what others own.
pub(crate) fn start<T: Send + Sync + 'static>(
    of: Weak<T>,
    bridge: fn(&T) -> &Bridge,
    ended: &CancellationToken,
) {
    let looks = async move {
        let (mut looks, mut traffic) = (0, Traffic::default());
        while let Some(of) = of.upgrade() {
            let ask = looks % ASK_EVERY == 0;
            let bridge = bridge(&of);
            bridge.pools().running().iter().for_each(|pool| look(pool, ask, &mut traffic));
            look_at_models(bridge);
            drop(of);
            looks = looks.wrapping_add(1);
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::spawn(ended.clone().run_until_cancelled_owned(looks));
}

fn look(pool: &Pool, ask: bool, traffic: &mut Traffic) {
    let (telemetry, workers) = (pool.telemetry(), pool.workers());
    telemetry.metrics.load(&pool.load());
    for worker in &workers {
        if ask {
            worker.link.ping();
        }
        if let Some(stats) = worker.link.stats() {
            telemetry.metrics.loop_lag(worker.index, Duration::from_micros(stats.loop_lag_us));
        }
    }
    for worker in pool.standing().workers {
        if matches!(worker.state, SlotState::Ready | SlotState::Renewing) {
            telemetry.metrics.memory(worker.id.index, worker.memory.rss, worker.memory.pss);
        }
    }
    traffic.count(telemetry, &workers);
}

fn look_at_models(bridge: &Bridge) {
    // Two models of one name differ in their settings: the worse one counts.
    let mut states = BTreeMap::<String, BreakerState>::new();
    for (figures, state) in bridge.models() {
        let worst = states.entry(figures.model).or_default();
        *worst = state.max(*worst);
    }
    states.iter().for_each(|(model, state)| breaker(model, *state));
}

/// What of the workers' traffic was counted before, by pool.
#[derive(Default)]
struct Traffic(BTreeMap<Arc<str>, Vec<Counted>>);

struct Counted {
    worker: usize,
    link: Arc<Link>,
    sent: u64,
    received: u64,
}

impl Traffic {
    /// Counts what came since; a last time for workers that have gone meanwhile.
    fn count(&mut self, telemetry: &PoolTelemetry, workers: &[Published]) {
        let counted = self.0.entry(telemetry.pool.clone()).or_default();
        for worker in workers {
            if !counted.iter().any(|known| Arc::ptr_eq(&known.link, &worker.link)) {
                let (worker, link) = (worker.index, worker.link.clone());
                counted.push(Counted { worker, link, sent: 0, received: 0 });
            }
        }
        counted.retain_mut(|known| {
            let gone = known.link.is_lost();
            let (sent, received) = known.link.traffic();
            telemetry.metrics.traffic(known.worker, sent - known.sent, received - known.received);
            (known.sent, known.received) = (sent, received);
            !gone
        });
    }
}
