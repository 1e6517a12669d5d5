//! A pattern that may match any part of a text, such as a filter of log lines has.

use super::compile::{Compiled, Reach, compile};
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

    /// The memory that it takes at most.
    pub fn compiled_bytes(&self) -> usize {
        self.0.bytes
    }
}
