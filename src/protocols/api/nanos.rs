//! Times and durations in parameters of APIs that count nanoseconds: Loki's and Tempo's.

use chrono::DateTime;
use model::parse_duration as parse_duration_ms;

const SECOND_NS: i64 = 1_000_000_000;

/// A number of so few digits is in seconds, a longer one in nanoseconds.
const SECOND_DIGITS: usize = 10;

/// Nanoseconds: digits (nanoseconds, or seconds if there are no more than ten), seconds with a point, or
/// RFC 3339.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    if text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-')) {
        return seconds(text.parse().ok()?);
    }
    if let Ok(number) = text.parse::<i64>() {
        let digits = text.trim_start_matches('-').len();
        return match digits <= SECOND_DIGITS {
            true => number.checked_mul(SECOND_NS),
            false => Some(number),
        };
    }
    DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

fn seconds(seconds: f64) -> Option<i64> {
    let nanos = (seconds * 1e9).round();
    (nanos.abs() < i64::MAX as f64).then_some(nanos as i64)
}

/// Nanoseconds: seconds, also with a point, or a duration such as `5m`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    parse_duration_ms(text).ok()?.checked_mul(1_000_000)
}
