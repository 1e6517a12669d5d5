//! Results as columns: one slot per step of the query, a float or a histogram or nothing.

use crate::bitmap::Bitmap;
use crate::holding::Weight;
use model::FloatHistogram;
use std::sync::Arc;

/// The value at one step.
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

    /// Removes every value. `values` keeps the old numbers, which count only where `present` says so.
    pub fn clear(&mut self) {
        self.present.clear_all();
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

    /// One number per step, which is a value only where [`Self::present`] says so.
    pub fn raw_values(&self) -> &[f64] {
        &self.values
    }

    pub fn raw_values_mut(&mut self) -> &mut [f64] {
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
    pub fn first_step(&self) -> usize {
        self.present.next_where(0, self.steps(), true)
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, Slot<'_>)> {
        (0..self.steps()).filter_map(|step| self.get(step).map(|slot| (step, slot)))
    }

    /// A column of one step, as many times as wanted.
    pub fn repeated(&self, steps: usize) -> Self {
        let mut column = Self::new(steps);
        if let Some(slot) = self.get(0) {
            (0..steps).for_each(|step| column.set(step, slot));
        }
        column
    }

    /// How much of a query's limits it takes.
    pub fn weight(&self) -> Weight {
        let histograms = self.histograms.iter().flatten();
        let extra: usize = histograms.map(|histogram| histogram.sample_weight() - 1).sum();
        let slots =
            size_of_val(&*self.values) + size_of_val(&*self.histograms) + self.present.bytes();
        Weight { samples: self.count() + extra, bytes: slots + extra * 16 }
    }

    /// Adds what another column has; `false` where both have something at one step.
    pub fn absorb(&mut self, other: &Self) -> bool {
        if self.present.overlaps(&other.present) {
            return false;
        }
        for (step, slot) in other.iter() {
            self.set(step, slot);
        }
        true
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
