//! Numbers that look random, for every program here that breaks things at random.

use std::time::Duration;

/// Numbers that look random, the same for the same seed (SplitMix64).
pub struct Dice(pub u64);

#[allow(dead_code, reason = "each program uses its own part")]
impl Dice {
    /// A number from 0 up to a limit, which is not among them.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A time between two, in milliseconds, to the microsecond.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000))
    }
}
