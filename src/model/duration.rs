//! Durations as the languages write and read them: `1h30m`.

use crate::quote_go;

const UNITS_MS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration that Prometheus can hold: 2^63 nanoseconds.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// `1h30m` in milliseconds: units from years to milliseconds, in this order, each at most once.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("not a valid duration string: {}", quote_go(text.as_bytes()));
    match text {
        "" => return Err("empty duration string".to_owned()),
        "0" => return Ok(0),
        _ => {}
    }
    let (mut rest, mut units, mut total) = (text, &UNITS_MS[..], 0i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, after) = rest.split_at(digits);
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let index = units.iter().position(|candidate| candidate.0 == unit).ok_or_else(invalid)?;
        if number.is_empty() {
            return Err(invalid());
        }
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(units[index].1));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= DURATION_MS_MAX)
            .ok_or("duration out of range")?;
        (rest, units) = (after, &units[index + 1..]);
    }
    Ok(total)
}

/// The canonical form: years and weeks only where nothing remains, because `90d` reads better than
/// `12w6d`.
pub fn format_duration(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = if millis < 0 { "-".to_owned() } else { String::new() };
    let mut rest = millis.unsigned_abs();
    for (unit, length) in UNITS_MS {
        let length = length.unsigned_abs();
        let exact = matches!(unit, "y" | "w");
        if (exact && !rest.is_multiple_of(length)) || rest < length {
            continue;
        }
        text.push_str(&format!("{}{unit}", rest / length));
        rest %= length;
    }
    text
}

/// A duration in nanoseconds: as Prometheus writes them (`1h30m`, `1d`), else as Go does (`1.5h`).
pub fn parse_duration_ns(text: &str) -> Result<i64, String> {
    if let Ok(millis) = parse_duration(text) {
        return millis.checked_mul(1_000_000).ok_or_else(|| "duration out of range".to_owned());
    }
    go_duration(text)
}

/// Go's units of time, in nanoseconds. Longer names first.
const GO_UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

fn go_duration(text: &str) -> Result<i64, String> {
    let shown = quote_go(text.as_bytes());
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| format!("invalid duration {shown}"))?;
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let known = GO_UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, nanos)) = known else {
            let what = if unit.is_empty() {
                "missing unit".to_owned()
            } else {
                format!("unknown unit {}", quote_go(unit.as_bytes()))
            };
            return Err(format!("{what} in duration {shown}"));
        };
        total += number * nanos;
        rest = after;
    }
    if total < i64::MAX as f64 {
        Ok(total as i64)
    } else {
        Err(format!("invalid duration {shown}"))
    }
}

/// As the parser reads it, down to nanoseconds.
pub fn format_duration_ns(nanos: i64) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    if size.is_multiple_of(1_000_000) {
        return format!("{sign}{}", format_duration((size / 1_000_000) as i64));
    }
    if size.is_multiple_of(1_000) {
        format!("{sign}{}us", size / 1_000)
    } else {
        format!("{sign}{size}ns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_their_units_in_order() {
        for (text, millis) in [
            ("0", 0),
            ("1h30m", 5_400_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("90d", 7_776_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(millis), "{text}");
        }
        for text in ["", "1", "h", "1m1h", "1s1s", "1.5h", "-1s", "1x", "300000000y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_come_back(millis in 0i64..400_000_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(millis)), Ok(millis));
        }
    }

    #[test]
    fn durations_are_those_of_prometheus_and_of_go() {
        for (text, nanos) in [
            ("1h30m", 5_400_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1.5m", 90_000_000_000),
            ("90us", 90_000),
        ] {
            assert_eq!(parse_duration_ns(text), Ok(nanos), "{text}");
        }
        assert_eq!(
            parse_duration_ns("5x"),
            Err("unknown unit \"x\" in duration \"5x\"".to_owned())
        );
        assert_eq!(parse_duration_ns(""), Err("empty duration string".to_owned()));
    }
}
