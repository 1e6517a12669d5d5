//! A column of texts as a dictionary with codes. A row may have no text.
//!
//! Texts that are all hexadecimal and of one length, such as trace ids, are stored as the bytes that
//! they stand for.

use crate::{Interner, TextList, decode_codes, encode_codes, hex_to_ids, ids_to_hex, is_hex};
use codec::{ByteReader, ByteWriter, DecodeError};

/// The code of a row without a text.
pub const ABSENT: u32 = u32::MAX;

const TEXTS: u8 = 0;
const IDS: u8 = 1;

/// From this many distinct texts on, a column of hexadecimal texts is one of identifiers: of few, the
/// texts compress well.
const IDS_MIN: usize = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    /// The distinct texts, in the order of their first row.
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

    /// Whether the texts are identifiers (see the module's header).
    pub fn holds_ids(&self) -> bool {
        let texts = self.values.texts();
        texts.len() >= IDS_MIN && are_ids(texts)
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
        match self.holds_ids() {
            true => {
                writer.u8(IDS);
                writer.varint(u64::from(texts.ends[0]) / 2);
                hex_to_ids(&texts.bytes, &mut writer.bytes);
            }
            false => {
                writer.u8(TEXTS);
                texts.encode(writer);
            }
        }
        let is_full = self.codes.iter().all(|code| *code != 0);
        writer.u8(u8::from(is_full));
        let shift = u32::from(is_full);
        self.codes.iter_mut().for_each(|code| *code -= shift);
        encode_codes(&self.codes, texts.len() as u32 + 1 - shift, writer);
        self.codes.iter_mut().for_each(|code| *code += shift);
    }
}

/// Whether all texts are identifiers of one length, of at least eight digits.
fn are_ids(texts: &TextList) -> bool {
    let length = texts.ends[0] as usize;
    let is_same = |index: usize| texts.get(index).len() == length;
    length >= 8 && is_hex(&texts.bytes) && length.is_multiple_of(2) && (1..texts.len()).all(is_same)
}

impl TextColumn {
    /// Reads a column of `rows` rows.
    pub fn decode(&mut self, reader: &mut ByteReader<'_>, rows: usize) -> Result<(), DecodeError> {
        self.values.clear();
        self.codes.clear();
        let distinct = self.decode_values(reader, rows)?;
        let wrong = reader.value_error("a column that is neither full nor has gaps");
        let shift = match reader.u8()? {
            0 => 0,
            1 => 1,
            _ => return Err(wrong),
        };
        decode_codes(reader, rows, distinct + 1 - shift, &mut self.codes)?;
        if shift == 0 {
            self.codes.iter_mut().for_each(|code| *code = code.wrapping_sub(1));
        }
        Ok(())
    }

    /// Reads the distinct texts alone.
    pub fn decode_values(
        &mut self,
        reader: &mut ByteReader<'_>,
        rows: usize,
    ) -> Result<u32, DecodeError> {
        let distinct = reader.length(rows)?;
        let wrong = reader.value_error("not a column of texts");
        match reader.u8()? {
            TEXTS => self.values.decode(reader, distinct)?,
            IDS => {
                let length = reader.length(reader.remaining())?;
                let bytes = length.checked_mul(distinct).filter(|b| *b <= reader.remaining());
                let ids = reader.bytes(bytes.ok_or(wrong)?)?;
                ids_to_hex(ids, &mut self.values.bytes);
                self.values.ends.extend((1..=distinct).map(|i| (i * length * 2) as u32));
            }
            _ => return Err(wrong),
        }
        Ok(distinct as u32)
    }

    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let code = *self.codes.get(row)?;
        (code != ABSENT).then(|| self.values.get(code as usize))
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
    }

    proptest! {
        #[test]
        fn columns_come_back(
            texts in prop::collection::vec(prop::option::of("[a-c]{0,3}"), 0..100),
            ids in prop::collection::vec(prop::option::of("[0-9a-f]{16}"), 0..60),
        ) {
            round_trip(&texts);
            round_trip(&ids);
            round_trip(&ids.into_iter().flatten().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(bytes: Vec<u8>, rows in 0usize..200) {
            let mut column = TextColumn::default();
            if column.decode(&mut ByteReader::new(&bytes), rows).is_ok() {
                (0..rows).for_each(|row| { let _ = column.get(row); });
            }
        }
    }
}
