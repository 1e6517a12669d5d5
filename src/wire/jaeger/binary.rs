//! Jaeger's protobuf, `PostSpansRequest`, in which collectors and agents pass batches on.

use super::span::{Process, Reference, Spans, event};
use crate::decoding::{Decoding, Result, each_field, set};
use crate::otlp::{AnyValue, Attribute};
use crate::protobuf::{Field, Reader};
use crate::span_sink::{DecodedSpans, EventRef, SpanSink};
use model::Room;
use std::borrow::Cow;

/// Passes every span of a request to `sink`. Asks `room` for the memory of what it builds, before it
/// takes it.
pub fn decode_jaeger_protobuf(
    request: &[u8],
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut spans = Spans::new(Decoding::lossy(request.len(), room), sink);
    each_field(Reader::new(request), |field| match field.number {
        1 => batch(field.message()?, &mut spans),
        _ => Ok(()),
    })?;
    Ok(spans.finish())
}

/// The spans come before the process that they belong to; one with a process of its own belongs to that.
fn batch<'a, S: SpanSink + ?Sized>(
    reader: Reader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let shared = process_in(reader, 2, &mut spans.decoding)?.unwrap_or_default();
    spans.process(shared.clone());
    each_field(reader, |field| match field.number {
        1 => {
            let own = process_in(field.message()?, 10, &mut spans.decoding)?;
            let has_own = own.is_some();
            own.into_iter().for_each(|process| spans.process(process));
            span(field.message()?, spans)?;
            if has_own {
                spans.process(shared.clone());
            }
            Ok(())
        }
        _ => Ok(()),
    })
}

/// The process in the field of this number.
fn process_in<'a>(
    reader: Reader<'a>,
    number: u32,
    decoding: &mut Decoding<'_>,
) -> Result<Option<Process<'a>>> {
    let mut found: Option<Process<'a>> = None;
    each_field(reader, |field| {
        if field.number != number {
            return Ok(());
        }
        let out = found.get_or_insert_default();
        each_field(field.message()?, |field| match field.number {
            1 => set(&mut out.service_name, decoding.text(field)),
            2 => push(field, &mut out.tags, decoding),
            _ => Ok(()),
        })
    })?;
    Ok(found)
}

fn span<'a, S: SpanSink + ?Sized>(
    reader: Reader<'a>,
    spans: &mut Spans<'a, '_, '_, S>,
) -> Result<()> {
    let mut duration_ns = 0;
    spans.begin();
    let Spans { decoding, parts, references, .. } = spans;
    each_field(reader, |field| match field.number {
        1 => set(&mut parts.trace_id, id(field)),
        2 => set(&mut parts.span_id, id(field)),
        3 => set(&mut parts.name, decoding.text(field)),
        4 => {
            let reference = reference(field.message()?)?;
            decoding.append(references, reference)
        }
        // The others have no meaning behind a client.
        5 => set(&mut parts.flags, field.uint32().map(|flags| flags & 1)),
        6 => set(&mut parts.start_ns, nanoseconds(field)),
        7 => set(&mut duration_ns, nanoseconds(field)),
        8 => push(field, &mut parts.attributes, decoding),
        9 => {
            let fields = parts.list();
            let event = log(field.message()?, fields, decoding)?;
            decoding.append(&mut parts.events, event)
        }
        12 => {
            let value = AnyValue::Text(decoding.text(field)?);
            let key = Cow::Borrowed("jaeger.warning");
            decoding.append(&mut parts.attributes, Attribute { key, value })
        }
        _ => Ok(()),
    })?;
    parts.end_ns = parts.start_ns.saturating_add(duration_ns);
    spans.end()
}

fn reference(reader: Reader<'_>) -> Result<Reference> {
    let (mut trace_id, mut span_id, mut kind) = (None, None, 0);
    each_field(reader, |field| match field.number {
        1 => set(&mut trace_id, id(field)),
        2 => set(&mut span_id, id(field)),
        3 => set(&mut kind, field.unsigned()),
        _ => Ok(()),
    })?;
    let (trace_id, span_id) = (trace_id.unwrap_or_default(), span_id.unwrap_or_default());
    Ok(Reference { trace_id, span_id, is_child: kind == 0 })
}

fn log<'a>(
    reader: Reader<'a>,
    mut fields: Vec<Attribute<'a>>,
    decoding: &mut Decoding<'_>,
) -> Result<EventRef<'a>> {
    let mut time_ns = 0;
    each_field(reader, |field| match field.number {
        1 => set(&mut time_ns, nanoseconds(field)),
        2 => push(field, &mut fields, decoding),
        _ => Ok(()),
    })?;
    Ok(event(time_ns, fields))
}

fn push<'a>(
    field: Field<'a>,
    list: &mut Vec<Attribute<'a>>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let tag = tag(field.message()?, decoding)?;
    decoding.append(list, tag)
}

/// A tag has a field for each type, of which one counts.
fn tag<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<Attribute<'a>> {
    let (mut key, mut kind) = (Cow::Borrowed(""), 0);
    let (mut text, mut boolean, mut int, mut double, mut bytes): (Cow<'a, str>, _, _, _, &[u8]) =
        (Cow::Borrowed(""), false, 0, 0.0, &[]);
    each_field(reader, |field| match field.number {
        1 => set(&mut key, decoding.text(field)),
        2 => set(&mut kind, field.unsigned()),
        3 => set(&mut text, decoding.text(field)),
        4 => set(&mut boolean, field.boolean()),
        5 => set(&mut int, field.signed()),
        6 => set(&mut double, field.double()),
        7 => set(&mut bytes, field.bytes()),
        _ => Ok(()),
    })?;
    let value = match kind {
        0 => AnyValue::Text(text),
        1 => AnyValue::Bool(boolean),
        2 => AnyValue::Int(int),
        3 => AnyValue::Double(double),
        4 => AnyValue::Bytes(Cow::Borrowed(bytes)),
        _ => AnyValue::Empty,
    };
    Ok(Attribute { key, value })
}

/// `None` when it has another length.
fn id<const N: usize>(field: Field<'_>) -> Result<Option<[u8; N]>> {
    Ok(field.bytes()?.try_into().ok())
}

/// A `Timestamp` or a `Duration`; negative ones are 0.
fn nanoseconds(field: Field<'_>) -> Result<u64> {
    let (mut seconds, mut nanos) = (0, 0);
    each_field(field.message()?, |field| match field.number {
        1 => set(&mut seconds, field.signed()),
        2 => set(&mut nanos, field.signed()),
        _ => Ok(()),
    })?;
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Ok(u64::try_from(whole.max(0)).unwrap_or(u64::MAX))
}
