//! Zipkin's spans, straight to a [`SpanSink`](crate::SpanSink).
//!
//! Lives here: `binary` and `json` (version 2 in its two encodings), `v1` and `v1_thrift` (version 1
//! in JSON and Thrift), `span` (what becomes of a span: the names of attributes are those of the
//! OpenTelemetry Collector).
//! Not here: paths and statuses (protocols).
//! Invariants: a span with an id that can't be one is left out and counted, and the others are taken;
//! whatever is sent of a span is found in it again.

mod binary;
mod json;
mod span;
mod v1;
mod v1_thrift;

#[cfg(test)]
mod tests;

pub use binary::decode_zipkin_protobuf;
pub use json::decode_zipkin_json;
pub use v1::decode_zipkin_v1_json;
pub use v1_thrift::decode_zipkin_v1_thrift;
