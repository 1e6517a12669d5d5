//! Jaeger's Thrift: the struct `Batch`, by itself over HTTP, and in a call of the agent's as a datagram.

use super::span::{Process, Reference, Spans, event};
use crate::decoding::{Decoding, Result};
use crate::otlp::{AnyValue, Attribute};
use crate::span_sink::{DecodedSpans, SpanSink};
use crate::thrift::{ThriftError, ThriftField, ThriftProtocol, ThriftReader, ThriftType};
use crate::thrift_fields::{integer, span_id, text};
use model::Room;
use std::borrow::Cow;

/// How a datagram is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JaegerDatagram {
    /// What most clients send, to port 6831.
    Compact,
    /// What clients of Node send, to port 6832.
    Binary,
}

/// Passes every span of a batch in Thrift's binary protocol to `sink`. Asks `room` for the memory of what
/// it builds, before it takes it.
pub fn decode_jaeger_thrift(
    request: &[u8],
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut spans = Spans::new(Decoding::lossy(request.len(), room), sink);
    batch(&mut ThriftReader::new(request, ThriftProtocol::Binary), &mut spans)?;
    Ok(spans.finish())
}

/// Passes every span of a datagram, a call of `emitBatch`, to `sink`.
pub fn decode_jaeger_datagram(
    datagram: &[u8],
    encoding: JaegerDatagram,
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let (protocol, name) = match encoding {
        JaegerDatagram::Compact => (ThriftProtocol::Compact, "compact"),
        JaegerDatagram::Binary => (ThriftProtocol::Binary, "binary"),
    };
    let mut reader = ThriftReader::new(datagram, protocol);
    if reader.message()? != b"emitBatch" {
        return Err(ThriftError::NotAMessage(name).into());
    }
    let mut spans = Spans::new(Decoding::lossy(datagram.len(), room), sink);
    reader.structure(|reader, field| match (field.id, field.kind) {
        (1, ThriftType::Struct) => batch(reader, &mut spans),
        _ => skip(reader, field),
    })?;
    Ok(spans.finish())
}

/// The process has the lower number, but Thrift allows any order: spans before it are read behind it.
fn batch<'a, S: SpanSink + ?Sized>(
    reader: &mut ThriftReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut has_process, mut before) = (false, None);
    reader.structure(|reader, field| match field.id {
        1 => {
            has_process = true;
            let process = process(reader, field, &mut spans.decoding)?;
            spans.process(process);
            Ok(())
        }
        2 if has_process => reader.structures(field, |reader| span(reader, spans)),
        2 => {
            before = Some((reader.clone(), field));
            skip(reader, field)
        }
        _ => skip(reader, field),
    })?;
    let Some((mut reader, field)) = before else { return Ok(()) };
    if !has_process {
        spans.process(Process::default());
    }
    reader.structures(field, |reader| span(reader, spans))
}

fn process<'a>(
    reader: &mut ThriftReader<'a>,
    field: ThriftField,
    decoding: &mut Decoding<'_>,
) -> Result<Process<'a>> {
    reader.expect(field, ThriftType::Struct)?;
    let mut out = Process::default();
    reader.structure(|reader, field| match field.id {
        1 => text(reader, field, &mut out.service_name, decoding),
        2 => tags(reader, field, &mut out.tags, decoding),
        _ => skip(reader, field),
    })?;
    Ok(out)
}

fn span<'a, S: SpanSink + ?Sized>(
    reader: &mut ThriftReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut trace_id, mut start_us, mut duration_us) = ([0; 2], 0, 0);
    spans.begin();
    let Spans { decoding, parts, references, .. } = spans;
    reader.structure(|reader, field| match field.id {
        1 => integer(reader, field, &mut trace_id[1]),
        2 => integer(reader, field, &mut trace_id[0]),
        3 => span_id(reader, field, &mut parts.span_id),
        4 => span_id(reader, field, &mut parts.parent_span_id),
        5 => text(reader, field, &mut parts.name, decoding),
        6 => reader.structures(field, |reader| {
            let reference = reference(reader)?;
            decoding.append(references, reference)
        }),
        7 => {
            parts.flags = (reader.integer(field)? & SAMPLED) as u32;
            Ok(())
        }
        8 => integer(reader, field, &mut start_us),
        9 => integer(reader, field, &mut duration_us),
        10 => tags(reader, field, &mut parts.attributes, decoding),
        11 => reader.structures(field, |reader| {
            let fields = parts.list();
            let event = log(reader, fields, decoding)?;
            decoding.append(&mut parts.events, event)
        }),
        _ => skip(reader, field),
    })?;
    parts.trace_id = Some(trace(trace_id));
    parts.start_ns = nanoseconds(start_us);
    parts.end_ns = nanoseconds(start_us.saturating_add(duration_us));
    spans.end()
}

/// Jaeger's other flags have no meaning behind a client.
const SAMPLED: i64 = 1;

fn reference(reader: &mut ThriftReader<'_>) -> Result<Reference> {
    let (mut kind, mut trace_id, mut span_id) = (0, [0; 2], 0);
    reader.structure(|reader, field| match field.id {
        1 => integer(reader, field, &mut kind),
        2 => integer(reader, field, &mut trace_id[1]),
        3 => integer(reader, field, &mut trace_id[0]),
        4 => integer(reader, field, &mut span_id),
        _ => skip(reader, field),
    })?;
    let span_id = span_id.to_be_bytes();
    Ok(Reference { trace_id: trace(trace_id), span_id, is_child: kind == 0 })
}

fn log<'a>(
    reader: &mut ThriftReader<'a>,
    mut fields: Vec<Attribute<'a>>,
    decoding: &mut Decoding<'_>,
) -> Result<crate::EventRef<'a>> {
    let mut time_us = 0;
    reader.structure(|reader, field| match field.id {
        1 => integer(reader, field, &mut time_us),
        2 => tags(reader, field, &mut fields, decoding),
        _ => skip(reader, field),
    })?;
    Ok(event(nanoseconds(time_us), fields))
}

fn tags<'a>(
    reader: &mut ThriftReader<'a>,
    field: ThriftField,
    list: &mut Vec<Attribute<'a>>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    reader.structures(field, |reader| {
        let tag = tag(reader, decoding)?;
        decoding.append(list, tag)
    })
}

/// A tag has a field for each type, of which one counts.
fn tag<'a>(reader: &mut ThriftReader<'a>, decoding: &mut Decoding<'_>) -> Result<Attribute<'a>> {
    let (mut key, mut kind, mut values) = (Cow::Borrowed(""), 0, Values::default());
    reader.structure(|reader, field| match field.id {
        1 => text(reader, field, &mut key, decoding),
        2 => integer(reader, field, &mut kind),
        3 => {
            values.text = reader.string(field)?;
            Ok(())
        }
        4 => {
            values.double = reader.double(field)?;
            Ok(())
        }
        5 => {
            values.boolean = reader.boolean(field)?;
            Ok(())
        }
        6 => integer(reader, field, &mut values.long),
        7 => {
            values.binary = reader.string(field)?;
            Ok(())
        }
        _ => skip(reader, field),
    })?;
    let value = match kind {
        0 => AnyValue::Text(decoding.lossy_text(values.text)?),
        1 => AnyValue::Double(values.double),
        2 => AnyValue::Bool(values.boolean),
        3 => AnyValue::Int(values.long),
        4 => AnyValue::Bytes(Cow::Borrowed(values.binary)),
        _ => AnyValue::Empty,
    };
    Ok(Attribute { key, value })
}

#[derive(Default)]
struct Values<'a> {
    text: &'a [u8],
    double: f64,
    boolean: bool,
    long: i64,
    binary: &'a [u8],
}

fn skip(reader: &mut ThriftReader<'_>, field: ThriftField) -> Result<()> {
    Ok(reader.skip(field.kind)?)
}

fn trace([high, low]: [i64; 2]) -> [u8; 16] {
    (u128::from(high as u64) << 64 | u128::from(low as u64)).to_be_bytes()
}

/// Times before 1970 are 0.
fn nanoseconds(microseconds: i64) -> u64 {
    u64::try_from(microseconds).unwrap_or(0).saturating_mul(1_000)
}
