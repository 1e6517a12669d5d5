//! Time as the stores count it: whole ticks since 1970, without calendars.

use crate::Signal;
use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// A closed range of ticks (`Signal::ticks_per_second`): both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub min: i64,
    pub max: i64,
}

impl TimeRange {
    pub const EVERYTHING: Self = Self { min: i64::MIN, max: i64::MAX };

    /// `None` where the ends stand the wrong way round: a range is never empty.
    pub fn new(min: i64, max: i64) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    pub fn at(tick: i64) -> Self {
        Self { min: tick, max: tick }
    }

    pub fn contains(self, tick: i64) -> bool {
        self.min <= tick && tick <= self.max
    }

    pub fn covers(self, other: Self) -> bool {
        self.min <= other.min && other.max <= self.max
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// A UTC day, counted from 1970-01-01. Parts never cross one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    pub fn of(tick: i64, signal: Signal) -> Self {
        Self(tick.div_euclid(SECONDS_PER_DAY * signal.ticks_per_second()))
    }

    /// Every tick of the day; the first and the last day a tick can name are cut at its ends.
    pub fn range(self, signal: Signal) -> TimeRange {
        let length = i128::from(SECONDS_PER_DAY * signal.ticks_per_second());
        let start = i128::from(self.0) * length;
        TimeRange { min: clamp(start), max: clamp(start + length - 1) }
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
        let range = TimeRange::new(10, 20).unwrap();
        assert!(range.contains(10) && range.contains(20) && !range.contains(21));
        assert!(range.overlaps(TimeRange::at(20)) && !range.overlaps(TimeRange::at(21)));
        assert!(range.covers(TimeRange { min: 11, max: 20 }));
        assert_eq!(TimeRange::new(2, 1), None);
    }
}
