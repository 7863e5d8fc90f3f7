//! A slot with its processes, and what is known of each.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pool::events::{Retirement, WorkerEnd, WorkerId};
use crate::pool::heartbeat::Pulse;
use crate::pool::intensity::Intensity;
use crate::pool::logs::Tail;
use crate::pool::process::Memory;
use crate::pool::recycling::{Recycling, Term};
use crate::pool::slot::{Slot, SlotState};
use crate::pool::transport::Link;

/// A slot and its processes: one, or two while one replaces the other.
pub(super) struct Worker {
    pub(super) slot: Slot,
    pub(super) processes: Vec<Process>,
    /// The ends of its workers that nobody planned.
    pub(super) intensity: Intensity,
    /// The next one may be started as soon as the zygote can.
    pub(super) due: bool,
    /// So many in a row were replaced for their memory soon after their start.
    pub(super) hungry: u32,
    /// No replacement for a living worker before this.
    pub(super) renew_after: Option<Instant>,
}

/// One worker process.
pub(super) struct Process {
    pub(super) id: WorkerId,
    /// Closing it kills the process. None for a worker that an operator started.
    pub(super) lifeline: Option<OwnedFd>,
    /// The number of the zygote that was asked for it.
    pub(super) zygote: u64,
    pub(super) link: Option<Arc<Link>>,
    pub(super) tail: Tail,
    /// Known once it was forked; never for one on another machine.
    pub(super) pid: Option<u32>,
    /// When it was asked for.
    pub(super) asked: Instant,
    /// When it said Hello.
    pub(super) ready: Option<Instant>,
    pub(super) pulse: Pulse,
    pub(super) term: Term,
    pub(super) memory: Memory,
    /// Its replacement starts: why.
    pub(super) leaves_for: Option<Retirement>,
    /// It drains: why.
    pub(super) retired: Option<Retirement>,
    /// How it ends, where the pool itself knows.
    pub(super) verdict: Option<WorkerEnd>,
}

impl Worker {
    pub(super) fn new(intensity: Intensity) -> Self {
        Self { slot: Slot::new(), processes: Vec::new(), intensity, due: true, hungry: 0, renew_after: None }
    }

    /// The process of a generation, while it belongs to the slot.
    pub(super) fn process(&mut self, generation: u64) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.id.generation == generation)
    }

    /// Takes it out of the slot.
    pub(super) fn take(&mut self, generation: u64) -> Option<Process> {
        let at = self.processes.iter().position(|process| process.id.generation == generation)?;
        Some(self.processes.swap_remove(at))
    }

    /// What others may know of its processes; one without any stands for the slot itself.
    pub(super) fn snapshots(&self, index: usize) -> Vec<WorkerSnapshot> {
        if self.processes.is_empty() {
            return vec![WorkerSnapshot {
                id: WorkerId::new(index, self.slot.generation),
                pid: None,
                state: self.slot.state,
                suspected: false,
                ready_for: None,
                calls: 0,
                memory: Memory::default(),
            }];
        }
        self.processes.iter().map(|process| process.snapshot(&self.slot)).collect()
    }
}

impl Process {
    pub(super) fn new(id: WorkerId, term: Term) -> Self {
        Self {
            id,
            lifeline: None,
            zygote: 0,
            link: None,
            tail: Tail::default(),
            pid: None,
            asked: Instant::now(),
            ready: None,
            pulse: Pulse::default(),
            term,
            memory: Memory::default(),
            leaves_for: None,
            retired: None,
            verdict: None,
        }
    }

    /// The bounds of one more worker of a slot.
    pub(super) fn term(rules: &Recycling, random: f64, hungry: u32) -> Term {
        Term::draw(rules, random, hungry)
    }

    /// From ready until now; zero for one that never was.
    pub(super) fn lived(&self) -> Duration {
        self.ready.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn snapshot(&self, slot: &Slot) -> WorkerSnapshot {
        let generation = self.id.generation;
        let state = if slot.leaving == Some(generation) {
            SlotState::Draining
        } else if slot.serving == Some(generation) {
            slot.state
        } else {
            SlotState::Starting
        };
        WorkerSnapshot {
            id: self.id,
            pid: self.pid,
            state,
            suspected: self.link.as_ref().is_some_and(|link| link.is_suspected()),
            ready_for: self.ready.map(|since| since.elapsed()),
            calls: self.link.as_ref().map_or(0, |link| link.calls_begun()),
            memory: self.memory,
        }
    }
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
    /// How long it has been ready.
    pub(crate) ready_for: Option<Duration>,
    /// The calls that it was given.
    pub(crate) calls: u64,
    /// Its memory, as of the last look; zeros: unknown.
    pub(crate) memory: Memory,
}
