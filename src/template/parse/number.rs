//! Numbers and characters as Go's constants.

use crate::tree::Number;
use crate::units::parse_float;
use model::{quote_go, unquote_go};

pub(super) fn parse(text: &str) -> Result<Number, String> {
    if text.starts_with('\'') {
        return character(text);
    }
    let refused = |why: &str| Err(format!("{why}: {}", quote_go(text.as_bytes())));
    if let Some(int) = crate::units::parse_int(text) {
        return Ok(number(text, Some(int), Some(int as f64), false));
    }
    let is_hex_int = is_hex(text) && !text.contains(['p', 'P', '.']);
    match parse_float(text.as_bytes()) {
        Ok(_) if is_hex_int || !text.contains(['.', 'e', 'E', 'p', 'P']) => {
            refused("integer overflow")
        }
        Ok(float) => {
            let is_whole = float.fract() == 0.0 && float.abs() < i64::MAX as f64;
            Ok(number(text, is_whole.then_some(float as i64), Some(float), true))
        }
        Err(_) => refused("illegal number syntax"),
    }
}

fn number(text: &str, int: Option<i64>, float: Option<f64>, is_float: bool) -> Number {
    Number { source: text.to_owned(), int, float, is_float }
}

fn is_hex(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.starts_with("0x") || digits.starts_with("0X")
}

/// `'a'` is the number of the character.
fn character(text: &str) -> Result<Number, String> {
    let malformed = || format!("malformed character constant: {text}");
    let bytes = unquote_go(text).map_err(|_| malformed())?;
    let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    // `'\xff'` is a byte and no text.
    let code = match (std::str::from_utf8(&bytes), &bytes[..]) {
        (Ok(decoded), _) => {
            let mut characters = decoded.chars();
            let code = characters.next().map(u32::from);
            if characters.next().is_some() { None } else { code }
        }
        (Err(_), [byte]) if inside.starts_with('\\') => Some(u32::from(*byte)),
        _ => None,
    };
    let code = i64::from(code.ok_or_else(malformed)?);
    Ok(number(text, Some(code), Some(code as f64), false))
}
