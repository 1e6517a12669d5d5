//! A pipeline compiled for a query, and what it makes of the spans of a piece.
//!
//! A set of spans belongs to one trace. As long as there is one set for each trace and nothing is known of
//! it but its spans, all sets together are rows of the piece ([`Sets::Rows`]); `by` and aggregates make a
//! list of sets.

use super::Result;
use super::condition::{Condition, Scalar};
use super::sets::{self, SpanSet};
use super::tree::related;
use super::view::View;
use crate::ast::{Aggregate, AggregateOp, FieldOp, Pipeline, SpanExpr, SpanOp, Stage};
use crate::attribute::Attribute;
use crate::value::FieldValue;
use query::{RegexBudget, TooManyRegexes};
use trace_store::RowSet;

type Compiled<T> = std::result::Result<T, TooManyRegexes>;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Spans(SpanPlan),
    Aggregate(AggregatePlan),
    /// The value, and how answers call it.
    By(Scalar, String),
    Coalesce,
    Select(Vec<Attribute>),
}

#[derive(Clone, Debug)]
enum SpanPlan {
    Filter(Condition),
    Binary(SpanOp, Box<SpanPlan>, Box<SpanPlan>),
    Pipeline(Plan),
}

#[derive(Clone, Debug)]
pub(crate) struct AggregatePlan {
    /// `None`: spans are counted.
    pub(crate) of: Option<(AggregateOp, Scalar)>,
    pub(crate) op: FieldOp,
    pub(crate) value: FieldValue,
    /// How answers call it.
    pub(crate) name: String,
}

/// The spans that stages let through, as sets.
#[derive(Debug)]
pub(crate) enum Sets {
    Rows(RowSet),
    /// In the order of their traces.
    List(Vec<SpanSet>),
}

impl Sets {
    /// The spans of all sets.
    pub(crate) fn into_rows(self, rows: usize) -> RowSet {
        match self {
            Self::Rows(found) => found,
            Self::List(list) => {
                let mut found = RowSet::none(rows);
                list.iter().flat_map(|set| &set.rows).for_each(|row| found.insert(*row as usize));
                found
            }
        }
    }
}

/// Which attributes of spans an answer shows.
#[derive(Debug)]
pub(crate) struct Shown<'c> {
    /// Of spans for which the test holds, or of all.
    pub(crate) attributes: Vec<(&'c Attribute, Vec<&'c super::test::Test>)>,
}

impl Plan {
    pub(crate) fn new(pipeline: &Pipeline, regexes: &mut RegexBudget) -> Compiled<Self> {
        let steps = pipeline.stages.iter().map(|stage| Step::new(stage, regexes));
        let mut plan = Self { steps: steps.collect::<Compiled<_>>()? };
        plan.relax();
        Ok(plan)
    }

    /// Numbers of an attribute whose values a later stage computes with are compared whatever their type.
    fn relax(&mut self) {
        let computed = self.steps.iter().filter_map(|step| match step {
            Step::By(scalar, _) | Step::Aggregate(AggregatePlan { of: Some((_, scalar)), .. }) => {
                Some(scalar.clone())
            }
            _ => None,
        });
        for scalar in computed.collect::<Vec<_>>() {
            scalar.each_attribute(&mut |attribute| {
                self.steps.iter_mut().for_each(|step| step.relax(attribute));
            });
        }
    }

    /// Whether it lets every span through.
    pub(crate) fn takes_all(&self) -> bool {
        let all = |step: &Step| {
            matches!(
                step,
                Step::Spans(SpanPlan::Filter(Condition::Constant(true))) | Step::Select(_)
            )
        };
        self.steps.iter().all(all)
    }

    /// The condition that alone decides which spans are let through.
    pub(crate) fn only_condition(&self) -> Option<&Condition> {
        let mut steps = self.steps.iter().filter(|step| !matches!(step, Step::Select(_)));
        match (steps.next(), steps.next()) {
            (Some(Step::Spans(SpanPlan::Filter(condition))), None) => Some(condition),
            _ => None,
        }
    }

    /// The only trace that can fulfil it, where it names one.
    pub(crate) fn trace_id(&self) -> Option<[u8; 16]> {
        match self.steps.first()? {
            Step::Spans(SpanPlan::Filter(condition)) => condition.trace_id(),
            _ => None,
        }
    }

    pub(crate) fn sets(&self, view: &View<'_>, input: RowSet) -> Result<Sets> {
        let mut sets = Sets::Rows(input);
        for step in &self.steps {
            sets = step.apply(view, sets)?;
        }
        Ok(sets)
    }

    pub(crate) fn shown(&self) -> Shown<'_> {
        let mut shown = Shown { attributes: Vec::new() };
        self.collect(&mut shown);
        shown
    }

    fn collect<'c>(&'c self, shown: &mut Shown<'c>) {
        for step in &self.steps {
            match step {
                Step::Spans(spans) => spans.collect(shown),
                Step::By(scalar, _) => scalar.each_attribute(&mut |found| shown.add(found, None)),
                Step::Aggregate(AggregatePlan { of: Some((_, scalar)), .. }) => {
                    scalar.each_attribute(&mut |found| shown.add(found, None));
                }
                Step::Select(selected) => {
                    selected.iter().for_each(|attribute| shown.add(attribute, None));
                }
                Step::Aggregate(_) | Step::Coalesce => {}
            }
        }
    }
}

impl<'c> Shown<'c> {
    fn add(&mut self, attribute: &'c Attribute, test: Option<&'c super::test::Test>) {
        let known = self.attributes.iter_mut().find(|(known, _)| known.is_same(attribute));
        match (known, test) {
            (Some((_, tests)), Some(test)) if !tests.is_empty() => tests.push(test),
            (Some((_, tests)), None) => tests.clear(),
            (Some(_), Some(_)) => {}
            (None, test) => self.attributes.push((attribute, test.into_iter().collect())),
        }
    }
}

impl Step {
    fn new(stage: &Stage, regexes: &mut RegexBudget) -> Compiled<Self> {
        Ok(match stage {
            Stage::Spans(expr) => Self::Spans(SpanPlan::new(expr, regexes)?),
            Stage::Aggregate(filter) => {
                let of = match &filter.aggregate {
                    Aggregate::Count => None,
                    Aggregate::Of(op, expr) => Some((*op, Scalar::new(expr, regexes)?)),
                };
                let value = FieldValue::from(&filter.value);
                let name = filter.aggregate.to_string();
                Self::Aggregate(AggregatePlan { of, op: filter.op, value, name })
            }
            Stage::By(expr) => Self::By(Scalar::new(expr, regexes)?, format!("by({expr})")),
            Stage::Coalesce => Self::Coalesce,
            Stage::Select(attributes) => Self::Select(attributes.clone()),
        })
    }

    fn relax(&mut self, attribute: &Attribute) {
        if let Self::Spans(plan) = self {
            plan.relax(attribute);
        }
    }

    fn apply(&self, view: &View<'_>, sets: Sets) -> Result<Sets> {
        Ok(match self {
            Self::Spans(plan) => match sets {
                Sets::Rows(input) => Sets::Rows(plan.rows(view, &input)?),
                Sets::List(list) => {
                    let input = Sets::List(list.clone()).into_rows(view.rows);
                    let found = plan.rows(view, &input)?;
                    Sets::List(sets::within(list, &found))
                }
            },
            Self::Aggregate(plan) => {
                Sets::List(sets::aggregate(plan, view, sets::list(view, sets))?)
            }
            Self::By(scalar, name) => {
                Sets::List(sets::by(scalar, name, view, sets::list(view, sets))?)
            }
            Self::Coalesce => Sets::Rows(sets.into_rows(view.rows)),
            Self::Select(_) => sets,
        })
    }
}

impl SpanPlan {
    fn new(expr: &SpanExpr, regexes: &mut RegexBudget) -> Compiled<Self> {
        Ok(match expr {
            SpanExpr::Filter(filter) => {
                Self::Filter(Condition::of_filter(filter.as_ref(), regexes)?)
            }
            SpanExpr::Pipeline(pipeline) => Self::Pipeline(Plan::new(pipeline, regexes)?),
            SpanExpr::Binary { op, left, right } => {
                let left = Box::new(Self::new(left, regexes)?);
                Self::Binary(*op, left, Box::new(Self::new(right, regexes)?))
            }
        })
    }

    fn relax(&mut self, attribute: &Attribute) {
        match self {
            Self::Filter(condition) => condition.relax(attribute),
            Self::Pipeline(plan) => plan.steps.iter_mut().for_each(|step| step.relax(attribute)),
            Self::Binary(_, left, right) => {
                left.relax(attribute);
                right.relax(attribute);
            }
        }
    }

    fn collect<'c>(&'c self, shown: &mut Shown<'c>) {
        match self {
            Self::Filter(condition) => {
                condition.each_attribute(&mut |attribute, test| shown.add(attribute, test));
            }
            Self::Pipeline(plan) => plan.collect(shown),
            Self::Binary(_, left, right) => {
                left.collect(shown);
                right.collect(shown);
            }
        }
    }

    fn rows(&self, view: &View<'_>, input: &RowSet) -> Result<RowSet> {
        let (op, left, right) = match self {
            Self::Filter(Condition::Constant(true)) => return Ok(input.clone()),
            Self::Filter(condition) => return Ok(condition.rows(view)?.and(input)),
            Self::Pipeline(plan) => {
                return Ok(plan.sets(view, input.clone())?.into_rows(view.rows));
            }
            Self::Binary(op, left, right) => (op, left, right),
        };
        let left = left.rows(view, input)?;
        let right = right.rows(view, input)?;
        Ok(match op {
            SpanOp::Or => left.or(&right),
            SpanOp::And => in_both(view, &left, &right),
            SpanOp::Structural(relation, selects) => {
                let parents = view.piece.parents()?;
                related((*relation, *selects), &left, &right, parents, view.connected()?)
            }
        })
    }
}

/// The spans of both sides, of traces that have some on each.
fn in_both(view: &View<'_>, left: &RowSet, right: &RowSet) -> RowSet {
    let mut traces = RowSet::none(view.rows);
    if left.is_empty() || right.is_empty() {
        return traces;
    }
    for trace in view.traces() {
        let rows = view.trace_rows(trace);
        if left.count(rows.clone()) > 0 && right.count(rows.clone()) > 0 {
            traces.insert_range(rows);
        }
    }
    traces.and(&left.clone().or(right))
}
