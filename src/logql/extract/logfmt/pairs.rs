//! The pairs of a line, as Go's logfmt library finds them.

use super::super::buffers::is_text;
use super::super::error::{ExtractError, LogfmtMistake};
use super::super::json::unescape::code;
use memchr::memchr2;

/// A key and its value, which may have escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'l> {
    pub(super) key: &'l [u8],
    /// Without its quotes.
    pub(super) value: &'l [u8],
    has_escapes: bool,
}

impl<'l> Pair<'l> {
    /// The value without its escapes, which are known to be right.
    pub(super) fn value_text<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b [u8]
    where
        'l: 'b,
    {
        if !self.has_escapes {
            return self.value;
        }
        buffer.clear();
        let _ = unescape(self.value, |bytes| buffer.extend_from_slice(bytes));
        buffer
    }
}

/// The pairs of a line, and the mistakes between them.
pub(super) struct Pairs<'l> {
    line: &'l [u8],
    at: usize,
}

type Read<T> = Result<T, ExtractError>;

impl<'l> Pairs<'l> {
    pub(super) fn new(line: &'l [u8]) -> Self {
        Self { line, at: 0 }
    }

    fn rest(&self) -> &'l [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn mistake<T>(&self, mistake: LogfmtMistake) -> Read<T> {
        Err(ExtractError::Logfmt { position: self.at + 1, mistake })
    }

    /// A mistake where reading goes on behind the next space.
    fn mistake_skipped<T>(&mut self, mistake: LogfmtMistake) -> Read<T> {
        let error = self.mistake(mistake);
        let length = self.rest().iter().position(|byte| *byte <= b' ');
        self.at += length.unwrap_or(self.rest().len());
        error
    }

    fn pair(&mut self) -> Read<Pair<'l>> {
        let rest = self.rest();
        let ends = |byte: &u8| matches!(byte, b'=' | b'"') || *byte <= b' ';
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let (key, rest) = rest.split_at_checked(length).unwrap_or((rest, b""));
        self.at += length;
        match rest.first() {
            Some(b'"') => return self.mistake_skipped(LogfmtMistake::Unexpected('"')),
            Some(b'=') if key.is_empty() => {
                return self.mistake_skipped(LogfmtMistake::Unexpected('='));
            }
            Some(b'=') if !is_text(key) => return self.mistake_skipped(LogfmtMistake::Key),
            Some(b'=') => {}
            _ if !is_text(key) => return self.mistake(LogfmtMistake::Key),
            _ => return Ok(Pair { key, value: b"", has_escapes: false }),
        }
        self.at += 1;
        let (value, has_escapes) = if self.rest().first() == Some(&b'"') {
            self.quoted()?
        } else {
            (self.plain()?, false)
        };
        Ok(Pair { key, value, has_escapes })
    }

    fn plain(&mut self) -> Read<&'l [u8]> {
        let rest = self.rest();
        let ends = |byte: &u8| matches!(byte, b'=' | b'"') || *byte <= b' ';
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        match rest.get(length) {
            Some(b'=') => self.mistake_skipped(LogfmtMistake::Unexpected('=')),
            Some(b'"') => self.mistake_skipped(LogfmtMistake::Unexpected('"')),
            _ => Ok(rest.get(..length).unwrap_or_default()),
        }
    }

    /// The inside of a quoted value, and whether it has escapes.
    fn quoted(&mut self) -> Read<(&'l [u8], bool)> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            let found = self.line.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest));
            let Some(found) = found.map(|length| at + length) else {
                self.at = self.line.len();
                return self.mistake(LogfmtMistake::OpenQuote);
            };
            if self.line.get(found) == Some(&b'\\') {
                (at, has_escapes) = (found + 2, true);
                continue;
            }
            self.at = found + 1;
            let inside = self.line.get(start..found).unwrap_or_default();
            if has_escapes && unescape(inside, |_| {}).is_none() {
                return self.mistake(LogfmtMistake::Quote);
            }
            return Ok((inside, has_escapes));
        }
    }
}

impl<'l> Iterator for Pairs<'l> {
    type Item = Read<Pair<'l>>;

    fn next(&mut self) -> Option<Self::Item> {
        let spaces = self.rest().iter().position(|byte| *byte > b' ')?;
        self.at += spaces;
        Some(self.pair())
    }
}

/// Hands out the text in pieces, without escapes; `None` where one of them is wrong. What is no text and
/// surrogates that are alone become U+FFFD.
fn unescape(text: &[u8], mut push: impl FnMut(&[u8])) -> Option<()> {
    let mut rest = text;
    loop {
        let at = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        let (plain, escape) = rest.split_at_checked(at)?;
        for chunk in plain.utf8_chunks() {
            push(chunk.valid().as_bytes());
            chunk.invalid().iter().for_each(|_| push("\u{fffd}".as_bytes()));
        }
        if escape.is_empty() {
            return Some(());
        }
        let simple = match escape.get(1)? {
            character @ (b'"' | b'\\' | b'/' | b'\'') => *character,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, after) = unicode(escape)?;
                push(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            _ => return None,
        };
        push(&[simple]);
        rest = escape.get(2..)?;
    }
}

/// The character of `\u1234`, or of two that make a pair, and what follows.
fn unicode(text: &[u8]) -> Option<(char, &[u8])> {
    let first = code(text)?;
    let after = text.get(6..)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, after));
    }
    let second = code(after).filter(|second| (0xDC00..0xE000).contains(second));
    let pair = second
        .filter(|_| first < 0xDC00)
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
    match pair {
        Some(character) => Some((character, after.get(6..)?)),
        None => Some(('\u{fffd}', after)),
    }
}
