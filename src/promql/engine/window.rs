//! Window functions over one series: windows slide over its columns from step to step.

use super::column::{Series, StepColumn};
use super::grid::Grid;
use super::worker::Worker;
use crate::annotations::Note;
use crate::ast::Edges;
use crate::error::QueryError;
use crate::functions::extremes::slide;
use crate::functions::rate::Growth;
use crate::functions::rate::plain::WindowAt;
use crate::functions::{
    Answer, Columnar, Function, ResetRange, Window, WindowContext, WindowFunction, start_says_reset,
};
use crate::position::Position;
use crate::storage::{Column, SeriesColumns};
use model::{FloatHistogram, Labels, is_stale};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

/// A window function with everything it needs but the series.
pub(crate) struct WindowCall {
    pub(crate) function: &'static Function,
    pub(crate) body: WindowFunction,
    pub(crate) grid: Grid,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    pub(crate) range_ms: i64,
    pub(crate) edges: Edges,
    pub(crate) lookback_ms: i64,
    /// The other arguments, one column each.
    pub(crate) scalars: Vec<Vec<f64>>,
    pub(crate) position: Position,
    pub(crate) all_position: Position,
    pub(crate) delayed: bool,
    pub(crate) start_timestamps: bool,
    pub(crate) type_and_unit_labels: bool,
}

impl WindowCall {
    fn end_of(&self, step: usize) -> i64 {
        self.at_ms.unwrap_or_else(|| self.grid.time(step)) - self.offset_ms
    }

    /// How far beyond the window samples are wanted.
    fn reach(&self) -> (i64, i64) {
        match self.edges {
            Edges::Plain => (0, 0),
            Edges::Anchored => (self.lookback_ms, 0),
            Edges::Smoothed => (self.lookback_ms, self.lookback_ms),
        }
    }

    pub(crate) fn produce(
        &self,
        labels: Labels,
        columns: SeriesColumns<'_>,
        worker: &mut Worker,
    ) -> Result<Option<Series>> {
        let mut clean = std::mem::take(&mut worker.clean);
        let columns = clean.without_stale(columns, self.start_timestamps);
        let result = self.evaluate(&labels, columns, worker);
        worker.clean = clean;
        let column = result?;
        if column.is_empty() {
            return Ok(None);
        }
        self.note_non_counter(&labels, &column, worker);
        let mut series = Series::new(labels, column);
        if !self.body.keeps_name {
            series.lose_name(self.delayed);
        }
        Ok(Some(series))
    }

    fn evaluate(
        &self,
        labels: &Labels,
        columns: SeriesColumns<'_>,
        worker: &mut Worker,
    ) -> Result<StepColumn> {
        let SeriesColumns { floats, histograms } = columns;
        let mut out = worker.column(self.grid.steps());
        let context = WindowContext {
            labels,
            range_ms: self.range_ms,
            edges: self.edges,
            notes: &worker.notes,
            position: self.position,
            all_position: self.all_position,
        };
        let (before, after) = self.reach();
        let span = |step: usize| {
            let end = self.end_of(step);
            (end - self.range_ms - before, end + after)
        };
        let moved = worker.float_windows.fill(floats.times, self.grid.steps(), span);
        worker.stretches.known &= !moved;
        worker.resets.clear();
        if self.body.counter {
            find_resets(floats, &mut worker.resets);
        }
        if let Some(columnar) = self.body.columnar
            && self.edges == Edges::Plain
            && histograms.times.is_empty()
            && floats.starts.is_empty()
        {
            self.evaluate_columns(columnar, floats, worker, &mut out);
            return Ok(out);
        }
        worker.histogram_windows.fill(histograms.times, self.grid.steps(), span);
        let mut scalars = vec![0.0; self.scalars.len()];
        for step in 0..self.grid.steps() {
            let (low, high) = worker.float_windows.bounds[step];
            let (hist_low, hist_high) = worker.histogram_windows.bounds[step];
            if low == high && hist_low == hist_high {
                continue;
            }
            for (slot, column) in scalars.iter_mut().zip(&self.scalars) {
                *slot = column[step];
            }
            let end_ms = self.end_of(step);
            let window = Window {
                floats: slice(floats, low, high),
                histograms: slice(histograms, hist_low, hist_high),
                step_ms: self.grid.time(step),
                start_ms: end_ms - self.range_ms,
                end_ms,
                scalars: &scalars,
                resets: resets_in(&worker.resets, low, high),
            };
            let weight = (high - low) as u64 + histogram_weight(window.histograms);
            worker.stats.add_at(step, weight);
            match (self.body.evaluate)(&window, &context)? {
                Answer::Nothing => {}
                Answer::Float(value) => out.set_float(step, value),
                Answer::Histogram(histogram) => out.set_histogram(step, Arc::new(*histogram)),
            }
        }
        Ok(out)
    }

    /// Floats alone, all steps in one loop.
    fn evaluate_columns(
        &self,
        columnar: Columnar,
        floats: Column<'_, f64>,
        worker: &mut Worker,
        out: &mut StepColumn,
    ) {
        let windows = &worker.float_windows.bounds;
        for (step, (low, high)) in windows.iter().enumerate() {
            worker.stats.add_at(step, (high - low) as u64);
        }
        match columnar {
            Columnar::Growth(growth) => self.grow(growth, floats, worker, out),
            Columnar::Least => slide(floats.values, windows, |v, best| v < best, out),
            Columnar::Greatest => slide(floats.values, windows, |v, best| v > best, out),
        }
    }

    fn grow(
        &self,
        growth: Growth,
        floats: Column<'_, f64>,
        worker: &mut Worker,
        out: &mut StepColumn,
    ) {
        if !worker.stretches.known {
            let windows = worker.float_windows.bounds.iter().enumerate();
            let at = |(step, (low, high)): (usize, &(usize, usize))| WindowAt {
                step,
                low: *low,
                high: *high,
                end_ms: self.end_of(step),
            };
            worker.stretches.fill(floats.times, self.range_ms, growth, windows.map(at));
        }
        worker.stretches.grow(floats.values, &worker.resets, growth, out);
    }

    /// Rates of what does not look like a counter are probably a mistake.
    fn note_non_counter(&self, labels: &Labels, column: &StepColumn, worker: &Worker) {
        const ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        if !matches!(self.function.name, "rate" | "increase") {
            return;
        }
        let metric = labels.metric_name();
        let has_float = (0..column.steps()).any(|step| column.float(step).is_some());
        if metric.is_empty() || !has_float {
            return;
        }
        if self.type_and_unit_labels {
            let metric_type = labels.value("__type__");
            if !matches!(metric_type, "counter" | "histogram") {
                let (metric, metric_type) = (metric.to_owned(), metric_type.to_owned());
                let note = Note::PossibleNonCounterType { metric, metric_type };
                worker.notes.add(note, self.position);
            }
        } else if !ENDINGS.iter().any(|ending| metric.ends_with(ending)) {
            worker.notes.add(Note::PossibleNonCounter(metric.to_owned()), self.position);
        }
    }
}

fn slice<'a, T>(column: Column<'a, T>, low: usize, high: usize) -> Column<'a, T> {
    Column {
        times: &column.times[low..high],
        values: &column.values[low..high],
        starts: if column.starts.is_empty() { &[] } else { &column.starts[low..high] },
    }
}

fn histogram_weight(histograms: Column<'_, Arc<FloatHistogram>>) -> u64 {
    histograms.values.iter().map(|histogram| histogram.sample_weight() as u64).sum()
}

/// The indexes at which a counter began anew: usually none, so that windows need not look.
fn find_resets(floats: Column<'_, f64>, resets: &mut Vec<u32>) {
    let fell = |index: usize| floats.values[index] < floats.values[index - 1];
    // Without a branch for each value: hardly any column has a reset.
    let pairs = floats.values.windows(2);
    if floats.starts.is_empty() && !pairs.fold(false, |any, pair| any | (pair[1] < pair[0])) {
        return;
    }
    let anew = |index: usize| {
        !floats.starts.is_empty()
            && start_says_reset(
                (floats.starts[index - 1], floats.times[index - 1]),
                (floats.starts[index], floats.times[index]),
            )
    };
    let indexes = (1..floats.values.len()).filter(|index| fell(*index) || anew(*index));
    resets.extend(indexes.map(|index| index as u32));
}

#[inline]
fn resets_in(resets: &[u32], low: usize, high: usize) -> ResetRange<'_> {
    if resets.is_empty() {
        return ResetRange { indexes: &[], base: low };
    }
    let from = resets.partition_point(|index| *index as usize <= low);
    let to = resets.partition_point(|index| (*index as usize) < high);
    ResetRange { indexes: &resets[from..to.max(from)], base: low }
}

/// Which samples belong to the window of each step. Series that were sampled together share their
/// times, so the bounds are often those of the series before.
#[derive(Debug, Default)]
pub(crate) struct WindowBounds {
    bounds: Vec<(usize, usize)>,
    times: Vec<i64>,
}

impl WindowBounds {
    pub(super) fn bounds(&self) -> &[(usize, usize)] {
        &self.bounds
    }

    /// `span`: the first (not included) and last moment of a step's window; both never step back.
    /// Answers whether anything is different.
    pub(super) fn fill(
        &mut self,
        times: &[i64],
        steps: usize,
        span: impl Fn(usize) -> (i64, i64),
    ) -> bool {
        if self.bounds.len() == steps && self.times == times {
            return false;
        }
        self.times.clear();
        self.times.extend_from_slice(times);
        self.bounds.clear();
        let (mut low, mut high) = (0, 0);
        for step in 0..steps {
            let (after, until) = span(step);
            while low < times.len() && times[low] <= after {
                low += 1;
            }
            high = high.max(low);
            while high < times.len() && times[high] <= until {
                high += 1;
            }
            self.bounds.push((low, high));
        }
        true
    }
}

/// Columns without stale markers: borrowed where there are none, which is nearly always.
#[derive(Debug, Default)]
pub(crate) struct CleanColumns {
    float_times: Vec<i64>,
    floats: Vec<f64>,
    float_starts: Vec<i64>,
    histogram_times: Vec<i64>,
    histograms: Vec<Arc<FloatHistogram>>,
    histogram_starts: Vec<i64>,
}

impl CleanColumns {
    fn without_stale<'a>(
        &'a mut self,
        columns: SeriesColumns<'a>,
        start_timestamps: bool,
    ) -> SeriesColumns<'a> {
        let Self { float_times, floats, float_starts, .. } = self;
        let Self { histogram_times, histograms, histogram_starts, .. } = self;
        let mut columns = columns;
        if !start_timestamps {
            columns.floats.starts = &[];
            columns.histograms.starts = &[];
        }
        let stale = |histogram: &Arc<FloatHistogram>| is_stale(histogram.sum);
        SeriesColumns {
            floats: cleaned(columns.floats, |v| is_stale(*v), float_times, floats, float_starts),
            histograms: cleaned(
                columns.histograms,
                stale,
                histogram_times,
                histograms,
                histogram_starts,
            ),
        }
    }
}

fn cleaned<'a, T: Clone>(
    column: Column<'a, T>,
    is_stale: impl Fn(&T) -> bool,
    times: &'a mut Vec<i64>,
    values: &'a mut Vec<T>,
    starts: &'a mut Vec<i64>,
) -> Column<'a, T> {
    if !column.values.iter().fold(false, |any, value| any | is_stale(value)) {
        return column;
    }
    times.clear();
    values.clear();
    starts.clear();
    for (index, value) in column.values.iter().enumerate() {
        if is_stale(value) {
            continue;
        }
        times.push(column.times[index]);
        values.push(value.clone());
        starts.extend(column.starts.get(index));
    }
    Column { times, values, starts }
}
