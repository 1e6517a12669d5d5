//! The labels of a stream as a text: `{app="shop", namespace="eu"}`.

use crate::log_sink::{BadStream, LABELS_SIZE_MAX, StreamLabels, shown};
use model::{is_plain_name, unquote_go};

/// Reads a text of labels into `labels`, which is cleared before. Names are plain, values quoted as in
/// Go; the last label may be followed by a comma.
pub fn parse_stream_labels(text: &str, labels: &mut StreamLabels) -> Result<(), BadStream> {
    labels.clear();
    if text.len() > LABELS_SIZE_MAX {
        return Err(BadStream::TooLong { shown: shown(text), limit: LABELS_SIZE_MAX });
    }
    let mut parser = Parser { text, rest: text };
    parser.expect('{')?;
    loop {
        if parser.accept('}') {
            break;
        }
        let name = parser.name()?;
        parser.expect('=')?;
        let quoted = parser.quoted()?;
        parser.push(name, quoted, labels)?;
        if !parser.accept(',') {
            parser.expect('}')?;
            break;
        }
    }
    match parser.rest.trim_start() {
        "" => Ok(()),
        _ => parser.fail("the end"),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, expected: &'static str) -> Result<T, BadStream> {
        let at = self.text.len() - self.rest.len();
        Err(BadStream::Syntax { shown: shown(self.text), expected, at })
    }

    fn accept(&mut self, character: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, character: char) -> Result<(), BadStream> {
        if self.accept(character) {
            return Ok(());
        }
        self.fail(match character {
            '{' => "'{'",
            '=' => "'='",
            _ => "',' or '}'",
        })
    }

    fn name(&mut self) -> Result<&'a str, BadStream> {
        self.rest = self.rest.trim_start();
        let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let (name, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        if !is_plain_name(name) {
            return self.fail("the name of a label (letters, digits and '_')");
        }
        self.rest = rest;
        Ok(name)
    }

    /// A quoted text with its quotes.
    fn quoted(&mut self) -> Result<&'a str, BadStream> {
        self.rest = self.rest.trim_start();
        let bytes = self.rest.as_bytes();
        let end = match bytes.first() {
            Some(b'`') => memchr::memchr(b'`', &bytes[1..]).map(|at| at + 1),
            Some(b'"') => end_of_quoted(bytes),
            _ => return self.fail("a value in quotes"),
        };
        let Some(end) = end else { return self.fail("the end of a value in quotes") };
        let (quoted, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        Ok(quoted)
    }

    fn push(&self, name: &str, quoted: &str, labels: &mut StreamLabels) -> Result<(), BadStream> {
        let inner = &quoted[1..quoted.len() - 1];
        if quoted.starts_with('"') && !inner.contains('\\') {
            labels.push(name, inner);
            return Ok(());
        }
        match unquote_go(quoted) {
            Ok(value) => {
                labels.push(name, &String::from_utf8_lossy(&value));
                Ok(())
            }
            Err(_) => self.fail("escapes as in Go before this point"),
        }
    }
}

/// Where the closing quote stands; the first byte is the opening one.
fn end_of_quoted(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}
