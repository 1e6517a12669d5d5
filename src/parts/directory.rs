//! The page directory: the offset, kind and compression of each page of a part. On disk it is a few
//! delta-coded columns, in memory a few flat arrays.

use crate::compression::Codec;
use codec::{ByteReader, ByteWriter, DecodeError};
use std::collections::BTreeMap;

/// The most pages of one part. Each takes at most 64 bytes of memory, so a directory stays below
/// 256 MiB.
pub const PAGES_MAX: usize = 4 << 20;

/// The most bytes of one page before compression. Checked before memory is allocated for a page.
pub const PAGE_RAW_MAX: usize = 64 << 20;

/// A stored length (1) and a checksum (4) are the least that the directory stores for a page.
const ENTRY_BYTES_MIN: usize = 5;

const KEYED: u8 = 0x80;

/// One page, as its directory describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEntry {
    /// What the page holds, as a number of the engine.
    pub kind: u16,
    /// A key of the engine. Either all pages of a kind have keys or none, and keys never decrease.
    pub key: Option<u64>,
    pub offset: u64,
    pub stored_length: u32,
    pub raw_length: u32,
    /// CRC32C of the stored bytes.
    pub crc: u32,
    pub(crate) codec: Codec,
}

impl PageEntry {
    /// `none`, `lz4` or `zstd`.
    pub fn codec_name(&self) -> &'static str {
        self.codec.as_str()
    }

    fn run(&self) -> (u16, u8) {
        (self.kind, self.codec as u8 | if self.key.is_some() { KEYED } else { 0 })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    kinds: Vec<u16>,
    codecs: Vec<Codec>,
    /// Page i lies at `offsets[i]..offsets[i + 1]`.
    offsets: Vec<u64>,
    raw_lengths: Vec<u32>,
    crcs: Vec<u32>,
    /// Empty if no page has a key.
    keys: Vec<u64>,
    /// Page numbers ordered by kind, and by number within a kind.
    by_kind: Vec<u32>,
    groups: Vec<KindGroup>,
}

/// The pages of one kind: `by_kind[start..end]`.
#[derive(Debug, PartialEq, Eq)]
struct KindGroup {
    kind: u16,
    keyed: bool,
    start: usize,
    end: usize,
}

impl Directory {
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn entry(&self, index: u32) -> Option<PageEntry> {
        let i = index as usize;
        let kind = *self.kinds.get(i)?;
        let keyed = self.group(kind).is_some_and(|group| group.keyed);
        Some(PageEntry {
            kind,
            key: keyed.then(|| self.keys[i]),
            offset: self.offsets[i],
            stored_length: (self.offsets[i + 1] - self.offsets[i]) as u32,
            raw_length: self.raw_lengths[i],
            crc: self.crcs[i],
            codec: self.codecs[i],
        })
    }

    /// The numbers of all pages of a kind, in rising order.
    pub(crate) fn pages_of(&self, kind: u16) -> &[u32] {
        self.group(kind).map_or(&[], |group| &self.by_kind[group.start..group.end])
    }

    /// The first page of the kind with this key.
    pub(crate) fn find(&self, kind: u16, key: u64) -> Option<u32> {
        let pages = self.group(kind).filter(|group| group.keyed).map(|_| self.pages_of(kind))?;
        let at = pages.partition_point(|page| self.keys[*page as usize] < key);
        pages.get(at).copied().filter(|page| self.keys[*page as usize] == key)
    }

    /// The last page of a kind whose key is not above this one.
    pub(crate) fn find_at_most(&self, kind: u16, key: u64) -> Option<u32> {
        let pages = self.group(kind).filter(|group| group.keyed).map(|_| self.pages_of(kind))?;
        let behind = pages.partition_point(|page| self.keys[*page as usize] <= key);
        behind.checked_sub(1).map(|at| pages[at])
    }

    fn group(&self, kind: u16) -> Option<&KindGroup> {
        let at = self.groups.binary_search_by_key(&kind, |group| group.kind).ok()?;
        Some(&self.groups[at])
    }

    /// Pages must fill `start..end` of the file without a gap.
    pub(crate) fn decode(bytes: &[u8], start: u64, end: u64) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let count = reader.length(PAGES_MAX.min(bytes.len() / ENTRY_BYTES_MIN))?;
        let (kinds, codecs, keyed) = decode_runs(&mut reader, count)?;
        let offsets = decode_offsets(&mut reader, count, start, end)?;
        let raw_lengths = decode_raw_lengths(&mut reader, &codecs, &offsets)?;
        let keys = decode_keys(&mut reader, &kinds, &keyed)?;
        let crcs = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
        let groups_error = reader.value_error("a kind has keys on some of its pages only");
        reader.finish()?;
        let (by_kind, groups) = group_by_kind(&kinds, &keyed).ok_or(groups_error)?;
        Ok(Self { kinds, codecs, offsets, raw_lengths, crcs, keys, by_kind, groups })
    }
}

/// The columns, in the order in which [`Directory::decode`] reads them.
pub(crate) fn encode(entries: &[PageEntry]) -> Vec<u8> {
    let mut writer = ByteWriter::with_capacity(entries.len() * 9 + 16);
    writer.varint(entries.len() as u64);
    for run in entries.chunk_by(|a, b| a.run() == b.run()) {
        let (kind, flags) = run[0].run();
        writer.varint(u64::from(kind));
        writer.u8(flags);
        writer.varint(run.len() as u64);
    }
    for entry in entries {
        writer.varint(u64::from(entry.stored_length));
    }
    for entry in entries.iter().filter(|entry| entry.codec != Codec::None) {
        writer.varint(u64::from(entry.raw_length));
    }
    let mut last_keys = BTreeMap::new();
    for (entry, key) in entries.iter().filter_map(|entry| Some((entry, entry.key?))) {
        let last = last_keys.insert(entry.kind, key).unwrap_or(0);
        writer.varint(key - last);
    }
    for entry in entries {
        writer.u32(entry.crc);
    }
    writer.bytes
}

type Runs = (Vec<u16>, Vec<Codec>, Vec<bool>);

fn decode_runs(reader: &mut ByteReader<'_>, count: usize) -> Result<Runs, DecodeError> {
    let mut kinds = Vec::with_capacity(count);
    let mut codecs = Vec::with_capacity(count);
    let mut keyed = Vec::with_capacity(count);
    while kinds.len() < count {
        let kind = reader.length(usize::from(u16::MAX))? as u16;
        let unknown = reader.value_error("unknown compression");
        let flags = reader.u8()?;
        let codec = Codec::from_code(flags & !KEYED).ok_or(unknown)?;
        let empty = reader.value_error("a run of no pages");
        let length = reader.length(count - kinds.len())?;
        if length == 0 {
            return Err(empty);
        }
        let reached = kinds.len() + length;
        kinds.resize(reached, kind);
        codecs.resize(reached, codec);
        keyed.resize(reached, flags & KEYED != 0);
    }
    Ok((kinds, codecs, keyed))
}

fn decode_offsets(
    reader: &mut ByteReader<'_>,
    count: usize,
    start: u64,
    end: u64,
) -> Result<Vec<u64>, DecodeError> {
    let mut offsets = Vec::with_capacity(count + 1);
    let mut offset = start;
    offsets.push(offset);
    for _ in 0..count {
        // Sums of lengths below 2^26 can't overflow: there are fewer than 2^23 of them.
        offset += reader.length(PAGE_RAW_MAX)? as u64;
        offsets.push(offset);
    }
    if offset != end {
        return Err(reader.value_error("pages do not end where the footer begins"));
    }
    Ok(offsets)
}

fn decode_raw_lengths(
    reader: &mut ByteReader<'_>,
    codecs: &[Codec],
    offsets: &[u64],
) -> Result<Vec<u32>, DecodeError> {
    let one = |(index, codec): (usize, &Codec)| match codec {
        Codec::None => Ok((offsets[index + 1] - offsets[index]) as u32),
        _ => Ok(reader.length(PAGE_RAW_MAX)? as u32),
    };
    codecs.iter().enumerate().map(one).collect()
}

fn decode_keys(
    reader: &mut ByteReader<'_>,
    kinds: &[u16],
    keyed: &[bool],
) -> Result<Vec<u64>, DecodeError> {
    if !keyed.contains(&true) {
        return Ok(Vec::new());
    }
    let mut last_keys = BTreeMap::new();
    let mut keys = vec![0; kinds.len()];
    for index in (0..kinds.len()).filter(|index| keyed[*index]) {
        let overflow = reader.value_error("a key over 64 bits");
        let last = last_keys.entry(kinds[index]).or_insert(0u64);
        *last = last.checked_add(reader.varint()?).ok_or(overflow)?;
        keys[index] = *last;
    }
    Ok(keys)
}

/// `None` where pages of one kind disagree about having keys.
fn group_by_kind(kinds: &[u16], keyed: &[bool]) -> Option<(Vec<u32>, Vec<KindGroup>)> {
    let mut by_kind: Vec<u32> = (0..kinds.len() as u32).collect();
    by_kind.sort_by_key(|page| kinds[*page as usize]);
    let mut groups = Vec::new();
    let mut start = 0;
    for pages in by_kind.chunk_by(|a, b| kinds[*a as usize] == kinds[*b as usize]) {
        let first = pages[0] as usize;
        if pages.iter().any(|page| keyed[*page as usize] != keyed[first]) {
            return None;
        }
        let end = start + pages.len();
        groups.push(KindGroup { kind: kinds[first], keyed: keyed[first], start, end });
        start = end;
    }
    Some((by_kind, groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Kinds below 4 have keys, which rise by small steps.
    fn entries(shapes: &[(u16, u8, u32, u32)]) -> Vec<PageEntry> {
        let mut offset = 16;
        let mut key = 0;
        let entry = |(kind, codec, stored, raw): &(u16, u8, u32, u32)| {
            let codec = Codec::from_code(*codec).unwrap();
            key += u64::from(raw % 3);
            let entry = PageEntry {
                kind: *kind,
                key: (*kind < 4).then_some(key),
                offset,
                stored_length: *stored,
                raw_length: if codec == Codec::None { *stored } else { *raw },
                crc: stored ^ raw,
                codec,
            };
            offset += u64::from(*stored);
            entry
        };
        shapes.iter().map(entry).collect()
    }

    fn decode(entries: &[PageEntry]) -> Directory {
        let end = entries.last().map_or(16, |last| last.offset + u64::from(last.stored_length));
        Directory::decode(&encode(entries), 16, end).unwrap()
    }

    proptest! {
        #[test]
        fn entries_come_back(
            shapes in prop::collection::vec((0u16..8, 0u8..3, 0u32..1 << 20, 0u32..1 << 26), 0..200)
        ) {
            let entries = entries(&shapes);
            let directory = decode(&entries);
            prop_assert_eq!(directory.len(), entries.len());
            for (index, entry) in entries.iter().enumerate() {
                prop_assert_eq!(directory.entry(index as u32), Some(*entry));
            }
            for kind in 0..8 {
                let expected: Vec<u32> =
                    (0..entries.len() as u32).filter(|i| entries[*i as usize].kind == kind).collect();
                prop_assert_eq!(directory.pages_of(kind), expected.as_slice());
                for key in 0..20 {
                    let expected = entries.iter().position(|e| e.kind == kind && e.key == Some(key));
                    prop_assert_eq!(directory.find(kind, key), expected.map(|i| i as u32));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_directory_or_an_error(bytes: Vec<u8>, end in 0u64..1_000) {
            if let Ok(directory) = Directory::decode(&bytes, 0, end) {
                prop_assert!(directory.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_directory_costs_few_bytes_per_page() {
        let shapes: Vec<_> = (0..50_000).map(|i| (1, 2, 100 + i % 100, 200 + i % 100)).collect();
        let bytes = encode(&entries(&shapes)).len();
        assert!(bytes < 50_000 * 9 + 20, "50,000 pages took {bytes} bytes");
    }
}
