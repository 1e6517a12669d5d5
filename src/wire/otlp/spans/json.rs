//! OTLP's JSON of spans, read value by value: lowerCamelCase keys, ids in hex, enums as numbers, 64-bit
//! integers as text or number, bytes in base64. Unknown keys are passed over.

use super::super::common::{AnyValue, Attribute};
use super::{KIND_LAST, STATUS_LAST, known};
use crate::decoding::json::{each, each_key, optional_text, skip, text, unsigned};
use crate::decoding::{DecodeError, Decoding, Result};
use crate::json::{JsonKind, JsonReader};
use crate::span_parts::{SpanParts, SpanWriter, id_of_hex};
use crate::span_sink::{DecodedSpans, EventRef, LinkRef, SpanSink};
use base64::Engine as _;
use model::Room;
use std::borrow::Cow;

/// Passes every span of a request to `sink`. Asks `room` for the memory of what it builds, before it
/// takes it.
pub fn decode_otlp_spans_json(
    request: &[u8],
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut reader = JsonReader::new(request);
    let mut decoder = Decoder {
        decoding: Decoding::lossy(request.len(), room),
        writer: SpanWriter::new(sink),
        shared: Vec::new(),
        parts: SpanParts::default(),
    };
    each_key(&mut reader, |reader, key| match key {
        b"resourceSpans" => each(reader, |reader| decoder.resource_spans(reader)),
        _ => skip(reader),
    })?;
    reader.end()?;
    Ok(decoder.writer.decoded)
}

struct Decoder<'a, 'r, 's, S: ?Sized> {
    decoding: Decoding<'r>,
    writer: SpanWriter<'s, S>,
    /// The attributes of a resource or a scope.
    shared: Vec<Attribute<'a>>,
    parts: SpanParts<'a>,
}

impl<'a, S: SpanSink + ?Sized> Decoder<'a, '_, '_, S> {
    fn resource_spans(&mut self, reader: &mut JsonReader<'a>) -> Result<()> {
        let mut before = Vec::new();
        let mut is_known = false;
        each_key(reader, |reader, key| match key {
            b"resource" => {
                is_known = true;
                self.resource(reader)
            }
            b"scopeSpans" if is_known => each(reader, |reader| self.scope_spans(reader)),
            b"scopeSpans" => {
                // Their resource may follow: they are read when it is known.
                self.decoding.append(&mut before, reader.clone())?;
                skip(reader)
            }
            _ => skip(reader),
        })?;
        if !is_known {
            self.writer.resource(&mut Vec::new(), false);
        }
        before.iter_mut().try_for_each(|reader| each(reader, |reader| self.scope_spans(reader)))
    }

    fn resource(&mut self, reader: &mut JsonReader<'a>) -> Result<()> {
        let Self { decoding, shared, .. } = self;
        shared.clear();
        each_key(reader, |reader, key| match key {
            b"attributes" => attributes(reader, shared, decoding),
            _ => skip(reader),
        })?;
        self.writer.resource(&mut self.shared, self.decoding.take_replaced());
        Ok(())
    }

    fn scope_spans(&mut self, reader: &mut JsonReader<'a>) -> Result<()> {
        let mut before = Vec::new();
        let mut is_known = false;
        each_key(reader, |reader, key| match key {
            b"scope" => {
                is_known = true;
                self.scope(reader)
            }
            b"spans" if is_known => each(reader, |reader| self.span(reader)),
            b"spans" => {
                self.decoding.append(&mut before, reader.clone())?;
                skip(reader)
            }
            _ => skip(reader),
        })?;
        if !is_known {
            self.writer.scope("", "", &mut Vec::new(), false);
        }
        before.iter_mut().try_for_each(|reader| each(reader, |reader| self.span(reader)))
    }

    fn scope(&mut self, reader: &mut JsonReader<'a>) -> Result<()> {
        let Self { decoding, shared, .. } = self;
        let (mut name, mut version) = Default::default();
        shared.clear();
        each_key(reader, |reader, key| match key {
            b"name" => text(reader, &mut name, decoding),
            b"version" => text(reader, &mut version, decoding),
            b"attributes" => attributes(reader, shared, decoding),
            _ => skip(reader),
        })?;
        let has_replaced = self.decoding.take_replaced();
        self.writer.scope(&name, &version, &mut self.shared, has_replaced);
        Ok(())
    }

    fn span(&mut self, reader: &mut JsonReader<'a>) -> Result<()> {
        let Self { decoding, parts, .. } = self;
        parts.clear();
        each_key(reader, |reader, key| match key {
            b"traceId" => id(reader, &mut parts.trace_id),
            b"spanId" => id(reader, &mut parts.span_id),
            b"parentSpanId" => parent_id(reader, &mut parts.parent_span_id),
            b"traceState" => text(reader, &mut parts.trace_state, decoding),
            b"name" => text(reader, &mut parts.name, decoding),
            b"kind" => number(reader, &mut parts.kind, KIND_LAST),
            b"startTimeUnixNano" => unsigned(reader, &mut parts.start_ns),
            b"endTimeUnixNano" => unsigned(reader, &mut parts.end_ns),
            b"attributes" => attributes(reader, &mut parts.attributes, decoding),
            b"droppedAttributesCount" => unsigned(reader, &mut parts.dropped_attributes),
            b"events" => each(reader, |reader| event(reader, parts, decoding)),
            b"droppedEventsCount" => unsigned(reader, &mut parts.dropped_events),
            b"links" => each(reader, |reader| link(reader, parts, decoding)),
            b"droppedLinksCount" => unsigned(reader, &mut parts.dropped_links),
            b"status" => status(reader, parts, decoding),
            b"flags" => unsigned(reader, &mut parts.flags),
            _ => skip(reader),
        })?;
        let has_replaced = self.decoding.take_replaced();
        self.writer.span(&mut self.parts, has_replaced);
        Ok(())
    }
}

fn status<'a>(
    reader: &mut JsonReader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_key(reader, |reader, key| match key {
        b"message" => text(reader, &mut parts.status_message, decoding),
        b"code" => number(reader, &mut parts.status, STATUS_LAST),
        _ => skip(reader),
    })
}

fn event<'a>(
    reader: &mut JsonReader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let mut event = EventRef { attributes: parts.list(), ..EventRef::default() };
    each_key(reader, |reader, key| match key {
        b"timeUnixNano" => unsigned(reader, &mut event.time_ns),
        b"name" => text(reader, &mut event.name, decoding),
        b"attributes" => attributes(reader, &mut event.attributes, decoding),
        b"droppedAttributesCount" => unsigned(reader, &mut event.dropped_attributes),
        _ => skip(reader),
    })?;
    decoding.append(&mut parts.events, event)
}

fn link<'a>(
    reader: &mut JsonReader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let mut link = LinkRef { attributes: parts.list(), ..LinkRef::default() };
    let (mut trace_id, mut span_id) = (None, None);
    each_key(reader, |reader, key| match key {
        b"traceId" => id(reader, &mut trace_id),
        b"spanId" => id(reader, &mut span_id),
        b"traceState" => text(reader, &mut link.trace_state, decoding),
        b"attributes" => attributes(reader, &mut link.attributes, decoding),
        b"droppedAttributesCount" => unsigned(reader, &mut link.dropped_attributes),
        b"flags" => unsigned(reader, &mut link.flags),
        _ => skip(reader),
    })?;
    (link.trace_id, link.span_id) = (trace_id.unwrap_or_default(), span_id.unwrap_or_default());
    decoding.append(&mut parts.links, link)
}

fn attributes<'a>(
    reader: &mut JsonReader<'a>,
    list: &mut Vec<Attribute<'a>>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each(reader, |reader| {
        let attribute = attribute(reader, decoding)?;
        decoding.append(list, attribute)
    })
}

fn attribute<'a>(
    reader: &mut JsonReader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<Attribute<'a>> {
    let mut out = Attribute::default();
    each_key(reader, |reader, key| match key {
        b"key" => text(reader, &mut out.key, decoding),
        b"value" => any_value(reader, &mut out.value, decoding),
        _ => skip(reader),
    })?;
    Ok(out)
}

/// The reader bounds how deep values nest.
fn any_value<'a>(
    reader: &mut JsonReader<'a>,
    out: &mut AnyValue<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_key(reader, |reader, key| {
        if reader.kind()? == JsonKind::Null {
            return Ok(reader.null()?);
        }
        *out = match key {
            b"stringValue" => AnyValue::Text(decoding.json_text(reader.text()?)?),
            b"boolValue" => AnyValue::Bool(reader.boolean()?),
            b"intValue" => AnyValue::Int(signed(reader)?),
            b"doubleValue" => AnyValue::Double(double(reader)?),
            b"arrayValue" => AnyValue::Array(array(reader, decoding)?),
            b"kvlistValue" => AnyValue::Map(map(reader, decoding)?),
            b"bytesValue" => AnyValue::Bytes(Cow::Owned(bytes(reader, decoding)?)),
            _ => return skip(reader),
        };
        Ok(())
    })
}

fn array<'a>(
    reader: &mut JsonReader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<Vec<AnyValue<'a>>> {
    let mut values = Vec::new();
    each_key(reader, |reader, key| match key {
        b"values" => each(reader, |reader| {
            let mut value = AnyValue::Empty;
            any_value(reader, &mut value, decoding)?;
            decoding.append(&mut values, value)
        }),
        _ => skip(reader),
    })?;
    Ok(values)
}

fn map<'a>(reader: &mut JsonReader<'a>, decoding: &mut Decoding<'_>) -> Result<Vec<Attribute<'a>>> {
    let mut entries = Vec::new();
    each_key(reader, |reader, key| match key {
        b"values" => attributes(reader, &mut entries, decoding),
        _ => skip(reader),
    })?;
    Ok(entries)
}

fn bytes(reader: &mut JsonReader<'_>, decoding: &mut Decoding<'_>) -> Result<Vec<u8>> {
    let wanted = reader.error("bytes in base64");
    let text = decoding.json_text(reader.text()?)?;
    decoding.take(text.len())?;
    base64::engine::general_purpose::STANDARD.decode(&*text).map_err(|_| wanted.into())
}

/// What can't be an id is none: it is the span's own fault, not the request's.
fn id<const N: usize>(reader: &mut JsonReader<'_>, place: &mut Option<[u8; N]>) -> Result<()> {
    *place = optional_text(reader)?.and_then(|text| id_of_hex(text.plain()?));
    Ok(())
}

/// A span without a parent has an empty id, or none.
fn parent_id(reader: &mut JsonReader<'_>, place: &mut Option<[u8; 8]>) -> Result<()> {
    *place = match optional_text(reader)? {
        None => Some([0; 8]),
        Some(text) if text.length() == 0 => Some([0; 8]),
        Some(text) => text.plain().and_then(id_of_hex),
    };
    Ok(())
}

fn number(reader: &mut JsonReader<'_>, place: &mut u8, last: u8) -> Result<()> {
    if reader.kind()? == JsonKind::Text {
        return Err(reader.error("the number of an enum").into());
    }
    *place = known(i64::try_from(reader.whole()?).unwrap_or(0), last);
    Ok(())
}

fn signed(reader: &mut JsonReader<'_>) -> Result<i64, DecodeError> {
    let whole = reader.whole()?;
    Ok(i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX }))
}

/// A float as number or text (`"NaN"`, `"Infinity"`).
fn double(reader: &mut JsonReader<'_>) -> Result<f64, DecodeError> {
    let kind = reader.kind()?;
    let wanted = reader.error("a number, \"NaN\" or \"Infinity\"");
    let double = match kind {
        JsonKind::Text => {
            let text = reader.text()?.plain();
            text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
        }
        _ => reader.number()?.parse().ok(),
    };
    double.ok_or(wanted.into())
}
