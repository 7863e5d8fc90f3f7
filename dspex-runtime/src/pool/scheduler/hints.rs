//! Which specs a worker has built lately: a hint, which may be wrong, of where a call starts a few milliseconds sooner.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// So many specs are remembered at least, and at most twice as many: about what a worker keeps itself.
const REMEMBERED: usize = 256;

/// A spec that was kept at one worker so often, though another had less to do, is built there too.
const KEPT: u8 = 4;

/// The beginning of a spec's hash, which is enough for a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpecKey(u64);

impl SpecKey {
    /// The key of a hash in hexadecimal digits.
    pub(super) fn of(hash: &str) -> Self {
        let digits = hash.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Self(digits.unwrap_or_default())
    }
}

/// The specs of one worker, in two halves: what was used lately, and what was used before. When the first one is full, it takes
/// the place of the second one, whose specs are forgotten.
#[derive(Default)]
pub(super) struct Hints {
    young: Map,
    old: Map,
}

/// For each spec, how often it was kept here although another worker had less to do.
type Map = HashMap<SpecKey, u8, BuildHasherDefault<Digits>>;

impl Hints {
    /// Whether the worker has built it, as far as is known.
    pub(super) fn knows(&self, spec: SpecKey) -> bool {
        self.young.contains_key(&spec) || self.old.contains_key(&spec)
    }

    /// The worker is given a call of the spec.
    pub(super) fn used(&mut self, spec: SpecKey) {
        if !self.young.contains_key(&spec) {
            self.set(spec, 0);
        }
    }

    /// Whether the spec may be kept here once more, although another worker has less to do.
    pub(super) fn keeps(&mut self, spec: SpecKey) -> bool {
        let kept = self.young.get(&spec).or_else(|| self.old.get(&spec)).copied().unwrap_or_default();
        let keeps = kept < KEPT;
        self.set(spec, if keeps { kept + 1 } else { 0 });
        keeps
    }

    fn set(&mut self, spec: SpecKey, kept: u8) {
        self.young.insert(spec, kept);
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// The keys are digits of a hash already.
#[derive(Default)]
struct Digits(u64);

impl Hasher for Digits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digits: u64) {
        self.0 = digits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_lately_is_known_and_the_rest_is_forgotten() {
        let mut hints = Hints::default();
        for number in 0..10_000 {
            hints.used(SpecKey(number));
            hints.used(SpecKey(7));
            assert!(hints.young.len() + hints.old.len() <= 2 * REMEMBERED);
        }
        assert!(hints.knows(SpecKey(7)) && hints.knows(SpecKey(9_999)) && hints.knows(SpecKey(9_999 - 200)));
        assert!(!hints.knows(SpecKey(100)));
    }

    #[test]
    fn a_spec_is_kept_at_a_busier_worker_only_so_often() {
        let mut hints = Hints::default();
        let keeps: Vec<bool> = (0..6).map(|_| hints.keeps(SpecKey(1))).collect();
        assert_eq!(keeps, [true, true, true, true, false, true]);
    }

    #[test]
    fn keys_are_the_first_digits_of_hashes() {
        assert_eq!(SpecKey::of("00000000000000ff1234"), SpecKey(255));
        assert_eq!(SpecKey::of("short"), SpecKey(0));
        assert_eq!(SpecKey::of("not hexadecimal, and long enough"), SpecKey(0));
    }
}
