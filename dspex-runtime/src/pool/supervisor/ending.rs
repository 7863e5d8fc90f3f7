//! How a worker ended: what the pool did to it, what its zygote reports, and what the kernel counted.
//!
//! The end of a worker's socket arrives before anybody knows why it ended. Its slot is refilled at once; the verdict follows when
//! the zygote reports the process' end (a millisecond later, as a rule), and callers wait for that, shortly.

use std::time::{Duration, Instant};

use super::death::Death;
use super::process::Process;
use super::{Event, Supervisor};
use crate::pool::events::{PoolChange, Retirement, WorkerEnd};
use crate::pool::process;

/// How long the zygote's report is waited for, which comes within a millisecond or two unless the machine is very busy. Below what
/// callers wait.
pub(super) const REPORT_WITHIN: Duration = Duration::from_millis(400);

/// How long a dead worker's last lines are waited for, where they tell how it ended. They are in a pipe by then.
const LAST_LINES_WITHIN: Duration = Duration::from_millis(50);

impl Supervisor {
    /// Takes a worker out of its slot and ends its process.
    pub(super) fn remove(&mut self, index: usize, generation: u64) {
        let Some(mut process) = self.slots[index].take(generation) else { return };
        let end = self.known_end(&process);
        match end {
            Some(end) => {
                self.kill(&mut process);
                self.bury(process, end);
            }
            // Its connection ended, so it is ending, or will be ended when the report is overdue: killed now, its
            // own exit code or signal could be lost.
            None => {
                self.ended.insert((index, generation), process);
                self.send_later(REPORT_WITHIN, Event::Bury(index, generation));
            }
        }
    }

    /// The kernel kills a local process, and its group, when its lifeline closes.
    fn kill(&self, process: &mut Process) {
        if process.lifeline.take().is_none() {
            return;
        }
        // One that has ended by itself has let go of its lifeline, and what it started goes on. Its zygote would end that.
        if !self.zygotes.is_current(process.zygote)
            && let (Some(pid), Some(born)) = (process.pid, process.born)
        {
            process::kill_group(pid, born);
        }
    }

    /// What the pool itself knows of an end, unless the process knows better.
    fn known_end(&self, process: &Process) -> Option<WorkerEnd> {
        if let Some(verdict) = &process.verdict {
            return Some(verdict.clone());
        }
        let Some(link) = &process.link else { return Some(self.planned(process)) };
        if !link.is_lost() {
            return Some(self.planned(process));
        }
        let end = link.end_so_far();
        if !end.is_vague() {
            return Some(end);
        }
        // One that drained and lost no call has ended as it should.
        match process.retired {
            Some(_) if !link.lost_calls() => Some(self.planned(process)),
            // Nobody will report.
            _ if process.lifeline.is_none() || !self.zygotes.is_current(process.zygote) => Some(end),
            _ => None,
        }
    }

    fn planned(&self, process: &Process) -> WorkerEnd {
        match process.retired {
            Some(why) if why != Retirement::Shutdown => WorkerEnd::Recycled(why),
            _ => WorkerEnd::Shutdown,
        }
    }

    /// The zygote reports that a worker's process ended.
    pub(super) async fn exited(
        &mut self,
        index: usize,
        generation: u64,
        code: Option<i32>,
        signal: Option<i32>,
    ) {
        if let Some(process) = self.ended.remove(&(index, generation)) {
            let end = self.classify(&process, code, signal).await;
            return self.bury(process, end);
        }
        // Its socket's end was not seen yet, or it has none that ends.
        let Some(process) = self.slots.get_mut(index).and_then(|worker| worker.take(generation)) else {
            return;
        };
        let end = match process.retired {
            Some(_) if signal.is_none() && code == Some(0) => self.planned(&process),
            _ => self.classify(&process, code, signal).await,
        };
        let link = process.link.clone();
        self.slots[index].processes.push(process);
        match link {
            Some(link) => {
                link.settle(end.clone());
                link.give_up(end);
                self.lost(index, generation).await;
            }
            None => self.start_failed(index, generation, end).await,
        }
    }

    /// Nobody reported: the zygote is gone, or the process does not end by itself.
    pub(super) fn bury_unexplained(&mut self, index: usize, generation: u64) {
        if let Some(mut process) = self.ended.remove(&(index, generation)) {
            self.kill(&mut process);
            let end = process.link.as_ref().map_or(WorkerEnd::Shutdown, |link| link.end_so_far());
            self.bury(process, end);
        }
    }

    async fn classify(&mut self, process: &Process, code: Option<i32>, signal: Option<i32>) -> WorkerEnd {
        let limit = self.config.limits.memory();
        let was_ready = process.ready.is_some();
        if limit.is_some() || !was_ready {
            process.tail.whole(LAST_LINES_WITHIN).await;
        }
        Death { code, signal, was_ready, limit, rss: process.memory.rss, tail: &process.tail }
            .end(&mut self.oom)
    }

    /// The end of a worker is as clear as it will be: everybody is told.
    fn bury(&mut self, process: Process, end: WorkerEnd) {
        let lived = process.lived();
        if let Some(link) = &process.link {
            link.settle(end.clone());
            link.give_up(end.clone());
        }
        let (index, generation) = (process.id.index, process.id.generation);
        self.fleet.clean_up(index, generation);
        if end.is_planned() {
            tracing::debug!(target: "dspex::pool", worker = index, generation, %end, "a worker ended");
        } else {
            let last_lines = process.tail.text();
            tracing::warn!(
                target: "dspex::pool", worker = index, generation, cause = end.cause(), %end, %last_lines, "a worker is gone"
            );
        }
        self.listeners.of_worker(process.id, PoolChange::Ended { end: end.clone(), lived });
        if !end.is_planned() {
            self.refuse_if_hopeless(&end.to_string());
            self.degrade_if_too_many(&end);
        }
    }

    fn degrade_if_too_many(&mut self, cause: &WorkerEnd) {
        if self.dies_too_often() {
            if self.degraded.is_none() {
                tracing::error!(target: "dspex::pool", %cause, "workers die too often");
                self.listeners.of_pool(PoolChange::Degraded { cause: cause.clone() });
            }
            self.degraded = Some(cause.clone());
        }
    }

    /// Whether a slot, or the pool as a whole, lost more workers of late than it should.
    pub(super) fn dies_too_often(&mut self) -> bool {
        let now = Instant::now();
        let slots = self.slots.iter_mut().any(|worker| worker.intensity.is_exceeded(now));
        slots || self.intensity.is_exceeded(now)
    }
}
