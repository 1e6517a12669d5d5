//! Running a query: parse, plan, evaluate, put the result in order.
//!
//! Instant and range queries take one path: an instant is a range of one step.

mod clean;
pub(crate) mod clocks;
mod describe;
pub(crate) mod eval;
mod hinted;
pub(crate) mod instant;
pub(crate) mod plan;
mod raw;
mod stream;
mod subquery;
mod window;
mod worker;

use crate::annotations::Notes;
use crate::ast::Expr;
use crate::error::QueryError;
use crate::options::EngineOptions;
use crate::parse::parse_within;
use crate::storage::Storage;
use crate::types::ValueType;
use crate::value::Value;
use eval::Evaluator;
use model::{FloatHistogram, Labels, quote_go};
use plan::{Node, Planner};
use platform::Clock;
use query::{
    Annotations, Budget, CancelFlag, Control, Grid, HeldMemory, Holding, HoldingLimits,
    RegexBudget, SampleStats, Series, Slot, StepColumn, Trace, TraceNode, merged,
};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryTimes {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// One query with what surrounds it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub query: &'a str,
    pub times: QueryTimes,
    pub cancel: CancelFlag,
    /// Collect where the time goes.
    pub trace: bool,
    /// The memory that all queries share.
    pub memory: Option<Arc<Budget>>,
    /// What the request's other parts left of its regular expressions.
    pub regexes: RegexBudget,
}

impl<'a> Request<'a> {
    pub fn instant(query: &'a str, time_ms: i64) -> Self {
        Self::new(query, QueryTimes::Instant { time_ms })
    }

    pub fn range(query: &'a str, start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        Self::new(query, QueryTimes::Range { start_ms, end_ms, step_ms })
    }

    pub fn new(query: &'a str, times: QueryTimes) -> Self {
        let (cancel, regexes) = (CancelFlag::new(), RegexBudget::default());
        Self { query, times, cancel, trace: false, memory: None, regexes }
    }
}

/// The result of a query.
#[derive(Debug)]
pub struct QueryResult {
    pub value: QueryValue,
    pub annotations: Annotations,
    pub stats: SampleStats,
    pub trace: Vec<TraceNode>,
    /// What the value holds of the memory; given back when the result is dropped.
    memory: HeldMemory,
}

impl QueryResult {
    /// What is made of the result counts against the query's memory too.
    pub fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        Ok(self.memory.take(bytes)?)
    }
}

#[derive(Clone, Debug)]
pub enum QueryValue {
    Scalar {
        time_ms: i64,
        value: f64,
    },
    String {
        time_ms: i64,
        value: String,
    },
    /// In the order of the evaluation, which `sort` and `topk` define.
    Vector(Vec<VectorSample>),
    /// In the order of labels; all series share the steps.
    Matrix {
        times_ms: Arc<[i64]>,
        series: Vec<Series>,
    },
    /// A range selector asked for by itself: samples as they are stored.
    Samples(Vec<SampledSeries>),
}

#[derive(Clone, Debug)]
pub struct VectorSample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: SampleOf,
}

#[derive(Clone, Debug)]
pub enum SampleOf {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

#[derive(Clone, Debug)]
pub struct SampledSeries {
    pub labels: Labels,
    pub samples: Vec<(i64, SampleOf)>,
}

#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    pub fn run(
        &self,
        storage: &dyn Storage,
        clock: &dyn Clock,
        request: &Request<'_>,
    ) -> Result<QueryResult, QueryError> {
        let mut regexes = request.regexes.clone();
        let expr = parse_within(request.query, &self.options.parse, &mut regexes)?;
        check_type(&expr, request.times)?;
        let (start_ms, end_ms, step_ms) = match request.times {
            QueryTimes::Instant { time_ms } => (time_ms, time_ms, 0),
            QueryTimes::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms),
        };
        let planner = Planner { start_ms, end_ms, step_ms, options: &self.options };
        let node = planner.plan(&expr)?;
        let grid = query_grid(request.times)?;
        let timeout = Duration::from_millis(self.options.timeout_ms.unsigned_abs());
        let control = Control::new(clock, Some(timeout), request.cancel.clone());
        let limits = HoldingLimits {
            samples: self.options.samples_max,
            bytes: self.options.memory_max,
            bytes_setting: "promql.max_memory",
            bytes_advice: "fewer series, shorter labels or a longer step",
        };
        let holding = Holding::new(limits, request.memory.as_ref()).until(request.cancel.clone());
        let ev = Evaluator {
            storage,
            options: &self.options,
            control: &control,
            holding: &holding,
            notes: Notes::default(),
            stats: RefCell::new(SampleStats::with_steps(grid.steps())),
            trace: RefCell::new(if request.trace { Trace::enabled() } else { Trace::default() }),
            stats_grid: Cell::new(grid),
        };
        let value = evaluate(&ev, &node, grid, request.times)?;
        let mut stats = ev.stats.into_inner();
        stats.peak = holding.samples_peak() as u64;
        Ok(QueryResult {
            value,
            annotations: ev.notes.finish(request.query),
            stats,
            trace: ev.trace.into_inner().finish(),
            memory: holding.into_memory(),
        })
    }
}

fn check_type(expr: &Expr, times: QueryTimes) -> Result<(), QueryError> {
    let value_type = expr.value_type();
    let fits = matches!(value_type, ValueType::Scalar | ValueType::Vector);
    if fits || matches!(times, QueryTimes::Instant { .. }) {
        return Ok(());
    }
    let name = quote_go(value_type.documented().as_bytes());
    let message = "for range query, must be Scalar or instant Vector";
    Err(QueryError::Invalid(format!("invalid expression type {name} {message}")))
}

fn query_grid(times: QueryTimes) -> Result<Grid, QueryError> {
    match times {
        QueryTimes::Instant { time_ms } => Ok(Grid::instant(time_ms)),
        QueryTimes::Range { step_ms, .. } if step_ms <= 0 => {
            Err(QueryError::Invalid("zero or negative query resolution step widths are not accepted. Try a positive integer".to_owned()))
        }
        QueryTimes::Range { start_ms, end_ms, step_ms } => {
            let grid = Grid::new(start_ms, end_ms, step_ms);
            Ok(grid.ok_or(query::QueryError::TooManySamples)?)
        }
    }
}

fn evaluate(
    ev: &Evaluator<'_>,
    node: &Node,
    grid: Grid,
    times: QueryTimes,
) -> Result<QueryValue, QueryError> {
    match node.without_invariant() {
        Node::Range(range) => return raw::range_samples(ev, range, grid).map(QueryValue::Samples),
        Node::Subquery(subquery) => {
            return raw::subquery_samples(ev, subquery, grid).map(QueryValue::Samples);
        }
        _ => {}
    }
    let value = ev.evaluate(node, grid)?;
    let instant = matches!(times, QueryTimes::Instant { .. });
    match value {
        Value::String(literal) => {
            Ok(QueryValue::String { time_ms: grid.start_ms, value: literal.text() })
        }
        Value::Scalar(values) if instant => {
            Ok(QueryValue::Scalar { time_ms: grid.start_ms, value: values[0] })
        }
        Value::Scalar(values) => {
            let column = StepColumn::from_values(values);
            Ok(matrix(vec![Series::new(Labels::empty(), column)], grid))
        }
        Value::Vector(series) => {
            let series = named(ev, series)?;
            Ok(if instant { vector(series, grid) } else { matrix(series, grid) })
        }
    }
}

/// Drops the names that were kept until the end.
fn named(ev: &Evaluator<'_>, mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    if !ev.options.delayed_name_removal {
        return Ok(series);
    }
    for one in series.iter_mut().filter(|one| one.drop_name) {
        one.labels = one.labels.without_metadata();
    }
    Ok(merged(series)?)
}

fn vector(series: Vec<Series>, grid: Grid) -> QueryValue {
    let samples = series.into_iter().filter_map(|one| {
        let value = match one.column.get(0)? {
            Slot::Float(value) => SampleOf::Float(value),
            Slot::Histogram(histogram) => SampleOf::Histogram(histogram.clone()),
        };
        Some(VectorSample { labels: one.labels, time_ms: grid.start_ms, value })
    });
    QueryValue::Vector(samples.collect())
}

fn matrix(mut series: Vec<Series>, grid: Grid) -> QueryValue {
    series.retain(|one| !one.column.is_empty());
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    QueryValue::Matrix { times_ms: grid.times().collect(), series }
}
