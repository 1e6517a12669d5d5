//! Zipkin's version 1 in Thrift's binary protocol: a list of spans, not within a message.

use super::span::{Endpoint, Spans};
use super::v1::{take_annotation, take_binary_annotation};
use crate::decoding::{Decoding, Result};
use crate::otlp::AnyValue;
use crate::span_sink::{DecodedSpans, SpanSink};
use crate::thrift::{ThriftField, ThriftProtocol, ThriftReader, ThriftType};
use crate::thrift_fields::{integer, span_id, text};
use model::Room;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Passes every span of a request to `sink`; those without a time are of `now_ns`. Asks `room` for the
/// memory of what it builds, before it takes it.
pub fn decode_zipkin_v1_thrift(
    request: &[u8],
    now_ns: u64,
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut spans = Spans::new(Decoding::lossy(request.len(), room), now_ns, sink);
    let list = ThriftField { id: 0, kind: ThriftType::List };
    ThriftReader::new(request, ThriftProtocol::Binary)
        .structures(list, |reader| span(reader, &mut spans))?;
    Ok(spans.finish())
}

fn span<'a, S: SpanSink + ?Sized>(
    reader: &mut ThriftReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut low, mut high) = (0, 0);
    spans.begin();
    reader.structure(|reader, field| match field.id {
        1 => integer(reader, field, &mut low),
        3 => text(reader, field, &mut spans.parts.name, &mut spans.decoding),
        4 => span_id(reader, field, &mut spans.parts.span_id),
        5 => span_id(reader, field, &mut spans.parts.parent_span_id),
        6 => reader.structures(field, |reader| annotation(reader, spans)),
        8 => reader.structures(field, |reader| binary_annotation(reader, spans)),
        10 => micros(reader, field, &mut spans.around.start_us),
        11 => micros(reader, field, &mut spans.around.duration_us),
        12 => integer(reader, field, &mut high),
        _ => Ok(reader.skip(field.kind)?),
    })?;
    let trace_id = u128::from(high as u64) << 64 | u128::from(low as u64);
    spans.parts.trace_id = Some(trace_id.to_be_bytes());
    spans.end()
}

fn annotation<'a, S: SpanSink + ?Sized>(
    reader: &mut ThriftReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut time_us, mut value, mut host) = (0, Cow::Borrowed(""), Endpoint::default());
    reader.structure(|reader, field| match field.id {
        1 => micros(reader, field, &mut time_us),
        2 => text(reader, field, &mut value, &mut spans.decoding),
        3 => endpoint(reader, field, &mut host, &mut spans.decoding),
        _ => Ok(reader.skip(field.kind)?),
    })?;
    take_annotation(spans, time_us, value, host)
}

fn binary_annotation<'a, S: SpanSink + ?Sized>(
    reader: &mut ThriftReader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut name, mut host) = (Cow::Borrowed(""), Endpoint::default());
    let (mut bytes, mut kind) = (&b""[..], STRING);
    reader.structure(|reader, field| match field.id {
        1 => text(reader, field, &mut name, &mut spans.decoding),
        2 => {
            bytes = reader.string(field)?;
            Ok(())
        }
        3 => integer(reader, field, &mut kind),
        4 => endpoint(reader, field, &mut host, &mut spans.decoding),
        _ => Ok(reader.skip(field.kind)?),
    })?;
    let value = value(kind, bytes, &mut spans.decoding)?;
    take_binary_annotation(spans, name, value, host)
}

const STRING: i64 = 6;

/// The value of a type, which is written in as many bytes as the type has. One of another length is told
/// as bytes.
fn value<'a>(kind: i64, bytes: &'a [u8], decoding: &mut Decoding<'_>) -> Result<AnyValue<'a>> {
    let int = || match (kind, bytes) {
        (2, [a, b]) => Some(i16::from_be_bytes([*a, *b]).into()),
        (3, [a, b, c, d]) => Some(i32::from_be_bytes([*a, *b, *c, *d]).into()),
        (4, bytes) => bytes.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    };
    Ok(match (kind, bytes) {
        (0, [truth]) => AnyValue::Bool(*truth == 1),
        (STRING, bytes) => AnyValue::Text(decoding.lossy_text(bytes)?),
        (5, bytes) if bytes.len() == 8 => {
            AnyValue::Double(bytes.try_into().map_or(0.0, f64::from_be_bytes))
        }
        (_, bytes) => int().map_or(AnyValue::Bytes(Cow::Borrowed(bytes)), AnyValue::Int),
    })
}

fn endpoint<'a>(
    reader: &mut ThriftReader<'a>,
    field: ThriftField,
    out: &mut Endpoint<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    reader.expect(field, ThriftType::Struct)?;
    reader.structure(|reader, field| match field.id {
        1 => {
            let address = reader.integer(field)? as u32;
            // 0 stands for none.
            if address != 0 {
                out.ipv4 = Ipv4Addr::from(address).to_string().into();
            }
            Ok(())
        }
        2 => {
            out.port = reader.integer(field)? as u16;
            Ok(())
        }
        3 => text(reader, field, &mut out.service_name, decoding),
        4 => {
            let address = <[u8; 16]>::try_from(reader.string(field)?);
            if let Ok(address) = address {
                out.ipv6 = Ipv6Addr::from(address).to_string().into();
            }
            Ok(())
        }
        _ => Ok(reader.skip(field.kind)?),
    })
}

/// Times before 1970 are 0.
fn micros(reader: &mut ThriftReader<'_>, field: ThriftField, place: &mut u64) -> Result<()> {
    *place = u64::try_from(reader.integer(field)?).unwrap_or(0);
    Ok(())
}
