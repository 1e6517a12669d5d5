//! The formats that clients send and read, as bytes. Step 1: pure functions, no I/O.
//!
//! Lives here: bounded decompression of request bodies; reading and writing protobuf; reading JSON
//! piece by piece, and MessagePack; remote write, OTLP, remote read, the text formats of metrics and their families in protobuf;
//! Loki's push, syslog, documents of JSON; Thrift, and the spans of Zipkin and Jaeger; times as text; the types generated from the messages in `proto/` ([`proto`]).
//! Not here: what a protocol means (protocols), Mirador's own file formats (codec, parts, wal).
//! Invariants: no hand-written decoder takes more memory than a small multiple of its input,
//! whatever a length field says; any bytes end in a value or an error.
//!
//! Read first: [`MetricSink`], [`LogSink`], [`SpanSink`], [`decode_write_v1`], [`protobuf::Reader`].

mod canonical;
mod decoding;
mod decompress;
mod document;
mod exposition;
mod families;
mod jaeger;
pub mod json;
mod log_sink;
mod loki;
mod metric_sink;
pub mod msgpack;
pub mod otlp;
pub mod proto;
pub mod protobuf;
pub mod remote_read;
mod remote_write;
mod span_parts;
mod span_sink;
mod syslog;
mod thrift;
mod thrift_fields;
mod time_text;
mod zipkin;

pub use canonical::{BadLabels, LabelBuffer, LabelLimits};
pub use decoding::DecodeError;
pub use decompress::{DecompressError, Encoding, decompress, decompress_into};
pub use document::flatten_json;
pub use exposition::{
    TextComment, TextError, TextExemplar, TextFamily, TextFormat, TextLabel, TextLines, TextSample,
    TextValues, TextVisitor, float_text, parse_comment, parse_exposition, parse_series,
    parse_values, plain_value,
};
pub use families::{
    FamilyBucket, FamilyExemplar, FamilyHistogram, FamilyMetric, FamilyValue, MetricFamilies,
    MetricFamily,
};
pub use jaeger::{
    JaegerDatagram, decode_jaeger_datagram, decode_jaeger_protobuf, decode_jaeger_thrift,
};
pub use log_sink::{
    BadStream, DecodedLogs, FIELDS_KIND, FIELDS_MAX, FieldBuffer, LABELS_KIND, LogSink, PairList,
    StreamLabels,
};
pub use loki::{LokiJsonError, decode_loki_push, decode_loki_push_json, parse_stream_labels};
pub use metric_sink::{Decoded, ExemplarRef, MetadataRef, MetricSink, Rejections};
pub use protobuf::ProtobufError;
pub use remote_write::{
    BadHistogram, HISTOGRAM_KIND, WriteEncoder, WriteScratch, WriteV2Error, WriteVersion,
    check_histogram, decode_write_v1, decode_write_v2,
};
pub use span_sink::{
    DecodedSpans, EventRef, LinkRef, SPAN_ID_KIND, SpanRef, SpanSink, TRACE_ID_KIND,
};
pub use syslog::{
    SyslogClock, SyslogFrame, SyslogMessage, next_syslog_frame, parse_syslog, structured_data,
};
pub use thrift::ThriftError;
pub use time_text::{days_since_1970, parse_epoch, parse_rfc3339};
pub use zipkin::{
    decode_zipkin_json, decode_zipkin_protobuf, decode_zipkin_v1_json, decode_zipkin_v1_thrift,
};
