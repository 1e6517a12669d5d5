//! A filter over the pieces of three bytes that texts hold: says that a text is in none of them without
//! reading them. Letters of ASCII count as lower case.

use codec::{ByteReader, ByteWriter, DecodeError};

const LENGTH: usize = 3;

/// The least and the most bits of a filter, as powers of two.
const BITS_MIN: u32 = 9;
const BITS_MAX: u32 = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grams {
    /// One bit for each hash; empty: nothing is known.
    words: Vec<u64>,
}

fn hash(gram: &[u8]) -> u32 {
    let bytes = gram.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(byte.to_ascii_lowercase()));
    bytes.wrapping_mul(0x9E37_79B1)
}

impl Grams {
    /// The filter of texts that lie one after the other; a piece that begins in one text and ends in the
    /// next one does no harm.
    pub(crate) fn of(texts: &[u8]) -> Self {
        let mut all = Self { words: vec![0; 1 << (BITS_MAX - 6)] };
        texts.windows(LENGTH).for_each(|gram| all.set(hash(gram)));
        let count: u32 = all.words.iter().map(|word| word.count_ones()).sum();
        let bits = (32 - (count * 2).leading_zeros()).clamp(BITS_MIN, BITS_MAX);
        // Halves with the same lower bits of the hash fall together.
        let mut words = all.words;
        for size in (bits..BITS_MAX).rev() {
            let (lower, upper) = words.split_at_mut(1 << (size - 6));
            lower.iter_mut().zip(&*upper).for_each(|(lower, upper)| *lower |= upper);
            words.truncate(1 << (size - 6));
        }
        Self { words }
    }

    fn set(&mut self, hash: u32) {
        let at = self.place(hash);
        self.words[at / 64] |= 1 << (at % 64);
    }

    fn place(&self, hash: u32) -> usize {
        (hash >> (32 - BITS_MAX)) as usize & (self.words.len() * 64 - 1)
    }

    /// False: none of the texts holds this one.
    pub(crate) fn may_hold(&self, text: &[u8]) -> bool {
        let is_set = |gram: &[u8]| {
            let at = self.place(hash(gram));
            self.words[at / 64] >> (at % 64) & 1 == 1
        };
        self.words.is_empty() || text.windows(LENGTH).all(is_set)
    }

    pub(crate) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(self.words.len() as u64);
        self.words.iter().for_each(|word| writer.u64(*word));
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("a filter whose size is no power of two");
        let count = reader.length(1 << (BITS_MAX - 6))?;
        if count != 0 && !count.is_power_of_two() {
            return Err(wrong);
        }
        let words = (0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        Ok(Self { words })
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_never_ruled_out(
            text in prop::collection::vec(any::<u8>(), 0..400), start in 0usize..400, length in 0usize..30,
        ) {
            let grams = Grams::of(&text);
            let mut writer = ByteWriter::default();
            grams.encode(&mut writer);
            let read = Grams::decode(&mut ByteReader::new(&writer.bytes)).unwrap();
            let piece: Vec<u8> = text.iter().skip(start).take(length).copied().collect();
            prop_assert!(read.may_hold(&piece) && read.may_hold(&piece.to_ascii_uppercase()));
        }

        #[test]
        fn any_bytes_are_a_filter_or_an_error(bytes: Vec<u8>) {
            if let Ok(grams) = Grams::decode(&mut ByteReader::new(&bytes)) {
                let _ = grams.may_hold(b"a text");
            }
        }
    }

    #[test]
    fn most_of_what_is_not_there_is_ruled_out() {
        let lines: String = (0..2_000).map(|i| format!("line {i} of the program\n")).collect();
        let grams = Grams::of(lines.as_bytes());
        assert!(!grams.may_hold(b"Failed password") && !grams.may_hold("결제".as_bytes()));
        assert!(Grams::default().may_hold(b"anything"));
    }
}
