//! Whether it pays to look again before going to sleep.
//!
//! Waking a sleeping core takes longer than a small call. So whoever waits for the next message first looks for it a
//! few times, for at most [`WINDOW`], and lets other tasks run in between. It does so only while that finds messages:
//! beside calls that wait for a model it soon gives up, and tries again once in a while.

use std::time::Duration;

/// The longest that a look for the next message goes on.
pub(crate) const WINDOW: Duration = Duration::from_micros(100);

/// So many looks in vain in a row end them.
const PATIENCE: u32 = 4;

/// One of so many waits begins with a look all the same, to find out whether it pays again.
const PROBE_EVERY: u32 = 64;

/// Decides from how the last waits went.
#[derive(Default)]
pub(crate) struct Spin {
    misses: u32,
    skipped: u32,
}

impl Spin {
    /// Whether the next wait begins with a look.
    pub(crate) fn pays(&mut self) -> bool {
        if self.misses < PATIENCE {
            return true;
        }
        self.skipped = (self.skipped + 1) % PROBE_EVERY;
        self.skipped == 0
    }

    /// How a look ended.
    pub(crate) fn learn(&mut self, found: bool) {
        self.misses = if found { 0 } else { (self.misses + 1).min(PATIENCE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_end_and_are_tried_again_once_in_a_while() {
        let mut spin = Spin::default();
        for _ in 0..PATIENCE {
            assert!(spin.pays());
            spin.learn(false);
        }
        let tried = (0..PROBE_EVERY).filter(|_| spin.pays()).count();
        assert_eq!(tried, 1);
        spin.learn(true);
        assert!(spin.pays(), "one that finds something begins them anew");
    }
}
