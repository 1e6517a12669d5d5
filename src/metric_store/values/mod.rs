//! Encodes the values of a group of series: one page for each series, tables shared by all.
//!
//! Lives here: the choice between the encodings, and reading one series' page. `planes`: cheap, for
//! parts that are soon merged. `entropy`: pco over floats, decimals or codes, for parts that stay.
//! `decimal`: floats that are decimal fractions as whole numbers.
//! Not here: where the bytes are in a part (`part`).
//! Invariants: every value is restored bit for bit, whatever it is.

mod decimal;
mod entropy;
mod planes;

use crate::StoreError;
use codec::{ByteReader, ByteWriter, DecodeError};
use entropy::Entropy;

/// How much time to spend on a better encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    /// For a flush: the part is soon merged.
    Quick,
    /// A merge that will be merged again.
    Merge,
    /// For parts that stay: measures the encodings on a sample and takes the smallest.
    Last,
}

/// A group's values, encoded.
#[derive(Debug, Default)]
pub(crate) struct EncodedValues {
    /// How to read the pages; begins with the encoding's number.
    pub(crate) head: Vec<u8>,
    /// The length of each series' page.
    pub(crate) page_lengths: Vec<u32>,
    pub(crate) pages: Vec<u8>,
}

impl EncodedValues {
    fn size(&self) -> usize {
        self.head.len() + self.pages.len()
    }
}

const PLANES: u8 = 0;
const FLOATS: u8 = 1;
const DECIMALS: u8 = 2;
const DECIMAL_DELTAS: u8 = 3;
const CODES: u8 = 4;

/// Above this many values the encoding is chosen by a sample.
const SAMPLE_VALUES: usize = 24 << 10;

/// Encodes series of the given lengths, whose bits are in `values` one after the other. No length
/// is 0.
pub(crate) fn encode(
    lengths: &[u32],
    values: &[u64],
    effort: Effort,
) -> Result<EncodedValues, StoreError> {
    match effort {
        Effort::Quick => Ok(planes::encode(lengths, values)),
        Effort::Merge => encode_as(FLOATS, lengths, values, entropy::LEVEL_FAST)?
            .ok_or_else(|| StoreError::Encode("floats are always possible".to_owned())),
        Effort::Last => encode_smallest(lengths, values),
    }
}

fn encode_smallest(lengths: &[u32], values: &[u64]) -> Result<EncodedValues, StoreError> {
    if values.len() <= SAMPLE_VALUES * 2 {
        let ranked = try_all(lengths, values)?;
        return ranked
            .into_iter()
            .map(|(_, encoded)| encoded)
            .min_by_key(EncodedValues::size)
            .ok_or_else(|| StoreError::Encode("floats are always possible".to_owned()));
    }
    let (sample_lengths, sample_values) = sample(lengths, values);
    let mut tried = try_all(&sample_lengths, &sample_values)?;
    tried.sort_by_key(|(_, encoded)| encoded.size());
    let times = values.len().div_ceil(sample_values.len());
    let smallest = |found: &EncodedValues| found.head.len() + found.pages.len() * times;
    let scaled = tried.iter().min_by_key(|(_, encoded)| smallest(encoded));
    // Tables grow less than the values that they serve: if that could change the choice, both
    // encodings are tried.
    let other = scaled.map(|(encoding, _)| *encoding);
    let other = other.filter(|other| tried.first().is_some_and(|(best, _)| best != other));
    let mut best: Option<EncodedValues> = None;
    if let Some(other) = other {
        best = encode_as(other, lengths, values, entropy::LEVEL_BEST)?;
    }
    for (encoding, _) in tried {
        // An encoding that fits the sample may not fit all values.
        if let Some(found) = encode_as(encoding, lengths, values, entropy::LEVEL_BEST)? {
            let best = best.filter(|best| best.size() <= found.size());
            return Ok(best.unwrap_or(found));
        }
    }
    Err(StoreError::Encode("floats are always possible".to_owned()))
}

/// Whole series, evenly spread.
fn sample(lengths: &[u32], values: &[u64]) -> (Vec<u32>, Vec<u64>) {
    let stride = values.len().div_ceil(SAMPLE_VALUES);
    let (mut sample_lengths, mut sample_values) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (index, length) in lengths.iter().enumerate() {
        let end = start + *length as usize;
        if index % stride == 0 {
            sample_lengths.push(*length);
            sample_values.extend_from_slice(&values[start..end]);
        }
        start = end;
    }
    (sample_lengths, sample_values)
}

fn try_all(lengths: &[u32], values: &[u64]) -> Result<Vec<(u8, EncodedValues)>, StoreError> {
    let mut found = Vec::with_capacity(4);
    for encoding in [FLOATS, DECIMALS, DECIMAL_DELTAS, CODES] {
        let encoded = encode_as(encoding, lengths, values, entropy::LEVEL_BEST)?;
        found.extend(encoded.map(|encoded| (encoding, encoded)));
    }
    Ok(found)
}

/// `None` if the values can't be encoded this way.
fn encode_as(
    encoding: u8,
    lengths: &[u32],
    values: &[u64],
    level: usize,
) -> Result<Option<EncodedValues>, StoreError> {
    let mut head = ByteWriter::default();
    head.u8(encoding);
    match encoding {
        FLOATS => entropy::encode_floats(head, lengths, values, level).map(Some),
        CODES => entropy::encode_codes(head, lengths, values, level),
        _ => {
            let Some(decimals) = decimal::encode(values) else { return Ok(None) };
            decimals.write_head(&mut head);
            let deltas = encoding == DECIMAL_DELTAS;
            entropy::encode_integers(head, lengths, decimals.mantissas, deltas, level).map(Some)
        }
    }
}

/// Reads pages of one group. Made once for a group, and used from any thread.
#[derive(Debug)]
pub(crate) struct ValueDecoder(Form);

#[derive(Debug)]
enum Form {
    Planes,
    Entropy(Box<Entropy>),
}

impl ValueDecoder {
    pub(crate) fn new(head: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(head);
        let wrong = reader.value_error("not an encoding of values");
        let entropy = match reader.u8()? {
            PLANES => return Ok(Self(Form::Planes)),
            FLOATS => Entropy::floats(&mut reader)?,
            CODES => Entropy::codes(&mut reader)?,
            DECIMALS => Entropy::integers(&mut reader, false)?,
            DECIMAL_DELTAS => Entropy::integers(&mut reader, true)?,
            _ => return Err(wrong),
        };
        Ok(Self(Form::Entropy(Box::new(entropy))))
    }

    /// Appends the `count` values of a series' page; `first` is how many values of the group
    /// precede them.
    pub(crate) fn decode(
        &self,
        page: &[u8],
        first: usize,
        count: usize,
        into: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        match &self.0 {
            Form::Planes => planes::decode(page, count, into),
            Form::Entropy(entropy) => entropy.decode(page, first, count, into),
        }
    }

    /// Roughly the memory that the decoder takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Form::Planes => 0,
            Form::Entropy(entropy) => entropy.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::STALE_BITS;
    use proptest::prelude::*;

    fn any_bits() -> impl Strategy<Value = u64> {
        prop_oneof![
            8 => (-1_000i64..1_000).prop_map(|n| (n as f64 / 100.0).to_bits()),
            4 => (0i64..50).prop_map(|n| (n as f64 * 4096.0).to_bits()),
            2 => any::<u64>(),
            1 => Just(STALE_BITS),
            1 => prop::sample::select(vec![
                0.0f64.to_bits(), (-0.0f64).to_bits(), f64::INFINITY.to_bits(), f64::NEG_INFINITY.to_bits(),
                f64::NAN.to_bits(), 1, f64::MIN_POSITIVE.to_bits() - 1, f64::MAX.to_bits(), u64::MAX,
                1e22f64.to_bits(), 9007199254740993f64.to_bits(), 0.1f64.to_bits(), 5e-324f64.to_bits(),
            ]),
        ]
    }

    fn any_group() -> impl Strategy<Value = Vec<Vec<u64>>> {
        let one = any_bits().prop_flat_map(|bits| prop::collection::vec(Just(bits), 1..40));
        let mixed = prop::collection::vec(any_bits(), 1..60);
        let plain = prop::collection::vec((0u32..500).prop_map(|n| f64::from(n).to_bits()), 1..60);
        prop::collection::vec(prop_oneof![one, mixed, plain], 1..8)
    }

    fn check(encoded: &EncodedValues, group: &[Vec<u64>]) {
        let decoder = ValueDecoder::new(&encoded.head).unwrap();
        let (mut offset, mut first) = (0, 0);
        for (length, series) in encoded.page_lengths.iter().zip(group) {
            let page = &encoded.pages[offset..offset + *length as usize];
            let mut back = Vec::new();
            decoder.decode(page, first, series.len(), &mut back).unwrap();
            let bits: Vec<u64> = back.iter().map(|value| value.to_bits()).collect();
            assert_eq!(&bits, series);
            offset += *length as usize;
            first += series.len();
        }
        assert_eq!(offset, encoded.pages.len());
    }

    proptest! {
        #[test]
        fn every_encoding_keeps_every_bit(group in any_group()) {
            let lengths: Vec<u32> = group.iter().map(|series| series.len() as u32).collect();
            let values = group.concat();
            for effort in [Effort::Quick, Effort::Merge, Effort::Last] {
                check(&encode(&lengths, &values, effort).unwrap(), &group);
            }
            for encoding in [FLOATS, DECIMALS, DECIMAL_DELTAS, CODES] {
                if let Some(encoded) = encode_as(encoding, &lengths, &values, 8).unwrap() {
                    check(&encoded, &group);
                }
            }
        }

        #[test]
        fn any_bytes_are_values_or_an_error(head: Vec<u8>, page: Vec<u8>, count in 0usize..2_000, flip: u16, group in any_group()) {
            for encoding in 0..5u8 {
                let head = [&[encoding], &head[..]].concat();
                if let Ok(decoder) = ValueDecoder::new(&head) {
                    let _ = decoder.decode(&page, 0, count, &mut Vec::new());
                }
            }
            let lengths: Vec<u32> = group.iter().map(|series| series.len() as u32).collect();
            for encoding in [FLOATS, DECIMALS, DECIMAL_DELTAS, CODES] {
                let Some(mut encoded) = encode_as(encoding, &lengths, &group.concat(), 8).unwrap() else { continue };
                flip_bit(&mut encoded.head[1..], flip);
                flip_bit(&mut encoded.pages, flip);
                if let Ok(decoder) = ValueDecoder::new(&encoded.head) {
                    let page = &encoded.pages[..encoded.page_lengths[0] as usize];
                    let _ = decoder.decode(page, 0, count, &mut Vec::new());
                }
            }
        }
    }

    fn flip_bit(bytes: &mut [u8], at: u16) {
        if !bytes.is_empty() {
            let index = usize::from(at) / 8 % bytes.len();
            bytes[index] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn large_groups_are_chosen_on_a_sample() {
        let mut random = 1u64;
        let group: Vec<Vec<u64>> = (0..300)
            .map(|series| {
                let value = |tick: u64| {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                    ((series * 1000 + tick * 3 + (random >> 62)) as f64 / 10.0).to_bits()
                };
                (0..200).map(value).collect()
            })
            .collect();
        let lengths = vec![200; 300];
        let encoded = encode(&lengths, &group.concat(), Effort::Last).unwrap();
        check(&encoded, &group);
        assert!(encoded.size() < 300 * 200, "{} bytes", encoded.size());
    }
}
