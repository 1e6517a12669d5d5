//! Times as senders of logs write them: RFC 3339 with its usual deviations, read without a calendar
//! library because every line has one.

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// Reads `2026-08-31T12:34:56.789012345Z` as nanoseconds since 1970. A space may stand for the `T`,
/// a comma for the point, the offset may lack its colon or be missing, which means UTC. Digits of a
/// fraction beyond nanoseconds are dropped. `None` where it is no such time, or one beyond the years
/// 1677 to 2262.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (days, rest) = date(text)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (seconds, rest) = clock(rest)?;
    let (fraction_ns, rest) = fraction(rest)?;
    let offset_s = offset(rest)?;
    let seconds = days * 86_400 + seconds - offset_s;
    seconds.checked_mul(SECOND_NS)?.checked_add(fraction_ns)
}

/// The days since 1970 of `2026-08-31`, and what follows.
fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    Some((days_since_1970(year, month, day)?, rest))
}

/// The days from 1970-01-01 to a date of the Gregorian calendar; `None`: there is no such date.
pub fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + of_era_days - 719_468)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// The seconds of `12:34:56`. A leap second counts as the first of the next minute.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => digits(rest, 2)?,
        None => (0, rest),
    };
    let exists = hour <= 23 && minute <= 59 && second <= 60;
    exists.then_some((hour * 3_600 + minute * 60 + second, rest))
}

fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else { return Some((0, text)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let digit = |index: usize| match rest.get(index) {
        Some(digit) if index < count => i64::from(digit - b'0'),
        _ => 0,
    };
    let nanos = (0..9).fold(0, |nanos, index| nanos * 10 + digit(index));
    Some((nanos, rest.get(count..)?))
}

/// The seconds that `+09:00` is ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text {
        b"" | b"Z" | b"z" | b" UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = digits(rest, 2)?;
    let minutes = match rest.strip_prefix(b":").unwrap_or(rest) {
        b"" => 0,
        rest => {
            let (minutes, rest) = digits(rest, 2)?;
            rest.is_empty().then_some(minutes)?
        }
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let digit =
        |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
    Some((digits.iter().try_fold(0, digit)?, rest))
}

/// A number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by its size:
/// until the year 2286 seconds have ten digits. It may have a fraction (`1700000000.5`).
pub fn parse_epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    let unit_ns = match whole.unsigned_abs() {
        0..100_000_000_000 => SECOND_NS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    // Nanoseconds of a fraction, digit by digit: a float would lose the last of them.
    let mut scale = unit_ns;
    let mut part = 0;
    for byte in fraction.bytes() {
        scale /= 10;
        part += i64::from(byte - b'0') * scale;
    }
    let part = if text.starts_with('-') { -part } else { part };
    whole.checked_mul(unit_ns)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_in_their_variants() {
        let expected = 1_700_000_000_123_456_789;
        for text in [
            "2023-11-14T22:13:20.123456789Z",
            "2023-11-14 22:13:20,123456789",
            "2023-11-15T07:13:20.123456789+09:00",
            "2023-11-15T07:13:20.1234567891+0900",
            "2023-11-14T16:43:20.123456789-05:30",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Some(expected), "{text}");
        }
        assert_eq!(parse_rfc3339(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_rfc3339(b"1969-12-31T23:59:59.5Z"), Some(-500_000_000));
        assert_eq!(parse_rfc3339(b"2024-02-29T00:00Z"), Some(1_709_164_800 * SECOND_NS));
        for text in [
            "",
            "2023",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20X",
            "9999-01-01T00:00:00Z",
            "한국어",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn epochs_by_their_size() {
        for (text, expected) in [
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000123", 1_700_000_000_123_000_000),
            ("1700000000123456", 1_700_000_000_123_456_000),
            ("1700000000123456789", 1_700_000_000_123_456_789),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("1700000000123.5", 1_700_000_000_123_500_000),
            ("-1.5", -1_500_000_000),
        ] {
            assert_eq!(parse_epoch(text), Some(expected), "{text}");
        }
        for text in ["", "x", "1.x", "1e3", "99999999999999999999"] {
            assert_eq!(parse_epoch(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_time_or_none(bytes: Vec<u8>, text: String) {
            parse_rfc3339(&bytes);
            parse_rfc3339(text.as_bytes());
            parse_epoch(&text);
        }
    }

    #[test]
    fn days_count_up_through_leap_years() {
        let mut expected = days_since_1970(1599, 12, 31).unwrap();
        for year in 1600..2401 {
            for (month, day) in (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day))) {
                if let Some(days) = days_since_1970(year, month, day) {
                    expected += 1;
                    assert_eq!(days, expected, "{year}-{month}-{day}");
                }
            }
        }
        assert_eq!(days_since_1970(2000, 1, 1), Some(10_957));
    }
}
