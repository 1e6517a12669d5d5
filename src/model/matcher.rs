//! Label matchers: `job="api"`, `path=~"/v[12]/.*"`.
//!
//! The languages parse them, the stores choose series by them. What a store asks of a matcher per
//! part (its literals, its prefix) is worked out when the matcher is made.

use crate::labels::{Labels, METRIC_NAME, is_plain_name};
use crate::quote::quote_go;
use crate::regex::AnchoredRegex;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    /// Whether the value must match (rather than must not).
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Equal | Self::Regex)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub op: MatchOp,
    pub name: String,
    pub value: String,
    regex: Option<AnchoredRegex>,
}

impl Matcher {
    /// `Err` where the regular expression is wrong.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, String> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(AnchoredRegex::new(value)?),
        };
        Ok(Self { op, name: name.to_owned(), value: value.to_owned(), regex })
    }

    pub fn equal(name: &str, value: &str) -> Self {
        Self { op: MatchOp::Equal, name: name.to_owned(), value: value.to_owned(), regex: None }
    }

    pub fn not_equal(name: &str, value: &str) -> Self {
        Self { op: MatchOp::NotEqual, ..Self::equal(name, value) }
    }

    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => self.value == value,
            (MatchOp::NotEqual, _) => self.value != value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => unreachable!("made with its regex"),
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }

    /// The values that can match, sorted, where they are listed: a store looks them up.
    pub fn literals(&self) -> Option<&[String]> {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => Some(std::slice::from_ref(&self.value)),
            (MatchOp::Regex, Some(regex)) => regex.literals(),
            _ => None,
        }
    }

    /// The memory that its regular expression takes at most where it had to be compiled.
    pub fn compiled_bytes(&self) -> Option<usize> {
        self.regex.as_ref().and_then(AnchoredRegex::compiled_bytes)
    }

    /// The memory that a copy takes at most: compiled expressions are shared.
    pub fn bytes(&self) -> usize {
        // An expression that is a list holds its values beside its text.
        let listed = self.regex.as_ref().and_then(AnchoredRegex::literals).unwrap_or_default();
        let listed: usize = listed.iter().map(|text| text.len() + size_of::<String>()).sum();
        size_of::<Self>() + self.name.len() + 2 * self.value.len() + listed
    }

    /// What every match of a regular expression starts with.
    pub fn prefix(&self) -> Option<&str> {
        self.regex.as_ref().filter(|_| self.op == MatchOp::Regex)?.prefix()
    }

    pub fn is_metric_name(&self) -> bool {
        self.name == METRIC_NAME
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = quote_go(self.value.as_bytes());
        if is_plain_name(&self.name) {
            write!(f, "{}{}{value}", self.name, self.op.as_str())
        } else {
            write!(f, "{}{}{value}", quote_go(self.name.as_bytes()), self.op.as_str())
        }
    }
}

/// Whether a series meets every condition.
pub fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}
