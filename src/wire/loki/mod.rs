//! Loki's push: the protocol in which Alloy, Fluent Bit, Vector and others send lines.
//!
//! Lives here: decoders of `logproto.PushRequest` (protobuf) and of its JSON, straight from bytes to a
//! [`LogSink`](crate::LogSink), and the text form of a stream's labels.
//! Not here: compression, headers and statuses (protocols), what becomes of a line (the store).
//! Invariants: bytes that are not the format are an error for the whole request; a stream with bad
//! labels is left out with a reason, and the others are taken; nothing is allocated per line.

mod binary;
mod json;
mod labels;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::Heard;

pub use binary::decode_loki_push;
pub use json::{LokiJsonError, decode_loki_push_json};
pub use labels::parse_stream_labels;
