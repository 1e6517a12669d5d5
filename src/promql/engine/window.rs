//! Window functions over one series: windows slide over its columns from step to step.

use super::clocks::not_seen;
use super::worker::Worker;
use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::{
    Answer, Columnar, Function, ResetRange, Window, WindowContext, WindowFunction,
};
use crate::functions::counter::{changed, count_pairs, fell};
use crate::functions::extremes::slide;
use crate::functions::start_says_reset;
use crate::storage::{Column, SeriesColumns};
use crate::types::Edges;
use model::{FloatHistogram, Labels};
use query::{Grid, Position, Series, StepColumn};
use std::ops::Range;
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
        worker.resets.clear();
        if self.body.counter {
            find_resets(floats, &mut worker.resets);
        }
        match self.body.columnar {
            Some(columnar)
                if self.edges == Edges::Plain
                    && histograms.times.is_empty()
                    && floats.starts.is_empty() =>
            {
                Ok(self.evaluate_columns(columnar, floats, worker))
            }
            _ => self.evaluate_windows(labels, columns, worker),
        }
    }

    /// The first moment (not included) and the last of which a step wants samples.
    fn span(&self, step: usize) -> (i64, i64) {
        let ((before, after), end) = (self.reach(), self.end_of(step));
        (end - self.range_ms - before, end + after)
    }

    /// Window by window.
    fn evaluate_windows(
        &self,
        labels: &Labels,
        columns: SeriesColumns<'_>,
        worker: &mut Worker,
    ) -> Result<StepColumn> {
        let SeriesColumns { floats, histograms } = columns;
        let mut out = worker.column(self.grid.steps());
        let Worker { float_clocks, histogram_clocks, resets, notes, stats, .. } = worker;
        let (steps, span) = (self.grid.steps(), |step| self.span(step));
        let windows = float_clocks.windows(floats.times, steps, span);
        let histogram_windows = histogram_clocks.windows(histograms.times, steps, span);
        let context = WindowContext {
            labels,
            range_ms: self.range_ms,
            edges: self.edges,
            notes,
            position: self.position,
            all_position: self.all_position,
        };
        let mut scalars = vec![0.0; self.scalars.len()];
        let (mut seen_floats, mut seen_histograms) = (0, 0);
        for step in cover(windows.steps(), histogram_windows.steps()) {
            let (of_floats, of_histograms) = (windows.at(step), histogram_windows.at(step));
            if of_floats.is_empty() && of_histograms.is_empty() {
                continue;
            }
            for (slot, column) in scalars.iter_mut().zip(&self.scalars) {
                *slot = column[step];
            }
            let new_histograms = not_seen(&of_histograms, &mut seen_histograms);
            let read = not_seen(&of_floats, &mut seen_floats).len() as u64
                + histogram_weight(&histograms.values[new_histograms]);
            let end_ms = self.end_of(step);
            let window = Window {
                floats: slice(floats, of_floats.clone()),
                histograms: slice(histograms, of_histograms),
                step_ms: self.grid.time(step),
                start_ms: end_ms - self.range_ms,
                end_ms,
                scalars: &scalars,
                resets: resets_in(resets, of_floats.clone()),
            };
            let looked_at = of_floats.len() as u64 + histogram_weight(window.histograms.values);
            stats.add_at(step, looked_at, read);
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
    ) -> StepColumn {
        let mut out = worker.column(self.grid.steps());
        let Worker { float_clocks, resets, .. } = worker;
        let windows = float_clocks.windows(floats.times, self.grid.steps(), |step| self.span(step));
        windows.look_at_all();
        let values = floats.values;
        match columnar {
            Columnar::Growth(growth) => {
                let stretches = windows.stretches(self.range_ms, growth, |step| self.end_of(step));
                stretches.grow(values, resets, growth, &mut out);
            }
            Columnar::Resets => count_pairs(values, windows.iter(), fell, &mut out),
            Columnar::Changes => count_pairs(values, windows.iter(), changed, &mut out),
            Columnar::Least => slide(values, windows.iter(), |v, best| v < best, &mut out),
            Columnar::Greatest => slide(values, windows.iter(), |v, best| v > best, &mut out),
        }
        out
    }

    /// Rates of what does not look like a counter are probably a mistake.
    fn note_non_counter(&self, labels: &Labels, column: &StepColumn, worker: &Worker) {
        const ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        if !self.body.expects_counter {
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

fn slice<T>(column: Column<'_, T>, samples: Range<usize>) -> Column<'_, T> {
    Column {
        times: &column.times[samples.clone()],
        values: &column.values[samples.clone()],
        starts: if column.starts.is_empty() { &[] } else { &column.starts[samples] },
    }
}

/// From the first step of either to the last.
fn cover(one: Range<usize>, other: Range<usize>) -> Range<usize> {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other,
        (_, true) => one,
        _ => one.start.min(other.start)..one.end.max(other.end),
    }
}

fn histogram_weight(histograms: &[Arc<FloatHistogram>]) -> u64 {
    histograms.iter().map(|histogram| histogram.sample_weight() as u64).sum()
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
fn resets_in(resets: &[u32], samples: Range<usize>) -> ResetRange<'_> {
    let base = samples.start;
    if resets.is_empty() {
        return ResetRange { indexes: &[], base };
    }
    let from = resets.partition_point(|index| *index as usize <= base);
    let to = resets.partition_point(|index| (*index as usize) < samples.end);
    ResetRange { indexes: &resets[from..to.max(from)], base }
}
