//! Sums and means of many histograms, compensated like those of floats.

use model::{CombineNotes, FloatHistogram, IncompatibleBuckets, ResetHint};

/// The combined histogram, and what its author should know about it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// `None`: the histograms could not be combined.
    pub histogram: Option<FloatHistogram>,
    pub reset_collision: bool,
    pub bounds_reconciled: bool,
}

/// Which reset hints and incompatibilities the histograms had.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    reset: bool,
    not_reset: bool,
    reconciled: bool,
    incompatible: bool,
}

impl Seen {
    fn look_at(&mut self, histogram: &FloatHistogram) {
        self.reset |= histogram.reset_hint == ResetHint::Reset;
        self.not_reset |= histogram.reset_hint == ResetHint::NotReset;
    }

    fn note(&mut self, result: Result<CombineNotes, IncompatibleBuckets>) {
        match result {
            Ok(notes) => self.reconciled |= notes.bounds_reconciled,
            Err(IncompatibleBuckets) => self.incompatible = true,
        }
    }

    fn merge(&mut self, other: Self) {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.reconciled |= other.reconciled;
        self.incompatible |= other.incompatible;
    }

    fn outcome(self, histogram: Option<FloatHistogram>) -> Outcome {
        Outcome {
            histogram: histogram.filter(|_| !self.incompatible),
            reset_collision: self.reset && self.not_reset,
            bounds_reconciled: self.reconciled,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct HistogramSum {
    sum: Option<Box<FloatHistogram>>,
    compensation: Option<Box<FloatHistogram>>,
    seen: Seen,
}

impl HistogramSum {
    pub fn is_incompatible(&self) -> bool {
        self.seen.incompatible
    }

    pub fn add(&mut self, histogram: &FloatHistogram) {
        if self.seen.incompatible {
            return;
        }
        self.seen.look_at(histogram);
        match &mut self.sum {
            None => self.sum = Some(Box::new(histogram.clone())),
            Some(sum) => {
                let result = sum.add_kahan(histogram, &mut self.compensation);
                self.seen.note(result);
            }
        }
    }

    /// Takes in what another thread has summed up.
    pub fn merge(&mut self, other: Self) {
        self.seen.merge(other.seen);
        for part in [other.sum, other.compensation].into_iter().flatten() {
            let seen = self.seen;
            self.add(&part);
            // Parts have hints of their own, which say nothing about the samples.
            (self.seen.reset, self.seen.not_reset) = (seen.reset, seen.not_reset);
        }
    }

    pub fn finish(mut self) -> Outcome {
        if let (Some(sum), Some(compensation)) = (&mut self.sum, &self.compensation) {
            self.seen.note(sum.add(compensation));
        }
        self.seen.outcome(self.sum.map(|sum| *sum))
    }
}

/// As [`super::Mean`]: a plain mean while sums fit, then a running one.
#[derive(Clone, Debug, Default)]
pub struct HistogramMean {
    total: HistogramSum,
    count: f64,
    running: bool,
}

impl HistogramMean {
    pub fn is_incompatible(&self) -> bool {
        self.total.seen.incompatible
    }

    pub fn add(&mut self, histogram: &FloatHistogram) {
        self.count += 1.0;
        if !self.running {
            let before = self.total.clone();
            self.total.add(histogram);
            let overflows = self.total.sum.as_ref().is_some_and(|sum| sum.has_overflow());
            if !overflows || before.sum.is_none() {
                return;
            }
            let seen = self.total.seen;
            self.total = before;
            self.total.seen = seen;
            self.running = true;
            let before = self.count - 1.0;
            self.for_both(|part| part.divide(before));
        }
        let share = (self.count - 1.0) / self.count;
        self.for_both(|part| part.scale(share));
        let mut part = histogram.clone();
        part.divide(self.count);
        self.total.add(&part);
    }

    fn for_both(&mut self, change: impl Fn(&mut FloatHistogram) -> &mut FloatHistogram) {
        let HistogramSum { sum, compensation, .. } = &mut self.total;
        for part in [sum, compensation].into_iter().flatten() {
            change(part);
        }
    }

    /// Takes in the mean that another thread has made.
    pub fn merge(&mut self, mut other: Self) {
        let total = self.count + other.count;
        if self.count == 0.0 || other.count == 0.0 {
            if self.count == 0.0 {
                *self = other;
            }
            return;
        }
        for part in [&mut *self, &mut other] {
            let count = if part.running { 1.0 } else { part.count };
            let share = part.count / total;
            part.for_both(|histogram| histogram.divide(count).scale(share));
        }
        self.total.merge(other.total);
        (self.count, self.running) = (total, true);
    }

    pub fn finish(mut self) -> Outcome {
        if !self.running {
            let count = self.count;
            self.for_both(|part| part.divide(count));
        }
        self.total.finish()
    }
}
