//! Time zones, and the calendar in them: whole units of time and steps of them. Times are milliseconds
//! since 1970.

use super::error::{Result, SearchError};
use chrono::{
    DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, Offset as _, TimeZone,
};
use chrono_tz::Tz;

/// A zone: a fixed offset, or one of the IANA database, whose offset changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Offset { ms: i64 },
    Named(Tz),
}

/// No line has a time beyond this.
const REACH_MS: i64 = i64::MAX / 4;
const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

impl Zone {
    pub(super) const UTC: Self = Self::Offset { ms: 0 };

    /// `Z`, `UTC`, `+09:00`, `Asia/Seoul`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if matches!(text, "" | "Z" | "z" | "utc" | "UTC") {
            return Ok(Self::UTC);
        }
        if let Some(ms) = offset(text) {
            return Ok(Self::Offset { ms });
        }
        text.parse().map(Self::Named).map_err(|_| {
            let shown: String = text.chars().take(50).collect();
            SearchError::illegal(format!(
                "unknown time zone [{shown}]: send an offset such as +09:00, or a name such as Asia/Seoul"
            ))
        })
    }

    /// How far local time is ahead.
    fn offset_ms(self, utc_ms: i64) -> i64 {
        match self {
            Self::Offset { ms } => ms,
            Self::Named(zone) => DateTime::from_timestamp_millis(utc_ms).map_or(0, |utc| {
                let offset = zone.offset_from_utc_datetime(&utc.naive_utc());
                i64::from(offset.fix().local_minus_utc()) * 1_000
            }),
        }
    }

    pub(super) fn to_local(self, utc_ms: i64) -> i64 {
        utc_ms.saturating_add(self.offset_ms(utc_ms))
    }

    /// The earlier one, where a local time comes twice; where it does not come, the moment of the change.
    pub(super) fn to_utc(self, local_ms: i64) -> i64 {
        match self {
            Self::Offset { ms } => local_ms.saturating_sub(ms),
            Self::Named(_) => {
                // Zones are at most 14 hours away from UTC; one guess from each side finds the change.
                let early =
                    local_ms.saturating_sub(self.offset_ms(local_ms.saturating_sub(DAY_MS)));
                let late = local_ms.saturating_sub(self.offset_ms(local_ms.saturating_add(DAY_MS)));
                let fits = |utc: i64| self.to_local(utc) == local_ms;
                match fits(early) {
                    true => early,
                    false if fits(late) => late,
                    false => early.max(late),
                }
            }
        }
    }
}

/// `+09:00`, `-0330`, `+9`.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.get(1..)?.split_once(':') {
        Some(both) => both,
        None => text.get(1..)?.split_at_checked(2).unwrap_or((text.get(1..)?, "")),
    };
    let number = |text: &str, most: i64| match text {
        "" => Some(0),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 2 => {
            text.parse().ok().filter(|number| *number <= most)
        }
        _ => None,
    };
    Some(sign * (number(hours, 18)? * HOUR_MS + number(minutes, 59)? * 60_000))
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// As date math and calendar intervals write it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "s" | "1s" | "second" => Self::Second,
            "m" | "1m" | "minute" => Self::Minute,
            "h" | "H" | "1h" | "hour" => Self::Hour,
            "d" | "1d" | "day" => Self::Day,
            "w" | "1w" | "week" => Self::Week,
            "M" | "1M" | "month" => Self::Month,
            "q" | "1q" | "quarter" => Self::Quarter,
            "y" | "1y" | "year" => Self::Year,
            _ => return None,
        })
    }

    /// The length of units that always have the same.
    fn fixed_ms(self) -> Option<i64> {
        match self {
            Self::Second => Some(1_000),
            Self::Minute => Some(60_000),
            Self::Hour => Some(HOUR_MS),
            Self::Day => Some(DAY_MS),
            Self::Week => Some(7 * DAY_MS),
            Self::Month | Self::Quarter | Self::Year => None,
        }
    }

    /// The start of the unit that a time lies in, in a zone.
    pub(super) fn floor(self, utc_ms: i64, zone: Zone) -> i64 {
        let local = zone.to_local(utc_ms).clamp(-REACH_MS, REACH_MS);
        let floored = match self {
            // 1970 began on a Thursday; weeks begin on Mondays.
            Self::Week => (local + 3 * DAY_MS).div_euclid(7 * DAY_MS) * (7 * DAY_MS) - 3 * DAY_MS,
            unit => match unit.fixed_ms() {
                Some(length) => local - local.rem_euclid(length),
                None => first_of(unit, local),
            },
        };
        zone.to_utc(floored)
    }

    /// So many units later, or earlier.
    pub(super) fn add(self, utc_ms: i64, count: i64, zone: Zone) -> Option<i64> {
        if let (Some(length), true) =
            (self.fixed_ms(), matches!(self, Self::Second | Self::Minute | Self::Hour))
        {
            return utc_ms.checked_add(length.checked_mul(count)?);
        }
        let local = DateTime::from_timestamp_millis(zone.to_local(utc_ms))?.naive_utc();
        let moved = match self {
            Self::Day => add_days(local, count)?,
            Self::Week => add_days(local, count.checked_mul(7)?)?,
            Self::Month => add_months(local, count)?,
            Self::Quarter => add_months(local, count.checked_mul(3)?)?,
            _ => add_months(local, count.checked_mul(12)?)?,
        };
        Some(zone.to_utc(moved.and_utc().timestamp_millis()))
    }
}

fn add_days(time: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
    let days = Days::new(count.unsigned_abs());
    if count < 0 { time.checked_sub_days(days) } else { time.checked_add_days(days) }
}

fn add_months(time: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
    let months = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
    if count < 0 { time.checked_sub_months(months) } else { time.checked_add_months(months) }
}

/// The start of a local time's month, quarter or year.
fn first_of(unit: Unit, local_ms: i64) -> i64 {
    let Some(time) = DateTime::from_timestamp_millis(local_ms) else { return local_ms };
    let month = match unit {
        Unit::Month => time.month(),
        Unit::Quarter => (time.month() - 1) / 3 * 3 + 1,
        _ => 1,
    };
    let first =
        NaiveDate::from_ymd_opt(time.year(), month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    first.map_or(local_ms, |first| first.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn units_begin_where_their_zone_says() {
        let seoul = Zone::parse("Asia/Seoul").unwrap();
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let offset = Zone::parse("+09:00").unwrap();
        for (unit, zone, time, expected) in [
            (Unit::Day, Zone::UTC, "2023-11-14T22:13:20Z", "2023-11-14T00:00:00Z"),
            (Unit::Day, seoul, "2023-11-14T22:13:20Z", "2023-11-14T15:00:00Z"),
            (Unit::Day, offset, "2023-11-14T14:13:20Z", "2023-11-13T15:00:00Z"),
            (Unit::Week, Zone::UTC, "2023-11-14T22:13:20Z", "2023-11-13T00:00:00Z"),
            (Unit::Month, seoul, "2023-11-30T22:00:00Z", "2023-11-30T15:00:00Z"),
            (Unit::Quarter, Zone::UTC, "2023-11-30T22:00:00Z", "2023-10-01T00:00:00Z"),
            (Unit::Year, Zone::UTC, "2023-11-30T22:00:00Z", "2023-01-01T00:00:00Z"),
            // The clocks go back at 1:00 UTC: the day has 25 hours.
            (Unit::Day, berlin, "2023-10-29T22:00:00Z", "2023-10-28T22:00:00Z"),
        ] {
            assert_eq!(unit.floor(ms(time), zone), ms(expected), "{unit:?} {zone:?} {time}");
        }
        assert_eq!(
            Unit::Day.add(ms("2023-10-28T22:00:00Z"), 1, berlin),
            Some(ms("2023-10-29T23:00:00Z"))
        );
        assert_eq!(
            Unit::Month.add(ms("2023-01-31T00:00:00Z"), 1, Zone::UTC),
            Some(ms("2023-02-28T00:00:00Z"))
        );
        assert!(Zone::parse("Mars/Base").is_err());
    }
}
