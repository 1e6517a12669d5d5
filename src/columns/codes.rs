//! Codes: small whole numbers that stand for the entries of a dictionary.
//!
//! Two forms, the smaller of which is taken. Runs: a length for each run of equal codes, where a code
//! that was not there before and is the next new one is written as 0. So the codes of identifiers,
//! each of which stands in a few neighbouring rows, take little more than a byte a run. Packed: as many
//! bits for each code as the largest one needs.

use codec::{ByteReader, ByteWriter, DecodeError};

const RUNS: u8 = 0;
const PACKED: u8 = 1;

/// The bits that codes below `distinct` need.
fn width_of(distinct: u32) -> u32 {
    u32::BITS - distinct.saturating_sub(1).leading_zeros()
}

/// Writes codes, all below `distinct`. How many there are is the caller's to know.
pub fn encode_codes(codes: &[u32], distinct: u32, writer: &mut ByteWriter) {
    let width = width_of(distinct) as usize;
    let packed_bytes = (codes.len() * width).div_ceil(8);
    let runs = codes.chunk_by(|left, right| left == right).count();
    if runs * 2 <= packed_bytes || width == 0 {
        writer.u8(RUNS);
        write_runs(codes, writer);
    } else {
        writer.u8(PACKED);
        write_packed(codes, width as u32, writer);
    }
}

fn write_runs(codes: &[u32], writer: &mut ByteWriter) {
    let mut next = 0;
    for run in codes.chunk_by(|left, right| left == right) {
        match run[0] == next {
            true => {
                writer.varint(0);
                next += 1;
            }
            false => writer.varint(u64::from(run[0]) + 1),
        }
        writer.varint(run.len() as u64);
    }
}

fn write_packed(codes: &[u32], width: u32, writer: &mut ByteWriter) {
    let (mut pending, mut bits) = (0u64, 0);
    for code in codes {
        pending |= u64::from(*code) << bits;
        bits += width;
        while bits >= 8 {
            writer.u8(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        writer.u8(pending as u8);
    }
}

/// Appends `count` codes, all below `distinct`.
pub fn decode_codes(
    reader: &mut ByteReader<'_>,
    count: usize,
    distinct: u32,
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let wrong = reader.value_error("not a list of codes");
    match reader.u8()? {
        RUNS => read_runs(reader, count, distinct, into),
        PACKED => read_packed(reader, count, distinct, into),
        _ => Err(wrong),
    }
}

fn read_runs(
    reader: &mut ByteReader<'_>,
    count: usize,
    distinct: u32,
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let (end, mut next) = (into.len() + count, 0u32);
    while into.len() < end {
        let wrong = reader.value_error("a run of an unknown code, or of no row");
        let code = match reader.varint()? {
            0 => {
                next += 1;
                u64::from(next - 1)
            }
            code => code - 1,
        };
        let length = reader.length(end - into.len())?;
        if code >= u64::from(distinct) || length == 0 {
            return Err(wrong);
        }
        into.resize(into.len() + length, code as u32);
    }
    Ok(())
}

fn read_packed(
    reader: &mut ByteReader<'_>,
    count: usize,
    distinct: u32,
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let width = width_of(distinct);
    let wrong = reader.value_error("a code beyond the dictionary");
    let bytes = reader.bytes((count * width as usize).div_ceil(8))?;
    let mask = (1u64 << width) - 1;
    let (mut pending, mut bits, mut at, mut largest) = (0u64, 0, 0, 0);
    into.reserve(count);
    for _ in 0..count {
        while bits < width {
            pending |= u64::from(bytes[at]) << bits;
            at += 1;
            bits += 8;
        }
        let code = (pending & mask) as u32;
        pending >>= width;
        bits -= width;
        largest = code.max(largest);
        into.push(code);
    }
    if count > 0 && largest >= distinct { Err(wrong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(codes: &[u32], distinct: u32) {
        let mut writer = ByteWriter::default();
        encode_codes(codes, distinct, &mut writer);
        let mut reader = ByteReader::new(&writer.bytes);
        let mut back = vec![9];
        decode_codes(&mut reader, codes.len(), distinct, &mut back).unwrap();
        assert_eq!(&back[1..], codes);
        reader.finish().unwrap();
    }

    proptest! {
        #[test]
        fn codes_come_back(codes in prop::collection::vec(0u32..70_000, 0..300), few in 1u32..9) {
            round_trip(&codes, 70_000);
            let small: Vec<u32> = codes.iter().map(|code| code % few).collect();
            round_trip(&small, few);
            let rising: Vec<u32> = (0..codes.len() as u32).map(|row| row / few).collect();
            round_trip(&rising, codes.len() as u32 + 1);
            round_trip(&codes, u32::MAX);
        }

        #[test]
        fn any_bytes_are_codes_or_an_error(bytes: Vec<u8>, count in 0usize..1_000, distinct: u32) {
            let mut codes = Vec::new();
            if decode_codes(&mut ByteReader::new(&bytes), count, distinct, &mut codes).is_ok() {
                prop_assert_eq!(codes.len(), count);
                prop_assert!(codes.iter().all(|code| *code < distinct));
            }
        }
    }
}
