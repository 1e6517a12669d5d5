//! Columns of attributes, to bytes and back.

use super::fixed::Wanted;
use crate::column::{Column, Numbered, Present};
use crate::keys::ValueKind;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{
    RowSet, TextColumn, TextColumnBuilder, TextList, decode_codes, encode_codes, encode_numbers,
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
    /// Writes a column; texts stand in `texts` by their number.
    pub(super) fn encode(
        &mut self,
        kind: ValueKind,
        column: &Numbered,
        texts: &TextList,
        level: usize,
        writer: &mut ByteWriter,
    ) {
        match kind {
            ValueKind::Text | ValueKind::Other => self.encode_texts(column, texts, writer),
            ValueKind::Bool => {
                write_presence(column, writer);
                let codes: Vec<u32> = column.values.iter().map(|value| *value as u32).collect();
                encode_codes(&codes, 2, writer);
            }
            ValueKind::Int => {
                write_presence(column, writer);
                self.values.clear();
                self.values.extend(column.values.iter().map(|value| order_int(*value as i64)));
                encode_numbers(&self.values, level, writer);
            }
            ValueKind::Double => {
                write_presence(column, writer);
                encode_numbers(&column.values, level, writer);
            }
        }
    }

    pub(super) fn encode_texts(
        &mut self,
        column: &Numbered,
        texts: &TextList,
        writer: &mut ByteWriter,
    ) {
        self.texts.clear();
        self.numbers.clear();
        self.numbers.resize(texts.len(), 0);
        for (row, number) in column.of.iter().zip(&column.values) {
            let known = &mut self.numbers[*number as usize];
            if *known == 0 {
                *known = self.texts.number(texts.get(*number as usize)) + 1;
            }
            self.texts.set_number(*row as usize, *known - 1);
        }
        self.texts.encode(column.rows, writer);
    }
}

/// Whole numbers so that small ones of either sign are near each other.
fn order_int(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// The rows that have a value.
fn write_presence(column: &Numbered, writer: &mut ByteWriter) {
    let is_full = column.of.len() == column.rows;
    writer.u8(u8::from(is_full));
    if !is_full {
        let mut bits = vec![0; column.rows];
        column.of.iter().for_each(|row| bits[*row as usize] = 1);
        encode_codes(&bits, 2, writer);
    }
}

fn read_presence(
    reader: &mut ByteReader<'_>,
    rows: usize,
) -> Result<(Option<RowSet>, usize), DecodeError> {
    let wrong = reader.value_error("a column that is neither full nor has gaps");
    match reader.u8()? {
        1 => Ok((None, rows)),
        0 => {
            let mut bits = Vec::new();
            decode_codes(reader, rows, 2, &mut bits)?;
            let present = RowSet::of(rows, |row| bits[row] == 1);
            let count = present.len();
            Ok((Some(present), count))
        }
        _ => Err(wrong),
    }
}

/// Reads the wanted rows of a column.
pub(super) fn decode_column(
    kind: ValueKind,
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
) -> Result<Column, DecodeError> {
    if kind.is_text() {
        let mut column = TextColumn::default();
        match wanted.is_all() {
            true => column.decode(reader, wanted.count)?,
            false => column.decode_some(reader, wanted.count, &wanted.list())?,
        }
        return Ok(match kind {
            ValueKind::Text => Column::Text(column),
            _ => Column::Other(column),
        });
    }
    let (present, count) = read_presence(reader, wanted.count)?;
    let (present, values) = match present {
        None => (None, wanted.clone()),
        Some(present) if wanted.is_all() => (Some(present), Wanted::all(count)),
        Some(present) => {
            let start = present.count(0..wanted.rows.start);
            let rows = start..start + present.count(wanted.rows.clone());
            let of = RowSet::of(wanted.rows.len(), |row| present.contains(wanted.rows.start + row));
            (Some(of), Wanted { count, rows })
        }
    };
    let rows = wanted.rows.len();
    Ok(match kind {
        ValueKind::Bool => {
            let codes = values.codes(reader, 2)?;
            let numbers: Vec<u64> = codes.iter().map(|code| u64::from(*code)).collect();
            Column::Bool(spread(present, &numbers, rows, |bits| bits == 1))
        }
        ValueKind::Int => {
            let numbers = values.numbers(reader)?;
            Column::Int(spread(present, &numbers, rows, |bits| (bits ^ 1 << 63) as i64))
        }
        _ => Column::Double(spread(present, &values.numbers(reader)?, rows, f64::from_bits)),
    })
}

/// Gives the values their rows.
fn spread<T: Copy + Default>(
    present: Option<RowSet>,
    numbers: &[u64],
    rows: usize,
    value: impl Fn(u64) -> T,
) -> Present<T> {
    let Some(present) = present else {
        return Present { values: numbers.iter().map(|bits| value(*bits)).collect(), rows: None };
    };
    let mut values = vec![T::default(); rows];
    for (row, bits) in present.iter().zip(numbers) {
        values[row] = value(*bits);
    }
    Present { values, rows: Some(present) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let mut writer = ByteWriter::default();
            ColumnWriter::default().encode(kind, &column, &texts, 4, &mut writer);
            let mut reader = ByteReader::new(&writer.bytes);
            let back = decode_column(kind, &mut reader, &Wanted::all(rows.len())).unwrap();
            reader.finish().unwrap();
            let expected = Column::of_numbers(kind, &column, &texts);
            prop_assert_eq!(back.kind(), kind);
            for row in 0..rows.len() {
                prop_assert_eq!(shown(&back, row), shown(&expected, row));
            }
            let range = rows.len() / 3..rows.len() * 2 / 3;
            let wanted = Wanted { count: rows.len(), rows: range.clone() };
            let some = decode_column(kind, &mut ByteReader::new(&writer.bytes), &wanted).unwrap();
            for row in range.clone() {
                prop_assert_eq!(shown(&some, row - range.start), shown(&expected, row));
            }
        }

        #[test]
        fn any_bytes_are_a_column_or_an_error(kind in kinds(), bytes: Vec<u8>, rows in 0usize..200) {
            let _ = decode_column(kind, &mut ByteReader::new(&bytes), &Wanted::all(rows));
        }
    }
}
