//! Whether a worker that says nothing still lives, as a pure function of what was heard.

use std::time::Duration;

/// How workers are known to live: one that was silent for `every` is asked for a sign of life. While its messages flow, nothing
/// is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// About how often is looked.
    pub(crate) every: Duration,
    /// How long it may owe the answer.
    pub(crate) patience: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        // A C function may hold the interpreter for some seconds in earnest (sorting, parsing, a regular expression), and whoever
        // kills it loses all calls beside it.
        Self { every: Duration::from_secs(1), patience: Duration::from_secs(10) }
    }
}

/// What one look at a worker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It said something since the last look.
    Alive,
    /// It did not: it is asked.
    Ask,
    /// It owes an answer for longer than it should: no new calls for it.
    Suspect,
    /// For too long: it is killed.
    Dead {
        /// How long it was silent.
        silent: Duration,
        /// Whether it was stopped rather than busy.
        stopped: bool,
    },
}

/// What is known of one worker's signs of life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    heard: u64,
    silent: Duration,
}

impl Pulse {
    /// One look, so long after the last one. `heard` grows with each message; `is_stopped` is asked only of a worker that owes
    /// an answer.
    pub(crate) fn look(
        &mut self,
        heard: u64,
        since_last: Duration,
        rules: Heartbeat,
        is_stopped: impl FnOnce() -> bool,
    ) -> Verdict {
        if heard != self.heard {
            *self = Self { heard, silent: Duration::ZERO };
            return Verdict::Alive;
        }
        // When the host itself stood still, so did whoever reads what the worker says: that time is not the worker's.
        self.silent += since_last.min(rules.every * 2);
        // The first silent interval is nobody's debt, since nothing was asked in it.
        let owed = self.silent.saturating_sub(rules.every);
        if owed.is_zero() {
            return Verdict::Ask;
        }
        let stopped = is_stopped();
        // One that is stopped cannot be busy with anything that would end.
        let patience = if stopped { rules.patience / 2 } else { rules.patience };
        if owed >= patience {
            Verdict::Dead { silent: self.silent, stopped }
        } else if owed >= rules.patience / 3 {
            Verdict::Suspect
        } else {
            Verdict::Ask
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Heartbeat = Heartbeat { every: Duration::from_secs(1), patience: Duration::from_secs(10) };

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    #[test]
    fn silence_is_asked_about_then_suspected_then_ended() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.look(1, second(), RULES, || false), Verdict::Alive);
        let verdicts: Vec<Verdict> = (0..11).map(|_| pulse.look(1, second(), RULES, || false)).collect();
        assert!(verdicts[..4].iter().all(|verdict| *verdict == Verdict::Ask), "{verdicts:?}");
        assert!(verdicts[4..10].iter().all(|verdict| *verdict == Verdict::Suspect), "{verdicts:?}");
        assert_eq!(verdicts[10], Verdict::Dead { silent: Duration::from_secs(11), stopped: false });
    }

    #[test]
    fn a_stopped_worker_is_waited_for_half_as_long() {
        let mut pulse = Pulse::default();
        let looks = (1..).take_while(|_| {
            pulse.look(0, second(), RULES, || true)
                != (Verdict::Dead { silent: Duration::from_secs(6), stopped: true })
        });
        assert_eq!(looks.count(), 5);
    }

    #[test]
    fn a_host_that_stood_still_blames_no_worker() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.look(0, Duration::from_secs(3600), RULES, || false), Verdict::Ask);
        assert_eq!(pulse.look(1, Duration::from_secs(3600), RULES, || false), Verdict::Alive);
    }

    proptest! {
        #[test]
        fn a_worker_that_answers_within_the_patience_never_dies(gaps in proptest::collection::vec(1u64..9, 1..50)) {
            let mut pulse = Pulse::default();
            for (heard, gap) in gaps.into_iter().enumerate() {
                for _ in 0..gap {
                    let verdict = pulse.look(heard as u64, second(), RULES, || false);
                    let died = matches!(verdict, Verdict::Dead { .. });
                    prop_assert!(!died);
                }
            }
        }
    }
}
