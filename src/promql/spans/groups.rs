//! The counts that series are made of: a group for each set of labels, which its series share.

use super::keys::Shown;
use super::no_room;
use super::shapes::{SeriesSource, Shape, ShapeSet, Side, Value};
use crate::storage::StorageError;
use model::{Labels, METRIC_NAME, Matcher, Room};
use std::collections::HashMap;
use trace_store::{
    EDGE_BUCKETS, EdgeField, EdgeKey, LATENCY_BUCKETS, MeasureKey, Measures, SLOT_NS, SpanField,
    SpanKey, TextList,
};

pub(super) const SLOT_MS: i64 = (SLOT_NS / 1_000_000) as i64;

/// An amount of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount {
    pub(super) slot: i64,
    pub(super) field: u8,
    pub(super) amount: u64,
}

/// Series that share their labels, but for name and bucket.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    shapes: ShapeSet,
    source: SeriesSource,
    /// The durations of the server stand for those of the client, too.
    has_one_side: bool,
    /// For each field the one under which its amounts are kept, so that those of buckets that no series tells
    /// apart are added at once; `None` if no series needs it.
    kept: [Option<u8>; FIELDS],
    /// In order of slot and field, each once, when all is read.
    pub(super) amounts: Vec<Amount>,
    /// How many there were when they were put together.
    settled: usize,
}

/// A field that no series adds up: it says that there was something in a slot.
const PRESENT: u8 = u8::MAX;

/// As many as any key has.
const FIELDS: usize =
    if EdgeKey::FIELDS > SpanKey::FIELDS { EdgeKey::FIELDS } else { SpanKey::FIELDS };

/// A selector, as far as it concerns one source.
pub(super) struct Wanted<'m> {
    pub(super) shapes: ShapeSet,
    /// Those of labels that differ between groups.
    matchers: Vec<&'m Matcher>,
}

impl<'m> Wanted<'m> {
    pub(super) fn of(source: SeriesSource, selectors: &'m [Vec<Matcher>]) -> Vec<Self> {
        let wanted = |matchers: &'m Vec<Matcher>| {
            let shapes = source.matching(matchers);
            let of_groups = matchers.iter().filter(|one| !matches!(&*one.name, METRIC_NAME | "le"));
            (shapes != 0).then(|| Self { shapes, matchers: of_groups.collect() })
        };
        selectors.iter().filter_map(wanted).collect()
    }

    fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// The fields whose amounts make a value, from the first to behind the last.
pub(super) fn fields(group: &Group, value: Value) -> (u8, u8) {
    let of_side = |side: Side| match (group.source, side) {
        (SeriesSource::Spans, _) => (SpanField::BUCKETS.start, SpanField::DURATION),
        (SeriesSource::Edges, Side::Client) if !group.has_one_side => {
            (EdgeField::CLIENT_BUCKETS.start, EdgeField::CLIENT_DURATION)
        }
        (SeriesSource::Edges, _) => (EdgeField::SERVER_BUCKETS.start, EdgeField::SERVER_DURATION),
    };
    match value {
        Value::UpTo(side, bucket) => {
            let first = of_side(side).0;
            (first, first + bucket as u8 + 1)
        }
        Value::Sum(side) => (of_side(side).1, of_side(side).1 + 1),
        Value::Failed => (EdgeField::FAILED, EdgeField::FAILED + 1),
    }
}

const _: () = assert!(LATENCY_BUCKETS + 3 <= ShapeSet::BITS as usize);
const _: () = assert!(2 * (EDGE_BUCKETS + 2) + 2 <= ShapeSet::BITS as usize);

/// Sorts the counts of pieces into groups.
pub(super) struct Reader<'r> {
    wanted: &'r [Wanted<'r>],
    /// The first slot of the day of the first sample, the slot of that sample, and the last slot.
    pub(super) slots: (i64, i64, i64),
    pub(super) values_needed: bool,
    /// By the texts and numbers of a key; `None` if it has no series that is wanted.
    places: HashMap<Vec<u8>, Option<usize>>,
    by_labels: HashMap<Labels, usize>,
    groups: &'r mut Vec<Group>,
    pub(super) room: &'r mut dyn Room,
}

impl<'r> Reader<'r> {
    pub(super) fn new(
        wanted: &'r [Wanted<'r>],
        groups: &'r mut Vec<Group>,
        room: &'r mut dyn Room,
    ) -> Self {
        let (places, by_labels, values_needed) = Default::default();
        let slots = (i64::MIN, i64::MIN, i64::MAX);
        Self { wanted, slots, values_needed, places, by_labels, groups, room }
    }

    /// Whether some key has a series that is wanted.
    pub(super) fn has_some<K: Shown>(
        &mut self,
        measures: &Measures<K>,
    ) -> Result<bool, StorageError> {
        let (mut any, mut name) = (false, Vec::new());
        for key in &measures.keys {
            any |= self.place(&measures.texts, *key, &mut name)?.is_some();
        }
        Ok(any)
    }

    /// The series of a bucket of a group; `None` if it is not wanted.
    pub(super) fn bucket(&self, place: usize, field: u8) -> Option<Labels> {
        let group = &self.groups[place];
        let ends_with =
            |shape: &&Shape| shape.le.is_some() && fields(group, shape.value).1 == field + 1;
        group.shapes().find(ends_with).map(|shape| shape.labels(&group.labels))
    }

    pub(super) fn add<K: Shown>(&mut self, measures: &Measures<K>) -> Result<(), StorageError> {
        let mut name = Vec::new();
        // The keys that have something in time, so that no series is there without a sample.
        let (from, first, last) = self.slots;
        let list = &measures.list;
        for of_key in list.chunk_by(|left, right| left.key == right.key) {
            let in_time = |slot: u64| (from..=last).contains(&(slot as i64));
            if !of_key.iter().any(|one| in_time(one.slot)) {
                continue;
            }
            let key = measures.keys[of_key[0].key as usize];
            let Some(place) = self.place(&measures.texts, key, &mut name)? else { continue };
            if !self.values_needed {
                continue;
            }
            self.room.take(of_key.len() * size_of::<Amount>()).map_err(no_room)?;
            let group = &mut self.groups[place];
            for one in of_key.iter().filter(|one| in_time(one.slot)) {
                let Some(field) = group.kept[usize::from(one.field)] else { continue };
                // What lies before the first sample is one amount.
                let slot = (one.slot as i64).max(first - 1);
                group.amounts.push(Amount { slot, field, amount: one.amount });
            }
            // Many pieces have amounts that become one.
            if group.amounts.len() > 2 * group.settled + 1_024 {
                group.put_together();
            }
        }
        Ok(())
    }

    /// The group of a key; `None` if it has no series that is wanted.
    pub(super) fn place<K: Shown>(
        &mut self,
        texts: &TextList,
        key: K,
        name: &mut Vec<u8>,
    ) -> Result<Option<usize>, StorageError> {
        name.clear();
        name.extend_from_slice(&key.code());
        key.renumber(&mut |text| {
            let text = texts.get(text as usize);
            name.extend_from_slice(&(text.len() as u32).to_le_bytes());
            name.extend_from_slice(text);
            0
        });
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let place = self.new_place(texts, key)?;
        self.room.take(name.len() + 64).map_err(no_room)?;
        self.places.insert(name.clone(), place);
        Ok(place)
    }

    fn new_place<K: Shown>(
        &mut self,
        texts: &TextList,
        key: K,
    ) -> Result<Option<usize>, StorageError> {
        let text = |text: u32| String::from_utf8_lossy(texts.get(text as usize)).into_owned();
        let Some(labels) = key.labels(&text) else { return Ok(None) };
        let matching = self.wanted.iter().filter(|wanted| wanted.matches(&labels));
        let shapes = matching.fold(0, |shapes, wanted| shapes | wanted.shapes);
        if shapes == 0 {
            return Ok(None);
        }
        // Texts that are no UTF-8 may have become the same.
        if let Some(same) = self.by_labels.get(&labels) {
            return Ok(Some(*same));
        }
        self.room.take(labels.as_bytes().len() + size_of::<Group>() + 64).map_err(no_room)?;
        self.by_labels.insert(labels.clone(), self.groups.len());
        let mut group = Group {
            labels,
            shapes,
            source: K::SOURCE,
            has_one_side: key.has_one_side(),
            kept: [None; FIELDS],
            amounts: Vec::new(),
            settled: 0,
        };
        group.keep_fields();
        self.groups.push(group);
        Ok(Some(self.groups.len() - 1))
    }

    pub(super) fn end(self) {
        self.groups.iter_mut().for_each(Group::put_together);
    }
}

impl Group {
    pub(super) fn shapes(&self) -> impl Iterator<Item = &'static Shape> {
        let shapes = (0..).zip(self.source.shapes());
        let wanted = self.shapes;
        shapes.filter(move |(at, _)| wanted & (1 << at) != 0).map(|(_, shape)| shape)
    }

    /// Decides which fields are needed. What only counts among all is kept with the last bucket.
    fn keep_fields(&mut self) {
        let (parts, wholes): (Vec<_>, Vec<_>) =
            self.shapes().partition(|shape| shape.is_part_of_buckets());
        for shape in parts {
            let (first, behind) = fields(self, shape.value);
            (first..behind).for_each(|field| self.kept[usize::from(field)] = Some(field));
        }
        for shape in wholes {
            let (first, behind) = fields(self, shape.value);
            for kept in &mut self.kept[usize::from(first)..usize::from(behind)] {
                kept.get_or_insert(behind - 1);
            }
        }
        // A counter begins with the first span of its group, whatever it counts.
        let (first, behind) = fields(self, self.source.count());
        for kept in &mut self.kept[usize::from(first)..usize::from(behind)] {
            kept.get_or_insert(PRESENT);
        }
    }

    /// Sorts the amounts, and adds those of the same slot and field.
    fn put_together(&mut self) {
        self.amounts.sort_unstable();
        self.amounts.dedup_by(|later, kept| {
            let is_same = (later.slot, later.field) == (kept.slot, kept.field);
            if is_same {
                kept.amount = kept.amount.wrapping_add(later.amount);
            }
            is_same
        });
        self.settled = self.amounts.len();
    }
}
