//! Limits the rate of log lines that would otherwise be written for every request.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Lets one occurrence through per interval and counts those that it held back.
#[derive(Debug)]
pub struct Seldom {
    interval_ms: i64,
    next_ms: AtomicI64,
    held_back: AtomicU64,
}

impl Seldom {
    pub const fn new(interval_ms: i64) -> Self {
        Self { interval_ms, next_ms: AtomicI64::new(i64::MIN), held_back: AtomicU64::new(0) }
    }

    /// When this occurrence may pass: the number held back since the last one that passed.
    pub fn admits(&self, now_ms: i64) -> Option<u64> {
        let next_ms = self.next_ms.load(Relaxed);
        let after = now_ms.saturating_add(self.interval_ms);
        // A clock that was set back must not hold lines back for longer than the interval.
        let is_due = now_ms >= next_ms || after < next_ms;
        if is_due && self.next_ms.compare_exchange(next_ms, after, Relaxed, Relaxed).is_ok() {
            return Some(self.held_back.swap(0, Relaxed));
        }
        self.held_back.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_in_a_while_and_knows_of_the_others() {
        let seldom = Seldom::new(60);
        let told: Vec<_> = [0, 1, 59, 60, 61, 120, -500, -499].map(|now| seldom.admits(now)).into();
        let expected = [Some(0), None, None, Some(2), None, Some(1), Some(0), None];
        assert_eq!(told, expected);
    }
}
