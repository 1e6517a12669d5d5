//! What every way in checks before a store sees a sample.

use model::FloatHistogram;
use wire::{ExemplarRef, MetadataRef, MetricSink, Rejections};

/// Passes on what is not too far in the future, and counts what is.
#[derive(Debug)]
pub(crate) struct Guard<'a, S: ?Sized> {
    sink: &'a mut S,
    latest_ms: i64,
    pub(crate) passed: u64,
    pub(crate) rejected: Rejections,
}

impl<'a, S: MetricSink + ?Sized> Guard<'a, S> {
    /// `grace_ms` is how far clocks may be ahead of ours.
    pub(crate) fn new(sink: &'a mut S, now_ms: i64, grace_ms: i64) -> Self {
        let latest_ms = now_ms.saturating_add(grace_ms);
        Self { sink, latest_ms, passed: 0, rejected: Rejections::default() }
    }

    fn admits(&mut self, timestamp_ms: i64) -> bool {
        if timestamp_ms <= self.latest_ms {
            self.passed += 1;
            return true;
        }
        self.rejected.add(|| format!("timestamp {timestamp_ms} is too far in the future"));
        false
    }
}

impl<S: MetricSink + ?Sized> MetricSink for Guard<'_, S> {
    fn series(&mut self, labels: &[u8]) {
        self.sink.series(labels);
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        if self.admits(timestamp_ms) {
            self.sink.sample(timestamp_ms, start_ms, value);
        }
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        if self.admits(timestamp_ms) {
            self.sink.histogram(timestamp_ms, start_ms, histogram);
        }
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        self.sink.exemplar(exemplar);
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        self.sink.metadata(metric, metadata);
    }
}
