//! The pools of one [`Dspex`](crate::Dspex), by their names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use super::config::{DEFAULT_POOL, PoolPlan};
use super::events::PoolEvents;
use super::optimizers::{InUse, Optimizers};
use super::{Pool, PoolError};
use crate::error::Error;

/// Running pools.
pub(crate) struct Pools {
    pools: BTreeMap<Arc<str>, Entry>,
    default: Arc<Pool>,
    events: PoolEvents,
}

struct Entry {
    pool: Arc<Pool>,
    optimizers: Option<Arc<Optimizers>>,
}

/// No pool has that name; those that there are.
#[derive(Debug)]
pub(crate) struct NoPool(Vec<String>);

impl NoPool {
    /// What a call on it ends with.
    pub(crate) fn error(self, name: Option<&str>) -> Error {
        Error::PoolNotFound { pool: name.unwrap_or(DEFAULT_POOL).to_owned(), pools: self.0 }
    }
}

impl Pools {
    /// Starts all at once; completes when each has a worker that is ready. The first one is the default.
    pub(crate) async fn start(plans: Vec<(String, PoolPlan)>) -> Result<Self, PoolError> {
        let events = PoolEvents::new(DEFAULT_POOL);
        let start = |(name, mut plan): (String, PoolPlan)| {
            let name: Arc<str> = name.into();
            let events = events.of(name.clone());
            async move {
                plan.config.name = name.clone();
                let optimizers = Optimizers::new(&plan, &events).map(Arc::new);
                let pool = Pool::start(plan.config, plan.fleet, events).await.map_err(|error| {
                    if *name == *DEFAULT_POOL { error } else { PoolError::named(&name, error) }
                })?;
                Ok((name, Entry { pool: Arc::new(pool), optimizers }))
            }
        };
        // Should one fail, the others are dropped, and end.
        let started = try_join_all(plans.into_iter().map(start)).await?;
        let default = started.first().map(|(_, entry)| entry.pool.clone()).ok_or(PoolError::Closed)?;
        Ok(Self { pools: started.into_iter().collect(), default, events })
    }

    /// The pool of all that chooses none.
    pub(crate) fn default_pool(&self) -> &Arc<Pool> {
        &self.default
    }

    /// What happens to the workers of all of them from now on.
    pub(crate) fn events(&self) -> &PoolEvents {
        &self.events
    }

    /// A pool by its name.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<&Arc<Pool>, NoPool> {
        match name {
            None => Ok(&self.default),
            Some(name) => self.entry(name).map(|entry| &entry.pool),
        }
    }

    /// The workers for runs of optimizers in a pool, which are started if there are none; the pool itself if it has none apart.
    pub(crate) async fn optimizers(&self, name: Option<&str>) -> Result<Result<InUse, PoolError>, NoPool> {
        let entry = self.entry(name.unwrap_or(DEFAULT_POOL))?;
        Ok(match &entry.optimizers {
            Some(optimizers) => optimizers.acquire().await,
            None => Ok(InUse::of(entry.pool.clone())),
        })
    }

    /// All that run, those of optimizers included.
    pub(crate) fn running(&self) -> Vec<Arc<Pool>> {
        self.with_optimizers(Optimizers::pool)
    }

    fn with_optimizers(&self, pool_of: fn(&Optimizers) -> Option<Arc<Pool>>) -> Vec<Arc<Pool>> {
        let of = |entry: &Entry| {
            let optimizers = entry.optimizers.as_ref().and_then(|optimizers| pool_of(optimizers));
            std::iter::once(entry.pool.clone()).chain(optimizers)
        };
        self.pools.values().flat_map(of).collect()
    }

    /// Takes no new calls, waits for those that run, at most for `patience`, then ends every process. A tool may call any pool, so no
    /// worker ends before the last call of all pools has.
    pub(crate) async fn shutdown(&self, patience: Duration) {
        let end = Instant::now().checked_add(patience);
        for optimizers in self.pools.values().filter_map(|entry| entry.optimizers.as_ref()) {
            optimizers.close();
        }
        // No more of them are started, and one that is just started ends as well.
        let pools = self.with_optimizers(Optimizers::any_pool);
        pools.iter().for_each(|pool| pool.finish());
        let ending = Ending { pools: &pools, at: end };
        let _ = tokio::time::timeout(patience, join_all(pools.iter().map(|pool| pool.idle()))).await;
        join_all(pools.iter().map(|pool| pool.shutdown(ending.left()))).await;
    }

    fn entry(&self, name: &str) -> Result<&Entry, NoPool> {
        self.pools.get(name).ok_or_else(|| NoPool(self.pools.keys().map(ToString::to_string).collect()))
    }
}

/// The end of pools, which comes also where whoever asked for it waits no more.
struct Ending<'a> {
    pools: &'a [Arc<Pool>],
    /// Until then, calls that run may finish; for ever, if that is beyond what the clock can name.
    at: Option<Instant>,
}

impl Ending<'_> {
    fn left(&self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.pools.iter().for_each(|pool| pool.end(self.left()));
    }
}
