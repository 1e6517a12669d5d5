//! What is known of a part before any row group is read: its streams, and an overview of its row
//! groups. Kept decoded, because every query needs it.

use codec::{ByteReader, ByteWriter, DecodeError};
use columns::IdQuery;
use engine::Cache;
use model::{Labels, TimeRange, TimeUnit, Ulid};
use std::any::Any;
use std::sync::Arc;

/// A row group, as far as it matters for finding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupInfo {
    pub(crate) page: u32,
    pub(crate) rows: u32,
    /// Bytes of lines.
    pub(crate) bytes: u64,
    pub(crate) first_stream: u32,
    pub(crate) last_stream: u32,
    pub(crate) time: TimeRange,
}

#[derive(Debug, Default)]
pub(crate) struct PartIndex {
    pub(crate) streams: Vec<Labels>,
    pub(crate) groups: Vec<GroupInfo>,
    pub(crate) ids: Option<IdQuery>,
}

/// A page of labels holds about this many bytes.
pub(crate) const STREAMS_PAGE_BYTES: usize = 256 << 10;

/// The overview of a part: row groups, and how the index of identifiers is to be asked.
pub(crate) fn encode_overview(index: &PartIndex) -> Vec<u8> {
    let PartIndex { groups, ids, .. } = index;
    let mut writer = ByteWriter::default();
    writer.varint(groups.len() as u64);
    for group in groups {
        writer.varint(u64::from(group.page));
        writer.varint(u64::from(group.rows));
        writer.varint(group.bytes);
        writer.varint(u64::from(group.first_stream));
        writer.varint(u64::from(group.last_stream - group.first_stream));
        writer.varint_signed(group.time.min);
        writer.varint(group.time.max.wrapping_sub(group.time.min) as u64);
    }
    match ids {
        Some(ids) => ids.encode(&mut writer),
        None => writer.u8(0),
    }
    writer.bytes
}

/// Reads an overview; the streams are elsewhere.
pub(crate) fn decode_overview(bytes: &[u8]) -> Result<PartIndex, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let mut index = PartIndex::default();
    for _ in 0..reader.length(reader.remaining() / 7)? {
        index.groups.push(decode_group(&mut reader)?);
    }
    index.ids = match reader.clone().u8()? {
        0 => reader.u8().map(|_| None)?,
        _ => Some(IdQuery::decode(&mut reader)?),
    };
    reader.finish()?;
    Ok(index)
}

fn decode_group(reader: &mut ByteReader<'_>) -> Result<GroupInfo, DecodeError> {
    let wrong = reader.value_error("not a row group");
    let page = reader.length(u32::MAX as usize)? as u32;
    let rows = reader.length(u32::MAX as usize)? as u32;
    let bytes = reader.varint()?;
    let first_stream = reader.length(u32::MAX as usize)? as u32;
    let streams = reader.length((u32::MAX - first_stream) as usize)? as u32;
    let min = reader.varint_signed()?;
    let max = min.checked_add_unsigned(reader.varint()?).ok_or(wrong)?;
    let time = TimeUnit::Nanos.range(min, max).ok_or(wrong)?;
    let last_stream = first_stream + streams;
    Ok(GroupInfo { page, rows, bytes, first_stream, last_stream, time })
}

pub(crate) fn encode_streams(streams: &[Labels]) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    writer.varint(streams.len() as u64);
    streams.iter().for_each(|labels| writer.prefixed(labels.as_bytes()));
    writer.bytes
}

pub(crate) fn decode_streams(bytes: &[u8], streams: &mut Vec<Labels>) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    for _ in 0..reader.length(reader.remaining())? {
        let wrong = reader.value_error("labels that are not canonical");
        streams.push(Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?);
    }
    reader.finish()
}

impl PartIndex {
    pub(crate) fn memory(&self) -> usize {
        let labels = |labels: &Labels| labels.as_bytes().len() + 32;
        self.streams.iter().map(labels).sum::<usize>() + self.groups.len() * size_of::<GroupInfo>()
    }
}

/// What is cached of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    Index,
    Group(u32),
    Lines(u32),
    Ids(u32),
    Letters(u32),
}

/// Decoded pieces of parts, bounded by bytes.
#[derive(Debug)]
pub(crate) struct Caches(Cache<(Ulid, Piece)>);

impl Caches {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Cache::new(bytes))
    }

    pub(crate) fn get<V: Any + Send + Sync, E>(
        &self,
        part: Ulid,
        piece: Piece,
        load: impl FnOnce() -> Result<(V, usize), E>,
    ) -> Result<Arc<V>, E> {
        self.0.get_or_load(&(part, piece), load)
    }

    pub(crate) fn retain(&self, wanted: impl Fn(Ulid) -> bool) {
        self.0.retain(|(part, _)| wanted(*part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_groups_or_an_error(bytes: Vec<u8>) {
            let _ = (decode_overview(&bytes), decode_streams(&bytes, &mut Vec::new()));
        }

        #[test]
        fn groups_come_back(
            list in prop::collection::vec((any::<[u32; 3]>(), any::<u64>(), any::<i32>(), 0i64..1 << 40), 0..9),
        ) {
            let group = |(numbers, bytes, min, length): ([u32; 3], u64, i32, i64)| GroupInfo {
                page: numbers[0], rows: numbers[1], bytes,
                first_stream: numbers[2] / 2, last_stream: numbers[2],
                time: TimeUnit::Nanos.range(i64::from(min), i64::from(min) + length).unwrap(),
            };
            let groups: Vec<GroupInfo> = list.into_iter().map(group).collect();
            let index = PartIndex { groups, ..PartIndex::default() };
            let back = decode_overview(&encode_overview(&index)).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{index:?}"));
        }
    }
}
