//! Conditions on labels, evaluated on one line.
//!
//! A value that can't be read sets an error, and its line goes on: only a condition on texts filters
//! lines that have an error.

use super::labels::LineLabels;
use crate::ast::LabelFilter;
use crate::values::{parse_bytes, parse_duration, parse_float};
use model::{MatchOp, Matcher};
use query::BinaryOp;

const LABEL_FILTER_ERROR: &str = "LabelFilterErr";

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub(crate) enum RowFilter {
    Text(Matcher),
    Number { label: String, op: BinaryOp, value: f64 },
    Duration { label: String, op: BinaryOp, nanos: i64 },
    Bytes { label: String, op: BinaryOp, bytes: u64 },
    And(Box<RowFilter>, Box<RowFilter>),
    Or(Box<RowFilter>, Box<RowFilter>),
}

impl RowFilter {
    /// `Err`: what is wrong with the pattern of an address.
    pub(crate) fn new(filter: &LabelFilter) -> Result<Self, String> {
        let both = |left: &LabelFilter, right: &LabelFilter| {
            Ok::<_, String>((Box::new(Self::new(left)?), Box::new(Self::new(right)?)))
        };
        Ok(match filter {
            LabelFilter::Text(matcher) => Self::Text(as_filter(matcher)?),
            LabelFilter::Number { label, op, value } => {
                Self::Number { label: label.clone(), op: *op, value: *value }
            }
            LabelFilter::Duration { label, op, nanos } => {
                Self::Duration { label: label.clone(), op: *op, nanos: *nanos }
            }
            LabelFilter::Bytes { label, op, bytes } => {
                Self::Bytes { label: label.clone(), op: *op, bytes: *bytes }
            }
            LabelFilter::Ip { .. } => return Err(super::UNAVAILABLE.to_owned()),
            LabelFilter::And(left, right) => {
                let (left, right) = both(left, right)?;
                Self::And(left, right)
            }
            LabelFilter::Or(left, right) => {
                let (left, right) = both(left, right)?;
                Self::Or(left, right)
            }
        })
    }

    pub(crate) fn passes(&self, labels: &mut LineLabels<'_>) -> bool {
        match self {
            Self::Text(matcher) => matcher.matches(labels.value(&matcher.name)),
            Self::Number { label, op, value } => {
                compared(labels, label, parse_float, |found| compare(*op, &found, value))
            }
            Self::Duration { label, op, nanos } => {
                compared(labels, label, parse_duration, |found| compare(*op, &found, nanos))
            }
            Self::Bytes { label, op, bytes } => {
                compared(labels, label, parse_bytes, |found| compare(*op, &found, bytes))
            }
            Self::And(left, right) => left.passes(labels) && right.passes(labels),
            Self::Or(left, right) => left.passes(labels) || right.passes(labels),
        }
    }

    /// The labels that it looks at.
    pub(crate) fn names(filter: &LabelFilter, names: &mut Vec<String>) {
        match filter {
            LabelFilter::Text(matcher) => names.push(matcher.name.clone()),
            LabelFilter::Number { label, .. }
            | LabelFilter::Duration { label, .. }
            | LabelFilter::Bytes { label, .. }
            | LabelFilter::Ip { label, .. } => names.push(label.clone()),
            LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
                Self::names(left, names);
                Self::names(right, names);
            }
        }
    }
}

/// The matcher as Loki's label filters understand it: where an alternative of an expression is a text
/// beside `.*`, such as `err.*`, the text may stand anywhere in the value. Other expressions, and all in
/// selectors, match whole values.
pub(crate) fn as_filter(matcher: &Matcher) -> Result<Matcher, String> {
    if matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual) {
        return Ok(matcher.clone());
    }
    match loosened(&matcher.value) {
        Some(pattern) => Matcher::new(matcher.op, &matcher.name, &pattern),
        None => Ok(matcher.clone()),
    }
}

/// `None` where the pattern is none of texts, `.*` and alternatives of them.
fn loosened(pattern: &str) -> Option<String> {
    let (flags, body) = pattern.strip_prefix("(?i)").map_or(("", pattern), |body| ("(?i)", body));
    let inner = body.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(body);
    let is_text = |text: &str| !text.contains(|c: char| r"\.+*?()[]{}^$|".contains(c));
    let alternative = |text: &str| {
        let open_start = text.strip_prefix(".*");
        let rest = open_start.unwrap_or(text);
        let open_end = rest.strip_suffix(".*");
        let middle = open_end.unwrap_or(rest);
        let is_open = open_start.is_some() || open_end.is_some();
        match (is_text(middle), is_open, middle) {
            (true, true, "") => Some(".*".to_owned()),
            (true, true, middle) => Some(format!(".*{middle}.*")),
            (true, false, middle) => Some(middle.to_owned()),
            (false, ..) => None,
        }
    };
    let alternatives = inner.split('|').map(alternative).collect::<Option<Vec<String>>>()?;
    Some(format!("{flags}{}", alternatives.join("|")))
}

/// Whether a label is there and its value compares as wanted; also where it can't be read.
fn compared<T>(
    labels: &mut LineLabels<'_>,
    label: &str,
    read: impl Fn(&[u8]) -> Result<T, String>,
    holds: impl Fn(T) -> bool,
) -> bool {
    if labels.error().is_some() {
        return true;
    }
    let Some(value) = labels.get(label) else { return false };
    match read(value.as_bytes()) {
        Ok(found) => holds(found),
        Err(message) => {
            labels.set_error(LABEL_FILTER_ERROR, &message);
            true
        }
    }
}

fn compare<T: PartialOrd>(op: BinaryOp, left: &T, right: &T) -> bool {
    match op {
        BinaryOp::Eq => left == right,
        BinaryOp::Ne => left != right,
        BinaryOp::Gt => left > right,
        BinaryOp::Ge => left >= right,
        BinaryOp::Lt => left < right,
        BinaryOp::Le => left <= right,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_beside_anything_may_stand_anywhere() {
        let matches = |pattern: &str, value: &str| {
            let matcher = Matcher::new(MatchOp::Regex, "a", pattern).unwrap();
            as_filter(&matcher).unwrap().matches(value)
        };
        for (pattern, yes, no) in [
            ("err.*", "an error", "warning"),
            ("e.*|w.*", "debug", "info"),
            ("(?i)ERR.*", "an error", "info"),
            ("err", "err", "error"),
            ("info|debug", "info", "infos"),
            ("a.c.*", "abcd", "xabcd"),
            ("e.+", "error", "debug e"),
        ] {
            assert!(matches(pattern, yes) && !matches(pattern, no), "{pattern}");
        }
    }
}
