//! What is known of a part before any row group is read: an overview of its row groups, and the traces
//! of which there are spans elsewhere. Kept decoded, because every query needs it.

use codec::{ByteReader, ByteWriter, DecodeError};
use columns::IdQuery;
use engine::Cache;
use model::{TimeRange, TimeUnit, Ulid};
use std::any::Any;
use std::sync::Arc;

/// A row group, as far as it matters for finding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupInfo {
    pub(crate) page: u32,
    pub(crate) rows: u32,
    /// The bytes of its pages.
    pub(crate) bytes: u64,
    /// From the first start to the last end of its spans.
    pub(crate) time: TimeRange,
}

#[derive(Debug, Default)]
pub(crate) struct PartIndex {
    pub(crate) groups: Vec<GroupInfo>,
    pub(crate) ids: Option<IdQuery>,
    /// Sorted.
    pub(crate) fragments: Vec<[u8; 16]>,
}

pub(super) fn encode_overview(index: &PartIndex) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    writer.varint(index.groups.len() as u64);
    for group in &index.groups {
        writer.varint(u64::from(group.page));
        writer.varint(u64::from(group.rows));
        writer.varint(group.bytes);
        writer.varint_signed(group.time.min);
        writer.varint(group.time.max.wrapping_sub(group.time.min) as u64);
    }
    writer.u8(u8::from(index.ids.is_some()));
    if let Some(ids) = index.ids {
        ids.encode(&mut writer);
    }
    writer.bytes
}

pub(super) fn decode_overview(bytes: &[u8]) -> Result<PartIndex, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let mut index = PartIndex::default();
    for _ in 0..reader.length(reader.remaining())? {
        let wrong = reader.value_error("a row group whose time ends before it begins");
        let (page, rows) = (number(&mut reader)?, number(&mut reader)?);
        let (bytes, min) = (reader.varint()?, reader.varint_signed()?);
        let max = min.wrapping_add(reader.varint()? as i64);
        let time = TimeUnit::Nanos.range(min, max).ok_or(wrong)?;
        index.groups.push(GroupInfo { page, rows, bytes, time });
    }
    if reader.u8()? == 1 {
        index.ids = Some(IdQuery::decode(&mut reader)?);
    }
    reader.finish()?;
    Ok(index)
}

fn number(reader: &mut ByteReader<'_>) -> Result<u32, DecodeError> {
    Ok(reader.length(u32::MAX as usize)? as u32)
}

pub(super) fn encode_fragments(ids: &[[u8; 16]]) -> Vec<u8> {
    ids.concat()
}

pub(super) fn decode_fragments(bytes: &[u8]) -> Result<Vec<[u8; 16]>, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let wrong = reader.value_error("trace ids that are not in order");
    let mut ids: Vec<[u8; 16]> = Vec::with_capacity(bytes.len() / 16);
    while !reader.is_empty() {
        let id = reader.array()?;
        if ids.last().is_some_and(|last| *last >= id) {
            return Err(wrong);
        }
        ids.push(id);
    }
    Ok(ids)
}

impl PartIndex {
    pub(super) fn memory(&self) -> usize {
        self.groups.len() * size_of::<GroupInfo>() + self.fragments.len() * 16 + 64
    }
}

/// What is cached of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cached {
    Index,
    Group(u32),
    Ids(u32),
    /// The traces of a row group, by its page.
    Traces(u32),
    Rollup(u32),
    Entries(u32),
    /// What a row group counts, by the kind of its page.
    Measures(u16, u32),
}

/// Decoded pieces of parts, bounded by bytes.
#[derive(Debug)]
pub(crate) struct Caches(Cache<(Ulid, Cached)>);

impl Caches {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Cache::new(bytes))
    }

    pub(super) fn get<V: Any + Send + Sync, E>(
        &self,
        part: Ulid,
        piece: Cached,
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
        fn any_bytes_are_an_overview_or_an_error(bytes: Vec<u8>) {
            let _ = (decode_overview(&bytes), decode_fragments(&bytes));
        }

        #[test]
        fn overviews_come_back(
            list in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u64>(), any::<i32>(), 0i64..1 << 40), 0..9),
        ) {
            let group = |(page, rows, bytes, min, length): (u32, u32, u64, i32, i64)| GroupInfo {
                page, rows, bytes,
                time: TimeUnit::Nanos.range(i64::from(min), i64::from(min) + length).unwrap(),
            };
            let groups: Vec<GroupInfo> = list.into_iter().map(group).collect();
            let index = PartIndex { groups, ..PartIndex::default() };
            let back = decode_overview(&encode_overview(&index)).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{index:?}"));
        }
    }
}
