//! Small texts of the language: durations, numbers, quoted strings.

use model::format_float_go;

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

/// Undoes `"…"`, `'…'` (Go's escapes) and back quotes (no escapes). The quotes are known to be there.
pub(crate) fn unquote(text: &str) -> Result<Vec<u8>, String> {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') {
        return Ok(inner.replace('\r', "").into_bytes());
    }
    let quote = text.chars().next().expect("a string has its quotes");
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        if character == '\\' {
            unescape(&mut rest, quote, &mut out)?;
        } else {
            push_char(character, &mut out);
        }
    }
    Ok(out)
}

fn push_char(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unescape(rest: &mut std::str::Chars<'_>, quote: char, out: &mut Vec<u8>) -> Result<(), String> {
    let Some(kind) = rest.next() else {
        return Err("escape sequence not terminated".to_owned());
    };
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        _ if kind == quote => quote as u8,
        'x' => digits(rest, quote, 2, 16, 0)? as u8,
        '0'..='7' => {
            let first = kind.to_digit(8).expect("the arm says so");
            u8::try_from(digits(rest, quote, 2, 8, first)?)
                .map_err(|_| "escape sequence is an invalid Unicode code point".to_owned())?
        }
        'u' | 'U' => {
            let code = digits(rest, quote, if kind == 'u' { 4 } else { 8 }, 16, 0)?;
            let character = char::from_u32(code)
                .ok_or_else(|| "escape sequence is an invalid Unicode code point".to_owned())?;
            push_char(character, out);
            return Ok(());
        }
        _ => return Err(format!("unknown escape sequence {}", code_and_character(kind))),
    };
    out.push(simple);
    Ok(())
}

/// Where the text ends its quote is met, which is no digit.
fn digits(
    rest: &mut std::str::Chars<'_>,
    quote: char,
    count: u32,
    radix: u32,
    start: u32,
) -> Result<u32, String> {
    (0..count).try_fold(start, |value, _| {
        let character = rest.next().unwrap_or(quote);
        let digit = character.to_digit(radix).ok_or_else(|| {
            format!("illegal character {} in escape sequence", code_and_character(character))
        })?;
        Ok(value.wrapping_mul(radix).wrapping_add(digit))
    })
}

/// `U+0071 'q'`: Go's `%#U`.
fn code_and_character(character: char) -> String {
    let code = format!("U+{:04X}", u32::from(character));
    if character.is_control() { code } else { format!("{code} '{character}'") }
}

/// In double quotes with Go's escapes; bytes that are not text as `\x..`.
pub(crate) fn quote_go(bytes: &[u8]) -> String {
    let mut out = String::from('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_char_go(character, &mut out);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// One character in single quotes, as Go's `%q` shows it; what is none as U+FFFD.
pub(crate) fn quote_rune_go(character: Option<char>) -> String {
    let mut out = String::from("'");
    match character {
        Some('\'') => out.push_str("\\'"),
        Some('"') => out.push('"'),
        character => quote_char_go(character.unwrap_or('\u{fffd}'), &mut out),
    }
    out.push('\'');
    out
}

fn quote_char_go(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(character))),
        '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{feff}' | '\u{2028}' | '\u{2029}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        }
        _ => out.push(character),
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

    #[test]
    fn strings_have_the_escapes_of_go() {
        assert_eq!(
            unquote(r#""a\n\x41\101\u00e4\'""#),
            Err("unknown escape sequence U+0027 '''".to_owned())
        );
        assert_eq!(unquote(r#""a\n\x41\101\u00e4\"""#), Ok("a\nAAä\"".as_bytes().to_vec()));
        assert_eq!(unquote(r"`a\n`"), Ok(br"a\n".to_vec()));
        assert_eq!(unquote(r#""\xc5""#), Ok(vec![0xc5]));
        assert_eq!(quote_go(b"a\"\n\xc5"), r#""a\"\n\xc5""#);
    }

    proptest! {
        #[test]
        fn durations_come_back(millis in 0i64..400_000_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(millis)), Ok(millis));
        }

        #[test]
        fn quoted_text_comes_back(text in ".*") {
            prop_assert_eq!(unquote(&quote_go(text.as_bytes())), Ok(text.into_bytes()));
        }
    }
}
