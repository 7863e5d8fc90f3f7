//! One language model's circuit breaker, as a state with steps; times are given.
//!
//! ```text
//!            so many failures                   the time is over
//!   Closed ------------------> Open(until) ------------------------> Probing
//!      ^                          ^                                    |   |
//!      |                          +------- the probe failed -----------+   |
//!      +-------------------------- the probe was answered -----------------+
//! ```

use std::time::{Duration, Instant};

use crate::telemetry::BreakerState;

/// A probe that is not answered for so long gives way to another.
const PROBE: Duration = Duration::from_secs(30);

/// When a language model that keeps failing is left alone for a while, so that calls on it fail at once with
/// [`Error::ModelUnavailable`](crate::Error::ModelUnavailable), and neither wait nor add to its load.
///
/// Each model has a breaker of its own: each [`Lm`](crate::Lm) with other settings, address or key. Failures are those of which
/// [`LmError::is_retryable`](crate::LmError::is_retryable) holds: rate limits, time-outs, failures of the provider or the network. For
/// models in Rust each request counts; for DSPy's own clients, which try again themselves, each call.
///
/// ```
/// use std::time::Duration;
/// use dspex_runtime::{CircuitBreaker, Dspex};
///
/// let breaker = CircuitBreaker::new().failures(3).open_for(Duration::from_secs(2));
/// let builder = Dspex::builder().circuit_breaker(breaker);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct CircuitBreaker {
    failures: u32,
    ratio: Option<(f64, u32)>,
    window: Duration,
    open: Duration,
    longest: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl CircuitBreaker {
    /// Opens after 5 failures in a row, for 5 s; twice as long each time that the probe fails, for a minute at most.
    pub fn new() -> Self {
        Self {
            failures: 5,
            ratio: None,
            window: Duration::from_secs(30),
            open: Duration::from_secs(5),
            longest: Duration::from_secs(60),
        }
    }

    /// Opens after so many failures in a row; at least 1. Default: 5.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Opens as well where this share of the last requests failed (0 to 1), of at least so many within about so long. Default: it
    /// does not.
    pub fn ratio(mut self, share: f64, requests: u32, window: Duration) -> Self {
        self.ratio = Some((share.clamp(0.0, 1.0), requests.max(1)));
        self.window = window;
        self
    }

    /// How long it stays open at first; longer where the provider says when to come again. Default: 5 s.
    pub fn open_for(mut self, open: Duration) -> Self {
        self.open = open;
        self
    }

    /// The longest that it stays open, but for what the provider says. Default: 60 s.
    pub fn open_for_at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The model answered.
    Answered,
    /// It failed in a way that may pass; perhaps it said when to come again.
    Failed(Option<Duration>),
    /// Nothing that tells how the model is.
    Unknown,
}

/// The right to ask the model once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Changes with each state: what comes of a request that began in another one says nothing about this one.
    epoch: u64,
}

/// The state.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    settings: CircuitBreaker,
    state: State,
    epoch: u64,
    in_a_row: u32,
    /// How often it opened without being closed in between.
    opened: u32,
    recent: Recent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open(Instant),
    Probing(Instant),
}

/// The requests of the running half of the window and of the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    since: Option<Instant>,
    now: (u32, u32),
    before: (u32, u32),
}

impl Breaker {
    /// A closed one.
    pub(crate) fn new(settings: CircuitBreaker) -> Self {
        let recent = Recent::default();
        Self { settings, state: State::Closed, epoch: 0, in_a_row: 0, opened: 0, recent }
    }

    /// Whether the model may be asked; if not, after how long it may.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match self.state {
            State::Closed => {}
            State::Open(until) if now < until => return Err(until - now),
            State::Probing(until) if now < until => return Err(self.settings.open.min(until - now)),
            State::Open(_) | State::Probing(_) => self.enter(State::Probing(now + PROBE)),
        }
        Ok(Pass { epoch: self.epoch })
    }

    /// How long the model may not be asked, without asking for a pass.
    pub(crate) fn is_open(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open(until) if now < until => Some(until - now),
            _ => None,
        }
    }

    /// The state now, in the terms of those who watch.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open(until) if now < until => BreakerState::Open,
            // The next call is the probe.
            State::Open(_) | State::Probing(_) => BreakerState::HalfOpen,
        }
    }

    /// Whether nothing bad is known of the model.
    pub(crate) fn is_clear(&self) -> bool {
        self.state == State::Closed && self.in_a_row == 0
    }

    /// What came of a request.
    pub(crate) fn record(&mut self, pass: Pass, outcome: Outcome, now: Instant) {
        if pass.epoch != self.epoch {
            // One that is late says when to come again, all the same.
            if let (Outcome::Failed(Some(wait)), State::Open(until)) = (outcome, self.state) {
                self.state = State::Open(until.max(later(now, wait)));
            }
            return;
        }
        match (self.state, outcome) {
            (State::Closed, Outcome::Answered) => {
                self.in_a_row = 0;
                self.opened = 0;
                self.recent.count(true, now, self.settings.window);
            }
            (State::Closed, Outcome::Failed(wait)) => {
                self.in_a_row += 1;
                self.recent.count(false, now, self.settings.window);
                if self.in_a_row >= self.settings.failures || self.is_over_ratio() {
                    self.open(wait, now);
                }
            }
            (State::Probing(_), Outcome::Answered) => {
                self.in_a_row = 0;
                self.opened = 0;
                self.recent = Recent::default();
                self.enter(State::Closed);
            }
            (State::Probing(_), Outcome::Failed(wait)) => self.open(wait, now),
            // The next one is a probe.
            (State::Probing(_), Outcome::Unknown) => self.enter(State::Open(now)),
            (State::Closed, Outcome::Unknown) | (State::Open(_), _) => {}
        }
    }

    fn is_over_ratio(&self) -> bool {
        self.settings.ratio.is_some_and(|(share, least)| {
            let (answered, failed) = self.recent.counts();
            let all = answered + failed;
            all >= least && f64::from(failed) >= share * f64::from(all)
        })
    }

    fn open(&mut self, wait: Option<Duration>, now: Instant) {
        let open = self.settings.open.saturating_mul(1 << self.opened.min(16)).min(self.settings.longest);
        self.opened += 1;
        self.recent = Recent::default();
        self.enter(State::Open(later(now, open.max(wait.unwrap_or_default()))));
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

impl Recent {
    fn count(&mut self, answered: bool, now: Instant, window: Duration) {
        let half = window / 2;
        let since = *self.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= half {
            self.before = if age < window { self.now } else { (0, 0) };
            self.now = (0, 0);
            self.since = Some(now);
        }
        let counter = if answered { &mut self.now.0 } else { &mut self.now.1 };
        *counter = counter.saturating_add(1);
    }

    fn counts(&self) -> (u32, u32) {
        (self.now.0.saturating_add(self.before.0), self.now.1.saturating_add(self.before.1))
    }
}

/// The moment that is so much later; a provider may name times that no clock can.
fn later(now: Instant, wait: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    now + wait.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAILED: Outcome = Outcome::Failed(None);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open_breaker(start: Instant) -> Breaker {
        let mut breaker = Breaker::new(CircuitBreaker::new().failures(3));
        for _ in 0..3 {
            let pass = breaker.admit(start).unwrap();
            breaker.record(pass, FAILED, start);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_probe_decides() {
        let start = Instant::now();
        let mut breaker = open_breaker(start);
        assert_eq!(breaker.admit(start + seconds(1)), Err(seconds(4)));
        let probe = breaker.admit(start + seconds(5)).expect("a probe");
        assert!(breaker.admit(start + seconds(5)).is_err(), "one at a time");
        breaker.record(probe, Outcome::Answered, start + seconds(6));
        assert!(breaker.admit(start + seconds(6)).is_ok() && breaker.is_clear());
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit() {
        let mut now = Instant::now();
        let mut breaker = open_breaker(now);
        for open in [5, 10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(now), Err(seconds(open)));
            now += seconds(open);
            let probe = breaker.admit(now).unwrap();
            breaker.record(probe, FAILED, now);
        }
    }

    #[test]
    fn the_provider_says_how_long_if_it_is_longer() {
        let start = Instant::now();
        let mut breaker = Breaker::new(CircuitBreaker::new().failures(1));
        let (one, late) = (breaker.admit(start).unwrap(), breaker.admit(start).unwrap());
        breaker.record(one, Outcome::Failed(Some(seconds(30))), start);
        assert_eq!(breaker.is_open(start), Some(seconds(30)));
        breaker.record(late, Outcome::Answered, start);
        assert_eq!(breaker.is_open(start), Some(seconds(30)), "a late answer closes nothing");
        breaker.record(late, Outcome::Failed(Some(seconds(50))), start);
        assert_eq!(breaker.is_open(start), Some(seconds(50)));
        breaker.record(late, Outcome::Failed(Some(Duration::MAX)), start);
        assert_eq!(breaker.is_open(start), Some(seconds(24 * 3600)));
    }

    #[test]
    fn a_probe_that_tells_nothing_gives_way_and_so_does_one_that_hangs() {
        let start = Instant::now();
        let mut breaker = open_breaker(start);
        let probe = breaker.admit(start + seconds(5)).unwrap();
        breaker.record(probe, Outcome::Unknown, start + seconds(6));
        let probe = breaker.admit(start + seconds(6)).expect("the next one");
        assert!(breaker.admit(start + seconds(35)).is_err());
        let other = breaker.admit(start + seconds(36)).expect("the first one hangs");
        breaker.record(probe, Outcome::Answered, start + seconds(37));
        assert!(!breaker.is_clear());
        breaker.record(other, Outcome::Answered, start + seconds(37));
        assert!(breaker.is_clear());
    }

    #[test]
    fn a_share_of_failures_among_enough_requests_opens_it_too() {
        let start = Instant::now();
        let settings = CircuitBreaker::new().failures(100).ratio(0.5, 10, seconds(20));
        let mut breaker = Breaker::new(settings);
        for request in 0..9_u64 {
            let pass = breaker.admit(start).unwrap();
            breaker.record(pass, if request % 2 == 0 { FAILED } else { Outcome::Answered }, start);
        }
        let mut old = breaker.clone();
        let pass = breaker.admit(start).unwrap();
        breaker.record(pass, FAILED, start);
        assert!(breaker.is_open(start).is_some());
        let pass = old.admit(start + seconds(60)).unwrap();
        old.record(pass, FAILED, start + seconds(60));
        assert_eq!(old.is_open(start + seconds(60)), None, "what is over counts no more");
    }

    proptest! {
        #[test]
        fn an_open_breaker_always_comes_to_a_probe_and_a_closed_one_refuses_nothing(
            steps in proptest::collection::vec((0..4u8, 0..4_000u64, 0..40u64), 0..300),
        ) {
            let mut breaker = Breaker::new(CircuitBreaker::new().failures(2).ratio(0.6, 5, seconds(10)));
            let (mut now, mut passes) = (Instant::now(), Vec::new());
            for (step, ms, wait) in steps {
                now += Duration::from_millis(ms);
                let clear = breaker.is_clear();
                match (step, passes.pop()) {
                    (0, pass) | (_, pass @ None) => {
                        passes.extend(pass);
                        let admitted = breaker.admit(now);
                        prop_assert!(!clear || admitted.is_ok());
                        match admitted {
                            Ok(pass) => passes.push(pass),
                            Err(wait) => {
                                prop_assert!(!wait.is_zero() && wait <= seconds(60));
                                // Nobody waits for ever: either the time passes, or the probe.
                                let mut later = breaker.clone();
                                prop_assert!(later.admit(now + wait.max(PROBE)).is_ok());
                            }
                        }
                    }
                    (1, Some(pass)) => {
                        breaker.record(pass, Outcome::Failed((wait > 30).then(|| seconds(wait))), now);
                    }
                    (2, Some(pass)) => breaker.record(pass, Outcome::Answered, now),
                    (_, Some(pass)) => breaker.record(pass, Outcome::Unknown, now),
                }
            }
        }
    }
}
