//! Columns of attributes, to bytes and back.

use super::fixed::Wanted;
use crate::column::{Dense, DenseValues};
use crate::keys::ValueKind;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{
    ABSENT, RowSet, TextColumn, TextColumnBuilder, TextList, encode_codes, encode_numbers,
    rows_with_text,
};

/// Writes columns, and keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(super) struct ColumnWriter {
    texts: TextColumnBuilder,
    /// For each text of the block its number in the column + 1, or 0.
    numbers: Vec<u32>,
    values: Vec<u64>,
}

impl ColumnWriter {
    /// Writes the values of a column, without the rows that have them; texts stand in `texts` by their
    /// number.
    pub(super) fn encode(
        &mut self,
        kind: ValueKind,
        values: &[u64],
        texts: &TextList,
        level: usize,
        writer: &mut ByteWriter,
    ) {
        match kind {
            ValueKind::Text | ValueKind::Other => self.encode_texts(values, texts, writer),
            ValueKind::Bool => {
                let codes: Vec<u32> = values.iter().map(|value| *value as u32).collect();
                encode_codes(&codes, 2, writer);
            }
            ValueKind::Int => {
                self.values.clear();
                self.values.extend(values.iter().map(|value| value ^ SIGN));
                encode_numbers(&self.values, level, writer);
            }
            ValueKind::Double => encode_numbers(values, level, writer),
        }
    }

    pub(super) fn encode_texts(
        &mut self,
        values: &[u64],
        texts: &TextList,
        writer: &mut ByteWriter,
    ) {
        self.texts.clear();
        self.numbers.clear();
        self.numbers.resize(texts.len(), 0);
        for (row, number) in values.iter().enumerate() {
            let known = &mut self.numbers[*number as usize];
            if *known == 0 {
                *known = self.texts.number(texts.get(*number as usize)) + 1;
            }
            self.texts.set_number(row, *known - 1);
        }
        self.texts.encode(values.len(), writer);
    }
}

/// Whole numbers are written with this bit changed, so that small ones of either sign are near each
/// other.
const SIGN: u64 = 1 << 63;

const BITMAP: u8 = 0;
const LIST: u8 = 1;

/// Of fewer rows than one in so many, the rows themselves are written.
const SPARSE: usize = 16;

/// Writes which of `count` rows have a value.
pub(super) fn encode_rows(rows: &[u32], count: usize, writer: &mut ByteWriter) {
    if rows.len() * SPARSE >= count {
        writer.u8(BITMAP);
        let mut bits = vec![0u8; count.div_ceil(8)];
        rows.iter().for_each(|row| bits[*row as usize / 8] |= 1 << (row % 8));
        return writer.raw(&bits);
    }
    writer.u8(LIST);
    writer.varint(rows.len() as u64);
    let mut before = 0;
    for row in rows {
        writer.varint(u64::from(row - before));
        before = *row;
    }
}

pub(super) fn decode_rows(
    reader: &mut ByteReader<'_>,
    count: usize,
) -> Result<RowSet, DecodeError> {
    let wrong = reader.value_error("not a set of rows");
    match reader.u8()? {
        BITMAP => Ok(RowSet::of_bits(reader.bytes(count.div_ceil(8))?, count)),
        LIST => {
            let (mut set, mut row) = (RowSet::none(count), 0u64);
            for _ in 0..reader.length(count)? {
                row = row.checked_add(reader.varint()?).ok_or(wrong)?;
                if row >= count as u64 {
                    return Err(wrong);
                }
                set.insert(row as usize);
            }
            Ok(set)
        }
        _ => Err(wrong),
    }
}

/// Reads the wanted rows of a column, of which `present` have a value; `None`: all.
pub(super) fn decode_column(
    kind: ValueKind,
    reader: &mut ByteReader<'_>,
    present: Option<&RowSet>,
    wanted: &Wanted,
) -> Result<Dense, DecodeError> {
    let (rows, wanted) = match (present, wanted.rows()) {
        (None, _) => (None, wanted.clone()),
        (Some(present), None) => (Some(present.clone()), Wanted::all(present.len())),
        (Some(present), Some(rows)) => {
            let (of, places) = among(present, rows);
            (Some(of), Wanted::some(present.len(), places))
        }
    };
    let values = match kind {
        ValueKind::Text => DenseValues::Text(read_texts(reader, &wanted)?),
        ValueKind::Other => DenseValues::Other(read_texts(reader, &wanted)?),
        ValueKind::Bool => {
            let codes = wanted.codes(reader, 2)?;
            DenseValues::Bool(codes.iter().map(|code| *code == 1).collect())
        }
        ValueKind::Int => {
            let numbers = wanted.numbers(reader)?;
            DenseValues::Int(numbers.iter().map(|bits| (bits ^ SIGN) as i64).collect())
        }
        ValueKind::Double => {
            let numbers = wanted.numbers(reader)?;
            DenseValues::Double(numbers.iter().map(|bits| f64::from_bits(*bits)).collect())
        }
    };
    Ok(Dense { rows, values })
}

/// Which of some rising rows are in a set, and at which places of the set.
fn among(set: &RowSet, rows: &[u32]) -> (RowSet, Vec<u32>) {
    let (mut found, mut places) = (RowSet::none(rows.len()), Vec::new());
    let (mut counted, mut place) = (0, 0);
    for (index, row) in rows.iter().map(|row| *row as usize).enumerate() {
        if set.contains(row) {
            place += set.count(counted..row);
            counted = row;
            found.insert(index);
            places.push(place as u32);
        }
    }
    (found, places)
}

/// Reads a column in which every value is a text.
fn read_texts(reader: &mut ByteReader<'_>, wanted: &Wanted) -> Result<TextColumn, DecodeError> {
    let wrong = reader.value_error("a value that is not there");
    let mut column = TextColumn::default();
    match wanted.rows() {
        None => column.decode(reader, wanted.count)?,
        Some(rows) => column.decode_some(reader, wanted.count, rows)?,
    }
    if column.codes.contains(&ABSENT) { Err(wrong) } else { Ok(column) }
}

/// The rows of a column of texts that have a text; of all rows `present` have a value, `None`: all.
pub(super) fn rows_with(
    text: &[u8],
    reader: &mut ByteReader<'_>,
    present: Option<&RowSet>,
    rows: usize,
) -> Result<RowSet, DecodeError> {
    let mut found = RowSet::none(rows);
    let count = present.map_or(rows, RowSet::len);
    let mut places: Vec<usize> = Vec::new();
    rows_with_text(reader, count, text, |range| match present {
        None => found.insert_range(range),
        Some(_) => places.extend(range),
    })?;
    if let Some(present) = present.filter(|_| !places.is_empty()) {
        // Both rise.
        let mut places = places.into_iter().peekable();
        for (place, row) in present.iter().enumerate() {
            if places.next_if_eq(&place).is_some() {
                found.insert(row);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, Numbered};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn kinds() -> impl Strategy<Value = ValueKind> {
        (0u8..5).prop_map(|code| ValueKind::from_code(code).unwrap_or(ValueKind::Text))
    }

    fn shown(column: &Column, row: usize) -> String {
        if !column.has(row) {
            return "none".to_owned();
        }
        match column {
            Column::Text(texts) | Column::Other(texts) => format!("{:?}", texts.get(row)),
            Column::Int(values) => format!("{:?}", values.get(row)),
            Column::Double(values) => format!("{:?}", values.get(row).map(f64::to_bits)),
            Column::Bool(values) => format!("{:?}", values.get(row)),
        }
    }

    proptest! {
        #[test]
        fn columns_come_back(
            kind in kinds(),
            rows in prop::collection::vec(prop::option::of(any::<u64>()), 1..300),
            picked in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
        ) {
            let mut texts = TextList::default();
            (0..50u32).for_each(|i| texts.push(format!("text {i}").as_bytes()));
            let mut column = Numbered { rows: rows.len(), ..Numbered::default() };
            for (row, value) in rows.iter().enumerate() {
                let Some(value) = value else { continue };
                column.push(row, match kind {
                    ValueKind::Text | ValueKind::Other => value % 50,
                    ValueKind::Bool => value % 2,
                    ValueKind::Double => value & !(0x7ff << 52),
                    ValueKind::Int => *value,
                });
            }
            let (mut set, mut writer) = (ByteWriter::default(), ByteWriter::default());
            encode_rows(&column.of, rows.len(), &mut set);
            let present = decode_rows(&mut ByteReader::new(&set.bytes), rows.len()).unwrap();
            prop_assert_eq!(present.iter().map(|row| row as u32).collect::<Vec<_>>(), column.of.clone());
            ColumnWriter::default().encode(kind, &column.values, &texts, 4, &mut writer);
            let read = |wanted: &Wanted| {
                let reader = &mut ByteReader::new(&writer.bytes);
                decode_column(kind, reader, Some(&present), wanted).unwrap().spread(wanted.len())
            };
            if kind == ValueKind::Text {
                let reader = &mut ByteReader::new(&writer.bytes);
                let found = rows_with(b"text 7", reader, Some(&present), rows.len()).unwrap();
                let expected = |row: usize| rows[row].is_some_and(|value| value % 50 == 7);
                prop_assert_eq!(found, RowSet::of(rows.len(), expected));
            }
            let back = read(&Wanted::all(rows.len()));
            let expected = column.dense(kind, &texts).spread(rows.len());
            prop_assert_eq!(back.kind(), kind);
            for row in 0..rows.len() {
                prop_assert_eq!(shown(&back, row), shown(&expected, row));
            }
            let list: Vec<u32> = picked.iter().map(|row| row.index(rows.len()) as u32).collect();
            let list: Vec<u32> = BTreeSet::from_iter(list).into_iter().collect();
            let some = read(&Wanted::some(rows.len(), list.iter().copied()));
            for (place, row) in list.into_iter().enumerate() {
                prop_assert_eq!(shown(&some, place), shown(&expected, row as usize));
            }
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(kind in kinds(), bytes: Vec<u8>, rows in 0usize..200) {
            let reader = || ByteReader::new(&bytes);
            let _ = decode_column(kind, &mut reader(), None, &Wanted::all(rows));
            let present = decode_rows(&mut reader(), rows).unwrap_or(RowSet::of(rows, |row| row % 3 == 0));
            let _ = decode_column(kind, &mut reader(), Some(&present), &Wanted::all(rows));
        }
    }
}
