//! The entry spans of a row group, to bytes and back.

use super::attributes::{decode_rows, encode_rows};
use super::fixed::{unzigzag, zigzag};
use crate::block::Block;
use crate::entries::{Entries, EntryColumns};
use crate::spans::duration_of;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{decode_numbers, encode_numbers};

/// Writes the entries of a block of `rows` rows.
pub(super) fn encode(entries: &Entries, rows: usize, level: usize, writer: &mut ByteWriter) {
    encode_rows(&entries.rows, rows, writer);
    let mut before = 0u64;
    let steps: Vec<u64> = entries
        .ends_s
        .iter()
        .map(|end| zigzag(end.wrapping_sub(std::mem::replace(&mut before, *end))))
        .collect();
    encode_numbers(&steps, level, writer);
    let lengths: Vec<u64> = entries.lengths.iter().map(|length| u64::from(*length)).collect();
    encode_numbers(&lengths, level, writer);
}

pub(super) fn decode(bytes: &[u8], rows: usize) -> Result<Entries, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let wrong = reader.value_error("not entries of spans");
    let set = decode_rows(&mut reader, rows)?;
    let count = set.len();
    let mut entries = Entries { rows: Vec::with_capacity(count), ..Entries::default() };
    entries.rows.extend(set.iter().map(|row| row as u32));
    decode_numbers(&mut reader, count, &mut entries.ends_s)?;
    let mut end = 0u64;
    for step in &mut entries.ends_s {
        end = end.wrapping_add(unzigzag(*step));
        *step = end;
    }
    let mut lengths = Vec::new();
    decode_numbers(&mut reader, count, &mut lengths)?;
    entries.lengths.reserve(count);
    for length in lengths {
        entries.lengths.push(u32::try_from(length).map_err(|_| wrong)?);
    }
    reader.finish()?;
    Ok(entries)
}

/// The entries of a block that is about to be written.
pub(super) fn of_block(block: &Block) -> Entries {
    let spans = &block.spans;
    let columns = EntryColumns {
        kinds: &spans.kinds,
        parents: &block.parents,
        statuses: &spans.statuses,
        starts: &spans.starts,
    };
    Entries::of(columns, |row| duration_of(spans.lengths[row]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockBuilder;
    use crate::piece::Piece;
    use crate::spans::tests::any_spans;
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn entries_come_back(spans in any_spans()) {
            let block = Arc::new(BlockBuilder::ordered(&[&spans]));
            let entries = of_block(&block);
            let mut writer = ByteWriter::default();
            encode(&entries, block.rows(), 4, &mut writer);
            let back = decode(&writer.bytes, block.rows());
            prop_assert_eq!(back.as_ref(), Ok(&entries));
            let piece = Piece::of_block(block).unwrap();
            prop_assert_eq!(&*piece.entries().unwrap(), &entries);
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes: Vec<u8>, rows in 0usize..200) {
            let _ = decode(&bytes, rows);
        }
    }
}
