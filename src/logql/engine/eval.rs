//! Evaluation of a query of numbers, node by node, over all steps at once.

use super::range;
use super::range::Extremes;
use super::windows::Steps;
use super::{Context, Result};
use crate::ast::{
    BinaryExpr, LabelReplace, MetricExpr, RangeAggregation, RangeOp, VectorAggregation, VectorOp,
};
use crate::error::QueryError;
use model::{LABEL_LENGTH_MAX, Labels, ReplacePattern};
use query::aggregate::{Fold, Pick};
use query::mapping::map_floats;
use query::{
    AggregateOp, Binary, BinaryOp, Grouping, NoteSink, OperatorNote, Position, Series, StepColumn,
    Weight, merged,
};

#[derive(Debug)]
pub(super) enum Evaluated {
    /// The same at all steps.
    Scalar(f64),
    Vector(Vec<Series>),
}

/// LogQL knows no histograms, so that its operators have nothing to note.
struct NoNotes;

impl NoteSink for NoNotes {
    fn note(&self, _: OperatorNote, _: Position) {}
}

pub(super) fn evaluate(
    context: &Context<'_>,
    expr: &MetricExpr,
    steps: Steps,
) -> Result<Evaluated> {
    context.control.check()?;
    let held = context.holding.held();
    let evaluated = match expr {
        MetricExpr::Number(number) => Evaluated::Scalar(number.value),
        MetricExpr::Vector(number) => Evaluated::Vector(constant(number.value, steps)),
        MetricExpr::Range(aggregation) => {
            Evaluated::Vector(range::series(context, aggregation, steps, None)?)
        }
        MetricExpr::Aggregate(aggregate) => {
            Evaluated::Vector(aggregated(context, aggregate, steps)?)
        }
        MetricExpr::Binary(node) => binary(context, node, steps)?,
        MetricExpr::LabelReplace(replace) => {
            Evaluated::Vector(label_replace(context, replace, steps)?)
        }
    };
    // The operands have been dropped.
    context.holding.settle(held + evaluated.weight())?;
    Ok(evaluated)
}

impl Evaluated {
    fn weight(&self) -> Weight {
        match self {
            Self::Scalar(_) => Weight::default(),
            Self::Vector(series) => series.iter().map(Series::weight).sum(),
        }
    }
}

/// A series without labels.
fn constant(value: f64, steps: Steps) -> Vec<Series> {
    vec![Series::new(Labels::empty(), StepColumn::from_values(vec![value; steps.count]))]
}

fn vector(context: &Context<'_>, expr: &MetricExpr, steps: Steps) -> Result<Vec<Series>> {
    Ok(match evaluate(context, expr, steps)? {
        Evaluated::Scalar(value) => constant(value, steps),
        Evaluated::Vector(series) => series,
    })
}

/// Whether an instant query's series come in an order of their own.
pub(super) fn defines_order(expr: &MetricExpr) -> bool {
    matches!(expr, MetricExpr::Aggregate(aggregate) if matches!(
        aggregate.op,
        VectorOp::Sort | VectorOp::SortDesc | VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk
    ))
}

// ── aggregation ──

fn aggregated(
    context: &Context<'_>,
    aggregate: &VectorAggregation,
    steps: Steps,
) -> Result<Vec<Series>> {
    let op = match aggregate.op {
        VectorOp::Sum => AggregateOp::Sum,
        VectorOp::Avg => AggregateOp::Avg,
        VectorOp::Count => AggregateOp::Count,
        VectorOp::Max => AggregateOp::Max,
        VectorOp::Min => AggregateOp::Min,
        VectorOp::Stddev => AggregateOp::Stddev,
        VectorOp::Stdvar => AggregateOp::Stdvar,
        VectorOp::Topk => return picked(context, aggregate, steps, AggregateOp::Topk),
        VectorOp::Bottomk => return picked(context, aggregate, steps, AggregateOp::Bottomk),
        VectorOp::ApproxTopk if steps.count > 1 => {
            let message = "approx_topk is only supported for instant queries: use topk";
            return Err(QueryError::Invalid(message.to_owned()));
        }
        // What is exact is an approximation too.
        VectorOp::ApproxTopk => return picked(context, aggregate, steps, AggregateOp::Topk),
        VectorOp::Sort | VectorOp::SortDesc => return in_order(context, aggregate, steps),
    };
    let grouping = aggregate.grouping.clone().unwrap_or_default();
    if let MetricExpr::Range(inner) = &aggregate.inner
        && folds_into(aggregate.op, inner)
    {
        return range::series(context, inner, steps, Some(&grouping));
    }
    if aggregate.op == VectorOp::Count
        && let Some(series) = count_of_series(context, aggregate, &grouping, steps)?
    {
        return Ok(series);
    }
    let series = vector(context, &aggregate.inner, steps)?;
    let mut fold = Fold::new(op, &grouping, steps.count, aggregate.position);
    let mut portions = context.holding.portions();
    for (turn, one) in series.iter().enumerate() {
        context.control.check_in_turn(turn)?;
        fold.add(one, &NoNotes, &mut portions)?;
    }
    Ok(fold.finish(&[], &NoNotes))
}

/// How many series there are, where they are counted together and lines can be counted without making
/// them: `count(sum by (user) (count_over_time({app="web"}[1h])))`.
fn count_of_series(
    context: &Context<'_>,
    aggregate: &VectorAggregation,
    grouping: &Grouping,
    steps: Steps,
) -> Result<Option<Vec<Series>>> {
    if grouping.without || !grouping.labels.is_empty() {
        return Ok(None);
    }
    match counted(&aggregate.inner) {
        Some((range, folded)) => range::count_of_series(context, range, steps, folded.as_ref()),
        None => Ok(None),
    }
}

/// Whether the aggregation of series is that of their lines: the sum of counts is a count.
fn folds_into(op: VectorOp, inner: &RangeAggregation) -> bool {
    inner.grouping.is_none()
        && match op {
            VectorOp::Sum => matches!(
                inner.op,
                RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum
            ),
            VectorOp::Max => inner.op == RangeOp::Max,
            VectorOp::Min => inner.op == RangeOp::Min,
            _ => false,
        }
}

fn picked(
    context: &Context<'_>,
    aggregate: &VectorAggregation,
    steps: Steps,
    op: AggregateOp,
) -> Result<Vec<Series>> {
    let grouping: Grouping = aggregate.grouping.clone().unwrap_or_default();
    let count = aggregate.parameter.unwrap_or(1).min(u32::MAX as usize);
    let series = match extremes(context, aggregate, (op, count), steps)? {
        Some(series) => series,
        None => vector(context, &aggregate.inner, steps)?,
    };
    let pick = Pick {
        op,
        grouping: &grouping,
        position: aggregate.position,
        parameter_position: aggregate.position,
        notes: &NoNotes,
        control: context.control,
        holding: context.holding,
    };
    Ok(pick.of(series, &vec![count as f64; steps.count])?)
}

/// The series that can be among the largest or smallest ones, where lines can be counted without making
/// all: `topk(10, sum by (user) (count_over_time({app="web"}[1h])))`.
fn extremes(
    context: &Context<'_>,
    aggregate: &VectorAggregation,
    (op, count): (AggregateOp, usize),
    steps: Steps,
) -> Result<Option<Vec<Series>>> {
    if aggregate.grouping.is_some() || steps.count != 1 {
        return Ok(None);
    }
    let extremes = Extremes { count, largest: op == AggregateOp::Topk };
    let Some((range, folded)) = counted(&aggregate.inner) else { return Ok(None) };
    range::extreme_series(context, range, steps, folded.as_ref(), extremes).map(Some)
}

/// The window function that an expression is, and the aggregation that is folded into it.
fn counted(expr: &MetricExpr) -> Option<(&RangeAggregation, Option<Grouping>)> {
    match expr {
        MetricExpr::Range(range) => Some((range, None)),
        MetricExpr::Aggregate(inner) => match &inner.inner {
            MetricExpr::Range(range) if folds_into(inner.op, range) => {
                Some((range, Some(inner.grouping.clone().unwrap_or_default())))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Only the series of an instant query have an order.
fn in_order(
    context: &Context<'_>,
    aggregate: &VectorAggregation,
    steps: Steps,
) -> Result<Vec<Series>> {
    let mut series = vector(context, &aggregate.inner, steps)?;
    if steps.count != 1 {
        return Ok(series);
    }
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    let value = |one: &Series| one.column.float(0).unwrap_or(f64::NAN);
    let descending = aggregate.op == VectorOp::SortDesc;
    series.sort_by(|left, right| {
        let (left, right) = (value(left), value(right));
        // NaN comes last in both orders.
        let by_nan = left.is_nan().cmp(&right.is_nan());
        let by_value = if descending { right.partial_cmp(&left) } else { left.partial_cmp(&right) };
        by_nan.then(by_value.unwrap_or(std::cmp::Ordering::Equal))
    });
    Ok(series)
}

// ── operators ──

fn binary(context: &Context<'_>, node: &BinaryExpr, steps: Steps) -> Result<Evaluated> {
    let left = evaluate(context, &node.left, steps)?;
    let mut right = evaluate(context, &node.right, steps)?;
    if matches!(node.op, BinaryOp::Div | BinaryOp::Mod) {
        zeros_to_nan(&mut right);
    }
    let binary = Binary {
        op: node.op,
        return_bool: node.return_bool,
        matching: Some(&node.matching),
        position: node.position,
        delayed_names: false,
        steps: steps.count,
        notes: &NoNotes,
        control: context.control,
        holding: context.holding,
    };
    let repeated = |value: f64| vec![value; steps.count];
    Ok(match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let result = binary.on_scalars(&[left], &[right])?;
            Evaluated::Scalar(result.first().copied().unwrap_or(f64::NAN))
        }
        (Evaluated::Vector(left), Evaluated::Scalar(right)) => {
            Evaluated::Vector(binary.on_vector_and_scalar(left, &repeated(right), false)?)
        }
        (Evaluated::Scalar(left), Evaluated::Vector(right)) => {
            Evaluated::Vector(binary.on_vector_and_scalar(right, &repeated(left), true)?)
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => {
            Evaluated::Vector(binary.on_vectors(left, right)?)
        }
    })
}

/// A division by zero is NaN in LogQL, and so is a remainder; by NaN they are NaN as well.
fn zeros_to_nan(right: &mut Evaluated) {
    let or_nan = |value: f64| if value == 0.0 { f64::NAN } else { value };
    match right {
        Evaluated::Scalar(value) => *value = or_nan(*value),
        Evaluated::Vector(series) => {
            for one in series {
                map_floats(&mut one.column, |value| Some(or_nan(value)));
            }
        }
    }
}

// ── labels ──

fn label_replace(
    context: &Context<'_>,
    replace: &LabelReplace,
    steps: Steps,
) -> Result<Vec<Series>> {
    let mut series = vector(context, &replace.inner, steps)?;
    let regex = ReplacePattern::new(&replace.regex).map_err(QueryError::Invalid)?;
    let mut portions = context.holding.portions();
    for (turn, one) in series.iter_mut().enumerate() {
        context.control.check_in_turn(turn)?;
        let value = one.labels.value(&replace.source);
        let Some(value) = regex.replace(value, &replace.replacement, LABEL_LENGTH_MAX) else {
            continue;
        };
        let value = value.map_err(|_| too_long(&replace.destination))?;
        let length = one.labels.length_with(&replace.destination, value.len());
        one.labels = portions.labels(length, || one.labels.with(&replace.destination, &value))?;
    }
    Ok(merged(series)?)
}

fn too_long(name: &str) -> QueryError {
    QueryError::Invalid(format!(
        "value of label {name} is longer than {LABEL_LENGTH_MAX} bytes: replace with less"
    ))
}
