//! Jaeger's batches of spans, straight to a [`SpanSink`](crate::SpanSink).
//!
//! Lives here: `thrift` (what clients send over HTTP and as datagrams), `binary` (the protobuf of gRPC),
//! `span` (what becomes of a span: the names of attributes are those of the OpenTelemetry Collector).
//! Not here: paths and statuses (protocols), Thrift itself (`crate::thrift`).
//! Invariants: a span with an id that can't be one is left out and counted, and the others are taken;
//! whatever is sent of a span is found in it again.

mod binary;
mod span;
mod thrift;

#[cfg(test)]
mod tests;

pub use binary::decode_jaeger_protobuf;
pub use thrift::{JaegerDatagram, decode_jaeger_datagram, decode_jaeger_thrift};
