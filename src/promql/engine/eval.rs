//! Evaluation of a plan, node by node, over all steps at once.
//!
//! Selectors and window functions are *streams*: series by series, on several threads where there
//! are many. An aggregation over a stream takes each series in as it comes, so that what it
//! aggregates never exists as a whole.

use super::binary;
use super::column::{Series, StepColumn};
use super::fold::Fold;
use super::grid::Grid;
use super::hinted::Hinted;
use super::instant::{InstantCall, SampleTime};
use super::pick;
use super::plan::{Aggregate, Call, Node, RangeSelector, Selector, Subquery};
use super::subquery::Computed;
use super::window::WindowCall;
use super::worker::Worker;
use crate::annotations::{Note, Notes};
use crate::ast::{AggregateOp, Edges, StringLiteral};
use crate::error::QueryError;
use crate::functions::{Body, Invocation, absent_labels, inverted_presence};
use crate::options::EngineOptions;
use crate::position::Position;
use crate::storage::{SelectHints, Selection, Storage};
use model::{BytesHash, Labels};
use platform::threads::scatter;
use query::{Budget, Control, SampleStats, Trace};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

pub(crate) const DUPLICATES: &str = "vector cannot contain metrics with the same labelset";

/// Fewer series than this are not worth a second thread.
const PARALLEL_SERIES_MIN: usize = 200;

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Vec<f64>),
    String(StringLiteral),
    Vector(Vec<Series>),
}

pub(crate) struct Evaluator<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) options: &'a EngineOptions,
    pub(crate) control: &'a Control<'a>,
    pub(crate) samples: &'a Budget,
    pub(crate) notes: Notes,
    pub(crate) stats: RefCell<SampleStats>,
    pub(crate) trace: RefCell<Trace>,
    /// The steps of the query itself.
    pub(crate) query_grid: Grid,
    pub(crate) range_query: bool,
}

/// Series that come one by one.
enum Stream<'n> {
    Instant(Box<dyn Selection + 'n>, InstantCall<'n>),
    Window(Box<dyn Selection + 'n>, WindowCall),
}

impl Stream<'_> {
    fn selection(&self) -> &dyn Selection {
        match self {
            Self::Instant(selection, _) | Self::Window(selection, _) => &**selection,
        }
    }

    fn produce(&self, index: usize, worker: &mut Worker) -> Result<Option<Series>> {
        let selection = self.selection();
        let labels = selection.labels(index);
        let mut scratch = std::mem::take(&mut worker.scratch);
        let series = match selection.columns(index, &mut scratch) {
            Ok(columns) => match self {
                Self::Instant(_, call) => call.produce(labels, columns, worker),
                Self::Window(_, call) => call.produce(labels, columns, worker),
            },
            Err(error) => Err(error.into()),
        };
        worker.scratch = scratch;
        series
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn is_range_query(&self) -> bool {
        self.range_query
    }

    pub(crate) fn evaluate(&self, node: &Node, grid: Grid) -> Result<Value> {
        self.control.check()?;
        let now = || self.control.now();
        self.trace.borrow_mut().enter(|| describe(node), now);
        let value = self.evaluate_node(node, grid);
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
            Node::Binary(node) => binary::evaluate(self, node, grid),
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
                let repeated = series.into_iter().map(|mut one| {
                    one.column = one.column.repeated(steps);
                    one
                });
                let series: Vec<Series> = repeated.collect();
                self.hold(&series)?;
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
                self.merged_unless_delayed(series).map(Value::Vector)
            }
            Value::String(_) => unreachable!("the checker has seen to the types"),
        }
    }

    /// Counts what is held towards the query's limit. Series that are consumed again are not
    /// subtracted: the limit is on everything a query makes.
    fn hold(&self, series: &[Series]) -> Result<()> {
        let weight: usize = series.iter().map(|one| one.column.weight()).sum();
        Ok(self.samples.take(weight)?)
    }

    fn release(&self, series: &[Series]) {
        self.samples.give_back(series.iter().map(|one| one.column.weight()).sum());
    }

    // ── streams ──

    fn stream<'n>(&self, node: &'n Node, grid: Grid) -> Result<Option<Stream<'n>>>
    where
        'a: 'n,
    {
        match node {
            Node::Vector(selector) => {
                let call = self.instant_call(selector, grid, None);
                let selection = self.select(selector, grid, 0)?;
                Ok(Some(Stream::Instant(selection, call)))
            }
            Node::Call(call) => match &call.function.body {
                Body::Window(_) => self.window_stream(call, grid).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn instant_call<'n>(
        &self,
        selector: &'n Selector,
        grid: Grid,
        times: Option<SampleTime>,
    ) -> InstantCall<'n> {
        InstantCall { selector, grid, lookback_ms: self.options.lookback_ms, times }
    }

    /// A selector's sample times in seconds, in place of its values.
    pub(crate) fn sample_times(
        &self,
        selector: &Selector,
        grid: Grid,
        times: SampleTime,
    ) -> Result<Vec<Series>> {
        let call = self.instant_call(selector, grid, Some(times));
        let selection = self.select(selector, grid, 0)?;
        self.collect(&Stream::Instant(selection, call), grid)
    }

    fn select(
        &self,
        selector: &Selector,
        grid: Grid,
        range_ms: i64,
    ) -> Result<Box<dyn Selection + 'a>> {
        let lookback = self.options.lookback_ms;
        let (before, after) = match (range_ms > 0, selector.edges) {
            (true, Edges::Plain) => (range_ms, 0),
            (true, Edges::Anchored) => (range_ms + lookback, 0),
            (true, Edges::Smoothed) => (range_ms + lookback, lookback),
            (false, Edges::Smoothed) => (lookback, lookback),
            (false, _) => (lookback, 0),
        };
        let hints = SelectHints {
            start_ms: selector.moment(grid.start_ms) - before + 1,
            end_ms: selector.moment(grid.end_ms()) + after,
            step_ms: grid.step_ms,
            range_ms,
            function: selector.hint.function,
            grouping: selector.hint.grouping.clone(),
            by: selector.hint.by,
            skip_histogram_buckets: selector.hint.skip_histogram_buckets,
        };
        let selection = self.storage.select(&hints, &selector.matchers)?;
        for warning in selection.warnings() {
            self.notes.add(Note::Storage(warning), Position::default());
        }
        self.stats.borrow_mut().series += selection.len() as u64;
        if hints.skip_histogram_buckets {
            return Ok(Box::new(Hinted { inner: selection }));
        }
        Ok(selection)
    }

    pub(crate) fn select_for_range(
        &self,
        range: &RangeSelector,
        grid: Grid,
    ) -> Result<Box<dyn Selection + 'a>> {
        self.select(&range.selector, grid, range.range_ms)
    }

    fn window_stream<'n>(&self, call: &'n Call, grid: Grid) -> Result<Stream<'n>>
    where
        'a: 'n,
    {
        let Body::Window(body) = call.function.body else {
            unreachable!("the caller has looked");
        };
        let is_range = |node: &&Node| matches!(node, Node::Range(_) | Node::Subquery(_));
        let index = call.arguments.iter().position(|node| is_range(&node));
        let index = index.expect("the checker has seen to the types");
        let scalars = call.arguments.iter().enumerate().filter(|(other, _)| *other != index);
        let scalars = scalars.map(|(_, node)| self.scalar(node, grid)).collect::<Result<_>>()?;
        let mut window = WindowCall {
            function: call.function,
            body,
            grid,
            offset_ms: 0,
            at_ms: None,
            range_ms: 0,
            edges: Edges::Plain,
            lookback_ms: self.options.lookback_ms,
            scalars,
            position: call.positions[index],
            all_position: call.positions[0],
            delayed: self.options.delayed_name_removal,
            start_timestamps: self.options.start_timestamps,
            type_and_unit_labels: self.options.type_and_unit_labels,
        };
        let selection = match &call.arguments[index] {
            Node::Range(range) => self.range_selection(range, &mut window)?,
            Node::Subquery(subquery) => self.subquery_selection(subquery, &mut window)?,
            _ => unreachable!("found by its kind"),
        };
        Ok(Stream::Window(selection, window))
    }

    fn range_selection(
        &self,
        range: &RangeSelector,
        window: &mut WindowCall,
    ) -> Result<Box<dyn Selection + 'a>> {
        window.offset_ms = range.selector.offset_ms;
        window.at_ms = range.selector.at_ms;
        window.range_ms = range.range_ms;
        window.edges = range.selector.edges;
        check_edges(window)?;
        self.select(&range.selector, window.grid, range.range_ms)
    }

    fn subquery_selection(
        &self,
        subquery: &Subquery,
        window: &mut WindowCall,
    ) -> Result<Box<dyn Selection + 'a>> {
        window.offset_ms = subquery.offset_ms;
        window.at_ms = subquery.at_ms;
        window.range_ms = subquery.range_ms;
        Ok(Box::new(self.subquery(subquery, window.grid)?))
    }

    /// The inner expression at every multiple of the step that some window can see.
    pub(crate) fn subquery(&self, subquery: &Subquery, grid: Grid) -> Result<Computed> {
        let step = subquery.step_ms.max(1);
        let after = subquery.moment(grid.start_ms) - subquery.range_ms;
        let start = after.div_euclid(step) * step + step;
        let end = subquery.moment(grid.end_ms());
        let Some(inner) = Grid::new(start, end, step) else {
            return Err(QueryError::TooManySamples);
        };
        if inner.steps() == 0 {
            return Ok(Computed::new(Vec::new(), inner));
        }
        let before = self.stats.borrow().clone();
        let series = self.vector(&subquery.inner, inner)?;
        // Its samples are counted where the windows look at them.
        let mut stats = self.stats.borrow_mut();
        let series_count = stats.series;
        *stats = before;
        stats.series = series_count;
        Ok(Computed::new(series, inner))
    }

    /// All series of a stream.
    fn collect(&self, stream: &Stream<'_>, grid: Grid) -> Result<Vec<Series>> {
        let parts = self.on_threads(stream, grid, |range, worker| {
            let mut part = Vec::new();
            for index in range {
                self.control.check()?;
                if let Some(series) = stream.produce(index, worker)? {
                    self.samples.take(series.column.weight())?;
                    part.push(series);
                }
            }
            Ok(part)
        })?;
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        parts.for_each(|part| all.extend(part));
        Ok(all)
    }

    /// Splits a stream's series over threads; answers what each made, in the order of the series.
    fn on_threads<R: Send>(
        &self,
        stream: &Stream<'_>,
        grid: Grid,
        work: impl Fn(std::ops::Range<usize>, &mut Worker) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let count = stream.selection().len();
        let worthwhile = count >= PARALLEL_SERIES_MIN;
        let threads = if worthwhile { self.options.threads.clamp(1, 64) } else { 1 };
        if threads == 1 {
            let mut worker = Worker::new(grid.steps());
            let result = work(0..count, &mut worker);
            self.take_in(worker, grid);
            return Ok(vec![result?]);
        }
        let bounds = |part: usize| part * count / threads..(part + 1) * count / threads;
        let results = scatter((0..threads).map(bounds).collect(), |range| {
            let mut worker = Worker::new(grid.steps());
            let result = work(range, &mut worker);
            (result, worker)
        });
        let mut out = Vec::with_capacity(threads);
        let mut failed = None;
        for (result, worker) in results {
            self.take_in(worker, grid);
            match result {
                Ok(part) => out.push(part),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(out), Err)
    }

    fn take_in(&self, worker: Worker, grid: Grid) {
        self.notes.merge(worker.notes);
        let mut stats = self.stats.borrow_mut();
        if grid == self.query_grid {
            stats.merge(&worker.stats);
        } else {
            // Another grid than the query's: a part evaluated once for all steps.
            let steps = self.query_grid.steps();
            for step in 0..steps {
                stats.add_at(step, worker.stats.total);
            }
        }
    }

    // ── calls ──

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
            Body::Columns(evaluate) => {
                let arguments = self.arguments(call, grid)?;
                evaluate(Invocation {
                    arguments,
                    nodes: &call.arguments,
                    positions: &call.positions,
                    position: call.position,
                    grid,
                    notes: &self.notes,
                    evaluator: self,
                })
            }
            Body::Folded => unreachable!("planning has replaced it"),
        }
    }

    /// Some functions look at the selector itself rather than at its values.
    fn arguments(&self, call: &Call, grid: Grid) -> Result<Vec<Value>> {
        let nothing = || Ok(Value::Vector(Vec::new()));
        let name = call.function.name;
        let arguments = call.arguments.iter().enumerate().map(|(index, node)| {
            let selector = matches!(node.without_invariant(), Node::Vector(_));
            match (name, index) {
                ("timestamp", _) if selector => nothing(),
                ("start_timestamp", _) => nothing(),
                ("info", 1) => nothing(),
                _ => self.evaluate(node, grid),
            }
        });
        arguments.collect()
    }

    fn window_call(&self, node: &Node, call: &Call, grid: Grid) -> Result<Value> {
        let stream = self.stream(node, grid)?.expect("a window function is a stream");
        let series = self.collect(&stream, grid)?;
        if call.function.name == "absent_over_time" {
            self.release(&series);
            let labels = absent_labels(&call.arguments[0]);
            let mut series = inverted_presence(&series, labels, grid.steps());
            series.iter_mut().for_each(|one| one.lose_name(self.options.delayed_name_removal));
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

    /// After names were lost: equal labels at the same step are an error, else they are one series.
    pub(crate) fn renamed(&self, series: Vec<Series>) -> Result<Vec<Series>> {
        self.merged_unless_delayed(series)
    }

    fn merged_unless_delayed(&self, series: Vec<Series>) -> Result<Vec<Series>> {
        if self.options.delayed_name_removal { Ok(series) } else { self.merged(series) }
    }

    /// Series of equal labels become one; an error where both have a value at one step.
    pub(crate) fn merged(&self, series: Vec<Series>) -> Result<Vec<Series>> {
        if !has_duplicates(&series) {
            return Ok(series);
        }
        let mut by_labels: HashMap<Labels, usize, BytesHash> = HashMap::default();
        let mut merged: Vec<Series> = Vec::new();
        for one in series {
            match by_labels.get(&one.labels) {
                Some(index) => {
                    if !merged[*index].column.absorb(&one.column) {
                        return Err(QueryError::execution(DUPLICATES));
                    }
                }
                None => {
                    by_labels.insert(one.labels.clone(), merged.len());
                    merged.push(one);
                }
            }
        }
        Ok(merged)
    }

    // ── aggregation ──

    fn aggregate(&self, aggregate: &Aggregate, grid: Grid) -> Result<Value> {
        let parameter = match &aggregate.parameter {
            Some(node) if aggregate.op != AggregateOp::CountValues => {
                Some(self.scalar(node, grid)?)
            }
            _ => None,
        };
        if aggregate.op == AggregateOp::CountValues || aggregate.op.selects() {
            let series = self.vector(&aggregate.inner, grid)?;
            self.release(&series);
            let picked = if aggregate.op == AggregateOp::CountValues {
                pick::count_values(self, aggregate, &series, grid)?
            } else {
                let parameter = parameter.expect("these have one");
                pick::pick(self, aggregate, series, &parameter, grid)?
            };
            self.hold(&picked)?;
            return Ok(Value::Vector(picked));
        }
        let parameter = parameter.unwrap_or_default();
        pick::note_bad_quantiles(self, aggregate, &parameter);
        let folded = match self.stream(&aggregate.inner, grid)? {
            Some(stream) if !is_absent(&aggregate.inner) => {
                self.fold_stream(aggregate, &stream, grid)?
            }
            _ => {
                let series = self.vector(&aggregate.inner, grid)?;
                self.release(&series);
                let mut fold = Fold::new(aggregate, grid.steps());
                for one in &series {
                    fold.add(one, &self.notes);
                }
                fold
            }
        };
        let series = folded.finish(&parameter, &self.notes);
        self.hold(&series)?;
        Ok(Value::Vector(series))
    }

    fn fold_stream(&self, aggregate: &Aggregate, stream: &Stream<'_>, grid: Grid) -> Result<Fold> {
        let may_collide = match (&aggregate.inner, stream) {
            (Node::Call(call), Stream::Window(_, window)) => {
                let one_name =
                    matches!(&call.arguments[..], [Node::Range(r)] if r.selector.has_one_name());
                !window.delayed && !window.body.keeps_name && !one_name
            }
            _ => false,
        };
        let parts = self.on_threads(stream, grid, |range, worker| {
            let mut fold = Fold::new(aggregate, grid.steps());
            let mut seen = HashSet::new();
            for index in range {
                self.control.check()?;
                if let Some(series) = stream.produce(index, worker)? {
                    if may_collide && !seen.insert(series.labels.clone()) {
                        return Err(QueryError::execution(DUPLICATES));
                    }
                    fold.add(&series, &worker.notes);
                }
            }
            self.samples.take(fold.weight())?;
            Ok((fold, seen))
        })?;
        let mut parts = parts.into_iter();
        let (mut fold, mut seen) = parts.next().expect("there is at least one part");
        for (part, labels) in parts {
            if labels.iter().any(|labels| seen.contains(labels)) {
                return Err(QueryError::execution(DUPLICATES));
            }
            seen.extend(labels);
            self.samples.give_back(part.weight());
            fold.merge(part);
        }
        self.samples.give_back(fold.weight());
        Ok(fold)
    }
}

fn is_absent(node: &Node) -> bool {
    matches!(node, Node::Call(call) if call.function.name == "absent_over_time")
}

fn check_edges(window: &WindowCall) -> Result<()> {
    let (word, allowed, names) = match window.edges {
        Edges::Plain => return Ok(()),
        Edges::Anchored => {
            ("anchored", window.body.anchored, "changes, delta, increase, rate, resets")
        }
        Edges::Smoothed => ("smoothed", window.body.smoothed, "delta, increase, rate"),
    };
    if allowed {
        return Ok(());
    }
    let name = window.function.name;
    let message = format!("{word} modifier can only be used with: {names} - not with {name}");
    Err(QueryError::Execution(message))
}

pub(crate) fn has_duplicates(series: &[Series]) -> bool {
    if series.len() < 2 {
        return false;
    }
    let mut seen: HashSet<&[u8], BytesHash> =
        HashSet::with_capacity_and_hasher(series.len(), BytesHash::default());
    !series.iter().all(|one| seen.insert(one.labels.as_bytes()))
}

fn map_floats(column: &mut StepColumn, map: impl Fn(f64) -> Option<f64>) {
    let removed: Vec<usize> = (0..column.steps())
        .filter(|step| {
            let mapped = column.float(*step).map(&map);
            match mapped {
                Some(Some(value)) => {
                    column.raw_values_mut()[*step] = value;
                    false
                }
                Some(None) => true,
                None => false,
            }
        })
        .collect();
    removed.into_iter().for_each(|step| column.remove(step));
}

fn mapped_to_floats(
    column: &StepColumn,
    float: impl Fn(f64) -> Option<f64>,
    histogram: impl Fn(&model::FloatHistogram) -> Option<f64>,
) -> StepColumn {
    use super::column::Slot;
    let mut out = StepColumn::new(column.steps());
    for (step, slot) in column.iter() {
        let value = match slot {
            Slot::Float(value) => float(value),
            Slot::Histogram(value) => histogram(value),
        };
        if let Some(value) = value {
            out.set_float(step, value);
        }
    }
    out
}

/// Every sample mapped to its own kind; `None` removes it.
pub(crate) fn mapped(
    column: &StepColumn,
    float: impl Fn(f64) -> Option<f64>,
    histogram: impl Fn(&model::FloatHistogram) -> Option<model::FloatHistogram>,
) -> StepColumn {
    use super::column::Slot;
    let mut out = StepColumn::new(column.steps());
    for (step, slot) in column.iter() {
        match slot {
            Slot::Float(value) => {
                if let Some(value) = float(value) {
                    out.set_float(step, value);
                }
            }
            Slot::Histogram(value) => {
                if let Some(value) = histogram(value) {
                    out.set_histogram(step, Arc::new(value));
                }
            }
        }
    }
    out
}

/// A node in a few words, for the trace.
fn describe(node: &Node) -> String {
    match node {
        Node::Number(value) => format!("number {value}"),
        Node::String(_) => "string".to_owned(),
        Node::Vector(selector) => format!("select {}", matchers_text(selector)),
        Node::Range(range) => format!("select {}", matchers_text(&range.selector)),
        Node::Subquery(_) => "subquery".to_owned(),
        Node::Negate(_) => "negate".to_owned(),
        Node::Binary(binary) => format!("binary {}", binary.op.as_str()),
        Node::Call(call) => format!("call {}", call.function.name),
        Node::Aggregate(aggregate) => format!("aggregate {}", aggregate.op.as_str()),
        Node::Invariant(_) => "once for all steps".to_owned(),
    }
}

fn matchers_text(selector: &Selector) -> String {
    let texts: Vec<String> = selector.matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}
