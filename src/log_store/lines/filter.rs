//! A filter over the distinct texts of a column, which says that a text is not one of them without reading
//! the column: for numbers with a name before them, which are identifiers in all but form.
//!
//! Of texts of one length, such as `u012345`, a search names all. Of others, such as `blk_38865049064139660`,
//! it may name a beginning: of these only the first digits are known to the filter.
//! A Bloom filter: about one absent text in a hundred is not ruled out.

use codec::{ByteReader, ByteWriter, DecodeError, xxh3_64};

/// Bits for each text, and how many of them a text sets.
const BITS_PER_TEXT: usize = 10;
const BITS_SET: u64 = 6;

/// Of fewer texts a column is read quickly, and a search of more columns costs more than it saves.
pub(super) const TEXTS_MIN: usize = 256;

/// A filter has no more words: those of a row group's rows.
const WORDS_MAX: usize = (128 << 10) * BITS_PER_TEXT / 64 + 1;

/// How many digits of longer numbers are known.
pub(super) const KNOWN_DIGITS: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextFilter {
    /// The name before the numbers, where only the first digits of these are known; else empty.
    name: Vec<u8>,
    words: Vec<u64>,
}

impl TextFilter {
    /// The filter of texts, which may come several times.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        Self::new(&[], texts)
    }

    /// The filter of the beginnings of texts, which are a name and at least [`KNOWN_DIGITS`] digits. The first
    /// byte of the name is nowhere else in a text.
    pub(super) fn of_beginnings<'t>(name: &[u8], texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let length = name.len() + KNOWN_DIGITS;
        Self::new(name, texts.map(|text| text.get(..length).unwrap_or(text)))
    }

    fn new<'t>(name: &[u8], texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut hashes: Vec<u64> = texts.map(xxh3_64).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let words = (hashes.len() * BITS_PER_TEXT).div_ceil(64).min(WORDS_MAX);
        let mut filter = Self { name: name.to_vec(), words: vec![0; words] };
        for hash in hashes {
            for bit in filter.bits(hash) {
                filter.words[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// The bits of a hash.
    fn bits(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let bits = self.words.len() as u64 * 64;
        let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
        (0..BITS_SET as u32).map(move |turn| {
            let mixed = first.wrapping_add(step.wrapping_mul(turn));
            ((u64::from(mixed) * bits) >> 32) as usize
        })
    }

    /// False: it is none of the texts.
    pub(super) fn may_be(&self, text: &[u8]) -> bool {
        if !self.name.is_empty() {
            return self.may_be_in(text);
        }
        self.has(text)
    }

    /// False: it is in none of the texts. Known only of a name with enough digits.
    pub(super) fn may_be_in(&self, piece: &[u8]) -> bool {
        let beginning = piece.get(..self.name.len() + KNOWN_DIGITS);
        let known = beginning.filter(|_| !self.name.is_empty() && piece.starts_with(&self.name));
        known.is_none_or(|beginning| self.has(beginning))
    }

    fn has(&self, text: &[u8]) -> bool {
        let is_set = |bit: usize| self.words[bit / 64] >> (bit % 64) & 1 == 1;
        self.words.is_empty() || self.bits(xxh3_64(text)).all(is_set)
    }

    pub(super) fn encode(&self, writer: &mut ByteWriter) {
        writer.prefixed(&self.name);
        writer.varint(self.words.len() as u64);
        self.words.iter().for_each(|word| writer.u64(*word));
    }

    pub(super) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let name = reader.prefixed()?.to_vec();
        let count = reader.length(WORDS_MAX.min(reader.remaining() / 8))?;
        let words = (0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        Ok(Self { name, words })
    }

    pub(super) fn memory(&self) -> usize {
        self.name.len() + self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_never_ruled_out(texts in prop::collection::vec("[a-c0-9]{0,6}", 0..300)) {
            let filter = TextFilter::of(texts.iter().map(String::as_bytes));
            let mut writer = ByteWriter::default();
            filter.encode(&mut writer);
            let read = TextFilter::decode(&mut ByteReader::new(&writer.bytes)).unwrap();
            prop_assert_eq!(&read, &filter);
            prop_assert!(texts.iter().all(|text| read.may_be(text.as_bytes())));
        }

        #[test]
        fn beginnings_that_are_there_are_never_ruled_out(
            texts in prop::collection::vec("[1-9][0-9]{7,12}", 1..300), length in 0usize..18,
        ) {
            let texts: Vec<String> = texts.iter().map(|digits| format!("b_{digits}")).collect();
            let filter = TextFilter::of_beginnings(b"b_", texts.iter().map(String::as_bytes));
            let mut writer = ByteWriter::default();
            filter.encode(&mut writer);
            let read = TextFilter::decode(&mut ByteReader::new(&writer.bytes)).unwrap();
            prop_assert_eq!(&read, &filter);
            for text in &texts {
                prop_assert!(read.may_be(text.as_bytes()));
                prop_assert!(read.may_be_in(&text.as_bytes()[..length.min(text.len())]));
                prop_assert!(read.may_be_in(&text.as_bytes()[1..]));
            }
        }

        #[test]
        fn any_bytes_are_a_filter_or_an_error(bytes: Vec<u8>) {
            if let Ok(filter) = TextFilter::decode(&mut ByteReader::new(&bytes)) {
                let _ = (filter.may_be(b"a text"), filter.may_be_in(&bytes));
            }
        }
    }

    #[test]
    fn most_of_what_is_not_there_is_ruled_out() {
        let texts: Vec<String> = (0..5_000).map(|i| format!("u{i:06}")).collect();
        let filter = TextFilter::of(texts.iter().map(String::as_bytes));
        let held = (5_000..15_000).filter(|i| filter.may_be(format!("u{i:06}").as_bytes()));
        assert!(held.count() < 10_000 / 12);
        let texts: Vec<String> = (10_000..15_000).map(|i| format!("blk_{i}1234567")).collect();
        let filter = TextFilter::of_beginnings(b"blk_", texts.iter().map(String::as_bytes));
        let held = (20_000..30_000).filter(|i| filter.may_be_in(format!("blk_{i}123").as_bytes()));
        assert!(held.count() < 10_000 / 12);
        assert!(filter.may_be_in(b"blk_2000012") && filter.may_be_in(b"lk_2000012345"));
    }
}
