//! Instant selectors: at each step the newest sample that is not too old.

use super::worker::Worker;
use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::WindowContext;
use crate::functions::interpolation::{interpolate, interpolate_histograms};
use crate::selector::{SampleTime, Selector};
use crate::storage::{Column, SeriesColumns};
use crate::types::Edges;
use model::{Labels, ResetHint, is_stale};
use query::{Grid, Series, StepColumn};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

/// The selection of one series at every step.
pub(crate) struct InstantCall<'a> {
    pub(crate) selector: &'a Selector,
    pub(crate) grid: Grid,
    pub(crate) lookback_ms: i64,
    /// Answer times in seconds instead of values.
    pub(crate) times: Option<SampleTime>,
}

/// The newest sample at or before a moment, found by walking with the steps.
struct Newest<'a, T> {
    column: Column<'a, T>,
    /// How many samples are at or before the last moment asked for.
    passed: usize,
}

impl<'a, T> Newest<'a, T> {
    fn new(column: Column<'a, T>) -> Self {
        Self { column, passed: 0 }
    }

    #[inline]
    fn index_at(&mut self, moment: i64) -> Option<usize> {
        let times = self.column.times;
        while self.passed < times.len() && times[self.passed] <= moment {
            self.passed += 1;
        }
        self.passed.checked_sub(1)
    }
}

impl InstantCall<'_> {
    pub(crate) fn produce(
        &self,
        labels: Labels,
        columns: SeriesColumns<'_>,
        worker: &mut Worker,
    ) -> Result<Option<Series>> {
        let column = match self.selector.edges {
            Edges::Smoothed if self.times.is_none() => self.smoothed(&labels, columns, worker),
            _ => self.newest(columns, worker),
        };
        Ok((!column.is_empty()).then(|| Series::new(labels, column)))
    }

    /// Floats alone: which sample stands at which step is found once for all series that share
    /// their times.
    fn newest_floats(&self, column: Column<'_, f64>, worker: &mut Worker) -> StepColumn {
        let steps = self.grid.steps();
        let mut out = worker.column(steps);
        if steps == 1 {
            if let Some(value) = self.newest_float(column) {
                out.set_float(0, value);
                worker.stats.add_at(0, 1, 1);
            }
            return out;
        }
        let Worker { float_clocks, stats, .. } = worker;
        let young = float_clocks.windows(column.times, steps, |step| {
            let moment = self.selector.moment(self.grid.time(step));
            (moment - self.lookback_ms, moment)
        });
        for (step, samples) in young.iter() {
            let value = column.values[samples.end - 1];
            if !is_stale(value) {
                out.set_float(step, value);
                stats.add_at(step, 1, 1);
            }
        }
        out
    }

    /// At the only step there is.
    fn newest_float(&self, column: Column<'_, f64>) -> Option<f64> {
        let moment = self.selector.moment(self.grid.time(0));
        let newer = column.times.iter().rev().take_while(|time| **time > moment).count();
        let index = column.times.len().checked_sub(newer + 1)?;
        let is_young = column.times[index] > moment - self.lookback_ms;
        Some(column.values[index]).filter(|value| is_young && !is_stale(*value))
    }

    fn newest(&self, columns: SeriesColumns<'_>, worker: &mut Worker) -> StepColumn {
        if columns.histograms.times.is_empty() && self.times.is_none() {
            return self.newest_floats(columns.floats, worker);
        }
        let mut out = StepColumn::new(self.grid.steps());
        let mut floats = Newest::new(columns.floats);
        let mut histograms = Newest::new(columns.histograms);
        for step in 0..self.grid.steps() {
            let moment = self.selector.moment(self.grid.time(step));
            let oldest = moment - self.lookback_ms;
            let float = floats.index_at(moment).filter(|i| columns.floats.times[*i] > oldest);
            let histogram =
                histograms.index_at(moment).filter(|i| columns.histograms.times[*i] > oldest);
            let newer_histogram = match (float, histogram) {
                (Some(f), Some(h)) => columns.histograms.times[h] > columns.floats.times[f],
                (_, histogram) => histogram.is_some(),
            };
            if newer_histogram {
                let index = histogram.expect("it is the newer one");
                self.put_histogram(&mut out, step, columns.histograms, index, worker);
            } else if let Some(index) = float {
                self.put_float(&mut out, step, columns.floats, index, worker);
            }
        }
        out
    }

    #[inline]
    fn put_float(
        &self,
        out: &mut StepColumn,
        step: usize,
        column: Column<'_, f64>,
        index: usize,
        worker: &mut Worker,
    ) {
        let value = column.values[index];
        if is_stale(value) {
            return;
        }
        worker.stats.add_at(step, 1, 1);
        out.set_float(step, self.time_of(column, index).unwrap_or(value));
    }

    fn put_histogram(
        &self,
        out: &mut StepColumn,
        step: usize,
        column: Column<'_, Arc<model::FloatHistogram>>,
        index: usize,
        worker: &mut Worker,
    ) {
        let histogram = &column.values[index];
        if is_stale(histogram.sum) {
            return;
        }
        let weight = histogram.sample_weight() as u64;
        worker.stats.add_at(step, weight, weight);
        match self.time_of(column, index) {
            Some(time) if self.times != Some(SampleTime::TakenOfFloats) => {
                out.set_float(step, time);
            }
            _ => out.set_histogram(step, histogram.clone()),
        }
    }

    fn time_of<T>(&self, column: Column<'_, T>, index: usize) -> Option<f64> {
        let millis = match self.times? {
            SampleTime::Taken | SampleTime::TakenOfFloats => column.times[index],
            SampleTime::Started => column.starts.get(index).copied().unwrap_or(0),
        };
        Some(millis as f64 / 1000.0)
    }

    /// On the line between the samples before and after each moment. Stale markers are not samples.
    fn smoothed(
        &self,
        labels: &Labels,
        columns: SeriesColumns<'_>,
        worker: &mut Worker,
    ) -> StepColumn {
        let mut out = StepColumn::new(self.grid.steps());
        let mut clean = std::mem::take(&mut worker.clean);
        let columns = clean.without_stale(columns, false);
        let (float_times, floats) = (columns.floats.times, columns.floats.values);
        for step in 0..self.grid.steps() {
            let moment = self.selector.moment(self.grid.time(step));
            let float = around(float_times, moment, self.lookback_ms);
            let histogram = around(columns.histograms.times, moment, self.lookback_ms);
            match (float, histogram) {
                (Around::Nothing, Around::Nothing) => {}
                (around, Around::Nothing) => {
                    let value = match around.points() {
                        None => continue,
                        Some((a, b)) if a == b => floats[a],
                        Some((a, b)) => interpolate(
                            (float_times[a], floats[a]),
                            (float_times[b], floats[b]),
                            moment,
                            false,
                        ),
                    };
                    worker.stats.add_at(step, 1, 1);
                    out.set_float(step, value);
                }
                (Around::Nothing, around) => {
                    self.smooth_histogram(&mut out, step, labels, columns, around, worker);
                }
                _ => {
                    let note = Note::MixedFloatsHistograms(labels.metric_name().to_owned());
                    worker.notes.add(note, self.selector.position);
                }
            }
        }
        worker.clean = clean;
        out
    }

    fn smooth_histogram(
        &self,
        out: &mut StepColumn,
        step: usize,
        labels: &Labels,
        columns: SeriesColumns<'_>,
        around: Around,
        worker: &mut Worker,
    ) {
        let Some((a, b)) = around.points() else { return };
        let Column { times, values, .. } = columns.histograms;
        let weight = values[a].sample_weight() as u64;
        worker.stats.add_at(step, weight, weight);
        if a == b {
            out.set_histogram(step, values[a].clone());
            return;
        }
        let context = WindowContext {
            labels,
            range_ms: 0,
            edges: Edges::Smoothed,
            notes: &worker.notes,
            position: self.selector.position,
            all_position: self.selector.position,
        };
        let gauges = [a, b].map(|index| values[index].reset_hint == ResetHint::Gauge);
        let counter = gauges != [true; 2];
        let moment = self.selector.moment(self.grid.time(step));
        let (before, after) = ((times[a], &*values[a]), (times[b], &*values[b]));
        if let Some(value) = interpolate_histograms(before, after, moment, counter, &context) {
            out.set_histogram(step, Arc::new(value));
        }
    }
}

/// The samples next to a moment, as far as the lookback reaches either way.
#[derive(Clone, Copy)]
enum Around {
    Nothing,
    /// Only later ones: there is something, but no value yet.
    Later,
    At(usize),
    Between(usize, usize),
}

impl Around {
    fn points(self) -> Option<(usize, usize)> {
        match self {
            Self::Nothing | Self::Later => None,
            Self::At(index) => Some((index, index)),
            Self::Between(before, after) => Some((before, after)),
        }
    }
}

fn around(times: &[i64], moment: i64, lookback_ms: i64) -> Around {
    let first = times.partition_point(|time| *time <= moment - lookback_ms);
    let end = times.partition_point(|time| *time <= moment + lookback_ms);
    if first == end {
        return Around::Nothing;
    }
    let next = times[..end].partition_point(|time| *time < moment);
    if next < end && times[next] == moment {
        Around::At(next)
    } else if next <= first {
        Around::Later
    } else if next < end {
        Around::Between(next - 1, next)
    } else {
        Around::At(next - 1)
    }
}
