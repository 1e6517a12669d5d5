//! Selectors and window functions as streams: series by series, on several threads where there are
//! many.

use super::eval::{Evaluator, new_fold};
use super::hinted::Hinted;
use super::instant::InstantCall;
use super::plan::{Aggregate, Call, Node, RangeSelector, Subquery};
use super::subquery::Computed;
use super::window::WindowCall;
use super::worker::Worker;
use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::Body;
use crate::selector::{SampleTime, Selector};
use crate::storage::{SampleDetail, SelectHints, Selection};
use crate::types::Edges;
use query::aggregate::Fold;
use query::{DUPLICATES, Grid, Position, SampleStats, Series, Weight, in_parts};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, QueryError>;

/// What a series costs before its first value, in values of a plain column.
const SERIES_COST: usize = 32;

/// Series that come one by one.
pub(super) enum Stream<'n> {
    Instant(Box<dyn Selection + 'n>, InstantCall<'n>),
    Window(Box<dyn Selection + 'n>, WindowCall),
}

impl Stream<'_> {
    fn selection(&self) -> &dyn Selection {
        match self {
            Self::Instant(selection, _) | Self::Window(selection, _) => &**selection,
        }
    }

    /// What a step costs, in values of a plain column: window by window it is more.
    fn step_cost(&self) -> usize {
        match self {
            Self::Window(_, call) if call.body.columnar.is_none() => 4,
            _ => 1,
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
        let drops_name = selection.drops_name(index);
        series.map(|series| {
            series.map(|one| Series { drop_name: one.drop_name || drops_name, ..one })
        })
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn stream<'n>(&self, node: &'n Node, grid: Grid) -> Result<Option<Stream<'n>>>
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
    pub(super) fn select_times(
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
            detail: selector.detail,
        };
        let mut room = self.holding;
        let selection = self.storage.select(&hints, &selector.matchers, &mut room)?;
        for warning in selection.warnings() {
            self.notes.add(Note::Storage(warning), Position::default());
        }
        self.stats.borrow_mut().series += selection.len() as u64;
        if hints.detail == SampleDetail::WithoutBuckets {
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
        let mut window = WindowCall {
            function: call.function,
            body,
            grid,
            offset_ms: 0,
            at_ms: None,
            range_ms: 0,
            edges: Edges::Plain,
            lookback_ms: self.options.lookback_ms,
            scalars: Vec::new(),
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
        // After the window: where both fail, the window's error is reported.
        let scalars = call.arguments.iter().enumerate().filter(|(other, _)| *other != index);
        let scalars = scalars.map(|(_, node)| self.scalar(node, grid));
        window.scalars = scalars.collect::<Result<_>>()?;
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
            return Err(query::QueryError::TooManySamples.into());
        };
        if inner.steps() == 0 {
            return Ok(Computed::new(Vec::new(), inner));
        }
        let outer = self.stats.replace(SampleStats::with_steps(inner.steps()));
        let outer_grid = self.stats_grid.replace(inner);
        let series = self.vector(&subquery.inner, inner);
        self.stats_grid.set(outer_grid);
        let counted = self.stats.replace(outer);
        self.count_subquery(subquery, grid, inner, &counted);
        Ok(Computed::new(series?, inner))
    }

    /// What a subquery looked at counts for the first step whose window has it; what the windows then
    /// look at counts too.
    fn count_subquery(&self, subquery: &Subquery, grid: Grid, inner: Grid, counted: &SampleStats) {
        let mut stats = self.stats.borrow_mut();
        stats.series += counted.series;
        if grid != self.stats_grid.get() {
            return count_once(&mut stats, counted);
        }
        let mut step = 0;
        for (index, time) in inner.times().enumerate() {
            while step + 1 < grid.steps() && subquery.moment(grid.time(step)) < time {
                step += 1;
            }
            stats.add_at(step, counted.per_step[index], counted.read_at(index));
        }
    }

    /// All series of a stream.
    pub(super) fn collect(&self, stream: &Stream<'_>, grid: Grid) -> Result<Vec<Series>> {
        let parts = self.on_threads(stream, grid, |range, worker| {
            let (mut part, mut portions) = (Vec::new(), self.holding.portions());
            for index in range {
                self.control.check_in_turn(index)?;
                if let Some(series) = stream.produce(index, worker)? {
                    portions.take(series.weight())?;
                    part.push(series);
                }
            }
            portions.settle()?;
            Ok(part)
        })?;
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        parts.for_each(|part| all.extend(part));
        Ok(all)
    }

    /// Splits a stream's series over threads; answers what each made, in the order of the series.
    pub(super) fn on_threads<R: Send>(
        &self,
        stream: &Stream<'_>,
        grid: Grid,
        work: impl Fn(std::ops::Range<usize>, &mut Worker) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let cost = grid.steps() * stream.step_cost() + SERIES_COST;
        let count = stream.selection().len();
        let results = in_parts(&self.options.helpers, count, cost, |range| {
            let mut worker = Worker::new(grid.steps());
            let result = work(range, &mut worker);
            worker.finish();
            (result, worker)
        });
        let mut out = Vec::with_capacity(results.len());
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
        if grid == self.stats_grid.get() {
            stats.merge(&worker.stats);
        } else {
            count_once(&mut stats, &worker.stats);
        }
    }

    pub(super) fn fold_stream(
        &self,
        aggregate: &Aggregate,
        stream: &Stream<'_>,
        grid: Grid,
    ) -> Result<Fold> {
        let may_collide = match (&aggregate.inner, stream) {
            (Node::Call(call), Stream::Window(_, window)) => {
                let one_name =
                    matches!(&call.arguments[..], [Node::Range(r)] if r.selector.has_one_name());
                !window.delayed && !window.body.keeps_name && !one_name
            }
            _ => false,
        };
        let parts = self.on_threads(stream, grid, |range, worker| {
            let mut fold = new_fold(aggregate, grid);
            let mut seen = HashSet::new();
            let mut portions = self.holding.portions();
            for index in range {
                self.control.check_in_turn(index)?;
                if let Some(series) = stream.produce(index, worker)? {
                    if may_collide {
                        portions.take(Weight::labels(&series.labels))?;
                        if !seen.insert(series.labels.clone()) {
                            return Err(QueryError::execution(DUPLICATES));
                        }
                    }
                    // These samples are held for a moment only. They are counted until the fold is
                    // done, as in Prometheus, so that both refuse the same queries.
                    let samples = series.column.weight().samples;
                    portions.take(Weight { samples, bytes: 0 })?;
                    fold.add(&series, &worker.notes, &mut portions)?;
                    worker.give_back(series.column);
                }
            }
            portions.settle()?;
            Ok((fold, seen))
        })?;
        let mut parts = parts.into_iter();
        let (mut fold, mut seen) = parts.next().expect("there is at least one part");
        for (part, labels) in parts {
            if labels.iter().any(|labels| seen.contains(labels)) {
                return Err(QueryError::execution(DUPLICATES));
            }
            seen.extend(labels);
            fold.merge(part);
        }
        Ok(fold)
    }
}

/// Counts a part that is evaluated once for all steps: every step looks at its samples, which the first
/// one reads.
fn count_once(stats: &mut SampleStats, once: &SampleStats) {
    for step in 0..stats.per_step.len() {
        stats.add_at(step, once.total, if step == 0 { once.read() } else { 0 });
    }
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
    Err(QueryError::execution(message))
}
