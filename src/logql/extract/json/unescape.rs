//! Texts of JSON without their escapes.

/// Appends the text; `None` where an escape is wrong. Surrogates must come in pairs.
pub(in super::super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        out.extend_from_slice(plain);
        rest = one_escape(escape, out)?;
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Undoes the escape that comes first. Gives what follows.
fn one_escape<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let character = match text.get(1)? {
        b'"' => b'"',
        b'\\' => b'\\',
        b'/' => b'/',
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(text, out),
        _ => return None,
    };
    out.push(character);
    text.get(2..)
}

fn unicode<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let first = code(text)?;
    let (character, length) = match char::from_u32(first) {
        Some(character) => (character, 6),
        None => {
            let second = code(text.get(6..)?).filter(|second| *second >= 0xDC00)?;
            (pair(first, second)?, 12)
        }
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    text.get(length..)
}

fn pair(high: u32, low: u32) -> Option<char> {
    let high = high.checked_sub(0xD800).filter(|high| *high < 0x400)?;
    let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    char::from_u32(0x1_0000 + (high << 10) + low)
}

/// The four digits of `\u1234`.
pub(in super::super) fn code(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}
