//! A slot with its processes, and what is known of each.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use crate::pool::events::{Retirement, WorkerEnd, WorkerId};
use crate::pool::heartbeat::Pulse;
use crate::pool::intensity::Intensity;
use crate::pool::logs::Tail;
use crate::pool::process::{self, Memory};
use crate::pool::recycling::Term;
use crate::pool::slot::Slot;
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
    /// When the process of that number started.
    pub(super) born: Option<u64>,
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
    /// Tells that its drain takes too long.
    pub(super) reminder: Option<AbortOnDropHandle<()>>,
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
            born: None,
            asked: Instant::now(),
            ready: None,
            pulse: Pulse::default(),
            term,
            memory: Memory::default(),
            leaves_for: None,
            retired: None,
            verdict: None,
            reminder: None,
        }
    }

    /// It runs as this process on this machine.
    pub(super) fn runs_as(&mut self, pid: u32) {
        if self.pid.is_none() {
            self.pid = Some(pid);
            self.born = process::start_time(pid);
        }
    }

    /// From ready until now; zero for one that never was.
    pub(super) fn lived(&self) -> Duration {
        self.ready.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
