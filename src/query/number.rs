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

/// Plain digits, no exponent: how the languages print a number.
pub fn format_number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format_float_go(value) }
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
}
