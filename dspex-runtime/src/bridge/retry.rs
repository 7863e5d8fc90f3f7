//! When a call is tried again, and after how long: a decision without clocks.

use std::time::Duration;

/// The pause before the second try, and the longest one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// So many tries that never began cost no pause: a worker that just went is known to be gone a moment later.
const FREE: u32 = 3;

/// How one try ended that may be followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Nothing of the call reached a worker: another try repeats nothing.
    NeverBegan,
    /// The worker was lost while it had the call.
    Lost,
    /// The language model asked to come again after so long.
    Later(Duration),
}

/// The tries of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    /// Whether what may have run may run again.
    idempotent: bool,
    /// How often, at most.
    left: u32,
    made: u32,
    never_began: u32,
}

impl Tries {
    pub(crate) fn new(idempotent: bool, retries: u32) -> Self {
        Self { idempotent, left: retries, made: 0, never_began: 0 }
    }

    /// The pause before another try; none if there is no other one. `remains` is the time until the deadline, `random` from 0 to 1.
    pub(crate) fn again(&mut self, missed: Missed, remains: Duration, random: f64) -> Option<Duration> {
        let pause = match missed {
            Missed::NeverBegan => {
                self.never_began += 1;
                match self.never_began.checked_sub(FREE + 1) {
                    None => Duration::ZERO,
                    Some(nth) => jittered(nth, random),
                }
            }
            Missed::Lost | Missed::Later(_) if !self.idempotent || self.left == 0 => return None,
            Missed::Lost | Missed::Later(_) => {
                let pause = jittered(self.made, random);
                self.left -= 1;
                self.made += 1;
                match missed {
                    // Whoever was told the same does not come at the same moment.
                    Missed::Later(wait) => wait.saturating_add(pause),
                    _ => pause,
                }
            }
        };
        // With the deadline passed in the pause, the caller is better told at once what went wrong.
        (pause < remains).then_some(pause)
    }

    /// How many tries came after the first one.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }
}

/// Between half of it and all of it: 20 ms, then twice as much each time.
fn jittered(nth: u32, random: f64) -> Duration {
    let pause = PAUSE.0.saturating_mul(1 << nth.min(16)).min(PAUSE.1);
    pause.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: Duration = Duration::from_secs(300);

    #[test]
    fn what_may_have_run_runs_again_only_if_the_caller_says_so() {
        assert_eq!(Tries::new(false, 5).again(Missed::Lost, LONG, 0.0), None);
        assert_eq!(Tries::new(false, 5).again(Missed::Later(Duration::ZERO), LONG, 0.0), None);
        assert_eq!(Tries::new(false, 0).again(Missed::NeverBegan, LONG, 0.0), Some(Duration::ZERO));
        let mut tries = Tries::new(true, 2);
        assert_eq!(tries.again(Missed::Lost, LONG, 1.0), Some(Duration::from_millis(20)));
        assert_eq!(tries.again(Missed::Lost, LONG, 1.0), Some(Duration::from_millis(40)));
        assert_eq!(tries.again(Missed::Lost, LONG, 1.0), None, "two retries are two");
    }

    #[test]
    fn a_model_s_own_time_is_waited_for_unless_the_deadline_comes_first() {
        let wait = Duration::from_secs(7);
        let pause = Tries::new(true, 1).again(Missed::Later(wait), LONG, 0.5).unwrap();
        assert!(pause >= wait && pause < wait + Duration::from_secs(1), "{pause:?}");
        assert_eq!(Tries::new(true, 1).again(Missed::Later(wait), Duration::from_secs(6), 0.5), None);
    }

    proptest! {
        #[test]
        fn tries_are_limited_and_never_spin(
            missed in proptest::collection::vec(0..3u8, 0..60), retries in 0..5u32, random in 0.0..1.0f64,
        ) {
            let mut tries = Tries::new(true, retries);
            let mut again = 0;
            let mut idle = 0;
            for missed in missed {
                let missed = match missed {
                    0 => Missed::NeverBegan,
                    1 => Missed::Lost,
                    _ => Missed::Later(Duration::from_millis(1)),
                };
                match tries.again(missed, LONG, random) {
                    Some(pause) => {
                        prop_assert!(pause <= PAUSE.1 + Duration::from_millis(1));
                        again += u32::from(missed != Missed::NeverBegan);
                        idle += u32::from(pause.is_zero());
                    }
                    None => prop_assert!(missed != Missed::NeverBegan && again == retries),
                }
            }
            prop_assert!(again <= retries && idle <= FREE);
            prop_assert_eq!(tries.made(), again);
        }
    }
}
