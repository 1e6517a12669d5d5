//! Numbers over time: spans counted by groups and steps, then what is done with the series.
//!
//! `steps`: which step a span belongs to. `groups`: the values that spans are grouped by, as codes.
//! `table`: the counting. `finish`: counts as series. `rollups`: counts that the store keeps.
//! `compare`: all attributes of two sets of spans, counted by `tally`.
//! `arithmetic`: operators, `topk`, comparisons.

mod arithmetic;
mod compare;
mod exemplars;
mod finish;
mod groups;
mod rollups;
mod steps;
mod table;
mod tally;

use super::condition::Condition;
use super::plan::Plan;
use super::view::View;
use super::{Context, Request, Result, are_whole, reading};
use crate::ast::{AggregateOp, MetricExpr, MetricFunction, SpanMetrics};
use crate::attribute::{Attribute, Intrinsic};
use crate::error::QueryError;
use crate::literal::Literal;
use crate::value::FieldValue;
use exemplars::Exemplars;
use finish::Bucketed;
pub(super) use groups::Coded;
use groups::Groups;
use model::TimeUnit;
use query::{RegexBudget, Weight};
use rollups::Rollups;
use std::cell::Cell;
use std::sync::Arc;
use steps::Steps;
use table::{Accumulator, Average, Count, Greatest, Least, Partial};
use trace_store::{Piece, RowSet, Select, Selection, TraceStore};

/// Which times are asked for. Of a range the points are multiples of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricTimes {
    /// One number of all the time.
    Instant,
    Range {
        step_ns: i64,
    },
}

/// What is asked of metrics beside the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub times: MetricTimes,
    /// How many exemplars all series have together.
    pub exemplars: usize,
}

impl Metrics {
    /// `with(exemplars=…)`
    pub(super) fn with_hint(mut self, hint: Option<&Literal>) -> Self {
        const MOST: usize = 100;
        self.exemplars = match hint {
            Some(Literal::Bool(false)) => 0,
            Some(Literal::Bool(true)) => MOST,
            Some(Literal::Int(count)) => usize::try_from(*count).unwrap_or_default(),
            _ => self.exemplars,
        };
        self.exemplars = self.exemplars.min(MOST);
        self
    }
}

/// A span that a point was counted from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub time_ns: i64,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// In the order of the query.
    pub labels: Vec<(String, FieldValue)>,
    /// Milliseconds; those of all series are the same.
    pub times_ms: Arc<[i64]>,
    /// One for each time; NaN where there is none.
    pub values: Vec<f64>,
    pub exemplars: Vec<Exemplar>,
}

/// The label of a series that is grouped by nothing.
pub(super) const NAME: &str = "__name__";

pub(super) fn run(
    context: &Context<'_>,
    store: &TraceStore,
    request: &Request<'_>,
    expr: &MetricExpr,
    wanted: Metrics,
) -> Result<Vec<Series>> {
    let steps = match wanted.times {
        MetricTimes::Instant => Steps::instant(request.start_ns, request.end_ns),
        MetricTimes::Range { step_ns } => {
            let most = context.options.limits.steps_max;
            Steps::range(request.start_ns, request.end_ns, step_ns, most)?
        }
    };
    let mut regexes = request.regexes.clone();
    let running = Running { context, store, steps, exemplars: wanted.exemplars };
    let mut series = running.evaluate(expr, &mut regexes)?;
    series.retain(|one| one.values.iter().any(|value| !value.is_nan()));
    series.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(series)
}

struct Running<'r> {
    context: &'r Context<'r>,
    store: &'r TraceStore,
    steps: Steps,
    exemplars: usize,
}

/// What is counted of a span.
#[derive(Clone, Debug)]
struct Measured<'m> {
    plan: &'m Plan,
    by: &'m [Attribute],
    /// The attribute whose values are aggregated.
    of: Option<&'m Attribute>,
}

impl Running<'_> {
    fn evaluate(&self, expr: &MetricExpr, regexes: &mut RegexBudget) -> Result<Vec<Series>> {
        match expr {
            MetricExpr::Spans(metrics) => self.spans(metrics, regexes),
            MetricExpr::Number(_) => {
                Err(QueryError::Invalid("a number alone is no query of metrics".to_owned()))
            }
            MetricExpr::Pick { inner, is_top, count } => {
                let series = self.evaluate(inner, regexes)?;
                arithmetic::pick(&self.context.control, series, *is_top, *count)
            }
            MetricExpr::Filter { inner, op, value } => {
                let value = value.as_number().unwrap_or(f64::NAN);
                Ok(arithmetic::filter(self.evaluate(inner, regexes)?, *op, value))
            }
            MetricExpr::Binary { op, left, right } => match (&**left, &**right) {
                (left, MetricExpr::Number(number)) => {
                    let series = self.evaluate(left, regexes)?;
                    Ok(arithmetic::with_number(*op, series, number, false))
                }
                (MetricExpr::Number(number), right) => {
                    let series = self.evaluate(right, regexes)?;
                    Ok(arithmetic::with_number(*op, series, number, true))
                }
                (left, right) => {
                    let left = self.evaluate(left, regexes)?;
                    Ok(arithmetic::of_series(*op, left, self.evaluate(right, regexes)?))
                }
            },
        }
    }

    fn spans(&self, metrics: &SpanMetrics, regexes: &mut RegexBudget) -> Result<Vec<Series>> {
        let plan = Plan::new(&metrics.pipeline, regexes)?;
        let by = &metrics.by[..];
        let measured = |of| Measured { plan: &plan, by, of };
        let name = metrics.function.name();
        let steps = &self.steps;
        match &metrics.function {
            MetricFunction::Rate | MetricFunction::CountOverTime => {
                let is_rate = matches!(metrics.function, MetricFunction::Rate);
                let counts = self.counts(metrics, &measured(None), false)?;
                Ok(finish::counts(counts, by, name, steps, is_rate))
            }
            MetricFunction::OverTime(op, attribute) => {
                let measured = measured(Some(attribute));
                let by = (by, name);
                Ok(match op {
                    AggregateOp::Min => {
                        finish::values(self.fold::<Least>(metrics, &measured)?, by, steps)
                    }
                    AggregateOp::Max => {
                        finish::values(self.fold::<Greatest>(metrics, &measured)?, by, steps)
                    }
                    AggregateOp::Sum => {
                        let sums = self.fold::<Average>(metrics, &measured)?;
                        finish::sums(sums, by, steps)
                    }
                    AggregateOp::Avg => {
                        finish::values(self.fold::<Average>(metrics, &measured)?, by, steps)
                    }
                })
            }
            MetricFunction::Quantile(attribute, quantiles) => {
                let buckets = self.buckets(metrics, &measured(Some(attribute)), attribute)?;
                Ok(finish::quantiles(buckets, by, quantiles, steps))
            }
            MetricFunction::Histogram(attribute) => {
                let buckets = self.buckets(metrics, &measured(Some(attribute)), attribute)?;
                Ok(finish::histogram(buckets, by, steps))
            }
            MetricFunction::Compare(compare) => {
                let selection = Condition::of_filter(compare.selection.as_ref(), regexes)?;
                let select = self.select(true);
                compare::run(self, compare, (&plan, &selection), &select)
            }
        }
    }

    fn buckets(
        &self,
        metrics: &SpanMetrics,
        measured: &Measured<'_>,
        attribute: &Attribute,
    ) -> Result<Bucketed> {
        let are_durations = attribute.type_of() == crate::Type::Duration;
        let scale = if are_durations { 1e-9 } else { 1.0 };
        let counts = self.counts(metrics, measured, true)?;
        Ok(Bucketed { counts, scale })
    }

    fn select(&self, are_whole: bool) -> Select {
        let (first, last) = self.steps.bounds();
        Select { time: TimeUnit::Nanos.between(first, last), trace_id: None, are_whole }
    }

    /// The pieces in which the spans are.
    fn selection(&self, metrics: &SpanMetrics, measured: &Measured<'_>) -> Result<Selection> {
        let others: Vec<&Attribute> = measured.by.iter().chain(measured.of).collect();
        let select = self.select(are_whole(&metrics.pipeline, &others));
        self.context.select(self.store, &select)
    }

    /// Aggregates the values of the spans of all pieces.
    fn fold<A: Accumulator>(
        &self,
        metrics: &SpanMetrics,
        measured: &Measured<'_>,
    ) -> Result<(Partial<A>, Exemplars)> {
        let selection = self.selection(metrics, measured)?;
        let pieces = (0..selection.pieces().len()).collect();
        let found = self.pieces(&selection, pieces, measured, false)?;
        self.context.finish(&selection);
        self.context.hold(found.0.bytes())?;
        Ok(found)
    }

    /// Counts the spans of all pieces, by powers of two of a value as well if `has_buckets`. Where the
    /// store has counted them already, only a few spans are looked at, for exemplars.
    fn counts(
        &self,
        metrics: &SpanMetrics,
        measured: &Measured<'_>,
        has_buckets: bool,
    ) -> Result<(Partial<Count>, Exemplars)> {
        let selection = self.selection(metrics, measured)?;
        let mut pieces: Vec<usize> = (0..selection.pieces().len()).collect();
        let condition = measured.plan.only_condition();
        let mut counted = Partial::default();
        let mut with_exemplars = Vec::new();
        if let Some(rollups) = Rollups::new(condition, measured.by, measured.of, has_buckets) {
            let mut rest = Vec::new();
            for index in pieces {
                self.context.control.check_in_turn(index)?;
                let Some(rollup) = selection.rollup(index, self.steps.unit_ns())? else {
                    rest.push(index);
                    continue;
                };
                self.context.count(&selection.pieces()[index]);
                let (spans, grown) = rollups.add(&rollup, &self.steps, &mut counted);
                self.context.holding.take(Weight::bytes(grown))?;
                if spans > 0 {
                    with_exemplars.push(index);
                }
            }
            pieces = rest;
        }
        let (mut partial, mut exemplars) =
            self.pieces(&selection, pieces, measured, has_buckets)?;
        if self.exemplars > 0 {
            let sampled = self.sampled(&selection, &with_exemplars, measured, has_buckets)?;
            sampled.into_iter().for_each(|found| exemplars.merge(found));
        }
        partial.merge(counted);
        self.context.finish(&selection);
        self.context.hold(partial.bytes())?;
        Ok((partial, exemplars))
    }

    /// Exemplars of pieces whose spans the store has counted: some spans of some pieces are looked at, and
    /// where every trace has a span that is counted, some traces only.
    fn sampled(
        &self,
        selection: &Selection,
        pieces: &[usize],
        measured: &Measured<'_>,
        has_buckets: bool,
    ) -> Result<Vec<Exemplars>> {
        /// In so many pieces exemplars are looked for.
        const PIECES: usize = 4;
        let stride = pieces.len().div_ceil(PIECES).max(1);
        let pieces = pieces.iter().copied().step_by(stride).collect();
        let condition = measured.plan.only_condition();
        let is_of_each_trace =
            matches!(condition, Some(Condition::Constant(true) | Condition::Roots(true)));
        let state = || Exemplars::new(self.exemplars, self.steps.count);
        let work = |exemplars: &mut Exemplars, piece: &Piece| {
            let some = match is_of_each_trace {
                true => piece.some(&exemplars::traces(piece.trace_starts()?, &self.steps))?,
                false => None,
            };
            let (piece, mut counts) = (some.as_ref().unwrap_or(piece), Partial::<Count>::default());
            self.piece(piece, measured, has_buckets, &mut counts, exemplars)
        };
        reading::fold(self.context, selection, pieces, state, work)
    }

    fn pieces<A: Accumulator>(
        &self,
        selection: &Selection,
        pieces: Vec<usize>,
        measured: &Measured<'_>,
        has_buckets: bool,
    ) -> Result<(Partial<A>, Exemplars)> {
        let state = || (Partial::<A>::default(), Exemplars::new(self.exemplars, self.steps.count));
        let work = |(partial, exemplars): &mut (Partial<A>, Exemplars), piece: &Piece| {
            self.piece(piece, measured, has_buckets, partial, exemplars)
        };
        let states = reading::fold(self.context, selection, pieces, state, work)?;
        let mut all = state();
        for (partial, exemplars) in states {
            all.0.merge(partial);
            all.1.merge(exemplars);
        }
        Ok(all)
    }

    fn piece<A: Accumulator>(
        &self,
        piece: &Piece,
        measured: &Measured<'_>,
        has_buckets: bool,
        partial: &mut Partial<A>,
        exemplars: &mut Exemplars,
    ) -> Result<()> {
        let view = View::new(piece)?;
        let rows = self.rows(&view, measured.plan)?;
        if rows.as_ref().is_some_and(RowSet::is_empty) {
            return Ok(());
        }
        let sources = measured.by.iter().map(|attribute| view.source(attribute));
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let groups = Groups::new(&sources, view.rows);
        let starts = piece.starts()?;
        let of = measured.of.map(|attribute| view.source(attribute)).transpose()?;
        let in_seconds = measured.of.and_then(Attribute::as_intrinsic) == Some(Intrinsic::Duration);
        let counted = table::Counted {
            rows: rows.as_ref(),
            starts,
            steps: &self.steps,
            of: of.as_deref(),
            in_seconds,
            has_buckets,
        };
        let holding = &self.context.holding;
        let taken = Cell::new(0);
        let held = |bytes| {
            taken.set(taken.get() + bytes);
            Ok(holding.take(Weight::bytes(bytes))?)
        };
        let grown = table::count(&counted, &groups, partial, &held);
        holding.give_back(Weight::bytes(taken.get()));
        holding.take(Weight::bytes(grown?))?;
        exemplars.add(&view, &counted, &groups)
    }

    /// The spans that are counted; `None`: all.
    fn rows(&self, view: &View<'_>, plan: &Plan) -> Result<Option<RowSet>> {
        if plan.takes_all() && view.is_whole() {
            return Ok(None);
        }
        Ok(Some(plan.sets(view, view.wanted.clone())?.into_rows(view.rows)))
    }
}
