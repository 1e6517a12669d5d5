//! The columns that every span has, to bytes and back.
//!
//! A trace's place in the tree needs no ids: the depth of each span says it, for spans are in tree order.
//! Only a parent id that is not the parent's own is written.

use crate::block::Block;
use crate::piece::{ForeignParent, foreign_parents};
use crate::tree::{ORPHAN, ROOT};
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{Numbers, decode_codes, decode_numbers, encode_codes, encode_numbers, pick_codes};
use std::ops::Range;
use std::sync::Arc;

/// Which rows are read of a column of `count` rows.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) count: usize,
    /// They rise. `None`: all.
    rows: Option<Arc<[u32]>>,
}

impl Wanted {
    pub(super) fn all(count: usize) -> Self {
        Self { count, rows: None }
    }

    /// Rows in rising order, below `count`.
    pub(super) fn some(count: usize, rows: impl IntoIterator<Item = u32>) -> Self {
        Self { count, rows: Some(rows.into_iter().collect()) }
    }

    /// How many rows are wanted.
    pub(super) fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.count, |rows| rows.len())
    }

    /// The rows; `None`: all.
    pub(super) fn rows(&self) -> Option<&[u32]> {
        self.rows.as_deref()
    }

    /// The place of a row among those that are wanted.
    fn place_of(&self, row: u32) -> Option<u32> {
        match self.rows() {
            None => Some(row),
            Some(rows) => rows.binary_search(&row).ok().map(|place| place as u32),
        }
    }

    pub(super) fn codes(
        &self,
        reader: &mut ByteReader<'_>,
        distinct: u32,
    ) -> Result<Vec<u32>, DecodeError> {
        let mut codes = Vec::new();
        match self.rows() {
            None => decode_codes(reader, self.count, distinct, &mut codes)?,
            Some(rows) => pick_codes(reader, (self.count, distinct), rows, &mut codes)?,
        }
        Ok(codes)
    }

    pub(super) fn numbers(&self, reader: &mut ByteReader<'_>) -> Result<Vec<u64>, DecodeError> {
        let mut numbers = Vec::new();
        match self.rows() {
            None => decode_numbers(reader, self.count, &mut numbers)?,
            Some(rows) => Numbers::read(reader, self.count)?.pick(rows, &mut numbers)?,
        }
        Ok(numbers)
    }
}

/// Traces in the order of their start: ids, spans, times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceList {
    pub(crate) ids: Vec<[u8; 16]>,
    /// Behind the last span of each.
    pub(crate) ends: Vec<u32>,
    /// When the first span of each started.
    pub(crate) starts: Vec<u64>,
    /// From there to the end of the last span to end, in nanoseconds.
    pub(crate) durations: Vec<u64>,
}

impl TraceList {
    pub(crate) fn of(block: &Block) -> Self {
        let (starts, durations) = block.trace_times();
        let (ids, ends) = (block.trace_ids.clone(), block.trace_ends.clone());
        Self { ids, ends, starts, durations }
    }

    pub(super) fn memory(&self) -> usize {
        self.ids.len() * (16 + 4 + 8 + 8)
    }

    /// The rows of a trace.
    pub(super) fn rows(&self, trace: usize) -> Range<u32> {
        let start = if trace == 0 { 0 } else { self.ends[trace - 1] };
        start..self.ends[trace]
    }

    /// Some of the traces, whose numbers rise.
    pub(super) fn some(&self, traces: &[u32]) -> Self {
        let mut some = Self::default();
        let mut end = 0;
        for trace in traces.iter().map(|trace| *trace as usize) {
            end += self.rows(trace).len() as u32;
            some.ids.push(self.ids[trace]);
            some.ends.push(end);
            some.starts.push(self.starts[trace]);
            some.durations.push(self.durations[trace]);
        }
        some
    }

    pub(super) fn encode(&self, level: usize, writer: &mut ByteWriter) {
        self.ids.iter().for_each(|id| writer.raw(id));
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let counts: Vec<u64> =
            starts.zip(&self.ends).map(|(start, end)| u64::from(end - start)).collect();
        encode_numbers(&counts, level, writer);
        let mut before = 0u64;
        let rises: Vec<u64> = self
            .starts
            .iter()
            .map(|start| start.wrapping_sub(std::mem::replace(&mut before, *start)))
            .collect();
        encode_numbers(&rises, level, writer);
        encode_numbers(&self.durations, level, writer);
    }

    pub(super) fn decode(
        reader: &mut ByteReader<'_>,
        (traces, rows): (usize, usize),
    ) -> Result<Self, DecodeError> {
        let mut list = Self::default();
        let wrong = reader.value_error("traces that do not have the spans of the row group");
        let ids = reader.bytes(traces.checked_mul(16).ok_or(wrong)?)?;
        list.ids = ids.chunks_exact(16).map(|id| id.try_into().unwrap_or_default()).collect();
        let mut numbers = Vec::new();
        decode_numbers(reader, traces, &mut numbers)?;
        let mut end = 0u64;
        for count in numbers.drain(..) {
            end = end
                .checked_add(count)
                .filter(|end| *end <= rows as u64 && count > 0)
                .ok_or(wrong)?;
            list.ends.push(end as u32);
        }
        decode_numbers(reader, traces, &mut numbers)?;
        let mut start = 0u64;
        list.starts.extend(numbers.iter().map(|rise| {
            start = start.wrapping_add(*rise);
            start
        }));
        decode_numbers(reader, traces, &mut list.durations)?;
        if end == rows as u64 { Ok(list) } else { Err(wrong) }
    }
}

/// The depth of each span, and the parent ids that the tree does not tell.
pub(super) fn encode_tree(block: &Block, writer: &mut ByteWriter) {
    let mut depths: Vec<u32> = Vec::with_capacity(block.rows());
    for parent in &block.parents {
        depths.push(match *parent {
            ROOT | ORPHAN => 0,
            parent => depths[parent as usize] + 1,
        });
    }
    let foreign = foreign_parents(block);
    writer.varint(foreign.len() as u64);
    let mut before = 0;
    for (row, id) in foreign {
        writer.varint(u64::from(row - before));
        writer.raw(&id);
        before = row;
    }
    // Last, for single codes are read without going to their end.
    encode_small(&depths, writer);
}

/// The parents of the wanted spans, which are those of whole traces that end at `ends`, and the parent
/// ids that the tree does not tell. Rows count from the first wanted one, which is 0.
pub(super) fn decode_tree(
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
    ends: &[u32],
) -> Result<(Vec<u32>, Vec<ForeignParent>), DecodeError> {
    let foreign = read_foreign(reader, wanted)?;
    let depths = decode_small(reader, wanted)?;
    let wrong = reader.value_error("a tree that is none");
    let mut parents = Vec::with_capacity(depths.len());
    let (mut path, mut rest): (Vec<u32>, _) = (Vec::new(), &foreign[..]);
    for end in ends {
        path.clear();
        for row in parents.len() as u32..*end {
            let depth = depths[row as usize] as usize;
            let is_foreign = rest.first().is_some_and(|(of, _)| *of == row);
            rest = if is_foreign { &rest[1..] } else { rest };
            if depth > path.len() {
                return Err(wrong);
            }
            path.truncate(depth);
            parents.push(match path.last() {
                Some(parent) => *parent,
                None if is_foreign => ORPHAN,
                None => ROOT,
            });
            path.push(row);
        }
    }
    Ok((parents, foreign))
}

fn read_foreign(
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
) -> Result<Vec<ForeignParent>, DecodeError> {
    let wrong = reader.value_error("parent ids of spans that are not there");
    let mut foreign: Vec<ForeignParent> = Vec::new();
    let mut row = 0u64;
    for index in 0..reader.length(reader.remaining())? {
        let step = reader.varint()?;
        row = row.checked_add(step).filter(|row| *row < wanted.count as u64).ok_or(wrong)?;
        if index > 0 && step == 0 {
            return Err(wrong);
        }
        let id = reader.array()?;
        foreign.extend(wanted.place_of(row as u32).map(|place| (place, id)));
    }
    Ok(foreign)
}

pub(super) fn zigzag(value: u64) -> u64 {
    let value = value as i64;
    (value << 1 ^ value >> 63) as u64
}

pub(super) fn unzigzag(value: u64) -> u64 {
    value >> 1 ^ (value & 1).wrapping_neg()
}

/// Each span's start, from that of its parent, or from that of the trace.
pub(super) fn encode_starts(
    block: &Block,
    list: &TraceList,
    level: usize,
    writer: &mut ByteWriter,
) {
    let starts = &block.spans.starts;
    let mut offsets = Vec::with_capacity(block.rows());
    for (rows, trace_start) in block.traces().zip(&list.starts) {
        offsets.extend(rows.map(|row| {
            let from = match block.parents[row] {
                ROOT | ORPHAN => *trace_start,
                parent => starts[parent as usize],
            };
            zigzag(starts[row].wrapping_sub(from))
        }));
    }
    encode_numbers(&offsets, level, writer);
}

/// The starts of the wanted spans, which are those of whole traces that end at `ends`.
pub(super) fn decode_starts(
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
    (ends, trace_starts): (&[u32], &[u64]),
    parents: &[u32],
) -> Result<Vec<u64>, DecodeError> {
    let mut starts = wanted.numbers(reader)?;
    let mut row = 0;
    for (end, trace_start) in ends.iter().zip(trace_starts) {
        while row < *end as usize {
            let from = match parents[row] {
                ROOT | ORPHAN => *trace_start,
                parent => starts[parent as usize],
            };
            starts[row] = from.wrapping_add(unzigzag(starts[row]));
            row += 1;
        }
    }
    Ok(starts)
}

/// Small numbers, of which many are equal.
pub(super) fn encode_small(numbers: &[u32], writer: &mut ByteWriter) {
    let distinct = numbers.iter().max().map_or(0, |most| most + 1);
    writer.varint(u64::from(distinct));
    encode_codes(numbers, distinct, writer);
}

pub(super) fn decode_small(
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
) -> Result<Vec<u32>, DecodeError> {
    let distinct = reader.length(u32::MAX as usize)? as u32;
    wanted.codes(reader, distinct)
}

/// Small numbers below a limit.
pub(super) fn decode_below(
    reader: &mut ByteReader<'_>,
    wanted: &Wanted,
    limit: u32,
) -> Result<Vec<u32>, DecodeError> {
    let wrong = reader.value_error("a number that is too high");
    let numbers = decode_small(reader, wanted)?;
    if numbers.iter().all(|number| *number < limit) { Ok(numbers) } else { Err(wrong) }
}

/// The ends of lists, as their lengths.
pub(super) fn encode_ends(ends: &[u32], writer: &mut ByteWriter) {
    let starts = [0].into_iter().chain(ends.iter().copied());
    let counts: Vec<u32> = starts.zip(ends).map(|(start, end)| end - start).collect();
    encode_small(&counts, writer);
}

pub(super) fn decode_ends(
    reader: &mut ByteReader<'_>,
    count: usize,
    last: usize,
) -> Result<Vec<u32>, DecodeError> {
    let wrong = reader.value_error("lists that are longer than their table");
    let mut ends = decode_small(reader, &Wanted::all(count))?;
    let mut end = 0u32;
    for length in &mut ends {
        end = end.checked_add(*length).ok_or(wrong)?;
        *length = end;
    }
    if end as usize == last { Ok(ends) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockBuilder;
    use crate::spans::tests::any_spans;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn trees_and_starts_come_back(spans in any_spans()) {
            let block = BlockBuilder::ordered(&[&spans]);
            let list = TraceList::of(&block);
            let mut writers = [ByteWriter::default(), ByteWriter::default(), ByteWriter::default()];
            let [traces, tree, starts] = &mut writers;
            list.encode(4, traces);
            encode_tree(&block, tree);
            encode_starts(&block, &list, 4, starts);
            let rows = block.rows();
            let back =
                TraceList::decode(&mut ByteReader::new(&traces.bytes), (list.ids.len(), rows));
            prop_assert_eq!(back, Ok(list.clone()));
            let mut first = 0;
            // All at once, and each trace by itself.
            let single = list.ends.iter().zip(&list.starts).map(|(end, start)| {
                let range = std::mem::replace(&mut first, *end as usize)..*end as usize;
                (range.clone(), vec![range.len() as u32], vec![*start])
            });
            let all = (0..rows, list.ends.clone(), list.starts.clone());
            for (range, ends, trace_starts) in single.chain([all]).collect::<Vec<_>>() {
                let wanted = Wanted::some(rows, range.start as u32..range.end as u32);
                let (parents, foreign) =
                    decode_tree(&mut ByteReader::new(&tree.bytes), &wanted, &ends).unwrap();
                let shift = |parent: &u32| if *parent < ORPHAN { parent + range.start as u32 } else { *parent };
                let shifted: Vec<u32> = parents.iter().map(shift).collect();
                prop_assert_eq!(&shifted[..], &block.parents[range.clone()]);
                let expected: Vec<ForeignParent> = foreign_parents(&block).into_iter()
                    .filter(|(row, _)| range.contains(&(*row as usize)))
                    .map(|(row, id)| (row - range.start as u32, id)).collect();
                prop_assert_eq!(foreign, expected);
                let list = (&ends[..], &trace_starts[..]);
                let decoded =
                    decode_starts(&mut ByteReader::new(&starts.bytes), &wanted, list, &parents);
                prop_assert_eq!(&decoded.unwrap()[..], &block.spans.starts[range]);
            }
        }

        #[test]
        fn any_bytes_are_columns_or_an_error(bytes: Vec<u8>, rows in 1usize..200) {
            let reader = || ByteReader::new(&bytes);
            let wanted = Wanted::all(rows);
            let ends = [rows as u32];
            let _ = TraceList::decode(&mut reader(), (rows.div_ceil(3), rows));
            let _ = decode_tree(&mut reader(), &wanted, &ends);
            let _ = decode_starts(&mut reader(), &wanted, (&ends, &[7]), &vec![ROOT; rows]);
            let _ = (decode_below(&mut reader(), &wanted, 9), decode_ends(&mut reader(), rows, 9));
        }
    }
}
