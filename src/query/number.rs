//! Numbers as the languages write and read them.

use model::{format_float_go, quote_go};

/// A number as the languages write it: decimal, `0x…`, octal with a leading zero, underscores
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
    if !underscores_fit(unsigned) {
        return Err(failed("invalid syntax"));
    }
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

/// Underscores stand between digits, or between the prefix of a base and a digit.
fn underscores_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let mut places = (0..bytes.len()).filter(|at| bytes[*at] == b'_');
    places.all(|at| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)))
}

fn integer(digits: &str) -> Option<i64> {
    let radix = |prefix: &str, radix| {
        let digits = digits.strip_prefix(prefix).filter(|digits| !digits.is_empty())?;
        i64::from_str_radix(digits, radix).ok()
    };
    let octal = || radix("0o", 8).or_else(|| radix("0", 8));
    radix("0x", 16).or_else(|| radix("0b", 2)).or_else(octal)
}

/// Plain digits, no exponent: how the languages print a number.
pub fn format_number(value: f64) -> String {
    if !value.is_finite() {
        return format_float_go(value);
    }
    even_where_between(value).unwrap_or_else(|| format!("{value}"))
}

/// The shortest digits of a number that lies just between two texts that both stand for it. Go takes the
/// even one, the standard library the larger one. Only numbers with few bits behind the point can lie
/// so.
fn even_where_between(value: f64) -> Option<String> {
    /// From here on there are at most 12, and so at most as many digits.
    const FEW_BITS_FROM: f64 = (1_u64 << 40) as f64;
    if value.abs() < FEW_BITS_FROM || value.fract() == 0.0 {
        return None;
    }
    let (shortest, exact) = (format!("{value}"), format!("{value:.12}"));
    let decimals = shortest.split_once('.')?.1.len();
    let (lower, rest) = exact.split_at_checked((exact.len() + decimals).checked_sub(12)?)?;
    let is_between = rest.trim_end_matches('0') == "5";
    let is_even = lower.ends_with(['0', '2', '4', '6', '8']);
    (is_between && is_even && lower.parse() == Ok(value)).then(|| lower.to_owned())
}

/// Six digits after the point: Go's `%f`.
pub fn format_fixed_go(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { format_float_go(value) }
}

/// As `le` and `quantile` labels write numbers: with a fraction, whole numbers too.
pub fn format_label_number(value: f64) -> String {
    let text = format_float_go(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_equally_short_texts_the_even_one_is_shown() {
        for (value, text) in [
            (1e15 + 0.25, "1000000000000000.2"),
            (-1e15 - 0.25, "-1000000000000000.2"),
            (1e15 + 0.75, "1000000000000000.8"),
            (140_737_488_355_328.0 + 0.125, "140737488355328.12"),
            (1e15 + 0.5, "1000000000000000.5"),
            (1e15 + 0.125, "1000000000000000.1"),
            (2_251_799_813_685_249.0 + 0.5, "2251799813685249.5"),
            (0.25, "0.25"),
        ] {
            assert_eq!(format_number(value), text);
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
        for text in ["0.5_", "_1", "1__0", "1_.5", "0x_", "1_"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
        assert_eq!(parse_number("0x_1F"), Ok(31.0));
        assert!(parse_number("nan").is_ok_and(f64::is_nan));
        assert!(parse_number("x").is_err());
        assert!(parse_number("infinity").is_err());
        assert!(parse_number("0xFFFFFFFFFFFFFFFF").is_err());
        let beyond = parse_number("1e1000").unwrap_err();
        assert!(beyond.ends_with("parsing \"1e1000\": value out of range"), "{beyond}");
    }
}
