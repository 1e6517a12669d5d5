//! Running queries on the store: check against the limits, evaluate piece by piece, put in order.
//!
//! `condition`, `test`: what is asked of single spans, as sets of rows. `tree`: relations between spans.
//! `plan`, `sets`: stages. `view`, `source`, `cell`: a piece by the names of the language. `search`: traces.
//! `metrics`: numbers over time. `tags`: names and values of attributes. `entries`: transactions.
//! `reading`: pieces and threads.

mod cell;
mod condition;
mod entries;
mod metrics;
mod plan;
mod reading;
mod search;
mod sets;
mod source;
mod tags;
mod test;
mod tree;
mod view;

use crate::ast::{Query, Root};
use crate::check::needs_whole_traces;
use crate::error::QueryError;
use crate::options::EngineOptions;
use model::{TenantId, TimeUnit};
use plan::Plan;
use platform::Clock;
use query::{Budget, CancelFlag, Control, HeldMemory, Holding, HoldingLimits, RegexBudget, Weight};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trace_store::{PieceInfo, Select, Selection, TraceStore};

pub use entries::{
    CallFilter, Calls, CallsFound, EntryBox, EntryFilter, EntryFound, EntryList, EntryOrder,
    GRID_ROWS, Grid, GridCell, Operation,
};
pub use metrics::{Exemplar, MetricTimes, Metrics, Series};
pub use search::{SearchLimits, ServiceSpans, SetFound, SpanFound, TraceFound};
pub use tags::{TagNames, TagScope, TagValues};

type Result<T> = std::result::Result<T, QueryError>;

/// Whose spans, and of which time; with what bounds the evaluation.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub tenant: &'a TenantId,
    /// Nanoseconds, both ends included.
    pub start_ns: i64,
    pub end_ns: i64,
    pub cancel: CancelFlag,
    /// The memory that all queries share.
    pub memory: Option<Arc<Budget>>,
    /// What the request's other parts left of its regular expressions.
    pub regexes: RegexBudget,
}

impl<'a> Request<'a> {
    pub fn new(tenant: &'a TenantId, start_ns: i64, end_ns: i64) -> Self {
        Self {
            tenant,
            start_ns,
            end_ns,
            cancel: CancelFlag::new(),
            memory: None,
            regexes: RegexBudget::default(),
        }
    }
}

/// What a query looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Blocks of heads and row groups of parts.
    pub pieces: u64,
    pub spans: u64,
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Answer<T> {
    pub value: T,
    pub statistics: Statistics,
    /// What the reader should know, such as data that could not be read.
    pub warnings: Vec<String>,
    /// To be kept as long as the answer is.
    pub memory: HeldMemory,
}

#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// What the parts of an evaluation share.
struct Context<'a> {
    options: &'a EngineOptions,
    control: Control<'a>,
    holding: Holding,
    tenant: &'a TenantId,
    pieces: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
    warnings: Mutex<BTreeSet<String>>,
}

impl<'a> Context<'a> {
    fn select(&self, store: &TraceStore, select: &Select) -> Result<Selection> {
        self.control.check()?;
        Ok(store.select(self.tenant, select)?)
    }

    fn count(&self, piece: &PieceInfo) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
        self.spans.fetch_add(piece.rows, Ordering::Relaxed);
        self.bytes.fetch_add(piece.bytes, Ordering::Relaxed);
    }

    /// From here on the query holds this much. Only where no threads are at work.
    fn hold(&self, bytes: usize) -> Result<()> {
        Ok(self.holding.settle(Weight::bytes(bytes))?)
    }

    fn finish(&self, selection: &Selection) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(selection.warnings());
    }

    fn into_answer<T>(self, value: T) -> Answer<T> {
        let statistics = Statistics {
            pieces: self.pieces.into_inner(),
            spans: self.spans.into_inner(),
            bytes: self.bytes.into_inner(),
        };
        let warnings = self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let warnings = warnings.into_iter().collect();
        Answer { value, statistics, warnings, memory: self.holding.into_memory() }
    }
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    fn context<'a>(&'a self, clock: &'a dyn Clock, request: &Request<'a>) -> Context<'a> {
        let limits = &self.options.limits;
        let timeout = Duration::from_millis(limits.timeout_ms.unsigned_abs());
        let holding = HoldingLimits {
            samples: usize::MAX,
            bytes: limits.memory_max,
            bytes_setting: "traces.max_memory",
            bytes_advice: "a shorter time, fewer traces or spans, or fewer attributes to group by",
        };
        Context {
            options: &self.options,
            control: Control::new(clock, Some(timeout), request.cancel.clone()),
            holding: Holding::new(holding, request.memory.as_ref()),
            tenant: request.tenant,
            pieces: AtomicU64::new(0),
            spans: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            warnings: Mutex::default(),
        }
    }

    /// Traces in which spans fulfil a query, the newest first.
    pub fn search(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        query: &Query,
        limits: SearchLimits,
    ) -> Result<Answer<Vec<TraceFound>>> {
        let Root::Spans(pipeline) = &query.root else {
            let message = "this query answers numbers: ask it of the metrics, or end it before the \
                           function";
            return Err(QueryError::Invalid(message.to_owned()));
        };
        check_length(request, self.options.limits.search_length_max_ns)?;
        let most = (self.options.limits.traces_max, self.options.limits.spans_max);
        if limits.traces == 0 || limits.traces > most.0 || limits.spans > most.1 {
            let message =
                format!("a search may ask for 1 to {} traces and {} spans of each", most.0, most.1);
            return Err(QueryError::Invalid(message));
        }
        let plan = Plan::new(pipeline, &mut request.regexes.clone())?;
        let context = self.context(clock, request);
        let time = TimeUnit::Nanos.between(request.start_ns, request.end_ns);
        // Answers show the root and the length of a trace.
        let select = Select { time, trace_id: plan.trace_id(), are_whole: true };
        let found = search::run(&context, store, &plan, &select, limits)?;
        Ok(context.into_answer(found))
    }

    /// How many entry spans ended in each column of time, by their durations. The columns that hold the
    /// start and the end of the request are counted as wholes.
    pub fn entry_grid(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        filter: &EntryFilter<'_>,
        column_s: i64,
    ) -> Result<Answer<Grid>> {
        check_length(request, 0)?;
        let chosen = entries::Chosen::new(filter, request)?;
        let context = self.context(clock, request);
        let grid = entries::run_grid(&context, store, &chosen, request, column_s)?;
        Ok(context.into_answer(grid))
    }

    /// The latest or the longest entry spans that ended in the time of the request.
    pub fn entry_list(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        filter: &EntryFilter<'_>,
        wanted: &EntryBox,
    ) -> Result<Answer<EntryList>> {
        check_length(request, 0)?;
        let chosen = entries::Chosen::new(filter, request)?;
        let context = self.context(clock, request);
        let list = entries::run_list(&context, store, &chosen, request, wanted)?;
        Ok(context.into_answer(list))
    }

    /// The calls between operations whose called side ended in the time of the request.
    pub fn calls(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        filter: &CallFilter<'_>,
    ) -> Result<Answer<CallsFound>> {
        check_length(request, 0)?;
        let context = self.context(clock, request);
        let found = entries::run_edges(&context, store, request, filter)?;
        Ok(context.into_answer(found))
    }

    /// Numbers over time.
    pub fn metrics(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        query: &Query,
        wanted: &Metrics,
    ) -> Result<Answer<Vec<Series>>> {
        let Root::Metrics(expr) = &query.root else {
            let message =
                "this query answers traces: add a function of metrics, such as `| rate()`";
            return Err(QueryError::Invalid(message.to_owned()));
        };
        check_length(request, self.options.limits.metrics_length_max_ns)?;
        let context = self.context(clock, request);
        let exemplars = query.hint("exemplars");
        let series = metrics::run(&context, store, request, expr, wanted.with_hint(exemplars))?;
        let most = self.options.limits.series_max;
        if series.len() > most {
            let message = format!(
                "the answer has {} series, the most is {most}: group by fewer attributes, or add \
                 `| topk({most})`",
                series.len()
            );
            return Err(QueryError::Limit(message));
        }
        Ok(context.into_answer(series))
    }
}

fn check_length(request: &Request<'_>, most: i64) -> Result<()> {
    let length = request.end_ns.saturating_sub(request.start_ns);
    if length < 0 {
        let message = "the end is before the start: exchange `start` and `end`";
        return Err(QueryError::Invalid(message.to_owned()));
    }
    if most > 0 && length > most {
        let shown = model::format_duration_ns;
        let (length, most) = (shown(length), shown(most));
        let message = format!("the time asked for is {length}, the most is {most}: ask in parts");
        return Err(QueryError::Invalid(message));
    }
    Ok(())
}

/// Whether the spans of each trace must come together.
fn are_whole(pipeline: &crate::ast::Pipeline, others: &[&crate::Attribute]) -> bool {
    needs_whole_traces(pipeline) || others.iter().any(|other| crate::check::is_of_trace(other))
}

#[cfg(test)]
mod tests;
