//! Texts made safe for HTML, JavaScript and queries of URLs.

use crate::format::print;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::borrow::Cow;

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::pure("html", &[], |call, arguments| escaped(call, arguments, html))
        .with_rest(Kind::Any),
    Function::pure("js", &[], |call, arguments| escaped(call, arguments, js)).with_rest(Kind::Any),
    Function::pure("urlquery", &[], |call, arguments| escaped(call, arguments, query_escape))
        .with_rest(Kind::Any),
];

/// All arguments as one text, escaped.
fn escaped<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
    escape: fn(&[u8]) -> Vec<u8>,
) -> Result<Value<'a>, Failure> {
    /// What one byte becomes at most: `\uFFFD` and its like.
    const GROWTH: usize = 6;
    let is_text = arguments.count() == 1 && matches!(arguments.get(0), Value::Text(_));
    let text = if is_text {
        arguments.text(0)
    } else {
        match call.write(|sink| print(arguments.from(0), sink))? {
            Value::Text(text) => text,
            _ => Cow::Borrowed(&b""[..]),
        }
    };
    call.check_size(text.len().saturating_mul(GROWTH))?;
    Ok(escape(&text).into())
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        out.extend_from_slice(match byte {
            0 => "\u{fffd}".as_bytes(),
            b'"' => b"&#34;",
            b'\'' => b"&#39;",
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            other => std::slice::from_ref(other),
        });
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' | '\'' | '"' => out.extend([b'\\', character as u8]),
                '<' | '>' | '&' | '=' | '\0'..'\x20' => {
                    out.extend(format!("\\u{:04X}", u32::from(character)).bytes());
                }
                // Go shows what is printable; of the rest line ends and controls are what matters.
                _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                    out.extend(format!("\\u{:04X}", u32::from(character)).bytes());
                }
                _ => out.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend(b"\\uFFFD");
        }
    }
    out
}

/// As Go's `url.QueryEscape`: spaces become `+`.
pub(crate) fn query_escape(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0');
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend([b'%', digit(other >> 4), digit(*other)]),
        }
    }
    out
}
