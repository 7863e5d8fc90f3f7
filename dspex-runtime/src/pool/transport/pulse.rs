//! How a worker is, as it told when it was last asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::proto::Stats;

/// Questions on their way, and what the last answer said.
#[derive(Default)]
pub(super) struct Pulse {
    next: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Stats>>>,
    elsewhere: AtomicUsize,
}

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Stats>>> {
        // Map operations leave the map whole.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new question's number, and what its answer arrives at.
    pub(super) fn expect(&self) -> (u64, oneshot::Receiver<Stats>) {
        let nonce = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let mut asked = self.lock();
        asked.retain(|_, answer| !answer.is_closed());
        asked.insert(nonce, answer);
        (nonce, answered)
    }

    /// The worker answered; this host has so many calls there.
    pub(super) fn told(&self, nonce: u64, stats: Stats, own: usize) {
        self.elsewhere.store((stats.in_flight as usize).saturating_sub(own), Ordering::Relaxed);
        let asked = self.lock().remove(&nonce);
        if let Some(answer) = asked {
            let _ = answer.send(stats);
        }
    }

    /// The calls that the worker runs for other hosts.
    pub(super) fn elsewhere(&self) -> usize {
        self.elsewhere.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_its_question_and_tells_of_other_hosts() {
        let pulse = Pulse::default();
        let (first, one) = pulse.expect();
        let (second, two) = pulse.expect();
        pulse.told(second, Stats { in_flight: 5, ..Stats::default() }, 2);
        pulse.told(first, Stats { in_flight: 1, ..Stats::default() }, 2);
        pulse.told(99, Stats { in_flight: 7, ..Stats::default() }, 4);
        assert_eq!((one.await.unwrap().in_flight, two.await.unwrap().in_flight), (1, 5));
        assert_eq!(pulse.elsewhere(), 3);
    }
}
