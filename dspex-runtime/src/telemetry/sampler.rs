//! What has to be looked at from time to time, since nothing tells of it: loads, traffic, and how workers are.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::PoolTelemetry;
use crate::bridge::Bridge;
use crate::pool::transport::Link;
use crate::pool::{Load, Published};

/// Gauges are no older than this.
const EVERY: Duration = Duration::from_secs(1);

/// Workers are asked how they are once in so many looks.
const ASK_EVERY: u32 = 3;

/// One of the pools, as it is looked at.
pub(crate) struct Sample {
    pub(crate) telemetry: Arc<PoolTelemetry>,
    pub(crate) load: Load,
    pub(crate) workers: Vec<Published>,
}

/// Looks as long as there is something to look at. `bridge` gives it, unless its user has gone.
pub(crate) fn start<T: Send + Sync + 'static>(of: Weak<T>, bridge: fn(&T) -> &Bridge) {
    tokio::spawn(async move {
        let (mut looks, mut counted) = (0, Traffic::default());
        loop {
            {
                let Some(of) = of.upgrade() else { return };
                let ask = looks % ASK_EVERY == 0;
                bridge(&of).pools().samples().iter().for_each(|sample| look(sample, ask, &mut counted));
            }
            looks = looks.wrapping_add(1);
            tokio::time::sleep(EVERY).await;
        }
    });
}

fn look(sample: &Sample, ask: bool, counted: &mut Traffic) {
    let Sample { telemetry, load, workers } = sample;
    telemetry.metrics.load(load);
    for worker in workers {
        if ask {
            worker.link.ping();
        }
        if let Some(stats) = worker.link.stats() {
            let lag = Duration::from_micros(stats.loop_lag_us);
            telemetry.metrics.worker(worker.index, stats.rss_bytes, stats.pss_bytes, lag);
        }
    }
    counted.count(telemetry, workers);
}

/// What of the workers' traffic was counted before.
#[derive(Default)]
struct Traffic(BTreeMap<Arc<str>, Vec<Counted>>);

struct Counted {
    worker: usize,
    link: Arc<Link>,
    sent: u64,
    received: u64,
}

impl Traffic {
    /// Counts what came since, that of workers too which have gone meanwhile.
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
