//! Binary operators: between numbers, between a vector and a number, between two vectors.

mod sets;
mod vectors;

use super::column::{Series, Slot, StepColumn};
use super::eval::{Evaluator, Value};
use super::grid::Grid;
use super::plan::Binary;
use crate::annotations::{Combining, Note, Notes};
use crate::ast::BinaryOp;
use crate::error::QueryError;
use crate::position::Position;
use model::{CombineNotes, FloatHistogram, ResetHint, quote_go};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

pub(crate) fn evaluate(ev: &Evaluator<'_>, node: &Binary, grid: Grid) -> Result<Value> {
    let left = ev.evaluate(&node.left, grid)?;
    let right = ev.evaluate(&node.right, grid)?;
    let operation = Operation { op: node.op, position: node.position, notes: &ev.notes };
    match (left, right) {
        (Value::Scalar(_), Value::Scalar(_)) if trims(node.op) => {
            let op = quote_go(node.op.as_str().as_bytes());
            let message = format!("operator {op} not allowed for Scalar operations");
            Err(QueryError::Execution(message))
        }
        (Value::Scalar(left), Value::Scalar(right)) => {
            let pairs = left.iter().zip(&right);
            let values = pairs.map(|(left, right)| on_scalars(node.op, *left, *right));
            Ok(Value::Scalar(values.collect()))
        }
        (Value::Vector(left), Value::Scalar(right)) => {
            with_scalar(ev, node, &operation, left, &right, false)
        }
        (Value::Scalar(left), Value::Vector(right)) => {
            with_scalar(ev, node, &operation, right, &left, true)
        }
        (Value::Vector(left), Value::Vector(right)) if node.op.is_set() => {
            sets::evaluate(node, left, right, grid).map(Value::Vector)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            vectors::evaluate(ev, node, &operation, left, right, grid).map(Value::Vector)
        }
        _ => unreachable!("the checker has seen to the types"),
    }
}

/// Arithmetic; for comparisons the left value, which is what they keep.
#[inline]
pub(crate) fn on_numbers(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => left,
    }
}

/// Whether it cuts buckets off histograms, which is all it can do.
fn trims(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

#[inline]
fn holds(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Eq => left == right,
        BinaryOp::Ne => left != right,
        BinaryOp::Gt => left > right,
        BinaryOp::Lt => left < right,
        BinaryOp::Ge => left >= right,
        BinaryOp::Le => left <= right,
        _ => true,
    }
}

fn on_scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    if op.is_comparison() {
        f64::from(u8::from(holds(op, left, right)))
    } else {
        on_numbers(op, left, right)
    }
}

/// One operator at one place of the query.
struct Operation<'a> {
    op: BinaryOp,
    position: Position,
    notes: &'a Notes,
}

enum Operand<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

impl<'a> From<Slot<'a>> for Operand<'a> {
    fn from(slot: Slot<'a>) -> Self {
        match slot {
            Slot::Float(value) => Self::Float(value),
            Slot::Histogram(histogram) => Self::Histogram(histogram),
        }
    }
}

impl Operand<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A value, and whether a comparison held (always, for arithmetic).
struct Outcome {
    value: OutcomeValue,
    keep: bool,
}

enum OutcomeValue {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

impl Outcome {
    fn histogram(histogram: FloatHistogram) -> Self {
        Self { value: OutcomeValue::Histogram(Box::new(histogram)), keep: true }
    }
}

impl Operation<'_> {
    /// `None`: the operands don't go together, which has been noted.
    fn apply(&self, left: &Operand<'_>, right: &Operand<'_>) -> Option<Outcome> {
        use BinaryOp::{Add, Div, Eq, Mul, Ne, Sub, TrimLower, TrimUpper};
        use Operand::{Float, Histogram};
        match (left, right, self.op) {
            (Float(_), Float(_), TrimLower | TrimUpper) => self.incompatible(left, right),
            (Float(left), Float(right), op) => {
                let value = OutcomeValue::Float(on_numbers(op, *left, *right));
                Some(Outcome { value, keep: holds(op, *left, *right) })
            }
            (Float(factor), Histogram(histogram), Mul)
            | (Histogram(histogram), Float(factor), Mul) => {
                Some(Outcome::histogram(changed(histogram, |it| {
                    it.scale(*factor);
                })))
            }
            (Histogram(histogram), Float(divisor), Div) => {
                Some(Outcome::histogram(changed(histogram, |it| {
                    it.divide(*divisor);
                })))
            }
            (Histogram(histogram), Float(limit), TrimUpper) => {
                Some(Outcome::histogram(histogram.trimmed_above(*limit)))
            }
            (Histogram(histogram), Float(limit), TrimLower) => {
                Some(Outcome::histogram(histogram.trimmed_below(*limit)))
            }
            (Histogram(left), Histogram(right), Add) => {
                self.combine(left, right, Combining::Addition)
            }
            (Histogram(left), Histogram(right), Sub) => {
                self.combine(left, right, Combining::Subtraction)
            }
            (Histogram(left), Histogram(right), Eq | Ne) => {
                let keep = left.same_as(right) == (self.op == Eq);
                let value = OutcomeValue::Histogram(Box::new((*left).clone()));
                Some(Outcome { value, keep })
            }
            _ => self.incompatible(left, right),
        }
    }

    fn incompatible(&self, left: &Operand<'_>, right: &Operand<'_>) -> Option<Outcome> {
        let note = Note::incompatible_types(left.kind(), self.op, right.kind());
        self.notes.add(note, self.position);
        None
    }

    fn combine(
        &self,
        left: &FloatHistogram,
        right: &FloatHistogram,
        how: Combining,
    ) -> Option<Outcome> {
        let mut result = left.clone();
        let done = match how {
            Combining::Subtraction => result.subtract(right),
            Combining::Addition | Combining::Aggregation => result.add(right),
        };
        let Ok(CombineNotes { reset_collision, bounds_reconciled }) = done else {
            let note = Note::IncompatibleBuckets(self.op.as_str());
            self.notes.add(note, self.position);
            return None;
        };
        if reset_collision {
            self.notes.add(Note::ResetCollision(how), self.position);
        }
        if bounds_reconciled {
            self.notes.add(Note::BoundsReconciled(how), self.position);
        }
        if how == Combining::Subtraction {
            result.reset_hint = ResetHint::Gauge;
        }
        result.compact();
        Some(Outcome::histogram(result))
    }
}

fn changed(histogram: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> FloatHistogram {
    let mut result = histogram.clone();
    change(&mut result);
    result.compact();
    result
}

fn put(column: &mut StepColumn, step: usize, value: OutcomeValue) {
    match value {
        OutcomeValue::Float(value) => column.set_float(step, value),
        OutcomeValue::Histogram(histogram) => column.set_histogram(step, Arc::new(*histogram)),
    }
}

/// `swapped`: the number stands on the left.
fn with_scalar(
    ev: &Evaluator<'_>,
    node: &Binary,
    operation: &Operation<'_>,
    mut series: Vec<Series>,
    scalar: &[f64],
    swapped: bool,
) -> Result<Value> {
    let plain = node.op.changes_meaning();
    for one in &mut series {
        if plain && !one.column.has_histograms() {
            for (value, number) in one.column.raw_values_mut().iter_mut().zip(scalar) {
                let (left, right) = if swapped { (*number, *value) } else { (*value, *number) };
                *value = on_numbers(node.op, left, right);
            }
        } else {
            one.column = with_scalar_slots(node, operation, &one.column, scalar, swapped);
        }
        if plain || node.return_bool {
            one.lose_name(ev.options.delayed_name_removal);
        }
    }
    series.retain(|one| !one.column.is_empty());
    ev.renamed(series).map(Value::Vector)
}

fn with_scalar_slots(
    node: &Binary,
    operation: &Operation<'_>,
    column: &StepColumn,
    scalar: &[f64],
    swapped: bool,
) -> StepColumn {
    let mut out = StepColumn::new(column.steps());
    for (step, slot) in column.iter() {
        let (vector, number) = (Operand::from(slot), Operand::Float(scalar[step]));
        let (left, right) = if swapped { (&number, &vector) } else { (&vector, &number) };
        let Some(outcome) = operation.apply(left, right) else {
            continue;
        };
        if node.return_bool {
            out.set_float(step, f64::from(u8::from(outcome.keep)));
        } else if outcome.keep && node.op.is_comparison() {
            // A comparison keeps what the vector has, wherever it stands.
            out.set(step, slot);
        } else if outcome.keep {
            put(&mut out, step, outcome.value);
        }
    }
    out
}
