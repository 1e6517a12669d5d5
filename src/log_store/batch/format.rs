//! How a batch is written into the write-ahead log: `docs/formats/logs-batch.md` draws the bytes.

use crate::rows::{Rows, start_of};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::Labels;

/// The version of the payload.
pub const BATCH_SCHEMA: u16 = 1;

/// A decoded batch: rows name streams by their place in `streams`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DecodedBatch {
    pub(crate) streams: Vec<Labels>,
    pub(crate) rows: Rows,
}

/// Appends the payload.
pub(crate) fn encode(streams: &[Labels], rows: &Rows, payload: &mut Vec<u8>) {
    let mut writer = ByteWriter { bytes: std::mem::take(payload) };
    writer.bytes.reserve(rows.bytes());
    writer.varint(streams.len() as u64);
    streams.iter().for_each(|labels| writer.prefixed(labels.as_bytes()));
    writer.varint(rows.names.len() as u64);
    rows.names.iter().for_each(|name| writer.text(name));
    writer.varint(rows.len() as u64);
    write_streams(rows, &mut writer);
    write_times(rows, &mut writer);
    (0..rows.len()).for_each(|row| writer.varint(rows.line(row).len() as u64));
    write_fields(rows, &mut writer);
    writer.prefixed(&rows.lines);
    writer.prefixed(&rows.values);
    *payload = writer.bytes;
}

/// Runs of one stream: the stream and how many lines.
fn write_streams(rows: &Rows, writer: &mut ByteWriter) {
    for run in rows.streams.chunk_by(|left, right| left == right) {
        writer.varint(u64::from(run[0]));
        writer.varint(run.len() as u64);
    }
}

fn write_times(rows: &Rows, writer: &mut ByteWriter) {
    let mut before = 0i64;
    for time in &rows.times {
        writer.varint_signed(time.wrapping_sub(before));
        before = *time;
    }
}

fn write_fields(rows: &Rows, writer: &mut ByteWriter) {
    for row in 0..rows.len() {
        let count = rows.field_ends[row] as usize - start_of(&rows.field_ends, row);
        writer.varint(count as u64);
        for (name, value) in rows.fields(row) {
            writer.varint(u64::from(name));
            writer.varint(value.len() as u64);
        }
    }
}

pub(crate) fn decode(payload: &[u8]) -> Result<DecodedBatch, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let streams = read_streams(&mut reader)?;
    let mut rows = Rows::default();
    for _ in 0..reader.length(reader.remaining())? {
        rows.names.number(reader.text()?);
    }
    let count = reader.length(reader.remaining())?;
    read_runs(&mut reader, count, streams.len(), &mut rows)?;
    read_times(&mut reader, count, &mut rows)?;
    read_ends(&mut reader, count, &mut rows.line_ends)?;
    read_fields(&mut reader, count, &mut rows)?;
    rows.lines = reader.prefixed()?.to_vec();
    rows.values = reader.prefixed()?.to_vec();
    let mismatch = reader.value_error("texts of another length than the batch says");
    let lines = rows.line_ends.last().copied().unwrap_or(0);
    let values = rows.fields.last().map_or(0, |field| field.end);
    if lines as usize != rows.lines.len() || values as usize != rows.values.len() {
        return Err(mismatch);
    }
    reader.finish()?;
    Ok(DecodedBatch { streams, rows })
}

fn read_streams(reader: &mut ByteReader<'_>) -> Result<Vec<Labels>, DecodeError> {
    let count = reader.length(reader.remaining())?;
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let wrong = reader.value_error("labels that are not canonical");
        streams.push(Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?);
    }
    Ok(streams)
}

fn read_runs(
    reader: &mut ByteReader<'_>,
    count: usize,
    streams: usize,
    rows: &mut Rows,
) -> Result<(), DecodeError> {
    while rows.streams.len() < count {
        let wrong = reader.value_error("a run of no stream, or of no line");
        let stream = reader.varint()?;
        let length = reader.length(count - rows.streams.len())?;
        if stream >= streams as u64 || length == 0 {
            return Err(wrong);
        }
        rows.streams.resize(rows.streams.len() + length, stream as u32);
    }
    Ok(())
}

fn read_times(
    reader: &mut ByteReader<'_>,
    count: usize,
    rows: &mut Rows,
) -> Result<(), DecodeError> {
    let mut before = 0i64;
    rows.times.reserve(count);
    for _ in 0..count {
        before = before.wrapping_add(reader.varint_signed()?);
        rows.times.push(before);
    }
    Ok(())
}

/// Lengths, kept as ends.
fn read_ends(
    reader: &mut ByteReader<'_>,
    count: usize,
    ends: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let mut end = 0u32;
    ends.reserve(count);
    for _ in 0..count {
        end += reader.length((u32::MAX - end) as usize)? as u32;
        ends.push(end);
    }
    Ok(())
}

fn read_fields(
    reader: &mut ByteReader<'_>,
    count: usize,
    rows: &mut Rows,
) -> Result<(), DecodeError> {
    let mut end = 0u32;
    rows.field_ends.reserve(count);
    for _ in 0..count {
        for _ in 0..reader.length(reader.remaining() / 2)? {
            let wrong = reader.value_error("a field without a name");
            let name = reader.varint()?;
            end += reader.length((u32::MAX - end) as usize)? as u32;
            if name >= rows.names.len() as u64 {
                return Err(wrong);
            }
            rows.fields.push(crate::rows::FieldEnd { name: name as u32, end });
        }
        rows.field_ends.push(rows.fields.len() as u32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::any_rows;
    use proptest::prelude::*;

    fn streams() -> Vec<Labels> {
        (0..5).map(|i| Labels::from_pairs([("app", format!("a{i}").as_str())])).collect()
    }

    proptest! {
        #[test]
        fn batches_come_back(rows in any_rows()) {
            let mut payload = b"before".to_vec();
            encode(&streams(), &rows, &mut payload);
            let decoded = decode(&payload[6..]);
            prop_assert_eq!(decoded, Ok(DecodedBatch { streams: streams(), rows }));
        }

        #[test]
        fn any_bytes_are_a_batch_or_an_error(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_changed_batch_is_a_batch_or_an_error(rows in any_rows(), at: usize, byte: u8) {
            let mut payload = Vec::new();
            encode(&streams(), &rows, &mut payload);
            let at = at % payload.len();
            payload[at] = byte;
            if let Ok(batch) = decode(&payload) {
                for row in 0..batch.rows.len() {
                    let _ = (batch.rows.line(row), batch.rows.fields(row).count());
                    prop_assert!((batch.rows.streams[row] as usize) < batch.streams.len());
                }
            }
        }
    }
}
