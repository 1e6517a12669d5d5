//! Codes: small whole numbers that stand for the entries of a dictionary.
//!
//! Three forms, the smallest of which is taken. Rising: every code is the next new one, so nothing is
//! written. Runs: a length for each run of equal codes, where a code that was not there before and is
//! the next new one is written as 0. So the codes of identifiers, each of which stands in a few
//! neighbouring rows, take little more than a byte a run. Packed: as many bits for each code as the
//! largest one needs. Aligned: as many as the next power of two. That is longer, but codes lie alike in
//! bytes, so that the compression of the page finds what is frequent and what comes again.

use codec::{ByteReader, ByteWriter, DecodeError};
use std::ops::Range;

const RUNS: u8 = 0;
const PACKED: u8 = 1;
const RISING: u8 = 2;
const ALIGNED: u8 = 3;

/// The bits that codes below `distinct` need.
fn width_of(distinct: u32) -> u32 {
    u32::BITS - distinct.saturating_sub(1).leading_zeros()
}

/// The bits of each code in a form that has as many for all; `None` for other forms.
fn width_in(form: u8, distinct: u32) -> Option<u32> {
    match form {
        PACKED => Some(width_of(distinct)),
        ALIGNED => Some(width_of(distinct).next_power_of_two()),
        _ => None,
    }
}

/// Whether compression makes aligned codes smaller than packed ones: up to eight bits it does, unless they
/// are aligned as it is; beyond, where pairs of codes come again.
fn is_better_aligned(codes: &[u32], width: u32) -> bool {
    if width <= 8 {
        return !width.is_power_of_two();
    }
    const PAIRS: usize = 1 << 16;
    let mut met = vec![0u64; PAIRS / 64];
    for pair in codes.windows(2) {
        let hash = (pair[0].wrapping_mul(0x9E37_79B1) ^ pair[1].wrapping_mul(0x85EB_CA6B)) >> 16;
        met[hash as usize / 64] |= 1 << (hash % 64);
    }
    let pairs: usize = met.iter().map(|word| word.count_ones() as usize).sum();
    pairs * 4 < codes.len().min(PAIRS)
}

/// Writes codes, all below `distinct`. How many there are is the caller's to know.
pub fn encode_codes(codes: &[u32], distinct: u32, writer: &mut ByteWriter) {
    let width = width_of(distinct) as usize;
    let packed_bytes = (codes.len() * width).div_ceil(8);
    let runs = codes.chunk_by(|left, right| left == right).count();
    if codes.iter().zip(0..).all(|(code, next)| *code == next) {
        writer.u8(RISING);
    } else if runs * 2 <= packed_bytes || width == 0 {
        writer.u8(RUNS);
        write_runs(codes, writer);
    } else {
        let form = if is_better_aligned(codes, width as u32) { ALIGNED } else { PACKED };
        writer.u8(form);
        write_packed(codes, width_in(form, distinct).unwrap_or_default(), writer);
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
    let form = reader.u8()?;
    if let Some(width) = width_in(form, distinct) {
        return read_packed(reader, (count, distinct), width, into);
    }
    match form {
        RUNS => read_runs(reader, count, distinct, into),
        RISING if count as u64 <= u64::from(distinct) => {
            into.extend(0..count as u32);
            Ok(())
        }
        _ => Err(wrong),
    }
}

/// Appends the codes of the rows at rising places, of `count` that there are, all below `distinct`.
pub fn pick_codes(
    reader: &mut ByteReader<'_>,
    (count, distinct): (usize, u32),
    rows: &[u32],
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let wrong = reader.value_error("not a list of codes");
    let start = into.len();
    match reader.u8()? {
        RUNS => pick_from_runs(reader, (count, distinct), rows, into)?,
        form @ (PACKED | ALIGNED) => {
            let width = width_in(form, distinct).unwrap_or_default() as usize;
            let bytes = reader.bytes((count * width).div_ceil(8))?;
            into.extend(rows.iter().map(|row| packed_at(bytes, *row as usize * width, width)));
        }
        RISING => into.extend_from_slice(rows),
        _ => return Err(wrong),
    }
    let is_known = |code: &u32| *code < distinct;
    if into[start..].iter().all(is_known) { Ok(()) } else { Err(wrong) }
}

/// Calls `each` with the ranges of rows, of `count` that there are, that have a code.
pub fn rows_with_code(
    reader: &mut ByteReader<'_>,
    (count, distinct): (usize, u32),
    wanted: u32,
    mut each: impl FnMut(Range<usize>),
) -> Result<(), DecodeError> {
    if reader.clone().u8()? != RUNS {
        let mut codes = Vec::new();
        decode_codes(reader, count, distinct, &mut codes)?;
        let rows = codes.iter().enumerate().filter(|(_, code)| **code == wanted);
        rows.for_each(|(row, _)| each(row..row + 1));
        return Ok(());
    }
    reader.u8()?;
    let (mut runs, mut start) = (Runs { reader, distinct, next: 0, left: count }, 0);
    while runs.left > 0 {
        let (code, length) = runs.next()?;
        if code == wanted {
            each(start..start + length);
        }
        start += length;
    }
    Ok(())
}

/// The code of so many bits that begins at a bit.
fn packed_at(bytes: &[u8], bit: usize, width: usize) -> u32 {
    let mut word = [0; 8];
    let from = &bytes[(bit / 8).min(bytes.len())..];
    let length = from.len().min(word.len());
    word[..length].copy_from_slice(&from[..length]);
    (u64::from_le_bytes(word) >> (bit % 8) & ((1 << width) - 1)) as u32
}

/// Reads runs one after the other.
struct Runs<'r, 'b> {
    reader: &'r mut ByteReader<'b>,
    distinct: u32,
    next: u32,
    left: usize,
}

impl Runs<'_, '_> {
    /// The code of the next run, and its length.
    #[inline]
    fn next(&mut self) -> Result<(u32, usize), DecodeError> {
        let wrong = self.reader.value_error("a run of an unknown code, or of no row");
        let code = match self.reader.varint()? {
            0 => {
                self.next += 1;
                u64::from(self.next - 1)
            }
            code => code - 1,
        };
        let length = self.reader.length(self.left)?;
        if code >= u64::from(self.distinct) || length == 0 {
            return Err(wrong);
        }
        self.left -= length;
        Ok((code as u32, length))
    }
}

impl Runs<'_, '_> {
    /// Passes over short runs of new codes that end before so many rows, and answers how many rows they
    /// are. Identifiers have little else.
    fn skip_new(&mut self, rows: usize) -> Result<usize, DecodeError> {
        let rest = self.reader.clone().bytes(self.reader.remaining())?;
        let (pairs, _) = rest.as_chunks::<2>();
        let most = self.distinct.saturating_sub(self.next) as usize;
        let (mut passed, mut runs) = (0, 0);
        for [code, length] in pairs.iter().take(most) {
            let behind = passed + usize::from(*length);
            if *code != 0 || *length == 0 || *length >= 0x80 || behind > rows {
                break;
            }
            (passed, runs) = (behind, runs + 1);
        }
        self.next += runs;
        self.left -= passed;
        self.reader.bytes(2 * runs as usize)?;
        Ok(passed)
    }
}

fn read_runs(
    reader: &mut ByteReader<'_>,
    count: usize,
    distinct: u32,
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let mut runs = Runs { reader, distinct, next: 0, left: count };
    while runs.left > 0 {
        let (code, length) = runs.next()?;
        into.resize(into.len() + length, code);
    }
    Ok(())
}

fn pick_from_runs(
    reader: &mut ByteReader<'_>,
    (count, distinct): (usize, u32),
    rows: &[u32],
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
    let mut runs = Runs { reader, distinct, next: 0, left: count };
    let (mut code, mut behind) = (0, 0);
    for row in rows {
        while behind <= *row as usize {
            behind += runs.skip_new(*row as usize - behind)?;
            let (of_run, length) = runs.next()?;
            (code, behind) = (of_run, behind + length);
        }
        into.push(code);
    }
    Ok(())
}

fn read_packed(
    reader: &mut ByteReader<'_>,
    (count, distinct): (usize, u32),
    width: u32,
    into: &mut Vec<u32>,
) -> Result<(), DecodeError> {
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
        let rows: Vec<u32> = (0..codes.len() as u32).filter(|row| row % 7 == 3).collect();
        let (mut reader, mut picked) = (ByteReader::new(&writer.bytes), Vec::new());
        pick_codes(&mut reader, (codes.len(), distinct), &rows, &mut picked).unwrap();
        let expected: Vec<u32> = rows.iter().map(|row| codes[*row as usize]).collect();
        assert_eq!(picked, expected);
        let (code, mut found) = (codes.first().copied().unwrap_or_default(), Vec::new());
        let mut reader = ByteReader::new(&writer.bytes);
        rows_with_code(&mut reader, (codes.len(), distinct), code, |rows| found.extend(rows))
            .unwrap();
        let expected: Vec<usize> = (0..codes.len()).filter(|row| codes[*row] == code).collect();
        assert_eq!(found, expected);
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
            let again: Vec<u32> = (0..2_000).map(|row| row % (300 + few)).collect();
            round_trip(&again, 300 + few);
        }

        #[test]
        fn any_bytes_are_codes_or_an_error(bytes: Vec<u8>, count in 0usize..1_000, distinct: u32) {
            let mut codes = Vec::new();
            let rows: Vec<u32> = (0..count as u32).step_by(9).collect();
            let mut reader = ByteReader::new(&bytes);
            if pick_codes(&mut reader, (count, distinct), &rows, &mut codes).is_ok() {
                prop_assert!(codes.len() == rows.len() && codes.iter().all(|code| *code < distinct));
            }
            codes.clear();
            if decode_codes(&mut ByteReader::new(&bytes), count, distinct, &mut codes).is_ok() {
                prop_assert_eq!(codes.len(), count);
                prop_assert!(codes.iter().all(|code| *code < distinct));
            }
        }
    }
}
