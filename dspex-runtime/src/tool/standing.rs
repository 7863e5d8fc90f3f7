//! Where a call stands: below the calls whose tools, rewards and models it is part of.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::Traced;

tokio::task_local! {
    /// Where a call stands that is made from here.
    static HERE: Standing;
}

/// Where a call stands. The handles that a tool's context gives know it, and so does the task that the tool runs in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// How many calls stand above it.
    pub(crate) depth: u32,
    /// The one place beyond the pool's limit that the calls below another share; none if no call above holds a place.
    pub(crate) reserve: Option<Arc<Semaphore>>,
    /// The limits that tools above hold places of.
    held: Option<Arc<Held>>,
    /// The trace that calls belong to which are made here, if anybody traces them.
    pub(crate) trace: Option<Traced>,
}

#[derive(Debug)]
struct Held {
    limit: Arc<Semaphore>,
    above: Option<Arc<Held>>,
}

impl Standing {
    /// Where a call stands that is made in this task.
    pub(crate) fn here() -> Self {
        HERE.try_with(Self::clone).unwrap_or_default()
    }

    /// This one or the other, whichever is deeper.
    pub(crate) fn or_deeper(self, other: Self) -> Self {
        if other.depth > self.depth { other.traced_as(self.trace) } else { self }
    }

    /// This one, in the trace that the program gave it, if it did so.
    fn traced_as(mut self, trace: Option<Traced>) -> Self {
        if let Some(given) = trace.filter(|trace| trace.given) {
            self.trace = Some(given);
        }
        self
    }

    /// This one, in the trace of the running task where nobody named another.
    pub(crate) fn in_trace_of_task(mut self) -> Self {
        if !self.trace.as_ref().is_some_and(|trace| trace.given) {
            self.trace = Self::here().trace.or(self.trace);
        }
        self
    }

    /// Where the calls stand that one at this place asks for. `reserve` is its own, if it holds a place in the pool.
    pub(crate) fn below(&self, reserve: Option<Arc<Semaphore>>) -> Self {
        let reserve = reserve.or_else(|| self.reserve.clone());
        let trace = self.trace.clone().map(|trace| Traced::within(trace.context));
        Self { depth: self.depth + 1, reserve, held: self.held.clone(), trace }
    }

    /// A place under a limit; none where a tool above holds one, since that waits for what runs here.
    pub(crate) async fn place(&mut self, limit: Option<&Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
        let limit = limit.filter(|limit| !self.holds(limit))?;
        // The limits are never closed, so there is always a place at last.
        let place = limit.clone().acquire_owned().await.ok()?;
        self.held = Some(Arc::new(Held { limit: limit.clone(), above: self.held.take() }));
        Some(place)
    }

    fn holds(&self, limit: &Arc<Semaphore>) -> bool {
        let mut next = self.held.as_ref();
        while let Some(held) = next {
            if Arc::ptr_eq(&held.limit, limit) {
                return true;
            }
            next = held.above.as_ref();
        }
        false
    }

    /// Has a future's calls stand here.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        HERE.scope(self, future)
    }

    /// Has a function's calls stand here.
    pub(crate) fn sync_scope<T>(self, function: impl FnOnce() -> T) -> T {
        HERE.sync_scope(self, function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_is_held_once_on_the_way_down() {
        let (one, other) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let mut above = Standing::default();
        let place = above.place(Some(&one)).await;
        assert!(place.is_some() && one.available_permits() == 0);
        let mut below = above.below(None);
        assert!(below.place(Some(&one)).await.is_none(), "it would wait for itself");
        assert!(below.place(Some(&other)).await.is_some());
        assert!(!above.holds(&other), "what is held below is not held above");
    }

    #[tokio::test]
    async fn a_task_knows_where_it_stands_and_a_thread_can_be_told() {
        assert_eq!(Standing::here().depth, 0);
        let deep = Standing::default().below(None).below(None);
        deep.scope(async {
            assert_eq!(Standing::here().depth, 2);
            let here = Standing::here();
            let thread = std::thread::spawn(|| here.sync_scope(|| Standing::here().depth));
            assert_eq!(thread.join().unwrap(), 2);
        })
        .await;
    }
}
