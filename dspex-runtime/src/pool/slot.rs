//! The life of one worker slot as a pure function: no clocks, no processes, no I/O.
//!
//! ```text
//!            Fork               Connected               Renew                Connected
//! Waiting ---------> Starting ------------> Ready ---------------> Renewing ----------> Ready, and the old one leaves
//!    ^                  |                     |                       |
//!    |      Failed      |        Lost         |                       | Lost: the next one is Starting already
//!    +--- (back-off) ---+---------------------+                       | Failed: Ready with the old one
//!
//! any -- Drain --> Draining (what runs may finish) -- Lost --> Stopped          any -- Stop --> Stopped
//! ```
//!
//! A slot has one process, and two only while one replaces the other: the next one warms while the old one serves, and the
//! old one leaves (finishes its calls) while the next one serves. The generation grows with each fork, so
//! whatever still speaks of an earlier worker is told apart; every event names the worker that it speaks of.

use std::time::Duration;

/// Shortest and longest wait before a worker that failed is replaced.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Where a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// No process; a fork is asked for, or the zygote is not warm.
    Waiting,
    /// No process, after failures: the next one is started when the back-off has passed.
    BackingOff,
    /// A process was asked for and has not said Hello.
    Starting,
    /// Takes calls.
    Ready,
    /// Takes calls, and the process that will replace it starts.
    Renewing,
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
    /// Counts the forks: the newest worker's number.
    pub(crate) generation: u64,
    /// The worker that takes calls, or drains with the pool.
    pub(crate) serving: Option<u64>,
    /// The worker that was replaced and finishes its calls.
    pub(crate) leaving: Option<u64>,
    /// Failures since a worker last was ready.
    pub(crate) failures: u32,
}

/// What happened to a slot. Those with a number speak of the worker of that generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotEvent {
    /// The zygote can fork, or the back-off has passed.
    Fork,
    /// The worker said Hello.
    Connected(u64),
    /// The worker could not be started, or did not say Hello in time.
    Failed(u64),
    /// The worker is gone, or was given up. So many ends more than are allowed came lately, over which it is backed off.
    Lost(u64, u32),
    /// The worker that serves is to be replaced by a fresh one.
    Renew,
    /// The worker that leaves had its time.
    Overdue(u64),
    /// No new calls; the slot ends when those that run have ended.
    Drain,
    /// The pool ends.
    Stop,
}

/// What the supervisor does about it, to the worker of that generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a worker.
    Start(u64),
    /// Let the scheduler give calls to it, and no more to the one before it.
    Publish(u64),
    /// Take it from the scheduler.
    Withdraw(u64),
    /// Tell the worker to end itself after its last call.
    Drain(u64),
    /// End its process, whatever it does.
    Kill(u64),
    /// Send [`SlotEvent::Fork`] after so long.
    ForkAfter(Duration),
}

impl Slot {
    /// An empty slot.
    pub(crate) fn new() -> Self {
        Self { state: SlotState::Waiting, generation: 0, serving: None, leaving: None, failures: 0 }
    }

    /// Nothing runs, and nothing will.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == SlotState::Stopped && self.leaving.is_none()
    }

    /// The next state and what to do. Events that make no sense in a state change nothing.
    pub(crate) fn step(mut self, event: SlotEvent) -> (Self, Vec<Action>) {
        use SlotState::{BackingOff, Draining, Ready, Renewing, Starting, Stopped, Waiting};
        let mut actions = Vec::new();
        match (self.state, event) {
            // The one that leaves is nobody's concern but its own.
            (_, SlotEvent::Lost(lost, _) | SlotEvent::Overdue(lost)) if self.leaving == Some(lost) => {
                self.leaving = None;
                actions.push(Action::Kill(lost));
            }
            (_, SlotEvent::Stop) => {
                if let Some(serving) = self.serving.take() {
                    if self.state != Draining {
                        actions.push(Action::Withdraw(serving));
                    }
                    actions.push(Action::Kill(serving));
                }
                if matches!(self.state, Starting | Renewing) {
                    actions.push(Action::Kill(self.generation));
                }
                actions.extend(self.leaving.take().map(Action::Kill));
                self.state = Stopped;
            }
            (Stopped, _) => {}
            (Waiting | BackingOff, SlotEvent::Fork) => {
                self.generation += 1;
                self.state = Starting;
                actions.push(Action::Start(self.generation));
            }
            (Starting | Renewing, SlotEvent::Connected(new)) if new == self.generation => {
                self.state = Ready;
                self.failures = 0;
                actions.push(Action::Publish(new));
                if let Some(old) = self.serving.replace(new) {
                    self.leaving = Some(old);
                    actions.push(Action::Drain(old));
                }
            }
            (Starting, SlotEvent::Failed(new) | SlotEvent::Lost(new, _)) if new == self.generation => {
                actions.push(Action::Kill(new));
                self.failures += 1;
                self.replace_after(backoff(self.failures - 1), &mut actions);
            }
            (Renewing, SlotEvent::Failed(new) | SlotEvent::Lost(new, _)) if new == self.generation => {
                actions.push(Action::Kill(new));
                self.failures += 1;
                self.state = Ready;
            }
            (Renewing, SlotEvent::Lost(old, _)) if self.serving == Some(old) => {
                self.serving = None;
                self.state = Starting;
                actions.extend([Action::Withdraw(old), Action::Kill(old)]);
            }
            (Ready, SlotEvent::Lost(lost, excess)) if self.serving == Some(lost) => {
                self.serving = None;
                actions.extend([Action::Withdraw(lost), Action::Kill(lost)]);
                self.replace_after(backoff(excess), &mut actions);
            }
            // With one that leaves, a third process would be there.
            (Ready, SlotEvent::Renew) if self.leaving.is_none() => {
                self.generation += 1;
                self.state = Renewing;
                actions.push(Action::Start(self.generation));
            }
            (Ready | Renewing, SlotEvent::Drain) => {
                if self.state == Renewing {
                    actions.push(Action::Kill(self.generation));
                }
                if let Some(serving) = self.serving {
                    actions.extend([Action::Withdraw(serving), Action::Drain(serving)]);
                }
                self.state = Draining;
            }
            (Draining, SlotEvent::Lost(lost, _)) if self.serving == Some(lost) => {
                self.serving = None;
                self.state = Stopped;
                actions.push(Action::Kill(lost));
            }
            // Nothing runs there.
            (Waiting | BackingOff, SlotEvent::Drain) => self.state = Stopped,
            (Starting, SlotEvent::Drain) => {
                self.state = Stopped;
                actions.push(Action::Kill(self.generation));
            }
            _ => {}
        }
        (self, actions)
    }

    fn replace_after(&mut self, wait: Duration, actions: &mut Vec<Action>) {
        self.state = if wait.is_zero() { SlotState::Waiting } else { SlotState::BackingOff };
        actions.push(Action::ForkAfter(wait));
    }
}

/// What is allowed costs nothing, since a crash is mostly a call's doing; then the wait doubles.
fn backoff(excess: u32) -> Duration {
    match excess {
        0 => Duration::ZERO,
        _ => BACKOFF.0.saturating_mul(1 << (excess - 1).min(16)).min(BACKOFF.1),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// An event about the newest worker or one before it.
    #[derive(Clone, Copy, Debug)]
    struct About(fn(u64) -> SlotEvent, u64);

    fn events() -> impl Strategy<Value = Vec<About>> {
        let event = prop_oneof![
            6 => Just((|_| SlotEvent::Fork) as fn(u64) -> SlotEvent),
            6 => Just(SlotEvent::Connected as fn(u64) -> SlotEvent),
            1 => Just(SlotEvent::Failed as fn(u64) -> SlotEvent),
            2 => Just((|of| SlotEvent::Lost(of, 0)) as fn(u64) -> SlotEvent),
            1 => Just((|of| SlotEvent::Lost(of, 3)) as fn(u64) -> SlotEvent),
            3 => Just((|_| SlotEvent::Renew) as fn(u64) -> SlotEvent),
            1 => Just(SlotEvent::Overdue as fn(u64) -> SlotEvent),
        ];
        let ending = prop_oneof![
            40 => Just(None),
            1 => Just(Some((|_| SlotEvent::Drain) as fn(u64) -> SlotEvent)),
            1 => Just(Some((|_| SlotEvent::Stop) as fn(u64) -> SlotEvent)),
        ];
        let about = (event, ending, 0u64..3)
            .prop_map(|(event, ending, before)| About(ending.unwrap_or(event), before));
        proptest::collection::vec(about, 0..80)
    }

    proptest! {
        #[test]
        fn a_slot_has_one_process_or_two_that_replace_each_other_and_leaks_none(events in events()) {
            let (mut slot, mut alive, mut published) = (Slot::new(), BTreeSet::new(), None);
            for About(event, before) in events {
                let was = slot;
                let (now, actions) = slot.step(event(slot.generation.saturating_sub(before)));
                for action in &actions {
                    match *action {
                        Action::Start(new) => {
                            prop_assert!(new > was.generation && alive.insert(new));
                            prop_assert_eq!(alive.len() - 1, usize::from(published.is_some()) + usize::from(was.leaving.is_some()));
                        }
                        Action::Kill(of) => { prop_assert!(alive.remove(&of), "killed twice, or never started"); prop_assert!(published != Some(of)); }
                        Action::Publish(of) => { prop_assert!(alive.contains(&of)); published = Some(of); }
                        Action::Withdraw(of) => { prop_assert_eq!(published, Some(of)); published = None; }
                        Action::Drain(of) => prop_assert!(alive.contains(&of) && published != Some(of)),
                        Action::ForkAfter(wait) => prop_assert!(wait <= BACKOFF.1 && now.serving.is_none()),
                    }
                }
                slot = now;
                prop_assert!(alive.len() <= 2 + usize::from(slot.leaving.is_some() && slot.state == SlotState::Renewing));
                prop_assert!(slot.state != SlotState::Renewing || slot.leaving.is_none(), "never three");
                let known: BTreeSet<u64> = slot.serving.into_iter().chain(slot.leaving)
                    .chain(matches!(slot.state, SlotState::Starting | SlotState::Renewing).then_some(slot.generation)).collect();
                prop_assert_eq!(&alive, &known);
                let serves = matches!(slot.state, SlotState::Ready | SlotState::Renewing);
                prop_assert_eq!(published, slot.serving.filter(|_| serves));
                prop_assert_eq!(slot.is_stopped(), slot.state == SlotState::Stopped && alive.is_empty());
            }
            let (end, actions) = slot.step(SlotEvent::Stop);
            let killed = actions.iter().filter(|action| matches!(action, Action::Kill(_))).count();
            prop_assert!(end.is_stopped() && killed == alive.len());
        }

        #[test]
        fn a_slot_that_waits_is_always_woken(events in events()) {
            let waits = |state| matches!(state, SlotState::Waiting | SlotState::BackingOff);
            let mut slot = Slot::new();
            for About(event, before) in events {
                let was = slot.state;
                let (now, actions) = slot.step(event(slot.generation.saturating_sub(before)));
                if !waits(was) && waits(now.state) {
                    prop_assert!(actions.iter().any(|action| matches!(action, Action::ForkAfter(_))));
                }
                slot = now;
            }
        }

        #[test]
        fn renewing_never_leaves_a_slot_without_a_worker_that_takes_calls(fails in proptest::collection::vec(any::<bool>(), 1..20)) {
            let mut slot = Slot::new();
            for event in [SlotEvent::Fork, SlotEvent::Connected(1)] {
                (slot, _) = slot.step(event);
            }
            for fails in fails {
                (slot, _) = slot.step(SlotEvent::Renew);
                prop_assert!(slot.serving.is_some());
                let new = slot.generation;
                (slot, _) = slot.step(if fails { SlotEvent::Failed(new) } else { SlotEvent::Connected(new) });
                prop_assert!(slot.serving.is_some() && slot.state == SlotState::Ready);
                if let Some(old) = slot.leaving {
                    (slot, _) = slot.step(SlotEvent::Lost(old, 0));
                    prop_assert!(slot.serving.is_some());
                }
            }
        }
    }

    #[test]
    fn a_worker_that_keeps_failing_to_start_is_retried_ever_more_slowly() {
        let mut slot = Slot::new();
        let mut waits = Vec::new();
        for _ in 0..12 {
            (slot, _) = slot.step(SlotEvent::Fork);
            let (next, actions) = slot.step(SlotEvent::Failed(slot.generation));
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
    fn a_crash_within_what_is_allowed_is_replaced_at_once() {
        let ready =
            Slot { state: SlotState::Ready, generation: 9, serving: Some(9), leaving: None, failures: 0 };
        let (slot, actions) = ready.step(SlotEvent::Lost(9, 0));
        assert_eq!(actions, [Action::Withdraw(9), Action::Kill(9), Action::ForkAfter(Duration::ZERO)]);
        assert_eq!(slot.state, SlotState::Waiting);
        let (slot, actions) = ready.step(SlotEvent::Lost(9, 2));
        assert_eq!(actions.last(), Some(&Action::ForkAfter(Duration::from_millis(200))));
        assert_eq!(slot.state, SlotState::BackingOff);
    }

    #[test]
    fn when_the_old_worker_dies_while_its_replacement_warms_nothing_else_is_started() {
        let ready =
            Slot { state: SlotState::Ready, generation: 4, serving: Some(4), leaving: None, failures: 0 };
        let (slot, actions) = ready.step(SlotEvent::Renew);
        assert_eq!(actions, [Action::Start(5)]);
        let (slot, actions) = slot.step(SlotEvent::Lost(4, 0));
        assert_eq!((slot.state, actions), (SlotState::Starting, vec![Action::Withdraw(4), Action::Kill(4)]));
        let (slot, actions) = slot.step(SlotEvent::Connected(5));
        assert_eq!((slot.serving, slot.leaving, actions), (Some(5), None, vec![Action::Publish(5)]));
    }
}
