//! A store in memory, with the behaviour of Prometheus' own where queries can see it.

use super::Backend;
use super::series::LoadedSeries;
use crate::storage::{
    Column, Scratch, SelectHints, Selection, SeriesColumns, Storage, StorageError,
};
use model::{
    FloatHistogram, Labels, Matcher, ResetHint, Room, SampleValue, custom_bounds_match, is_stale,
    matches_all,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    series: BTreeMap<Labels, MemorySeries>,
}

#[derive(Clone, Debug, Default)]
struct MemorySeries {
    /// By time: the start timestamp and the value.
    samples: BTreeMap<i64, (i64, SampleValue)>,
    columns: Scratch,
}

impl MemoryStorage {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn append(&mut self, labels: &Labels, time_ms: i64, start_ms: i64, value: SampleValue) {
        let series = self.series.entry(labels.clone()).or_default();
        series.samples.insert(time_ms, (start_ms, value));
    }

    /// Makes what was appended readable.
    pub fn commit(&mut self) {
        self.series.values_mut().for_each(MemorySeries::rebuild);
    }
}

impl MemorySeries {
    fn rebuild(&mut self) {
        self.columns.clear();
        let has_starts = self.samples.values().any(|(start, _)| *start != 0);
        let mut run = Run::default();
        for (time, (start, value)) in &self.samples {
            match value {
                SampleValue::Float(value) => {
                    run = Run::default();
                    self.columns.float_times.push(*time);
                    self.columns.floats.push(*value);
                    if has_starts {
                        self.columns.float_starts.push(*start);
                    }
                }
                SampleValue::Histogram(histogram) => {
                    self.columns.histogram_times.push(*time);
                    self.columns.histograms.push(run.next(histogram));
                    if has_starts {
                        self.columns.histogram_starts.push(*start);
                    }
                }
            }
        }
    }
}

/// A run of histograms of one layout, as they would share a chunk: the reader is told that none of
/// them but the first is a reset. About the first nothing is said, as its predecessor may be gone.
#[derive(Default)]
struct Run {
    previous: Option<Arc<FloatHistogram>>,
}

impl Run {
    fn next(&mut self, histogram: &Arc<FloatHistogram>) -> Arc<FloatHistogram> {
        let hint = self.hint(histogram);
        self.previous = Some(histogram.clone());
        if hint == histogram.reset_hint {
            return histogram.clone();
        }
        let mut hinted = (**histogram).clone();
        hinted.reset_hint = hint;
        Arc::new(hinted)
    }

    fn hint(&self, histogram: &FloatHistogram) -> ResetHint {
        if histogram.reset_hint == ResetHint::Gauge {
            return ResetHint::Gauge;
        }
        if histogram.reset_hint == ResetHint::Reset {
            return ResetHint::Unknown;
        }
        let Some(previous) = &self.previous else {
            return ResetHint::Unknown;
        };
        if is_stale(histogram.sum) {
            return ResetHint::NotReset;
        }
        if previous.reset_hint == ResetHint::Gauge || is_stale(previous.sum) {
            return ResetHint::Unknown;
        }
        if histogram.count < previous.count {
            return ResetHint::Unknown;
        }
        let same_layout = histogram.schema == previous.schema
            && histogram.zero_threshold == previous.zero_threshold
            && custom_bounds_match(&histogram.custom_bounds, &previous.custom_bounds);
        if !same_layout {
            return ResetHint::Unknown;
        }
        let mut plain = histogram.clone();
        plain.reset_hint = ResetHint::Unknown;
        if plain.is_reset_from(previous) { ResetHint::Unknown } else { ResetHint::NotReset }
    }
}

impl Backend for MemoryStorage {
    fn clear(&mut self) -> Result<(), String> {
        self.series.clear();
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        for one in series {
            for sample in &one.samples {
                self.append(&one.labels, sample.time_ms, sample.start_ms, sample.value.clone());
            }
        }
        self.commit();
        Ok(())
    }

    fn storage(&self) -> &dyn Storage {
        self
    }
}

struct MemorySelection<'a> {
    series: Vec<(&'a Labels, &'a MemorySeries)>,
    start_ms: i64,
    end_ms: i64,
}

fn within<'a, T>(column: Column<'a, T>, start_ms: i64, end_ms: i64) -> Column<'a, T> {
    let low = column.times.partition_point(|time| *time < start_ms);
    let high = column.times.partition_point(|time| *time <= end_ms).max(low);
    let starts = if column.starts.is_empty() { &[] } else { &column.starts[low..high] };
    Column { times: &column.times[low..high], values: &column.values[low..high], starts }
}

impl Selection for MemorySelection<'_> {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].0.clone()
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        _: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let columns = self.series[index].1.columns.columns();
        Ok(SeriesColumns {
            floats: within(columns.floats, self.start_ms, self.end_ms),
            histograms: within(columns.histograms, self.start_ms, self.end_ms),
        })
    }
}

impl Storage for MemoryStorage {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
        _: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let matching = self.series.iter().filter(|(labels, _)| matches_all(matchers, labels));
        Ok(Box::new(MemorySelection {
            series: matching.collect(),
            start_ms: hints.start_ms,
            end_ms: hints.end_ms,
        }))
    }
}
