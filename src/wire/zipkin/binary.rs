//! The protobuf of Zipkin's version 2, `ListOfSpans`.

use super::span::{Endpoint, Spans};
use crate::decoding::{Decoding, Result, each_field, set};
use crate::otlp::AnyValue;
use crate::protobuf::{Field, Reader};
use crate::span_sink::{DecodedSpans, SpanSink};
use model::Room;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Passes every span of a request to `sink`; those without a time are of `now_ns`. Asks `room` for the
/// memory of what it builds, before it takes it.
pub fn decode_zipkin_protobuf(
    request: &[u8],
    now_ns: u64,
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut spans = Spans::new(Decoding::lossy(request.len(), room), now_ns, sink);
    each_field(Reader::new(request), |field| match field.number {
        1 => span(field.message()?, &mut spans),
        _ => Ok(()),
    })?;
    Ok(spans.finish())
}

fn span<'a, S: SpanSink + ?Sized>(
    reader: Reader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    spans.begin();
    each_field(reader, |field| match field.number {
        1 => set(&mut spans.parts.trace_id, id(field)),
        2 => set(&mut spans.parts.parent_span_id, id(field)),
        3 => set(&mut spans.parts.span_id, id(field)),
        4 => set(&mut spans.parts.kind, field.unsigned().map(kind)),
        5 => set(&mut spans.parts.name, spans.decoding.text(field)),
        6 => set(&mut spans.around.start_us, field.fixed64()),
        7 => set(&mut spans.around.duration_us, field.unsigned()),
        8 => set(&mut spans.around.local, endpoint(field, &mut spans.decoding)),
        9 => set(&mut spans.around.remote, endpoint(field, &mut spans.decoding)),
        10 => annotation(field.message()?, spans),
        11 => tag(field.message()?, spans),
        _ => Ok(()),
    })?;
    spans.end()
}

/// Ids are as long as they were in hex: 8 or 16 bytes for a trace.
fn id<const N: usize>(field: Field<'_>) -> Result<Option<[u8; N]>> {
    let bytes = field.bytes()?;
    let mut id = [0; N];
    let Some(start) = N.checked_sub(bytes.len()) else { return Ok(None) };
    id[start..].copy_from_slice(bytes);
    Ok(Some(id))
}

/// Zipkin's numbers: 1 client, 2 server, 3 producer, 4 consumer.
fn kind(number: u64) -> u8 {
    match number {
        1 => 3,
        2 => 2,
        3 => 4,
        4 => 5,
        _ => 0,
    }
}

fn endpoint<'a>(field: Field<'a>, decoding: &mut Decoding<'_>) -> Result<Endpoint<'a>> {
    let mut out = Endpoint::default();
    each_field(field.message()?, |field| match field.number {
        1 => set(&mut out.service_name, decoding.text(field)),
        2 => {
            let address = <[u8; 4]>::try_from(field.bytes()?);
            out.ipv4 =
                address.map_or(Cow::Borrowed(""), |ip| Ipv4Addr::from(ip).to_string().into());
            Ok(())
        }
        3 => {
            let address = <[u8; 16]>::try_from(field.bytes()?);
            out.ipv6 =
                address.map_or(Cow::Borrowed(""), |ip| Ipv6Addr::from(ip).to_string().into());
            Ok(())
        }
        4 => set(&mut out.port, field.unsigned().map(|port| u16::try_from(port).unwrap_or(0))),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn annotation<'a, S: SpanSink + ?Sized>(
    reader: Reader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut time_us, mut value) = (0, Cow::Borrowed(""));
    each_field(reader, |field| match field.number {
        1 => set(&mut time_us, field.fixed64()),
        2 => set(&mut value, spans.decoding.text(field)),
        _ => Ok(()),
    })?;
    spans.annotation(time_us, value)
}

fn tag<'a, S: SpanSink + ?Sized>(
    reader: Reader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let (mut key, mut value) = (Cow::Borrowed(""), Cow::Borrowed(""));
    each_field(reader, |field| match field.number {
        1 => set(&mut key, spans.decoding.text(field)),
        2 => set(&mut value, spans.decoding.text(field)),
        _ => Ok(()),
    })?;
    spans.tag(key, AnyValue::Text(value))
}
