//! Decoded metrics on their way through the gateway.

use super::engine::engine_error;
use ingest::{BatchKind, EngineError, Gateway, Intake};
use metric_store::{
    BatchBuilder, Exemplar, HistogramSample, Limits, MetricStore, Prepared, Refused, SeriesSlot,
};
use model::{ErrorKind, FloatHistogram, Labels, MetricMetadata, Signal, TenantId};
use protocols::{Committed, MetricBatch, MetricWriter, ServiceError, Waiting};
use std::sync::{Arc, Mutex, PoisonError};
use wal::Position;
use wire::{ExemplarRef, MetadataRef, MetricSink};

/// Builders that wait for their next batch; more are made when more requests come at once.
const BUILDERS_KEPT: usize = 16;

#[derive(Debug)]
pub(crate) struct MetricWriterOf {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<MetricStore>,
    gateway: Arc<Gateway>,
    limits: Limits,
    builders: Mutex<Vec<BatchBuilder>>,
}

impl MetricWriterOf {
    pub(crate) fn new(store: Arc<MetricStore>, gateway: Arc<Gateway>, limits: Limits) -> Self {
        let builders = Mutex::default();
        Self { shared: Arc::new(Shared { store, gateway, limits, builders }) }
    }
}

impl MetricWriter for MetricWriterOf {
    fn batch(&self, tenant: &TenantId) -> Box<dyn MetricBatch> {
        let shared = Arc::clone(&self.shared);
        let builder = shared.builders().pop().unwrap_or_default();
        let done = Committed::default();
        Box::new(Filling { shared, tenant: tenant.clone(), builder, slot: None, done })
    }
}

impl Shared {
    fn builders(&self) -> std::sync::MutexGuard<'_, Vec<BatchBuilder>> {
        self.builders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, mut builder: BatchBuilder) {
        builder.clear();
        let mut builders = self.builders();
        if builders.len() < BUILDERS_KEPT {
            builders.push(builder);
        }
    }
}

struct Filling {
    shared: Arc<Shared>,
    tenant: TenantId,
    builder: BatchBuilder,
    slot: Option<SeriesSlot>,
    /// What is in the batch so far.
    done: Committed,
}

impl Filling {
    fn slot(&self) -> SeriesSlot {
        self.slot.expect("a decoder names the series before its samples")
    }
}

impl MetricSink for Filling {
    fn series(&mut self, labels: &[u8]) {
        self.slot = Some(self.builder.series(labels));
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        let slot = self.slot();
        self.done.samples += 1;
        match start_ms {
            0 => self.builder.sample(slot, timestamp_ms, value),
            start_ms => self.builder.sample_since(slot, timestamp_ms, start_ms, value),
        }
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.done.histograms += 1;
        let histogram = Arc::new(histogram);
        let sample = HistogramSample { time_ms: timestamp_ms, start_ms, histogram };
        self.builder.histogram(self.slot(), sample);
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let Some(labels) = Labels::from_bytes(exemplar.labels) else { return };
        self.done.exemplars += 1;
        let (time_ms, value) = (exemplar.timestamp_ms, exemplar.value);
        self.builder.exemplar(self.slot(), Exemplar { labels, time_ms, value });
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        let MetadataRef { kind, unit, help } = metadata;
        let (unit, help) = (unit.to_owned(), help.to_owned());
        self.builder.metadata(metric, MetricMetadata { kind, unit, help });
    }
}

impl MetricBatch for Filling {
    fn commit(self: Box<Self>) -> Waiting<Result<Committed, ServiceError>> {
        // Spawned: a client that goes away must not leave a batch logged but unapplied.
        let committed = tokio::spawn(self.run());
        Box::pin(async move {
            let gone = |_| ServiceError::new(ErrorKind::Bug, "committing the batch failed");
            committed.await.map_err(gone)?
        })
    }
}

impl Filling {
    async fn run(self) -> Result<Committed, ServiceError> {
        let Self { shared, tenant, builder, mut done, .. } = self;
        let kind = BatchKind {
            tenant: &tenant,
            signal: Signal::Metrics,
            schema: MetricStore::BATCH_SCHEMA,
        };
        let intake = MetricIntake { shared: &shared, tenant: &tenant, builder, prepared: None };
        let refused = shared.gateway.commit(kind, intake).await;
        let refused =
            refused.map_err(|error| ServiceError::new(error.kind(), error.to_string()))?;
        if let Some(Refused { counts, error, .. }) = refused {
            done.samples = done.samples.saturating_sub(counts.samples);
            done.histograms = done.histograms.saturating_sub(counts.histograms);
            done.exemplars = done.exemplars.saturating_sub(counts.exemplars);
            done.rejected.count = counts.samples + counts.histograms;
            done.rejected.reasons.push(error.to_string());
        }
        Ok(done)
    }
}

struct MetricIntake<'a> {
    shared: &'a Shared,
    tenant: &'a TenantId,
    builder: BatchBuilder,
    prepared: Option<Prepared>,
}

impl Intake for MetricIntake<'_> {
    type Done = Option<Refused>;

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        let Shared { store, limits, .. } = self.shared;
        let prepared = store.prepare(self.tenant, *limits, &mut self.builder, payload);
        self.prepared = Some(prepared.map_err(engine_error)?);
        Ok(())
    }

    fn apply(mut self, position: Position) -> Result<Option<Refused>, EngineError> {
        let mut prepared = self.prepared.take().expect("encode comes before apply");
        let refused = prepared.refused.take();
        let applied = self.shared.store.apply(prepared, &mut self.builder, position);
        self.shared.give_back(self.builder);
        applied.map_err(engine_error)?;
        Ok(refused)
    }
}
