//! The labels of a part and, for each label, the values that its series have.
//!
//! A value's code is its index in its label's dictionary, in order of first appearance; code 0 is
//! the empty value of series without the label. Labels are numbered in the same way.

use codec::{ByteReader, ByteWriter, DecodeError};
use std::collections::HashMap;

/// The values of one label.
#[derive(Debug)]
pub(crate) struct Dictionary {
    pub(crate) label: String,
    text: String,
    /// The end of each code's value in the text; that of code 0 is empty.
    ends: Vec<u32>,
    /// The codes in the order of their values; empty if the codes are in that order already.
    order: Vec<u32>,
}

impl Dictionary {
    fn new(label: &str) -> Self {
        Self { label: label.to_owned(), text: String::new(), ends: vec![0], order: Vec::new() }
    }

    /// How many codes there are, that of the empty value included.
    pub(crate) fn codes(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn value(&self, code: u32) -> &str {
        let code = code as usize;
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[code] as usize]
    }

    /// All values but the empty one, in order.
    pub(crate) fn sorted_values(&self) -> impl Iterator<Item = &str> {
        let code = |place: usize| self.order.get(place).copied().unwrap_or(place as u32);
        (1..self.codes()).map(move |place| self.value(code(place)))
    }

    /// The code of a value; `None` if no series has it.
    pub(crate) fn find(&self, value: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.codes());
        while low < high {
            let middle = low + (high - low) / 2;
            let code = self.order.get(middle).copied().unwrap_or(middle as u32);
            match self.value(code).cmp(value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(code),
            }
        }
        None
    }

    fn push(&mut self, value: &str) -> bool {
        self.text.push_str(value);
        let end = u32::try_from(self.text.len());
        self.ends.extend(end);
        end.is_ok()
    }

    fn settle(&mut self) {
        let in_order = (1..self.codes() as u32).all(|code| self.value(code - 1) < self.value(code));
        if !in_order {
            let mut order: Vec<u32> = (0..self.codes() as u32).collect();
            order.sort_unstable_by(|left, right| self.value(*left).cmp(self.value(*right)));
            self.order = order;
        }
    }

    fn bytes(&self) -> usize {
        self.label.len() + self.text.len() + (self.ends.len() + self.order.len()) * 4
    }
}

/// All labels of a part.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries(Vec<Dictionary>);

impl Dictionaries {
    /// Reads the next page.
    pub(crate) fn read_page(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut reader = ByteReader::new(bytes);
        while !reader.is_empty() {
            let label = reader.text()?;
            let repeated = reader.value_error("a label has two dictionaries");
            if self.0.last().is_none_or(|last| last.label != label) {
                if self.number(label).is_some() {
                    return Err(repeated);
                }
                self.0.push(Dictionary::new(label));
            }
            let last = self.0.last_mut().expect("one was pushed where there was none");
            read_values(&mut reader, last)?;
        }
        Ok(())
    }

    /// To be called after the last page.
    pub(crate) fn settle(&mut self) {
        self.0.iter_mut().for_each(Dictionary::settle);
    }

    pub(crate) fn number(&self, label: &str) -> Option<u32> {
        let found = self.0.iter().position(|dictionary| dictionary.label == label);
        found.map(|number| number as u32)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Dictionary> {
        self.0.get(number as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Dictionary> {
        self.0.iter()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|dictionary| dictionary.bytes() + size_of::<Dictionary>()).sum()
    }
}

fn read_values(reader: &mut ByteReader<'_>, into: &mut Dictionary) -> Result<(), DecodeError> {
    // Each value takes at least two lengths.
    let count = reader.length(reader.remaining() / 2)?;
    let mut value: Vec<u8> = Vec::new();
    for _ in 0..count {
        let shared = reader.length(value.len())?;
        value.truncate(shared);
        value.extend_from_slice(reader.prefixed()?);
        let wrong = reader.value_error("a label's value is empty or not UTF-8");
        let text = std::str::from_utf8(&value).ok().filter(|text| !text.is_empty());
        let long = reader.value_error("a label has too many values");
        if !into.push(text.ok_or(wrong)?) {
            return Err(long);
        }
    }
    Ok(())
}

/// Assigns codes to labels and values as they appear.
#[derive(Debug, Default)]
pub(crate) struct DictionaryBuilder {
    numbers: HashMap<Box<str>, u32>,
    labels: Vec<LabelValues>,
}

#[derive(Debug)]
struct LabelValues {
    label: Box<str>,
    codes: HashMap<Box<str>, u32>,
    /// Consecutive series often have the same value.
    last: (String, u32),
}

impl DictionaryBuilder {
    pub(crate) fn number(&mut self, label: &str) -> u32 {
        if let Some(number) = self.numbers.get(label) {
            return *number;
        }
        let number = self.labels.len() as u32;
        self.numbers.insert(label.into(), number);
        let codes = HashMap::new();
        self.labels.push(LabelValues { label: label.into(), codes, last: (String::new(), 0) });
        number
    }

    pub(crate) fn label(&self, number: u32) -> &str {
        &self.labels[number as usize].label
    }

    pub(crate) fn code(&mut self, label: u32, value: &str) -> u32 {
        let LabelValues { codes, last, .. } = &mut self.labels[label as usize];
        if last.0 != value {
            let next = codes.len() as u32 + 1;
            last.1 = match codes.get(value) {
                Some(code) => *code,
                None => {
                    codes.insert(value.into(), next);
                    next
                }
            };
            value.clone_into(&mut last.0);
        }
        last.1
    }

    /// Passes on pages of roughly `page_bytes`.
    pub(crate) fn write_pages<E>(
        &self,
        page_bytes: usize,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut page = ByteWriter::default();
        for LabelValues { label, codes, .. } in &self.labels {
            let mut values: Vec<(u32, &str)> =
                codes.iter().map(|(value, code)| (*code, &**value)).collect();
            values.sort_unstable();
            let mut rest = values.as_slice();
            while !rest.is_empty() {
                let taken = run_length(rest, page_bytes.saturating_sub(page.len()));
                let (run, behind) = rest.split_at(taken);
                write_run(label, run, &mut page);
                rest = behind;
                if page.len() >= page_bytes {
                    write(&page.bytes)?;
                    page.bytes.clear();
                }
            }
        }
        if page.is_empty() { Ok(()) } else { write(&page.bytes) }
    }
}

/// How many of the values fit into `space` bytes, at least one.
fn run_length(values: &[(u32, &str)], space: usize) -> usize {
    let mut bytes = 0;
    let fits = values.iter().take_while(|(_, value)| {
        let before = bytes;
        bytes += value.len() + 2;
        before < space
    });
    fits.count().max(1)
}

fn write_run(label: &str, run: &[(u32, &str)], page: &mut ByteWriter) {
    page.text(label);
    page.varint(run.len() as u64);
    let mut before: &[u8] = &[];
    for (_, value) in run {
        let value = value.as_bytes();
        let shared = before.iter().zip(value).take_while(|(left, right)| left == right).count();
        page.varint(shared as u64);
        page.prefixed(&value[shared..]);
        before = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dictionaries_come_back(
            series in prop::collection::vec(("[a-d]", ".{1,9}"), 0..60), page_bytes in 1usize..99,
        ) {
            let mut builder = DictionaryBuilder::default();
            let coded: Vec<(u32, u32)> = series.iter().map(|(label, value)| {
                let number = builder.number(label);
                (number, builder.code(number, value))
            }).collect();
            let mut read = Dictionaries::default();
            builder.write_pages(page_bytes, |page| read.read_page(page)).unwrap();
            read.settle();
            for ((label, value), (number, code)) in series.iter().zip(&coded) {
                prop_assert_eq!(read.number(label), Some(*number));
                let dictionary = read.get(*number).unwrap();
                prop_assert_eq!(dictionary.value(*code), value);
                prop_assert_eq!(dictionary.find(value), Some(*code));
                prop_assert_eq!(dictionary.find(&format!("{value}~")).map(|code| dictionary.value(code)),
                    dictionary.sorted_values().find(|known| **known == format!("{value}~")));
                prop_assert_eq!(dictionary.find(""), Some(0));
            }
        }

        #[test]
        fn any_bytes_are_dictionaries_or_an_error(bytes: Vec<u8>) {
            let mut read = Dictionaries::default();
            if read.read_page(&bytes).is_ok() {
                read.settle();
                for dictionary in read.iter() {
                    dictionary.sorted_values().for_each(|value| assert!(!value.is_empty()));
                }
            }
        }
    }
}
