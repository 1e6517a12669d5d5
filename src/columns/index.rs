//! The index of identifiers: in which row groups of a part an identifier occurs.
//!
//! An identifier is known by a hash. The hashes, cut to a few bits more than tell them apart, are kept
//! in rising order with the number of a row group each, in pages that are found by their first hash. So
//! one page answers for any part, and about one of sixty-four absent identifiers leads to a row group in
//! vain.

use crate::{decode_codes, encode_codes};
use codec::{ByteReader, ByteWriter, DecodeError, xxh3_64};

/// How many bits are kept beyond those that tell the entries apart.
const SPARE_BITS: u32 = 6;

/// The entries of a page.
const PAGE_ENTRIES: usize = 4_096;

/// The hash by which an identifier is known: of its bytes, whatever column holds it.
pub fn hash_id(id: &[u8]) -> u64 {
    xxh3_64(id)
}

/// Collects the identifiers of a part. It holds all of them, which is most of what the merge of a large
/// part holds, so an entry takes 8 bytes.
#[derive(Debug, Default)]
pub struct IdIndexBuilder {
    /// The upper bits of a hash, and the row group below.
    entries: Vec<u64>,
}

/// The bits of a row group in an entry; a part has fewer pages than that.
const GROUP_BITS: u32 = 24;

fn group_of(entry: u64) -> u32 {
    entry as u32 & ((1 << GROUP_BITS) - 1)
}

/// How the hashes of an index are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdQuery {
    bits: u32,
}

impl IdIndexBuilder {
    /// The identifier occurs in the row group. An identifier may be added more than once.
    pub fn add(&mut self, hash: u64, group: u32) {
        debug_assert!(group >> GROUP_BITS == 0, "a part has fewer row groups");
        self.entries.push(hash >> GROUP_BITS << GROUP_BITS | u64::from(group));
    }

    pub fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    /// Hands out the pages, each with the first hash in it, in rising order. `None` without entries.
    pub fn finish<E>(
        mut self,
        mut page: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<Option<IdQuery>, E> {
        self.entries.sort_unstable();
        self.entries.dedup();
        if self.entries.is_empty() {
            return Ok(None);
        }
        let query = IdQuery { bits: bits_of(self.entries.len()) };
        self.entries.dedup_by_key(|entry| (query.cut(*entry), group_of(*entry)));
        let mut rest = &self.entries[..];
        while !rest.is_empty() {
            let (entries, later) = rest.split_at(page_length(rest, query));
            let mut writer = ByteWriter::default();
            write_page(entries, query, &mut writer);
            page(query.cut(entries[0]), &writer.bytes)?;
            rest = later;
        }
        Ok(Some(query))
    }
}

fn bits_of(entries: usize) -> u32 {
    (entries.ilog2() + 1 + SPARE_BITS).min(64 - GROUP_BITS)
}

/// A hash never begins in one page and goes on in the next.
fn page_length(rest: &[u64], query: IdQuery) -> usize {
    let mut length = PAGE_ENTRIES.min(rest.len());
    while length < rest.len() && query.cut(rest[length]) == query.cut(rest[length - 1]) {
        length += 1;
    }
    length
}

fn write_page(entries: &[u64], query: IdQuery, writer: &mut ByteWriter) {
    writer.varint(entries.len() as u64);
    let mut before = 0;
    for entry in entries {
        let hash = query.cut(*entry);
        writer.varint(hash - before);
        before = hash;
    }
    let groups: Vec<u32> = entries.iter().map(|entry| group_of(*entry)).collect();
    let distinct = groups.iter().max().map_or(1, |max| max + 1);
    writer.varint(u64::from(distinct));
    encode_codes(&groups, distinct, writer);
}

impl IdQuery {
    pub fn encode(self, writer: &mut ByteWriter) {
        writer.u8(self.bits as u8);
    }

    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let wrong =
            reader.value_error("an index of identifiers with hashes of no or too many bits");
        let bits = u32::from(reader.u8()?);
        if bits == 0 || bits > 63 { Err(wrong) } else { Ok(Self { bits }) }
    }

    /// The hash as the index holds it: pages are ordered by it.
    pub fn cut(self, hash: u64) -> u64 {
        hash >> (64 - self.bits)
    }
}

/// A page of the index.
#[derive(Clone, Debug, Default)]
pub struct IdPage {
    hashes: Vec<u64>,
    groups: Vec<u32>,
}

/// More entries than a page of this program has.
const ENTRIES_MAX: usize = 1 << 24;

impl IdPage {
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let count = reader.length(reader.remaining().min(ENTRIES_MAX))?;
        let mut page = Self::default();
        let mut hash = 0u64;
        for _ in 0..count {
            let wrong = reader.value_error("hashes of an index that do not rise");
            hash = hash.checked_add(reader.varint()?).ok_or(wrong)?;
            page.hashes.push(hash);
        }
        let distinct = reader.length(u32::MAX as usize)? as u32;
        decode_codes(reader, count, distinct, &mut page.groups)?;
        Ok(page)
    }

    /// The row groups in which the identifier with this hash, as the index holds it, may occur.
    pub fn groups(&self, cut: u64) -> &[u32] {
        let start = self.hashes.partition_point(|hash| *hash < cut);
        let end = self.hashes.partition_point(|hash| *hash <= cut);
        &self.groups[start..end]
    }

    pub fn memory(&self) -> usize {
        self.hashes.len() * size_of::<u64>() + self.groups.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn index(entries: &[(u64, u32)]) -> (Option<IdQuery>, Vec<(u64, Vec<u8>)>) {
        let mut builder = IdIndexBuilder::default();
        entries.iter().for_each(|(hash, group)| builder.add(*hash, *group));
        let mut pages = Vec::new();
        let query = builder.finish(|first, bytes| {
            pages.push((first, bytes.to_vec()));
            Ok::<_, Infallible>(())
        });
        (query.unwrap(), pages)
    }

    fn look_up(query: IdQuery, pages: &[(u64, Vec<u8>)], hash: u64) -> Vec<u32> {
        let cut = query.cut(hash);
        let Some(at) = pages.partition_point(|(first, _)| *first <= cut).checked_sub(1) else {
            return Vec::new();
        };
        let page = IdPage::decode(&mut ByteReader::new(&pages[at].1)).unwrap();
        page.groups(cut).to_vec()
    }

    proptest! {
        #[test]
        fn what_was_added_is_found(entries in prop::collection::vec((any::<u64>(), 0u32..300), 1..200)) {
            let (query, pages) = index(&entries);
            for (hash, group) in &entries {
                prop_assert!(look_up(query.unwrap(), &pages, *hash).contains(group));
            }
        }

        #[test]
        fn any_bytes_are_a_page_or_an_error(bytes: Vec<u8>) {
            if let Ok(page) = IdPage::decode(&mut ByteReader::new(&bytes)) {
                let _ = page.groups(5);
            }
        }
    }

    #[test]
    fn few_absent_identifiers_are_found() {
        let hash = |i: u32| hash_id(&i.to_le_bytes());
        let entries: Vec<(u64, u32)> = (0..40_000).map(|i| (hash(i), i % 100)).collect();
        let (query, pages) = index(&entries);
        assert!(pages.len() > 5);
        let found =
            (50_000..60_000).filter(|i| !look_up(query.unwrap(), &pages, hash(*i)).is_empty());
        assert!(found.count() < 10_000 / 32);
        assert!((0..40_000).all(|i| look_up(query.unwrap(), &pages, hash(i)).contains(&(i % 100))));
    }
}
