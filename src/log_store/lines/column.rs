//! The texts of one slot of one template.
//!
//! Forms: one text for all rows; a dictionary; numbers; texts as they are. The stamp of a column says which characters and lengths it has, so that a search passes
//! over columns that can't hold what is searched for.

use super::directory::PAGE_KINDS;
use super::number::NumberShape;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{
    Effort, TextColumn, TextColumnBuilder, TextList, decode_numbers, encode_numbers, hash_id,
    hex_to_ids, is_hex,
};

/// Which bytes a text or a column has, one bit for each class.
const DIGITS: u8 = 1;
const LOWER_HEX: u8 = 2;
const LOWER: u8 = 4;
const UPPER_HEX: u8 = 8;
const UPPER: u8 = 16;
const UNDERSCORE: u8 = 32;
const OTHER: u8 = 64;
pub(crate) const NOT_ASCII: u8 = 128;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGITS,
            b'a'..=b'f' => LOWER_HEX,
            b'g'..=b'z' => LOWER,
            b'A'..=b'F' => UPPER_HEX,
            b'G'..=b'Z' => UPPER,
            b'_' => UNDERSCORE,
            0x80..=0xFF => NOT_ASCII,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
}

pub(crate) fn classes_of(text: &[u8]) -> u8 {
    text.iter().fold(0, |classes, byte| classes | CLASSES[usize::from(*byte)])
}

/// What all texts of a column have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) classes: u8,
    pub(crate) shortest: u32,
    pub(crate) longest: u32,
}

impl Stamp {
    fn of(texts: &TextList) -> Self {
        let classes = classes_of(&texts.bytes);
        let (mut shortest, mut longest, mut start) = (u32::MAX, 0, 0);
        for end in &texts.ends {
            shortest = shortest.min(end - start);
            longest = longest.max(end - start);
            start = *end;
        }
        Self { classes, shortest: shortest.min(longest), longest }
    }

    pub(crate) fn encode(self, writer: &mut ByteWriter) {
        writer.u8(self.classes);
        writer.varint(u64::from(self.shortest));
        writer.varint(u64::from(self.longest));
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let classes = reader.u8()?;
        let shortest = reader.length(u32::MAX as usize)? as u32;
        let longest = reader.length(u32::MAX as usize)? as u32;
        Ok(Self { classes, shortest, longest })
    }
}

pub(crate) const TEXT_PAGES: usize = 0;
pub(crate) const DIGIT_PAGES: usize = 1;
pub(crate) const NUMBER_PAGES: usize = 2;

/// How a column is written; the number stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    Same = 0,
    Texts = 1,
    Dictionary = 2,
    Numbers = 3,
}

impl Form {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Same, Self::Texts, Self::Dictionary, Self::Numbers]
            .into_iter()
            .find(|form| *form as u8 == code)
    }

    /// The kind of page on which such a column lies: packed numbers, whose bytes compression would not
    /// make smaller; texts of digits, which searches for words pass over; other texts.
    pub(crate) fn page_kind(self, stamp: Stamp) -> usize {
        match self {
            Self::Numbers => NUMBER_PAGES,
            _ if stamp.classes & !DIGITS == 0 => DIGIT_PAGES,
            _ => TEXT_PAGES,
        }
    }
}

/// Fewer texts are not worth another form.
const FORM_MIN: usize = 64;
/// The texts from which it is guessed whether a dictionary pays.
const SAMPLE: usize = 256;

/// Writes columns; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct ColumnEncoder {
    dictionary: TextColumnBuilder,
    numbers: Vec<u64>,
    shape: NumberShape,
}

impl ColumnEncoder {
    /// Writes a column in the form that suits it.
    pub(crate) fn encode(
        &mut self,
        texts: &TextList,
        effort: Effort,
        writers: &mut [ByteWriter; PAGE_KINDS],
    ) -> (Form, Stamp) {
        let stamp = Stamp::of(texts);
        let form = self.choose(texts, stamp);
        let writer = &mut writers[form.page_kind(stamp)];
        match form {
            Form::Same => writer.raw(texts.get(0)),
            Form::Texts => texts.encode(writer),
            Form::Dictionary => self.dictionary.encode(texts.len(), writer),
            Form::Numbers => {
                self.shape.encode(writer);
                encode_numbers(&self.numbers, effort.number_level(), writer);
            }
        }
        (form, stamp)
    }

    /// Adds the hashes of the identifiers in the column that was written last.
    pub(crate) fn identifiers(&self, form: Form, hashes: &mut Vec<u64>) {
        if form != Form::Dictionary || !self.dictionary.holds_ids() {
            return;
        }
        let mut id = Vec::new();
        for text in self.dictionary.values().iter() {
            id.clear();
            hex_to_ids(text, &mut id);
            hashes.push(hash_id(&id));
        }
    }

    fn choose(&mut self, texts: &TextList, stamp: Stamp) -> Form {
        let first = texts.get(0);
        if stamp.shortest == stamp.longest && texts.iter().all(|text| text == first) {
            return Form::Same;
        }
        if texts.len() < FORM_MIN {
            return Form::Texts;
        }
        if self.fill_dictionary(texts, stamp) {
            return Form::Dictionary;
        }
        match self.fill_numbers(texts) {
            true => Form::Numbers,
            false => Form::Texts,
        }
    }

    /// Whether a dictionary pays: few distinct texts, or identifiers, which it packs.
    fn fill_dictionary(&mut self, texts: &TextList, stamp: Stamp) -> bool {
        let is_ids = stamp.shortest == stamp.longest
            && stamp.longest >= 8
            && stamp.classes & !(DIGITS | LOWER_HEX) == 0
            && letters_are_common(&texts.bytes)
            && is_hex(first_of(texts));
        let share = if is_ids { 1 } else { 8 };
        let sampled = texts.len().min(SAMPLE);
        self.dictionary.clear();
        for row in 0..texts.len() {
            self.dictionary.set(row, texts.get(row));
            let distinct = self.dictionary.values().len();
            let is_checked = row + 1 == sampled || row + 1 == texts.len();
            if is_checked && !is_ids && distinct * share.min(4) > row + 1 {
                return false;
            }
        }
        is_ids || self.dictionary.values().len() * share <= texts.len()
    }

    fn fill_numbers(&mut self, texts: &TextList) -> bool {
        let Some(shape) = NumberShape::of(texts) else { return false };
        self.numbers.clear();
        self.numbers.extend(texts.iter().map(|text| shape.number(text)));
        self.shape = shape;
        true
    }
}

fn first_of(texts: &TextList) -> &[u8] {
    texts.get(0)
}

/// Numbers in decimal are better kept as numbers than as hexadecimal identifiers.
fn letters_are_common(bytes: &[u8]) -> bool {
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    letters * 5 >= bytes.len()
}

/// A column that was read.
#[derive(Debug)]
pub(crate) enum Column {
    Same(Vec<u8>),
    Texts(TextList),
    Dictionary(TextColumn),
    Numbers(Vec<u64>, NumberShape),
}

impl Column {
    /// Reads a column of `rows` texts.
    pub(crate) fn decode(form: Form, bytes: &[u8], rows: usize) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let column = match form {
            Form::Same => return Ok(Self::Same(bytes.to_vec())),
            Form::Texts => {
                let mut texts = TextList::default();
                texts.decode(&mut reader, rows)?;
                Self::Texts(texts)
            }
            Form::Dictionary => {
                let mut column = TextColumn::default();
                column.decode(&mut reader, rows)?;
                Self::Dictionary(column)
            }
            Form::Numbers => {
                let shape = NumberShape::decode(&mut reader)?;
                let mut numbers = Vec::new();
                decode_numbers(&mut reader, rows, &mut numbers)?;
                Self::Numbers(numbers, shape)
            }
        };
        reader.finish()?;
        Ok(column)
    }

    /// Appends the text of a row.
    #[inline]
    pub(crate) fn append(&self, row: usize, line: &mut Vec<u8>) {
        match self {
            Self::Same(text) => line.extend_from_slice(text),
            Self::Texts(texts) => line.extend_from_slice(texts.get(row)),
            Self::Dictionary(column) => line.extend_from_slice(column.get(row).unwrap_or_default()),
            Self::Numbers(numbers, shape) => shape.append(numbers[row], line),
        }
    }

    /// The length of the text of a row.
    #[inline]
    pub(crate) fn length(&self, row: usize) -> usize {
        match self {
            Self::Same(text) => text.len(),
            Self::Texts(texts) => texts.get(row).len(),
            Self::Dictionary(column) => column.get(row).unwrap_or_default().len(),
            Self::Numbers(numbers, shape) => shape.length(numbers[row]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(texts: &[String]) {
        let list: TextList = texts.iter().map(String::as_bytes).collect();
        let mut writers = <[ByteWriter; PAGE_KINDS]>::default();
        let (form, stamp) = ColumnEncoder::default().encode(&list, Effort::Last, &mut writers);
        let bytes = &writers[form.page_kind(stamp)].bytes;
        let column = Column::decode(form, bytes, texts.len()).unwrap();
        for (row, text) in texts.iter().enumerate() {
            let mut line = Vec::new();
            column.append(row, &mut line);
            assert_eq!(line, text.as_bytes(), "{form:?}");
            assert_eq!(column.length(row), text.len(), "{form:?}");
            assert_eq!(classes_of(&line) & !stamp.classes, 0);
            assert!((stamp.shortest..=stamp.longest).contains(&(line.len() as u32)));
        }
    }

    proptest! {
        #[test]
        fn columns_come_back(
            numbers in prop::collection::vec("0|[1-9][0-9]{0,17}", 1..200),
            padded in prop::collection::vec("[0-9]{6}", 1..200),
            ids in prop::collection::vec("[0-9a-f]{8}", 1..200),
            named in prop::collection::vec("u[0-9]{6}", 1..200),
            units in prop::collection::vec("(0|[1-9][0-9]{0,5})ms", 1..200),
            decimals in prop::collection::vec("(0|[1-9][0-9]{0,3})(\\.[0-9]{0,2}[1-9])?", 1..200),
            few in prop::collection::vec("a|bb|", 1..200),
            any in prop::collection::vec("[0-9a]{0,20}", 1..200),
        ) {
            for texts in [
                &numbers, &padded, &ids, &few, &any, &named, &units, &decimals,
                &vec![any[0].clone(); 100],
            ] {
                round_trip(texts);
            }
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(bytes: Vec<u8>, form in 0u8..4, rows in 1usize..99) {
            let form = Form::from_code(form).unwrap();
            if let Ok(column) = Column::decode(form, &bytes, rows) {
                (0..rows).for_each(|row| column.append(row, &mut Vec::new()));
            }
        }
    }
}
