//! The core against a model: no place is lost or given twice, bounds hold, nobody starves.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use proptest::prelude::*;

use super::core::{Asked, Asker, Core, Given, Limits, Place, Ticket, Worker};
use super::hints::SpecKey;
use super::{LeaseError, Load};

/// A worker that a test may end.
#[derive(Clone, Debug)]
struct Fake(Rc<Cell<bool>>);

impl Fake {
    fn new() -> Self {
        Self(Rc::new(Cell::new(true)))
    }
}

impl Worker for Fake {
    fn takes_calls(&self) -> bool {
        self.0.get()
    }

    fn elsewhere(&self) -> usize {
        0
    }
}

#[test]
fn a_refusal_for_want_of_workers_ends_when_one_takes_calls_again() {
    let mut core: Core<Fake, u32> = Core::new(1, Limits { in_flight_per_worker: 1, queue: 1 });
    let worker = Fake::new();
    core.publish(0, 1, worker.clone());
    worker.0.set(false);
    core.refuse(LeaseError::Down("no zygote".to_owned()));
    assert!(matches!(core.ask(asker(""), Instant::now, || 1), Asked::Refused(LeaseError::Down(_))));
    core.resume();
    assert!(matches!(core.ask(asker(""), Instant::now, || 1), Asked::Refused(_)), "it does not take any yet");
    worker.0.set(true);
    core.resume();
    assert!(matches!(core.ask(asker(""), Instant::now, || 1), Asked::Now(_)));
    core.refuse(LeaseError::Closed);
    core.resume();
    assert!(
        matches!(core.ask(asker(""), Instant::now, || 1), Asked::Refused(LeaseError::Closed)),
        "for ever"
    );
}

#[test]
fn a_pool_that_finishes_gives_places_to_calls_of_tools_only_until_it_is_closed() {
    let mut core: Core<Fake, u32> = Core::new(1, Limits { in_flight_per_worker: 1, queue: 1 });
    core.publish(0, 1, Fake::new());
    let of_a_tool = || Asker { beyond: true, ..asker("") };
    let Asked::Now(running) = core.ask(asker(""), Instant::now, || 1) else { panic!("there is a place") };
    assert!(matches!(core.ask(asker(""), Instant::now, || 2), Asked::Waits(..)));
    assert_eq!(core.finish(), [2], "whoever waits is told");
    assert!(core.finish().is_empty(), "once");
    assert!(matches!(core.ask(asker(""), Instant::now, || 3), Asked::Refused(LeaseError::Closed)));
    let Asked::Now(nested) = core.ask(of_a_tool(), Instant::now, || 4) else { panic!("it goes on") };
    core.release(running.slot, running.generation, Instant::now);
    assert!(!core.is_idle());
    core.release(nested.slot, nested.generation, Instant::now);
    assert!(core.is_idle());
    core.refuse(LeaseError::Closed);
    assert!(matches!(core.ask(of_a_tool(), Instant::now, || 5), Asked::Refused(LeaseError::Closed)));
}

fn asker(session: &str) -> Asker<'_> {
    Asker { session, spec: None, beyond: false }
}

/// The core, and beside it what a test knows of every call.
struct World {
    core: Core<Fake, u32>,
    limits: Limits,
    workers: Vec<Option<(u64, Fake)>>,
    generation: u64,
    calls: u32,
    waiting: BTreeMap<u32, (Ticket, bool)>,
    held: BTreeMap<u32, (Place<Fake>, bool)>,
    closed: bool,
    refusing: bool,
}

impl World {
    fn new(workers: usize, limits: Limits) -> Self {
        Self {
            core: Core::new(workers, limits),
            limits,
            workers: vec![None; workers],
            generation: 0,
            calls: 0,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            closed: false,
            refusing: false,
        }
    }

    /// A call asks; its number.
    fn ask(&mut self, asker: Asker<'_>) -> (u32, Option<LeaseError>) {
        let (call, beyond) = (self.calls, asker.beyond);
        self.calls += 1;
        match self.core.ask(asker, Instant::now, || call) {
            Asked::Now(place) => {
                self.hold(call, place, beyond);
                (call, None)
            }
            Asked::Waits(ticket, displaced) => {
                if let Some(displaced) = displaced {
                    assert!(self.waiting.remove(&displaced).is_some(), "it waited");
                }
                self.waiting.insert(call, (ticket, beyond));
                (call, None)
            }
            Asked::Refused(refusal) => (call, Some(refusal)),
        }
    }

    fn hold(&mut self, call: u32, place: Place<Fake>, beyond: bool) {
        assert!(place.worker.takes_calls(), "the worker takes calls");
        let (generation, _) = self.workers[place.slot].as_ref().expect("the worker is published");
        assert_eq!(*generation, place.generation);
        assert!(self.held.insert(call, (place, beyond)).is_none(), "a call has one place");
    }

    /// Who was given a place.
    fn take(&mut self, given: Given<Fake, u32>) -> Vec<u32> {
        given
            .into_iter()
            .map(|(call, place)| {
                let (_, beyond) = self.waiting.remove(&call).expect("it waited, and was given one place");
                self.hold(call, place, beyond);
                call
            })
            .collect()
    }

    fn release(&mut self, call: u32) -> Vec<u32> {
        let (place, _) = self.held.remove(&call).expect("it has a place");
        let given = self.core.release(place.slot, place.generation, Instant::now);
        self.take(given)
    }

    fn publish(&mut self, slot: usize) -> Vec<u32> {
        self.generation += 1;
        let worker = Fake::new();
        self.workers[slot] = Some((self.generation, worker.clone()));
        self.refusing = self.closed;
        let given = self.core.publish(slot, self.generation, worker);
        self.take(given)
    }

    fn load(&self) -> Load {
        self.core.load(Instant::now())
    }

    fn check(&self) {
        let load = self.load();
        assert_eq!(load.in_flight, self.held.len(), "every place is accounted for");
        assert_eq!(load.queued, self.waiting.len(), "whoever waits is counted once");
        let in_line = self.waiting.values().filter(|(_, beyond)| !beyond).count();
        assert!(in_line <= self.limits.queue);
        let mut free = false;
        for (slot, worker) in self.workers.iter().enumerate() {
            let Some((generation, worker)) = worker else { continue };
            let here =
                |(place, _): &&(Place<Fake>, bool)| place.slot == slot && place.generation == *generation;
            let all = self.held.values().filter(here).count();
            let usual = self.held.values().filter(here).filter(|(_, beyond)| !beyond).count();
            assert!(usual <= self.limits.in_flight_per_worker, "the limit holds");
            free |= worker.takes_calls() && all < self.limits.in_flight_per_worker;
        }
        assert!(!free || self.waiting.is_empty() || self.refusing, "nobody waits beside a free place");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask { session: usize, beyond: bool, spec: u64 },
    Leave(usize),
    Release(usize),
    Publish(usize),
    Withdraw(usize),
    Break(usize),
    Resume(usize),
    Refuse,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => (0..4usize, 0..8u8, 0..6u64)
            .prop_map(|(session, beyond, spec)| Step::Ask { session, beyond: beyond == 0, spec }),
        10 => (0..64usize).prop_map(Step::Leave),
        30 => (0..64usize).prop_map(Step::Release),
        5 => (0..3usize).prop_map(Step::Publish),
        2 => (0..3usize).prop_map(Step::Withdraw),
        2 => (0..3usize).prop_map(Step::Break),
        3 => (0..3usize).prop_map(Step::Resume),
        1 => Just(Step::Refuse),
        1 => (0..30u8).prop_map(|close| if close == 0 { Step::Close } else { Step::Refuse }),
    ];
    proptest::collection::vec(step, 0..300)
}

const SESSIONS: [&str; 4] = ["", "a", "b", "c"];

proptest! {
    #[test]
    fn no_place_is_lost_or_given_twice_and_nobody_starves(
        steps in steps(), in_flight in 1..4usize, queue in 0..8usize,
    ) {
        let mut world = World::new(3, Limits { in_flight_per_worker: in_flight, queue });
        for slot in 0..3 {
            world.publish(slot);
        }
        for step in steps {
            match step {
                Step::Ask { session, beyond, spec } => {
                    let hash = format!("{spec:064x}");
                    let asker = Asker { session: SESSIONS[session], spec: Some(SpecKey::of(&hash)), beyond };
                    let (_, refused) = world.ask(asker);
                    if let Some(LeaseError::Saturated(load)) = &refused {
                        prop_assert!(!beyond && load.queued >= load.queue_limit);
                    }
                }
                Step::Leave(which) if !world.waiting.is_empty() => {
                    let call = *world.waiting.keys().nth(which % world.waiting.len()).unwrap();
                    let (ticket, _) = world.waiting.remove(&call).unwrap();
                    prop_assert_eq!(world.core.leave(&ticket), Some(call));
                    prop_assert_eq!(world.core.leave(&ticket), None, "it is gone");
                }
                Step::Release(which) if !world.held.is_empty() => {
                    let call = *world.held.keys().nth(which % world.held.len()).unwrap();
                    world.release(call);
                }
                Step::Publish(slot) => { world.publish(slot); }
                Step::Withdraw(slot) => if let Some((generation, _)) = world.workers[slot].take() {
                    world.core.withdraw(slot, generation);
                },
                Step::Break(slot) => if let Some((_, worker)) = &world.workers[slot] {
                    worker.0.set(false);
                },
                Step::Resume(slot) => if let Some((_, worker)) = &world.workers[slot] {
                    worker.0.set(true);
                    let given = world.core.resume();
                    world.take(given);
                },
                Step::Refuse | Step::Close => {
                    let refusal = if matches!(step, Step::Close) { LeaseError::Closed } else { LeaseError::Down(String::new()) };
                    world.closed |= refusal == LeaseError::Closed;
                    world.refusing = true;
                    for call in world.core.refuse(refusal) {
                        prop_assert!(world.waiting.remove(&call).is_some());
                    }
                    prop_assert!(world.waiting.is_empty(), "whoever waited is told");
                }
                _ => {}
            }
            world.check();
        }
        // In the end, with a worker and no new calls, everybody who waits is served.
        if !world.closed {
            world.publish(0);
        }
        while let Some(call) = world.held.keys().next().copied() {
            world.release(call);
            world.check();
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert_eq!(world.load().in_flight, 0);
    }

    #[test]
    fn a_session_waits_for_one_place_of_each_other_session_at_most(
        noisy in proptest::collection::vec(0..40usize, 1..6), later in 0..40usize,
    ) {
        let mut world = World::new(1, Limits { in_flight_per_worker: 1, queue: 1_000 });
        world.publish(0);
        let names: Vec<String> = (0..noisy.len()).map(|number| format!("noisy {number}")).collect();
        world.ask(asker("first"));
        for (name, calls) in names.iter().zip(&noisy) {
            (0..*calls).for_each(|_| { world.ask(asker(name)); });
        }
        let (quiet, _) = world.ask(asker("quiet"));
        // What the others ask later changes nothing.
        (0..later).for_each(|call| { world.ask(asker(&names[call % names.len()])); });
        let mut before = 0;
        while !world.held.contains_key(&quiet) {
            let call = *world.held.keys().next().unwrap();
            world.release(call);
            before += 1;
        }
        prop_assert!(before <= names.len() + 1, "{before} places went before it");
    }

    #[test]
    fn the_least_loaded_worker_is_never_left_by_more_than_the_slack(specs in proptest::collection::vec(0..20u64, 1..200)) {
        let mut world = World::new(4, Limits { in_flight_per_worker: 64, queue: 0 });
        (0..4).for_each(|slot| { world.publish(slot); });
        for spec in specs {
            let hash = format!("{spec:064x}");
            world.ask(Asker { session: "", spec: Some(SpecKey::of(&hash)), beyond: false });
            let at = |slot| world.held.values().filter(|(place, _)| place.slot == slot).count();
            let (least, most) = ((0..4).map(at).min().unwrap(), (0..4).map(at).max().unwrap());
            prop_assert!(most <= least + 64 / 8 + 1, "{most} and {least}");
        }
    }
}

#[test]
fn a_call_goes_where_its_spec_is_built_unless_that_is_busier() {
    let mut world = World::new(2, Limits { in_flight_per_worker: 16, queue: 0 });
    (0..2).for_each(|slot| drop(world.publish(slot)));
    let spec = |hash: &str| Asker { session: "", spec: Some(SpecKey::of(hash)), beyond: false };
    let (one, other) = ("1111111111111111", "2222222222222222");
    let mut slot_of = |hash: &str, release: bool| {
        let (call, _) = world.ask(spec(hash));
        let slot = world.held[&call].0.slot;
        if release {
            world.release(call);
        }
        slot
    };
    let first = slot_of(one, true);
    for _ in 0..20 {
        assert_eq!(slot_of(one, true), first, "idle workers are equal but for what they have built");
    }
    // The other one is less loaded by one or two from now on: within the slack, but not for ever.
    assert_eq!(slot_of(one, false), first);
    let kept = (0..10).take_while(|_| slot_of(one, true) == first).count();
    assert_eq!(kept, 4, "then it is built elsewhere, too");
    assert_ne!(slot_of(one, true), first, "and the least loaded worker is the better one");
    assert_ne!(slot_of(other, true), first, "nobody has built it");
}

#[test]
fn a_quiet_session_finds_room_in_a_queue_that_a_noisy_one_has_filled() {
    let mut world = World::new(1, Limits { in_flight_per_worker: 1, queue: 4 });
    world.publish(0);
    for _ in 0..5 {
        assert_eq!(world.ask(asker("noisy")).1, None);
    }
    assert!(matches!(world.ask(asker("noisy")).1, Some(LeaseError::Saturated(_))));
    assert_eq!(world.ask(asker("quiet")).1, None);
    assert_eq!(world.ask(asker("quiet")).1, None);
    assert!(matches!(world.ask(asker("quiet")).1, Some(LeaseError::Saturated(_))), "half of it is enough");
    assert_eq!((world.load().queued, world.load().waiting_sessions), (4, 2));
    world.check();
}

#[test]
fn places_at_a_worker_that_was_replaced_are_counted_until_they_end_and_free_nothing_twice() {
    let mut world = World::new(1, Limits { in_flight_per_worker: 1, queue: 4 });
    world.publish(0);
    let (old, _) = world.ask(asker("a"));
    world.publish(0);
    let (new, _) = world.ask(asker("a"));
    assert_eq!(world.load().in_flight, 2);
    let (waits, _) = world.ask(asker("a"));
    assert!(world.release(old).is_empty(), "the place at the new worker is still held");
    assert_eq!(world.release(new), [waits]);
}
