//! Times as Go has them: from the year 1 on, to the nanosecond, in a zone, shown and read with layouts
//! such as `2006-01-02 15:04:05`.
//!
//! Lives here: [`Time`] and [`Zone`], Go's text for durations. `layout`: the parts of a layout, shared
//! by `show` and `read`. Not here: the clock. The server's local zone is UTC.

mod layout;
mod read;
mod show;

pub use read::read;
pub(crate) use show::show_default;
pub use show::{format_duration, show};

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::{OffsetName, Tz};

const NANOS: i64 = 1_000_000_000;

/// A moment, and the zone in which it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// Since 1970.
    seconds: i64,
    nanoseconds: u32,
    zone: Zone,
}

/// Where a time is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zone {
    Utc,
    /// Seconds east of UTC, and a name where the text that was read had one.
    Fixed(i32, String),
    Named(Tz),
}

impl Zone {
    /// `Europe/Berlin`; `UTC`, `Local` and nothing are UTC.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" | "UTC" | "Local" => Some(Self::Utc),
            _ => name.parse().ok().map(Self::Named),
        }
    }
}

/// A time as calendar and clock show it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) local: NaiveDateTime,
    /// Seconds east of UTC.
    pub(crate) offset: i32,
    /// Empty where the zone has none.
    pub(crate) abbreviation: String,
}

impl Time {
    /// January 1 of the year 1: Go's time that is no time.
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanoseconds: 0, zone: Zone::Utc };

    pub fn from_unix_nanoseconds(nanoseconds: i64) -> Self {
        let (seconds, rest) = (nanoseconds.div_euclid(NANOS), nanoseconds.rem_euclid(NANOS));
        Self { seconds, nanoseconds: u32::try_from(rest).unwrap_or(0), zone: Zone::Utc }
    }

    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0, zone: Zone::Utc }
    }

    /// From what calendar and clock show in a zone. Where clocks are set back, the first of both; where
    /// they are set forward over it, as if they had not been.
    pub(crate) fn from_local(local: NaiveDateTime, zone: Zone) -> Self {
        let as_utc = local.and_utc();
        let offset = match &zone {
            Zone::Utc => 0,
            Zone::Fixed(offset, _) => *offset,
            Zone::Named(tz) => offset_of_local(*tz, local),
        };
        let seconds = as_utc.timestamp() - i64::from(offset);
        Self { seconds, nanoseconds: as_utc.timestamp_subsec_nanos() % 1_000_000_000, zone }
    }

    #[must_use]
    pub fn in_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Wraps around beyond the years 1678 to 2262, as Go's does.
    pub fn unix_nanoseconds(&self) -> i64 {
        self.seconds.wrapping_mul(NANOS).wrapping_add(i64::from(self.nanoseconds))
    }

    pub fn unix_milliseconds(&self) -> i64 {
        self.seconds.wrapping_mul(1000).wrapping_add(i64::from(self.nanoseconds / 1_000_000))
    }

    pub fn unix_microseconds(&self) -> i64 {
        self.seconds.wrapping_mul(1_000_000).wrapping_add(i64::from(self.nanoseconds / 1000))
    }

    pub(crate) fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Times beyond what the calendar reaches are shown as its end.
    pub(crate) fn clock(&self) -> Clock {
        let utc = DateTime::from_timestamp(self.seconds, self.nanoseconds).map(|t| t.naive_utc());
        let end = if self.seconds < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX };
        let utc = utc.unwrap_or(end);
        let (offset, abbreviation) = match &self.zone {
            Zone::Utc => (0, "UTC".to_owned()),
            Zone::Fixed(offset, name) => (*offset, name.clone()),
            Zone::Named(tz) => {
                let offset = tz.offset_from_utc_datetime(&utc);
                let name = offset.abbreviation().unwrap_or_default().to_owned();
                (offset.fix().local_minus_utc(), name)
            }
        };
        let shift = TimeDelta::try_seconds(i64::from(offset)).unwrap_or_default();
        let local = utc.checked_add_signed(shift).unwrap_or(utc);
        Clock { local, offset, abbreviation }
    }

    /// A part of it by the name that Go gives to the method.
    pub(crate) fn part(&self, name: &str) -> Option<i64> {
        let clock = || self.clock().local;
        Some(match name {
            "Unix" => self.unix_seconds(),
            "UnixMilli" => self.unix_milliseconds(),
            "UnixMicro" => self.unix_microseconds(),
            "UnixNano" => self.unix_nanoseconds(),
            "Year" => i64::from(clock().year()),
            "Day" => i64::from(clock().day()),
            "YearDay" => i64::from(clock().ordinal()),
            "Hour" => i64::from(clock().hour()),
            "Minute" => i64::from(clock().minute()),
            "Second" => i64::from(clock().second()),
            "Nanosecond" => i64::from(self.nanoseconds),
            _ => return None,
        })
    }
}

fn offset_of_local(tz: Tz, local: NaiveDateTime) -> i32 {
    let found = tz.offset_from_local_datetime(&local).earliest();
    let before = || tz.offset_from_utc_datetime(&(local - TimeDelta::hours(3)));
    found.unwrap_or_else(before).fix().local_minus_utc()
}
