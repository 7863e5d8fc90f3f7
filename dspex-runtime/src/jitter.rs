//! A little chance, so that what happens in many places at once does not happen again at one moment.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number from 0 to 1, 1 excluded. Nothing secret may hang on it.
pub(crate) fn random() -> f64 {
    // The standard library's keys differ for each.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Spreads a value by so much to both sides; `random` is from 0 to 1.
pub(crate) fn spread(value: f64, by: f64, random: f64) -> f64 {
    value * (1.0 + by * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chance_is_spread_over_all_of_its_range() {
        let values: Vec<f64> = (0..1_000).map(|_| random()).collect();
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            assert!(values.iter().any(|value| (low..low + 0.1).contains(value)), "none from {low}");
        }
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(value in 1.0..1e9, random in 0.0..1.0) {
            let spread = spread(value, 0.2, random);
            prop_assert!(spread >= value * 0.799 && spread <= value * 1.201);
        }
    }
}
