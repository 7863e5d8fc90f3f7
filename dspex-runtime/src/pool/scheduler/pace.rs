//! How fast places come free, for whoever is turned away and wants to know when to come again.

use std::time::{Duration, Instant};

/// How much the latest interval counts.
const WEIGHT: f64 = 0.2;

/// The mean time between places that came free while calls waited for them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    mean: Option<f64>,
}

impl Pace {
    /// A place came free, and calls wait.
    pub(super) fn released(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let interval = now.saturating_duration_since(last).as_secs_f64();
            self.mean = Some(self.mean.map_or(interval, |mean| mean + WEIGHT * (interval - mean)));
        }
    }

    /// Nobody waits: the time until somebody does says nothing.
    pub(super) fn idle(&mut self) {
        self.last = None;
    }

    /// When about the next place comes free; none where too little was seen.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let mean = Duration::try_from_secs_f64(self.mean?).ok()?;
        // Where nothing has come free for longer than usual, nothing says that it will now.
        Some(self.last.map_or(mean, |last| mean.max(now.saturating_duration_since(last))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_places_and_slows_down_where_none_come() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        assert_eq!(pace.next(start), None);
        pace.released(at(0));
        assert_eq!(pace.next(at(0)), None, "one is no interval");
        for place in 1..=50 {
            pace.released(at(place * 10));
        }
        let next = pace.next(at(500)).unwrap();
        assert!((9..=11).contains(&next.as_millis()), "{next:?}");
        assert_eq!(pace.next(at(1_500)).unwrap().as_millis(), 1_000);
        pace.idle();
        pace.released(at(90_000));
        let next = pace.next(at(90_000)).unwrap();
        assert!((9..=11).contains(&next.as_millis()), "idle time is no interval: {next:?}");
    }
}
