//! Intervals of the calendar in which routes are muted or active.
//!
//! Lives here: what an interval is and whether it holds a moment. `parse`: its parts as the
//! configuration writes them.

pub(crate) mod parse;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike};
use chrono_tz::Tz;

/// From and to, both included; for times of the day the end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub begin: i32,
    pub end: i32,
}

impl Span {
    fn holds(self, value: i32) -> bool {
        self.begin <= value && value <= self.end
    }
}

/// What all of its parts hold. A part that is not there holds everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeInterval {
    /// Minutes of the day; the end is not included.
    pub times: Vec<Span>,
    /// 0 is Sunday.
    pub weekdays: Vec<Span>,
    /// From 1; negative ones count from the end of the month.
    pub days_of_month: Vec<Span>,
    pub months: Vec<Span>,
    pub years: Vec<Span>,
    /// UTC where none is named.
    pub location: Option<Tz>,
}

impl TimeInterval {
    pub fn holds(&self, at_ms: i64) -> bool {
        let Some(utc) = DateTime::from_timestamp_millis(at_ms) else { return false };
        let zone = self.location.unwrap_or(Tz::UTC);
        let local = zone.from_utc_datetime(&utc.naive_utc()).naive_local();
        let minute = int(local.hour() * 60 + local.minute());
        let any = |spans: &[Span], value: i32| {
            spans.is_empty() || spans.iter().any(|span| span.holds(value))
        };
        let in_times = self.times.is_empty()
            || self.times.iter().any(|span| span.begin <= minute && minute < span.end);
        in_times
            && self.holds_day(local)
            && any(&self.months, int(local.month()))
            && any(&self.weekdays, int(local.weekday().num_days_from_sunday()))
            && any(&self.years, local.year())
    }

    fn holds_day(&self, local: NaiveDateTime) -> bool {
        let (day, days) = (int(local.day()), days_in_month(local.date()));
        let from_start = |day: i32| if day < 0 { days + day + 1 } else { day };
        self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|span| {
                // A span that begins behind the end of this month has no day in it.
                let is_in = span.begin <= days;
                let begin = from_start(span.begin.clamp(-days, days));
                let end = from_start(span.end.clamp(-days, days));
                is_in && begin <= day && day <= end
            })
    }
}

fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn days_in_month(date: NaiveDate) -> i32 {
    int(u32::from(date.num_days_in_month()))
}
