//! How often and how long spans worked, and services called each other, by slots of 15 seconds.
//!
//! Lives here: what is counted together and how counts are added (this file), `spans` (spans by service,
//! name, kind and status), `edges` (calls between services), `peers` (the names that clients give to what
//! they call).
//! Not here: which pieces are counted (`select`), how counts are written (`part`), names of series.
//! Counts are made of a piece by one function, whether the piece is a block that becomes a row group, or is
//! read from one; so recorded counts are what the columns would have told. All amounts are whole numbers:
//! sums do not depend on the order, and what is not wanted can be taken away.

mod edges;
mod peers;
mod spans;

pub use edges::{EDGE_BUCKETS, EdgeField, EdgeKey, EdgeKind, edge_bound_ns};
pub use spans::{LATENCY_BUCKETS, SpanField, SpanKey, latency_bound_ns};

use crate::block::tick;
use crate::error::StoreError;
use crate::piece::Piece;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{Interner, TextList};
use model::{BytesHash, TimeRange, TimeUnit};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The width of a slot.
pub const SLOT_NS: u64 = 15_000_000_000;

/// The slot in which a span started: slots are numbered since 1970, and have the spans that started after
/// their begin and up to their end.
pub(crate) fn slot_of(start_ns: u64) -> u64 {
    start_ns.div_ceil(SLOT_NS)
}

/// What is counted together. Its texts are numbers.
pub trait MeasureKey: Copy + Debug + Eq + Hash + Ord + Send + Sync + Sized + 'static {
    /// How many different amounts a key may have.
    const FIELDS: usize;
    /// The kind of the pages of parts that hold its counts.
    const PAGE: u16;

    #[doc(hidden)]
    fn kept(kept: &Kept) -> &OnceLock<Arc<Measures<Self>>>;

    #[doc(hidden)]
    fn count(piece: &Piece, time: TimeRange, cells: &mut Cells<Self>) -> Result<(), StoreError>;

    #[doc(hidden)]
    fn renumber(self, number: &mut dyn FnMut(u32) -> u32) -> Self;

    #[doc(hidden)]
    fn encode(self, writer: &mut ByteWriter);

    /// `texts`: how many there are.
    #[doc(hidden)]
    fn decode(reader: &mut ByteReader<'_>, texts: usize) -> Result<Self, DecodeError>;
}

/// One amount of one key in one slot; those that are 0 are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measure {
    /// The place of the key.
    pub key: u32,
    pub slot: u64,
    /// Which amount: a [`SpanField`] or an [`EdgeField`].
    pub field: u8,
    pub amount: u64,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measures<K> {
    /// In order.
    pub texts: TextList,
    /// In order.
    pub keys: Vec<K>,
    /// In order of key, slot and field.
    pub list: Vec<Measure>,
}

impl<K> Default for Measures<K> {
    fn default() -> Self {
        Self { texts: TextList::default(), keys: Vec::new(), list: Vec::new() }
    }
}

impl<K: MeasureKey> Measures<K> {
    /// What the wanted rows of a piece count.
    pub(crate) fn of(piece: &Piece) -> Result<Self, StoreError> {
        Self::within(piece, TimeUnit::Nanos.everything())
    }

    /// The same of spans that started in a time.
    pub(crate) fn within(piece: &Piece, time: TimeRange) -> Result<Self, StoreError> {
        let mut cells = Cells::default();
        K::count(piece, time, &mut cells)?;
        Ok(cells.finish())
    }

    /// These without those of `others`, which are among them.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut cells = Cells::default();
        cells.add_all(self, u64::wrapping_add);
        cells.add_all(others, u64::wrapping_sub);
        cells.finish()
    }

    pub(crate) fn memory(&self) -> usize {
        self.texts.memory()
            + self.keys.len() * size_of::<K>()
            + self.list.len() * size_of::<Measure>()
    }
}

/// What was counted of a block once. Much smaller than the block, unless nearly every span has a name of
/// its own.
#[derive(Debug, Default)]
pub struct Kept {
    spans: OnceLock<Arc<Measures<SpanKey>>>,
    edges: OnceLock<Arc<Measures<EdgeKey>>>,
}

/// Counts in the making.
#[derive(Debug)]
pub struct Cells<K> {
    texts: Interner,
    /// The amounts of a key in a slot stand together. Slots are `usize` because that is hashed quickest.
    places: HashMap<(K, usize), usize, BytesHash>,
    amounts: Vec<u64>,
    /// Where the amounts are that were asked for last, because they are asked for several times in a row.
    last: Option<((K, u64), usize)>,
    /// For each bucket of a key in a slot the row of a span; `None` if nobody asks.
    examples: Option<HashMap<(K, u64, u8), usize, BytesHash>>,
}

impl<K> Default for Cells<K> {
    fn default() -> Self {
        let (texts, places, amounts) = Default::default();
        Self { texts, places, amounts, last: None, examples: None }
    }
}

impl<K: MeasureKey> Cells<K> {
    pub(crate) fn text(&mut self, text: &[u8]) -> u32 {
        self.texts.number(text)
    }

    /// The amounts of a key in a slot, by their field.
    pub(crate) fn of(&mut self, key: K, slot: u64) -> &mut [u64] {
        let place = match self.last {
            Some((cell, place)) if cell == (key, slot) => place,
            _ => self.place(key, slot),
        };
        &mut self.amounts[place..place + K::FIELDS]
    }

    fn place(&mut self, key: K, slot: u64) -> usize {
        let end = self.amounts.len();
        let place = *self.places.entry((key, slot as usize)).or_insert(end);
        if place == end {
            self.amounts.resize(end + K::FIELDS, 0);
        }
        self.last = Some(((key, slot), place));
        place
    }

    /// Counts the duration of a row in the buckets that begin with a field, and in their sum behind them.
    pub(crate) fn took(
        &mut self,
        (key, slot): (K, u64),
        buckets: &Buckets,
        (row, duration_ns): (usize, u64),
    ) {
        let field = buckets.field + bucket_of(duration_ns, buckets.first_ns, buckets.count) as u8;
        let amounts = self.of(key, slot);
        amounts[usize::from(field)] += 1;
        let sum = &mut amounts[usize::from(buckets.field) + buckets.count];
        *sum = sum.wrapping_add(duration_ns);
        if let Some(examples) = &mut self.examples {
            examples.insert((key, slot, field), row);
        }
    }

    fn add_all(&mut self, measures: &Measures<K>, add: impl Fn(u64, u64) -> u64) {
        let numbers: Vec<u32> = measures.texts.iter().map(|text| self.texts.number(text)).collect();
        let number = |key: &K| key.renumber(&mut |text| numbers[text as usize]);
        let keys: Vec<K> = measures.keys.iter().map(number).collect();
        for Measure { key, slot, field, amount } in &measures.list {
            let amounts = self.of(keys[*key as usize], *slot);
            let place = &mut amounts[usize::from(*field)];
            *place = add(*place, *amount);
        }
    }

    /// The amounts that are not 0, in an order that does not depend on that of counting.
    fn finish(self) -> Measures<K> {
        let Self { texts, places, amounts, .. } = self;
        let is_used =
            |place: &usize| amounts[*place..*place + K::FIELDS].iter().any(|one| *one > 0);
        let used: Vec<(K, u64, usize)> = places
            .into_iter()
            .filter(|(_, place)| is_used(place))
            .map(|((key, slot), place)| (key, slot as u64, place))
            .collect();
        let (texts, numbers) = sorted_texts(texts.texts(), used.iter().map(|(key, ..)| *key));
        let renumbered = |(key, slot, place): (K, u64, usize)| {
            (key.renumber(&mut |text| numbers[text as usize]), slot, place)
        };
        let mut used: Vec<(K, u64, usize)> = used.into_iter().map(renumbered).collect();
        used.sort_unstable();
        let mut measures = Measures { texts, ..Measures::default() };
        for (key, slot, place) in used {
            if measures.keys.last() != Some(&key) {
                measures.keys.push(key);
            }
            let key = measures.keys.len() as u32 - 1;
            for (field, amount) in (0..).zip(&amounts[place..place + K::FIELDS]) {
                if *amount > 0 {
                    measures.list.push(Measure { key, slot, field, amount: *amount });
                }
            }
        }
        measures
    }
}

/// The texts that keys name, in order, and the place of each by its former number.
fn sorted_texts<K: MeasureKey>(
    texts: &TextList,
    keys: impl Iterator<Item = K>,
) -> (TextList, Vec<u32>) {
    let mut used: BTreeMap<&[u8], u32> = BTreeMap::new();
    for key in keys {
        key.renumber(&mut |text| {
            used.insert(texts.get(text as usize), text);
            text
        });
    }
    let (mut list, mut numbers) = (TextList::default(), vec![0; texts.len()]);
    for (place, (text, number)) in (0..).zip(used) {
        list.push(text);
        numbers[number as usize] = place;
    }
    (list, numbers)
}

/// Fields that are the buckets of a duration, behind which its sum stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets {
    field: u8,
    count: usize,
    /// The end of the first one; each further one ends at twice that of the one before.
    first_ns: u64,
}

/// One of the spans that a bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<K> {
    pub key: K,
    /// That of the bucket.
    pub field: u8,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub start_ns: u64,
    pub duration_ns: u64,
}

/// A span for each bucket of a key in a slot.
#[derive(Clone, Debug)]
pub struct Examples<K> {
    /// What the keys name.
    pub texts: TextList,
    pub list: Vec<Example<K>>,
}

impl<K: MeasureKey> Examples<K> {
    pub(crate) fn within(piece: &Piece, time: TimeRange) -> Result<Self, StoreError> {
        let mut cells = Cells { examples: Some(HashMap::default()), ..Cells::default() };
        K::count(piece, time, &mut cells)?;
        let (trace_ids, trace_ends) = (piece.trace_ids()?, piece.trace_ends()?);
        let (span_ids, starts, durations) =
            (piece.span_ids()?, piece.starts()?, piece.durations()?);
        let example = |((key, _, field), row): ((K, u64, u8), usize)| Example {
            key,
            field,
            trace_id: trace_ids[trace_ends.partition_point(|end| *end as usize <= row)],
            span_id: span_ids[row],
            start_ns: starts[row],
            duration_ns: durations[row],
        };
        let list = cells.examples.into_iter().flatten().map(example).collect();
        Ok(Self { texts: cells.texts.into_texts(), list })
    }
}

/// Hashes small numbers at once: keys are looked up for every span.
fn hash_numbers(numbers: impl IntoIterator<Item = u32>, state: &mut impl Hasher) {
    let mixed = |mixed: usize, number: u32| (mixed ^ number as usize).wrapping_mul(0x9E37_79B1);
    state.write_usize(numbers.into_iter().fold(0, mixed));
}

/// The bucket of a duration among those that end at `first_ns` times the powers of two, ends included, of
/// which the last has no end.
fn bucket_of(duration_ns: u64, first_ns: u64, buckets: usize) -> usize {
    let doubled = duration_ns.saturating_sub(1) / first_ns;
    ((u64::BITS - doubled.leading_zeros()) as usize).min(buckets - 1)
}

/// The name of each resource's service; `None` where it has none that is a text.
fn services(
    piece: &Piece,
    mut number: impl FnMut(&[u8]) -> u32,
) -> Result<Vec<Option<u32>>, StoreError> {
    use crate::{Column, Table};
    let columns = piece.columns(Table::Resource, false, "service.name")?;
    let texts = columns.iter().find_map(|column| match column {
        Column::Text(texts) => Some(texts),
        _ => None,
    });
    let rows = 0..piece.table_rows(Table::Resource);
    let name = |row: usize| texts.and_then(|texts| texts.get(row)).filter(|name| !name.is_empty());
    Ok(rows.map(|row| name(row).map(&mut number)).collect())
}

/// Calls `each` for every wanted row of a piece that started in a time.
fn each_row(piece: &Piece, time: TimeRange, mut each: impl FnMut(usize)) -> Result<(), StoreError> {
    let starts = piece.starts()?;
    let mut each_in_time = |row: usize| {
        if time.contains(tick(starts[row])) {
            each(row);
        }
    };
    match piece.wanted() {
        Some(rows) => rows.iter().for_each(each_in_time),
        None => (0..piece.rows()).for_each(&mut each_in_time),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_their_ends() {
        let ends = [0, 1, 2, 3, 4, 5, 8, 9, 16, 17, u64::MAX].map(|end| bucket_of(end, 2, 4));
        assert_eq!(ends, [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3]);
        assert_eq!([0, 1, SLOT_NS, SLOT_NS + 1].map(slot_of), [0, 1, 1, 2]);
    }
}
