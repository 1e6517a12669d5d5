//! What must hold of a line: the tree that queries become, whatever they are written in.

use super::field::Field;
use super::words::Words;
use model::{AnchoredRegex, SearchRegex};
use std::collections::BTreeSet;

/// A condition on a line.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    All,
    None,
    And(Vec<Expr>),
    /// So many of them hold.
    AtLeast(usize, Vec<Expr>),
    Not(Box<Expr>),
    Line(LineTest),
    /// The field has a value for which the test holds.
    Value(Field, ValueTest),
    /// Nanoseconds, both ends included.
    Time {
        from: i64,
        to: i64,
    },
}

/// Adds an alternative. Values of one field become one list, so that the field is looked up once for all.
fn add_to(some: &mut Vec<Expr>, part: Expr) {
    let Expr::Value(field, ValueTest::Equals(text)) = part else { return some.push(part) };
    let is_same = |known: &&mut Expr| matches!(known, Expr::Value(of, ValueTest::Equals(_) | ValueTest::OneOf(_)) if *of == field);
    match some.iter_mut().find(is_same) {
        Some(Expr::Value(_, ValueTest::OneOf(texts))) => drop(texts.insert(text)),
        Some(known) => {
            if let Expr::Value(_, ValueTest::Equals(other)) = known {
                let texts = BTreeSet::from([std::mem::take(other), text]);
                *known = Expr::Value(field, ValueTest::OneOf(texts));
            }
        }
        None => some.push(Expr::Value(field, ValueTest::Equals(text))),
    }
}

/// A condition on the text of a line.
#[derive(Clone, Debug)]
pub(super) enum LineTest {
    Words(Words),
    /// Of the folded line; `literal` is a part of it that every match holds.
    Pattern {
        regex: SearchRegex,
        literal: String,
    },
    /// Of the line as it was stored.
    Regex(SearchRegex),
}

/// A condition on a value.
#[derive(Clone, Debug)]
pub(super) enum ValueTest {
    /// It is there.
    Any,
    Equals(String),
    OneOf(BTreeSet<String>),
    Matches(AnchoredRegex),
    Range(Bounds),
}

/// An end of a range, and whether it belongs to it.
pub(super) type Bound = Option<(String, bool)>;

/// A range of values: numbers where an end is a number, else texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    from: Bound,
    to: Bound,
    /// The ends as numbers, where all that there are can be read so.
    numbers: Option<(f64, f64)>,
}

impl Bounds {
    pub(super) fn new(from: Bound, to: Bound) -> Self {
        let number = |bound: &Bound, default: f64| match bound {
            None => Some(default),
            Some((text, _)) => number_of(text),
        };
        let numbers = number(&from, f64::NEG_INFINITY).zip(number(&to, f64::INFINITY));
        Self { from, to, numbers }
    }

    fn contains(&self, value: &str) -> bool {
        match self.numbers {
            Some((from, to)) => number_of(value).is_some_and(|value| {
                let above = value > from || (value == from && is_included(&self.from));
                let below = value < to || (value == to && is_included(&self.to));
                above && below
            }),
            None => {
                let above = self.from.as_ref().is_none_or(|(from, included)| {
                    value > from.as_str() || (*included && value == from)
                });
                let below = self
                    .to
                    .as_ref()
                    .is_none_or(|(to, included)| value < to.as_str() || (*included && value == to));
                above && below
            }
        }
    }
}

fn is_included(bound: &Bound) -> bool {
    bound.as_ref().is_none_or(|(_, included)| *included)
}

/// A value as a number; no text that only happens to name one (`NaN`, `inf`).
pub(super) fn number_of(text: &str) -> Option<f64> {
    let starts = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.');
    text.as_bytes().first().filter(|byte| starts(byte))?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl ValueTest {
    pub(super) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Equals(text) => value == text,
            Self::OneOf(texts) => texts.contains(value),
            Self::Matches(regex) => regex.is_match(value),
            Self::Range(bounds) => bounds.contains(value),
        }
    }
}

impl Expr {
    /// All of them; what lies in each other without need is joined.
    pub(super) fn and(parts: Vec<Self>) -> Self {
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::All => {}
                Self::And(inner) => all.extend(inner),
                part => all.push(part),
            }
        }
        match all.len() {
            0 => Self::All,
            1 => all.swap_remove(0),
            _ => Self::And(all),
        }
    }

    /// One of them.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        let mut some = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::None => {}
                Self::AtLeast(1, inner) => inner.into_iter().for_each(|one| add_to(&mut some, one)),
                part => add_to(&mut some, part),
            }
        }
        match some.len() {
            0 => Self::None,
            1 => some.swap_remove(0),
            _ => Self::AtLeast(1, some),
        }
    }

    pub(super) fn negate(self) -> Self {
        match self {
            Self::All => Self::None,
            Self::None => Self::All,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Calls `visit` with every test of a line's text that is not negated.
    pub(super) fn each_line_test<'e>(&'e self, visit: &mut impl FnMut(&'e LineTest)) {
        match self {
            Self::And(all) | Self::AtLeast(_, all) => {
                all.iter().for_each(|one| one.each_line_test(visit));
            }
            Self::Line(test) => visit(test),
            _ => {}
        }
    }

    /// Whether it looks at the text of a line.
    pub(super) fn reads_line(&self) -> bool {
        match self {
            Self::And(all) | Self::AtLeast(_, all) => all.iter().any(Self::reads_line),
            Self::Not(inner) => inner.reads_line(),
            Self::Line(_) | Self::Value(Field::Id | Field::Line, _) => true,
            _ => false,
        }
    }
}
