//! Conditions on labels, evaluated on one line.
//!
//! A value that can't be read sets an error, and its line goes on. Lines that have an error pass by
//! conditions on durations and sizes, as in Loki; conditions on texts and numbers look at them.

use super::labels::LineLabels;
use crate::ast::LabelFilter;
use crate::extract::ip::IpMatcher;
use model::{MatchOp, Matcher};
use query::BinaryOp;
use template::units::{parse_bytes, parse_duration, parse_float};

const LABEL_FILTER_ERROR: &str = "LabelFilterErr";

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub(crate) enum RowFilter {
    Text(Matcher),
    Number { label: String, op: BinaryOp, value: f64 },
    Duration { label: String, op: BinaryOp, nanos: i64 },
    Bytes { label: String, op: BinaryOp, bytes: u64 },
    Ip { label: String, negated: bool, addresses: IpMatcher },
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
                Self::Bytes { label: label.clone(), op: *op, bytes: two_digits(*bytes) }
            }
            LabelFilter::Ip { label, negated, pattern } => Self::Ip {
                label: label.clone(),
                negated: *negated,
                addresses: IpMatcher::new(pattern)?,
            },
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
                let holds = |found| compare(*op, &found, nanos);
                labels.error().is_some() || compared(labels, label, parse_duration, holds)
            }
            Self::Bytes { label, op, bytes } => {
                let holds = |found| compare(*op, &found, bytes);
                labels.error().is_some() || compared(labels, label, parse_bytes, holds)
            }
            Self::Ip { label, negated, addresses } => {
                let holds = |value: &str| addresses.is_match(value.as_bytes()) != *negated;
                labels.error().is_some() || labels.get(label).is_some_and(holds)
            }
            Self::And(left, right) => left.passes(labels) && right.passes(labels),
            Self::Or(left, right) => left.passes(labels) || right.passes(labels),
        }
    }

    /// The only label that a simple condition looks at.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Text(matcher) => Some(&matcher.name),
            Self::Number { label, .. }
            | Self::Duration { label, .. }
            | Self::Bytes { label, .. }
            | Self::Ip { label, .. } => Some(label),
            Self::And(..) | Self::Or(..) => None,
        }
    }

    /// The label that it looks at, if it is only one.
    pub(crate) fn only_name(&self) -> Option<&str> {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.only_name().filter(|name| right.only_name() == Some(*name))
            }
            simple => simple.name(),
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

/// The size as the parts of Loki tell it to each other: in the decimal unit that fits, whole from ten on,
/// with one digit behind the point below. So 1 MiB compares as 1.0 MB.
fn two_digits(bytes: u64) -> u64 {
    if bytes < 10 {
        return bytes;
    }
    let power = bytes.ilog10() / 3;
    let unit = 1000_u64.pow(power) as f64;
    let tenths = (bytes as f64 / unit * 10.0 + 0.5).floor() / 10.0;
    let shown = if tenths < 10.0 { tenths } else { tenths.round_ties_even() };
    (shown * unit) as u64
}

/// Whether a label is there and its value compares as wanted; also where it can't be read.
fn compared<T>(
    labels: &mut LineLabels<'_>,
    label: &str,
    read: impl Fn(&[u8]) -> Result<T, String>,
    holds: impl Fn(T) -> bool,
) -> bool {
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
    fn sizes_have_two_digits() {
        for (bytes, compared) in [
            (7, 7),
            (512, 512),
            (1_500, 1_500),
            (1_048_576, 1_000_000),
            (12_345, 12_000),
            (999_950, 1_000_000),
        ] {
            assert_eq!(two_digits(bytes), compared);
        }
    }

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
