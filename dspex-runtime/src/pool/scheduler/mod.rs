//! Who gets a place at which worker.
//!
//! * `core` decides, as a state with steps; `fair` is the lines of those who wait, `hints` what workers have built, `pace` how fast
//!   places come free.
//! * This file puts a lock around it, wakes those who wait, and makes places guards that give themselves back.

mod core;
mod fair;
mod hints;
mod pace;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::core::{Asked, Asker, Core, Given, Limits, Place, Ticket, Worker};
use self::hints::SpecKey;
use super::transport::Link;

/// The pool's load, as figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Load {
    /// Workers that take calls now.
    pub ready_workers: usize,
    /// Calls that run, counting cancelled ones that Python has not yet ended.
    pub in_flight: usize,
    /// Calls that may run at once, over all ready workers.
    pub capacity: usize,
    /// Calls that wait for a place.
    pub queued: usize,
    /// Calls that may wait at most.
    pub queue_limit: usize,
    /// Sessions whose calls wait, counting all calls without a session as one: each has a line of its own, served in turn.
    pub waiting_sessions: usize,
    /// Where the queue is full: about how long until it has room again, as places came free lately. `None` where it has room, or
    /// where too few places came free to tell.
    #[serde(rename = "retry_after_seconds", serialize_with = "some_seconds")]
    pub retry_after: Option<Duration>,
}

/// A time as seconds, where there is one.
pub(crate) fn some_seconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(to)
}

/// Why no place was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseError {
    /// All places taken and the queue full.
    Saturated(Load),
    /// The deadline passed in the queue.
    Deadline,
    /// No worker runs and none can be started.
    Down(String),
    /// The pool was shut down.
    Closed,
}

/// Who asks for a place.
#[derive(Clone, Copy, Default)]
pub(crate) struct Want<'a> {
    /// The session's id; empty without one. Sessions that wait are served in turn.
    pub(crate) session: &'a str,
    /// The hash of the spec that the worker needs.
    pub(crate) spec: Option<&'a str>,
    /// Waits no longer than this.
    pub(crate) deadline: Option<Instant>,
    /// The reserve of the call above.
    pub(crate) reserve: Option<&'a Arc<Semaphore>>,
}

/// A place at a worker.
pub(crate) struct Lease {
    /// The worker.
    pub(crate) link: Arc<Link>,
    /// Given back on drop.
    pub(crate) permit: Permit,
}

/// The right to run one call at one worker; dropping it gives the place to the next in the queue.
pub(crate) struct Permit {
    scheduler: Arc<Scheduler>,
    slot: usize,
    generation: u64,
    /// Tells whoever tracks the call that Python has ended it.
    tracked: Option<TaskTrackerToken>,
    /// Where the place is beyond the limit: the reserve that it is taken from.
    reserved: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// Tells a tracker when the place is given back.
    pub(crate) fn track(&mut self, token: TaskTrackerToken) {
        self.tracked = Some(token);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut core = self.scheduler.lock();
        let given = core.release(self.slot, self.generation, now);
        let idle = core.is_idle();
        drop(core);
        if idle {
            self.scheduler.idle.notify_waiters();
        }
        self.scheduler.hand_out(given);
    }
}

/// A worker as the scheduler sees it.
pub(crate) struct Published {
    pub(crate) index: usize,
    pub(crate) generation: u64,
    pub(crate) link: Arc<Link>,
    pub(crate) in_flight: usize,
}

/// Whoever waits is told through this.
type Waiter = oneshot::Sender<Result<Lease, LeaseError>>;

/// Hands out places.
pub(crate) struct Scheduler {
    core: Mutex<Core<Arc<Link>, Waiter>>,
    /// Told whenever the last place was given back.
    idle: Notify,
}

impl Worker for Arc<Link> {
    fn takes_calls(&self) -> bool {
        Link::takes_calls(self)
    }

    fn elsewhere(&self) -> usize {
        Link::elsewhere(self)
    }
}

impl Scheduler {
    /// A scheduler of `slots` empty slots.
    pub(crate) fn new(slots: usize, in_flight_per_worker: usize, queue_limit: usize) -> Arc<Self> {
        let limits = Limits { in_flight_per_worker, queue: queue_limit };
        Arc::new(Self { core: Mutex::new(Core::new(slots, limits)), idle: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Core<Arc<Link>, Waiter>> {
        // Nothing under this lock panics, so a poisoned state is still whole.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes calls from now on.
    pub(crate) fn publish(self: &Arc<Self>, slot: usize, generation: u64, link: Arc<Link>) {
        let given = self.lock().publish(slot, generation, link);
        self.hand_out(given);
    }

    /// A worker may take calls again that did not for a while.
    pub(crate) fn resume(self: &Arc<Self>) {
        let given = self.lock().resume();
        self.hand_out(given);
    }

    /// A worker takes no more calls. Those that run keep their places.
    pub(crate) fn withdraw(&self, slot: usize, generation: u64) {
        self.lock().withdraw(slot, generation);
    }

    /// No worker can be started: whoever waits or comes is told why, until one is published.
    pub(crate) fn refuse(&self, refusal: LeaseError) {
        let waiting = self.lock().refuse(refusal.clone());
        for waiter in waiting {
            let _ = waiter.send(Err(refusal.clone()));
        }
    }

    /// No new calls: whoever waits or comes is told that the pool is closed, but for what tools call of calls that run.
    pub(crate) fn finish(&self) {
        let waiting = self.lock().finish();
        for waiter in waiting {
            let _ = waiter.send(Err(LeaseError::Closed));
        }
    }

    /// Completes when no place is held.
    pub(crate) async fn idle(&self) {
        let mut told = std::pin::pin!(self.idle.notified());
        loop {
            // Listens first, so that nothing is missed between the look and the wait.
            told.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            told.as_mut().await;
            told.set(self.idle.notified());
        }
    }

    /// A place at the least loaded worker, now or when one is free.
    ///
    /// A call that holds a place may wait for another one, which its tool makes. That one cannot be made to wait for the places that
    /// there are, since all of them may be held so. It may take one beyond the limit: the reserve of the call above, which all
    /// that its tools call share.
    pub(crate) async fn lease(self: &Arc<Self>, want: Want<'_>) -> Result<Lease, LeaseError> {
        let Some(deadline) = want.deadline else { return self.lease_patiently(want).await };
        let leased = tokio::time::timeout_at(deadline, self.lease_patiently(want)).await;
        leased.unwrap_or(Err(LeaseError::Deadline))
    }

    async fn lease_patiently(self: &Arc<Self>, want: Want<'_>) -> Result<Lease, LeaseError> {
        let Some(reserve) = want.reserve else { return self.wait(want, false).await };
        let free = self.lock().take_free(want.spec.map(SpecKey::of));
        if let Some(place) = free {
            return Ok(self.lease_of(place));
        }
        // Before it waits in a line, which would turn somebody away where the queue is full.
        if let Ok(reserved) = reserve.clone().try_acquire_owned() {
            return self.wait_beyond(want, reserved).await;
        }
        let usual = async {
            match self.wait(want, false).await {
                // There is still the reserve, from which places are given until the last call has ended.
                Err(LeaseError::Saturated(_) | LeaseError::Closed) => std::future::pending().await,
                other => other,
            }
        };
        let beyond = async {
            // Nobody closes a reserve.
            let reserved = reserve.clone().acquire_owned().await.map_err(|_| LeaseError::Closed)?;
            self.wait_beyond(want, reserved).await
        };
        tokio::select! { biased; lease = usual => lease, lease = beyond => lease }
    }

    async fn wait_beyond(
        self: &Arc<Self>,
        want: Want<'_>,
        reserved: OwnedSemaphorePermit,
    ) -> Result<Lease, LeaseError> {
        let mut lease = self.wait(want, true).await?;
        lease.permit.reserved = Some(reserved);
        Ok(lease)
    }

    async fn wait(self: &Arc<Self>, want: Want<'_>, beyond: bool) -> Result<Lease, LeaseError> {
        let asker = Asker { session: want.session, spec: want.spec.map(SpecKey::of), beyond };
        let (waiter, waiting) = oneshot::channel();
        let asked = self.lock().ask(asker, now, || waiter);
        match asked {
            Asked::Now(place) => Ok(self.lease_of(place)),
            Asked::Refused(refusal) => Err(refusal),
            Asked::Waits(ticket, displaced) => {
                // However the wait ends, nothing of it stays behind.
                let _waiting = Waiting { scheduler: self, ticket };
                if let Some(displaced) = displaced {
                    let _ = displaced.send(Err(LeaseError::Saturated(self.load())));
                }
                waiting.await.unwrap_or(Err(LeaseError::Closed))
            }
        }
    }

    fn lease_of(self: &Arc<Self>, Place { worker, slot, generation }: Place<Arc<Link>>) -> Lease {
        let permit = Permit { scheduler: self.clone(), slot, generation, tracked: None, reserved: None };
        Lease { link: worker, permit }
    }

    /// Tells those who waited. Outside the lock: a lease that nobody takes gives its place back, which takes the lock again.
    fn hand_out(self: &Arc<Self>, given: Given<Arc<Link>, Waiter>) {
        for (waiter, place) in given {
            let _ = waiter.send(Ok(self.lease_of(place)));
        }
    }

    /// Why nobody is given a place, while nobody is.
    pub(crate) fn refusal(&self) -> Option<LeaseError> {
        self.lock().refusal().cloned()
    }

    /// The load now.
    pub(crate) fn load(&self) -> Load {
        self.lock().load(now())
    }

    /// The workers that were published and not withdrawn, with their slots and the calls that they run.
    pub(crate) fn workers(&self) -> Vec<Published> {
        let published = |(index, generation, link, in_flight): (usize, u64, &Arc<Link>, usize)| Published {
            index,
            generation,
            link: link.clone(),
            in_flight,
        };
        self.lock().workers().map(published).collect()
    }

    /// The workers that take calls now.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().workers().map(|(_, _, link, _)| link.clone()).collect()
    }
}

/// Somebody who waits; dropping it takes them out of their line.
struct Waiting<'a> {
    scheduler: &'a Scheduler,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.scheduler.lock().leave(&self.ticket);
        // The waiter's end wakes nobody, but is no business of the lock's.
        drop(left);
    }
}

/// The time on tokio's clock, which tests may stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
