//! How many spans of each service, kind and status started in each second, by the size of their duration.
//!
//! The usual questions about rates, errors and durations are answered from these counts, exactly: a step
//! that is a whole number of slots has the spans of its slots, and the sizes are those by which the
//! language counts durations. Written for a few widths of slots, each at most half as long as the finer
//! one before it.

use super::counts::{Count, decode_counts, encode_counts};
use crate::block::Block;
use crate::column::Column;
use crate::keys::Table;
use crate::spans::duration_of;
use crate::tree::ROOT;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::TextList;
use std::collections::BTreeMap;

/// The widths of slots, in seconds.
const WIDTHS_S: [u32; 3] = [1, 15, 300];

const SECOND_NS: u64 = 1_000_000_000;

const SERVICE_NAME: &str = "service.name";

/// What the spans of a count have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupKey {
    /// The place of the service's name; `None` where the resource has none.
    pub service: Option<u32>,
    pub kind: u8,
    pub status: u8,
    /// Whether the span names no parent.
    pub is_root: bool,
}

/// Spans of one key that started in one slot and have durations of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RollupCount {
    /// The place of the key.
    pub key: u32,
    /// Slots of the width since 1970, ends included: a span that started at the end of one is in it.
    pub slot: u64,
    /// The number of bits of (duration - 1): durations up to 2^size nanoseconds; 0 below two.
    pub size: u8,
    pub spans: u32,
}

/// Counts by slots of one width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    pub width_ns: u64,
    pub services: TextList,
    pub keys: Vec<RollupKey>,
    /// In order of key, slot and size.
    pub counts: Vec<RollupCount>,
}

/// The size of a duration, as [`RollupCount::size`] has it.
pub fn duration_size(duration_ns: u64) -> u8 {
    match duration_ns {
        0 | 1 => 0,
        duration => (u64::BITS - (duration - 1).leading_zeros()) as u8,
    }
}

/// The slot in which a span started.
fn slot_of(start_ns: u64, width_ns: u64) -> u64 {
    start_ns.div_ceil(width_ns)
}

impl Rollup {
    /// The counts of a block; none if a resource has a name of its service that is no text.
    pub(super) fn of(block: &Block) -> Vec<Self> {
        let Some((services, of_resources)) = services(block) else { return Vec::new() };
        let spans = &block.spans;
        let mut found: BTreeMap<(RollupKey, u64, u8), u32> = BTreeMap::new();
        let (mut rows, mut last) = (Vec::with_capacity(spans.len()), None);
        for row in 0..spans.len() {
            let key = RollupKey {
                service: of_resources[spans.entities[0][row] as usize],
                kind: spans.kinds[row],
                status: spans.statuses[row],
                is_root: block.parents[row] == ROOT,
            };
            let size = duration_size(duration_of(spans.lengths[row]));
            rows.push((key, slot_of(spans.starts[row], SECOND_NS), size));
        }
        rows.sort_unstable();
        for row in rows {
            match &mut last {
                Some((of, count)) if *of == row => *count += 1,
                other => {
                    if let Some((of, count)) = other.replace((row, 1)) {
                        found.insert(of, count);
                    }
                }
            }
        }
        found.extend(last);
        let mut list: Vec<Self> = Vec::new();
        for width_s in WIDTHS_S {
            let rollup = Self::of_counts(&found, &services, width_s);
            if list.last().is_none_or(|finer| rollup.counts.len() * 2 <= finer.counts.len()) {
                list.push(rollup);
            }
        }
        list
    }

    fn of_counts(
        seconds: &BTreeMap<(RollupKey, u64, u8), u32>,
        services: &TextList,
        width_s: u32,
    ) -> Self {
        let mut wide: BTreeMap<(RollupKey, u64, u8), u32> = BTreeMap::new();
        for ((key, second, size), spans) in seconds {
            let slot = second.div_ceil(u64::from(width_s));
            *wide.entry((*key, slot, *size)).or_default() += spans;
        }
        let width_ns = u64::from(width_s) * SECOND_NS;
        let mut rollup = Self { width_ns, services: services.clone(), ..Self::default() };
        for ((key, slot, size), spans) in wide {
            if rollup.keys.last() != Some(&key) {
                rollup.keys.push(key);
            }
            let key = rollup.keys.len() as u32 - 1;
            rollup.counts.push(RollupCount { key, slot, size, spans });
        }
        rollup
    }

    pub(super) fn memory(&self) -> usize {
        self.services.memory()
            + self.keys.len() * size_of::<RollupKey>()
            + self.counts.len() * size_of::<RollupCount>()
    }

    pub(super) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(self.width_ns / SECOND_NS);
        writer.varint(self.services.len() as u64);
        self.services.encode(writer);
        writer.varint(self.keys.len() as u64);
        for key in &self.keys {
            writer.varint(key.service.map_or(0, |service| u64::from(service) + 1));
            writer.u8(key.kind << 4 | key.status << 1 | u8::from(key.is_root));
        }
        let count = |count: &RollupCount| {
            let RollupCount { key, slot, size, spans } = *count;
            Count { key, slot, small: size, amount: u64::from(spans) }
        };
        encode_counts(self.counts.iter().map(count), writer);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let wrong = reader.value_error("not counts of spans");
        let width_ns = reader.varint()?.checked_mul(SECOND_NS).filter(|width| *width > 0);
        let mut rollup = Self { width_ns: width_ns.ok_or(wrong)?, ..Self::default() };
        let services = reader.length(reader.remaining())?;
        rollup.services.decode(&mut reader, services)?;
        for _ in 0..reader.length(reader.remaining())? {
            let service = reader.length(services)?.checked_sub(1).map(|service| service as u32);
            let code = reader.u8()?;
            let (kind, status) = (code >> 4, code >> 1 & 7);
            if kind > crate::KIND_MAX || status > crate::STATUS_MAX {
                return Err(wrong);
            }
            rollup.keys.push(RollupKey { service, kind, status, is_root: code & 1 == 1 });
        }
        for Count { key, slot, small, amount } in decode_counts(&mut reader, rollup.keys.len())? {
            let spans = u32::try_from(amount).map_err(|_| wrong)?;
            rollup.counts.push(RollupCount { key, slot, size: small, spans });
        }
        reader.finish()?;
        Ok(rollup)
    }
}

/// The names of services, and that of each resource; `None` if one is no text.
fn services(block: &Block) -> Option<(TextList, Vec<Option<u32>>)> {
    let resources = block.spans.table(Table::Resource).rows();
    let columns = crate::piece::columns_of(&block.spans, Table::Resource, |key| {
        !key.is_intrinsic && &*key.name == SERVICE_NAME
    });
    match &columns[..] {
        [] => Some((TextList::default(), vec![None; resources])),
        [Column::Text(column)] => {
            let code = |code: &u32| (*code != columns::ABSENT).then_some(*code);
            Some((column.values.clone(), column.codes.iter().map(code).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockBuilder;
    use crate::spans::tests::any_spans;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_span_is_counted_once(spans in any_spans()) {
            let block = BlockBuilder::ordered(&[&spans]);
            for rollup in Rollup::of(&block) {
                let mut writer = ByteWriter::default();
                rollup.encode(&mut writer);
                let back = Rollup::decode(&writer.bytes);
                prop_assert_eq!(back.as_ref(), Ok(&rollup));
                let total: u32 = rollup.counts.iter().map(|count| count.spans).sum();
                prop_assert_eq!(total as usize, block.rows());
                for count in &rollup.counts {
                    let key = rollup.keys[count.key as usize];
                    let fits = |row: &usize| {
                        block.spans.kinds[*row] == key.kind
                            && block.spans.statuses[*row] == key.status
                            && (block.parents[*row] == ROOT) == key.is_root
                            && slot_of(block.spans.starts[*row], rollup.width_ns) == count.slot
                            && duration_size(duration_of(block.spans.lengths[*row])) == count.size
                    };
                    let rows = (0..block.rows()).filter(fits).count();
                    prop_assert!(rows >= count.spans as usize);
                }
            }
        }

        #[test]
        fn any_bytes_are_counts_or_an_error(bytes: Vec<u8>) {
            let _ = Rollup::decode(&bytes);
        }
    }

    #[test]
    fn durations_have_sizes() {
        let sizes = [0, 1, 2, 3, 4, 5, 1 << 40, (1 << 40) + 1].map(duration_size);
        assert_eq!(sizes, [0, 0, 1, 2, 2, 3, 40, 41]);
    }
}
