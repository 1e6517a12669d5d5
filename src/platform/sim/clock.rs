//! A clock that stands still until it is moved.

use crate::{Clock, Moment};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct Hands {
    wall_ns: i64,
    now: Duration,
}

/// Starts at 2026-11-21 00:00 UTC, far from zero, where mistakes with signs would hide.
#[derive(Debug)]
pub struct SimClock(Mutex<Hands>);

const START_NS: i64 = 1_795_219_200_000_000_000;

impl SimClock {
    pub fn new() -> Self {
        Self(Mutex::new(Hands { wall_ns: START_NS, now: Duration::ZERO }))
    }

    /// Time passes on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands();
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        hands.wall_ns = hands.wall_ns.saturating_add(by_ns);
        hands.now += by;
    }

    /// Sets the wall clock, forwards or back; the monotonic clock stays as it is.
    pub fn set_wall_ns(&self, wall_ns: i64) {
        self.hands().wall_ns = wall_ns;
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn wall_ns(&self) -> i64 {
        self.hands().wall_ns
    }

    fn now(&self) -> Moment {
        Moment(self.hands().now)
    }
}
