//! What became of a pool's workers so far: events, folded.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use crate::pool::{PoolChange, PoolEvent, WorkerEnd};

/// What became of the workers of one slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotHistory {
    /// Those that ended unplanned.
    pub(crate) restarts: u64,
    /// Those that were replaced as planned.
    pub(crate) recycled: u64,
    /// How the last one ended, and when.
    pub(crate) last_end: Option<(WorkerEnd, SystemTime)>,
}

/// What became of a pool so far.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) since: Instant,
    pub(crate) slots: BTreeMap<usize, SlotHistory>,
    /// Why there is no zygote, while there is none.
    pub(crate) zygote_lost: Option<String>,
    pub(crate) zygotes_lost: u64,
    /// Whether a worker was ever ready.
    pub(crate) was_ready: bool,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            slots: BTreeMap::new(),
            zygote_lost: None,
            zygotes_lost: 0,
            was_ready: false,
        }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, event: &PoolEvent) {
        match (&event.change, event.worker) {
            (PoolChange::ZygoteWarm { .. }, _) => self.zygote_lost = None,
            (PoolChange::ZygoteLost { reason }, _) => {
                self.zygote_lost = Some(reason.clone());
                self.zygotes_lost += 1;
            }
            (PoolChange::Ready { .. }, _) => self.was_ready = true,
            (PoolChange::Ended { end, .. }, Some(worker)) => {
                let slot = self.slots.entry(worker.index).or_default();
                match end {
                    WorkerEnd::Shutdown => {}
                    WorkerEnd::Recycled(_) => slot.recycled += 1,
                    _ => slot.restarts += 1,
                }
                slot.last_end = Some((end.clone(), SystemTime::now()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::{Retirement, WorkerId};

    fn note(history: &mut History, worker: Option<(usize, u64)>, change: PoolChange) {
        let worker = worker.map(|(index, generation)| WorkerId::new(index, generation));
        history.note(&PoolEvent { pool: "main".into(), worker, change });
    }

    fn ended(end: WorkerEnd) -> PoolChange {
        PoolChange::Ended { end, lived: Duration::from_secs(1) }
    }

    #[test]
    fn ends_are_counted_by_slot_and_planned_ones_apart() {
        let mut history = History::new();
        note(&mut history, Some((0, 1)), ended(WorkerEnd::Signal(9)));
        note(&mut history, Some((0, 2)), ended(WorkerEnd::Recycled(Retirement::Calls(5))));
        note(&mut history, Some((1, 1)), ended(WorkerEnd::Shutdown));
        let slot = &history.slots[&0];
        assert_eq!((slot.restarts, slot.recycled), (1, 1));
        assert_eq!(slot.last_end.as_ref().unwrap().0, WorkerEnd::Recycled(Retirement::Calls(5)));
        assert_eq!((history.slots[&1].restarts, history.slots[&1].recycled), (0, 0));
    }

    #[test]
    fn what_is_true_of_the_pool_lasts_until_it_is_taken_back() {
        let mut history = History::new();
        note(&mut history, None, PoolChange::ZygoteLost { reason: "it ended".into() });
        assert_eq!(history.zygote_lost.as_deref(), Some("it ended"));
        note(&mut history, None, PoolChange::ZygoteWarm { took: Duration::ZERO });
        assert!(history.zygote_lost.is_none() && history.zygotes_lost == 1);
    }
}
