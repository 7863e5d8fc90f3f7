//! What others may know of the workers, as of the supervisor's last step.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Supervisor;
use super::process::{Process, Worker};
use crate::pool::events::{WorkerEnd, WorkerId};
use crate::pool::process::Memory;
use crate::pool::slot::{Slot, SlotState};

/// Where the supervisor leaves it.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Standing>);

/// The content of a [`Board`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Every worker process, in the order of the slots.
    pub(crate) workers: Vec<WorkerSnapshot>,
    /// Too many workers ended of late: how the last one did.
    pub(crate) degraded: Option<WorkerEnd>,
    /// Workers can be forked; always so where an operator starts them.
    pub(crate) zygote_warm: bool,
    /// The supervisor has ended, and every process with it.
    pub(crate) ended: bool,
}

/// What is known of one worker process, or of a slot without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerSnapshot {
    /// Which one.
    pub(crate) id: WorkerId,
    /// Its process id, where it lives on this machine.
    pub(crate) pid: Option<u32>,
    /// Where it stands.
    pub(crate) state: SlotState,
    /// It owes a sign of life and gets no calls.
    pub(crate) suspected: bool,
    /// Since when it has been ready.
    pub(crate) ready: Option<Instant>,
    /// The calls that it was given.
    pub(crate) calls: u64,
    /// Its memory, as of the last look; zeros: unknown.
    pub(crate) memory: Memory,
}

impl Board {
    /// As it stands now.
    pub(crate) fn read(&self) -> Standing {
        // Plain assignments leave it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn write(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    }
}

impl Supervisor {
    /// What there is now.
    pub(super) fn standing(&self) -> Standing {
        let workers = self.slots.iter().enumerate().flat_map(|(index, worker)| snapshots(worker, index));
        Standing {
            workers: workers.collect(),
            degraded: self.degraded.clone(),
            zygote_warm: self.can_fork(),
            ended: false,
        }
    }
}

/// The processes of a slot; one without any stands for the slot itself.
fn snapshots(worker: &Worker, index: usize) -> Vec<WorkerSnapshot> {
    if worker.processes.is_empty() {
        return vec![WorkerSnapshot {
            id: WorkerId::new(index, worker.slot.generation),
            pid: None,
            state: worker.slot.state,
            suspected: false,
            ready: None,
            calls: 0,
            memory: Memory::default(),
        }];
    }
    worker.processes.iter().map(|process| snapshot(process, &worker.slot)).collect()
}

fn snapshot(process: &Process, slot: &Slot) -> WorkerSnapshot {
    let generation = process.id.generation;
    let state = if slot.leaving == Some(generation) {
        SlotState::Draining
    } else if slot.serving == Some(generation) {
        slot.state
    } else {
        SlotState::Starting
    };
    WorkerSnapshot {
        id: process.id,
        pid: process.pid,
        state,
        suspected: process.link.as_ref().is_some_and(|link| link.is_suspected()),
        ready: process.ready,
        calls: process.link.as_ref().map_or(0, |link| link.calls_begun()),
        memory: process.memory,
    }
}
