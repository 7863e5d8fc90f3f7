//! Where a call stands: below the calls whose tools, rewards and models it is part of.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
        if other.depth > self.depth { other } else { self }
    }

    /// Where the calls stand that one at this place asks for. `reserve` is its own, if it holds a place in the pool.
    pub(crate) fn below(&self, reserve: Option<Arc<Semaphore>>) -> Self {
        let reserve = reserve.or_else(|| self.reserve.clone());
        Self { depth: self.depth + 1, reserve, held: self.held.clone() }
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
