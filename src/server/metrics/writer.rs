//! Decoded metrics on their way through the gateway.

use ingest::Gateway;
use metric_store::{Limits, MetricStore, Written};
use model::{FloatHistogram, TenantId};
use protocols::{Committed, MetricBatch, MetricWriter, ServiceError, Waiting};
use std::sync::Arc;
use wire::{ExemplarRef, MetadataRef, MetricSink};

#[derive(Debug)]
pub(crate) struct MetricWriterOf {
    pub(crate) store: Arc<MetricStore>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) limits: Limits,
}

impl MetricWriter for MetricWriterOf {
    fn batch(&self, tenant: &TenantId) -> Box<dyn MetricBatch> {
        let batch = self.store.batch(tenant, self.limits);
        Box::new(Filling { batch, gateway: Arc::clone(&self.gateway) })
    }
}

struct Filling {
    batch: metric_store::MetricBatch,
    gateway: Arc<Gateway>,
}

impl MetricSink for Filling {
    fn series(&mut self, labels: &[u8]) {
        self.batch.series(labels);
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        self.batch.sample(timestamp_ms, start_ms, value);
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.batch.histogram(timestamp_ms, start_ms, histogram);
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        self.batch.exemplar(exemplar);
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        self.batch.metadata(metric, metadata);
    }
}

impl MetricBatch for Filling {
    fn commit(self: Box<Self>) -> Waiting<Result<Committed, ServiceError>> {
        Box::pin(async move {
            let written = self.gateway.commit(self.batch).await;
            let written =
                written.map_err(|error| ServiceError::new(error.kind(), error.to_string()))?;
            let Written { samples, histograms, exemplars, refused } = written;
            let mut done = Committed { samples, histograms, exemplars, ..Committed::default() };
            if let Some(refused) = refused {
                done.rejected.count = refused.counts.samples + refused.counts.histograms;
                done.rejected.reasons.push(refused.error.to_string());
            }
            Ok(done)
        })
    }
}
