//! How many regular expressions a request may have, and how large: those of its query, its selectors
//! and its filters together.

use model::Matcher;

/// What is left of the regular expressions of one request.
#[derive(Clone, Debug)]
pub struct RegexBudget {
    count: usize,
    bytes: usize,
}

/// The request has more regular expressions, or larger ones, than are compiled for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many regular expressions: a request may have {} that are no plain list of values \
     (a|b|c), of {} bytes when compiled; ask in parts, or list the values",
    RegexBudget::COUNT_MAX,
    RegexBudget::BYTES_MAX
)]
pub struct TooManyRegexes;

impl RegexBudget {
    /// A worst one takes 2 ms.
    pub const COUNT_MAX: usize = 500;
    pub const BYTES_MAX: usize = 64 << 20;

    /// Counts the expression of a matcher. Plain lists are not compiled and count nothing.
    pub fn take(&mut self, matcher: &Matcher) -> Result<(), TooManyRegexes> {
        let Some(bytes) = matcher.compiled_bytes() else { return Ok(()) };
        self.take_compiled(bytes)
    }

    /// Counts an expression that takes so many bytes.
    pub fn take_compiled(&mut self, bytes: usize) -> Result<(), TooManyRegexes> {
        self.count = self.count.checked_sub(1).ok_or(TooManyRegexes)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TooManyRegexes)?;
        Ok(())
    }
}

impl Default for RegexBudget {
    fn default() -> Self {
        Self { count: Self::COUNT_MAX, bytes: Self::BYTES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::MatchOp;

    fn taken(pattern: &str) -> usize {
        let mut budget = RegexBudget::default();
        let matcher = Matcher::new(MatchOp::Regex, "a", pattern).unwrap();
        (0..10_000).take_while(|_| budget.take(&matcher).is_ok()).count()
    }

    #[test]
    fn number_and_size_are_bounded() {
        assert_eq!(taken("a.c"), RegexBudget::COUNT_MAX);
        assert_eq!(taken("a|b|c"), 10_000);
        let large = taken(r"\pL{20}");
        assert!((32..RegexBudget::COUNT_MAX).contains(&large), "{large}");
    }
}
