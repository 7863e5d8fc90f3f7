//! How often workers may end unasked before that is a condition of its own, as pure counting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many ends within so long are borne; more are too many.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    limit: usize,
    within: Duration,
    ends: VecDeque<Instant>,
}

impl Intensity {
    pub(crate) fn new(limit: usize, within: Duration) -> Self {
        Self { limit, within, ends: VecDeque::new() }
    }

    /// Counts one more end; says by how many the limit is exceeded now.
    pub(crate) fn count(&mut self, now: Instant) -> u32 {
        self.forget(now);
        // More than this only say the same once more.
        if self.ends.len() > self.limit + 32 {
            self.ends.pop_front();
        }
        self.ends.push_back(now);
        u32::try_from(self.ends.len().saturating_sub(self.limit)).unwrap_or(u32::MAX)
    }

    /// How many there were of late.
    pub(crate) fn recent(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// Whether there were too many, seen from now.
    pub(crate) fn is_exceeded(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.ends.len() > self.limit
    }

    fn forget(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|end| now.duration_since(*end) > self.within) {
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_within_the_limit_are_borne_and_count_no_more_when_they_are_long_ago() {
        let (begun, minute) = (Instant::now(), Duration::from_secs(60));
        let mut intensity = Intensity::new(5, minute);
        let excess: Vec<u32> =
            (0..8).map(|second| intensity.count(begun + Duration::from_secs(second))).collect();
        assert_eq!(excess, [0, 0, 0, 0, 0, 1, 2, 3]);
        assert!(intensity.is_exceeded(begun + minute));
        assert!(!intensity.is_exceeded(begun + minute + Duration::from_secs(3)));
        assert_eq!(intensity.count(begun + minute * 3), 0);
    }
}
