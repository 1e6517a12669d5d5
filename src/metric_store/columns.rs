//! The samples of one series as columns, and merging the columns of several sources.

use crate::batch::HistogramSample;
use model::FloatHistogram;
use std::sync::Arc;

/// Samples of one kind, in rising order of time, at most one per millisecond.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column<T> {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<T>,
    /// When the counter behind each value began, 0 if unknown. Empty if no start is known.
    pub(crate) starts: Vec<i64>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { times: Vec::new(), values: Vec::new(), starts: Vec::new() }
    }
}

impl<T> Column<T> {
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// If any value has a start, pads so that each value has one.
    pub(crate) fn pad_starts(&mut self) {
        if !self.starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
        }
    }

    /// Adds the start of the next value. Either all values before have starts or none has.
    pub(crate) fn push_start(&mut self, start: i64) {
        let filled = self.times.len() - 1;
        if start != 0 || !self.starts.is_empty() {
            self.starts.resize(filled, 0);
            self.starts.push(start);
        }
    }

    fn start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or(0)
    }
}

impl<T: Clone> Column<T> {
    /// Merges the samples of `newer` into this column. If both have a sample for one millisecond,
    /// `newer` wins. Usually `newer` is wholly later.
    pub(crate) fn absorb(&mut self, newer: &mut Self, scratch: &mut Self) {
        if newer.is_empty() {
            return;
        }
        if self.is_empty() {
            std::mem::swap(self, newer);
            return;
        }
        if self.times.last() < newer.times.first() {
            self.append(newer);
            return;
        }
        scratch.clear();
        merge_into(self, newer, scratch);
        std::mem::swap(self, scratch);
    }

    /// Appends samples that are all later than those of this column.
    pub(crate) fn extend(&mut self, times: &[i64], values: &[T], starts: &[i64]) {
        if !self.starts.is_empty() || !starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
            self.starts.extend_from_slice(starts);
        }
        self.times.extend_from_slice(times);
        self.values.extend_from_slice(values);
        self.pad_starts();
    }

    fn append(&mut self, newer: &mut Self) {
        if !self.starts.is_empty() || !newer.starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
            newer.starts.resize(newer.times.len(), 0);
            self.starts.append(&mut newer.starts);
        }
        self.times.append(&mut newer.times);
        self.values.append(&mut newer.values);
    }

    pub(crate) fn keep(&mut self, mut wanted: impl FnMut(i64) -> bool) {
        let mut kept = 0;
        for index in 0..self.times.len() {
            if wanted(self.times[index]) {
                self.times.swap(kept, index);
                self.values.swap(kept, index);
                if !self.starts.is_empty() {
                    self.starts.swap(kept, index);
                }
                kept += 1;
            }
        }
        self.times.truncate(kept);
        self.values.truncate(kept);
        self.starts.truncate(kept);
    }
}

fn merge_into<T: Clone>(older: &Column<T>, newer: &Column<T>, into: &mut Column<T>) {
    let (mut left, mut right) = (0, 0);
    while left < older.times.len() || right < newer.times.len() {
        let old = older.times.get(left).copied();
        let new = newer.times.get(right).copied();
        let (column, index) = match (old, new) {
            (Some(old), Some(new)) if old < new => (older, &mut left),
            (Some(_), None) => (older, &mut left),
            (old, _) => {
                left += usize::from(old == new);
                (newer, &mut right)
            }
        };
        into.times.push(column.times[*index]);
        into.values.push(column.values[*index].clone());
        into.push_start(column.start(*index));
        *index += 1;
    }
    into.pad_starts();
}

/// Buffers for decoded samples. One per thread, reused for every series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) floats: Column<f64>,
    pub(crate) histograms: Column<Arc<FloatHistogram>>,
}

impl Columns {
    /// The histograms from this index on, without the floats.
    pub(crate) fn histograms_from(&self, index: usize) -> Self {
        let Column { times, values, starts } = &self.histograms;
        let histograms = Column {
            times: times[index..].to_vec(),
            values: values[index..].to_vec(),
            starts: starts.get(index..).unwrap_or_default().to_vec(),
        };
        Self { histograms, ..Self::default() }
    }

    pub(crate) fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Whether these times are later than all floats.
    pub(crate) fn is_behind(&self, times: &[i64]) -> bool {
        match (self.floats.times.last(), times.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        }
    }

    pub(crate) fn absorb(&mut self, newer: &mut Self, scratch: &mut Self) {
        self.floats.absorb(&mut newer.floats, &mut scratch.floats);
        self.histograms.absorb(&mut newer.histograms, &mut scratch.histograms);
    }

    pub(crate) fn keep(&mut self, wanted: impl Fn(i64) -> bool) {
        self.floats.keep(&wanted);
        self.histograms.keep(&wanted);
    }

    /// Removes a float where a histogram has the same millisecond: the histogram says more.
    pub(crate) fn settle(&mut self) {
        if !self.histograms.is_empty() && !self.floats.is_empty() {
            let taken = &self.histograms.times;
            self.floats.keep(|time| taken.binary_search(&time).is_err());
        }
    }

    pub(crate) fn push_histogram(&mut self, sample: &HistogramSample) {
        self.histograms.times.push(sample.time_ms);
        self.histograms.values.push(Arc::clone(&sample.histogram));
        self.histograms.push_start(sample.start_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Rows = BTreeMap<i64, (i32, i64)>;

    fn column(rows: &Rows) -> Column<i32> {
        let mut column = Column::default();
        for (time, (value, start)) in rows {
            column.times.push(*time);
            column.values.push(*value);
            column.push_start(*start);
        }
        column.pad_starts();
        column
    }

    fn any_rows() -> impl Strategy<Value = Rows> {
        prop::collection::btree_map(
            0i64..30,
            (any::<i32>(), prop_oneof![Just(0i64), 1i64..4]),
            0..20,
        )
    }

    proptest! {
        #[test]
        fn absorbing_is_overwriting(older in any_rows(), newer in any_rows(), apart in any::<bool>()) {
            let newer: Rows =
                newer.into_iter().map(|(t, row)| (if apart { t + 30 } else { t }, row)).collect();
            let mut merged = column(&older);
            merged.absorb(&mut column(&newer), &mut Column::default());
            let mut all = older;
            all.extend(newer);
            let expected = column(&all);
            prop_assert_eq!(&merged.times, &expected.times);
            prop_assert_eq!(&merged.values, &expected.values);
            let starts = |column: &Column<i32>| -> Vec<i64> {
                (0..column.times.len()).map(|index| column.start(index)).collect()
            };
            prop_assert_eq!(starts(&merged), starts(&expected));
            prop_assert!(merged.starts.is_empty() || merged.starts.len() == merged.times.len());
        }
    }
}
