//! Evaluation of a plan, node by node, over all steps at once.
//!
//! Selectors and window functions are streams (`stream`): an aggregation over one takes each series as
//! it is produced, so that the vector it aggregates never exists as a whole.

use super::describe::describe;
use super::plan::{Aggregate, Binary, Call, Node};
use crate::annotations::Notes;
use crate::error::QueryError;
use crate::function::{Argument, Body, Evaluation, Invocation, SelectorUse};
use crate::functions::{absent_labels, inverted_presence};
use crate::options::EngineOptions;
use crate::selector::{SampleTime, Selector};
use crate::storage::Storage;
use crate::value::Value;
use model::quote_go;
use query::DUPLICATES;
use query::aggregate::{Fold, Pick, count_values, note_bad_quantiles};
use query::mapping::{map_floats, mapped, mapped_to_floats};
use query::{
    AggregateOp, Control, Grid, Holding, SampleStats, Series, Trace, Weight, has_duplicates, merged,
};
use std::cell::{Cell, RefCell};

type Result<T> = std::result::Result<T, QueryError>;

pub(crate) struct Evaluator<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) options: &'a EngineOptions,
    pub(crate) control: &'a Control<'a>,
    pub(crate) holding: &'a Holding,
    pub(crate) notes: Notes,
    pub(crate) stats: RefCell<SampleStats>,
    pub(crate) trace: RefCell<Trace>,
    /// The steps at which samples are counted: those of the query itself, or of the subquery that is
    /// evaluated.
    pub(crate) stats_grid: Cell<Grid>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn evaluate(&self, node: &Node, grid: Grid) -> Result<Value> {
        self.control.check()?;
        let now = || self.control.now();
        self.trace.borrow_mut().enter(|| describe(node), now);
        let held = self.holding.held();
        let value = self.evaluate_node(node, grid).and_then(|value| {
            // The operands have been dropped.
            self.holding.settle(held + value.weight())?;
            Ok(value)
        });
        let (series, samples) = match &value {
            Ok(Value::Vector(series)) => {
                let samples = series.iter().map(|one| one.column.count()).sum::<usize>();
                (series.len(), samples)
            }
            Ok(Value::Scalar(values)) => (1, values.len()),
            _ => (0, 0),
        };
        self.trace.borrow_mut().leave(series as u64, samples as u64, now);
        value
    }

    fn evaluate_node(&self, node: &Node, grid: Grid) -> Result<Value> {
        match node {
            Node::Number(value) => Ok(Value::Scalar(vec![*value; grid.steps()])),
            Node::String(literal) => Ok(Value::String(literal.clone())),
            Node::Vector(_) => {
                let stream = self.stream(node, grid)?.expect("a selector is a stream");
                Ok(Value::Vector(self.collect(&stream, grid)?))
            }
            Node::Negate(inner) => self.negate(self.evaluate(inner, grid)?),
            Node::Positive(inner) => self.evaluate(inner, grid),
            Node::Binary(node) => self.binary(node, grid),
            Node::Call(call) => self.call(node, call, grid),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, grid),
            Node::Invariant(inner) => self.invariant(inner, grid),
            Node::Range(_) | Node::Subquery(_) => {
                unreachable!("ranges are arguments, and the whole query is handled apart")
            }
        }
    }

    pub(crate) fn vector(&self, node: &Node, grid: Grid) -> Result<Vec<Series>> {
        match self.evaluate(node, grid)? {
            Value::Vector(series) => Ok(series),
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    pub(crate) fn scalar(&self, node: &Node, grid: Grid) -> Result<Vec<f64>> {
        match self.evaluate(node, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => unreachable!("the checker has seen to the types"),
        }
    }

    fn invariant(&self, inner: &Node, grid: Grid) -> Result<Value> {
        let steps = grid.steps();
        Ok(match self.evaluate(inner, grid.first())? {
            Value::Scalar(values) => {
                Value::Scalar(values.first().map_or_else(Vec::new, |value| vec![*value; steps]))
            }
            Value::Vector(series) => {
                // Taken before the columns are made: one step may become thousands.
                let samples = series.len() * steps;
                self.holding.take(Weight { samples, bytes: samples * size_of::<f64>() })?;
                let repeated = series.into_iter().map(|mut one| {
                    one.column = one.column.repeated(steps);
                    one
                });
                let series: Vec<Series> = repeated.collect();
                Value::Vector(series)
            }
            string => string,
        })
    }

    fn negate(&self, value: Value) -> Result<Value> {
        let delayed = self.options.delayed_name_removal;
        match value {
            Value::Scalar(values) => Ok(Value::Scalar(values.iter().map(|value| -value).collect())),
            Value::Vector(mut series) => {
                for one in &mut series {
                    one.column = mapped(
                        &one.column,
                        |value| Some(-value),
                        |histogram| {
                            let mut negative = histogram.clone();
                            negative.scale(-1.0);
                            Some(negative)
                        },
                    );
                    one.lose_name(delayed);
                }
                self.renamed(series).map(Value::Vector)
            }
            Value::String(_) => unreachable!("the checker has seen to the types"),
        }
    }

    fn call(&self, node: &Node, call: &Call, grid: Grid) -> Result<Value> {
        match &call.function.body {
            Body::Window(_) => self.window_call(node, call, grid),
            Body::Map(map) => {
                let series = self.vector(&call.arguments[0], grid)?;
                self.map_vector(series, |value| Some(map(value)), |_| None)
            }
            Body::MapHistogram(map) => {
                let series = self.vector(&call.arguments[0], grid)?;
                self.map_vector(series, |_| None, |histogram| Some(map(histogram)))
            }
            Body::Columns(evaluate) => evaluate(Invocation {
                arguments: self.arguments(call, grid)?,
                position: call.position,
                grid,
                notes: &self.notes,
                options: self.options,
                holding: self.holding,
                evaluation: self,
            }),
            Body::Folded(_) => unreachable!("planning has replaced it"),
        }
    }

    fn arguments<'c>(&self, call: &'c Call, grid: Grid) -> Result<Vec<Argument<'c>>> {
        let arguments = call.arguments.iter().zip(&call.positions).enumerate();
        let arguments = arguments.map(|(index, (node, position))| {
            let selector = node.selector();
            let is_evaluated = match call.function.selectors {
                SelectorUse::Values => true,
                SelectorUse::SampleTimes => selector.is_none(),
                SelectorUse::StartTimes => false,
                SelectorUse::LabelMatchers => index != 1,
            };
            let value =
                if is_evaluated { self.evaluate(node, grid)? } else { Value::Vector(Vec::new()) };
            let first_shift = node.first_shift();
            Ok(Argument { value, selector, first_shift, position: *position })
        });
        arguments.collect()
    }

    fn window_call(&self, node: &Node, call: &Call, grid: Grid) -> Result<Value> {
        let stream = self.stream(node, grid)?.expect("a window function is a stream");
        let series = self.collect(&stream, grid)?;
        if is_inverted(node) {
            let labels = absent_labels(call.arguments[0].selector());
            let mut series = inverted_presence(&series, labels, grid.steps());
            // The labels are those of the selector; their name is dropped at the end at the earliest.
            series.iter_mut().for_each(|one| one.drop_name = self.options.delayed_name_removal);
            return Ok(Value::Vector(series));
        }
        if !self.options.delayed_name_removal && has_duplicates(&series) {
            return Err(QueryError::execution(DUPLICATES));
        }
        Ok(Value::Vector(series))
    }

    fn map_vector(
        &self,
        mut series: Vec<Series>,
        float: impl Fn(f64) -> Option<f64>,
        histogram: impl Fn(&model::FloatHistogram) -> Option<f64>,
    ) -> Result<Value> {
        for one in &mut series {
            if one.column.has_histograms() {
                one.column = mapped_to_floats(&one.column, &float, &histogram);
            } else {
                map_floats(&mut one.column, &float);
            }
            one.lose_name(self.options.delayed_name_removal);
        }
        series.retain(|one| !one.column.is_empty());
        self.renamed(series).map(Value::Vector)
    }

    // ── labels that may have become equal ──

    /// After names were dropped: series whose labels have become equal are merged; an error where two
    /// have a value at the same step.
    pub(crate) fn renamed(&self, series: Vec<Series>) -> Result<Vec<Series>> {
        if self.options.delayed_name_removal { Ok(series) } else { Ok(merged(series)?) }
    }

    // ── operators ──

    fn binary(&self, node: &Binary, grid: Grid) -> Result<Value> {
        let left = self.evaluate(&node.left, grid)?;
        let right = self.evaluate(&node.right, grid)?;
        let binary = query::Binary {
            op: node.op,
            return_bool: node.return_bool,
            matching: node.matching.as_ref(),
            position: node.position,
            delayed_names: self.options.delayed_name_removal,
            steps: grid.steps(),
            notes: &self.notes,
            control: self.control,
            holding: self.holding,
        };
        Ok(match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                Value::Scalar(binary.on_scalars(&left, &right)?)
            }
            (Value::Vector(left), Value::Scalar(right)) => {
                Value::Vector(binary.on_vector_and_scalar(left, &right, false)?)
            }
            (Value::Scalar(left), Value::Vector(right)) => {
                Value::Vector(binary.on_vector_and_scalar(right, &left, true)?)
            }
            (Value::Vector(left), Value::Vector(right)) => {
                Value::Vector(binary.on_vectors(left, right)?)
            }
            _ => unreachable!("the checker has seen to the types"),
        })
    }

    // ── aggregation ──

    fn pick<'p>(&'p self, aggregate: &'p Aggregate) -> Pick<'p> {
        Pick {
            op: aggregate.op,
            grouping: &aggregate.grouping,
            position: aggregate.position,
            parameter_position: aggregate.parameter_position,
            notes: &self.notes,
            control: self.control,
            holding: self.holding,
        }
    }

    fn aggregate(&self, aggregate: &Aggregate, grid: Grid) -> Result<Value> {
        let parameter = match &aggregate.parameter {
            Some(node) if aggregate.op != AggregateOp::CountValues => {
                Some(self.scalar(node, grid)?)
            }
            _ => None,
        };
        if aggregate.op == AggregateOp::CountValues {
            let label = value_label(aggregate)?;
            let series = self.vector(&aggregate.inner, grid)?;
            let (grouping, steps) = (&aggregate.grouping, grid.steps());
            let bounds = (self.control, self.holding);
            let counted = count_values(&series, &label, grouping, steps, bounds)?;
            return Ok(Value::Vector(counted));
        }
        let parameter = parameter.unwrap_or_default();
        if aggregate.op.selects() {
            let series = self.vector(&aggregate.inner, grid)?;
            return Ok(Value::Vector(self.pick(aggregate).of(series, &parameter)?));
        }
        if aggregate.op == AggregateOp::Quantile {
            note_bad_quantiles(&parameter, aggregate.parameter_position, &self.notes);
        }
        let folded = match self.stream(&aggregate.inner, grid)? {
            Some(stream) if !is_inverted(&aggregate.inner) => {
                self.fold_stream(aggregate, &stream, grid)?
            }
            _ => {
                let series = self.vector(&aggregate.inner, grid)?;
                let mut fold = new_fold(aggregate, grid);
                let mut portions = self.holding.portions();
                for one in &series {
                    fold.add(one, &self.notes, &mut portions)?;
                }
                fold
            }
        };
        let series = folded.finish(&parameter, &self.notes);
        Ok(Value::Vector(series))
    }
}

pub(super) fn new_fold(aggregate: &Aggregate, grid: Grid) -> Fold {
    Fold::new(aggregate.op, &aggregate.grouping, grid.steps(), aggregate.inner_position)
}

fn value_label(aggregate: &Aggregate) -> Result<String> {
    let Some(Node::String(literal)) = &aggregate.parameter else {
        unreachable!("the checker has seen to the types");
    };
    let name = literal.text();
    if !literal.is_text() || name.is_empty() {
        let quoted = quote_go(&literal.bytes);
        return Err(QueryError::execution(format!("invalid label name {quoted}")));
    }
    Ok(name)
}

fn is_inverted(node: &Node) -> bool {
    let Node::Call(call) = node else { return false };
    matches!(&call.function.body, Body::Window(window) if window.is_inverted)
}

impl Evaluation for Evaluator<'_> {
    fn check_in_turn(&self, turn: usize) -> Result<()> {
        Ok(self.control.check_in_turn(turn)?)
    }

    fn sample_times(
        &self,
        selector: &Selector,
        grid: Grid,
        times: SampleTime,
    ) -> Result<Vec<Series>> {
        self.select_times(selector, grid, times)
    }
}
