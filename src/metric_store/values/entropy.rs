//! Encodes values with pco: one table of bins for a group, one page for each series.

use super::EncodedValues;
use super::decimal::DecimalDecoder;
use crate::StoreError;
use codec::{ByteReader, ByteWriter, DecodeError};
use pco::data_types::Number;
use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, PagingSpec};
use std::cell::RefCell;

pub(super) const LEVEL_FAST: usize = 4;
pub(super) const LEVEL_BEST: usize = 9;

/// The most distinct values for which codes are tried.
const CODES_MAX: usize = 1 << 14;

/// The most values of one series in a group; checked before memory is allocated.
const PAGE_VALUES_MAX: usize = 1 << 24;

pub(super) fn encode_floats(
    head: ByteWriter,
    lengths: &[u32],
    values: &[u64],
    level: usize,
) -> Result<EncodedValues, StoreError> {
    let floats: Vec<f64> = values.iter().map(|bits| f64::from_bits(*bits)).collect();
    compress(head, lengths, &floats, DeltaSpec::Auto, level)
}

/// With `deltas`, each number is stored as its difference from the one before, and the first number
/// of a series precedes its page.
pub(super) fn encode_integers(
    head: ByteWriter,
    lengths: &[u32],
    mut numbers: Vec<i64>,
    deltas: bool,
    level: usize,
) -> Result<EncodedValues, StoreError> {
    if !deltas {
        return compress(head, lengths, &numbers, DeltaSpec::Auto, level);
    }
    let mut firsts = Vec::with_capacity(lengths.len());
    let mut start = 0;
    for length in lengths {
        let series = &mut numbers[start..start + *length as usize];
        firsts.push(series[0]);
        for index in (1..series.len()).rev() {
            series[index] = series[index].wrapping_sub(series[index - 1]);
        }
        // The first number is stored separately, so its slot is free: the likeliest difference
        // costs least.
        series[0] = series.get(1).copied().unwrap_or(0);
        start += series.len();
    }
    compress_behind(&firsts, head, lengths, &numbers, DeltaSpec::NoOp, level)
}

/// For few distinct values: stores each value's index in a sorted list.
pub(super) fn encode_codes(
    mut head: ByteWriter,
    lengths: &[u32],
    values: &[u64],
    level: usize,
) -> Result<Option<EncodedValues>, StoreError> {
    let mut distinct: Vec<u64> = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() > CODES_MAX || distinct.len() * 2 > values.len() {
        return Ok(None);
    }
    head.varint(distinct.len() as u64);
    distinct.iter().for_each(|bits| head.u64(*bits));
    let code = |bits: &u64| distinct.binary_search(bits).expect("it is in the list") as u32;
    let codes: Vec<u32> = values.iter().map(code).collect();
    compress(head, lengths, &codes, DeltaSpec::Auto, level).map(Some)
}

fn compress<T: Number>(
    head: ByteWriter,
    lengths: &[u32],
    numbers: &[T],
    delta: DeltaSpec,
    level: usize,
) -> Result<EncodedValues, StoreError> {
    compress_behind(&[], head, lengths, numbers, delta, level)
}

/// Puts `firsts`, if there are any, in front of the pages.
fn compress_behind<T: Number>(
    firsts: &[i64],
    mut head: ByteWriter,
    lengths: &[u32],
    numbers: &[T],
    delta: DeltaSpec,
    level: usize,
) -> Result<EncodedValues, StoreError> {
    let failed = |error: pco::errors::PcoError| StoreError::Encode(error.to_string());
    let pages = lengths.iter().map(|length| *length as usize).collect();
    let config = ChunkConfig::default()
        .with_compression_level(level)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::Exact(pages));
    let file = FileCompressor::default();
    file.write_header(&mut head.bytes).map_err(failed)?;
    let mut chunk = file.chunk_compressor(numbers, &config).map_err(failed)?;
    chunk.write_meta(&mut head.bytes).map_err(failed)?;
    let mut encoded = EncodedValues { head: head.bytes, ..EncodedValues::default() };
    for page in 0..lengths.len() {
        let before = encoded.pages.len();
        if let Some(first) = firsts.get(page) {
            let mut writer = ByteWriter { bytes: std::mem::take(&mut encoded.pages) };
            writer.varint_signed(*first);
            encoded.pages = writer.bytes;
        }
        chunk.write_page(page, &mut encoded.pages).map_err(failed)?;
        encoded.page_lengths.push((encoded.pages.len() - before) as u32);
    }
    Ok(encoded)
}

/// Decodes what the functions above encoded.
#[derive(Debug)]
pub(super) enum Entropy {
    Floats(ChunkDecompressor<f64>),
    Integers { chunk: ChunkDecompressor<i64>, decimal: DecimalDecoder, deltas: bool },
    Codes { chunk: ChunkDecompressor<u32>, values: Vec<u64> },
}

thread_local! {
    /// pco's working memory and the numbers of one page, reused for every page.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    pco: DecompressorScratch,
    integers: Vec<i64>,
    codes: Vec<u32>,
}

impl Entropy {
    pub(super) fn floats(head: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::Floats(read_chunk(head)?))
    }

    pub(super) fn integers(head: &mut ByteReader<'_>, deltas: bool) -> Result<Self, DecodeError> {
        let decimal = DecimalDecoder::read(head)?;
        Ok(Self::Integers { chunk: read_chunk(head)?, decimal, deltas })
    }

    pub(super) fn codes(head: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let count = head.length((head.remaining() / 8).min(CODES_MAX))?;
        let values: Result<Vec<u64>, DecodeError> = (0..count).map(|_| head.u64()).collect();
        Ok(Self::Codes { values: values?, chunk: read_chunk(head)? })
    }

    pub(super) fn decode(
        &self,
        page: &[u8],
        first: usize,
        count: usize,
        into: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        if count > PAGE_VALUES_MAX {
            return Err(DecodeError::Value { offset: 0, what: "a page has too many values" });
        }
        SCRATCH.with_borrow_mut(|scratch| match self {
            Self::Floats(chunk) => read_page(chunk, page, count, into, &mut scratch.pco),
            Self::Integers { chunk, decimal, deltas } => {
                scratch.integers.clear();
                let mut reader = ByteReader::new(page);
                let start = if *deltas { reader.varint_signed()? } else { 0 };
                let page = &page[reader.offset()..];
                read_page(chunk, page, count, &mut scratch.integers, &mut scratch.pco)?;
                if *deltas {
                    add_up(start, &mut scratch.integers);
                }
                decimal.values(first, &scratch.integers, into);
                Ok(())
            }
            Self::Codes { chunk, values } => {
                scratch.codes.clear();
                read_page(chunk, page, count, &mut scratch.codes, &mut scratch.pco)?;
                look_up(&scratch.codes, values, into)
            }
        })
    }

    pub(super) fn bytes(&self) -> usize {
        // A table of up to 2^level bins for each of pco's two streams; measured at roughly 10 KiB.
        const TABLES: usize = 10 << 10;
        TABLES
            + match self {
                Self::Floats(_) => 0,
                Self::Integers { decimal, .. } => decimal.bytes(),
                Self::Codes { values, .. } => values.len() * 8,
            }
    }
}

fn add_up(start: i64, deltas: &mut [i64]) {
    let mut sum = start;
    for (index, delta) in deltas.iter_mut().enumerate() {
        if index > 0 {
            sum = sum.wrapping_add(*delta);
        }
        *delta = sum;
    }
}

fn look_up(codes: &[u32], values: &[u64], into: &mut Vec<f64>) -> Result<(), DecodeError> {
    into.reserve(codes.len());
    for code in codes {
        let missing = DecodeError::Value { offset: 0, what: "a code has no value" };
        let bits = values.get(*code as usize).ok_or(missing)?;
        into.push(f64::from_bits(*bits));
    }
    Ok(())
}

fn read_chunk<T: Number>(head: &mut ByteReader<'_>) -> Result<ChunkDecompressor<T>, DecodeError> {
    let wrong = head.value_error("pco can't read a group's tables");
    let bytes = head.bytes(head.remaining())?;
    let (file, rest) = FileDecompressor::new(bytes).map_err(|_| wrong)?;
    let (chunk, _) = file.chunk_decompressor::<T, _>(rest).map_err(|_| wrong)?;
    Ok(chunk)
}

fn read_page<T: Number + Default>(
    chunk: &ChunkDecompressor<T>,
    page: &[u8],
    count: usize,
    into: &mut Vec<T>,
    scratch: &mut DecompressorScratch,
) -> Result<(), DecodeError> {
    const WRONG: DecodeError = DecodeError::Value { offset: 0, what: "pco can't read a page" };
    let start = into.len();
    into.resize(start + count, T::default());
    let mut pages =
        chunk.page_decompressor_with_scratch(page, count, scratch).map_err(|_| WRONG)?;
    let progress = pages.read(&mut into[start..]).map_err(|_| WRONG)?;
    if progress.n_processed == count { Ok(()) } else { Err(WRONG) }
}
