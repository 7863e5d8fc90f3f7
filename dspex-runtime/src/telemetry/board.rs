//! What is known of a pool's workers now: events, folded.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use crate::pool::{PoolChange, PoolEvent, WorkerEnd, WorkerId};

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerState {
    /// Nothing runs: a process is about to be asked for.
    Waiting,
    /// A process was asked for, and has not said who it is.
    Starting,
    /// Takes calls.
    Ready,
    /// Takes no new calls, and ends after those that it has.
    Draining,
    /// Failed too often: replaced after a while.
    BackingOff,
    /// Ended for good.
    Stopped,
}

/// One slot, and the latest worker in it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) generation: u64,
    pub(crate) state: WorkerState,
    pub(crate) since: Instant,
    pub(crate) pid: Option<u32>,
    /// Workers of this slot that ended unplanned.
    pub(crate) restarts: u64,
    /// Workers of this slot that were replaced as planned.
    pub(crate) recycled: u64,
    pub(crate) last_end: Option<(WorkerEnd, SystemTime)>,
}

impl Row {
    fn new() -> Self {
        Self {
            generation: 0,
            state: WorkerState::Waiting,
            since: Instant::now(),
            pid: None,
            restarts: 0,
            recycled: 0,
            last_end: None,
        }
    }

    fn become_now(&mut self, state: WorkerState) {
        self.state = state;
        self.since = Instant::now();
    }
}

/// A pool's workers, and what is true of the pool as a whole.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) since: Instant,
    /// By slot.
    pub(crate) workers: BTreeMap<usize, Row>,
    /// Why the pool is degraded, while it is.
    pub(crate) degraded: Option<WorkerEnd>,
    /// Why there is no zygote, while there is none.
    pub(crate) zygote_lost: Option<String>,
    pub(crate) zygotes_lost: u64,
    pub(crate) shutting_down: bool,
    /// Whether a worker was ever ready.
    pub(crate) was_ready: bool,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            workers: BTreeMap::new(),
            degraded: None,
            zygote_lost: None,
            zygotes_lost: 0,
            shutting_down: false,
            was_ready: false,
        }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, event: &PoolEvent) {
        match (&event.change, event.worker) {
            (PoolChange::Degraded { cause }, _) => self.degraded = Some(cause.clone()),
            (PoolChange::Recovered, _) => self.degraded = None,
            (PoolChange::ZygoteWarm { .. }, _) => self.zygote_lost = None,
            (PoolChange::ZygoteLost { reason }, _) => {
                self.zygote_lost = Some(reason.clone());
                self.zygotes_lost += 1;
            }
            (PoolChange::ShuttingDown, _) => self.shutting_down = true,
            (change, Some(worker)) => {
                if self.shutting_down && *change == PoolChange::Starting {
                    // Workers for runs of optimizers come and go; these are new ones, counted from 1 again.
                    self.shutting_down = false;
                    self.workers.values_mut().for_each(|row| row.generation = 0);
                }
                self.was_ready |= matches!(change, PoolChange::Ready { .. });
                let row = self.workers.entry(worker.index).or_insert_with(Row::new);
                of_worker(row, worker, change, self.shutting_down);
            }
            (_, None) => {}
        }
    }
}

fn of_worker(row: &mut Row, worker: WorkerId, change: &PoolChange, shutting_down: bool) {
    if let PoolChange::Ended { end, .. } = change {
        // That of an earlier generation counts too: its successor may be there before it ends.
        match end {
            WorkerEnd::Shutdown => {}
            WorkerEnd::Recycled(_) => row.recycled += 1,
            _ => row.restarts += 1,
        }
        row.last_end = Some((end.clone(), SystemTime::now()));
    }
    if worker.generation < row.generation {
        return;
    }
    row.generation = worker.generation;
    match change {
        PoolChange::Starting => {
            row.pid = None;
            row.become_now(WorkerState::Starting);
        }
        PoolChange::Ready { pid, .. } => {
            row.pid = Some(*pid).filter(|pid| *pid != 0);
            row.become_now(WorkerState::Ready);
        }
        PoolChange::Draining { .. } => row.become_now(WorkerState::Draining),
        PoolChange::Ended { .. } => {
            row.pid = None;
            row.become_now(if shutting_down { WorkerState::Stopped } else { WorkerState::Waiting });
        }
        PoolChange::BackingOff { .. } => row.become_now(WorkerState::BackingOff),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::Retirement;

    fn note(board: &mut Board, worker: Option<(usize, u64)>, change: PoolChange) {
        let worker = worker.map(|(index, generation)| WorkerId::new(index, generation));
        board.note(&PoolEvent { pool: "main".into(), worker, change });
    }

    fn ready(pid: u32) -> PoolChange {
        PoolChange::Ready { pid, took: Duration::ZERO }
    }

    fn ended(end: WorkerEnd) -> PoolChange {
        PoolChange::Ended { end, lived: Duration::from_secs(1) }
    }

    #[test]
    fn a_worker_that_dies_is_counted_and_its_successor_is_shown() {
        let mut board = Board::new();
        note(&mut board, Some((0, 1)), PoolChange::Starting);
        note(&mut board, Some((0, 1)), ready(10));
        note(&mut board, Some((0, 1)), ended(WorkerEnd::Signal(9)));
        assert_eq!((board.workers[&0].state, board.workers[&0].pid), (WorkerState::Waiting, None));
        note(&mut board, Some((0, 2)), PoolChange::Starting);
        note(&mut board, Some((0, 2)), ready(11));
        let row = &board.workers[&0];
        assert_eq!((row.generation, row.state, row.pid, row.restarts), (2, WorkerState::Ready, Some(11), 1));
        assert_eq!(row.last_end.as_ref().unwrap().0, WorkerEnd::Signal(9));
    }

    #[test]
    fn the_end_of_a_worker_that_was_replaced_before_leaves_its_successor_ready() {
        let mut board = Board::new();
        note(&mut board, Some((0, 1)), ready(10));
        note(&mut board, Some((0, 2)), ready(11));
        note(&mut board, Some((0, 1)), PoolChange::Draining { why: Retirement::Calls(5) });
        note(&mut board, Some((0, 1)), ended(WorkerEnd::Recycled(Retirement::Calls(5))));
        let row = &board.workers[&0];
        assert_eq!((row.state, row.pid, row.restarts, row.recycled), (WorkerState::Ready, Some(11), 0, 1));
    }

    #[test]
    fn what_is_true_of_the_pool_lasts_until_it_is_taken_back() {
        let mut board = Board::new();
        note(&mut board, None, PoolChange::ZygoteLost { reason: "it ended".into() });
        note(&mut board, None, PoolChange::Degraded { cause: WorkerEnd::Exit(1) });
        assert!(board.zygote_lost.is_some() && board.degraded == Some(WorkerEnd::Exit(1)));
        note(&mut board, None, PoolChange::ZygoteWarm { took: Duration::ZERO });
        note(&mut board, None, PoolChange::Recovered);
        assert!(board.zygote_lost.is_none() && board.degraded.is_none());
        assert_eq!(board.zygotes_lost, 1);
        note(&mut board, None, PoolChange::ShuttingDown);
        note(&mut board, Some((0, 1)), ended(WorkerEnd::Shutdown));
        assert_eq!(board.workers[&0].state, WorkerState::Stopped);
    }
}
