//! OTLP's protobuf of spans, read field by field.

use super::super::binary::attribute;
use super::super::common::Attribute;
use super::{KIND_LAST, STATUS_LAST, known};
use crate::decoding::{Decoding, Result, each_field, set};
use crate::protobuf::{Field, Reader};
use crate::span_parts::{SpanParts, SpanWriter};
use crate::span_sink::{DecodedSpans, EventRef, LinkRef, SpanSink};
use model::Room;

/// Passes every span of a request to `sink`. Asks `room` for the memory of what it builds, before it
/// takes it.
pub fn decode_otlp_spans(
    request: &[u8],
    room: &mut dyn Room,
    sink: &mut (impl SpanSink + ?Sized),
) -> Result<DecodedSpans> {
    let mut decoder = Decoder {
        decoding: Decoding::lossy(request.len(), room),
        writer: SpanWriter::new(sink),
        shared: Vec::new(),
        parts: SpanParts::default(),
    };
    each_field(Reader::new(request), |field| match field.number {
        1 => decoder.resource_spans(field.message()?),
        _ => Ok(()),
    })?;
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
    /// The resource comes first by its number, but protobuf allows any order: it is read before the
    /// spans, wherever it stands.
    fn resource_spans(&mut self, reader: Reader<'a>) -> Result<()> {
        self.shared.clear();
        each_field(reader, |field| match field.number {
            1 => each_field(field.message()?, |field| match field.number {
                1 => push(&mut self.decoding, &mut self.shared, field),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        self.writer.resource(&mut self.shared, self.decoding.take_replaced());
        each_field(reader, |field| match field.number {
            2 => self.scope_spans(field.message()?),
            _ => Ok(()),
        })
    }

    fn scope_spans(&mut self, reader: Reader<'a>) -> Result<()> {
        let (mut name, mut version) = Default::default();
        self.shared.clear();
        each_field(reader, |field| match field.number {
            1 => each_field(field.message()?, |field| match field.number {
                1 => set(&mut name, self.decoding.text(field)),
                2 => set(&mut version, self.decoding.text(field)),
                3 => push(&mut self.decoding, &mut self.shared, field),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        let has_replaced = self.decoding.take_replaced();
        self.writer.scope(&name, &version, &mut self.shared, has_replaced);
        each_field(reader, |field| match field.number {
            2 => self.span(field.message()?),
            _ => Ok(()),
        })
    }

    fn span(&mut self, reader: Reader<'a>) -> Result<()> {
        let Self { decoding, parts, .. } = self;
        parts.clear();
        each_field(reader, |field| match field.number {
            1 => set(&mut parts.trace_id, id(field)),
            2 => set(&mut parts.span_id, id(field)),
            3 => set(&mut parts.trace_state, decoding.text(field)),
            4 => set(&mut parts.parent_span_id, parent_id(field)),
            5 => set(&mut parts.name, decoding.text(field)),
            6 => set(&mut parts.kind, field.signed().map(|number| known(number, KIND_LAST))),
            7 => set(&mut parts.start_ns, field.fixed64()),
            8 => set(&mut parts.end_ns, field.fixed64()),
            9 => push(decoding, &mut parts.attributes, field),
            10 => set(&mut parts.dropped_attributes, field.uint32()),
            11 => event(field.message()?, parts, decoding),
            12 => set(&mut parts.dropped_events, field.uint32()),
            13 => link(field.message()?, parts, decoding),
            14 => set(&mut parts.dropped_links, field.uint32()),
            15 => status(field.message()?, parts, decoding),
            16 => set(&mut parts.flags, field.fixed32()),
            _ => Ok(()),
        })?;
        let has_replaced = self.decoding.take_replaced();
        self.writer.span(&mut self.parts, has_replaced);
        Ok(())
    }
}

fn push<'a>(
    decoding: &mut Decoding<'_>,
    list: &mut Vec<Attribute<'a>>,
    field: Field<'a>,
) -> Result<()> {
    let attribute = attribute(field.message()?, decoding)?;
    decoding.append(list, attribute)
}

fn status<'a>(
    reader: Reader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_field(reader, |field| match field.number {
        2 => set(&mut parts.status_message, decoding.text(field)),
        3 => set(&mut parts.status, field.signed().map(|number| known(number, STATUS_LAST))),
        _ => Ok(()),
    })
}

fn event<'a>(
    reader: Reader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let mut event = EventRef { attributes: parts.list(), ..EventRef::default() };
    each_field(reader, |field| match field.number {
        1 => set(&mut event.time_ns, field.fixed64()),
        2 => set(&mut event.name, decoding.text(field)),
        3 => push(decoding, &mut event.attributes, field),
        4 => set(&mut event.dropped_attributes, field.uint32()),
        _ => Ok(()),
    })?;
    decoding.append(&mut parts.events, event)
}

fn link<'a>(
    reader: Reader<'a>,
    parts: &mut SpanParts<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let mut link = LinkRef { attributes: parts.list(), ..LinkRef::default() };
    each_field(reader, |field| match field.number {
        1 => set(&mut link.trace_id, id(field).map(Option::unwrap_or_default)),
        2 => set(&mut link.span_id, id(field).map(Option::unwrap_or_default)),
        3 => set(&mut link.trace_state, decoding.text(field)),
        4 => push(decoding, &mut link.attributes, field),
        5 => set(&mut link.dropped_attributes, field.uint32()),
        6 => set(&mut link.flags, field.fixed32()),
        _ => Ok(()),
    })?;
    decoding.append(&mut parts.links, link)
}

/// `None` when it has another length.
fn id<const N: usize>(field: Field<'_>) -> Result<Option<[u8; N]>> {
    Ok(field.bytes()?.try_into().ok())
}

/// A span without a parent has an empty id, or none.
fn parent_id(field: Field<'_>) -> Result<Option<[u8; 8]>> {
    match field.bytes()? {
        [] => Ok(Some([0; 8])),
        _ => id(field),
    }
}
