//! OTLP spans: both encodings go straight to a [`SpanSink`](crate::SpanSink).
//!
//! Lives here: `binary` and `json` (the two encodings).
//! Not here: limits (protocols), what other protocols send (`zipkin`, `jaeger`).
//! Invariants: a span with an id that can't be one is left out and counted, and the others are taken;
//! texts that are not UTF-8 never fail a request; a span whose attributes are scalars takes no
//! allocation in protobuf.

mod binary;
mod json;

#[cfg(test)]
pub(crate) mod tests;

pub use binary::decode_otlp_spans;
pub use json::decode_otlp_spans_json;

/// The number of an enum where it is one of those up to `last`, which is what senders may use; 0 else.
fn known(number: i64, last: u8) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= last).unwrap_or(0)
}

/// OTLP's last kind of spans: consumer.
const KIND_LAST: u8 = 5;
/// OTLP's last status: error.
const STATUS_LAST: u8 = 2;
