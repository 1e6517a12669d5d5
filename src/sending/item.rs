//! What is sent: a sample, a histogram or an exemplar of a series.

use crate::series::Series;
use metric_store::{Exemplar, HistogramSample};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) series: Arc<Series>,
    pub(crate) value: Value,
    /// The batch of the write-ahead log that it comes from, as [`Progress`](crate::progress::Progress)
    /// numbers them.
    pub(crate) batch: u64,
    /// It was there before this start, so the receiver may have it already.
    pub(crate) is_old: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Sample { time_ms: i64, start_ms: i64, bits: u64 },
    Histogram(HistogramSample),
    Exemplar(Box<Exemplar>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Sample,
    Histogram,
    Exemplar,
}

impl Item {
    pub(crate) fn kind(&self) -> ItemKind {
        match self.value {
            Value::Sample { .. } => ItemKind::Sample,
            Value::Histogram(_) => ItemKind::Histogram,
            Value::Exemplar(_) => ItemKind::Exemplar,
        }
    }

    pub(crate) fn time_ms(&self) -> i64 {
        match &self.value {
            Value::Sample { time_ms, .. } => *time_ms,
            Value::Histogram(sample) => sample.time_ms,
            Value::Exemplar(exemplar) => exemplar.time_ms,
        }
    }
}

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
}

impl Tally {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut tally = Self::default();
        for item in items {
            match item.kind() {
                ItemKind::Sample => tally.samples += 1,
                ItemKind::Histogram => tally.histograms += 1,
                ItemKind::Exemplar => tally.exemplars += 1,
            }
        }
        tally
    }

    pub(crate) fn by_kind(self) -> [(&'static str, u64); 3] {
        [("sample", self.samples), ("histogram", self.histograms), ("exemplar", self.exemplars)]
    }

    /// What is left of it, kind by kind.
    pub(crate) fn less(self, other: Self) -> Self {
        Self {
            samples: self.samples.saturating_sub(other.samples),
            histograms: self.histograms.saturating_sub(other.histograms),
            exemplars: self.exemplars.saturating_sub(other.exemplars),
        }
    }

    pub(crate) fn sum(self) -> u64 {
        self.samples + self.histograms + self.exemplars
    }
}
