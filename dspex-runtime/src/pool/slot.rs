//! The life of one worker slot as a pure function: no clocks, no processes, no I/O.
//!
//! ```text
//!            Fork                Connected                Drain               Lost
//! Waiting ---------> Starting ---------------> Ready -------------> Draining --------> Stopped
//!    ^                  |                        |
//!    |     Failed       |        Lost            |         any state -- Stop --> Stopped
//!    +--- (back-off) ---+------------------------+
//! ```
//!
//! The generation grows with each fork, so whatever still speaks of an earlier worker is told apart.

use std::time::Duration;

/// Shortest and longest wait before a worker that failed is replaced.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A worker that lived at least this long did not fail to start: it is replaced at once.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Where a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// No process; a fork is asked for or waits for its back-off to pass.
    Waiting,
    /// A process was asked for and has not said Hello.
    Starting,
    /// Takes calls.
    Ready,
    /// Takes no new calls; ends for good when the last one did.
    Draining,
    /// For good.
    Stopped,
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where it stands.
    pub(crate) state: SlotState,
    /// Counts the forks.
    pub(crate) generation: u64,
    /// Failures since a worker last lived long enough.
    pub(crate) failures: u32,
}

/// What happened to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotEvent {
    /// The zygote can fork, or the back-off has passed.
    Fork,
    /// The worker said Hello.
    Connected,
    /// The worker could not be started, or did not say Hello in time.
    Failed,
    /// The worker is gone, or was given up, after it had lived for so long.
    Lost(Duration),
    /// No new calls; the slot ends when those that run have ended.
    Drain,
    /// The pool ends.
    Stop,
}

/// What the supervisor does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a worker of the slot's (new) generation.
    Start,
    /// Let the scheduler give calls to it.
    Publish,
    /// Take it from the scheduler.
    Withdraw,
    /// Tell the worker to end itself after its last call.
    Drain,
    /// End its process, whatever it does.
    Kill,
    /// Send [`SlotEvent::Fork`] after so long.
    ForkAfter(Duration),
}

impl Slot {
    /// An empty slot.
    pub(crate) fn new() -> Self {
        Self { state: SlotState::Waiting, generation: 0, failures: 0 }
    }

    /// The next state and what to do. Events that make no sense in a state change nothing.
    pub(crate) fn step(self, event: SlotEvent) -> (Self, Vec<Action>) {
        use SlotState::{Draining, Ready, Starting, Stopped, Waiting};
        match (self.state, event) {
            (Stopped, _) => (self, vec![]),
            (state, SlotEvent::Stop) => {
                let mut actions = Vec::new();
                if state == Ready {
                    actions.push(Action::Withdraw);
                }
                if state != Waiting {
                    actions.push(Action::Kill);
                }
                (Self { state: Stopped, ..self }, actions)
            }
            (Waiting, SlotEvent::Fork) => {
                (Self { state: Starting, generation: self.generation + 1, ..self }, vec![Action::Start])
            }
            (Starting, SlotEvent::Connected) => (Self { state: Ready, ..self }, vec![Action::Publish]),
            (Starting, SlotEvent::Failed | SlotEvent::Lost(_)) => {
                self.replace(vec![Action::Kill], Duration::ZERO)
            }
            (Ready, SlotEvent::Lost(lived)) => self.replace(vec![Action::Withdraw, Action::Kill], lived),
            (Draining, SlotEvent::Lost(_)) => (Self { state: Stopped, ..self }, vec![Action::Kill]),
            (Ready, SlotEvent::Drain) => {
                (Self { state: Draining, ..self }, vec![Action::Withdraw, Action::Drain])
            }
            // Nothing runs there.
            (Waiting, SlotEvent::Drain) => (Self { state: Stopped, ..self }, vec![]),
            (Starting, SlotEvent::Drain) => (Self { state: Stopped, ..self }, vec![Action::Kill]),
            _ => (self, vec![]),
        }
    }

    fn replace(self, mut actions: Vec<Action>, lived: Duration) -> (Self, Vec<Action>) {
        let failures = if lived >= HEALTHY_AFTER { 0 } else { self.failures + 1 };
        actions.push(Action::ForkAfter(backoff(failures)));
        (Self { state: SlotState::Waiting, failures, ..self }, actions)
    }
}

/// The first failure costs nothing, since a crash is mostly a call's doing; then the wait doubles.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => BACKOFF.0.saturating_mul(1 << (failures - 2).min(16)).min(BACKOFF.1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = Vec<SlotEvent>> {
        let event = prop_oneof![
            4 => Just(SlotEvent::Fork),
            4 => Just(SlotEvent::Connected),
            1 => Just(SlotEvent::Failed),
            2 => (0u64..20).prop_map(|s| SlotEvent::Lost(Duration::from_secs(s))),
            1 => Just(SlotEvent::Drain),
            1 => prop_oneof![9 => Just(SlotEvent::Fork), 1 => Just(SlotEvent::Stop)],
        ];
        proptest::collection::vec(event, 0..60)
    }

    proptest! {
        #[test]
        fn a_slot_never_has_two_processes_and_never_leaks_one(events in events()) {
            let (mut slot, mut alive, mut published) = (Slot::new(), false, false);
            for event in events {
                let before = slot;
                let (after, actions) = slot.step(event);
                for action in &actions {
                    match action {
                        Action::Start => { prop_assert!(!alive); alive = true; prop_assert!(after.generation > before.generation); }
                        Action::Kill => { prop_assert!(alive); alive = false; }
                        Action::Publish => { prop_assert!(alive && !published); published = true; }
                        Action::Withdraw => { prop_assert!(published); published = false; }
                        Action::Drain => prop_assert!(alive && !published),
                        Action::ForkAfter(wait) => prop_assert!(*wait <= BACKOFF.1),
                    }
                }
                slot = after;
                prop_assert_eq!(published, slot.state == SlotState::Ready);
                prop_assert_eq!(alive, matches!(slot.state, SlotState::Starting | SlotState::Ready | SlotState::Draining));
                prop_assert!(slot.generation >= before.generation);
            }
        }

        #[test]
        fn a_slot_that_waits_is_always_woken(events in events()) {
            let mut slot = Slot::new();
            for event in events {
                let before = slot.state;
                let (after, actions) = slot.step(event);
                if before != SlotState::Waiting && after.state == SlotState::Waiting {
                    let woken = actions.iter().any(|action| matches!(action, Action::ForkAfter(_)));
                    prop_assert!(woken);
                }
                slot = after;
            }
        }
    }

    #[test]
    fn a_worker_that_keeps_failing_is_retried_ever_more_slowly() {
        let mut slot = Slot::new();
        let mut waits = Vec::new();
        for _ in 0..12 {
            (slot, _) = slot.step(SlotEvent::Fork);
            let (next, actions) = slot.step(SlotEvent::Failed);
            slot = next;
            if let Some(Action::ForkAfter(wait)) = actions.last() {
                waits.push(*wait);
            }
        }
        assert_eq!(waits[0], Duration::ZERO);
        assert_eq!(waits[1], Duration::from_millis(100));
        assert_eq!(waits[2], Duration::from_millis(200));
        assert_eq!(*waits.last().unwrap(), Duration::from_secs(30));
    }

    #[test]
    fn a_worker_that_lived_is_replaced_at_once() {
        let ready = Slot { state: SlotState::Ready, generation: 9, failures: 7 };
        let (slot, actions) = ready.step(SlotEvent::Lost(Duration::from_secs(60)));
        assert_eq!(slot.failures, 0);
        assert_eq!(actions, [Action::Withdraw, Action::Kill, Action::ForkAfter(Duration::ZERO)]);
    }
}
