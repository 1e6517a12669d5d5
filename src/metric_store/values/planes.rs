//! The cheap encoding: each value is combined with the one before by exclusive or, and the bytes of
//! equal weight are stored together. Slow change leaves whole planes of zeros for the page's
//! compression.

use super::{EncodedValues, PLANES};
use codec::{ByteReader, DecodeError};

pub(super) fn encode(lengths: &[u32], values: &[u64]) -> EncodedValues {
    let mut pages = vec![0; values.len() * 8];
    let mut start = 0;
    for length in lengths {
        let count = *length as usize;
        let series = &values[start..start + count];
        let page = &mut pages[start * 8..(start + count) * 8];
        let mut before = 0;
        for (index, value) in series.iter().enumerate() {
            let bytes = (value ^ before).to_le_bytes();
            for (plane, byte) in bytes.into_iter().enumerate() {
                page[plane * count + index] = byte;
            }
            before = *value;
        }
        start += count;
    }
    let page_lengths = lengths.iter().map(|length| length * 8).collect();
    EncodedValues { head: vec![PLANES], page_lengths, pages }
}

pub(super) fn decode(page: &[u8], count: usize, into: &mut Vec<f64>) -> Result<(), DecodeError> {
    let planes = ByteReader::new(page).bytes(count.saturating_mul(8))?;
    let mut before = 0;
    into.reserve(count);
    for index in 0..count {
        let byte = |plane: usize| planes[plane * count + index];
        before ^= u64::from_le_bytes(std::array::from_fn(byte));
        into.push(f64::from_bits(before));
    }
    Ok(())
}
