//! Small texts of the language: durations and numbers.

use model::{format_float_go, quote_go};

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

/// A number as the language writes it: decimal, `0x…`, octal with a leading zero, underscores
/// between digits, `inf` and `nan` in any case. What is too large for an integer is read as
/// decimal, and what is too large for that is refused.
pub fn parse_number(text: &str) -> Result<f64, String> {
    let failed = |why: &str| {
        let text = quote_go(text.as_bytes());
        format!("error parsing number: strconv.ParseFloat: parsing {text}: {why}")
    };
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = unsigned.replace('_', "").to_ascii_lowercase();
    let value = match integer(&digits) {
        Some(integer) => integer as f64,
        None if digits == "inf" => f64::INFINITY,
        None if digits == "nan" => f64::NAN,
        None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            let value: f64 = digits.parse().map_err(|_| failed("invalid syntax"))?;
            if value.is_infinite() {
                return Err(failed("value out of range"));
            }
            value
        }
        None => return Err(failed("invalid syntax")),
    };
    Ok(if negative { -value } else { value })
}

fn integer(digits: &str) -> Option<i64> {
    let radix = |prefix: &str, radix| {
        let digits = digits.strip_prefix(prefix).filter(|digits| !digits.is_empty())?;
        i64::from_str_radix(digits, radix).ok()
    };
    let octal = || radix("0o", 8).or_else(|| radix("0", 8));
    radix("0x", 16).or_else(|| radix("0b", 2)).or_else(octal)
}

/// Plain digits, no exponent: how the language prints a number.
pub fn format_number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format_float_go(value) }
}

/// Six digits after the point: Go's `%f`.
pub(crate) fn format_fixed_go(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { format_float_go(value) }
}

/// As `le` and `quantile` labels write numbers: with a fraction, whole numbers too.
pub(crate) fn format_label_number(value: f64) -> String {
    let text = format_float_go(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
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

    #[test]
    fn numbers_come_in_many_spellings() {
        for (text, value) in [
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("010", 8.0),
            (".5", 0.5),
            ("1e-3", 0.001),
            ("iNf", f64::INFINITY),
            ("-Inf", f64::NEG_INFINITY),
            ("089", 89.0),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("nan").is_ok_and(f64::is_nan));
        assert!(parse_number("x").is_err());
        assert!(parse_number("infinity").is_err());
        assert!(parse_number("0xFFFFFFFFFFFFFFFF").is_err());
        let beyond = parse_number("1e1000").unwrap_err();
        assert!(beyond.ends_with("parsing \"1e1000\": value out of range"), "{beyond}");
    }

    proptest! {
        #[test]
        fn durations_come_back(millis in 0i64..400_000_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(millis)), Ok(millis));
        }
    }
}
