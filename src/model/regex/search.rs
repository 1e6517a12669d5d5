//! A pattern that may match any part of a text, such as a filter of log lines has.

use super::compile::{Compiled, Reach, compile};
use super::replace::{TooLong, expand_into};
use regex::bytes::Regex;
use std::sync::Arc;

/// An unanchored pattern. `.` matches no line end, unless the pattern says `(?s)`.
#[derive(Clone, Debug)]
pub struct SearchRegex(Arc<Compiled>);

impl SearchRegex {
    pub fn new(pattern: &str) -> Result<Self, String> {
        compile(pattern, Reach::Part).map(Self)
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.regex.is_match(text)
    }

    /// The expression as the engine runs it. Its named groups are numbered as in the pattern, but their
    /// names differ: see [`Self::group_names`].
    pub fn engine(&self) -> &Regex {
        &self.0.regex
    }

    /// The names of all groups as the pattern writes them, beginning with that of the whole match, which
    /// has none.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.regex.capture_names().map(|name| name.and_then(|key| key.strip_prefix('g')))
    }

    /// The text with every match replaced by the template, in which `$1`, `${1}` and `${name}` stand for
    /// groups. `None` where nothing matches; an error as soon as the result is longer than `length_max`.
    pub fn replace_all(
        &self,
        text: &str,
        template: &str,
        length_max: usize,
    ) -> Option<Result<String, TooLong>> {
        let (mut out, mut end) = (String::new(), None);
        for captures in self.0.regex.captures_iter(text.as_bytes()) {
            let matched = captures.get(0)?;
            // A pattern may match between the bytes of a character, where Go's would not.
            let (start, stop) = (matched.start(), matched.end());
            let Some(before) = text.get(end.unwrap_or(0)..start) else { continue };
            if !text.is_char_boundary(stop) {
                continue;
            }
            out.push_str(before);
            end = Some(stop);
            if expand_into(&mut out, template, &captures, length_max).is_err() {
                return Some(Err(TooLong));
            }
        }
        out.push_str(&text[end?..]);
        Some(if out.len() > length_max { Err(TooLong) } else { Ok(out) })
    }

    /// The memory that it takes at most.
    pub fn compiled_bytes(&self) -> usize {
        self.0.bytes
    }
}
