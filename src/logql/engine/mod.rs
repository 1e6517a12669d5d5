//! Running a query: parse, check against the limits, evaluate, put the result in order.
//!
//! `logs`: queries of lines, `follow`: the same again and again. `range`: lines counted or unwrapped in windows. `eval`: what is done with
//! the series that come out. Instant and range queries of numbers take one path: an instant is a range of
//! one step.

mod columns;
mod eval;
mod follow;
mod groups;
mod keys;
mod logs;
mod pieces;
mod range;
mod recorded;
mod slices;
mod tally;
mod texts;
mod unwrapped;
mod windows;

use crate::ast::{Expr, MetricExpr};
use crate::error::QueryError;
use crate::options::EngineOptions;
use crate::parse::parse_within;
use crate::print;
use crate::storage::{Direction, Storage};
use crate::value::{QueryResult, Statistics, Value, VectorSample};
use eval::Evaluated;
use model::Labels;
use platform::Clock;
use query::{Budget, CancelFlag, Control, Holding, HoldingLimits, RegexBudget, Series, StepColumn};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use windows::Steps;

pub use follow::Follow;

type Result<T> = std::result::Result<T, QueryError>;

/// When a query is evaluated. Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryTimes {
    Instant {
        time_ns: i64,
    },
    /// Of lines those from the start on and before the end; of numbers at steps from the start to the
    /// end, which is one of them where the step fits.
    Range {
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        /// Between two lines of the answer at least this much; 0: all lines.
        interval_ns: i64,
    },
}

/// One query with what surrounds it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub query: &'a str,
    pub times: QueryTimes,
    /// Lines of the answer.
    pub limit: usize,
    pub direction: Direction,
    pub cancel: CancelFlag,
    /// The memory that all queries share.
    pub memory: Option<Arc<Budget>>,
    /// What the request's other parts left of its regular expressions.
    pub regexes: RegexBudget,
}

impl<'a> Request<'a> {
    /// Loki's default number of lines.
    pub const LIMIT: usize = 100;

    pub fn new(query: &'a str, times: QueryTimes) -> Self {
        Self {
            query,
            times,
            limit: Self::LIMIT,
            direction: Direction::Backward,
            cancel: CancelFlag::new(),
            memory: None,
            regexes: RegexBudget::default(),
        }
    }

    pub fn instant(query: &'a str, time_ns: i64) -> Self {
        Self::new(query, QueryTimes::Instant { time_ns })
    }

    pub fn range(query: &'a str, start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        Self::new(query, QueryTimes::Range { start_ns, end_ns, step_ns, interval_ns: 0 })
    }
}

#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// What the parts of an evaluation share.
struct Context<'a> {
    storage: &'a dyn Storage,
    options: &'a EngineOptions,
    control: &'a Control<'a>,
    holding: &'a Holding,
    /// What the clock shows, for templates.
    now_ns: i64,
    statistics: RefCell<Statistics>,
    warnings: RefCell<Vec<String>>,
}

/// What bounds an evaluation; shared by its threads.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    control: &'a Control<'a>,
    holding: &'a Holding,
}

impl<'a> Context<'a> {
    fn bounds(&self) -> Bounds<'a> {
        Bounds { control: self.control, holding: self.holding }
    }
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
    ) -> Result<QueryResult> {
        let mut regexes = request.regexes.clone();
        let expr = parse_within(request.query, &mut regexes)?;
        self.check(&expr, request)?;
        let limits = &self.options.limits;
        let timeout = Duration::from_millis(limits.timeout_ms.unsigned_abs());
        let control = Control::new(clock, Some(timeout), request.cancel.clone());
        let holding_limits = HoldingLimits {
            samples: usize::MAX,
            bytes: limits.memory_max,
            bytes_setting: "logs.max_memory",
            bytes_advice: "a shorter time, fewer streams, or series grouped by fewer labels",
        };
        let holding = Holding::new(holding_limits, request.memory.as_ref());
        let context = Context {
            storage,
            options: &self.options,
            control: &control,
            holding: &holding,
            now_ns: clock.wall_ns(),
            statistics: RefCell::default(),
            warnings: RefCell::default(),
        };
        let value = match &expr {
            Expr::Log(log) => logs::run(&context, log, request).map(Value::Streams)?,
            Expr::Metric(metric) => self.metric(&context, metric, request)?,
        };
        let mut statistics = context.statistics.into_inner();
        statistics.entries_returned = entries(&value);
        let warnings = context.warnings.into_inner();
        Ok(QueryResult { value, statistics, warnings, memory: holding.into_memory() })
    }

    fn metric(
        &self,
        context: &Context<'_>,
        metric: &MetricExpr,
        request: &Request<'_>,
    ) -> Result<Value> {
        let is_instant = matches!(request.times, QueryTimes::Instant { .. });
        let steps = self.steps(request.times)?;
        let evaluated = eval::evaluate(context, metric, steps)?;
        if let Evaluated::Vector(series) = &evaluated {
            let most = self.options.limits.series_max;
            if series.len() > most {
                return Err(QueryError::Limit(too_many_series(most)));
            }
        }
        let times_ms: Arc<[i64]> = steps.times_ms().collect();
        let time_ms = times_ms.first().copied().unwrap_or_default();
        Ok(match evaluated {
            Evaluated::Scalar(value) if is_instant => Value::Scalar { time_ms, value },
            Evaluated::Scalar(value) => {
                let column = StepColumn::from_values(vec![value; steps.count]);
                let series = vec![Series::new(Labels::empty(), column)];
                Value::Matrix {
                    times_ms,
                    series: if steps.count > 0 { series } else { Vec::new() },
                }
            }
            Evaluated::Vector(series) if is_instant => {
                let is_ordered = eval::defines_order(metric);
                Value::Vector(vector(series, time_ms, is_ordered))
            }
            Evaluated::Vector(mut series) => {
                series.retain(|one| !one.column.is_empty());
                series.sort_by(|left, right| left.labels.cmp(&right.labels));
                Value::Matrix { times_ms, series }
            }
        })
    }

    fn steps(&self, times: QueryTimes) -> Result<Steps> {
        match times {
            QueryTimes::Instant { time_ns } => Ok(Steps::instant(time_ns)),
            QueryTimes::Range { start_ns, end_ns, step_ns, .. } => {
                if step_ns <= 0 {
                    let message = "zero or negative query resolution step widths are not accepted. Try a \
                                   positive integer";
                    return Err(QueryError::Invalid(message.to_owned()));
                }
                let most = self.options.limits.steps_max;
                Steps::range(start_ns, end_ns, step_ns, most).ok_or_else(|| {
                    let message = "exceeded maximum resolution of 11,000 points per time series. Try \
                                   increasing the value of the step parameter";
                    QueryError::Invalid(message.replace("11,000", &with_thousands(most)))
                })
            }
        }
    }

    fn check(&self, expr: &Expr, request: &Request<'_>) -> Result<()> {
        let limits = &self.options.limits;
        if let (Expr::Log(_), QueryTimes::Instant { .. }) = (expr, request.times) {
            let message = "log queries are not supported as an instant query type, please change your query \
                           to a range query type";
            return Err(QueryError::Invalid(message.to_owned()));
        }
        if matches!(expr, Expr::Log(_)) && request.limit > limits.entries_max {
            let message =
                "max entries limit per query exceeded, limit > max_entries_limit_per_query";
            let (limit, most) = (request.limit, limits.entries_max);
            return Err(QueryError::Limit(format!("{message} ({limit} > {most})")));
        }
        if let QueryTimes::Range { start_ns, end_ns, .. } = request.times {
            let length = end_ns.saturating_sub(start_ns);
            if limits.length_max_ns > 0 && length > limits.length_max_ns {
                let (length, most) =
                    (print::duration(length), print::duration(limits.length_max_ns));
                let message = "the query time range exceeds the limit";
                let message = format!("{message} (query length: {length}, limit: {most})");
                return Err(QueryError::Limit(message));
            }
        }
        for log in expr.selectors() {
            let (count, most) = (log.matchers.len(), limits.matchers_max);
            if count > most {
                let message = format!(
                    "max streams matchers per query exceeded, matchers-count > limit ({count} > {most})"
                );
                return Err(QueryError::Limit(message));
            }
        }
        Ok(())
    }
}

fn too_many_series(most: usize) -> String {
    format!(
        "maximum number of series ({most}) reached for a single query; consider reducing query cardinality \
         by adding more specific stream selectors, reducing the time range, or aggregating results with \
         functions like sum(), count() or topk()"
    )
}

/// `11,000`
fn with_thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn vector(mut series: Vec<Series>, time_ms: i64, is_ordered: bool) -> Vec<VectorSample> {
    if !is_ordered {
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
    }
    let sample = |one: Series| {
        let value = one.column.float(0)?;
        Some(VectorSample { labels: one.labels, time_ms, value })
    };
    series.into_iter().filter_map(sample).collect()
}

fn entries(value: &Value) -> u64 {
    let count = match value {
        Value::Streams(lines) => lines.entries.len(),
        Value::Vector(samples) => samples.len(),
        Value::Matrix { series, .. } => series.iter().map(|one| one.column.count()).sum(),
        Value::Scalar { .. } => 1,
    };
    count as u64
}

#[cfg(test)]
mod tests;
