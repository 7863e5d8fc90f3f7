//! How much waits to be sent to one worker: whoever would send more to one that reads slowly waits for it to read.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The bytes that wait, and those who wait for fewer.
pub(crate) struct Room {
    waiting: AtomicUsize,
    limit: usize,
    freed: Notify,
}

impl Room {
    /// A message may be added while at most `limit` bytes wait.
    pub(crate) fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { waiting: AtomicUsize::new(0), limit, freed: Notify::new() }
    }

    /// So many bytes wait now.
    pub(crate) fn set(&self, bytes: usize) {
        let before = self.waiting.swap(bytes, Ordering::AcqRel);
        self.wake(before, bytes);
    }

    /// So many bytes wait in addition.
    pub(crate) fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::AcqRel);
    }

    /// So many bytes wait no more.
    pub(crate) fn remove(&self, bytes: usize) {
        let before = self.waiting.fetch_sub(bytes, Ordering::AcqRel);
        self.wake(before, before.saturating_sub(bytes));
    }

    fn wake(&self, before: usize, now: usize) {
        if before > self.limit && now <= self.limit {
            self.freed.notify_waiters();
        }
    }

    fn is_free(&self) -> bool {
        self.waiting.load(Ordering::Acquire) <= self.limit
    }

    /// Completes when there is room, or the worker is `lost`.
    pub(crate) async fn free(&self, lost: &CancellationToken) {
        loop {
            if self.is_free() {
                return;
            }
            let freed = self.freed.notified();
            // Between the look and the wait.
            if self.is_free() {
                return;
            }
            tokio::select! {
                () = freed => {}
                () = lost.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_would_send_more_waits_until_something_was_read() {
        let room = std::sync::Arc::new(Room::new(100));
        let lost = CancellationToken::new();
        room.add(100);
        room.free(&lost).await;
        room.add(1);
        let waiting = tokio::spawn({
            let (room, lost) = (room.clone(), lost.clone());
            async move { room.free(&lost).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        room.remove(1);
        waiting.await.unwrap();
        room.add(1000);
        lost.cancel();
        room.free(&lost).await;
    }
}
