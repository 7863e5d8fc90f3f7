//! The cancelled calls of one link that Python has not ended: one task looks after all of them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Who is waited for, in the order in which their time is over, which is that of their cancellations.
#[derive(Default)]
pub(super) struct Grace(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    calls: VecDeque<(Instant, u64)>,
    watched: bool,
}

impl Grace {
    /// A call was cancelled. True if nobody looks after them yet: whoever is told so has to.
    pub(super) fn add(&self, call: u64, until: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.calls.push_back((until, call));
        !std::mem::replace(&mut waiting.watched, true)
    }

    /// The first one that has not ended; with none left, nobody looks after them any more.
    pub(super) fn next(&self, has_ended: impl Fn(u64) -> bool) -> Option<(Instant, u64)> {
        let mut waiting = self.lock();
        while let Some(first) = waiting.calls.front().copied() {
            if !has_ended(first.1) {
                return Some(first);
            }
            waiting.calls.pop_front();
        }
        *waiting = Waiting::default();
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_looks_after_all_and_nothing_of_them_stays() {
        let (grace, start) = (Grace::default(), Instant::now());
        let until = |call: u64| start + Duration::from_millis(call);
        assert!(grace.add(1, until(1)));
        assert!(!grace.add(2, until(2)) && !grace.add(3, until(3)));
        assert_eq!(grace.next(|call| call == 1), Some((until(2), 2)));
        assert_eq!(grace.next(|_| true), None);
        assert_eq!(grace.lock().calls.capacity(), 0);
        assert!(grace.add(4, until(4)), "somebody has to look again");
    }
}
