//! Probe records as bytes. Batches of the write-ahead log and pages of parts have one encoding:
//! `varint count, then per record: varint id, signed varint tick, length-prefixed text`.

use codec::{ByteReader, ByteWriter, DecodeError};
use std::collections::BTreeMap;

/// The schema number of batches and parts with this encoding.
pub const SCHEMA: u16 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970, when it was taken.
    pub tick: i64,
    pub text: Box<[u8]>,
}

/// Records by their id, which the client chooses; the same id again is the same record.
pub type Records = BTreeMap<u64, Record>;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("line {line}: write `ID TEXT`, where ID is a whole number")]
    Line { line: usize },
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

pub fn encode<'a>(records: impl ExactSizeIterator<Item = (u64, &'a Record)>) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    writer.varint(records.len() as u64);
    for (id, record) in records {
        writer.varint(id);
        writer.varint_signed(record.tick);
        writer.prefixed(&record.text);
    }
    writer.bytes
}

pub fn decode(bytes: &[u8]) -> Result<Vec<(u64, Record)>, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    // A record takes at least three bytes, so the count can't claim more than the bytes hold.
    let count = reader.length(bytes.len() / 3)?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let id = reader.varint()?;
        let tick = reader.varint_signed()?;
        records.push((id, Record { tick, text: reader.prefixed()?.into() }));
    }
    reader.finish()?;
    Ok(records)
}

/// Lines of `ID TEXT`.
pub(crate) fn parse_lines(body: &[u8], tick: i64) -> Result<Records, RecordError> {
    let mut records = Records::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let bad = RecordError::Line { line: index + 1 };
        let Some(space) = line.iter().position(|byte| *byte == b' ') else { return Err(bad) };
        let id = std::str::from_utf8(&line[..space]).ok().and_then(|id| id.parse().ok());
        let Some(id) = id else { return Err(bad) };
        records.insert(id, Record { tick, text: line[space + 1..].into() });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_records_and_bytes_and_records_again() {
        let records = parse_lines(b"7 seven\n\n1 \n3 a b\n", 42).unwrap();
        assert_eq!(records.keys().copied().collect::<Vec<_>>(), [1, 3, 7]);
        let bytes = encode(records.iter().map(|(id, record)| (*id, record)));
        let back: Records = decode(&bytes).unwrap().into_iter().collect();
        assert_eq!(back, records);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse_lines(b"1 a\nx b\n", 0).unwrap_err();
        assert!(error.to_string().starts_with("line 2:"), "{error}");
    }
}
