//! OTLP metrics and logs. Protobuf and JSON of metrics are read into the same borrowed types; logs go
//! straight to a sink.
//!
//! Lives here: `common` (values, attributes, resources), `metrics` (metrics and their points),
//! `binary` and `json` (the two encodings), `logs` (records), `response` (the answers).
//! Not here: what becomes of a metric (protocols translate it), gRPC's framing.
//! Invariants: texts are borrowed from the request where its encoding allows; what is built is at
//! most a small multiple of the request ([`MEMORY_PER_BYTE`]), and asked for before; values nest to a bounded depth.

mod binary;
mod common;
mod json;
mod logs;
mod metrics;
mod response;
mod value;

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

pub use binary::{OtlpBinaryError, decode_otlp_metrics};
pub use common::{AnyValue, Attribute, Resource, Scope};
pub use json::{OtlpJsonError, decode_otlp_metrics_json};
pub use logs::{OtlpLogOptions, decode_otlp_logs, decode_otlp_logs_json, sanitize_name};
pub use metrics::{
    ExponentialBuckets, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint, MetricData,
    MetricsRequest, NumberPoint, NumberValue, OtlpExemplar, OtlpMetric, QuantileValue,
    ResourceMetrics, ScopeMetrics, SummaryPoint, Temporality,
};
pub use response::{OtlpEncoding, PartialSuccess, StatusCode, export_response, status_body};
pub use value::{decode_any_value, encode_any_value};

/// How many bytes of memory a request may take for each of its own. A plain data point is 20 bytes
/// on the wire and some 150 in memory; an empty one, which no client sends, would be 2 bytes.
pub(crate) const MEMORY_PER_BYTE: usize = 16;
/// What any request may take beyond that: a small one may have many empty elements.
pub(crate) const MEMORY_FREE: usize = 64 << 10;
