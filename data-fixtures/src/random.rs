//! Seeded randomness: integer draws only, the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One stream of draws. Streams of one seed do not influence each other.
#[derive(Clone, Debug)]
pub struct Draw {
    generator: ChaCha8Rng,
}

impl Draw {
    /// The stream named `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Draw {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Draw { generator }
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.generator.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number in `from..=to`; `from` where `to` is not above it.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        if to <= from {
            return from;
        }
        from + self.below(to.abs_diff(from) + 1) as i64
    }

    /// True in `share` of ten thousand cases.
    pub fn chance(&mut self, share: u32) -> bool {
        self.below(10_000) < u64::from(share)
    }

    /// One element of a list, which must not be empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

/// Mixes a number so that neighbours look unrelated (the finaliser of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut value = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_on_every_machine() {
        let mut draw = Draw::new(7, 3);
        let drawn: Vec<u64> = (0..4).map(|_| draw.below(1_000_000)).collect();
        let mut again = Draw::new(7, 3);
        assert_eq!(
            drawn,
            (0..4).map(|_| again.below(1_000_000)).collect::<Vec<_>>()
        );
        let mut other = Draw::new(7, 4);
        assert_ne!(
            drawn,
            (0..4).map(|_| other.below(1_000_000)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut draw = Draw::new(1, 1);
        for _ in 0..1_000 {
            assert!(draw.below(3) < 3);
            assert!((-2..=2).contains(&draw.between(-2, 2)));
            assert!(!draw.chance(0));
            assert!(draw.chance(10_000));
        }
    }
}
