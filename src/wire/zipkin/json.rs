//! The JSON of Zipkin's version 2: a list of spans.

use super::span::{Endpoint, Spans, id};
use crate::decoding::json::{each, each_key, optional_text, skip, text, unsigned};
use crate::decoding::{DecodeError, Decoding, Result};
use crate::json::{JsonKind, JsonReader};
use crate::otlp::AnyValue;
use crate::span_parts::kind_of_name;
use crate::span_sink::{DecodedSpans, SpanSink};
use model::Room;
use std::borrow::Cow;

/// Passes every span of a request to `sink`; those without a time are of `now_ns`. Asks `room` for the
/// memory of what it builds, before it takes it.
pub fn decode_zipkin_json(
    request: &[u8],
    now_ns: u64,
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    decode_list(request, now_ns, room, sink, |key, reader, spans| match key {
        b"kind" => kind(reader, &mut spans.parts.kind),
        b"localEndpoint" => endpoint(reader, &mut spans.around.local, &mut spans.decoding),
        b"remoteEndpoint" => endpoint(reader, &mut spans.around.remote, &mut spans.decoding),
        b"annotations" => each(reader, |reader| annotation(reader, spans)),
        b"tags" => tags(reader, spans),
        _ => skip(reader),
    })
}

/// Reads a list of spans. `take` reads what the versions of Zipkin do not have in common.
pub(super) fn decode_list<'a, 'r, 's, S: SpanSink + ?Sized>(
    request: &'a [u8],
    now_ns: u64,
    room: &'r mut dyn Room,
    sink: &'s mut S,
    mut take: impl FnMut(&[u8], &mut JsonReader<'a>, &mut Spans<'a, 'r, 's, S>) -> Result<()>,
) -> Result<DecodedSpans> {
    let mut spans = Spans::new(Decoding::lossy(request.len(), room), now_ns, sink);
    let mut reader = JsonReader::new(request);
    each(&mut reader, |reader| {
        if reader.kind()? == JsonKind::Null {
            return skip(reader);
        }
        spans.begin();
        each_key(reader, |reader, key| match key {
            b"traceId" => {
                spans.parts.trace_id = optional_text(reader)?.and_then(|text| id(text.plain()?));
                Ok(())
            }
            b"id" => {
                spans.parts.span_id = optional_text(reader)?.and_then(|text| id(text.plain()?));
                Ok(())
            }
            b"parentId" => {
                let parent = optional_text(reader)?.filter(|text| text.length() > 0);
                spans.parts.parent_span_id = parent.map_or(Some([0; 8]), |text| id(text.plain()?));
                Ok(())
            }
            b"name" => text(reader, &mut spans.parts.name, &mut spans.decoding),
            b"timestamp" => unsigned(reader, &mut spans.around.start_us),
            b"duration" => unsigned(reader, &mut spans.around.duration_us),
            _ => take(key, reader, &mut spans),
        })?;
        spans.end()
    })?;
    reader.end()?;
    Ok(spans.finish())
}

fn kind(reader: &mut JsonReader<'_>, place: &mut u8) -> Result<()> {
    let name = optional_text(reader)?.and_then(|text| std::str::from_utf8(text.plain()?).ok());
    *place = name.and_then(kind_of_name).unwrap_or(0);
    Ok(())
}

pub(super) fn endpoint<'a>(
    reader: &mut JsonReader<'a>,
    out: &mut Endpoint<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_key(reader, |reader, key| match key {
        b"serviceName" => text(reader, &mut out.service_name, decoding),
        b"ipv4" => text(reader, &mut out.ipv4, decoding),
        b"ipv6" => text(reader, &mut out.ipv6, decoding),
        b"port" => unsigned(reader, &mut out.port),
        _ => skip(reader),
    })
}

fn annotation<'a, S: SpanSink + ?Sized>(
    reader: &mut JsonReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut time_us, mut value) = (0, Cow::Borrowed(""));
    each_key(reader, |reader, key| match key {
        b"timestamp" => unsigned(reader, &mut time_us),
        b"value" => text(reader, &mut value, &mut spans.decoding),
        _ => skip(reader),
    })?;
    spans.annotation(time_us, value)
}

fn tags<'a, S: SpanSink + ?Sized>(
    reader: &mut JsonReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    if reader.kind()? == JsonKind::Null {
        return skip(reader);
    }
    reader.object(|reader, key| {
        let key = spans.decoding.json_text(key)?;
        match scalar(reader, &mut spans.decoding)? {
            AnyValue::Empty => Ok(()),
            value => spans.tag(key, value),
        }
    })
}

/// Zipkin's tags are texts; some senders write numbers and booleans.
pub(super) fn scalar<'a>(
    reader: &mut JsonReader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<AnyValue<'a>, DecodeError> {
    Ok(match reader.kind()? {
        JsonKind::Text => AnyValue::Text(decoding.json_text(reader.text()?)?),
        JsonKind::Bool => AnyValue::Bool(reader.boolean()?),
        JsonKind::Null => {
            reader.null()?;
            AnyValue::Empty
        }
        JsonKind::Number => {
            let number = reader.number()?;
            let double = || number.parse().map(AnyValue::Double);
            number.parse().map(AnyValue::Int).or_else(|_| double()).unwrap_or_default()
        }
        JsonKind::Object | JsonKind::Array => {
            return Err(reader.error("a text, a number or a boolean").into());
        }
    })
}
