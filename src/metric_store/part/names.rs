//! The labels of a group's series: a column of codes for each label.
//!
//! The metric's name is in the directory of groups; the dictionaries of the part tell what the
//! codes mean. Similar series repeat whole columns, so these take little space, and a matcher
//! checks each value once instead of each series.

use super::dictionary::{Dictionaries, DictionaryBuilder};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{Labels, METRIC_NAME, write_label};

/// Codes in their narrowest form, because thousands of decoded columns are cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// All series have the same code.
    Same(u32),
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Words(Vec<u32>),
}

impl Codes {
    pub(crate) fn get(&self, index: u32) -> u32 {
        match self {
            Self::Same(code) => *code,
            Self::Bytes(codes) => u32::from(codes[index as usize]),
            Self::Shorts(codes) => u32::from(codes[index as usize]),
            Self::Words(codes) => codes[index as usize],
        }
    }

    /// Appends the indexes below `count` whose code passes.
    pub(crate) fn select(
        &self,
        count: u32,
        mut passes: impl FnMut(u32) -> bool,
        into: &mut Vec<u32>,
    ) {
        let mut push = |(index, code): (usize, u32)| {
            if passes(code) {
                into.push(index as u32);
            }
        };
        match self {
            Self::Same(code) => {
                if passes(*code) {
                    into.extend(0..count);
                }
            }
            Self::Bytes(codes) => codes.iter().map(|c| u32::from(*c)).enumerate().for_each(push),
            Self::Shorts(codes) => codes.iter().map(|c| u32::from(*c)).enumerate().for_each(push),
            Self::Words(codes) => codes.iter().copied().enumerate().for_each(&mut push),
        }
    }

    /// Marks the codes of the given series, which often are all series of the group.
    pub(crate) fn mark(&self, series: &[u32], seen: &mut [bool]) {
        match self {
            Self::Same(code) => seen[*code as usize] |= !series.is_empty(),
            Self::Bytes(all) if all.len() == series.len() => {
                all.iter().for_each(|code| seen[usize::from(*code)] = true);
            }
            Self::Shorts(all) if all.len() == series.len() => {
                all.iter().for_each(|code| seen[usize::from(*code)] = true);
            }
            _ => series.iter().for_each(|index| seen[self.get(*index) as usize] = true),
        }
    }

    fn write(codes: &[u32], writer: &mut ByteWriter) {
        let most = codes.iter().copied().max().unwrap_or(0);
        if codes.iter().all(|code| *code == most) {
            writer.u8(0);
            writer.varint(u64::from(most));
            return;
        }
        let width = if most <= 0xFF {
            1
        } else if most <= 0xFFFF {
            2
        } else {
            4
        };
        writer.u8(width);
        codes.iter().for_each(|code| writer.raw(&code.to_le_bytes()[..usize::from(width)]));
    }

    /// Checks that all codes are below `limit`.
    fn read(reader: &mut ByteReader<'_>, count: usize, limit: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("a label's value is not in its dictionary");
        let width = reader.u8()?;
        let codes = match width {
            0 => Self::Same(reader.length(u32::MAX as usize)? as u32),
            1 => Self::Bytes(reader.bytes(count)?.to_vec()),
            2 => {
                let pairs = reader.bytes(count.saturating_mul(2))?.chunks_exact(2);
                Self::Shorts(pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
            }
            4 => {
                let words = reader.bytes(count.saturating_mul(4))?.chunks_exact(4);
                let word = |w: &[u8]| u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
                Self::Words(words.map(word).collect())
            }
            _ => return Err(reader.value_error("codes of an unknown width")),
        };
        let most = match &codes {
            Self::Same(code) => Some(*code),
            Self::Bytes(codes) => codes.iter().max().map(|code| u32::from(*code)),
            Self::Shorts(codes) => codes.iter().max().map(|code| u32::from(*code)),
            Self::Words(codes) => codes.iter().max().copied(),
        };
        if most.is_some_and(|most| most as usize >= limit) { Err(wrong) } else { Ok(codes) }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Bytes(codes) => codes.len(),
            Self::Shorts(codes) => codes.len() * 2,
            Self::Words(codes) => codes.len() * 4,
        }
    }
}

/// One label of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LabelColumn {
    /// The label's number in the dictionaries.
    pub(crate) label: u32,
    pub(crate) codes: Codes,
}

/// The labels of a group's series, in the order of labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupNames {
    pub(crate) count: u32,
    columns: Vec<LabelColumn>,
    /// How many columns sort before the metric's name.
    before_metric: usize,
}

impl GroupNames {
    pub(crate) fn decode(
        bytes: &[u8],
        count: u32,
        dictionaries: &Dictionaries,
    ) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let mut names = Self { count, ..Self::default() };
        let mut before: Option<&str> = None;
        for _ in 0..reader.length(bytes.len() / 3)? {
            let wrong = reader.value_error("a group's labels are not in order");
            let label = reader.length(u32::MAX as usize)? as u32;
            let missing = reader.value_error("a label has no dictionary");
            let dictionary = dictionaries.get(label).ok_or(missing)?;
            let name = dictionary.label.as_str();
            if before.is_some_and(|before| before >= name) || name == METRIC_NAME {
                return Err(wrong);
            }
            let codes = Codes::read(&mut reader, count as usize, dictionary.codes())?;
            names.before_metric += usize::from(name < METRIC_NAME);
            names.columns.push(LabelColumn { label, codes });
            before = Some(name);
        }
        reader.finish()?;
        Ok(names)
    }

    pub(crate) fn columns(&self) -> &[LabelColumn] {
        &self.columns
    }

    pub(crate) fn column(&self, label: u32) -> Option<&Codes> {
        self.columns.iter().find(|column| column.label == label).map(|column| &column.codes)
    }

    /// Replaces `bytes` by the canonical labels of a series.
    pub(crate) fn write(
        &self,
        metric: &str,
        index: u32,
        dictionaries: &Dictionaries,
        bytes: &mut Vec<u8>,
    ) {
        bytes.clear();
        let (before, behind) = self.columns.split_at(self.before_metric);
        let write = |column: &LabelColumn, bytes: &mut Vec<u8>| {
            let code = column.codes.get(index);
            if code != 0
                && let Some(dictionary) = dictionaries.get(column.label)
            {
                write_label(&dictionary.label, dictionary.value(code), bytes);
            }
        };
        before.iter().for_each(|column| write(column, bytes));
        if !metric.is_empty() {
            write_label(METRIC_NAME, metric, bytes);
        }
        behind.iter().for_each(|column| write(column, bytes));
    }

    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|c| size_of::<LabelColumn>() + c.codes.bytes());
        size_of::<Self>() + columns.sum::<usize>()
    }
}

/// The labels of the group that is being filled.
#[derive(Debug, Default)]
pub(crate) struct NamesBuilder {
    /// In order of labels.
    columns: Vec<(u32, Vec<u32>)>,
    count: usize,
}

impl NamesBuilder {
    pub(crate) fn push(&mut self, labels: &Labels, dictionaries: &mut DictionaryBuilder) {
        let mut place = 0;
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            while self.columns.get(place).is_some_and(|(l, _)| dictionaries.label(*l) < name) {
                place += 1;
            }
            if self.columns.get(place).is_none_or(|(l, _)| dictionaries.label(*l) != name) {
                self.columns.insert(place, (dictionaries.number(name), Vec::new()));
            }
            let (label, codes) = &mut self.columns[place];
            // The series before lack the label.
            codes.resize(self.count, 0);
            codes.push(dictionaries.code(*label, value));
        }
        self.count += 1;
    }

    /// Encodes the group and begins the next one.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.varint(self.columns.len() as u64);
        for (label, codes) in &mut self.columns {
            codes.resize(self.count, 0);
            writer.varint(u64::from(*label));
            Codes::write(codes, &mut writer);
        }
        *self = Self::default();
        writer.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_series() -> impl Strategy<Value = Vec<Labels>> {
        let pairs = prop::collection::vec(("[A-Z_a-c]", "[a-z]{0,3}|é"), 0..5);
        let labels = |pairs: Vec<(String, String)>| {
            let all = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Labels::from_pairs(all.chain([("__name__", "m")]))
        };
        prop::collection::vec(pairs.prop_map(labels), 0..30)
    }

    proptest! {
        #[test]
        fn names_come_back(groups in prop::collection::vec(any_series(), 1..4)) {
            let mut dictionaries = DictionaryBuilder::default();
            let encoded: Vec<Vec<u8>> = groups.iter().map(|series| {
                let mut builder = NamesBuilder::default();
                series.iter().for_each(|labels| builder.push(labels, &mut dictionaries));
                builder.finish()
            }).collect();
            let mut read = Dictionaries::default();
            dictionaries.write_pages(40, |page| read.read_page(page)).unwrap();
            read.settle();
            let mut bytes = Vec::new();
            for (series, group) in groups.iter().zip(&encoded) {
                let names = GroupNames::decode(group, series.len() as u32, &read).unwrap();
                for (index, labels) in series.iter().enumerate() {
                    names.write("m", index as u32, &read, &mut bytes);
                    prop_assert_eq!(&bytes, labels.as_bytes());
                }
            }
        }

        #[test]
        fn wide_codes_come_back(codes in prop::collection::vec(0u32..100_000, 1..40), shift in 0u32..17) {
            let codes: Vec<u32> = codes.iter().map(|code| code >> shift).collect();
            let mut writer = ByteWriter::default();
            Codes::write(&codes, &mut writer);
            let read =
                Codes::read(&mut ByteReader::new(&writer.bytes), codes.len(), 100_000).unwrap();
            let back: Vec<u32> = (0..codes.len() as u32).map(|index| read.get(index)).collect();
            prop_assert_eq!(&back, &codes);
            let mut even = Vec::new();
            read.select(codes.len() as u32, |code| code % 2 == 0, &mut even);
            let expected: Vec<u32> =
                (0..codes.len() as u32).filter(|index| codes[*index as usize] .is_multiple_of(2)).collect();
            prop_assert_eq!(even, expected);
        }

        #[test]
        fn any_bytes_are_names_or_an_error(bytes: Vec<u8>, count in 0u32..50) {
            let mut read = Dictionaries::default();
            let _ = read.read_page(b"\x01a\x02\x00\x01x\x00\x01y");
            if let Ok(names) = GroupNames::decode(&bytes, count, &read) {
                let mut scratch = Vec::new();
                (0..count).for_each(|index| names.write("m", index, &read, &mut scratch));
            }
        }
    }
}
