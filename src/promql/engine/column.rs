//! Results as columns: one slot per step of the query.

use super::holding::Weight;
use model::{FloatHistogram, Labels};
use std::sync::Arc;

/// Which steps have a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    pub fn new(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)] }
    }

    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    #[inline]
    pub fn set(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    pub fn clear(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn any(&self) -> bool {
        self.words.iter().any(|word| *word != 0)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(mine, theirs)| mine & theirs);
        Self { words: words.collect() }
    }

    /// The indexes that are set, as ranges without gaps.
    pub fn runs(&self, length: usize) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            at = self.next_where(at, length, true);
            let start = at;
            at = self.next_where(at, length, false);
            (start < at).then_some(start..at)
        })
    }

    /// The first index from `from` on that is set, or clear; `length` where there is none.
    fn next_where(&self, from: usize, length: usize, set: bool) -> usize {
        let mut at = from;
        while at < length {
            let word = self.words[at / 64] ^ if set { 0 } else { u64::MAX };
            let rest = word >> (at % 64);
            if rest != 0 {
                return (at + rest.trailing_zeros() as usize).min(length);
            }
            at = (at / 64 + 1) * 64;
        }
        length
    }

    pub fn union(&mut self, other: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & theirs != 0)
    }
}

/// What stands at one step.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The values of one series, step for step.
#[derive(Clone, Debug)]
pub struct StepColumn {
    values: Vec<f64>,
    present: Bitmap,
    /// As long as `values` where the series has histograms, else empty.
    histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl StepColumn {
    pub fn new(steps: usize) -> Self {
        Self { values: vec![0.0; steps], present: Bitmap::new(steps), histograms: Vec::new() }
    }

    pub fn from_values(values: Vec<f64>) -> Self {
        let mut present = Bitmap::new(values.len());
        (0..values.len()).for_each(|step| present.set(step));
        Self { values, present, histograms: Vec::new() }
    }

    /// Floats, where `present` says so.
    pub fn from_parts(values: Vec<f64>, present: Bitmap) -> Self {
        Self { values, present, histograms: Vec::new() }
    }

    /// What stood there may still lie in `values`, where nothing looks.
    pub(crate) fn clear(&mut self) {
        self.present.words.fill(0);
        self.histograms.clear();
    }

    pub fn steps(&self) -> usize {
        self.values.len()
    }

    #[inline]
    pub fn set_float(&mut self, step: usize, value: f64) {
        self.values[step] = value;
        self.present.set(step);
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    pub fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms = vec![None; self.values.len()];
        }
        self.histograms[step] = Some(histogram);
        self.present.set(step);
    }

    pub fn set(&mut self, step: usize, slot: Slot<'_>) {
        match slot {
            Slot::Float(value) => self.set_float(step, value),
            Slot::Histogram(histogram) => self.set_histogram(step, histogram.clone()),
        }
    }

    pub fn remove(&mut self, step: usize) {
        self.present.clear(step);
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    #[inline]
    pub fn get(&self, step: usize) -> Option<Slot<'_>> {
        if !self.present.get(step) {
            return None;
        }
        match self.histograms.get(step) {
            Some(Some(histogram)) => Some(Slot::Histogram(histogram)),
            _ => Some(Slot::Float(self.values[step])),
        }
    }

    /// The value at a step, where it is a float.
    pub fn float(&self, step: usize) -> Option<f64> {
        match self.get(step) {
            Some(Slot::Float(value)) => Some(value),
            _ => None,
        }
    }

    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The floats as they lie there; only where [`Self::present`] says so are they values.
    pub fn raw_values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn raw_values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    pub fn present(&self) -> &Bitmap {
        &self.present
    }

    pub fn is_empty(&self) -> bool {
        !self.present.any()
    }

    pub fn count(&self) -> usize {
        self.present.count()
    }

    /// The first step with a value; the number of steps where there is none.
    pub(crate) fn first_step(&self) -> usize {
        self.present.next_where(0, self.steps(), true)
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, Slot<'_>)> {
        (0..self.steps()).filter_map(|step| self.get(step).map(|slot| (step, slot)))
    }

    /// A column of one step, as many times as wanted.
    pub(crate) fn repeated(&self, steps: usize) -> Self {
        let mut column = Self::new(steps);
        if let Some(slot) = self.get(0) {
            (0..steps).for_each(|step| column.set(step, slot));
        }
        column
    }

    /// How much of a query's limits it takes.
    pub(crate) fn weight(&self) -> Weight {
        let histograms = self.histograms.iter().flatten();
        let extra: usize = histograms.map(|histogram| histogram.sample_weight() - 1).sum();
        let slots = size_of_val(&*self.values)
            + size_of_val(&*self.histograms)
            + size_of_val(&*self.present.words);
        Weight { samples: self.count() + extra, bytes: slots + extra * 16 }
    }

    /// Adds what another column has; `false` where both have something at one step.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        if self.present.overlaps(&other.present) {
            return false;
        }
        for (step, slot) in other.iter() {
            self.set(step, slot);
        }
        true
    }
}

/// A series of a result.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    /// The name is to be dropped at the end (delayed name removal).
    pub(crate) drop_name: bool,
    pub column: StepColumn,
}

impl Series {
    pub(crate) fn new(labels: Labels, column: StepColumn) -> Self {
        Self { labels, drop_name: false, column }
    }

    /// The value no longer means what the name says: drop it, now or at the end.
    pub(crate) fn lose_name(&mut self, delayed: bool) {
        if delayed {
            self.drop_name = true;
        } else {
            self.labels = self.labels.without_metadata();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_know_what_is_there() {
        let mut column = StepColumn::new(70);
        column.set_float(65, 1.5);
        column.set_histogram(3, Arc::default());
        assert_eq!(column.count(), 2);
        assert_eq!(column.float(65), Some(1.5));
        assert!(matches!(column.get(3), Some(Slot::Histogram(_))));
        assert!(column.get(4).is_none());
        let mut other = StepColumn::new(70);
        other.set_float(4, 2.0);
        assert!(other.absorb(&column));
        assert!(!other.absorb(&column));
        assert_eq!(other.count(), 3);
    }
}
