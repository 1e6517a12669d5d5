//! Samples of metrics, and metadata of metrics.

use crate::FloatHistogram;
use std::sync::Arc;

/// The bits of the NaN that says "this series ends here". It is the one NaN that no exporter sends.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the mark that ends a series. Ordinary NaNs are ordinary values.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// A value and the millisecond it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub timestamp_ms: i64,
    /// When the counter behind the value began; 0 when unknown.
    pub start_ms: i64,
    pub value: SampleValue,
}

/// What kind of metric an exporter says it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// The metadata that an exporter sends about a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricMetadata {
    pub kind: MetricKind,
    pub unit: String,
    pub help: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_nan_is_stale() {
        assert!(is_stale(stale_marker()));
        assert!(!is_stale(f64::NAN));
        assert!(!is_stale(0.0));
    }
}
