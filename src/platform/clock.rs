//! Time. The wall clock may jump, so correctness never depends on it.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time on a clock that never steps back. Only differences between two are meaningful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl Moment {
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

pub trait Clock: Debug + Send + Sync {
    /// Nanoseconds since 1970 on the wall clock.
    fn wall_ns(&self) -> i64;

    fn now(&self) -> Moment;

    fn wall_ms(&self) -> i64 {
        self.wall_ns().div_euclid(1_000_000)
    }
}

#[derive(Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall_ns(&self) -> i64 {
        // A machine whose clock is before 1970 has a broken clock: 1970 is as good as any answer.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn now(&self) -> Moment {
        Moment(self.start.elapsed())
    }
}
