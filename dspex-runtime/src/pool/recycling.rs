//! When a worker has served long enough and is replaced by a fresh one, as pure rules.

use std::time::Duration;

use super::events::Retirement;
use crate::jitter::spread;

/// By how much each worker's own bounds differ from the ones that were set, so that workers that started together do not end
/// together.
const JITTER: f64 = 0.1;

/// The longest that a worker is left alone that needs so much memory from its start and leaks nothing.
const LEFT_ALONE: Duration = Duration::from_secs(300);

/// One that reached its memory's bound within this is taken for such a worker.
const NEEDS_IT: Duration = Duration::from_secs(600);

/// When workers are replaced. `None`: never for that reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recycling {
    /// After so many calls.
    pub(crate) calls: Option<u64>,
    /// After so long.
    pub(crate) age: Option<Duration>,
    /// When its memory (proportional: what it shares with others counts for its part) is above so many bytes.
    pub(crate) memory: Option<u64>,
    /// How long its last calls may take, before they are cancelled.
    pub(crate) patience: Duration,
}

impl Default for Recycling {
    fn default() -> Self {
        // See docs/decisions/0023-recycling.md.
        Self {
            calls: Some(100_000),
            age: Some(Duration::from_secs(24 * 3600)),
            memory: Some(1536 << 20),
            patience: Duration::from_secs(3600),
        }
    }
}

/// One worker's own bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    calls: f64,
    age: f64,
    memory: f64,
    /// Its memory says nothing before this age, in seconds.
    settled: f64,
}

impl Term {
    /// Draws the bounds of a worker with a number from 0 to 1. Of its slot's workers, so many before it in a row were replaced for
    /// their memory soon after their start.
    pub(crate) fn draw(rules: &Recycling, random: f64, hungry: u32) -> Self {
        let bound = |value: Option<f64>| spread(value.unwrap_or(f64::INFINITY), JITTER, random);
        let settled = match hungry {
            0 => 0.0,
            times => (1u64 << (times - 1).min(20)) as f64,
        };
        Self {
            calls: bound(rules.calls.map(|calls| calls as f64)),
            age: bound(rules.age.map(|age| age.as_secs_f64())),
            memory: bound(rules.memory.map(|bytes| bytes as f64)),
            settled: settled.min(LEFT_ALONE.as_secs_f64()),
        }
    }

    /// Whether memory of this size may be too much; it is worth a closer look then.
    pub(crate) fn may_be_too_much(&self, bytes: u64) -> bool {
        bytes as f64 >= self.memory
    }

    /// Why its time is over, if it is.
    pub(crate) fn over(&self, calls: u64, age: Duration, memory: u64) -> Option<Retirement> {
        if self.may_be_too_much(memory) && age.as_secs_f64() >= self.settled {
            Some(Retirement::Memory(memory))
        } else if calls as f64 >= self.calls {
            Some(Retirement::Calls(calls))
        } else if age.as_secs_f64() >= self.age {
            Some(Retirement::Age(age))
        } else {
            None
        }
    }
}

/// How many workers in a row were replaced for their memory soon after their start, with this one.
pub(crate) fn hungry_in_a_row(before: u32, why: Retirement, lived: Duration) -> u32 {
    match why {
        Retirement::Memory(_) if lived < NEEDS_IT => before + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Recycling {
        Recycling {
            calls: Some(1000),
            age: Some(Duration::from_secs(100)),
            memory: Some(1 << 30),
            ..Recycling::default()
        }
    }

    proptest! {
        #[test]
        fn bounds_are_within_a_tenth_of_the_rule(random in 0.0..1.0) {
            let term = Term::draw(&rules(), random, 0);
            prop_assert_eq!(term.over(899, Duration::from_secs(89), 900 << 20), None);
            prop_assert_eq!(term.over(1101, Duration::ZERO, 0), Some(Retirement::Calls(1101)));
            let old = Duration::from_secs(111);
            prop_assert_eq!(term.over(0, old, 0), Some(Retirement::Age(old)));
            prop_assert_eq!(term.over(0, Duration::ZERO, 2 << 30), Some(Retirement::Memory(2 << 30)));
        }
    }

    #[test]
    fn what_is_not_bounded_never_ends() {
        let none = Recycling { calls: None, age: None, memory: None, ..Recycling::default() };
        let term = Term::draw(&none, 0.5, 0);
        assert_eq!(term.over(u64::MAX, Duration::MAX, u64::MAX), None);
    }

    #[test]
    fn workers_that_need_their_memory_from_the_start_are_replaced_ever_more_seldom() {
        let (mut hungry, mut lives) = (0, Vec::new());
        for _ in 0..12 {
            let term = Term::draw(&rules(), 0.5, hungry);
            let lived = (0..1000)
                .map(Duration::from_secs)
                .find(|age| matches!(term.over(0, *age, 2 << 30), Some(Retirement::Memory(_))));
            lives.push(lived.unwrap().as_secs());
            hungry = hungry_in_a_row(hungry, Retirement::Memory(2 << 30), lived.unwrap());
        }
        assert_eq!(lives[..5], [0, 1, 2, 4, 8]);
        // Its age ends it before.
        assert!(lives.iter().all(|life| *life <= 300), "{lives:?}");
        assert_eq!(hungry_in_a_row(5, Retirement::Calls(7), Duration::ZERO), 0);
    }
}
