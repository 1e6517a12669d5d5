//! Texts that differ in their digits only, such as `c012345` or `10.1.17.203`: kept as numbers.
//!
//! A shape is what all texts of a list have in common, with up to [`NUMBERS_MAX`] runs of digits in
//! between. A run is written without leading zeros, or always in as many digits; so a text and its
//! numbers stand for each other.

use crate::numbers::{Numbers, decode_numbers, encode_numbers};
use crate::{Effort, TextList};
use codec::{ByteReader, ByteWriter, DecodeError};
use std::cmp::Ordering;

/// The most runs of digits that are kept as numbers.
const NUMBERS_MAX: usize = 4;
/// Longer runs don't fit into 64 bits.
const DIGITS_MAX: usize = 18;

/// Fewer texts are not worth it.
const TEXTS_MIN: usize = 64;

/// A run of digits, and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Run {
    /// How many digits it has; 0: as many as it needs.
    digits: usize,
    after: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    before: Vec<u8>,
    runs: Vec<Run>,
}

/// The numbers of a text, in a shape that has as many.
type TextNumbers = [u64; NUMBERS_MAX];

/// The length of what is not a digit at the beginning, and of what is.
fn leading(text: &[u8], is_digit: bool) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit() == is_digit).count()
}

impl Shape {
    /// `None` if the texts are of no one shape, or are few.
    pub(crate) fn of(texts: &TextList) -> Option<Self> {
        if texts.len() < TEXTS_MIN {
            return None;
        }
        let mut shape = Self::of_text(texts.get(0))?;
        let mut has_zeros = [false; NUMBERS_MAX];
        let mut lengths: Vec<usize> = shape.runs.iter().map(|run| run.digits).collect();
        for text in texts.iter() {
            let runs = shape.split(text)?;
            for (at, run) in runs.iter().take(shape.runs.len()).enumerate() {
                has_zeros[at] |= run.len() > 1 && run[0] == b'0';
                if run.len() != lengths[at] {
                    lengths[at] = 0;
                }
            }
        }
        for (at, run) in shape.runs.iter_mut().enumerate() {
            // A number could be written in two ways otherwise.
            if has_zeros[at] && lengths[at] == 0 {
                return None;
            }
            run.digits = if has_zeros[at] { lengths[at] } else { 0 };
        }
        Some(shape)
    }

    /// The shape of one text, with as many digits as it has.
    fn of_text(text: &[u8]) -> Option<Self> {
        let (before, mut rest) = text.split_at(leading(text, false));
        let mut shape = Self { before: before.to_vec(), runs: Vec::new() };
        while !rest.is_empty() {
            let digits = leading(rest, true);
            let after = leading(&rest[digits..], false);
            let after_text = rest[digits..digits + after].to_vec();
            shape.runs.push(Run { digits, after: after_text });
            rest = &rest[digits + after..];
        }
        let is_short = shape.runs.iter().all(|run| run.digits <= DIGITS_MAX);
        ((1..=NUMBERS_MAX).contains(&shape.runs.len()) && is_short).then_some(shape)
    }

    /// The runs of digits of a text; `None` if it differs in anything else.
    fn split<'t>(&self, text: &'t [u8]) -> Option<[&'t [u8]; NUMBERS_MAX]> {
        let mut rest = text.strip_prefix(&self.before[..])?;
        let mut runs: [&[u8]; NUMBERS_MAX] = Default::default();
        for (at, run) in self.runs.iter().enumerate() {
            let digits = leading(rest, true);
            if digits == 0 || digits > DIGITS_MAX {
                return None;
            }
            runs[at] = &rest[..digits];
            rest = rest[digits..].strip_prefix(&run.after[..])?;
        }
        rest.is_empty().then_some(runs)
    }

    /// The numbers of a text; `None` if it is not of this shape.
    pub(crate) fn numbers(&self, text: &[u8]) -> Option<TextNumbers> {
        let runs = self.split(text)?;
        let mut numbers = TextNumbers::default();
        for (at, run) in self.runs.iter().enumerate() {
            let digits = runs[at];
            let is_written_so = match run.digits {
                0 => digits.len() == 1 || digits[0] != b'0',
                length => digits.len() == length,
            };
            if !is_written_so {
                return None;
            }
            numbers[at] =
                digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        }
        Some(numbers)
    }

    /// Appends the text of numbers.
    fn append(&self, numbers: impl Iterator<Item = u64>, into: &mut TextList) {
        into.bytes.extend_from_slice(&self.before);
        for (run, number) in self.runs.iter().zip(numbers) {
            let mut digits = [0; 20];
            let mut start = digits.len();
            let mut rest = number;
            while rest > 0 || start > digits.len() - run.digits.max(1).min(digits.len()) {
                start -= 1;
                digits[start] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            into.bytes.extend_from_slice(&digits[start..]);
            into.bytes.extend_from_slice(&run.after);
        }
        into.ends.push(into.bytes.len() as u32);
    }

    /// Writes the shape and the texts, all of which have it.
    pub(crate) fn encode(&self, texts: &TextList, order: &[u32], writer: &mut ByteWriter) {
        writer.prefixed(&self.before);
        writer.varint(self.runs.len() as u64);
        for run in &self.runs {
            writer.varint(run.digits as u64);
            writer.prefixed(&run.after);
        }
        let numbers: Vec<TextNumbers> = order
            .iter()
            .map(|place| self.numbers(texts.get(*place as usize)).unwrap_or_default())
            .collect();
        for at in 0..self.runs.len() {
            let column: Vec<u64> = numbers.iter().map(|of_text| of_text[at]).collect();
            let mut bytes = ByteWriter::default();
            encode_numbers(&column, Effort::Last.number_level(), &mut bytes);
            writer.prefixed(&bytes.bytes);
        }
    }

    /// The places of texts in the order of their numbers.
    pub(crate) fn order(&self, texts: &TextList) -> Vec<u32> {
        let mut order: Vec<(TextNumbers, u32)> = texts
            .iter()
            .zip(0..)
            .map(|(text, place)| (self.numbers(text).unwrap_or_default(), place))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, place)| place).collect()
    }
}

/// Texts of one shape, as they are written.
#[derive(Debug)]
pub(crate) struct Shaped<'b> {
    shape: Shape,
    count: usize,
    columns: Vec<&'b [u8]>,
}

impl<'b> Shaped<'b> {
    pub(crate) fn read(reader: &mut ByteReader<'b>, count: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("not a shape of texts");
        let mut shape = Shape { before: reader.prefixed()?.to_vec(), runs: Vec::new() };
        let runs = reader.length(NUMBERS_MAX)?;
        for _ in 0..runs {
            let digits = reader.length(DIGITS_MAX)?;
            shape.runs.push(Run { digits, after: reader.prefixed()?.to_vec() });
        }
        let columns = (0..runs).map(|_| reader.prefixed()).collect::<Result<Vec<_>, _>>()?;
        if runs == 0 {
            return Err(wrong);
        }
        Ok(Self { shape, count, columns })
    }

    fn all(&self) -> Result<Vec<Vec<u64>>, DecodeError> {
        let column = |bytes: &&[u8]| {
            let mut numbers = Vec::new();
            decode_numbers(&mut ByteReader::new(bytes), self.count, &mut numbers)?;
            Ok(numbers)
        };
        self.columns.iter().map(column).collect()
    }

    fn append(&self, columns: &[Vec<u64>], into: &mut TextList) -> Result<(), DecodeError> {
        let wrong = DecodeError::Value { offset: 0, what: "texts that are too long together" };
        let rows = columns.first().map_or(0, Vec::len);
        let longest = self.shape.before.len()
            + self.shape.runs.iter().map(|run| run.after.len() + 20).sum::<usize>();
        if longest.saturating_mul(rows) > (u32::MAX as usize).saturating_sub(into.bytes.len()) {
            return Err(wrong);
        }
        for row in 0..rows {
            self.shape.append(columns.iter().map(|column| column[row]), into);
        }
        Ok(())
    }

    /// Appends all texts.
    pub(crate) fn decode(&self, into: &mut TextList) -> Result<(), DecodeError> {
        self.append(&self.all()?, into)
    }

    /// Appends the texts at rising places.
    pub(crate) fn pick(&self, places: &[u32], into: &mut TextList) -> Result<(), DecodeError> {
        let column = |bytes: &&[u8]| {
            let mut numbers = Vec::new();
            Numbers::read(&mut ByteReader::new(bytes), self.count)?.pick(places, &mut numbers)?;
            Ok(numbers)
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, DecodeError>>()?;
        self.append(&columns, into)
    }

    /// The place of a text.
    pub(crate) fn find(&self, text: &[u8]) -> Result<Option<usize>, DecodeError> {
        let Some(wanted) = self.shape.numbers(text) else { return Ok(None) };
        let columns = self.columns.iter().map(|bytes| BlockReader::new(bytes, self.count));
        let mut columns = columns.collect::<Result<Vec<_>, DecodeError>>()?;
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            let mut order = Ordering::Equal;
            for (column, wanted) in columns.iter_mut().zip(wanted) {
                order = column.get(middle)?.cmp(&wanted);
                if order.is_ne() {
                    break;
                }
            }
            match order {
                Ordering::Equal => return Ok(Some(middle)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

/// Reads single numbers; the last block is kept.
struct BlockReader<'b> {
    numbers: Numbers<'b>,
    start: usize,
    block: Vec<u64>,
}

impl<'b> BlockReader<'b> {
    fn new(bytes: &'b [u8], count: usize) -> Result<Self, DecodeError> {
        let numbers = Numbers::read(&mut ByteReader::new(bytes), count)?;
        Ok(Self { numbers, start: 0, block: Vec::new() })
    }

    fn get(&mut self, index: usize) -> Result<u64, DecodeError> {
        let range = self.numbers.block_of(index);
        if self.block.is_empty() || self.start != range.start {
            self.block.clear();
            self.start = range.start;
            self.numbers.block(index, &mut self.block)?;
        }
        let missing = DecodeError::Value { offset: 0, what: "a number that is not in its block" };
        self.block.get(index - range.start).copied().ok_or(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(texts: &[String]) -> TextList {
        let mut list = TextList::default();
        texts.iter().for_each(|text| list.push(text.as_bytes()));
        list
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        let numbers = prop::collection::vec((0u64..300, 0u64..1 << 50), 64..200);
        (numbers, 0usize..4).prop_map(|(numbers, form)| {
            let text = |(left, right): (u64, u64)| match form {
                0 => format!("c{left:06}"),
                1 => format!("10.1.{left}.{right}"),
                2 => format!("{right}"),
                _ => format!("a{left:03}-{right:016}x"),
            };
            let mut texts: Vec<String> = numbers.into_iter().map(text).collect();
            texts.sort();
            texts.dedup();
            texts
        })
    }

    proptest! {
        #[test]
        fn texts_of_a_shape_come_back(texts in texts()) {
            let list = list(&texts);
            let Some(shape) = Shape::of(&list) else {
                prop_assert!(texts.len() < TEXTS_MIN);
                return Ok(());
            };
            let order = shape.order(&list);
            let mut writer = ByteWriter::default();
            shape.encode(&list, &order, &mut writer);
            let shaped = Shaped::read(&mut ByteReader::new(&writer.bytes), texts.len()).unwrap();
            let mut back = TextList::default();
            shaped.decode(&mut back).unwrap();
            for (at, place) in order.iter().enumerate() {
                let text = list.get(*place as usize);
                prop_assert_eq!(back.get(at), text);
                prop_assert_eq!(shaped.find(text).unwrap(), Some(at));
            }
            let mut some = TextList::default();
            shaped.pick(&[0, 7, 63], &mut some).unwrap();
            prop_assert_eq!(some.get(1), back.get(7));
        }

        #[test]
        fn any_bytes_are_texts_or_an_error(bytes: Vec<u8>, count in 0usize..300) {
            if let Ok(shaped) = Shaped::read(&mut ByteReader::new(&bytes), count) {
                let _ = (shaped.decode(&mut TextList::default()), shaped.find(b"c1"));
            }
        }
    }

    #[test]
    fn a_text_that_could_be_written_in_two_ways_has_no_shape() {
        let mixed: Vec<String> = (0..99).map(|i| format!("c{i}")).collect();
        let shape = Shape::of(&list(&mixed)).unwrap();
        assert_eq!(shape.numbers(b"c07"), None);
        assert_eq!(shape.numbers(b"c7").map(|numbers| numbers[0]), Some(7));
        assert_eq!(shape.numbers(b"d7"), None);
        let both: Vec<String> = mixed.iter().cloned().chain(["c007".to_owned()]).collect();
        assert_eq!(Shape::of(&list(&both)), None);
    }
}
