//! A batch of metrics: what arrives together and is written to the write-ahead log together.
//!
//! Lives here: the builder that a protocol's decoder fills. `format`: its bytes in the write-ahead
//! log.
//! Not here: the number of a slot's series (`registry`), what becomes of the samples (`head`).
//! How a builder is used: `clear`, fill it, `MetricStore::prepare` (resolves the series, encodes),
//! append to the write-ahead log, `MetricStore::apply`. It keeps its memory between batches.

pub(crate) mod format;

use model::{FloatHistogram, Labels, MetricMetadata};
use std::sync::Arc;

/// A series of this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesSlot(pub(crate) u32);

/// The slot of a series that the store refused.
pub(crate) const REFUSED: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    pub time_ms: i64,
    /// When the counter began; 0 if unknown.
    pub start_ms: i64,
    pub histogram: Arc<FloatHistogram>,
}

/// One observation of many, usually with the trace that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: f64,
}

/// The number of samples of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
}

#[derive(Debug, Default)]
pub struct BatchBuilder {
    /// The canonical bytes of all slots, one after the other.
    pub(crate) label_bytes: Vec<u8>,
    pub(crate) label_ends: Vec<u32>,
    /// Series numbers by slot, filled by `prepare`.
    pub(crate) numbers: Vec<u32>,
    /// The slots of series whose definition is part of this batch.
    pub(crate) defined: Vec<u32>,
    pub(crate) slots: Vec<u32>,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<u64>,
    /// Empty, or one for each sample.
    pub(crate) starts: Vec<i64>,
    pub(crate) histograms: Vec<(u32, HistogramSample)>,
    pub(crate) exemplars: Vec<(u32, Exemplar)>,
    pub(crate) metadata: Vec<(String, MetricMetadata)>,
}

impl BatchBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Roughly the memory that the batch takes.
    pub(crate) fn size_bytes(&self) -> usize {
        const HISTOGRAM_BYTES: usize = 512;
        const EXEMPLAR_BYTES: usize = 128;
        self.label_bytes.len()
            + self.times.len() * 20
            + self.histograms.len() * HISTOGRAM_BYTES
            + self.exemplars.len() * EXEMPLAR_BYTES
    }

    pub fn clear(&mut self) {
        self.label_bytes.clear();
        self.label_ends.clear();
        self.numbers.clear();
        self.defined.clear();
        self.slots.clear();
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata.clear();
    }

    /// Begins a series; `labels` are canonical bytes (`model::Labels::as_bytes`).
    pub fn series(&mut self, labels: &[u8]) -> SeriesSlot {
        self.label_bytes.extend_from_slice(labels);
        self.end_series()
    }

    /// Like [`series`](Self::series), but the caller writes the labels directly into the batch,
    /// with `model::write_label` and in the order of names.
    pub fn series_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> SeriesSlot {
        write(&mut self.label_bytes);
        self.end_series()
    }

    fn end_series(&mut self) -> SeriesSlot {
        let slot = self.label_ends.len() as u32;
        self.label_ends.push(self.label_bytes.len() as u32);
        SeriesSlot(slot)
    }

    pub fn sample(&mut self, slot: SeriesSlot, time_ms: i64, value: f64) {
        self.slots.push(slot.0);
        self.times.push(time_ms);
        self.values.push(value.to_bits());
        if !self.starts.is_empty() {
            self.starts.push(0);
        }
    }

    /// A sample with the time when its counter began; 0 if unknown.
    pub fn sample_since(&mut self, slot: SeriesSlot, time_ms: i64, start_ms: i64, value: f64) {
        if start_ms != 0 && self.starts.is_empty() {
            self.starts.resize(self.slots.len(), 0);
        }
        self.sample(slot, time_ms, value);
        if let Some(last) = self.starts.last_mut() {
            *last = start_ms;
        } else if start_ms != 0 {
            self.starts.push(start_ms);
        }
    }

    pub fn histogram(&mut self, slot: SeriesSlot, sample: HistogramSample) {
        self.histograms.push((slot.0, sample));
    }

    pub fn exemplar(&mut self, slot: SeriesSlot, exemplar: Exemplar) {
        self.exemplars.push((slot.0, exemplar));
    }

    pub fn metadata(&mut self, metric: &str, metadata: MetricMetadata) {
        self.metadata.push((metric.to_owned(), metadata));
    }

    pub fn series_count(&self) -> usize {
        self.label_ends.len()
    }

    pub fn sample_count(&self) -> usize {
        self.slots.len() + self.histograms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sample_count() == 0 && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    pub(crate) fn labels(&self, slot: u32) -> &[u8] {
        let slot = slot as usize;
        let start = if slot == 0 { 0 } else { self.label_ends[slot - 1] };
        &self.label_bytes[start as usize..self.label_ends[slot] as usize]
    }

    /// Removes the samples of refused series. Returns how many of each kind were removed.
    pub(crate) fn drop_refused(&mut self) -> Counts {
        let before = self.counts();
        let numbers = &self.numbers;
        let keeps = |slot: u32| numbers[slot as usize] != REFUSED;
        let mut kept = 0;
        for index in 0..self.slots.len() {
            if keeps(self.slots[index]) {
                self.slots[kept] = self.slots[index];
                self.times[kept] = self.times[index];
                self.values[kept] = self.values[index];
                if !self.starts.is_empty() {
                    self.starts[kept] = self.starts[index];
                }
                kept += 1;
            }
        }
        self.slots.truncate(kept);
        self.times.truncate(kept);
        self.values.truncate(kept);
        self.starts.truncate(kept);
        self.histograms.retain(|(slot, _)| keeps(*slot));
        self.exemplars.retain(|(slot, _)| keeps(*slot));
        let left = self.counts();
        Counts {
            samples: before.samples - left.samples,
            histograms: before.histograms - left.histograms,
            exemplars: before.exemplars - left.exemplars,
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            samples: self.slots.len() as u64,
            histograms: self.histograms.len() as u64,
            exemplars: self.exemplars.len() as u64,
        }
    }
}
