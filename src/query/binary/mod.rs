//! Binary operators: between numbers, between a vector and a number, between two vectors.

mod sets;
mod vectors;

use crate::column::{Slot, StepColumn};
use crate::control::Control;
use crate::error::QueryError;
use crate::holding::Holding;
use crate::notes::{Combining, NoteSink, OperatorNote};
use crate::operators::{BinaryOp, VectorMatching};
use crate::position::Position;
use crate::series::{Series, merged};
use model::{CombineNotes, FloatHistogram, ResetHint, quote_go};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

/// A binary operator at its place in a query.
#[derive(Clone, Copy)]
pub struct Binary<'a> {
    pub op: BinaryOp,
    /// A comparison answers 0 or 1 instead of keeping what it holds for.
    pub return_bool: bool,
    /// Between vectors only.
    pub matching: Option<&'a VectorMatching>,
    pub position: Position,
    /// Names are dropped at the end of the query rather than by every operator.
    pub delayed_names: bool,
    pub steps: usize,
    pub notes: &'a dyn NoteSink,
    pub control: &'a Control<'a>,
    pub holding: &'a Holding,
}

impl std::fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binary").field("op", &self.op).field("position", &self.position).finish()
    }
}

impl Binary<'_> {
    pub fn on_scalars(&self, left: &[f64], right: &[f64]) -> Result<Vec<f64>> {
        if trims(self.op) {
            let op = quote_go(self.op.as_str().as_bytes());
            let message = format!("operator {op} not allowed for Scalar operations");
            return Err(QueryError::Execution(message));
        }
        let pairs = left.iter().zip(right);
        Ok(pairs.map(|(left, right)| on_scalars(self.op, *left, *right)).collect())
    }

    pub fn on_vectors(&self, left: Vec<Series>, right: Vec<Series>) -> Result<Vec<Series>> {
        if self.op.is_set() {
            sets::evaluate(self, left, right)
        } else {
            vectors::evaluate(self, left, right)
        }
    }

    /// `swapped`: the number stands on the left.
    pub fn on_vector_and_scalar(
        &self,
        mut series: Vec<Series>,
        scalar: &[f64],
        swapped: bool,
    ) -> Result<Vec<Series>> {
        let plain = self.op.changes_meaning();
        for one in &mut series {
            if plain && !one.column.has_histograms() {
                for (value, number) in one.column.raw_values_mut().iter_mut().zip(scalar) {
                    let (left, right) = if swapped { (*number, *value) } else { (*value, *number) };
                    *value = on_numbers(self.op, left, right);
                }
            } else {
                one.column = self.with_scalar_slots(&one.column, scalar, swapped);
            }
            if plain || self.return_bool {
                one.lose_name(self.delayed_names);
            }
        }
        series.retain(|one| !one.column.is_empty());
        if self.delayed_names { Ok(series) } else { merged(series) }
    }

    fn with_scalar_slots(&self, column: &StepColumn, scalar: &[f64], swapped: bool) -> StepColumn {
        let mut out = StepColumn::new(column.steps());
        for (step, slot) in column.iter() {
            let (vector, number) = (Operand::from(slot), Operand::Float(scalar[step]));
            let (left, right) = if swapped { (&number, &vector) } else { (&vector, &number) };
            let Some(outcome) = self.apply(left, right) else {
                continue;
            };
            if self.return_bool {
                out.set_float(step, f64::from(u8::from(outcome.keep)));
            } else if outcome.keep && self.op.is_comparison() {
                // A comparison keeps what the vector has, on whichever side it stands.
                out.set(step, slot);
            } else if outcome.keep {
                put(&mut out, step, outcome.value);
            }
        }
        out
    }

    fn matching(&self) -> &VectorMatching {
        self.matching.expect("an operator between vectors has a matching")
    }
}

/// Arithmetic; for comparisons the left value, which is what they keep.
#[inline]
pub fn on_numbers(op: BinaryOp, left: f64, right: f64) -> f64 {
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

/// Whether the operator cuts buckets off histograms; it does nothing else.
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

impl Binary<'_> {
    /// `None` where the operands do not go together, which has been noted.
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
        let note = OperatorNote::incompatible_types(left.kind(), self.op, right.kind());
        self.notes.note(note, self.position);
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
            let note = OperatorNote::IncompatibleBuckets(self.op.as_str());
            self.notes.note(note, self.position);
            return None;
        };
        if reset_collision {
            self.notes.note(OperatorNote::ResetCollision(how), self.position);
        }
        if bounds_reconciled {
            self.notes.note(OperatorNote::BoundsReconciled(how), self.position);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CancelFlag, Cardinality, HoldingLimits};
    use model::Labels;
    use platform::sim::SimClock;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Noted(RefCell<Vec<OperatorNote>>);

    impl NoteSink for Noted {
        fn note(&self, note: OperatorNote, _: Position) {
            self.0.borrow_mut().push(note);
        }
    }

    fn series(pairs: &[(&str, &str)], values: &[f64]) -> Series {
        let labels = Labels::from_pairs(pairs.iter().copied());
        Series::new(labels, StepColumn::from_values(values.to_vec()))
    }

    type Found = Vec<(String, Vec<f64>)>;

    fn on_vectors(
        op: BinaryOp,
        matching: &VectorMatching,
        left: &[Series],
        right: &[Series],
    ) -> Result<Found> {
        on_vectors_within(usize::MAX, op, matching, (left, right))
    }

    fn on_vectors_within(
        bytes: usize,
        op: BinaryOp,
        matching: &VectorMatching,
        (left, right): (&[Series], &[Series]),
    ) -> Result<Found> {
        let (clock, notes) = (SimClock::new(), Noted::default());
        let control = Control::new(&clock, None, CancelFlag::new());
        let limits = HoldingLimits {
            samples: usize::MAX,
            bytes,
            bytes_setting: "a.setting",
            bytes_advice: "less",
        };
        let holding = Holding::new(limits, None);
        let binary = Binary {
            op,
            return_bool: false,
            matching: Some(matching),
            position: Position::default(),
            delayed_names: false,
            steps: 2,
            notes: &notes,
            control: &control,
            holding: &holding,
        };
        let result = binary.on_vectors(left.to_vec(), right.to_vec())?;
        assert!(notes.0.into_inner().is_empty());
        let values = |one: &Series| (0..2).filter_map(|step| one.column.float(step)).collect();
        Ok(result.iter().map(|one| (one.labels.to_string(), values(one))).collect())
    }

    #[test]
    fn many_series_meet_the_one_of_their_group() {
        let matching = VectorMatching {
            cardinality: Cardinality::ManyToOne,
            labels: vec!["app".to_owned()],
            on: true,
            include: vec!["team".to_owned()],
            ..VectorMatching::default()
        };
        let left = [
            series(&[("app", "a"), ("level", "error")], &[1.0, 2.0]),
            series(&[("app", "a"), ("level", "warn")], &[3.0, 4.0]),
            series(&[("app", "b"), ("level", "warn")], &[5.0, 6.0]),
        ];
        let right = [series(&[("app", "a"), ("team", "x")], &[10.0, 20.0])];
        let found = on_vectors(BinaryOp::Div, &matching, &left, &right).unwrap();
        let labels = |level: &str| format!("{{app=\"a\", level=\"{level}\", team=\"x\"}}");
        assert_eq!(found, [(labels("error"), vec![0.1, 0.1]), (labels("warn"), vec![0.3, 0.2])]);
        let swapped = on_vectors(BinaryOp::Div, &matching, &right, &left).unwrap_err();
        assert!(swapped.to_string().starts_with("found duplicate series"), "{swapped}");
    }

    /// A thousand series take over one long label.
    #[test]
    fn labels_that_are_taken_over_count() {
        let matching = VectorMatching {
            cardinality: Cardinality::ManyToOne,
            on: true,
            include: vec!["long".to_owned()],
            ..VectorMatching::default()
        };
        let named = |number: usize| series(&[("n", &number.to_string())], &[1.0, 2.0]);
        let many: Vec<Series> = (0..1_000).map(named).collect();
        let one = [series(&[("long", &"x".repeat(10_000))], &[1.0, 1.0])];
        let within = |bytes| on_vectors_within(bytes, BinaryOp::Mul, &matching, (&many, &one));
        assert_eq!(within(16 << 20).unwrap().len(), 1_000);
        let refused = within(4 << 20).unwrap_err();
        assert!(matches!(refused, QueryError::TooMuchMemory { .. }), "{refused}");
    }

    #[test]
    fn sets_look_at_the_other_side() {
        let matching =
            VectorMatching { cardinality: Cardinality::ManyToMany, ..VectorMatching::default() };
        let (one, two) = ([("n", "1")], [("n", "2")]);
        let left = [series(&one, &[1.0, 1.0]), series(&two, &[2.0, 2.0])];
        let right = [series(&two, &[9.0, 9.0])];
        let named = |op| on_vectors(op, &matching, &left, &right).unwrap();
        assert_eq!(named(BinaryOp::And), [("{n=\"2\"}".to_owned(), vec![2.0, 2.0])]);
        assert_eq!(named(BinaryOp::Unless), [("{n=\"1\"}".to_owned(), vec![1.0, 1.0])]);
        assert_eq!(named(BinaryOp::Or).len(), 2);
    }
}
