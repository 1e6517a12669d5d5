//! The time by which retention decides what is too old.
//!
//! A wall clock that jumps ahead makes all data look old, and what retention drops does not come
//! back. So the wall clock is compared with what the monotonic clock leads to expect:
//! 1. The *anchor* is a trusted time and the moment at which it was read. Expected is the anchor's
//!    time plus what the monotonic clock has counted since.
//! 2. A wall clock within [`STEP_MAX_MS`] of the expected time is trusted, and is the time. After
//!    [`PROBATION`] the anchor is renewed, so that drift and short suspends do not add up.
//! 3. Any other wall clock is distrusted: the time is the earlier one of both, which drops less.
//! 4. A distrusted wall clock is trusted again once it is back within the step of rule 2, or once it
//!    has kept pace with the monotonic clock for [`PROBATION`]: a machine that was off or suspended
//!    for long has the right time, and says so by keeping it.
//!
//! At a start the anchor is the time that was last recorded, and the newest manifest's if there is
//! none. Not here: what is dropped at a given time (`parts`), where the time is recorded (the
//! server).

use observe::{Counter, Event, Fields, Gauge, Level, emit};
use platform::{Clock, Moment};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A day: that much too much is the most that a wrong clock can drop before it is distrusted.
const STEP_MAX_MS: i64 = 86_400_000;

/// Long enough for an operator to see the warning and set the clock.
const PROBATION: Duration = Duration::from_secs(86_400);

pub(crate) static TRUSTED: Gauge = Gauge::new(
    "mirador_retention_clock_trusted",
    "1 while retention by age follows the wall clock, 0 while it distrusts it after a jump.",
);
pub(crate) static JUMPS: Counter = Counter::new(
    "mirador_retention_clock_jumps_total",
    "Jumps of the wall clock by more than a day, after which retention by age distrusted it.",
);

/// What retention thinks of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    Trusted,
    Distrusted {
        wall_ms: i64,
        /// The time by the last trusted one and the monotonic clock.
        expected_ms: i64,
        /// After how long the wall clock is trusted if it keeps pace.
        trusted_in: Duration,
    },
}

/// A time of the wall clock and the moment at which it was read.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall_ms: i64,
    at: Moment,
}

impl Anchor {
    fn expected_ms(self, now: Moment) -> i64 {
        let passed = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.saturating_add(passed)
    }

    fn agrees(self, now: Self) -> bool {
        self.expected_ms(now.at).abs_diff(now.wall_ms) <= STEP_MAX_MS.unsigned_abs()
    }
}

#[derive(Debug)]
struct State {
    /// `None` until the first reading of a server that has recorded no time.
    anchor: Option<Anchor>,
    /// Since when the distrusted wall clock keeps pace; `None` while it is trusted.
    probation: Option<Anchor>,
}

#[derive(Debug)]
pub struct RetentionClock {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl RetentionClock {
    /// `recorded_ms` is the newest time that an earlier run trusted.
    pub fn new(clock: Arc<dyn Clock>, recorded_ms: Option<i64>) -> Self {
        let at = clock.now();
        let anchor = recorded_ms.map(|wall_ms| Anchor { wall_ms, at });
        let clock = Self { clock, state: Mutex::new(State { anchor, probation: None }) };
        clock.now_ms();
        clock
    }

    /// The time by which ages are measured. Reads the clocks and draws the conclusions.
    pub fn now_ms(&self) -> i64 {
        self.range_ms().0
    }

    /// The earliest and the latest time that it may be: both are the wall clock's while that is
    /// trusted. What is too old by the first and what is too new by the second is so by any clock.
    pub fn range_ms(&self) -> (i64, i64) {
        let now = self.read();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = *state.anchor.get_or_insert(now);
        if anchor.agrees(now) {
            if state.probation.take().is_some() {
                emit(&ClockTrusted { wall_ms: now.wall_ms });
            } else if now.at.since(anchor.at) >= PROBATION {
                state.anchor = Some(now);
            }
            TRUSTED.set(1.0);
            return (now.wall_ms, now.wall_ms);
        }
        match state.probation.filter(|probation| probation.agrees(now)) {
            Some(probation) if now.at.since(probation.at) >= PROBATION => {
                (state.anchor, state.probation) = (Some(now), None);
                TRUSTED.set(1.0);
                emit(&ClockTrusted { wall_ms: now.wall_ms });
                return (now.wall_ms, now.wall_ms);
            }
            Some(_) => {}
            None => {
                state.probation = Some(now);
                TRUSTED.set(0.0);
                let expected_ms = anchor.expected_ms(now.at);
                emit(&ClockDistrusted { wall_ms: now.wall_ms, expected_ms });
            }
        }
        let expected_ms = anchor.expected_ms(now.at);
        (now.wall_ms.min(expected_ms), now.wall_ms.max(expected_ms))
    }

    /// What the last reading concluded.
    pub fn trust(&self) -> ClockTrust {
        let now = self.read();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(anchor), Some(probation)) = (state.anchor, state.probation) else {
            return ClockTrust::Trusted;
        };
        ClockTrust::Distrusted {
            wall_ms: now.wall_ms,
            expected_ms: anchor.expected_ms(now.at),
            trusted_in: PROBATION.saturating_sub(now.at.since(probation.at)),
        }
    }

    fn read(&self) -> Anchor {
        Anchor { wall_ms: self.clock.wall_ms(), at: self.clock.now() }
    }
}

struct ClockDistrusted {
    wall_ms: i64,
    expected_ms: i64,
}

impl Event for ClockDistrusted {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "the wall clock is more than a day away from the time that is \
        expected: retention by age does not follow it until it is back, or has kept pace for a day. \
        If the machine was off or suspended, there is nothing to do; else set its clock";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("wall_ms", self.wall_ms);
        fields.text("expected_ms", self.expected_ms);
    }

    fn count(&self) {
        JUMPS.increment();
    }
}

struct ClockTrusted {
    wall_ms: i64,
}

impl Event for ClockTrusted {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "retention by age follows the wall clock again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("wall_ms", self.wall_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::sim::SimClock;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY_MS: i64 = 86_400_000;

    fn hours(count: u32) -> Duration {
        HOUR * count
    }

    fn jump(clock: &SimClock, days: i64) {
        clock.set_wall_ns(clock.wall_ns() + days * DAY_MS * 1_000_000);
    }

    fn is_trusted(clock: &RetentionClock) -> bool {
        clock.trust() == ClockTrust::Trusted
    }

    #[test]
    fn a_jump_for_three_seconds_moves_nothing() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        machine.advance(hours(1));
        let before = clock.now_ms();
        jump(&machine, 60);
        assert_eq!(clock.now_ms(), before);
        assert_eq!(clock.range_ms(), (before, machine.wall_ms()));
        assert!(!is_trusted(&clock));
        machine.advance(Duration::from_secs(3));
        assert_eq!(clock.now_ms(), before + 3_000, "the monotonic clock goes on");
        jump(&machine, -60);
        assert_eq!(clock.now_ms(), before + 3_000);
        assert!(is_trusted(&clock));
    }

    #[test]
    fn a_jump_that_stays_is_trusted_after_a_day() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        jump(&machine, 60);
        for _ in 0..24 {
            assert!(machine.wall_ms() - clock.now_ms() >= 59 * DAY_MS);
            machine.advance(HOUR);
        }
        assert_eq!(clock.now_ms(), machine.wall_ms());
        assert!(is_trusted(&clock));
    }

    /// Each jump begins another day of waiting.
    #[test]
    fn a_clock_that_goes_on_jumping_is_never_trusted() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        let start = machine.wall_ms();
        for day in 1..20 {
            jump(&machine, 10);
            machine.advance(hours(23));
            assert!(clock.now_ms() <= start + day * DAY_MS);
        }
    }

    #[test]
    fn an_idle_server_follows_the_clock() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        machine.advance(hours(24 * 60));
        assert_eq!(clock.now_ms(), machine.wall_ms());
    }

    /// A laptop that sleeps at night: its monotonic clock stands still, its wall clock does not.
    #[test]
    fn short_suspends_do_not_add_up() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        for _ in 0..40 {
            for _ in 0..16 {
                machine.advance(HOUR);
                assert_eq!(clock.now_ms(), machine.wall_ms());
            }
            machine.set_wall_ns(machine.wall_ns() + 8 * 3_600 * 1_000_000_000);
        }
        assert!(is_trusted(&clock));
    }

    #[test]
    fn a_start_far_ahead_of_the_recorded_time_waits_a_day() {
        let machine = Arc::new(SimClock::new());
        let recorded = machine.wall_ms() - 60 * DAY_MS;
        let clock = RetentionClock::new(machine.clone(), Some(recorded));
        assert!(!is_trusted(&clock), "known before the first retention");
        machine.advance(HOUR);
        assert_eq!(clock.now_ms(), recorded + 3_600_000);
        machine.advance(hours(23));
        assert_eq!(clock.now_ms(), machine.wall_ms());
    }

    #[test]
    fn a_clock_that_jumps_back_drops_nothing_and_may_return() {
        let machine = Arc::new(SimClock::new());
        let clock = RetentionClock::new(machine.clone(), None);
        let right = machine.wall_ns();
        machine.set_wall_ns(0);
        assert_eq!(clock.now_ms(), 0);
        assert_eq!(clock.range_ms(), (0, right / 1_000_000), "samples of now are not too new");
        machine.set_wall_ns(right);
        assert_eq!(clock.now_ms(), machine.wall_ms());
        assert!(is_trusted(&clock));
    }
}
