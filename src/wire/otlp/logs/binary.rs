//! OTLP's protobuf of logs, read field by field.

use super::super::binary::{any_value, attribute};
use super::lines::{Lines, OtlpLogOptions, Record};
use crate::decoding::{Decoding, Result, each_field, set};
use crate::log_sink::{DecodedLogs, LogSink};
use crate::protobuf::Reader;
use model::Room;

/// Passes every record of a request to `sink`. Asks `room` for the memory of what it builds, before it
/// takes it.
pub fn decode_otlp_logs(
    request: &[u8],
    options: &OtlpLogOptions<'_>,
    room: &mut dyn Room,
    sink: &mut (impl LogSink + ?Sized),
) -> Result<DecodedLogs> {
    let mut decoding = Decoding::strict(request.len(), room);
    let mut lines = Lines::new(options, sink);
    each_field(Reader::new(request), |field| match field.number {
        1 => resource_logs(field.message()?, &mut lines, &mut decoding),
        _ => Ok(()),
    })?;
    Ok(lines.decoded)
}

/// The resource comes first by its number, but protobuf allows any order: it is read before the
/// records, wherever it stands.
fn resource_logs<S: LogSink + ?Sized>(
    reader: Reader<'_>,
    lines: &mut Lines<'_, '_, S>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    lines.begin_resource();
    each_field(reader, |field| match field.number {
        1 => each_field(field.message()?, |field| match field.number {
            1 => {
                let attribute = attribute(field.message()?, decoding)?;
                decoding.take_copy(field)?;
                lines.resource_attribute(&attribute);
                Ok(())
            }
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    lines.end_resource();
    each_field(reader, |field| match field.number {
        2 => scope_logs(field.message()?, lines, decoding),
        _ => Ok(()),
    })
}

fn scope_logs<S: LogSink + ?Sized>(
    reader: Reader<'_>,
    lines: &mut Lines<'_, '_, S>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    lines.begin_scope();
    let (mut name, mut version) = ("", "");
    each_field(reader, |field| match field.number {
        1 => each_field(field.message()?, |field| match field.number {
            1 => set(&mut name, field.text()),
            2 => set(&mut version, field.text()),
            3 => {
                let attribute = attribute(field.message()?, decoding)?;
                decoding.take_copy(field)?;
                lines.scope_attribute(&attribute);
                Ok(())
            }
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    lines.scope(name, version);
    each_field(reader, |field| match field.number {
        2 => log_record(field.message()?, lines, decoding),
        _ => Ok(()),
    })
}

fn log_record<S: LogSink + ?Sized>(
    reader: Reader<'_>,
    lines: &mut Lines<'_, '_, S>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    let mut record = Record::default();
    lines.begin_record();
    each_field(reader, |field| match field.number {
        1 => set(&mut record.time_ns, field.fixed64()),
        2 => set(&mut record.severity_number, field.int32()),
        3 => set(&mut record.severity_text, field.text()),
        5 => set(&mut record.body, any_value(field.message()?, decoding, 0)),
        6 => {
            let attribute = attribute(field.message()?, decoding)?;
            lines.record_attribute(&attribute);
            Ok(())
        }
        7 => set(&mut record.dropped_attributes, field.uint32()),
        8 => set(&mut record.flags, field.fixed32()),
        9 => set(&mut record.trace_id, field.bytes()),
        10 => set(&mut record.span_id, field.bytes()),
        11 => set(&mut record.observed_ns, field.fixed64()),
        12 => set(&mut record.event_name, field.text()),
        _ => Ok(()),
    })?;
    lines.end_record(&record);
    Ok(())
}
