//! Time as the stores count it: whole ticks since 1970, without calendars.

use crate::Signal;
use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// The length of a tick. Every signal counts in one unit ([`Signal::time_unit`]), and only this type
/// converts between units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    Millis,
    Nanos,
}

impl TimeUnit {
    const fn ticks_per_ms(self) -> i64 {
        match self {
            Self::Millis => 1,
            Self::Nanos => 1_000_000,
        }
    }

    const fn ticks_per_day(self) -> i64 {
        SECONDS_PER_DAY * 1_000 * self.ticks_per_ms()
    }

    /// The millisecond in which the tick lies.
    pub fn to_ms(self, tick: i64) -> i64 {
        tick.div_euclid(self.ticks_per_ms())
    }

    /// The first tick of the millisecond, or the nearest one that a tick can name.
    pub fn of_ms(self, ms: i64) -> i64 {
        ms.saturating_mul(self.ticks_per_ms())
    }

    /// `None` where the ends stand the wrong way round: a range is never empty.
    pub fn range(self, min: i64, max: i64) -> Option<TimeRange> {
        (min <= max).then_some(TimeRange { min, max, unit: self })
    }

    /// The range between two ticks, whichever comes first.
    pub fn between(self, one: i64, other: i64) -> TimeRange {
        TimeRange { min: one.min(other), max: one.max(other), unit: self }
    }

    pub fn at(self, tick: i64) -> TimeRange {
        TimeRange { min: tick, max: tick, unit: self }
    }

    pub fn everything(self) -> TimeRange {
        TimeRange { min: i64::MIN, max: i64::MAX, unit: self }
    }
}

/// A closed range of ticks of one unit: both ends belong to it. A [`TimeUnit`] makes it. To compare
/// ranges of different units is a mistake in this program, and panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub min: i64,
    pub max: i64,
    unit: TimeUnit,
}

impl TimeRange {
    pub fn unit(self) -> TimeUnit {
        self.unit
    }

    /// The millisecond of the last tick.
    pub fn max_ms(self) -> i64 {
        self.unit.to_ms(self.max)
    }

    /// The tick is one of the range's unit.
    pub fn contains(self, tick: i64) -> bool {
        self.min <= tick && tick <= self.max
    }

    pub fn covers(self, other: Self) -> bool {
        self.check_unit(other);
        self.min <= other.min && other.max <= self.max
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.check_unit(other);
        self.min <= other.max && other.min <= self.max
    }

    pub fn union(self, other: Self) -> Self {
        self.check_unit(other);
        Self { min: self.min.min(other.min), max: self.max.max(other.max), unit: self.unit }
    }

    fn check_unit(self, other: Self) {
        assert!(self.unit == other.unit, "ranges of different time units can't be compared");
    }
}

/// A UTC day, counted from 1970-01-01. Parts never cross one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    pub fn of(tick: i64, signal: Signal) -> Self {
        Self(tick.div_euclid(signal.time_unit().ticks_per_day()))
    }

    /// Every tick of the day; the first and the last day a tick can name are cut at its ends.
    pub fn range(self, signal: Signal) -> TimeRange {
        let unit = signal.time_unit();
        let length = i128::from(unit.ticks_per_day());
        let start = i128::from(self.0) * length;
        TimeRange { min: clamp(start), max: clamp(start + length - 1), unit }
    }
}

fn clamp(tick: i128) -> i64 {
    i64::try_from(tick).unwrap_or(if tick < 0 { i64::MIN } else { i64::MAX })
}

/// `2026-11-21`, by the proleptic Gregorian calendar (Howard Hinnant's days-to-civil).
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let z = i128::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i128::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        for (day, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_778, "2026-11-21"),
        ] {
            assert_eq!(Day(day).to_string(), text);
        }
    }

    #[test]
    fn a_tick_lies_in_its_day_even_at_the_ends() {
        for signal in Signal::ALL {
            for tick in [i64::MIN, -1, 0, 1, 86_399_999, 86_400_000, i64::MAX] {
                assert!(Day::of(tick, signal).range(signal).contains(tick));
            }
        }
    }

    #[test]
    fn ranges_are_closed() {
        let unit = TimeUnit::Millis;
        let range = unit.range(10, 20).unwrap();
        assert!(range.contains(10) && range.contains(20) && !range.contains(21));
        assert!(range.overlaps(unit.at(20)) && !range.overlaps(unit.at(21)));
        assert!(range.covers(unit.between(20, 11)));
        assert_eq!(unit.range(2, 1), None);
    }

    #[test]
    fn ticks_become_milliseconds_in_one_place() {
        assert_eq!(TimeUnit::Millis.to_ms(-1), -1);
        assert_eq!(TimeUnit::Nanos.to_ms(-1), -1, "the millisecond before 1970");
        assert_eq!(TimeUnit::Nanos.to_ms(1_999_999), 1);
        assert_eq!(TimeUnit::Nanos.between(0, 5_000_000).max_ms(), 5);
        assert_eq!(TimeUnit::Nanos.of_ms(3), 3_000_000);
        assert_eq!(TimeUnit::Nanos.of_ms(i64::MAX), i64::MAX);
    }

    /// Of two signals, say: a range of milliseconds never silently selects nanoseconds.
    #[test]
    fn units_do_not_mix() {
        let (metrics, logs) = (Signal::Metrics.time_unit().at(5), Signal::Logs.time_unit().at(5));
        let mixed: [fn(TimeRange, TimeRange) -> bool; 3] =
            [TimeRange::overlaps, TimeRange::covers, |one, other| one.union(other) == one];
        for compare in mixed {
            assert!(std::panic::catch_unwind(|| compare(metrics, logs)).is_err());
        }
        assert_ne!(metrics, logs);
    }
}
