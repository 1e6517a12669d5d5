//! Quoted strings as Go writes and reads them, which is how the languages do.

/// Undoes `"…"`, `'…'` (Go's escapes) and back quotes (no escapes). The quotes are known to be there.
pub fn unquote_go(text: &str) -> Result<Vec<u8>, String> {
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
pub fn quote_go(bytes: &[u8]) -> String {
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
pub fn quote_rune_go(character: Option<char>) -> String {
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
    fn strings_have_the_escapes_of_go() {
        assert_eq!(
            unquote_go(r#""a\n\x41\101\u00e4\'""#),
            Err("unknown escape sequence U+0027 '''".to_owned())
        );
        assert_eq!(unquote_go(r#""a\n\x41\101\u00e4\"""#), Ok("a\nAAä\"".as_bytes().to_vec()));
        assert_eq!(unquote_go(r"`a\n`"), Ok(br"a\n".to_vec()));
        assert_eq!(unquote_go(r#""\xc5""#), Ok(vec![0xc5]));
        assert_eq!(quote_go(b"a\"\n\xc5"), r#""a\"\n\xc5""#);
    }

    proptest! {
        #[test]
        fn quoted_text_comes_back(text in ".*") {
            prop_assert_eq!(unquote_go(&quote_go(text.as_bytes())), Ok(text.into_bytes()));
        }
    }
}
