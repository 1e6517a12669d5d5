//! Dates as queries write them: ISO 8601 and its beginnings, milliseconds since 1970, date math
//! (`now-15m/d`, `2023-11-14||+1d/d`); and dates as answers write them.

use super::error::{Result, SearchError};
use super::zone::{Unit, Zone};
use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Timelike as _};
use std::fmt::Write as _;

/// How dates are read, and which moment of a span a text means.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateReader<'f> {
    pub(super) now_ms: i64,
    pub(super) zone: Zone,
    /// `format` of the request; empty: ISO 8601 or milliseconds.
    pub(super) format: &'f str,
    /// A text that names a span (a day, a minute) means its last moment rather than its first.
    pub(super) rounds_up: bool,
}

const MS: i64 = 1_000_000;

impl DateReader<'_> {
    /// Nanoseconds since 1970.
    pub(super) fn read(&self, text: &str) -> Result<i64> {
        let text = text.trim();
        self.find(text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            SearchError::parsing(format!(
                "failed to parse date field [{shown}]: send milliseconds since 1970, a date such as \
                 2023-11-14T22:13:20Z, or date math such as now-15m"
            ))
        })
    }

    fn find(&self, text: &str) -> Option<i64> {
        if let Some(math) = text.strip_prefix("now") {
            return self.math(self.now_ms.checked_mul(MS)?, math);
        }
        if let Some((anchor, math)) = text.split_once("||") {
            let start = Self { rounds_up: false, ..*self };
            return self.math(start.date(anchor)?.0, math);
        }
        let (start, end) = self.date(text)?;
        Some(if self.rounds_up { end } else { start })
    }

    /// The first and the last nanosecond of the span that a date names.
    fn date(&self, text: &str) -> Option<(i64, i64)> {
        // JSON may write a whole number with a fraction of nothing.
        let text = text.strip_suffix(".0").unwrap_or(text);
        let is_epoch = self.format.contains("epoch") || text.len() != 4;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if is_epoch && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let unit = if self.format == "epoch_second" { 1_000 * MS } else { MS };
            // A year beyond the times that lines may have means their end.
            let number = text.parse::<i64>().unwrap_or(if text.starts_with('-') {
                i64::MIN
            } else {
                i64::MAX
            });
            let start = number.saturating_mul(unit);
            return Some((start, start.saturating_add(unit - 1)));
        }
        iso(text, self.zone)
    }

    /// `-1d/d+3h`.
    fn math(&self, time_ns: i64, math: &str) -> Option<i64> {
        let (mut time_ns, mut rest) = (time_ns, math);
        while let Some(operator) = rest.chars().next() {
            rest = rest.get(1..)?;
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: i64 = if digits == 0 { 1 } else { rest.get(..digits)?.parse().ok()? };
            let unit = Unit::parse(rest.get(digits..digits.checked_add(1)?)?)?;
            rest = rest.get(digits.checked_add(1)?..)?;
            let (ms, below) = (time_ns.div_euclid(MS), time_ns.rem_euclid(MS));
            time_ns = match operator {
                '+' => unit.add(ms, count, self.zone)?.checked_mul(MS)?.checked_add(below)?,
                '-' => unit
                    .add(ms, count.checked_neg()?, self.zone)?
                    .checked_mul(MS)?
                    .checked_add(below)?,
                '/' if digits == 0 => {
                    let start = unit.floor(ms, self.zone);
                    match self.rounds_up {
                        true => unit.add(start, 1, self.zone)?.checked_mul(MS)? - 1,
                        false => start.checked_mul(MS)?,
                    }
                }
                _ => return None,
            };
        }
        Some(time_ns)
    }
}

/// A date to any precision, with or without a zone.
fn iso(text: &str, zone: Zone) -> Option<(i64, i64)> {
    let (date, time) = match text.find(['T', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let two = |text: &str, most: u32| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().filter(|number: &u32| *number <= most)
    };
    let month =
        parts.next().map(|month| two(month, 12)).map_or(Some(None), |month| month.map(Some))?;
    let day = parts.next().map(|day| two(day, 31)).map_or(Some(None), |day| day.map(Some))?;
    let start = NaiveDate::from_ymd_opt(year, month.unwrap_or(1), day.unwrap_or(1))?;
    let day_ms = start.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis();
    let unit = match (month, day) {
        (None, _) => Unit::Year,
        (Some(_), None) => Unit::Month,
        _ => Unit::Day,
    };
    if time.is_empty() {
        let first = zone.to_utc(day_ms);
        let behind = unit.add(first, 1, zone)?;
        return Some((first.checked_mul(MS)?, behind.checked_mul(MS)? - 1));
    }
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time.get(..at)?, Zone::parse(time.get(at..)?).ok()?),
        None => (time, zone),
    };
    let (of_day_ns, length_ns) = clock_ns(clock, two)?;
    let ms = zone.to_utc(day_ms.checked_add(of_day_ns.div_euclid(MS))?);
    let first = ms.checked_mul(MS)?.checked_add(of_day_ns.rem_euclid(MS))?;
    Some((first, first.checked_add(length_ns - 1)?))
}

/// `22`, `22:13`, `22:13:20`, `22:13:20.123456789`: nanoseconds of the day, and of the span.
fn clock_ns(clock: &str, two: impl Fn(&str, u32) -> Option<u32>) -> Option<(i64, i64)> {
    let (whole, fraction) =
        clock.split_once(['.', ',']).map_or((clock, None), |(a, b)| (a, Some(b)));
    let mut parts = whole.splitn(3, ':');
    let hours = two(parts.next()?, 23)?;
    let minutes = parts.next().map(|text| two(text, 59)).map_or(Some(None), |n| n.map(Some))?;
    let seconds = parts.next().map(|text| two(text, 59)).map_or(Some(None), |n| n.map(Some))?;
    let second_ns = 1_000 * MS;
    let total = hours * 3_600 + minutes.unwrap_or(0) * 60 + seconds.unwrap_or(0);
    let length = match (minutes, seconds) {
        (None, _) => 3_600 * second_ns,
        (_, None) => 60 * second_ns,
        _ => second_ns,
    };
    let Some(fraction) = fraction else { return Some((i64::from(total) * second_ns, length)) };
    let is_number =
        (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    let scale = 10_i64.checked_pow(9 - is_number.then_some(fraction.len())? as u32)?;
    let below = fraction.parse::<i64>().ok()? * scale;
    // Elasticsearch tells milliseconds apart: a time to three digits means all of that millisecond.
    Some((i64::from(total) * second_ns + below, scale.min(MS)))
}

/// A date as the format of an answer writes it.
pub(super) fn write(time_ns: i64, format: &str, zone: Zone) -> String {
    let ms = time_ns.div_euclid(MS);
    match format {
        "epoch_millis" => ms.to_string(),
        "epoch_second" => ms.div_euclid(1_000).to_string(),
        "strict_date_optional_time_nanos" | "date_optional_time_nanos" => {
            iso_text(time_ns, SecondsFormat::Nanos, zone)
        }
        format if is_pattern(format) => pattern(zone.to_local(ms), format),
        _ => iso_text(time_ns, SecondsFormat::Millis, zone),
    }
}

/// With as many digits as the time has, at least three.
pub(super) fn write_exactly(time_ns: i64) -> String {
    let format =
        if time_ns.rem_euclid(MS) == 0 { SecondsFormat::Millis } else { SecondsFormat::Nanos };
    iso_text(time_ns, format, Zone::UTC)
}

fn iso_text(time_ns: i64, format: SecondsFormat, zone: Zone) -> String {
    let ms = time_ns.div_euclid(MS);
    let offset_ms = zone.to_local(ms).saturating_sub(ms);
    let local =
        DateTime::from_timestamp_nanos(time_ns.saturating_add(offset_ms.saturating_mul(MS)));
    let mut text = local.to_rfc3339_opts(format, true);
    if offset_ms != 0 {
        text.pop();
        let minutes = offset_ms.abs() / 60_000;
        let sign = if offset_ms < 0 { '-' } else { '+' };
        text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    }
    text
}

/// Whether a format is a pattern such as `yyyy-MM-dd HH:mm`.
fn is_pattern(format: &str) -> bool {
    let unquoted = format.replace("'T'", "").replace("'Z'", "");
    !unquoted.is_empty() && unquoted.chars().all(|c| "yuMdHmsS-/.: ".contains(c))
}

/// A local time as a pattern writes it.
fn pattern(local_ms: i64, format: &str) -> String {
    let Some(time) = DateTime::from_timestamp_millis(local_ms) else { return String::new() };
    let letters: Vec<char> = format.chars().filter(|c| *c != '\'').collect();
    let mut text = String::new();
    for run in letters.chunk_by(|left, right| left == right) {
        let (letter, width) = (run[0], run.len());
        let number = match letter {
            'y' | 'u' => i64::from(time.year()),
            'M' => i64::from(time.month()),
            'd' => i64::from(time.day()),
            'H' => i64::from(time.hour()),
            'm' => i64::from(time.minute()),
            's' => i64::from(time.second()),
            'S' => i64::from(time.timestamp_subsec_millis()),
            _ => {
                text.extend(run);
                continue;
            }
        };
        let _ = write!(text, "{number:0width$}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2023-11-14 22:13:20 UTC.
    const NOW_MS: i64 = 1_700_000_000_000;

    fn read(text: &str, rounds_up: bool) -> Option<String> {
        let reader = DateReader { now_ms: NOW_MS, zone: Zone::UTC, format: "", rounds_up };
        reader.read(text).ok().map(|time| write(time, "strict_date_optional_time_nanos", Zone::UTC))
    }

    #[test]
    fn dates_are_read() {
        for (text, first, last) in [
            ("now", "2023-11-14T22:13:20.000000000Z", "2023-11-14T22:13:20.000000000Z"),
            ("now-15m", "2023-11-14T21:58:20.000000000Z", "2023-11-14T21:58:20.000000000Z"),
            ("now/d", "2023-11-14T00:00:00.000000000Z", "2023-11-14T23:59:59.999999999Z"),
            ("now-1M/M", "2023-10-01T00:00:00.000000000Z", "2023-10-31T23:59:59.999999999Z"),
            (
                "2023-11-14||+1d/d",
                "2023-11-15T00:00:00.000000000Z",
                "2023-11-15T23:59:59.999999999Z",
            ),
            ("2023-11", "2023-11-01T00:00:00.000000000Z", "2023-11-30T23:59:59.999999999Z"),
            ("2023", "2023-01-01T00:00:00.000000000Z", "2023-12-31T23:59:59.999999999Z"),
            (
                "2023-11-14T22:13",
                "2023-11-14T22:13:00.000000000Z",
                "2023-11-14T22:13:59.999999999Z",
            ),
            (
                "2023-11-14T22:13:20.5+09:00",
                "2023-11-14T13:13:20.500000000Z",
                "2023-11-14T13:13:20.500999999Z",
            ),
            ("1700000000001", "2023-11-14T22:13:20.001000000Z", "2023-11-14T22:13:20.001999999Z"),
        ] {
            assert_eq!(read(text, false).as_deref(), Some(first), "{text}");
            assert_eq!(read(text, true).as_deref(), Some(last), "{text}");
        }
        for text in
            ["", "yesterday", "now-", "now-1x", "2023-13", "2023-11-31", "2023-1-1", "12:00"]
        {
            assert_eq!(read(text, false), None, "{text}");
        }
    }

    #[test]
    fn dates_are_written() {
        let time = NOW_MS * MS + 123;
        let seoul = Zone::parse("+09:00").unwrap();
        for (format, expected) in [
            ("epoch_millis", "1700000000000"),
            ("strict_date_optional_time_nanos", "2023-11-15T07:13:20.000000123+09:00"),
            ("yyyy-MM-dd'T'HH:mm", "2023-11-15T07:13"),
            ("", "2023-11-15T07:13:20.000+09:00"),
        ] {
            assert_eq!(write(time, format, seoul), expected, "{format}");
        }
        assert_eq!(write_exactly(time), "2023-11-14T22:13:20.000000123Z");
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_an_error(text in "(now)?[-+/|0-9TZ:.smhdwMyq가]{0,30}") {
            for rounds_up in [false, true] {
                let reader = DateReader { now_ms: NOW_MS, zone: Zone::UTC, format: "", rounds_up };
                drop(reader.read(&text));
            }
        }
    }
}
