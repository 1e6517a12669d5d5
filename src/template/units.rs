//! Durations, sizes and numbers as Go's libraries read them: what `duration`, `bytes` and `float64`
//! take, and what LogQL compares and unwraps.

use model::quote_go;

/// A duration in nanoseconds, as `time.ParseDuration` reads it: `1h3m`, `-1.5s`, `90us`, `0`.
pub fn parse_duration(text: &[u8]) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote_go(text));
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after {
            [b'.', after @ ..] => digits(after),
            _ => (&b""[..], after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let name = after.iter().take_while(|byte| **byte != b'.' && !byte.is_ascii_digit()).count();
        let (name, after) = after.split_at(name);
        if name.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote_go(text)));
        }
        let unit = unit_nanoseconds(name).ok_or_else(|| {
            format!("time: unknown unit {} in duration {}", quote_go(name), quote_go(text))
        })?;
        let nanoseconds = scaled(whole, fraction, unit).ok_or_else(invalid)?;
        sum = sum.checked_add(nanoseconds).filter(|sum| *sum <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        Ok(0_i64.wrapping_sub_unsigned(sum))
    } else {
        i64::try_from(sum).map_err(|_| invalid())
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn unit_nanoseconds(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"ns" => 1,
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
        b"ms" => 1_000_000,
        b"s" => 1_000_000_000,
        b"m" => 60_000_000_000,
        b"h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Digits before and behind the point, times a unit; what is left of a nanosecond is cut off.
fn scaled(whole: &[u8], fraction: &[u8], unit: u64) -> Option<u64> {
    let mut value = 0_u64;
    for digit in whole {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    let whole = value.checked_mul(unit)?;
    let (mut part, mut scale) = (0_u64, 1.0_f64);
    for digit in fraction {
        let Some(next) = part.checked_mul(10).and_then(|p| p.checked_add(u64::from(digit - b'0')))
        else {
            break;
        };
        (part, scale) = (next, scale * 10.0);
    }
    whole.checked_add((part as f64 * (unit as f64 / scale)) as u64)
}

/// A number of bytes, as the humanize package of Go reads it: `5KB`, `1.5MiB`, `5 kb`, `1,000`, `512`.
pub fn parse_bytes(text: &[u8]) -> Result<u64, String> {
    let length = text.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b',')).count();
    let (number, name) = text.split_at(length);
    let number: Vec<u8> = number.iter().copied().filter(|byte| *byte != b',').collect();
    let value = parse_float(&number)?;
    let name = String::from_utf8_lossy(name).trim().to_lowercase();
    let unit = unit_bytes(&name).ok_or_else(|| format!("unhandled size name: {name}"))?;
    let bytes = value * unit as f64;
    if bytes >= u64::MAX as f64 {
        return Err(format!("too large: {}", String::from_utf8_lossy(text)));
    }
    Ok(bytes as u64)
}

fn unit_bytes(name: &str) -> Option<u64> {
    const NAMES: &[u8] = b"kmgtpe";
    let (letter, base) = match name.as_bytes() {
        [] | [b'b'] => return Some(1),
        [letter] | [letter, b'b'] => (letter, 1000_u64),
        [letter, b'i'] | [letter, b'i', b'b'] => (letter, 1024),
        _ => return None,
    };
    let power = NAMES.iter().position(|name| name == letter)? + 1;
    base.checked_pow(u32::try_from(power).ok()?)
}

/// A number as `strconv.ParseFloat` reads it: decimal or hexadecimal, underscores between digits,
/// `inf`, `infinity` and `nan` in any case.
pub fn parse_float(text: &[u8]) -> Result<f64, String> {
    let failed = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", quote_go(text));
    let value = read_float(text).ok_or_else(|| failed("invalid syntax"))?;
    let is_name = || text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    if value.is_infinite() && !is_name() { Err(failed("value out of range")) } else { Ok(value) }
}

fn read_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let is = |name: &str| unsigned.eq_ignore_ascii_case(name);
    if is("inf") || is("infinity") {
        return Some(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !unsigned.contains('_') {
        return read_unsigned(unsigned).map(|value| sign * value);
    }
    let joined = underscores_fit(unsigned).then(|| unsigned.replace('_', ""))?;
    read_unsigned(&joined).map(|value| sign * value)
}

fn read_unsigned(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return read_hex(hex);
    }
    let begins = |c: char| c.is_ascii_digit() || c == '.';
    if text.starts_with(begins) { text.parse().ok() } else { None }
}

/// `1.8p3`: hexadecimal digits, a point, and a power of two, which must be there.
fn read_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits_only = exponent.trim_start_matches(['+', '-']);
    if digits_only.is_empty() || exponent.len() > digits_only.len() + 1 {
        return None;
    }
    let mut exponent: i64 =
        exponent.parse().unwrap_or(if exponent.starts_with('-') { -9999 } else { 9999 });
    digits_only.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    exponent = exponent.clamp(-9999, 9999) - 4 * i64::try_from(fraction.len()).ok()?;
    let mut value = 0_u128;
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u128::from(digit.to_digit(16)?);
        // Digits beyond what a float can hold only move the exponent.
        if value >> 100 == 0 {
            value = value * 16 + digit;
        } else {
            exponent += 4;
        }
    }
    let half = |power: i64| 2_f64.powi(i32::try_from(power).unwrap_or(i32::MAX));
    // In two steps, for one power alone may be beyond what a float can hold.
    Some(value as f64 * half(exponent / 2) * half(exponent - exponent / 2))
}

/// An integer as `strconv.ParseInt` reads it with base 0: decimal, `0x…`, `0o…`, `0b…`, octal with a
/// leading zero, underscores between digits.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned.contains('_') && !underscores_fit(unsigned) {
        return None;
    }
    let digits = unsigned.replace('_', "").to_ascii_lowercase();
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, &digits[..]),
    };
    if !digits.starts_with(|digit: char| digit.is_digit(radix)) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Underscores stand between digits, or between the prefix of a base and a digit.
fn underscores_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_prefix = matches!(bytes, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    let is_hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        let is_it = |byte: &u8| byte.is_ascii_digit() || (is_hex && byte.is_ascii_hexdigit());
        byte.is_some_and(is_it) || (has_prefix && at == Some(1))
    };
    let mut places = (0..bytes.len()).filter(|at| bytes.get(*at) == Some(&b'_'));
    places.all(|at| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("1h3m", 3_780_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("+.5ms", 500_000),
            ("1.s", 1_000_000_000),
            ("90us", 90_000),
            ("90µs", 90_000),
            ("3ns2ns", 5),
            ("0.9999999999ns", 0),
            ("-9223372036854775808ns", i64::MIN),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(parse_duration(text.as_bytes()), Ok(nanoseconds), "{text}");
        }
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("-", r#"time: invalid duration "-""#),
            (".s", r#"time: invalid duration ".s""#),
            ("s", r#"time: invalid duration "s""#),
            ("1 s", r#"time: unknown unit " s" in duration "1 s""#),
            ("15", r#"time: missing unit in duration "15""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
            ("3000000h", r#"time: invalid duration "3000000h""#),
        ] {
            assert_eq!(parse_duration(text.as_bytes()), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_humanize() {
        for (text, bytes) in [
            ("5KB", 5_000),
            ("5 kb", 5_000),
            ("1.5MiB", 1_572_864),
            ("1,000", 1_000),
            ("512", 512),
            ("7 kB", 7_000),
            ("2k", 2_000),
            ("2Ki", 2_048),
            ("1eib", 1 << 60),
            (".5 K", 500),
        ] {
            assert_eq!(parse_bytes(text.as_bytes()), Ok(bytes), "{text}");
        }
        for (text, message) in [
            ("", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            ("-1B", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            ("1.2.3B", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
            ("5 Apples", "unhandled size name: apples"),
            ("100EB", "too large: 100EB"),
        ] {
            assert_eq!(parse_bytes(text.as_bytes()), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn floats_are_those_of_go() {
        for (text, value) in [
            ("1", 1.0),
            ("-1.5e3", -1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1_000", 1000.0),
            ("1_23.50_0_0e+1_2", 1.235e14),
            ("0x_1_0p0", 16.0),
            ("0x10p0", 16.0),
            ("0x1.8p1", 3.0),
            ("0x1p-1074", 5e-324),
            ("1e-400", 0.0),
            ("+Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Ok(value), "{text}");
        }
        assert!(parse_float(b"NaN").is_ok_and(f64::is_nan));
        for text in [
            "", "+", "abc", "0x10", "1__0", "_1", "1_", "1e", "+nan", "1 ", "e5", "0x.p1", "1_e5",
            "1._5", "1e_5",
        ] {
            let message = format!("strconv.ParseFloat: parsing \"{text}\": invalid syntax");
            assert_eq!(parse_float(text.as_bytes()), Err(message), "{text}");
        }
        let message = "strconv.ParseFloat: parsing \"1e400\": value out of range";
        assert_eq!(parse_float(b"1e400"), Err(message.to_owned()));
    }

    #[test]
    fn integers_have_bases() {
        for (text, value) in
            [("0", 0), ("-12", -12), ("0x1F", 31), ("010", 8), ("0b11", 3), ("1_000", 1000)]
        {
            assert_eq!(parse_int(text), Some(value), "{text}");
        }
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
        for text in ["", "-", "0x", "09", "1.5", "9223372036854775808", "+-1", "0x-1", "1__0"] {
            assert_eq!(parse_int(text), None, "{text}");
        }
    }
}
