//! OTLP metrics: the nouns of the protocol, read from protobuf or JSON into one shape.
//!
//! Lives here: `common` (values, attributes, resources), `metrics` (metrics and their points),
//! `binary` and `json` (the two encodings), `response` (what is answered).
//! Not here: what becomes of a metric (protocols translate it), gRPC's framing.
//! Invariants: texts are borrowed from the request where its encoding allows; what is built is at
//! most a small multiple of the request ([`MEMORY_PER_BYTE`]); values nest to a bounded depth.

mod binary;
mod common;
mod json;
mod metrics;
mod response;

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

pub use binary::decode_otlp_metrics;
pub use common::{AnyValue, Attribute, Resource, Scope};
pub use json::{OtlpJsonError, decode_otlp_metrics_json};
pub use metrics::{
    ExponentialBuckets, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint, MetricData,
    MetricsRequest, NumberPoint, NumberValue, OtlpExemplar, OtlpMetric, QuantileValue,
    ResourceMetrics, ScopeMetrics, SummaryPoint, Temporality,
};
pub use response::{OtlpEncoding, PartialSuccess, StatusCode, export_response, status_body};

/// Memory that a request may make out of each of its bytes. A plain data point is 20 bytes on the
/// wire and some 150 here; an empty one, which nobody sends, would be 2 bytes.
pub(crate) const MEMORY_PER_BYTE: usize = 16;
/// A small request may be as sparse as it likes.
pub(crate) const MEMORY_FREE: usize = 64 << 10;
