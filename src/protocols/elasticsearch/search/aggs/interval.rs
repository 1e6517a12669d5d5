//! Steps of time: of a fixed length, or of the calendar.

use super::super::error::{Result, SearchError};
use super::super::zone::{Unit, Zone};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Interval {
    /// Milliseconds.
    Fixed(i64),
    Calendar(Unit),
}

impl Interval {
    /// `30s`, `5m`, `1h`, `7d`, `500ms`.
    pub(super) fn fixed(text: &str) -> Result<Self> {
        let wrong = || {
            SearchError::parsing(format!(
                "failed to parse interval [{text}]: send a number with ms, s, m, h or d, such as 30s"
            ))
        };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(at);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let length = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_ms));
        length.filter(|length| *length > 0).map(Self::Fixed).ok_or_else(wrong)
    }

    pub(super) fn calendar(text: &str) -> Result<Self> {
        Unit::parse(text).map(Self::Calendar).ok_or_else(|| {
            SearchError::parsing(format!(
                "the supplied interval [{text}] could not be parsed as a calendar interval: send minute, \
                 hour, day, week, month, quarter or year, or a fixed_interval"
            ))
        })
    }

    /// The start of the step that a time lies in. All are milliseconds.
    pub(super) fn floor(self, time: i64, zone: Zone, offset: i64) -> i64 {
        let moved = time.saturating_sub(offset);
        let start = match self {
            Self::Fixed(length) => {
                let local = zone.to_local(moved);
                zone.to_utc(local.saturating_sub(local.rem_euclid(length)))
            }
            Self::Calendar(unit) => unit.floor(moved, zone),
        };
        start.saturating_add(offset)
    }

    /// The start of the step behind the one that starts here.
    pub(super) fn next(self, start: i64, zone: Zone, offset: i64) -> Option<i64> {
        let next = match self {
            Self::Fixed(length) => start.checked_add(length)?,
            Self::Calendar(unit) => {
                unit.add(start.checked_sub(offset)?, 1, zone)?.checked_add(offset)?
            }
        };
        // A change of the clocks may move a step of fixed length.
        let floored = self.floor(next, zone, offset);
        Some(if floored > start { floored } else { next })
    }
}

/// `+6h`, `-1d`, `3600s`: milliseconds.
pub(super) fn offset(text: &str) -> Result<i64> {
    let (sign, length) = match text.split_at_checked(1) {
        Some(("-", rest)) => (-1, rest),
        Some(("+", rest)) => (1, rest),
        _ => (1, text),
    };
    match Interval::fixed(length)? {
        Interval::Fixed(length) => Ok(sign * length),
        Interval::Calendar(_) => Ok(0),
    }
}
