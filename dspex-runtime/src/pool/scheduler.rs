//! Who gets a place at which worker: least loaded first, a bounded queue, nothing lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::transport::Link;

/// The pool's load, as figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Whether a place may be beyond the limit.
#[derive(Clone, Copy)]
enum Beyond {
    No,
    Reserve,
}

impl Permit {
    /// Tells a tracker when the place is given back.
    pub(crate) fn track(&mut self, token: TaskTrackerToken) {
        self.tracked = Some(token);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.scheduler.release(self.slot, self.generation);
    }
}

/// Hands out places.
pub(crate) struct Scheduler {
    state: Mutex<State>,
    in_flight_per_worker: usize,
    queue_limit: usize,
}

struct State {
    slots: Vec<Slot>,
    queue: VecDeque<oneshot::Sender<Result<Lease, LeaseError>>>,
    refusal: Option<LeaseError>,
}

#[derive(Default)]
struct Slot {
    generation: u64,
    link: Option<Arc<Link>>,
    in_flight: usize,
}

impl Scheduler {
    /// A scheduler of `slots` empty slots.
    pub(crate) fn new(slots: usize, in_flight_per_worker: usize, queue_limit: usize) -> Arc<Self> {
        let slots = (0..slots).map(|_| Slot::default()).collect();
        let state = State { slots, queue: VecDeque::new(), refusal: None };
        Arc::new(Self { state: Mutex::new(state), in_flight_per_worker, queue_limit })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes calls from now on.
    pub(crate) fn publish(self: &Arc<Self>, slot: usize, generation: u64, link: Arc<Link>) {
        let mut state = self.lock();
        state.slots[slot] = Slot { generation, link: Some(link), in_flight: 0 };
        if !matches!(state.refusal, Some(LeaseError::Closed)) {
            state.refusal = None;
        }
        self.serve_queue(state);
    }

    /// A worker may take calls again that did not for a while.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.serve_queue(self.lock());
    }

    /// A worker takes no more calls. Those that run keep their places.
    pub(crate) fn withdraw(&self, slot: usize, generation: u64) {
        let mut state = self.lock();
        let slot = &mut state.slots[slot];
        if slot.generation == generation {
            slot.link = None;
        }
    }

    /// No worker can be started: whoever waits or comes is told why, until one is published.
    pub(crate) fn refuse(&self, refusal: LeaseError) {
        let waiting = {
            let mut state = self.lock();
            state.refusal = Some(refusal.clone());
            std::mem::take(&mut state.queue)
        };
        for waiter in waiting {
            let _ = waiter.send(Err(refusal.clone()));
        }
    }

    /// A place at the least loaded worker, now or when one is free.
    ///
    /// A call that holds a place may wait for another one, which its tool makes. That one cannot be made to wait for the places that
    /// there are, since all of them may be held so. It may take one beyond the limit: the reserve of the call above, which all
    /// that its tools call share.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        reserve: Option<&Arc<Semaphore>>,
    ) -> Result<Lease, LeaseError> {
        let Some(reserve) = reserve else { return self.wait(deadline, Beyond::No).await };
        let usual = async {
            match self.wait(deadline, Beyond::No).await {
                // There is still the reserve.
                Err(LeaseError::Saturated(_)) => std::future::pending().await,
                other => other,
            }
        };
        let beyond = async {
            let reserved = reserve.clone().acquire_owned().await;
            let mut lease = self.wait(deadline, Beyond::Reserve).await?;
            lease.permit.reserved = reserved.ok();
            Ok(lease)
        };
        let either = async {
            tokio::select! { biased; lease = usual => lease, lease = beyond => lease }
        };
        match deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline, either).await.unwrap_or(Err(LeaseError::Deadline))
            }
            None => either.await,
        }
    }

    async fn wait(self: &Arc<Self>, deadline: Option<Instant>, beyond: Beyond) -> Result<Lease, LeaseError> {
        let waiting = {
            let mut state = self.lock();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            let (limit, reserved) = match beyond {
                Beyond::No => (self.in_flight_per_worker, false),
                Beyond::Reserve => (usize::MAX, true),
            };
            // Whoever waits already comes first, unless the place is none of those that are waited for.
            if (reserved || state.queue.is_empty())
                && let Some(lease) = self.take_place(&mut state, limit)
            {
                return Ok(lease);
            }
            state.queue.retain(|waiter| !waiter.is_closed());
            if state.queue.len() >= self.queue_limit && !reserved {
                return Err(LeaseError::Saturated(self.load_of(&state)));
            }
            let (waiter, waiting) = oneshot::channel();
            if reserved {
                // No worker is there now.
                state.queue.push_front(waiter);
            } else {
                state.queue.push_back(waiter);
            }
            waiting
        };
        let granted = match deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline, waiting).await.map_err(|_| LeaseError::Deadline)?
            }
            None => waiting.await,
        };
        granted.unwrap_or(Err(LeaseError::Closed))
    }

    fn take_place(self: &Arc<Self>, state: &mut State, limit: usize) -> Option<Lease> {
        let (index, slot) = state
            .slots
            .iter_mut()
            .enumerate()
            .filter(|(_, slot)| {
                slot.in_flight < limit && slot.link.as_ref().is_some_and(|link| link.takes_calls())
            })
            // An endpoint may have calls of other hosts besides.
            .min_by_key(|(_, slot)| slot.in_flight + slot.link.as_ref().map_or(0, |link| link.elsewhere()))?;
        let link = slot.link.clone()?;
        slot.in_flight += 1;
        let permit = Permit {
            scheduler: self.clone(),
            slot: index,
            generation: slot.generation,
            tracked: None,
            reserved: None,
        };
        Some(Lease { link, permit })
    }

    fn release(self: &Arc<Self>, slot: usize, generation: u64) {
        let mut state = self.lock();
        let slot = &mut state.slots[slot];
        // A place at an earlier generation died with its worker.
        if slot.generation == generation {
            slot.in_flight = slot.in_flight.saturating_sub(1);
        }
        if !state.queue.is_empty() {
            self.serve_queue(state);
        }
    }

    /// Gives free places to those who wait. Sends outside the lock: a lease that nobody takes gives its place
    /// back, which takes the lock again.
    fn serve_queue(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut granted = Vec::new();
        while let Some(waiter) = state.queue.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            match self.take_place(&mut state, self.in_flight_per_worker) {
                Some(lease) => granted.push((waiter, lease)),
                None => {
                    state.queue.push_front(waiter);
                    break;
                }
            }
        }
        drop(state);
        for (waiter, lease) in granted {
            let _ = waiter.send(Ok(lease));
        }
    }

    /// The load now.
    pub(crate) fn load(&self) -> Load {
        self.load_of(&self.lock())
    }

    fn load_of(&self, state: &State) -> Load {
        let takes_calls = |slot: &&Slot| slot.link.as_ref().is_some_and(|link| link.takes_calls());
        let ready = state.slots.iter().filter(takes_calls).count();
        Load {
            ready_workers: ready,
            in_flight: state.slots.iter().map(|slot| slot.in_flight).sum(),
            capacity: ready * self.in_flight_per_worker,
            queued: state.queue.iter().filter(|waiter| !waiter.is_closed()).count(),
            queue_limit: self.queue_limit,
        }
    }

    /// The workers that take calls now.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().slots.iter().filter_map(|slot| slot.link.clone()).collect()
    }
}
