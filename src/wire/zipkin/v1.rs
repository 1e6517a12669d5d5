//! Zipkin's version 1 in JSON, and what its annotations mean in both of its encodings: `cs` and `cr` are a
//! client's, `sr` and `ss` a server's, `ms` a producer's, `mr` a consumer's; `ca`, `sa` and `ma` are
//! addresses.

use super::json::{decode_list, endpoint, scalar};
use super::span::{Endpoint, Spans};
use crate::decoding::Result;
use crate::decoding::json::{each, each_key, skip, text, unsigned};
use crate::json::JsonReader;
use crate::otlp::AnyValue;
use crate::span_sink::{DecodedSpans, SpanSink};
use model::Room;
use std::borrow::Cow;

/// Passes every span of a request to `sink`; those without a time are of `now_ns`. Asks `room` for the
/// memory of what it builds, before it takes it.
pub fn decode_zipkin_v1_json(
    request: &[u8],
    now_ns: u64,
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    decode_list(request, now_ns, room, sink, |key, reader, spans| match key {
        b"annotations" => each(reader, |reader| annotation(reader, spans)),
        b"binaryAnnotations" => each(reader, |reader| binary_annotation(reader, spans)),
        _ => skip(reader),
    })
}

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// The kind that an annotation stands for, as OTLP numbers it.
fn kind(value: &str) -> Option<u8> {
    Some(match value {
        "sr" | "ss" => SERVER,
        "cs" | "cr" => CLIENT,
        "ms" => 4,
        "mr" => 5,
        _ => return None,
    })
}

fn annotation<'a, S: SpanSink + ?Sized>(
    reader: &mut JsonReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut time_us, mut value, mut host) = (0, Cow::Borrowed(""), Endpoint::default());
    each_key(reader, |reader, key| match key {
        b"timestamp" => unsigned(reader, &mut time_us),
        b"value" => text(reader, &mut value, &mut spans.decoding),
        b"endpoint" => endpoint(reader, &mut host, &mut spans.decoding),
        _ => skip(reader),
    })?;
    take_annotation(spans, time_us, value, host)
}

pub(super) fn take_annotation<'a, S: SpanSink + ?Sized>(
    spans: &mut Spans<'a, '_, '_, S>,
    time_us: u64,
    value: Cow<'a, str>,
    host: Endpoint<'a>,
) -> Result<()> {
    fill(&mut spans.around.local, host);
    match kind(&value) {
        None => spans.annotation(time_us, value),
        Some(kind) => {
            spans.around.annotated(time_us);
            // A span that both sides wrote is the first one's.
            if spans.parts.kind == 0 {
                spans.parts.kind = kind;
            }
            Ok(())
        }
    }
}

fn binary_annotation<'a, S: SpanSink + ?Sized>(
    reader: &mut JsonReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut name, mut host) = (Cow::Borrowed(""), Endpoint::default());
    let mut value = AnyValue::Empty;
    each_key(reader, |reader, key| match key {
        b"key" => text(reader, &mut name, &mut spans.decoding),
        b"value" => {
            value = scalar(reader, &mut spans.decoding)?;
            Ok(())
        }
        b"endpoint" => endpoint(reader, &mut host, &mut spans.decoding),
        _ => skip(reader),
    })?;
    take_binary_annotation(spans, name, value, host)
}

pub(super) fn take_binary_annotation<'a, S: SpanSink + ?Sized>(
    spans: &mut Spans<'a, '_, '_, S>,
    mut name: Cow<'a, str>,
    value: AnyValue<'a>,
    host: Endpoint<'a>,
) -> Result<()> {
    let (local, remote) = (&mut spans.around.local, &mut spans.around.remote);
    let is_address = ["ca", "sa", "ma"].contains(&&*name);
    let place = match (&*name, spans.parts.kind) {
        // A server's own address, or a client's.
        ("sa", SERVER) | ("ca", CLIENT) => local,
        _ if is_address => remote,
        _ => local,
    };
    fill(place, host);
    if name == "lc" {
        name = Cow::Borrowed("component");
    }
    match value {
        _ if is_address => Ok(()),
        AnyValue::Empty => Ok(()),
        value => spans.tag(name, value),
    }
}

/// The first endpoint that names its service counts.
fn fill<'a>(place: &mut Endpoint<'a>, endpoint: Endpoint<'a>) {
    let is_empty = place.ipv4.is_empty() && place.ipv6.is_empty();
    if place.service_name.is_empty() && (is_empty || !endpoint.service_name.is_empty()) {
        *place = endpoint;
    }
}
