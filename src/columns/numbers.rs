//! Whole numbers, with pcodec, in blocks of [`NUMBERS_BLOCK`] of which each can be read by itself.
//!
//! What the blocks have in common, such as the tables of the entropy coder, is written once before them.

use codec::{ByteReader, ByteWriter, DecodeError};
use pco::metadata::DeltaEncoding;
use pco::wrapped::{ChunkCompressor, ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, PagingSpec};
use std::borrow::Cow;
use std::ops::Range;

/// How many numbers a block holds; the last one may hold fewer.
pub const NUMBERS_BLOCK: usize = 1_024;

/// Writes numbers; how many there are is the caller's to know.
pub fn encode_numbers(numbers: &[u64], level: usize, writer: &mut ByteWriter) {
    let blocks: Vec<usize> = numbers.chunks(NUMBERS_BLOCK).map(<[u64]>::len).collect();
    if blocks.is_empty() {
        return writer.prefixed(&[]);
    }
    let count = blocks.len();
    let config = ChunkConfig::default()
        .with_compression_level(level)
        .with_paging_spec(PagingSpec::Exact(blocks));
    let compressor = FileCompressor::default();
    let mut chunk = compress(&compressor, numbers, config);
    let mut block = compressor.write_header(Vec::new()).expect("memory takes it");
    block = chunk.write_meta(block).expect("memory takes it");
    writer.prefixed(&block);
    for index in 0..count {
        block.clear();
        block = chunk.write_page(index, block).expect("memory takes it");
        writer.prefixed(&block);
    }
}

/// Chooses how numbers are told by those before them. Looking back for equal ones is left out: whoever reads
/// a block would need a window of half a megabyte, which takes longer to clear than the block to decode.
fn compress(compressor: &FileCompressor, numbers: &[u64], config: ChunkConfig) -> ChunkCompressor {
    let with = |spec| {
        let config = config.clone().with_delta_spec(spec);
        // It fails only for a configuration that is not allowed.
        compressor.chunk_compressor(numbers, &config).expect("the level is allowed")
    };
    let best = with(DeltaSpec::Auto);
    if !matches!(best.meta().delta_encoding, DeltaEncoding::Lookback { .. }) {
        return best;
    }
    let (as_they_are, differences) = (with(DeltaSpec::NoOp), with(DeltaSpec::TryConsecutive(1)));
    let size = |chunk: &ChunkCompressor| -> usize {
        (0..chunk.n_per_page().len()).map(|page| chunk.page_size_hint(page)).sum()
    };
    if size(&differences) < size(&as_they_are) { differences } else { as_they_are }
}

/// Numbers whose blocks are read on demand.
#[derive(Debug)]
pub struct Numbers<'b> {
    count: usize,
    bytes: Cow<'b, [u8]>,
    /// Where the blocks are in `bytes`.
    blocks: Vec<Range<usize>>,
    /// `None` where there are no numbers.
    decoder: Option<ChunkDecompressor<u64>>,
}

impl<'b> Numbers<'b> {
    /// Finds the blocks of `count` numbers.
    pub fn read(reader: &mut ByteReader<'b>, count: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("not a list of numbers");
        let (start, bytes) = (reader.offset(), reader.clone().bytes(reader.remaining())?);
        let bytes = Cow::Borrowed(bytes);
        let common = reader.prefixed()?;
        if count == 0 {
            let is_empty = common.is_empty();
            let none = Self { count, bytes, blocks: Vec::new(), decoder: None };
            return if is_empty { Ok(none) } else { Err(wrong) };
        }
        let (file, rest) = FileDecompressor::new(common).map_err(|_| wrong)?;
        let (decoder, _) = file.chunk_decompressor(rest).map_err(|_| wrong)?;
        let block = |_| {
            let length = reader.prefixed()?.len();
            let end = reader.offset() - start;
            Ok(end - length..end)
        };
        let blocks =
            (0..count.div_ceil(NUMBERS_BLOCK)).map(block).collect::<Result<_, DecodeError>>()?;
        Ok(Self { count, bytes, blocks, decoder: Some(decoder) })
    }

    /// The same from bytes that hold nothing else, which are kept.
    pub fn of_bytes(bytes: Vec<u8>, count: usize) -> Result<Numbers<'static>, DecodeError> {
        let mut reader = ByteReader::new(&bytes);
        let Numbers { blocks, decoder, .. } = Numbers::read(&mut reader, count)?;
        reader.finish()?;
        Ok(Numbers { count, bytes: Cow::Owned(bytes), blocks, decoder })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The places of the numbers of the block in which one is.
    pub fn block_of(&self, index: usize) -> Range<usize> {
        let start = index / NUMBERS_BLOCK * NUMBERS_BLOCK;
        start..(start + NUMBERS_BLOCK).min(self.count)
    }

    /// Appends the numbers of the block in which one is.
    pub fn block(&mut self, index: usize, into: &mut Vec<u64>) -> Result<(), DecodeError> {
        let wrong = DecodeError::Value { offset: 0, what: "not a block of numbers" };
        let (range, start) = (self.block_of(index), into.len());
        let (Some(bytes), Some(decoder)) =
            (self.blocks.get(index / NUMBERS_BLOCK), &mut self.decoder)
        else {
            return Err(wrong);
        };
        into.resize(start + range.len(), 0);
        let bytes = self.bytes.get(bytes.clone()).ok_or(wrong)?;
        let mut page = decoder.page_decompressor(bytes, range.len()).map_err(|_| wrong)?;
        match page.read(&mut into[start..]) {
            Ok(progress) if progress.n_processed == range.len() && progress.finished => Ok(()),
            _ => Err(wrong),
        }
    }

    /// Appends the numbers at rising places.
    pub fn pick(&mut self, places: &[u32], into: &mut Vec<u64>) -> Result<(), DecodeError> {
        let mut block = Vec::new();
        for of_block in
            places.chunk_by(|a, b| *a as usize / NUMBERS_BLOCK == *b as usize / NUMBERS_BLOCK)
        {
            block.clear();
            let start = self.block_of(of_block[0] as usize).start;
            self.block(of_block[0] as usize, &mut block)?;
            into.extend(of_block.iter().map(|place| block[*place as usize - start]));
        }
        Ok(())
    }
}

/// Appends all of `count` numbers.
pub fn decode_numbers(
    reader: &mut ByteReader<'_>,
    count: usize,
    into: &mut Vec<u64>,
) -> Result<(), DecodeError> {
    let mut numbers = Numbers::read(reader, count)?;
    into.reserve(count);
    (0..count).step_by(NUMBERS_BLOCK).try_for_each(|first| numbers.block(first, into))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers: Vec<u64>, level in 0usize..9) {
            let mut writer = ByteWriter::default();
            encode_numbers(&numbers, level, &mut writer);
            let mut back = vec![3];
            let mut reader = ByteReader::new(&writer.bytes);
            decode_numbers(&mut reader, numbers.len(), &mut back).unwrap();
            reader.finish().unwrap();
            prop_assert_eq!(&back[1..], &numbers);
        }

        #[test]
        fn single_numbers_come_back(
            seed: u32, count in 1usize..20_000, rows in prop::collection::btree_set(0u32..20_000, 0..9),
        ) {
            let numbers: Vec<u64> =
                (0..count as u64).map(|i| i * 3 + ((i * u64::from(seed)) >> 7 & 63)).collect();
            let rows: Vec<u32> = rows.into_iter().filter(|row| (*row as usize) < count).collect();
            let mut writer = ByteWriter::default();
            encode_numbers(&numbers, 4, &mut writer);
            let mut picked = Vec::new();
            let mut reader = ByteReader::new(&writer.bytes);
            Numbers::read(&mut reader, count).unwrap().pick(&rows, &mut picked).unwrap();
            let mut kept = Numbers::of_bytes(writer.bytes.clone(), count).unwrap();
            let mut again = Vec::new();
            kept.pick(&rows, &mut again).unwrap();
            prop_assert_eq!(&again, &picked);
            let expected: Vec<u64> = rows.iter().map(|row| numbers[*row as usize]).collect();
            prop_assert_eq!(picked, expected);
        }

        #[test]
        fn changed_numbers_are_numbers_or_an_error(
            numbers in prop::collection::vec(0u64..90_000, 1..300), level in 0usize..9,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            count in 0usize..400,
        ) {
            let mut writer = ByteWriter::default();
            encode_numbers(&numbers, level, &mut writer);
            // Behind the length of what is common.
            let changed = &mut writer.bytes[1..];
            changes.iter().for_each(|(at, byte)| *at.get_mut(changed) = *byte);
            for count in [numbers.len(), count] {
                let mut back = Vec::new();
                let _ = decode_numbers(&mut ByteReader::new(&writer.bytes), count, &mut back);
            }
        }

        #[test]
        fn any_bytes_are_numbers_or_an_error(bytes: Vec<u8>, page: Vec<u8>, count in 0usize..500) {
            let mut writer = ByteWriter::default();
            writer.prefixed(&bytes);
            writer.prefixed(&page);
            let mut numbers = Vec::new();
            let _ = decode_numbers(&mut ByteReader::new(&writer.bytes), count, &mut numbers);
        }
    }
}
