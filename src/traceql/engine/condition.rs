//! What is asked of single spans, compiled once for a query.

use super::Result;
use super::cell::{Cell, compare};
use super::source::Source;
use super::test::Test;
use super::view::View;
use crate::ast::{FieldExpr, FieldOp};
use crate::attribute::{Attribute, Intrinsic};
use crate::check::is_root_test;
use crate::fold::{arithmetic, negative};
use crate::literal::Literal;
use crate::value::FieldValue;
use query::{RegexBudget, TooManyRegexes};
use std::rc::Rc;
use trace_store::RowSet;

/// Finds sets of rows.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Constant(bool),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    /// The roots, or all other spans.
    Roots(bool),
    Test(Attribute, Test),
    /// Whatever needs the values of each span.
    Computed(Scalar),
}

/// A value that is worked out for a span.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Value(FieldValue),
    Attribute(Attribute),
    Negate(Box<Scalar>),
    Not(Box<Scalar>),
    /// Arithmetic, or a comparison of values that are computed.
    Binary(FieldOp, Box<Scalar>, Box<Scalar>),
    Tested(Attribute, Box<Test>),
}

type Compiled<T> = std::result::Result<T, TooManyRegexes>;

/// An attribute beside a fixed value, whichever side it is on.
fn as_test(expr: &FieldExpr) -> Option<(&Attribute, FieldOp, &Literal)> {
    let FieldExpr::Binary { op, left, right } = expr else { return None };
    let is_flipped = matches!(**left, FieldExpr::Literal(_));
    let (attribute, literal) = if is_flipped { (right, left) } else { (left, right) };
    match (&**attribute, &**literal) {
        (FieldExpr::Attribute(attribute), FieldExpr::Literal(literal)) if op.is_comparison() => {
            Some((attribute, if is_flipped { op.flipped() } else { *op }, literal))
        }
        _ => None,
    }
}

fn test(
    (attribute, op, literal): (&Attribute, FieldOp, &Literal),
    regexes: &mut RegexBudget,
) -> Compiled<Test> {
    let is_named = matches!(attribute, Attribute::Named { .. });
    Test::new(op, &without_zeros(attribute, literal), is_named, regexes)
}

/// Thirty-two digits as bytes.
fn id_of_hex(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
    number.map(u128::to_be_bytes)
}

/// Identifiers are compared in the length in which they are stored.
fn without_zeros(attribute: &Attribute, literal: &Literal) -> Literal {
    use crate::attribute::Intrinsic::{LinkSpanId, LinkTraceId, ParentId, SpanId, TraceId};
    let width = match attribute.as_intrinsic() {
        Some(TraceId | LinkTraceId) => 32,
        Some(SpanId | ParentId | LinkSpanId) => 16,
        _ => return literal.clone(),
    };
    match literal {
        Literal::Text(text)
            if (1..width).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit()) =>
        {
            Literal::Text(format!("{text:0>width$}"))
        }
        other => other.clone(),
    }
}

impl Condition {
    pub(crate) fn new(expr: &FieldExpr, regexes: &mut RegexBudget) -> Compiled<Self> {
        if let Some(wanted) = is_root_test(expr) {
            return Ok(Self::Roots(wanted));
        }
        if let Some(found) = as_test(expr) {
            return Ok(Self::Test(found.0.clone(), test(found, regexes)?));
        }
        Ok(match expr {
            FieldExpr::Literal(literal) => Self::Constant(*literal == Literal::Bool(true)),
            FieldExpr::Attribute(attribute) => Self::Test(attribute.clone(), Test::is_bool(true)),
            FieldExpr::Not(inner) => match &**inner {
                FieldExpr::Attribute(attribute) => {
                    Self::Test(attribute.clone(), Test::is_bool(false))
                }
                FieldExpr::Not(inner) => Self::new(inner, regexes)?,
                inner => Self::Not(Box::new(Self::new(inner, regexes)?)),
            },
            FieldExpr::Binary { op: FieldOp::And, left, right } => {
                let left = Box::new(Self::new(left, regexes)?);
                Self::And(left, Box::new(Self::new(right, regexes)?))
            }
            FieldExpr::Binary { op: FieldOp::Or, left, right } => {
                let left = Box::new(Self::new(left, regexes)?);
                Self::Or(left, Box::new(Self::new(right, regexes)?))
            }
            FieldExpr::Binary { .. } | FieldExpr::Negate(_) => {
                Self::Computed(Scalar::new(expr, regexes)?)
            }
        })
    }

    /// Of a filter; none lets every span through.
    pub(crate) fn of_filter(
        filter: Option<&FieldExpr>,
        regexes: &mut RegexBudget,
    ) -> Compiled<Self> {
        filter.map_or(Ok(Self::Constant(true)), |expr| Self::new(expr, regexes))
    }

    /// Numbers of an attribute are compared whatever their type.
    pub(crate) fn relax(&mut self, attribute: &Attribute) {
        match self {
            Self::Constant(_) | Self::Roots(_) | Self::Computed(_) => {}
            Self::And(left, right) | Self::Or(left, right) => {
                left.relax(attribute);
                right.relax(attribute);
            }
            Self::Not(inner) => inner.relax(attribute),
            Self::Test(tested, test) if tested.is_found_by(attribute) => test.relax(),
            Self::Test(..) => {}
        }
    }

    /// The trace that it names, where no other can fulfil it.
    pub(crate) fn trace_id(&self) -> Option<[u8; 16]> {
        match self {
            Self::And(left, right) => left.trace_id().or_else(|| right.trace_id()),
            Self::Test(attribute, test) => match attribute.as_intrinsic() {
                Some(Intrinsic::TraceId) => test.equal_text().and_then(id_of_hex),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn rows(&self, view: &View<'_>) -> Result<RowSet> {
        Ok(match self {
            Self::Constant(true) => RowSet::all(view.rows),
            Self::Constant(false) => RowSet::none(view.rows),
            Self::And(left, right) => {
                let left = left.rows(view)?;
                if left.is_empty() { left } else { left.and(&right.rows(view)?) }
            }
            Self::Or(left, right) => left.rows(view)?.or(&right.rows(view)?),
            Self::Not(inner) => inner.rows(view)?.others(),
            Self::Roots(are_wanted) => view.roots(*are_wanted)?,
            Self::Test(attribute, test) => match view.rows_with_text(attribute, test)? {
                Some(rows) => rows,
                None => test.rows(&*view.source(attribute)?, view.rows),
            },
            Self::Computed(scalar) => {
                let bound = scalar.bind(view)?;
                RowSet::of(view.rows, |row| matches!(bound.cell(row), Cell::Bool(true)))
            }
        })
    }

    /// Calls `visit` with every test, and with attributes that are computed with.
    pub(crate) fn each_attribute<'c>(
        &'c self,
        visit: &mut impl FnMut(&'c Attribute, Option<&'c Test>),
    ) {
        match self {
            Self::Constant(_) | Self::Roots(_) => {}
            Self::And(left, right) | Self::Or(left, right) => {
                left.each_attribute(visit);
                right.each_attribute(visit);
            }
            // What does not hold is not shown.
            Self::Not(_) => {}
            Self::Test(attribute, test) => visit(attribute, Some(test)),
            Self::Computed(scalar) => {
                scalar.each_attribute(&mut |attribute| visit(attribute, None))
            }
        }
    }
}

impl Scalar {
    pub(crate) fn new(expr: &FieldExpr, regexes: &mut RegexBudget) -> Compiled<Self> {
        if let Some(found) = as_test(expr) {
            return Ok(Self::Tested(found.0.clone(), Box::new(test(found, regexes)?)));
        }
        Ok(match expr {
            FieldExpr::Literal(literal) => Self::Value(FieldValue::from(literal)),
            FieldExpr::Attribute(attribute) => Self::Attribute(attribute.clone()),
            FieldExpr::Not(inner) => Self::Not(Box::new(Self::new(inner, regexes)?)),
            FieldExpr::Negate(inner) => Self::Negate(Box::new(Self::new(inner, regexes)?)),
            FieldExpr::Binary { op: FieldOp::Match | FieldOp::NotMatch, left, right } => {
                // Both are fixed texts, or it would be a test of an attribute.
                let (Self::Value(left), FieldExpr::Literal(right)) =
                    (Self::new(left, regexes)?, &**right)
                else {
                    return Ok(Self::Value(FieldValue::Nil));
                };
                let FieldExpr::Binary { op, .. } = expr else { unreachable!("the arm says so") };
                let holds = Test::new(*op, right, true, regexes)?.holds(Cell::of(&left));
                Self::Value(FieldValue::Bool(holds))
            }
            FieldExpr::Binary { op, left, right } => {
                let left = Box::new(Self::new(left, regexes)?);
                Self::Binary(*op, left, Box::new(Self::new(right, regexes)?))
            }
        })
    }

    pub(crate) fn each_attribute<'c>(&'c self, visit: &mut impl FnMut(&'c Attribute)) {
        match self {
            Self::Value(_) => {}
            Self::Attribute(attribute) | Self::Tested(attribute, _) => visit(attribute),
            Self::Negate(inner) | Self::Not(inner) => inner.each_attribute(visit),
            Self::Binary(_, left, right) => {
                left.each_attribute(visit);
                right.each_attribute(visit);
            }
        }
    }

    /// Looks the attributes up in a piece.
    pub(crate) fn bind<'s, 'p>(&'s self, view: &View<'p>) -> Result<Bound<'s, 'p>> {
        Ok(match self {
            Self::Value(value) => Bound::Value(value),
            Self::Attribute(attribute) => Bound::Source(view.source(attribute)?),
            Self::Tested(attribute, test) => Bound::Tested(view.source(attribute)?, test),
            Self::Negate(inner) => Bound::Negate(Box::new(inner.bind(view)?)),
            Self::Not(inner) => Bound::Not(Box::new(inner.bind(view)?)),
            Self::Binary(op, left, right) => {
                Bound::Binary(*op, Box::new(left.bind(view)?), Box::new(right.bind(view)?))
            }
        })
    }

    /// What `by(…)` and aggregates see: where nothing can be computed they see `false`, but an attribute
    /// that is not there is nil.
    pub(crate) fn is_attribute(&self) -> bool {
        matches!(self, Self::Attribute(_))
    }
}

/// A scalar in a piece.
pub(crate) enum Bound<'s, 'p> {
    Value(&'s FieldValue),
    Source(Rc<Source<'p>>),
    Tested(Rc<Source<'p>>, &'s Test),
    Negate(Box<Bound<'s, 'p>>),
    Not(Box<Bound<'s, 'p>>),
    Binary(FieldOp, Box<Bound<'s, 'p>>, Box<Bound<'s, 'p>>),
}

impl Bound<'_, '_> {
    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Value(value) => Cell::of(value),
            Self::Source(source) => source.cell(row),
            Self::Tested(source, test) => Cell::Bool(match test.asks_presence() {
                Some(wanted) => source.has(row) == wanted,
                None => test.holds(source.cell(row)),
            }),
            Self::Negate(inner) => {
                let number = inner.cell(row).as_number();
                number.map_or(Cell::Nil, |number| Cell::of_number(negative(number)))
            }
            Self::Not(inner) => match inner.cell(row) {
                Cell::Bool(value) => Cell::Bool(!value),
                _ => Cell::Nil,
            },
            Self::Binary(op, left, right) => {
                let (left, right) = (left.cell(row), right.cell(row));
                match op {
                    FieldOp::And => both(left, right, |left, right| left && right),
                    FieldOp::Or => both(left, right, |left, right| left || right),
                    _ if op.is_comparison() => Cell::Bool(compare(*op, left, right)),
                    _ => match (left.as_number(), right.as_number()) {
                        (Some(left), Some(right)) => {
                            arithmetic(*op, left, right).map_or(Cell::Nil, Cell::of_number)
                        }
                        _ => Cell::Nil,
                    },
                }
            }
        }
    }
}

fn both<'a>(left: Cell<'_>, right: Cell<'_>, combine: impl Fn(bool, bool) -> bool) -> Cell<'a> {
    let is_true = |cell: Cell<'_>| matches!(cell, Cell::Bool(true));
    Cell::Bool(combine(is_true(left), is_true(right)))
}
