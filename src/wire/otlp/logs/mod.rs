//! OTLP logs as lines: both encodings go straight to a [`LogSink`](crate::LogSink), in the names that
//! Loki gives to what OTLP sends.
//!
//! Lives here: `binary` and `json` (the two encodings), `lines` (from a record to a line).
//! Not here: limits, levels, service names (protocols).
//! Invariants: some attributes of a resource are the labels of its stream; whatever else is sent is a
//! field, so nothing is lost; a record of scalar attributes in protobuf takes no allocation.

mod binary;
mod json;
mod lines;

#[cfg(test)]
mod tests;

pub use binary::decode_otlp_logs;
pub use json::decode_otlp_logs_json;
pub use lines::{OtlpLogOptions, sanitize_name};
