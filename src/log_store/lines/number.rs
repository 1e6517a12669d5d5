//! Texts that are numbers: how they are written, so that the number alone is stored.
//!
//! All texts of a column begin and end with the same bytes; between these are digits, and perhaps a
//! point. Digits are written either without leading zeros or all in the same number. Decimals are written
//! without trailing zeros, but never fewer than the column's fewest, as many programs write `4.0` beside
//! `2.75`. Anything else is no column of numbers.

use codec::{ByteReader, ByteWriter, DecodeError};
use columns::TextList;
use std::ops::RangeInclusive;

/// Longer numbers don't fit into 64 bits.
const DIGITS_MAX: usize = 19;

/// Powers of ten up to this one are exact as floating-point numbers.
const EXACT_DECIMALS: usize = 22;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NumberShape {
    before: Vec<u8>,
    after: Vec<u8>,
    /// The number of digits before the point, with leading zeros; 0: without leading zeros.
    digits: usize,
    /// The most decimals.
    decimals: usize,
    /// The fewest decimals: trailing zeros are left out of more.
    least_decimals: usize,
}

/// Which numbers of a column have texts that are searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    All,
    Within(Vec<RangeInclusive<u64>>),
}

/// The digits of one text.
struct Digits<'t> {
    whole: &'t [u8],
    decimals: Option<&'t [u8]>,
}

impl NumberShape {
    /// `None` if the texts are no numbers of one shape.
    pub(crate) fn of(texts: &TextList) -> Option<Self> {
        let (before, after) = common_ends(texts);
        let first = texts.get(0);
        let mut shape = Self {
            before: first[..before].to_vec(),
            after: first[first.len() - after..].to_vec(),
            ..Self::default()
        };
        let length = shape.split(first)?.whole.len();
        let (mut is_same_length, mut has_zeros) = (true, false);
        // Of texts that end with zeros behind the point the most decimals.
        let (mut least, mut most, mut most_with_zeros) = (usize::MAX, 0, 0);
        for text in texts.iter() {
            let Digits { whole, decimals } = shape.split(text)?;
            is_same_length &= whole.len() == length;
            has_zeros |= whole.len() > 1 && whole[0] == b'0';
            let decimals = decimals.unwrap_or_default();
            (least, most) = (least.min(decimals.len()), most.max(decimals.len()));
            if decimals.last() == Some(&b'0') {
                most_with_zeros = most_with_zeros.max(decimals.len());
            }
            if whole.len() + most > DIGITS_MAX {
                return None;
            }
        }
        // A number could be written in two ways otherwise.
        if has_zeros && !is_same_length || most_with_zeros > least {
            return None;
        }
        shape.digits = if has_zeros { length } else { 0 };
        shape.decimals = most;
        shape.least_decimals = least;
        let longest =
            texts.iter().filter_map(|text| shape.split(text)).map(|d| d.whole.len()).max()?;
        (longest + most <= DIGITS_MAX).then_some(shape)
    }

    /// The digits between what all texts have in common; `None` if there is something else.
    fn split<'t>(&self, text: &'t [u8]) -> Option<Digits<'t>> {
        let middle = text.get(self.before.len()..text.len().checked_sub(self.after.len())?)?;
        let (whole, decimals) = match middle.iter().position(|byte| *byte == b'.') {
            Some(point) => (&middle[..point], Some(&middle[point + 1..])),
            None => (middle, None),
        };
        let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        (are_digits(whole) && decimals.is_none_or(are_digits)).then_some(Digits { whole, decimals })
    }

    /// The number of a text of this shape, in units of the last decimal.
    pub(crate) fn number(&self, text: &[u8]) -> u64 {
        let Some(Digits { whole, decimals }) = self.split(text) else { return 0 };
        let decimals = decimals.unwrap_or_default();
        let missing = self.decimals - decimals.len();
        let digits = whole.iter().chain(decimals).chain(std::iter::repeat_n(&b'0', missing));
        digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }

    /// The numbers whose text is this one; `None` if that is not known.
    pub(crate) fn equal_to(&self, text: &[u8]) -> Option<Numbers> {
        if self.split(text).is_none_or(|digits| self.is_too_long(&digits)) {
            return Some(Numbers::Within(Vec::new()));
        }
        let (number, mut back) = (self.number(text), Vec::new());
        self.append(number, &mut back);
        Some(Numbers::Within(if back == text { vec![number..=number] } else { Vec::new() }))
    }

    fn is_too_long(&self, Digits { whole, decimals }: &Digits<'_>) -> bool {
        let decimals = decimals.unwrap_or_default().len();
        decimals > self.decimals || whole.len() + self.decimals > DIGITS_MAX
    }

    /// The numbers whose text begins with this one; `None` if that is not known.
    pub(crate) fn beginning_with(&self, text: &[u8]) -> Option<Numbers> {
        let Some(rest) = text.strip_prefix(&self.before[..]) else {
            let is_all = self.before.starts_with(text);
            return Some(if is_all { Numbers::All } else { Numbers::Within(Vec::new()) });
        };
        if rest.is_empty() {
            return Some(Numbers::All);
        }
        let is_plain = self.decimals == 0 && rest.iter().all(u8::is_ascii_digit);
        if !is_plain || rest.len() > DIGITS_MAX {
            return None;
        }
        let digits = rest.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let longer = match self.digits {
            0 if rest[0] == b'0' => 0..if rest.len() == 1 { 1 } else { 0 },
            0 => 0..DIGITS_MAX - rest.len() + 1,
            length if rest.len() > length => 0..0,
            length => length - rest.len()..length - rest.len() + 1,
        };
        let range = |more: usize| {
            let unit = 10u64.checked_pow(more as u32)?;
            let first = digits.checked_mul(unit)?;
            Some(first..=first.saturating_add(unit - 1))
        };
        Some(Numbers::Within(longer.filter_map(range).collect()))
    }

    /// Whether the texts are digits, perhaps with a point, and nothing else.
    pub(crate) fn is_bare(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// What a number's text says as a floating-point number, where that is exact enough to be the one
    /// nearest to the text; `None` where the text has to be read.
    pub(crate) fn value(&self, number: u64) -> Option<f64> {
        // Both are exact, so that the division rounds once.
        let is_exact = number < 1 << 53 && self.decimals <= EXACT_DECIMALS;
        (self.is_bare() && is_exact).then(|| number as f64 / 10f64.powi(self.decimals as i32))
    }

    /// Whether every byte of the text may stand in that of a number.
    pub(crate) fn has_bytes_of(&self, text: &[u8]) -> bool {
        let around = |byte: &u8| self.before.contains(byte) || self.after.contains(byte);
        text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.' || around(byte))
    }

    /// What stands before whole numbers, with nothing behind them, if its first byte is nowhere else in a
    /// text.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        let is_plain = self.after.is_empty() && self.decimals == 0;
        (is_plain && self.begins_where_it_occurs(&self.before)).then_some(&self.before[..])
    }

    /// Whether a text that holds this one begins with it: because it begins with what stands before the
    /// digits, which occurs nowhere else.
    pub(crate) fn begins_where_it_occurs(&self, text: &[u8]) -> bool {
        let Some(first) = self.before.first() else { return false };
        text.starts_with(&self.before)
            && !first.is_ascii_digit()
            && *first != b'.'
            && !self.before[1..].contains(first)
            && !self.after.contains(first)
    }

    /// Appends the text of a number.
    #[inline]
    pub(crate) fn append(&self, number: u64, line: &mut Vec<u8>) {
        line.extend_from_slice(&self.before);
        if self.decimals == 0 {
            append_digits(number, self.digits, line);
        } else {
            let unit = 10u64.pow(self.decimals as u32);
            append_digits(number / unit, self.digits, line);
            line.push(b'.');
            append_digits(number % unit, self.decimals, line);
            let mut decimals = self.decimals;
            while decimals > self.least_decimals && line.last() == Some(&b'0') {
                line.pop();
                decimals -= 1;
            }
            if decimals == 0 {
                line.pop();
            }
        }
        line.extend_from_slice(&self.after);
    }

    /// How long the text of a number is.
    #[inline]
    pub(crate) fn length(&self, number: u64) -> usize {
        let (whole, mut rest) = match 10u64.pow(self.decimals as u32) {
            1 => (number, 0),
            unit => (number / unit, number % unit),
        };
        let mut decimals = self.decimals;
        while decimals > self.least_decimals && rest.is_multiple_of(10) {
            (rest, decimals) = (rest / 10, decimals - 1);
        }
        let digits = whole.checked_ilog10().unwrap_or(0) as usize + 1;
        let point = usize::from(decimals > 0);
        self.before.len() + digits.max(self.digits) + point + decimals + self.after.len()
    }

    pub(crate) fn encode(&self, writer: &mut ByteWriter) {
        writer.prefixed(&self.before);
        writer.prefixed(&self.after);
        writer.u8(self.digits as u8);
        writer.u8(self.decimals as u8);
        writer.u8(self.least_decimals as u8);
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let (before, after) = (reader.prefixed()?.to_vec(), reader.prefixed()?.to_vec());
        let wrong = reader.value_error("numbers of more digits than there can be");
        let (digits, decimals) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        let least_decimals = usize::from(reader.u8()?);
        if digits > DIGITS_MAX || decimals > DIGITS_MAX || least_decimals > decimals {
            return Err(wrong);
        }
        Ok(Self { before, after, digits, decimals, least_decimals })
    }
}

/// How many bytes all texts begin and end with that are no part of a number.
fn common_ends(texts: &TextList) -> (usize, usize) {
    let first = texts.get(0);
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let mut before = first.iter().position(is_of_number).unwrap_or(first.len());
    let mut after = first.iter().rev().position(|byte| byte.is_ascii_digit()).unwrap_or(0);
    for text in texts.iter() {
        let same = |(left, right): &(&u8, &u8)| left == right;
        before = first[..before].iter().zip(text).take_while(same).count();
        after = first.iter().rev().take(after).zip(text.iter().rev()).take_while(same).count();
    }
    (before, after)
}

/// Appends digits, with leading zeros up to a length.
fn append_digits(mut number: u64, length: usize, line: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let digit = |number: u64| b'0' + (number % 10) as u8;
    while number >= 10 {
        // The two don't wait for each other, as one after the other would.
        (digits[at - 1], digits[at - 2]) = (digit(number), digit(number / 10));
        (at, number) = (at - 2, number / 100);
    }
    if number > 0 || at == digits.len() {
        at -= 1;
        digits[at] = digit(number);
    }
    line.extend_from_slice(&digits[at.min(digits.len() - length)..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_or_are_no_numbers(
            texts in prop::collection::vec("[a.]?[0-9]{0,3}(\\.[0-9]{0,3})?[b.]?", 1..6),
            same in prop::collection::vec("u[0-9]{2}\\.[0-9]{2}ms", 1..6),
            plain in prop::collection::vec("(0|[1-9][0-9]?)(\\.[0-9]?[1-9])?", 1..6),
        ) {
            for (texts, is_numbers) in [(texts, false), (same, true), (plain, true)] {
                let list: TextList = texts.iter().map(String::as_bytes).collect();
                let shape = NumberShape::of(&list);
                prop_assert!(shape.is_some() || !is_numbers, "{:?}", texts);
                let Some(shape) = shape else { continue };
                for text in list.iter() {
                    let mut back = Vec::new();
                    shape.append(shape.number(text), &mut back);
                    prop_assert_eq!(&back, text, "{:?}", &shape);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_found_by_their_texts(
            texts in prop::collection::vec("(0|[1-9][0-9]{0,2})", 1..6),
            padded in prop::collection::vec("u[0-9]{3}", 1..6), piece in "u?[0-9]{1,4}",
        ) {
            for texts in [texts, padded] {
                let list: TextList = texts.iter().map(String::as_bytes).collect();
                let shape = NumberShape::of(&list).unwrap();
                let holds = |numbers: &Numbers, text: &[u8]| match numbers {
                    Numbers::All => true,
                    Numbers::Within(ranges) => ranges.iter().any(|r| r.contains(&shape.number(text))),
                };
                for text in list.iter() {
                    let equal = shape.equal_to(piece.as_bytes()).unwrap();
                    prop_assert_eq!(holds(&equal, text), text == piece.as_bytes());
                    if let Some(begins) = shape.beginning_with(piece.as_bytes()) {
                        prop_assert_eq!(holds(&begins, text), text.starts_with(piece.as_bytes()));
                    }
                }
            }
        }
    }

    #[test]
    fn what_could_be_written_in_two_ways_is_no_column_of_numbers() {
        let shape = |texts: &[&str]| NumberShape::of(&texts.iter().map(|t| t.as_bytes()).collect());
        assert!(shape(&["1", "01"]).is_none() && shape(&["1.0", "1"]).is_none());
        assert!(
            shape(&["", "1"]).is_none() && shape(&["1.", "1"]).is_none() && shape(&["x"]).is_none()
        );
        assert!(shape(&["12345678901234567890"]).is_none() && shape(&["12"]).is_some());
    }
}
