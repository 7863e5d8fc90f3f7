//! A look at every worker, about each second: does it live, and is it time for a fresh one?

use std::time::Instant;

use super::{Event, Supervisor};
use crate::pool::events::{PoolChange, WorkerEnd};
use crate::pool::heartbeat::Verdict;
use crate::pool::process::{self, Memory};
use crate::pool::recycling::hungry_in_a_row;
use crate::pool::slot::{SlotEvent, SlotState};

/// On each so-many-th look, memory is measured exactly, which costs the kernel a walk over all pages.
const EXACT_EVERY: u64 = 10;

impl Supervisor {
    pub(super) async fn look(&mut self) {
        let since_last = self.looked.elapsed();
        self.looked = Instant::now();
        self.looks += 1;
        self.oom.look();
        self.watch_zygote(since_last).await;
        let exact = self.looks.is_multiple_of(EXACT_EVERY);
        for index in 0..self.slots.len() {
            self.feel_pulses(index, since_last);
            self.measure(index, exact);
            self.recycle(index).await;
        }
        if self.degraded.is_some() && !self.dies_too_often() {
            self.degraded = None;
            self.listeners.of_pool(PoolChange::Recovered);
        }
    }

    fn feel_pulses(&mut self, index: usize, since_last: std::time::Duration) {
        let rules = self.config.heartbeat;
        let mut resumed = false;
        for process in &mut self.slots[index].processes {
            let Some(link) = process.link.as_ref().filter(|link| !link.is_lost()) else { continue };
            let pid = process.pid;
            let stopped = || pid.is_some_and(process::is_stopped);
            match process.pulse.look(link.heard(), since_last, rules, stopped) {
                Verdict::Alive => {
                    if link.is_suspected() {
                        link.suspect(false);
                        resumed = true;
                        self.listeners.of_worker(process.id, PoolChange::Answers);
                    }
                }
                Verdict::Ask => link.ping(),
                Verdict::Suspect => {
                    if !link.is_suspected() {
                        link.suspect(true);
                        self.listeners.of_worker(process.id, PoolChange::Suspected);
                    }
                }
                // Its link's end brings the rest.
                Verdict::Dead { silent, stopped } => {
                    link.give_up(WorkerEnd::Unresponsive { silent, stopped });
                }
            }
        }
        if resumed {
            self.scheduler.resume();
        }
    }

    /// The resident size is read at each look, and never below the proportional one; that one is measured where it
    /// decides, and now and then.
    fn measure(&mut self, index: usize, exact: bool) {
        for process in &mut self.slots[index].processes {
            let said = process.link.as_ref().and_then(|link| link.stats());
            let Some(pid) = process.pid else {
                if let Some(stats) = said {
                    process.memory = Memory { rss: stats.rss_bytes, pss: stats.pss_bytes };
                }
                continue;
            };
            let Some(rss) = process::rss(pid) else { continue };
            process.memory.rss = rss;
            let decides = process.ready.is_some() && process.term.may_be_too_much(rss);
            if !(exact || decides || process.memory.pss == 0) {
                continue;
            }
            let (events, id, link) = (self.events.clone(), process.id, process.link.clone());
            // Large processes take the kernel a while.
            tokio::task::spawn_blocking(move || {
                let memory = process::memory(pid).or_else(|| {
                    // Only root may look; the worker says it of itself, when it is asked.
                    let link = link?;
                    link.ping();
                    Some(Memory { rss, pss: said?.pss_bytes })
                });
                if let Some(memory) = memory {
                    let _ = events.send(Event::Measured(id.index, id.generation, memory));
                }
            });
        }
    }

    /// Starts the replacement of a worker whose time is over; of one worker at a time.
    pub(super) async fn recycle(&mut self, index: usize) {
        let busy = self.slots.iter().any(|worker| worker.slot.state == SlotState::Renewing);
        // Nobody needs a fresh worker of a pool that ends.
        if busy || self.announced || !self.fleet.is_local() || !self.can_fork() {
            return;
        }
        let worker = &mut self.slots[index];
        let ready = worker.slot.state == SlotState::Ready && worker.slot.leaving.is_none();
        let waits = worker.renew_after.is_some_and(|after| Instant::now() < after);
        let (true, false, Some(serving)) = (ready, waits, worker.slot.serving) else { return };
        let Some(process) = worker.process(serving) else { return };
        let Some(link) = process.link.clone().filter(|link| !link.is_lost()) else { return };
        let lived = process.lived();
        let Some(why) = process.term.over(link.calls_begun(), lived, process.memory.pss) else { return };
        tracing::debug!(target: "dspex::pool", worker = index, generation = serving, %why, "a worker is replaced");
        process.leaves_for = Some(why);
        worker.hungry = hungry_in_a_row(worker.hungry, why, lived);
        self.step(index, SlotEvent::Renew).await;
    }
}
