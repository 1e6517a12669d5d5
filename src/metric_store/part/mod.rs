//! A part of metrics: what its pages hold. `docs/formats/metrics-part.md` draws the bytes.
//!
//! Lives here: kinds of pages, the directory of groups. `writer`: writes series in order into a
//! part. `reader`: reads one series of a part. `dictionary`, `names`, `columns`, `times`: some of
//! the kinds.
//! Not here: files and their checksums (`parts`), which parts to make (`flush`, `merge`).
//! Invariants: series are in the order of metric and labels; a group holds series of one metric;
//! every distinct time column is stored once.

mod columns;
mod dictionary;
mod names;
mod reader;
mod splitter;
mod times;
mod writer;

use crate::StoreError;
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{TimeRange, TimeUnit};
use parts::PartError;

pub(crate) use dictionary::{Dictionaries, Dictionary};
pub(crate) use names::GroupNames;
pub(crate) use reader::{Borrowed, Caches, MetricPart, PartScratch};
pub(crate) use splitter::PartSplitter;
use writer::PartBuilder;

/// The version of the pages' content.
pub(crate) const PART_SCHEMA: u16 = 2;

/// The most series of a group.
pub(crate) const GROUP_SERIES_MAX: u32 = 1 << 13;

/// Kinds of pages. The numbers are stored in files: never reuse one.
pub(crate) mod kind {
    pub(crate) const GROUPS: u16 = 1;
    pub(crate) const NAMES: u16 = 2;
    pub(crate) const COLUMNS: u16 = 3;
    pub(crate) const VALUES: u16 = 4;
    pub(crate) const TIMES: u16 = 5;
    pub(crate) const HISTOGRAMS: u16 = 6;
    pub(crate) const EXEMPLARS: u16 = 7;
    pub(crate) const METADATA: u16 = 8;
    pub(crate) const DICTIONARIES: u16 = 9;
}

/// Where a group's bytes of one kind are: in the n-th page of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) page: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// Some series of one metric, whose values share their tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupEntry {
    pub(crate) metric: String,
    pub(crate) series: u32,
    pub(crate) rows: u64,
    pub(crate) time: TimeRange,
    pub(crate) names: Place,
    pub(crate) columns: Place,
    pub(crate) values: Place,
    pub(crate) histograms: Place,
}

pub(crate) fn encode_groups(groups: &[GroupEntry]) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    writer.varint(groups.len() as u64);
    for group in groups {
        writer.text(&group.metric);
        writer.varint(u64::from(group.series));
        writer.varint(group.rows);
        writer.varint_signed(group.time.min);
        writer.varint(group.time.max.wrapping_sub(group.time.min) as u64);
        for place in [group.names, group.columns, group.values, group.histograms] {
            writer.varint(u64::from(place.page));
            writer.varint(u64::from(place.offset));
            writer.varint(u64::from(place.length));
        }
    }
    writer.bytes
}

pub(crate) fn decode_groups(bytes: &[u8], groups: &mut Vec<GroupEntry>) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let count = reader.length(bytes.len() / 17)?;
    for _ in 0..count {
        groups.push(decode_group(&mut reader)?);
    }
    reader.finish()
}

fn decode_group(reader: &mut ByteReader<'_>) -> Result<GroupEntry, DecodeError> {
    let metric = reader.text()?.to_owned();
    let series = reader.length(GROUP_SERIES_MAX as usize)? as u32;
    let rows = reader.varint()?;
    let wrong = reader.value_error("a group ends before it begins");
    let min = reader.varint_signed()?;
    let time =
        TimeUnit::Millis.range(min, min.wrapping_add_unsigned(reader.varint()?)).ok_or(wrong)?;
    let names = decode_place(reader)?;
    let columns = decode_place(reader)?;
    let values = decode_place(reader)?;
    let histograms = decode_place(reader)?;
    Ok(GroupEntry { metric, series, rows, time, names, columns, values, histograms })
}

fn decode_place(reader: &mut ByteReader<'_>) -> Result<Place, DecodeError> {
    let mut number = || Ok(reader.length(u32::MAX as usize)? as u32);
    Ok(Place { page: number()?, offset: number()?, length: number()? })
}

/// The error for bytes that can't be decoded although their checksum matches, which is damage too.
pub(crate) fn damaged(key: &str, error: DecodeError) -> StoreError {
    PartError::Corrupt { key: key.to_owned(), what: error.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_place() -> impl Strategy<Value = Place> {
        any::<(u32, u32, u32)>().prop_map(|(page, offset, length)| Place {
            page: page.min(u32::MAX - 1),
            offset,
            length,
        })
    }

    fn any_entry() -> impl Strategy<Value = GroupEntry> {
        let places = (any_place(), any_place(), any_place(), any_place());
        (".{0,9}", 0..=GROUP_SERIES_MAX, any::<u64>(), any::<(i64, i64)>(), places).prop_map(
            |(metric, series, rows, (one, other), places)| GroupEntry {
                metric,
                series,
                rows,
                time: TimeUnit::Millis.between(one, other),
                names: places.0,
                columns: places.1,
                values: places.2,
                histograms: places.3,
            },
        )
    }

    proptest! {
        #[test]
        fn directories_come_back(groups in prop::collection::vec(any_entry(), 0..9)) {
            let mut back = Vec::new();
            decode_groups(&encode_groups(&groups), &mut back).unwrap();
            prop_assert_eq!(back, groups);
        }

        #[test]
        fn any_bytes_are_a_directory_or_an_error(bytes: Vec<u8>) {
            let _ = decode_groups(&bytes, &mut Vec::new());
        }
    }
}
