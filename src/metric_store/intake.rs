//! A batch of metrics on its way from a decoder to the store.

use crate::batch::{BatchBuilder, Exemplar, HistogramSample, SeriesSlot};
use crate::store::{BATCH_SCHEMA, Limits, MetricStore, Prepared, Refused};
use engine::{BatchKind, EngineError, Intake};
use model::{FloatHistogram, Labels, MetricMetadata, Signal, TenantId, WalPosition};
use std::sync::{Arc, Mutex, PoisonError};
use wire::{ExemplarRef, MetadataRef, MetricSink};

/// How many idle builders are kept for the next batches; more are made when more requests arrive at
/// once.
const BUILDERS_KEPT: usize = 16;

/// Idle builders, which keep their memory between batches.
#[derive(Debug, Default)]
pub(crate) struct Builders(Mutex<Vec<BatchBuilder>>);

impl Builders {
    pub(crate) fn take(&self) -> BatchBuilder {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut builder: BatchBuilder) {
        builder.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUILDERS_KEPT {
            kept.push(builder);
        }
    }
}

/// A batch that a decoder fills and the gateway commits. A dropped batch is not stored, nor is a
/// series without a sample.
#[derive(Debug)]
pub struct MetricBatch {
    store: MetricStore,
    tenant: TenantId,
    limits: Limits,
    builder: BatchBuilder,
    /// The series that the decoder named last.
    slot: Option<SeriesSlot>,
    prepared: Option<Prepared>,
    written: Written,
}

/// How much of a batch was stored, and what the tenant's limits refused.
#[derive(Debug, Default)]
pub struct Written {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub refused: Option<Refused>,
}

impl MetricStore {
    /// An empty batch.
    pub fn batch(&self, tenant: &TenantId, limits: Limits) -> MetricBatch {
        MetricBatch {
            store: self.clone(),
            tenant: tenant.clone(),
            limits,
            builder: self.builders.take(),
            slot: None,
            prepared: None,
            written: Written::default(),
        }
    }
}

impl MetricBatch {
    /// The memory of what it holds.
    pub fn bytes(&self) -> usize {
        self.builder.size_bytes()
    }

    fn slot(&self) -> SeriesSlot {
        self.slot.expect("a decoder names the series before its samples")
    }
}

impl MetricSink for MetricBatch {
    fn series(&mut self, labels: &[u8]) {
        self.slot = Some(self.builder.series(labels));
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        let slot = self.slot();
        self.written.samples += 1;
        match start_ms {
            0 => self.builder.sample(slot, timestamp_ms, value),
            start_ms => self.builder.sample_since(slot, timestamp_ms, start_ms, value),
        }
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.written.histograms += 1;
        let histogram = Arc::new(histogram);
        let sample = HistogramSample { time_ms: timestamp_ms, start_ms, histogram };
        self.builder.histogram(self.slot(), sample);
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let Some(labels) = Labels::from_bytes(exemplar.labels) else { return };
        self.written.exemplars += 1;
        let (time_ms, value) = (exemplar.timestamp_ms, exemplar.value);
        self.builder.exemplar(self.slot(), Exemplar { labels, time_ms, value });
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        let MetadataRef { kind, unit, help } = metadata;
        let (unit, help) = (unit.to_owned(), help.to_owned());
        self.builder.metadata(metric, MetricMetadata { kind, unit, help });
    }
}

impl Intake for MetricBatch {
    type Done = Written;

    fn kind(&self) -> BatchKind {
        let (tenant, signal) = (self.tenant.clone(), Signal::Metrics);
        BatchKind { tenant, signal, schema: BATCH_SCHEMA }
    }

    fn size_bytes(&self) -> usize {
        self.builder.size_bytes()
    }

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        let Self { store, tenant, limits, builder, .. } = self;
        self.prepared = Some(store.prepare(tenant, *limits, builder, payload)?);
        Ok(())
    }

    fn apply(self, position: WalPosition) -> Result<Written, EngineError> {
        let Self { store, mut builder, prepared, mut written, .. } = self;
        let mut prepared = prepared.expect("encode comes before apply");
        written.refused = prepared.refused.take();
        let applied = store.apply(prepared, &mut builder, position);
        store.builders.give_back(builder);
        applied?;
        if let Some(Refused { counts, .. }) = &written.refused {
            written.samples = written.samples.saturating_sub(counts.samples);
            written.histograms = written.histograms.saturating_sub(counts.histograms);
            written.exemplars = written.exemplars.saturating_sub(counts.exemplars);
        }
        Ok(written)
    }
}
