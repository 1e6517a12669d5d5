//! Randomness: the kernel's, or a seeded one that tests can repeat.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::PoisonError;

pub trait Random: Debug + Send + Sync {
    fn fill(&self, buffer: &mut [u8]);

    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn next_u128(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }

    /// Below `bound`, which must not be 0. The bias is under 2^-32 for bounds below 2^32.
    fn below(&self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below zero");
        self.next_u64() % bound
    }
}

/// The kernel's random numbers, fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut filled = 0;
        while filled < buffer.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled += rustix::rand::getrandom(&mut buffer[filled..], flags)
                .expect("the kernel's random numbers are always there after boot");
        }
    }
}

/// SplitMix64: repeatable, for tests and simulations. Never for secrets.
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn step(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.step().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_kernel_does_not() {
        let draw = |seed| SeededRandom::new(seed).next_u128();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(OsRandom.next_u128(), OsRandom.next_u128());
    }
}
