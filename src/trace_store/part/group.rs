//! What a row group records about itself: how many rows its tables have, and where its columns are.

use super::page;
use crate::keys::{ColumnKey, Table, ValueKind};
use codec::{ByteReader, ByteWriter, DecodeError};

/// Where a column of attributes is: the page, and the bytes within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ColumnPlace {
    pub(super) page: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
    /// The set of rows that have a value, counted from 1; 0: all rows.
    pub(super) rows: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub(super) rows: u32,
    pub(super) traces: u32,
    /// The rows of each table.
    pub(super) table_rows: [u32; 5],
    /// The pages of the columns that every span has.
    pub(super) fixed: [u32; page::FIXED_COUNT],
    /// The columns of each table, and where they are.
    pub(super) keys: [Vec<ColumnKey>; 5],
    pub(super) places: [Vec<ColumnPlace>; 5],
    /// Sets of rows of each table, which columns share.
    pub(super) row_sets: [Vec<ColumnPlace>; 5],
    /// The widths of slots, in nanoseconds, and the pages with their counts.
    pub(super) rollups: Vec<(u64, u32)>,
    /// The kinds of further pages, each once, and the pages.
    pub(super) extras: Vec<(u16, u32)>,
}

impl GroupHead {
    pub(super) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(u64::from(self.rows));
        writer.varint(u64::from(self.traces));
        let numbers = self.table_rows.iter().chain(&self.fixed);
        numbers.for_each(|number| writer.varint(u64::from(*number)));
        for (keys, places) in self.keys.iter().zip(&self.places) {
            writer.varint(keys.len() as u64);
            for (key, place) in keys.iter().zip(places) {
                writer.u8(key.kind as u8 * 2 + u8::from(key.is_intrinsic));
                writer.text(&key.name);
                place.encode(writer);
            }
        }
        for sets in &self.row_sets {
            writer.varint(sets.len() as u64);
            sets.iter().for_each(|place| place.encode(writer));
        }
        writer.varint(self.rollups.len() as u64);
        for (width_ns, page) in &self.rollups {
            writer.varint(*width_ns);
            writer.varint(u64::from(*page));
        }
        writer.varint(self.extras.len() as u64);
        for (kind, page) in &self.extras {
            writer.varint(u64::from(*kind));
            writer.varint(u64::from(*page));
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let mut head =
            Self { rows: number(&mut reader)?, traces: number(&mut reader)?, ..Self::default() };
        for place in head.table_rows.iter_mut().chain(&mut head.fixed) {
            *place = number(&mut reader)?;
        }
        for (keys, places) in head.keys.iter_mut().zip(&mut head.places) {
            for _ in 0..reader.length(reader.remaining())? {
                let wrong = reader.value_error("a column of an unknown type");
                let code = reader.u8()?;
                keys.push(ColumnKey {
                    is_intrinsic: code % 2 == 1,
                    kind: ValueKind::from_code(code / 2).ok_or(wrong)?,
                    name: reader.text()?.into(),
                });
                places.push(ColumnPlace::decode(&mut reader)?);
            }
        }
        for sets in &mut head.row_sets {
            for _ in 0..reader.length(reader.remaining())? {
                sets.push(ColumnPlace::decode(&mut reader)?);
            }
        }
        for _ in 0..reader.length(reader.remaining())? {
            head.rollups.push((reader.varint()?, number(&mut reader)?));
        }
        for _ in 0..reader.length(reader.remaining())? {
            let kind = reader.length(u16::MAX as usize)? as u16;
            head.extras.push((kind, number(&mut reader)?));
        }
        reader.finish()?;
        Ok(head)
    }

    pub(super) fn table(&self, table: Table) -> (&[ColumnKey], &[ColumnPlace]) {
        (&self.keys[table as usize], &self.places[table as usize])
    }

    /// The page of a kind of which a row group has at most one.
    pub(super) fn extra(&self, kind: u16) -> Option<u32> {
        self.extras.iter().find(|(known, _)| *known == kind).map(|(_, page)| *page)
    }

    pub(super) fn memory(&self) -> usize {
        let key =
            |key: &ColumnKey| key.name.len() + size_of::<ColumnKey>() + size_of::<ColumnPlace>();
        self.keys.iter().flatten().map(key).sum::<usize>() + size_of::<Self>()
    }
}

impl ColumnPlace {
    fn encode(&self, writer: &mut ByteWriter) {
        for number in [self.page, self.offset, self.length, self.rows] {
            writer.varint(u64::from(number));
        }
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let (page, offset) = (number(reader)?, number(reader)?);
        Ok(Self { page, offset, length: number(reader)?, rows: number(reader)? })
    }
}

fn number(reader: &mut ByteReader<'_>) -> Result<u32, DecodeError> {
    Ok(reader.length(u32::MAX as usize)? as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_come_back(
            rows: u32, traces: u32, table_rows: [u32; 5], page: u32,
            keys in prop::collection::vec((0usize..5, any::<bool>(), ".{0,9}", 0u8..5, any::<[u32; 4]>()), 0..9),
        ) {
            let fixed = [page; page::FIXED_COUNT];
            let mut head = GroupHead { rows, traces, table_rows, fixed, ..GroupHead::default() };
            for (table, is_intrinsic, name, kind, [page, offset, length, rows]) in keys {
                let kind = ValueKind::from_code(kind).unwrap();
                head.keys[table].push(ColumnKey { is_intrinsic, name: name.into(), kind });
                head.places[table].push(ColumnPlace { page, offset, length, rows });
                head.row_sets[table].push(ColumnPlace { page, offset, length, rows });
            }
            head.rollups.push((u64::from(rows), page));
            head.extras.push((rows as u16, page));
            let mut writer = ByteWriter::default();
            head.encode(&mut writer);
            prop_assert_eq!(GroupHead::decode(&writer.bytes), Ok(head));
        }

        #[test]
        fn any_bytes_are_a_head_or_an_error(bytes: Vec<u8>) {
            let _ = GroupHead::decode(&bytes);
        }
    }
}
