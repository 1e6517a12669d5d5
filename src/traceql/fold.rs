//! Arithmetic on numbers, and expressions of fixed numbers computed where they are read: `2 * 5 - 1`.

use crate::ast::{FieldExpr, FieldOp, MetricExpr};
use crate::literal::Literal;

/// A number of a query or a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
}

impl Number {
    pub(crate) fn as_float(self) -> f64 {
        match self {
            Self::Int(value) | Self::Duration(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    fn of(literal: &Literal) -> Option<Self> {
        match literal {
            Literal::Int(value) => Some(Self::Int(*value)),
            Literal::Float(value) => Some(Self::Float(*value)),
            Literal::Duration(value) => Some(Self::Duration(*value)),
            _ => None,
        }
    }

    fn into_literal(self) -> Literal {
        match self {
            Self::Int(value) => Literal::Int(value),
            Self::Float(value) => Literal::Float(value),
            Self::Duration(value) => Literal::Duration(value),
        }
    }
}

/// `None` where there is no result: a whole number divided by zero.
pub(crate) fn arithmetic(op: FieldOp, left: Number, right: Number) -> Option<Number> {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => of_integers(op, left, right),
        (Number::Duration(one), Number::Duration(other)) => {
            of_durations(op, one, other).or_else(|| of_floats(op, left, right))
        }
        (Number::Duration(nanos), Number::Int(times))
        | (Number::Int(times), Number::Duration(nanos))
            if op == FieldOp::Mul =>
        {
            let product = nanos.checked_mul(times).map(Number::Duration);
            product.or_else(|| of_floats(op, left, right))
        }
        _ => of_floats(op, left, right),
    }
}

/// Whole numbers stay whole: `10 / 4` is 2.
fn of_integers(op: FieldOp, left: i64, right: i64) -> Option<Number> {
    let result = match op {
        FieldOp::Add => left.wrapping_add(right),
        FieldOp::Sub => left.wrapping_sub(right),
        FieldOp::Mul => left.wrapping_mul(right),
        FieldOp::Div if right == 0 => return None,
        FieldOp::Div => left.wrapping_div(right),
        FieldOp::Mod if right == 0 => return None,
        FieldOp::Mod => left.wrapping_rem(right),
        FieldOp::Pow => {
            let power = u32::try_from(right).ok().and_then(|right| left.checked_pow(right));
            let float = (left as f64).powf(right as f64);
            return Some(power.map_or(Number::Float(float), Number::Int));
        }
        _ => return None,
    };
    Some(Number::Int(result))
}

fn of_durations(op: FieldOp, left: i64, right: i64) -> Option<Number> {
    match op {
        FieldOp::Add => left.checked_add(right).map(Number::Duration),
        FieldOp::Sub => left.checked_sub(right).map(Number::Duration),
        _ => None,
    }
}

fn of_floats(op: FieldOp, left: Number, right: Number) -> Option<Number> {
    let (left, right) = (left.as_float(), right.as_float());
    let result = match op {
        FieldOp::Add => left + right,
        FieldOp::Sub => left - right,
        FieldOp::Mul => left * right,
        FieldOp::Div => left / right,
        FieldOp::Mod => left % right,
        FieldOp::Pow => left.powf(right),
        _ => return None,
    };
    Some(Number::Float(result))
}

pub(crate) fn negative(number: Number) -> Number {
    match number {
        Number::Int(value) => Number::Int(value.wrapping_neg()),
        Number::Float(value) => Number::Float(-value),
        Number::Duration(value) => Number::Duration(value.wrapping_neg()),
    }
}

fn of_literals(op: FieldOp, left: &Literal, right: &Literal) -> Option<Literal> {
    let result = arithmetic(op, Number::of(left)?, Number::of(right)?)?;
    // What no query can write is computed when spans are looked at.
    result.as_float().is_finite().then(|| result.into_literal())
}

pub(crate) fn binary(op: FieldOp, left: FieldExpr, right: FieldExpr) -> FieldExpr {
    let folded = match (&left, &right) {
        (FieldExpr::Literal(left), FieldExpr::Literal(right)) => of_literals(op, left, right),
        _ => None,
    };
    folded.map_or_else(|| FieldExpr::binary(op, left, right), FieldExpr::Literal)
}

pub(crate) fn negate(inner: FieldExpr) -> FieldExpr {
    let number = match &inner {
        FieldExpr::Literal(literal) => Number::of(literal),
        _ => None,
    };
    match number {
        Some(number) => FieldExpr::Literal(negative(number).into_literal()),
        None => FieldExpr::Negate(Box::new(inner)),
    }
}

pub(crate) fn metrics(op: FieldOp, left: MetricExpr, right: MetricExpr) -> MetricExpr {
    let folded = match (&left, &right) {
        (MetricExpr::Number(left), MetricExpr::Number(right)) => of_literals(op, left, right),
        _ => None,
    };
    match folded {
        Some(number) => MetricExpr::Number(number),
        None => MetricExpr::Binary { op, left: Box::new(left), right: Box::new(right) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_whole() {
        use Number::{Duration, Float, Int};
        for (op, left, right, result) in [
            (FieldOp::Div, Int(10), Int(4), Some(Int(2))),
            (FieldOp::Div, Int(1), Int(0), None),
            (FieldOp::Mod, Int(-1), Int(2), Some(Int(-1))),
            (FieldOp::Div, Int(i64::MIN), Int(-1), Some(Int(i64::MIN))),
            (FieldOp::Pow, Int(2), Int(10), Some(Int(1024))),
            (FieldOp::Pow, Int(2), Int(-1), Some(Float(0.5))),
            (FieldOp::Pow, Int(2), Int(i64::MAX), Some(Float(f64::INFINITY))),
            (FieldOp::Div, Float(1.0), Int(0), Some(Float(f64::INFINITY))),
            (FieldOp::Mul, Duration(500), Int(2), Some(Duration(1000))),
            (FieldOp::Div, Duration(5), Int(10), Some(Float(0.5))),
            (FieldOp::Add, Duration(5), Duration(10), Some(Duration(15))),
        ] {
            assert_eq!(arithmetic(op, left, right), result, "{left:?} {op:?} {right:?}");
        }
    }
}
