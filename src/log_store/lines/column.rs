//! The texts of one slot of one template.
//!
//! Forms: one text for all rows; a dictionary; identifiers; numbers; texts as they are. The stamp of a
//! column says which characters and lengths it has, so that a search passes over columns that can't hold
//! what is searched for.

use super::directory::PAGE_KINDS;
use super::filter::{KNOWN_DIGITS, TEXTS_MIN, TextFilter};
use super::letters::LetterSet;
use super::number::NumberShape;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{
    Effort, ID_DIGITS_MIN, IdColumn, Numbers, TextColumn, TextColumnBuilder, TextList,
    decode_numbers, each_identifier, encode_numbers, hash_id, is_hex, is_uuid,
};

/// Which bytes a text or a column has: a bit for each class, above them one for each digit, and one for
/// each letter in either case.
pub(crate) type Marks = u64;

const DIGITS: Marks = 1;
const LOWER_HEX: Marks = 2;
const LOWER: Marks = 4;
const UPPER_HEX: Marks = 8;
const UPPER: Marks = 16;
const UNDERSCORE: Marks = 32;
const OTHER: Marks = 64;
pub(crate) const NOT_ASCII: Marks = 128;

/// The classes of letters.
pub(crate) const LETTERS: Marks = LOWER_HEX | LOWER | UPPER_HEX | UPPER;

/// The bits of classes.
const CLASSES: Marks = 0xFF;
const CLASS_BITS: u32 = 8;
/// The bits of all digits.
const EVERY_DIGIT: Marks = 0x3FF << CLASS_BITS;
/// The bits that there are.
const EVERY_MARK: Marks = (1 << (CLASS_BITS + 10 + 26)) - 1;

static MARKS: [Marks; 256] = marks();

const fn marks() -> [Marks; 256] {
    let mut marks = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        marks[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => DIGITS | 1 << (CLASS_BITS + (digit - b'0') as u32),
            letter @ (b'a'..=b'z' | b'A'..=b'Z') => {
                let class = match letter {
                    b'a'..=b'f' => LOWER_HEX,
                    b'g'..=b'z' => LOWER,
                    b'A'..=b'F' => UPPER_HEX,
                    _ => UPPER,
                };
                class | 1 << (CLASS_BITS + 10 + (letter.to_ascii_lowercase() - b'a') as u32)
            }
            b'_' => UNDERSCORE,
            0x80..=0xFF => NOT_ASCII,
            _ => OTHER,
        };
        byte += 1;
    }
    marks
}

pub(crate) fn marks_of(text: &[u8]) -> Marks {
    text.iter().fold(0, |marks, byte| marks | MARKS[usize::from(*byte)])
}

/// The marks that a text has in either case.
pub(crate) fn marks_in_any_case(text: &[u8]) -> Marks {
    text.iter().fold(0, |marks, byte| {
        let of_byte = MARKS[usize::from(*byte)];
        marks | if byte.is_ascii_alphabetic() { of_byte & !CLASSES } else { of_byte }
    })
}

/// What all texts of a column have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) marks: Marks,
    pub(crate) shortest: u32,
    pub(crate) longest: u32,
}

impl Stamp {
    fn of(texts: &TextList) -> Self {
        let (mut shortest, mut longest, mut start) = (u32::MAX, 0, 0);
        for end in &texts.ends {
            shortest = shortest.min(end - start);
            longest = longest.max(end - start);
            start = *end;
        }
        let marks = marks_of(&texts.bytes);
        let mut stamp = Self { marks, shortest: shortest.min(longest), longest };
        if stamp.is_digits() {
            stamp.marks |= EVERY_DIGIT;
        }
        stamp
    }

    /// Whether the texts have nothing but digits. Which ones is not recorded.
    fn is_digits(self) -> bool {
        self.marks & CLASSES & !DIGITS == 0
    }

    /// Whether a text can be an identifier, or hold one.
    fn may_hold_ids(self) -> bool {
        let wanted = DIGITS | LOWER_HEX;
        self.marks & wanted == wanted && self.longest as usize >= ID_DIGITS_MIN
    }

    pub(crate) fn encode(self, writer: &mut ByteWriter) {
        writer.u8((self.marks & CLASSES) as u8);
        if !self.is_digits() {
            writer.varint(self.marks >> CLASS_BITS);
        }
        writer.varint(u64::from(self.shortest));
        writer.varint(u64::from(self.longest));
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("a stamp with marks that there are not");
        let mut stamp = Self { marks: Marks::from(reader.u8()?), shortest: 0, longest: 0 };
        stamp.marks |= match stamp.is_digits() {
            true => EVERY_DIGIT,
            false => reader.varint()?.checked_mul(1 << CLASS_BITS).ok_or(wrong)?,
        };
        if stamp.marks & !EVERY_MARK != 0 {
            return Err(wrong);
        }
        stamp.shortest = reader.length(u32::MAX as usize)? as u32;
        stamp.longest = reader.length(u32::MAX as usize)? as u32;
        Ok(stamp)
    }
}

pub(crate) const TEXT_PAGES: usize = 0;
pub(crate) const DIGIT_PAGES: usize = 1;
pub(crate) const NUMBER_PAGES: usize = 2;
pub(crate) const ID_PAGES: usize = 3;

/// How a column is written; the number stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    Same = 0,
    Texts = 1,
    Dictionary = 2,
    Numbers = 3,
    Ids = 4,
}

impl Form {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Same, Self::Texts, Self::Dictionary, Self::Numbers, Self::Ids]
            .into_iter()
            .find(|form| *form as u8 == code)
    }

    /// The kind of page on which such a column lies: packed numbers, whose bytes compression would not
    /// make smaller; identifiers; texts of digits, which searches for words pass over; other texts.
    pub(crate) fn page_kind(self, stamp: Stamp) -> usize {
        match self {
            Self::Numbers => NUMBER_PAGES,
            Self::Ids => ID_PAGES,
            _ if stamp.is_digits() => DIGIT_PAGES,
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
            Form::Dictionary | Form::Ids => self.dictionary.encode(texts.len(), writer),
            Form::Numbers => {
                self.shape.encode(writer);
                encode_numbers(&self.numbers, effort.number_level(), writer);
            }
        }
        (form, stamp)
    }

    /// Adds the hashes of the identifiers in the column that was written last, which has these texts.
    pub(crate) fn identifiers(
        &self,
        (form, stamp): (Form, Stamp),
        texts: &TextList,
        hashes: &mut Vec<u64>,
    ) {
        if !stamp.may_hold_ids() {
            return;
        }
        let distinct = match form {
            Form::Dictionary | Form::Ids => self.dictionary.values(),
            Form::Same => return add_identifiers(texts.get(0), hashes),
            Form::Texts | Form::Numbers => texts,
        };
        distinct.iter().for_each(|text| add_identifiers(text, hashes));
    }

    /// Adds the letters in the column that was written last, which has these texts.
    pub(crate) fn letters(&self, form: Form, texts: &TextList, letters: &mut LetterSet) {
        match form {
            // What is not the same in all of them are digits, or digits of identifiers.
            Form::Same | Form::Numbers | Form::Ids => letters.add(texts.get(0)),
            Form::Dictionary => self.dictionary.values().iter().for_each(|text| letters.add(text)),
            Form::Texts => texts.iter().for_each(|text| letters.add(text)),
        }
    }

    /// A filter of the column that was written last, if it has numbers with a name, which are
    /// identifiers in all but form: a search for one of its texts names all of it, or its beginning.
    pub(crate) fn filter(
        &self,
        (form, stamp): (Form, Stamp),
        texts: &TextList,
    ) -> Option<TextFilter> {
        if form != Form::Numbers || stamp.is_digits() || texts.len() < TEXTS_MIN {
            return None;
        }
        if stamp.shortest == stamp.longest {
            return Some(TextFilter::of(texts.iter()));
        }
        let name = self.shape.name()?;
        let is_long = stamp.shortest as usize >= name.len() + KNOWN_DIGITS;
        is_long.then(|| TextFilter::of_beginnings(name, texts.iter()))
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
            let is_ids = self.dictionary.id_form().is_some();
            return if is_ids { Form::Ids } else { Form::Dictionary };
        }
        match self.fill_numbers(texts) {
            true => Form::Numbers,
            false => Form::Texts,
        }
    }

    /// Whether a dictionary pays: few distinct texts, or identifiers, which it packs.
    fn fill_dictionary(&mut self, texts: &TextList, stamp: Stamp) -> bool {
        let of_hex = DIGITS | LOWER_HEX;
        let is_ids = stamp.shortest == stamp.longest
            && stamp.longest as usize >= ID_DIGITS_MIN
            && stamp.marks & CLASSES & !(of_hex | OTHER) == 0
            && letters_are_common(&texts.bytes)
            && (is_hex(texts.get(0)) || is_uuid(texts.get(0)));
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

/// Adds the hashes of the identifiers that a text holds.
pub(crate) fn add_identifiers(text: &[u8], hashes: &mut Vec<u64>) {
    let mut id = Vec::new();
    each_identifier(text, |form, text| {
        id.clear();
        form.append_bytes(text, &mut id);
        hashes.push(hash_id(&id));
    });
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
    Ids(IdColumn),
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
            Form::Ids => Self::Ids(IdColumn::decode(&mut reader, rows)?),
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

    /// Appends some rows, at rising places, of a column of `rows` texts: quicker than reading all.
    pub(crate) fn pick(
        form: Form,
        bytes: &[u8],
        rows: usize,
        wanted: &[u32],
        into: &mut TextList,
    ) -> Result<(), DecodeError> {
        let mut reader = ByteReader::new(bytes);
        match form {
            Form::Same => wanted.iter().for_each(|_| into.push(bytes)),
            Form::Texts => into.pick(&mut reader, rows, wanted)?,
            Form::Dictionary | Form::Ids => {
                let mut column = TextColumn::default();
                column.decode_some(&mut reader, rows, wanted)?;
                let text = |row| column.get(row).unwrap_or_default();
                (0..wanted.len()).for_each(|row| into.push(text(row)));
            }
            Form::Numbers => {
                let shape = NumberShape::decode(&mut reader)?;
                let mut numbers = Vec::new();
                Numbers::read(&mut reader, rows)?.pick(wanted, &mut numbers)?;
                for number in numbers {
                    shape.append(number, &mut into.bytes);
                    into.ends.push(into.bytes.len() as u32);
                }
            }
        }
        Ok(())
    }

    /// Appends the text of a row.
    #[inline]
    pub(crate) fn append(&self, row: usize, line: &mut Vec<u8>) {
        match self {
            Self::Same(text) => line.extend_from_slice(text),
            Self::Texts(texts) => line.extend_from_slice(texts.get(row)),
            Self::Dictionary(column) => line.extend_from_slice(column.get(row).unwrap_or_default()),
            Self::Ids(column) => column.append(row, line),
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
            Self::Ids(column) => column.length(),
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
        let wanted: Vec<u32> = (0..texts.len() as u32).filter(|row| row % 3 != 1).collect();
        let mut picked = TextList::default();
        Column::pick(form, bytes, texts.len(), &wanted, &mut picked).unwrap();
        for (at, row) in wanted.iter().enumerate() {
            assert_eq!(picked.get(at), texts[*row as usize].as_bytes());
        }
        for (row, text) in texts.iter().enumerate() {
            let mut line = Vec::new();
            column.append(row, &mut line);
            assert_eq!(line, text.as_bytes(), "{form:?}");
            assert_eq!(column.length(row), text.len(), "{form:?}");
            assert_eq!(marks_of(&line) & !stamp.marks, 0);
            assert!((stamp.shortest..=stamp.longest).contains(&(line.len() as u32)));
        }
    }

    proptest! {
        #[test]
        fn columns_come_back(
            numbers in prop::collection::vec("0|[1-9][0-9]{0,17}", 1..200),
            padded in prop::collection::vec("[0-9]{6}", 1..200),
            ids in prop::collection::vec("[0-9a-f]{8}", 1..200),
            uuids in prop::collection::vec(
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", 64..90,
            ),
            named in prop::collection::vec("u[0-9]{6}", 1..200),
            units in prop::collection::vec("(0|[1-9][0-9]{0,5})ms", 1..200),
            decimals in prop::collection::vec("(0|[1-9][0-9]{0,3})(\\.[0-9]{0,2}[1-9])?", 1..200),
            few in prop::collection::vec("a|bb|", 1..200),
            any in prop::collection::vec("[0-9a]{0,20}", 1..200),
        ) {
            for texts in [
                &numbers, &padded, &ids, &uuids, &few, &any, &named, &units, &decimals,
                &vec![any[0].clone(); 100],
            ] {
                round_trip(texts);
            }
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(bytes: Vec<u8>, form in 0u8..5, rows in 1usize..99) {
            let form = Form::from_code(form).unwrap();
            let wanted: Vec<u32> = (0..rows as u32).step_by(3).collect();
            let _ = Column::pick(form, &bytes, rows, &wanted, &mut TextList::default());
            if let Ok(column) = Column::decode(form, &bytes, rows) {
                (0..rows).for_each(|row| column.append(row, &mut Vec::new()));
            }
        }
    }
}
