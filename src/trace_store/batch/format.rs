//! How a batch is written into the write-ahead log: `docs/formats/traces-batch.md` draws the bytes.

use crate::keys::{Table, ValueKind};
use crate::spans::Spans;
use codec::{ByteReader, ByteWriter, DecodeError};

/// The version of the payload.
pub const BATCH_SCHEMA: u16 = 1;

/// Appends the payload.
pub(crate) fn encode(spans: &Spans, payload: &mut Vec<u8>) {
    let mut writer = ByteWriter { bytes: std::mem::take(payload) };
    writer.varint(spans.texts.len() as u64);
    let texts = spans.texts.texts();
    texts.iter().for_each(|text| writer.varint(text.len() as u64));
    writer.raw(&texts.bytes);
    writer.varint(spans.keys.len() as u64);
    for key in spans.keys.iter() {
        writer.u8(key.kind as u8 * 2 + u8::from(key.is_intrinsic));
        writer.text(&key.name);
    }
    for table in [Table::Resource, Table::Scope] {
        writer.varint(spans.table(table).rows() as u64);
        (0..spans.table(table).rows()).for_each(|row| write_row(spans, table, row, &mut writer));
    }
    writer.varint(spans.len() as u64);
    let mut before = (0, [0; 16]);
    for row in 0..spans.len() {
        before = write_span(spans, row, before, &mut writer);
    }
    *payload = writer.bytes;
}

/// A span with the trace id of the one before writes one byte for it.
fn write_span(
    spans: &Spans,
    row: usize,
    (start, trace_id): (u64, [u8; 16]),
    writer: &mut ByteWriter,
) -> (u64, [u8; 16]) {
    let is_same = row > 0 && trace_id == spans.trace_ids[row];
    let has_parent = spans.parent_ids[row] != crate::spans::NO_ID;
    let flags = u8::from(is_same) | u8::from(has_parent) << 1 | spans.statuses[row] << 2;
    writer.u8(flags | spans.kinds[row] << 4);
    if !is_same {
        writer.raw(&spans.trace_ids[row]);
    }
    writer.raw(&spans.span_ids[row]);
    if has_parent {
        writer.raw(&spans.parent_ids[row]);
    }
    writer.varint_signed(spans.starts[row].wrapping_sub(start) as i64);
    writer.varint(spans.lengths[row]);
    writer.varint(u64::from(spans.names[row]));
    spans.entities.iter().for_each(|rows| writer.varint(u64::from(rows[row])));
    write_row(spans, Table::Span, row, writer);
    for table in [Table::Event, Table::Link] {
        let children = spans.children(table, row);
        writer.varint(children.len() as u64);
        children.for_each(|child| write_row(spans, table, child, writer));
    }
    (spans.starts[row], spans.trace_ids[row])
}

fn write_row(spans: &Spans, table: Table, row: usize, writer: &mut ByteWriter) {
    let attributes = spans.table(table);
    writer.varint(attributes.range(row).len() as u64);
    for (key, value) in attributes.of(row) {
        writer.varint(u64::from(key));
        match spans.keys.get(key).kind {
            ValueKind::Double => writer.u64(value),
            ValueKind::Int => writer.varint_signed(value as i64),
            _ => writer.varint(value),
        }
    }
}

pub(crate) fn decode(payload: &[u8]) -> Result<Spans, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let mut spans = Spans::default();
    read_texts(&mut reader, &mut spans)?;
    for _ in 0..reader.length(reader.remaining())? {
        let wrong = reader.value_error("a key of an unknown type, or twice the same");
        let code = reader.u8()?;
        let kind = ValueKind::from_code(code / 2).ok_or(wrong)?;
        let known = spans.keys.len();
        if spans.key(code % 2 == 1, kind, reader.text()?) as usize != known {
            return Err(wrong);
        }
    }
    let mut seen = Seen { rows: vec![0; spans.keys.len()], row: 0 };
    for table in [Table::Resource, Table::Scope] {
        for row in 0..reader.length(reader.remaining())? {
            let wrong = reader.value_error("a resource or scope that is there twice");
            seen.read_row(&mut reader, table, &mut spans)?;
            if spans.end_entity(table) as usize != row {
                return Err(wrong);
            }
        }
    }
    let mut before = (0, [0; 16]);
    for _ in 0..reader.length(reader.remaining())? {
        before = read_span(&mut reader, before, &mut spans, &mut seen)?;
    }
    reader.finish()?;
    Ok(spans)
}

fn read_texts(reader: &mut ByteReader<'_>, spans: &mut Spans) -> Result<(), DecodeError> {
    let count = reader.length(reader.remaining())?;
    let lengths = (0..count).map(|_| reader.length(reader.remaining()));
    let lengths = lengths.collect::<Result<Vec<_>, _>>()?;
    for length in lengths {
        let wrong = reader.value_error("a text that is there twice");
        let known = spans.texts.len();
        if spans.text(reader.bytes(length)?) as usize != known {
            return Err(wrong);
        }
    }
    Ok(())
}

fn read_span(
    reader: &mut ByteReader<'_>,
    (start, trace_id): (u64, [u8; 16]),
    spans: &mut Spans,
    seen: &mut Seen,
) -> Result<(u64, [u8; 16]), DecodeError> {
    let wrong = reader.value_error("not a span");
    let flags = reader.u8()?;
    let trace_id = if flags & 1 == 1 { trace_id } else { reader.array()? };
    let (status, kind) = (flags >> 2 & 3, flags >> 4);
    if kind > crate::KIND_MAX || status > crate::STATUS_MAX {
        return Err(wrong);
    }
    spans.trace_ids.push(trace_id);
    spans.kinds.push(kind);
    spans.statuses.push(status);
    spans.span_ids.push(reader.array()?);
    spans.parent_ids.push(if flags & 2 == 2 { reader.array()? } else { [0; 8] });
    let start = start.wrapping_add(reader.varint_signed()? as u64);
    spans.starts.push(start);
    spans.lengths.push(reader.varint()?);
    let name = number(reader, spans.texts.len())?;
    spans.names.push(name);
    let resource = number(reader, spans.table(Table::Resource).rows())?;
    let scope = number(reader, spans.table(Table::Scope).rows())?;
    seen.read_row(reader, Table::Span, spans)?;
    for table in [Table::Event, Table::Link] {
        for _ in 0..reader.length(reader.remaining())? {
            seen.read_row(reader, table, spans)?;
            spans.table_mut(table).end_row();
        }
    }
    spans.end_span([resource, scope]);
    Ok((start, trace_id))
}

/// A number below `count`.
fn number(reader: &mut ByteReader<'_>, count: usize) -> Result<u32, DecodeError> {
    let wrong = reader.value_error("a number of nothing");
    let number = reader.varint()?;
    if number < count as u64 { Ok(number as u32) } else { Err(wrong) }
}

/// For each key the last row that has it: a row has one key once.
struct Seen {
    rows: Vec<u64>,
    /// Counted from 1, over all tables.
    row: u64,
}

impl Seen {
    /// Reads attributes into the row of a table that has not ended.
    fn read_row(
        &mut self,
        reader: &mut ByteReader<'_>,
        table: Table,
        spans: &mut Spans,
    ) -> Result<(), DecodeError> {
        self.row += 1;
        for _ in 0..reader.length(reader.remaining())? {
            let wrong = reader.value_error("an attribute that a row has twice, or no truth");
            let key = number(reader, spans.keys.len())?;
            if std::mem::replace(&mut self.rows[key as usize], self.row) == self.row {
                return Err(wrong);
            }
            let value = match spans.keys.get(key).kind {
                ValueKind::Double => reader.u64()?,
                ValueKind::Int => reader.varint_signed()? as u64,
                ValueKind::Bool => u64::from(number(reader, 2).map_err(|_| wrong)?),
                ValueKind::Text | ValueKind::Other => u64::from(number(reader, spans.texts.len())?),
            };
            spans.table_mut(table).push(key, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::tests::any_spans;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_come_back(spans in any_spans()) {
            let mut payload = b"before".to_vec();
            encode(&spans, &mut payload);
            let back = decode(&payload[6..]).unwrap();
            prop_assert_eq!(back.len(), spans.len());
            for row in 0..spans.len() {
                prop_assert_eq!(back.trace_ids[row], spans.trace_ids[row]);
                prop_assert!(back.is_same(row, &spans, row));
            }
            let mut again = Vec::new();
            encode(&back, &mut again);
            prop_assert_eq!(&again, &payload[6..]);
        }

        #[test]
        fn a_changed_batch_is_a_batch_or_an_error(spans in any_spans(), at: usize, byte: u8) {
            let mut payload = Vec::new();
            encode(&spans, &mut payload);
            let at = at % payload.len();
            payload[at] = byte;
            if let Ok(spans) = decode(&payload) {
                let mut head = crate::head::Head::default();
                head.push(&spans);
                prop_assert_eq!(head.rows as usize, spans.len());
            }
        }

        #[test]
        fn any_bytes_are_a_batch_or_an_error(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
