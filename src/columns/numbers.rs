//! Whole numbers, with pcodec.

use codec::{ByteReader, ByteWriter, DecodeError};
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

/// Writes numbers; how many there are is the caller's to know.
pub fn encode_numbers(numbers: &[u64], level: usize, writer: &mut ByteWriter) {
    let config = ChunkConfig::default().with_compression_level(level);
    // It fails only for a configuration that is not allowed.
    let bytes = simple_compress(numbers, &config).expect("the level is allowed");
    writer.prefixed(&bytes);
}

/// Appends `count` numbers.
pub fn decode_numbers(
    reader: &mut ByteReader<'_>,
    count: usize,
    into: &mut Vec<u64>,
) -> Result<(), DecodeError> {
    let wrong = reader.value_error("not a list of numbers");
    let bytes = reader.prefixed()?;
    let start = into.len();
    into.resize(start + count, 0);
    match simple_decompress_into(bytes, &mut into[start..]) {
        Ok(progress) if progress.n_processed == count && progress.finished => Ok(()),
        _ => Err(wrong),
    }
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
            prop_assert_eq!(&back[1..], &numbers);
        }

        #[test]
        fn changed_numbers_are_numbers_or_an_error(
            numbers in prop::collection::vec(0u64..90_000, 1..300), level in 0usize..9,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            count in 0usize..400,
        ) {
            let mut writer = ByteWriter::default();
            encode_numbers(&numbers, level, &mut writer);
            // Behind the length, which takes up to two bytes.
            let changed = &mut writer.bytes[2..];
            changes.iter().for_each(|(at, byte)| *at.get_mut(changed) = *byte);
            for count in [numbers.len(), count] {
                let mut back = Vec::new();
                let _ = decode_numbers(&mut ByteReader::new(&writer.bytes), count, &mut back);
            }
        }

        #[test]
        fn any_bytes_are_numbers_or_an_error(bytes: Vec<u8>, count in 0usize..500) {
            let mut writer = ByteWriter::default();
            writer.prefixed(&bytes);
            let mut numbers = Vec::new();
            let _ = decode_numbers(&mut ByteReader::new(&writer.bytes), count, &mut numbers);
        }
    }
}
