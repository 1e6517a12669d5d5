//! Lists of numbers by key, slot and a small number, as pages of counts write them.

use codec::{ByteReader, ByteWriter, DecodeError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// The place of the key.
    pub(super) key: u32,
    pub(super) slot: u64,
    /// Below 64.
    pub(super) small: u8,
    pub(super) amount: u64,
}

/// Marks a count of another slot, or of another key, before its small number.
const SLOT: u8 = 0x40;
const KEY: u8 = 0x80;
const SMALL: u8 = 0x3f;

/// Writes counts in order of key, slot and small number.
pub(super) fn encode_counts(
    counts: impl ExactSizeIterator<Item = Count> + Clone,
    writer: &mut ByteWriter,
) {
    writer.varint(counts.len() as u64);
    let first = counts.clone().map(|count| count.slot).min().unwrap_or(0);
    writer.varint(first);
    let mut before = Count { key: 0, slot: first, small: 0, amount: 0 };
    for count in counts {
        let is_same = count.key == before.key && count.slot == before.slot;
        // A further number of the same slot, or another slot, or another key.
        match (count.key == before.key, is_same && count.small > before.small) {
            (true, true) => writer.u8(count.small - before.small),
            (true, false) => {
                writer.u8(SLOT | count.small);
                writer.varint(count.slot - before.slot);
            }
            (false, _) => {
                writer.u8(KEY | count.small);
                writer.varint(u64::from(count.key - before.key));
                writer.varint(count.slot - first);
            }
        }
        writer.varint(count.amount);
        before = count;
    }
}

/// Reads counts of so many keys.
pub(super) fn decode_counts(
    reader: &mut ByteReader<'_>,
    keys: usize,
) -> Result<Vec<Count>, DecodeError> {
    let wrong = reader.value_error("a count of nothing");
    let count = reader.length(reader.remaining())?;
    let first = reader.varint()?;
    let mut before = Count { key: 0, slot: first, small: 0, amount: 0 };
    let mut counts = Vec::with_capacity(count);
    for _ in 0..count {
        before = read_count(reader, before, first)?;
        if before.key as usize >= keys {
            return Err(wrong);
        }
        counts.push(before);
    }
    Ok(counts)
}

fn read_count(
    reader: &mut ByteReader<'_>,
    before: Count,
    first: u64,
) -> Result<Count, DecodeError> {
    let wrong = reader.value_error("not a count");
    let code = reader.u8()?;
    let mut count = Count { small: code & SMALL, ..before };
    match code & !SMALL {
        0 => count.small = before.small.checked_add(code & SMALL).ok_or(wrong)?,
        SLOT => count.slot = before.slot.checked_add(reader.varint()?).ok_or(wrong)?,
        _ => {
            let key = u64::from(before.key).checked_add(reader.varint()?).ok_or(wrong)?;
            count.key = u32::try_from(key).map_err(|_| wrong)?;
            count.slot = first.checked_add(reader.varint()?).ok_or(wrong)?;
        }
    }
    count.amount = reader.varint()?;
    if count.small > SMALL { Err(wrong) } else { Ok(count) }
}
