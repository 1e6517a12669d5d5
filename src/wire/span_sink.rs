//! The visitor that every decoder of spans calls; a store's batch builder implements it.
//!
//! Lives here: the visitor, a span as it is handed over, what decoders tell of a request.
//! Not here: what is refused or added (protocols), what becomes of a span (the store).

use crate::metric_sink::Rejections;
use crate::otlp::Attribute;
use std::borrow::Cow;

/// What decoders of spans write into.
///
/// A decoder that returns an error may have called these before: the owner of the sink discards the
/// batch then.
pub trait SpanSink {
    /// The resource of the scopes that follow. Of attributes with one key the last one counts.
    fn resource(&mut self, attributes: &[Attribute<'_>]);
    /// The instrumentation scope of the spans that follow.
    fn scope(&mut self, name: &str, version: &str, attributes: &[Attribute<'_>]);
    fn span(&mut self, span: &SpanRef<'_>);
}

/// A span whose ids were checked: neither is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpanRef<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// All zeros in a span without a parent.
    pub parent_span_id: [u8; 8],
    pub name: &'a str,
    /// As OTLP numbers them: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u8,
    pub start_ns: u64,
    /// As it was sent: it may be before the start.
    pub end_ns: u64,
    /// As OTLP numbers them: 0 unset, 1 ok, 2 error.
    pub status: u8,
    pub status_message: &'a str,
    pub trace_state: &'a str,
    pub flags: u32,
    pub dropped_attributes: u32,
    pub dropped_events: u32,
    pub dropped_links: u32,
    pub attributes: &'a [Attribute<'a>],
    pub events: &'a [EventRef<'a>],
    pub links: &'a [LinkRef<'a>],
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRef<'a> {
    pub time_ns: u64,
    pub name: Cow<'a, str>,
    pub dropped_attributes: u32,
    pub attributes: Vec<Attribute<'a>>,
}

/// Another span that a span refers to. Ids of a wrong length are zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkRef<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: Cow<'a, str>,
    pub flags: u32,
    pub dropped_attributes: u32,
    pub attributes: Vec<Attribute<'a>>,
}

/// What was passed to the sink, and what was refused because it can't be a span of any store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedSpans {
    pub spans: u64,
    /// Counted in spans.
    pub rejected: Rejections,
}

/// The kind under which spans with an id of a wrong length, or of zeros, are counted.
pub const TRACE_ID_KIND: &str = "invalid_trace_id";
pub const SPAN_ID_KIND: &str = "invalid_span_id";
