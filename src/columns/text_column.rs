//! A column of texts as a dictionary with codes. A row may have no text.
//!
//! Texts that are all hexadecimal and of one length, such as trace ids, or all UUIDs, are stored as the
//! bytes that they stand for; those that differ in their digits only as numbers, in rising order.

use crate::shape::{Shape, Shaped};
use crate::{
    ID_DIGITS_MIN, IdForm, Interner, TextList, decode_codes, encode_codes, is_hex, is_uuid,
    pick_codes, rows_with_code,
};
use codec::{ByteReader, ByteWriter, DecodeError};
use std::ops::Range;

/// The code of a row without a text.
pub const ABSENT: u32 = u32::MAX;

const TEXTS: u8 = 0;
const HEX: u8 = 1;
const UUID: u8 = 2;
const SHAPED: u8 = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    /// The distinct texts, in the order of their first row, or of the numbers in them.
    pub values: TextList,
    /// For each row the place of its text in `values`, or [`ABSENT`].
    pub codes: Vec<u32>,
}

/// Collects a column row by row.
#[derive(Clone, Debug, Default)]
pub struct TextColumnBuilder {
    values: Interner,
    /// 0 for a row without a text, else the number of the text + 1.
    codes: Vec<u32>,
}

impl TextColumnBuilder {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.codes.clear();
    }

    pub fn memory(&self) -> usize {
        self.values.memory() + self.codes.capacity() * size_of::<u32>()
    }

    /// Sets the text of a row; rows in between have none. A row is set once, in rising order.
    pub fn set(&mut self, row: usize, text: &[u8]) {
        self.codes.resize(row, 0);
        let code = self.values.number(text) + 1;
        self.codes.push(code);
    }

    /// Sets a row to a text that an earlier row has, by the number that `set` gave it.
    pub fn set_number(&mut self, row: usize, number: u32) {
        self.codes.resize(row, 0);
        self.codes.push(number + 1);
    }

    /// The number of a text, to be used with [`TextColumnBuilder::set_number`] at once.
    pub fn number(&mut self, text: &[u8]) -> u32 {
        self.values.number(text)
    }

    pub fn values(&self) -> &TextList {
        self.values.texts()
    }

    /// How the texts are written, if as bytes that they stand for.
    pub fn id_form(&self) -> Option<IdForm> {
        id_form_of(self.values.texts())
    }

    /// How many rows have each value; empty if there are more than `most` values.
    pub fn counts(&self, most: usize) -> Vec<u32> {
        if self.values.len() > most {
            return Vec::new();
        }
        let mut counts = vec![0; self.values.len()];
        for code in &self.codes {
            if let Some(number) = code.checked_sub(1) {
                counts[number as usize] += 1;
            }
        }
        counts
    }

    /// Writes the column of `rows` rows.
    pub fn encode(&mut self, rows: usize, writer: &mut ByteWriter) {
        self.codes.resize(rows, 0);
        let texts = self.values.texts();
        writer.varint(texts.len() as u64);
        let form = self.id_form();
        let shape = if form.is_none() { Shape::of(texts) } else { None };
        match form {
            _ if shape.is_some() => {}
            Some(form) => {
                writer.u8(if form == IdForm::Uuid { UUID } else { HEX });
                let mut bytes = Vec::with_capacity(texts.bytes.len() / 2);
                texts.iter().for_each(|text| form.append_bytes(text, &mut bytes));
                if form == IdForm::Hex {
                    writer.varint((bytes.len() / texts.len()) as u64);
                }
                writer.raw(&bytes);
            }
            None => {
                writer.u8(TEXTS);
                texts.encode(writer);
            }
        }
        let is_full = self.codes.iter().all(|code| *code != 0);
        let shift = u32::from(is_full);
        let distinct = texts.len() as u32 + 1 - shift;
        let Some(shape) = shape else {
            writer.u8(u8::from(is_full));
            self.codes.iter_mut().for_each(|code| *code -= shift);
            encode_codes(&self.codes, distinct, writer);
            self.codes.iter_mut().for_each(|code| *code += shift);
            return;
        };
        let order = shape.order(texts);
        writer.u8(SHAPED);
        shape.encode(texts, &order, writer);
        let mut places = vec![0; texts.len() + 1];
        (1..).zip(&order).for_each(|(place, text)| places[*text as usize + 1] = place);
        let codes: Vec<u32> =
            self.codes.iter().map(|code| places[*code as usize] - shift).collect();
        writer.u8(u8::from(is_full));
        encode_codes(&codes, distinct, writer);
    }
}

/// The form that all texts have, if they are of one length and stand for bytes.
fn id_form_of(texts: &TextList) -> Option<IdForm> {
    let length = *texts.ends.first()? as usize;
    if length < ID_DIGITS_MIN || !texts.iter().all(|text| text.len() == length) {
        return None;
    }
    if length.is_multiple_of(2) && is_hex(&texts.bytes) {
        return Some(IdForm::Hex);
    }
    texts.iter().all(is_uuid).then_some(IdForm::Uuid)
}

/// The distinct texts of a column, as they are written.
enum Values<'b> {
    /// Where texts begin.
    Texts(ByteReader<'b>),
    Ids {
        form: IdForm,
        width: usize,
        bytes: &'b [u8],
    },
    Shaped(Shaped<'b>),
}

/// What stands before the codes of a column.
struct Head<'b> {
    distinct: usize,
    values: Values<'b>,
}

impl<'b> Head<'b> {
    /// Reads the distinct texts up to where codes follow, which texts tell only when they are read.
    fn read(reader: &mut ByteReader<'b>, rows: usize) -> Result<Self, DecodeError> {
        let distinct = reader.length(rows)?;
        let wrong = reader.value_error("not a column of texts");
        let (form, width) = match reader.u8()? {
            TEXTS => return Ok(Self { distinct, values: Values::Texts(reader.clone()) }),
            HEX => (IdForm::Hex, reader.length(reader.remaining())?),
            UUID => (IdForm::Uuid, 16),
            SHAPED => {
                let values = Values::Shaped(Shaped::read(reader, distinct)?);
                return Ok(Self { distinct, values });
            }
            _ => return Err(wrong),
        };
        if width == 0 {
            return Err(wrong);
        }
        let length = width.checked_mul(distinct).filter(|bytes| *bytes <= reader.remaining());
        let bytes = reader.bytes(length.ok_or(wrong)?)?;
        Ok(Self { distinct, values: Values::Ids { form, width, bytes } })
    }

    /// Appends the distinct texts, and goes to the codes.
    fn decode(&self, reader: &mut ByteReader<'b>, into: &mut TextList) -> Result<(), DecodeError> {
        match &self.values {
            Values::Texts(_) => into.decode(reader, self.distinct),
            Values::Ids { form, width, bytes } => {
                expand(*form, (*width, bytes), self.distinct, into);
                Ok(())
            }
            Values::Shaped(shaped) => shaped.decode(into),
        }
    }

    /// Appends the texts at rising places.
    fn pick(&self, places: &[u32], into: &mut TextList) -> Result<(), DecodeError> {
        match &self.values {
            Values::Texts(reader) => into.pick(&mut reader.clone(), self.distinct, places),
            Values::Ids { form, width, bytes } => {
                for place in places {
                    let start = *place as usize * width;
                    form.append(&bytes[start..start + width], &mut into.bytes);
                    into.ends.push(into.bytes.len() as u32);
                }
                Ok(())
            }
            Values::Shaped(shaped) => shaped.pick(places, into),
        }
    }

    /// The place of a text, and goes to the codes.
    fn find(&self, reader: &mut ByteReader<'b>, text: &[u8]) -> Result<Option<u32>, DecodeError> {
        let found = match &self.values {
            Values::Texts(_) => {
                let mut texts = TextList::default();
                texts.decode(reader, self.distinct)?;
                texts.iter().position(|known| known == text)
            }
            Values::Ids { form, width, bytes } => find_id((*form, *width), bytes, text),
            Values::Shaped(shaped) => shaped.find(text)?,
        };
        Ok(found.map(|place| place as u32))
    }
}

/// Appends the texts of identifiers.
fn expand(form: IdForm, (width, bytes): (usize, &[u8]), count: usize, into: &mut TextList) {
    let start = into.bytes.len();
    let length = form.text_length(width);
    match form {
        IdForm::Hex => form.append(bytes, &mut into.bytes),
        IdForm::Uuid => bytes.chunks_exact(width).for_each(|id| form.append(id, &mut into.bytes)),
    }
    into.ends.extend((1..=count).map(|place| (start + place * length) as u32));
}

/// The place of a text among identifiers.
fn find_id((form, width): (IdForm, usize), bytes: &[u8], text: &[u8]) -> Option<usize> {
    let is_of_form = match form {
        IdForm::Hex => is_hex(text),
        IdForm::Uuid => is_uuid(text),
    };
    if !is_of_form || text.len() != form.text_length(width) || width == 0 {
        return None;
    }
    let mut id = Vec::with_capacity(width);
    form.append_bytes(text, &mut id);
    bytes.chunks_exact(width).position(|known| *known == *id)
}

/// Whether every row has a text, and how many codes there are.
fn read_shift(reader: &mut ByteReader<'_>, distinct: usize) -> Result<(u32, u32), DecodeError> {
    let wrong = reader.value_error("a column that is neither full nor has gaps");
    match reader.u8()? {
        0 => Ok((0, distinct as u32 + 1)),
        1 => Ok((1, distinct as u32)),
        _ => Err(wrong),
    }
}

fn unshift(codes: &mut [u32], shift: u32) {
    if shift == 0 {
        codes.iter_mut().for_each(|code| *code = code.wrapping_sub(1));
    }
}

/// Numbers the codes that occur without gaps, and returns these in rising order.
fn renumber(codes: &mut [u32], distinct: usize) -> Vec<u32> {
    // With a place for each code there is nothing to sort or to look for.
    if distinct <= codes.len() * 4 {
        let mut numbers = vec![ABSENT; distinct];
        let present = || codes.iter().filter(|code| **code != ABSENT);
        present().for_each(|code| numbers[*code as usize] = 0);
        let occurs = |code: &u32| numbers[*code as usize] != ABSENT;
        let places: Vec<u32> = (0..distinct as u32).filter(occurs).collect();
        (0..).zip(&places).for_each(|(number, code)| numbers[*code as usize] = number);
        let present = codes.iter_mut().filter(|code| **code != ABSENT);
        present.for_each(|code| *code = numbers[*code as usize]);
        return places;
    }
    let mut places: Vec<u32> = codes.iter().copied().filter(|code| *code != ABSENT).collect();
    places.sort_unstable();
    places.dedup();
    for code in codes.iter_mut().filter(|code| **code != ABSENT) {
        *code = places.partition_point(|place| *place < *code) as u32;
    }
    places
}

impl TextColumn {
    /// Reads a column of `rows` rows.
    pub fn decode(&mut self, reader: &mut ByteReader<'_>, rows: usize) -> Result<(), DecodeError> {
        self.values.clear();
        self.codes.clear();
        let distinct = self.decode_values(reader, rows)?;
        let (shift, codes) = read_shift(reader, distinct as usize)?;
        decode_codes(reader, rows, codes, &mut self.codes)?;
        unshift(&mut self.codes, shift);
        Ok(())
    }

    /// Reads the distinct texts alone.
    pub fn decode_values(
        &mut self,
        reader: &mut ByteReader<'_>,
        rows: usize,
    ) -> Result<u32, DecodeError> {
        let head = Head::read(reader, rows)?;
        head.decode(reader, &mut self.values)?;
        Ok(head.distinct as u32)
    }

    /// Reads some rows, at rising places, of a column of `rows` rows: their texts and no others.
    pub fn decode_some(
        &mut self,
        reader: &mut ByteReader<'_>,
        rows: usize,
        wanted: &[u32],
    ) -> Result<(), DecodeError> {
        self.values.clear();
        self.codes.clear();
        let head = Head::read(reader, rows)?;
        if let Values::Texts(_) = head.values {
            skip_texts(reader, head.distinct)?;
        }
        let (shift, codes) = read_shift(reader, head.distinct)?;
        pick_codes(reader, (rows, codes), wanted, &mut self.codes)?;
        unshift(&mut self.codes, shift);
        let places = renumber(&mut self.codes, head.distinct);
        head.pick(&places, &mut self.values)
    }

    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let code = *self.codes.get(row)?;
        (code != ABSENT).then(|| self.values.get(code as usize))
    }
}

fn skip_texts(reader: &mut ByteReader<'_>, count: usize) -> Result<(), DecodeError> {
    TextList::default().pick(reader, count, &[])
}

/// Calls `each` with the ranges of rows that have a text, in a column of `rows` rows.
pub fn rows_with_text(
    reader: &mut ByteReader<'_>,
    rows: usize,
    text: &[u8],
    each: impl FnMut(Range<usize>),
) -> Result<(), DecodeError> {
    let head = Head::read(reader, rows)?;
    let Some(place) = head.find(reader, text)? else { return Ok(()) };
    let (shift, codes) = read_shift(reader, head.distinct)?;
    rows_with_code(reader, (rows, codes), place + 1 - shift, each)
}

/// A column of identifiers, each of which is kept as bytes.
#[derive(Clone, Debug)]
pub struct IdColumn {
    form: IdForm,
    width: usize,
    bytes: Vec<u8>,
    /// For each row the place of its identifier.
    pub codes: Vec<u32>,
}

impl IdColumn {
    /// Reads a column of `rows` rows that holds nothing but identifiers.
    pub fn decode(reader: &mut ByteReader<'_>, rows: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("not a column of identifiers");
        let head = Head::read(reader, rows)?;
        let Values::Ids { form, width, bytes } = head.values else { return Err(wrong) };
        let (shift, distinct) = read_shift(reader, head.distinct)?;
        if shift == 0 {
            return Err(wrong);
        }
        let mut column = Self { form, width, bytes: bytes.to_vec(), codes: Vec::new() };
        decode_codes(reader, rows, distinct, &mut column.codes)?;
        Ok(column)
    }

    /// How long each text is.
    pub fn length(&self) -> usize {
        self.form.text_length(self.width)
    }

    /// Appends the text of a row.
    #[inline]
    pub fn append(&self, row: usize, into: &mut Vec<u8>) {
        let start = self.codes[row] as usize * self.width;
        self.form.append(&self.bytes[start..start + self.width], into);
    }

    /// The distinct texts.
    pub fn values(&self) -> TextList {
        let mut texts = TextList::default();
        let count = self.bytes.len().checked_div(self.width).unwrap_or_default();
        expand(self.form, (self.width, &self.bytes), count, &mut texts);
        texts
    }

    /// The place of a text among the distinct ones.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        find_id((self.form, self.width), &self.bytes, text).map(|place| place as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(rows: &[Option<String>]) {
        let mut builder = TextColumnBuilder::default();
        for (row, text) in rows.iter().enumerate() {
            if let Some(text) = text {
                builder.set(row, text.as_bytes());
            }
        }
        let mut writer = ByteWriter::default();
        builder.encode(rows.len(), &mut writer);
        let mut reader = ByteReader::new(&writer.bytes);
        let mut column = TextColumn::default();
        column.decode(&mut reader, rows.len()).unwrap();
        reader.finish().unwrap();
        for (row, text) in rows.iter().enumerate() {
            assert_eq!(column.get(row), text.as_deref().map(str::as_bytes));
        }
        let wanted: Vec<u32> = (0..rows.len() as u32).filter(|row| row % 5 != 2).collect();
        let mut some = TextColumn::default();
        some.decode_some(&mut ByteReader::new(&writer.bytes), rows.len(), &wanted).unwrap();
        for (at, row) in wanted.iter().enumerate() {
            assert_eq!(some.get(at), column.get(*row as usize));
        }
        assert!((0..some.values.len() as u32).all(|value| some.codes.contains(&value)));
        for text in rows.iter().flatten().map(String::as_bytes).chain([&b"ab"[..], b"00112233"]) {
            let mut found = Vec::new();
            let mut reader = ByteReader::new(&writer.bytes);
            rows_with_text(&mut reader, rows.len(), text, |rows| found.extend(rows)).unwrap();
            let expected: Vec<usize> =
                (0..rows.len()).filter(|row| column.get(*row) == Some(text)).collect();
            assert_eq!(found, expected);
        }
        if let Ok(ids) = IdColumn::decode(&mut ByteReader::new(&writer.bytes), rows.len()) {
            assert_eq!(ids.values(), column.values);
            for (row, text) in rows.iter().enumerate() {
                let (mut back, text) = (Vec::new(), text.as_deref().map(str::as_bytes));
                ids.append(row, &mut back);
                assert_eq!(Some(&back[..]), text);
                assert_eq!(ids.find(&back), Some(ids.codes[row]));
            }
        }
    }

    proptest! {
        #[test]
        fn columns_come_back(
            texts in prop::collection::vec(prop::option::of("[a-c]{0,3}"), 0..100),
            ids in prop::collection::vec(prop::option::of("[0-9a-f]{16}"), 0..60),
            uuids in prop::collection::vec(
                prop::option::of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), 0..60,
            ),
        ) {
            round_trip(&uuids);
            round_trip(&uuids.iter().flatten().cloned().map(Some).collect::<Vec<_>>());
            round_trip(&texts);
            round_trip(&ids);
            round_trip(&ids.into_iter().flatten().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(bytes: Vec<u8>, rows in 0usize..200) {
            let mut column = TextColumn::default();
            let wanted: Vec<u32> = (0..rows as u32).step_by(3).collect();
            let _ = column.decode_some(&mut ByteReader::new(&bytes), rows, &wanted);
            let _ = rows_with_text(&mut ByteReader::new(&bytes), rows, b"a0a0a0a0", |_| {});
            if let Ok(ids) = IdColumn::decode(&mut ByteReader::new(&bytes), rows) {
                (0..rows).for_each(|row| ids.append(row, &mut Vec::new()));
            }
            if column.decode(&mut ByteReader::new(&bytes), rows).is_ok() {
                (0..rows).for_each(|row| { let _ = column.get(row); });
            }
        }
    }
}
