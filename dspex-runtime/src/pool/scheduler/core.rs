//! Who gets which place, as a state and steps: no locks, no clocks, no tasks.
//!
//! A call takes a place at the least loaded worker, or waits in its session's line. Whatever changes the state gives those who wait the
//! places that it made free, so that a place is free only where nobody waits.

use std::collections::BTreeMap;
use std::time::Instant;

use super::fair::{self, FairQueue};
use super::hints::{Hints, SpecKey};
use super::pace::Pace;
use super::{LeaseError, Load};

/// What the state needs to know of a worker.
pub(super) trait Worker: Clone {
    /// Whether it takes new calls. One that takes them again after a while is [told of](Core::resume).
    fn takes_calls(&self) -> bool;

    /// The calls that it runs for others.
    fn elsewhere(&self) -> usize;
}

/// The bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) in_flight_per_worker: usize,
    pub(super) queue: usize,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// The session; empty without one.
    pub(super) session: &'a str,
    /// What the worker will have to build, unless it has it.
    pub(super) spec: Option<SpecKey>,
    /// May have a place beyond the limit.
    pub(super) beyond: bool,
}

/// A place that was given, to be [released](Core::release) once.
#[derive(Clone, Debug)]
pub(super) struct Place<W> {
    pub(super) worker: W,
    pub(super) slot: usize,
    pub(super) generation: u64,
}

/// What becomes of whoever asks.
pub(super) enum Asked<W, T> {
    Now(Place<W>),
    /// Waits; in its place, whoever came last of a longer line is turned away.
    Waits(Ticket, Option<T>),
    Refused(LeaseError),
}

/// Where somebody waits.
#[derive(Clone, Debug)]
pub(super) enum Ticket {
    InLine(fair::Ticket),
    /// Before all lines: whoever may have a place beyond the limit, while no worker is there.
    First(u64),
}

/// The state. `W` is a worker, `T` whoever waits.
pub(super) struct Core<W, T> {
    slots: Vec<Slot<W>>,
    limits: Limits,
    lines: FairQueue<Waiter<T>>,
    first: BTreeMap<u64, Waiter<T>>,
    next_first: u64,
    /// Places that were given and not released, also those at workers that are gone.
    held: usize,
    pace: Pace,
    refusal: Option<LeaseError>,
    /// Calls of tools still get places, so that the calls above them come to their ends.
    finishing: bool,
}

struct Slot<W> {
    generation: u64,
    worker: Option<W>,
    in_flight: usize,
    hints: Hints,
}

struct Waiter<T> {
    spec: Option<SpecKey>,
    waiter: T,
}

/// The places that were given to those who waited.
pub(super) type Given<W, T> = Vec<(T, Place<W>)>;

impl<W: Worker, T> Core<W, T> {
    pub(super) fn new(slots: usize, limits: Limits) -> Self {
        let slot = || Slot { generation: 0, worker: None, in_flight: 0, hints: Hints::default() };
        Self {
            slots: (0..slots).map(|_| slot()).collect(),
            limits,
            lines: FairQueue::new(),
            first: BTreeMap::new(),
            next_first: 0,
            held: 0,
            pace: Pace::default(),
            refusal: None,
            finishing: false,
        }
    }

    /// Somebody asks for a place; `waiter` is who is told if there is none now.
    pub(super) fn ask(
        &mut self,
        asker: Asker<'_>,
        now: impl FnOnce() -> Instant,
        waiter: impl FnOnce() -> T,
    ) -> Asked<W, T> {
        if let Some(refusal) = &self.refusal
            && !(self.finishing && asker.beyond)
        {
            return Asked::Refused(refusal.clone());
        }
        let place =
            if asker.beyond { self.take_place(usize::MAX, asker.spec) } else { self.take_free(asker.spec) };
        if let Some(place) = place {
            return Asked::Now(place);
        }
        if asker.beyond {
            let number = self.next_first;
            self.next_first += 1;
            self.first.insert(number, Waiter { spec: asker.spec, waiter: waiter() });
            return Asked::Waits(Ticket::First(number), None);
        }
        let mut displaced = None;
        if self.lines.len() >= self.limits.queue {
            match self.lines.displace_for(asker.session) {
                Some(last) => displaced = Some(last.waiter),
                None => return Asked::Refused(LeaseError::Saturated(self.load(now()))),
            }
        }
        let waiter = Waiter { spec: asker.spec, waiter: waiter() };
        Asked::Waits(Ticket::InLine(self.lines.push(asker.session, waiter)), displaced)
    }

    /// A place within the limit, if one is free now. Whoever waits already comes first.
    pub(super) fn take_free(&mut self, spec: Option<SpecKey>) -> Option<Place<W>> {
        if self.refusal.is_some() || !self.lines.is_empty() {
            return None;
        }
        self.take_place(self.limits.in_flight_per_worker, spec)
    }

    /// Somebody waits no more.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> Option<T> {
        let left = match ticket {
            Ticket::InLine(ticket) => self.lines.remove(ticket),
            Ticket::First(number) => self.first.remove(number),
        };
        left.map(|left| left.waiter)
    }

    /// A place is given back.
    pub(super) fn release(
        &mut self,
        slot: usize,
        generation: u64,
        now: impl FnOnce() -> Instant,
    ) -> Given<W, T> {
        self.held = self.held.saturating_sub(1);
        // A place at an earlier generation ended with its worker.
        if let Some(slot) = self.slots.get_mut(slot).filter(|slot| slot.generation == generation) {
            slot.in_flight = slot.in_flight.saturating_sub(1);
        }
        if self.lines.is_empty() {
            self.pace.idle();
        } else {
            self.pace.released(now());
        }
        self.serve()
    }

    /// A worker takes calls from now on, in the place of the one before it.
    pub(super) fn publish(&mut self, slot: usize, generation: u64, worker: W) -> Given<W, T> {
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = Slot { generation, worker: Some(worker), in_flight: 0, hints: Hints::default() };
            if !matches!(self.refusal, Some(LeaseError::Closed)) {
                self.refusal = None;
            }
        }
        self.serve()
    }

    /// A worker may take calls again that did not for a while. If one does, nobody is refused for want of workers.
    pub(super) fn resume(&mut self) -> Given<W, T> {
        let closed = matches!(self.refusal, Some(LeaseError::Closed));
        if !closed && self.slots.iter().any(Slot::takes_calls) {
            self.refusal = None;
        }
        self.serve()
    }

    /// A worker takes no more calls. Those that run keep their places.
    pub(super) fn withdraw(&mut self, slot: usize, generation: u64) {
        if let Some(slot) = self.slots.get_mut(slot).filter(|slot| slot.generation == generation) {
            slot.worker = None;
        }
    }

    /// Why nobody is given a place, while nobody is.
    pub(super) fn refusal(&self) -> Option<&LeaseError> {
        self.refusal.as_ref()
    }

    /// Whoever asks is refused until a worker is published, or for ever if the pool is closed. Those who waited are to be told.
    pub(super) fn refuse(&mut self, refusal: LeaseError) -> Vec<T> {
        if !matches!(self.refusal, Some(LeaseError::Closed)) {
            self.refusal = Some(refusal);
        }
        self.finishing = false;
        let first = std::mem::take(&mut self.first).into_values();
        first.chain(self.lines.drain()).map(|waiter| waiter.waiter).collect()
    }

    /// Whoever asks is refused for ever, but for those who may have a place beyond the limit: a call that runs waits for them. Those who
    /// waited are to be told.
    pub(super) fn finish(&mut self) -> Vec<T> {
        if matches!(self.refusal, Some(LeaseError::Closed)) {
            return Vec::new();
        }
        self.refusal = Some(LeaseError::Closed);
        self.finishing = true;
        self.lines.drain().into_iter().map(|waiter| waiter.waiter).collect()
    }

    /// Whether no place is held.
    pub(super) fn is_idle(&self) -> bool {
        self.held == 0
    }

    /// The figures.
    pub(super) fn load(&self, now: Instant) -> Load {
        let ready = self.slots.iter().filter(|slot| slot.takes_calls()).count();
        let full = self.lines.len() >= self.limits.queue;
        Load {
            ready_workers: ready,
            in_flight: self.held,
            capacity: ready * self.limits.in_flight_per_worker,
            queued: self.lines.len() + self.first.len(),
            queue_limit: self.limits.queue,
            waiting_sessions: self.lines.lines(),
            retry_after: if full { self.pace.next(now) } else { None },
        }
    }

    /// The workers that there are: their slots, generations, and how many calls each one runs.
    pub(super) fn workers(&self) -> impl Iterator<Item = (usize, u64, &W, usize)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter_map(|(index, slot)| Some((index, slot.generation, slot.worker.as_ref()?, slot.in_flight)))
    }

    /// Gives free places to those who wait. A place is taken before somebody leaves the line for it: a worker may go at any time.
    fn serve(&mut self) -> Given<W, T> {
        let mut given = Vec::new();
        while let Some(spec) = self.first.first_key_value().map(|(_, waiter)| waiter.spec) {
            let Some(place) = self.take_place(usize::MAX, spec) else { break };
            if let Some((_, waiter)) = self.first.pop_first() {
                given.push((waiter.waiter, place));
            }
        }
        while let Some(spec) = self.lines.front().map(|waiter| waiter.spec) {
            let Some(place) = self.take_place(self.limits.in_flight_per_worker, spec) else { break };
            if let Some(waiter) = self.lines.pop() {
                given.push((waiter.waiter, place));
            }
        }
        given
    }

    fn take_place(&mut self, limit: usize, spec: Option<SpecKey>) -> Option<Place<W>> {
        let candidates = || {
            let free = |(_, slot): &(usize, &Slot<W>)| slot.in_flight < limit && slot.takes_calls();
            self.slots.iter().enumerate().filter(free)
        };
        let (least, _) = candidates().min_by_key(|(_, slot)| slot.load())?;
        let mut chosen = least;
        if let Some(spec) = spec.filter(|_| self.slots.len() > 1) {
            // A few calls more cost less than building: but for a while only, since what is built there as well is faster for ever.
            let slack = (self.limits.in_flight_per_worker / 8).max(1);
            let most = self.slots[least].load().saturating_add(slack);
            let knows = |(_, slot): &(usize, &Slot<W>)| slot.load() <= most && slot.hints.knows(spec);
            let warm = candidates().filter(knows).min_by_key(|(_, slot)| slot.load());
            if let Some((warm, slot)) = warm
                && (slot.load() == self.slots[least].load() || self.slots[warm].hints.keeps(spec))
            {
                chosen = warm;
            }
        }
        let slot = &mut self.slots[chosen];
        let worker = slot.worker.clone()?;
        if let Some(spec) = spec {
            slot.hints.used(spec);
        }
        slot.in_flight += 1;
        self.held += 1;
        Some(Place { worker, slot: chosen, generation: slot.generation })
    }
}

impl<W: Worker> Slot<W> {
    /// The calls that its worker runs, also for others.
    fn load(&self) -> usize {
        self.in_flight + self.worker.as_ref().map_or(0, Worker::elsewhere)
    }

    fn takes_calls(&self) -> bool {
        self.worker.as_ref().is_some_and(Worker::takes_calls)
    }
}
