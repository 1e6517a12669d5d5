//! OTLP metrics, logs and spans. Protobuf and JSON of metrics are read into the same borrowed types; logs
//! and spans go straight to a sink.
//!
//! Lives here: `common` (values, attributes, resources), `metrics` (metrics and their points),
//! `binary` and `json` (the two encodings), `logs` (records), `spans`, `response` (the answers).
//! Not here: what becomes of a metric (protocols translate it), gRPC's framing.
//! Invariants: texts are borrowed from the request where its encoding allows; what is built is at
//! most a small multiple of the request ([`crate::decoding`]), and asked for before; values nest to a bounded depth.

mod binary;
mod common;
mod json;
mod logs;
mod metrics;
mod response;
mod spans;
mod value;

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

pub use binary::decode_otlp_metrics;
pub use common::{AnyValue, Attribute, Resource, Scope};
pub use json::{OtlpJsonError, decode_otlp_metrics_json};
pub use logs::{OtlpLogOptions, decode_otlp_logs, decode_otlp_logs_json, sanitize_name};
pub use metrics::{
    ExponentialBuckets, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint, MetricData,
    MetricsRequest, NumberPoint, NumberValue, OtlpExemplar, OtlpMetric, QuantileValue,
    ResourceMetrics, ScopeMetrics, SummaryPoint, Temporality,
};
pub use response::{OtlpEncoding, PartialSuccess, StatusCode, export_response, status_body};
#[cfg(test)]
pub(crate) use spans::tests::Heard as HeardSpans;
pub use spans::{decode_otlp_spans, decode_otlp_spans_json};
pub use value::{decode_any_value, encode_any_value};
