//! Times and durations as text.

use super::layout::{MONTHS, Pad, Part, WEEKDAYS, parts};
use super::{Clock, Time};
use chrono::{Datelike, Timelike};
use std::fmt::Write;

/// How Go shows a time where no layout is given.
const DEFAULT_LAYOUT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

pub(crate) fn show_default(time: &Time) -> String {
    let mut out = String::new();
    show(time, DEFAULT_LAYOUT, &mut out);
    out
}

/// A time in a layout.
pub fn show(time: &Time, layout: &str, out: &mut String) {
    let clock = time.clock();
    for part in parts(layout) {
        show_part(time, &clock, part, out);
    }
}

fn show_part(time: &Time, clock: &Clock, part: Part<'_>, out: &mut String) {
    let local = &clock.local;
    let month = MONTHS.get(local.month0() as usize).copied().unwrap_or_default();
    let weekday = local.weekday().num_days_from_sunday() as usize;
    let weekday = WEEKDAYS.get(weekday).copied().unwrap_or_default();
    let hour12 = match local.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        Part::Literal(text) => out.push_str(text),
        Part::LongMonth => out.push_str(month),
        Part::Month => out.push_str(&month[..3]),
        Part::LongWeekday => out.push_str(weekday),
        Part::Weekday => out.push_str(&weekday[..3]),
        Part::MonthNumber(pad) => padded(local.month(), pad, 2, out),
        Part::Day(pad) => padded(local.day(), pad, 2, out),
        Part::YearDay(pad) => padded(local.ordinal(), pad, 3, out),
        Part::Hour => padded(local.hour(), Pad::Zero, 2, out),
        Part::Hour12(pad) => padded(hour12, pad, 2, out),
        Part::Minute(pad) => padded(local.minute(), pad, 2, out),
        Part::Second(pad) => padded(local.second(), pad, 2, out),
        Part::LongYear => year(local.year(), out),
        Part::Year => padded(local.year().rem_euclid(100).unsigned_abs(), Pad::Zero, 2, out),
        Part::Half { is_upper } => out.push_str(half(local.hour() >= 12, is_upper)),
        Part::ZoneName => zone_name(clock, out),
        Part::Offset { is_z: true, .. } if clock.offset == 0 => out.push('Z'),
        Part::Offset { parts, colons, .. } => offset(clock.offset, parts, colons, out),
        Part::Fraction { digits, trims, mark } => {
            fraction(time.nanoseconds(), digits, trims, mark, out)
        }
    }
}

fn half(is_afternoon: bool, is_upper: bool) -> &'static str {
    match (is_afternoon, is_upper) {
        (false, true) => "AM",
        (true, true) => "PM",
        (false, false) => "am",
        (true, false) => "pm",
    }
}

// Writing to a `String` cannot fail.
fn padded(value: u32, pad: Pad, width: usize, out: &mut String) {
    let _ = match pad {
        Pad::None => write!(out, "{value}"),
        Pad::Space => write!(out, "{value:>width$}"),
        Pad::Zero => write!(out, "{value:0>width$}"),
    };
}

fn year(year: i32, out: &mut String) {
    let sign = if year < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{:04}", year.unsigned_abs());
}

fn zone_name(clock: &Clock, out: &mut String) {
    if clock.abbreviation.is_empty() {
        let parts = if clock.offset % 3600 == 0 { 1 } else { 2 };
        return offset(clock.offset, parts, false, out);
    }
    out.push_str(&clock.abbreviation);
}

fn offset(seconds: i32, parts: u8, colons: bool, out: &mut String) {
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let colon = if colons { ":" } else { "" };
    let _ = write!(out, "{sign}{:02}", seconds / 3600);
    if parts > 1 {
        let _ = write!(out, "{colon}{:02}", seconds / 60 % 60);
    }
    if parts > 2 {
        let _ = write!(out, "{colon}{:02}", seconds % 60);
    }
}

fn fraction(nanoseconds: u32, digits: usize, trims: bool, mark: char, out: &mut String) {
    let all = format!("{nanoseconds:09}");
    let shown = all.get(..digits).unwrap_or(&all);
    let shown = if trims { shown.trim_end_matches('0') } else { shown };
    if !shown.is_empty() {
        out.push(mark);
        out.push_str(shown);
        let zeros = if trims { 0 } else { digits.saturating_sub(9) };
        out.extend(std::iter::repeat_n('0', zeros));
    }
}

/// A duration as Go shows it: `1h2m3.5s`, `1.5µs`.
pub fn format_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    if all < 1_000_000_000 {
        let (unit, name) = match all {
            0 => return "0s".to_owned(),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", with_fraction(all, unit));
    }
    let (seconds, minutes) = (all % 60_000_000_000, all / 60_000_000_000);
    let seconds = with_fraction(seconds, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn with_fraction(value: u64, unit: u64) -> String {
    let rest = value % unit;
    let whole = value / unit;
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
