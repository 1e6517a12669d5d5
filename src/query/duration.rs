//! Durations as the languages write and read them: `1h30m`.

use model::quote_go;

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
}
