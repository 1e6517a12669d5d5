//! JSON as it lies in the line. Nothing is checked that is not looked at: as in Loki, numbers end where
//! a comma, a bracket or a space is, and what follows an object does not matter.

use super::super::error::JsonMistake;
use memchr::{memchr2, memchr3};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Text,
    Number,
    Bool,
    Null,
    Object,
    Array,
}

/// A value: of a text what stands between the quotes, of others all of it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Value<'l> {
    pub(in super::super) kind: Kind,
    pub(in super::super) bytes: &'l [u8],
}

/// A key, as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Key<'l> {
    pub(in super::super) bytes: &'l [u8],
    pub(in super::super) has_escapes: bool,
}

/// Where the next thing stands that is no white space.
pub(super) fn next_token(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    rest.iter().position(|byte| !is_space(byte)).map(|length| at + length)
}

/// Behind the quote that ends a text, whose inside begins here; and whether it has escapes.
pub(super) fn text_end(line: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    let mut has_escapes = false;
    loop {
        let found = at + memchr2(b'"', b'\\', line.get(at..)?)?;
        if line.get(found) == Some(&b'"') {
            return Some((found + 1, has_escapes));
        }
        (at, has_escapes) = (found + 2, true);
    }
}

/// Behind the bracket that ends what begins here. Only brackets of this kind count.
pub(super) fn block_end(line: &[u8], start: usize, open: u8, close: u8) -> Option<usize> {
    let mut at = start;
    let mut level = 0_usize;
    loop {
        let found = at + memchr3(b'"', open, close, line.get(at..)?)?;
        match line.get(found) {
            Some(b'"') => at = text_end(line, found + 1)?.0,
            Some(byte) if *byte == open => (at, level) = (found + 1, level + 1),
            _ => {
                level -= 1;
                at = found + 1;
                if level == 0 {
                    return Some(at);
                }
            }
        }
    }
}

/// The value that comes next, and where it ends.
pub(super) fn value_at(line: &[u8], at: usize) -> Result<(Value<'_>, usize), JsonMistake> {
    let start = next_token(line, at).ok_or(JsonMistake::Line)?;
    let part = |end: usize| line.get(start..end).unwrap_or_default();
    let (kind, bytes, end) = match line.get(start) {
        Some(b'"') => {
            let (end, _) = text_end(line, start + 1).ok_or(JsonMistake::Text)?;
            (Kind::Text, line.get(start + 1..end - 1).unwrap_or_default(), end)
        }
        Some(b'[') => {
            let end = block_end(line, start, b'[', b']').ok_or(JsonMistake::Array)?;
            (Kind::Array, part(end), end)
        }
        Some(b'{') => {
            let end = block_end(line, start, b'{', b'}').ok_or(JsonMistake::Object)?;
            (Kind::Object, part(end), end)
        }
        _ => {
            let end = word_end(line, start);
            (word_kind(part(end))?, part(end), end)
        }
    };
    Ok((Value { kind, bytes }, end))
}

fn word_end(line: &[u8], start: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']');
    let rest = line.get(start..).unwrap_or_default();
    rest.iter().position(ends).map_or(line.len(), |length| start + length)
}

fn word_kind(word: &[u8]) -> Result<Kind, JsonMistake> {
    match word {
        b"true" | b"false" => Ok(Kind::Bool),
        b"null" => Ok(Kind::Null),
        [b'0'..=b'9' | b'-', ..] => Ok(Kind::Number),
        _ => Err(JsonMistake::Value),
    }
}

/// The members of an object, one after the other. After each key its value must be read.
pub(in super::super) struct Members<'l> {
    line: &'l [u8],
    at: usize,
    is_first: bool,
}

impl<'l> Members<'l> {
    /// Of the object that comes next.
    pub(in super::super) fn open(line: &'l [u8], at: usize) -> Result<Self, JsonMistake> {
        match next_token(line, at) {
            Some(at) if line.get(at) == Some(&b'{') => {
                Ok(Self { line, at: at + 1, is_first: true })
            }
            _ => Err(JsonMistake::Object),
        }
    }

    /// `None` behind the last one.
    pub(in super::super) fn next_key(&mut self) -> Result<Option<Key<'l>>, JsonMistake> {
        let line = self.line;
        let missing = if self.is_first { JsonMistake::Line } else { JsonMistake::Array };
        let mut at = next_token(line, self.at).ok_or(missing)?;
        if !self.is_first && line.get(at) == Some(&b',') {
            at = next_token(line, at + 1).ok_or(missing)?;
        } else if !self.is_first && line.get(at) != Some(&b'}') {
            return Err(JsonMistake::Object);
        }
        self.is_first = false;
        match line.get(at) {
            Some(b'"') => {}
            Some(b'}') => {
                self.at = at + 1;
                return Ok(None);
            }
            _ => return Err(JsonMistake::Object),
        }
        let (end, has_escapes) = text_end(line, at + 1).ok_or(JsonMistake::Line)?;
        let bytes = line.get(at + 1..end - 1).unwrap_or_default();
        let colon = next_token(line, end).filter(|colon| line.get(*colon) == Some(&b':'));
        self.at = colon.ok_or(JsonMistake::Line)? + 1;
        Ok(Some(Key { bytes, has_escapes }))
    }

    pub(in super::super) fn value(&mut self) -> Result<Value<'l>, JsonMistake> {
        let (value, end) = value_at(self.line, self.at)?;
        self.at = end;
        Ok(value)
    }

    /// Whether the value that comes next is an object.
    pub(super) fn is_object(&self) -> bool {
        let token = next_token(self.line, self.at);
        token.is_some_and(|at| self.line.get(at) == Some(&b'{'))
    }

    /// The members of the value that comes next. When they have been read the outer ones go on behind.
    pub(super) fn inner(&self) -> Result<Self, JsonMistake> {
        Self::open(self.line, self.at)
    }

    pub(super) fn go_on_behind(&mut self, inner: &Self) {
        self.at = inner.at;
    }
}
