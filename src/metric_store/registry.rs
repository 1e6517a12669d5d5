//! The series that a tenant currently writes, and their numbers.
//!
//! A table with open addressing finds a series by the hash of its canonical labels and compares the
//! labels themselves: a hash alone is never trusted. Scrapes repeat the same order, so each series
//! remembers which one followed it, and a lookup is usually one comparison.
//!
//! Readers find series by metric, in the order of parts, and by the values of their labels.
//!
//! Invariants: numbers are dense and never reused in one registry; a registry is only replaced at a
//! cut, by one without idle series.

use crate::postings::Postings;
use codec::xxh3_64;
use model::{Labels, METRIC_NAME};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A million of them are common, so the size matters.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) labels: Labels,
    /// The epoch whose batches in the write-ahead log are known to hold the definition.
    defined: AtomicU64,
    /// The series that followed this one in the last scrape.
    next: AtomicU32,
}

const _: () = assert!(size_of::<Entry>() == 32);

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    /// Upper half: the upper half of the hash, which also determines the slot. Lower half: number +
    /// 1, or 0 in an empty slot. So the table can grow without reading the series.
    table: Vec<u64>,
    metrics: BTreeMap<Box<str>, MetricSeries>,
    /// By label other than the metric's name, then by value: the numbers of the series, rising.
    values: HashMap<Box<str>, ValueSeries>,
    label_bytes: usize,
    index_bytes: usize,
}

pub(crate) type ValueSeries = HashMap<Box<str>, Postings>;

/// The series of a metric. New ones follow the sorted ones until a reader needs the order.
#[derive(Debug, Default)]
struct MetricSeries {
    numbers: Vec<u32>,
    sorted: usize,
}

/// Roughly what a list takes in memory beside its numbers.
const LIST_BYTES: usize = 72;

const TABLE_MIN: usize = 64;

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    /// The series with these labels. `before` is the series that was found last.
    pub(crate) fn find_after(&self, before: u32, labels: &[u8]) -> Option<u32> {
        let predecessor = self.entries.get(before as usize);
        if let Some(predecessor) = predecessor {
            let guess = predecessor.next.load(Relaxed);
            if self.entries.get(guess as usize).is_some_and(|e| e.labels.as_bytes() == labels) {
                return Some(guess);
            }
        }
        let found = self.find(xxh3_64(labels), labels)?;
        if let Some(predecessor) = predecessor {
            predecessor.next.store(found, Relaxed);
        }
        Some(found)
    }

    pub(crate) fn find(&self, hash: u64, labels: &[u8]) -> Option<u32> {
        let tag = hash >> 32;
        let mask = self.table.len().wrapping_sub(1);
        let mut place = tag as usize & mask;
        loop {
            let slot = *self.table.get(place)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag {
                let number = slot as u32 - 1;
                if self.entry(number).labels.as_bytes() == labels {
                    return Some(number);
                }
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a series that must not exist yet.
    pub(crate) fn insert(&mut self, labels: Labels) -> u32 {
        let number = self.entries.len() as u32;
        let hash = xxh3_64(labels.as_bytes());
        if (self.entries.len() + 1) * 2 > self.table.len() {
            self.grow();
        }
        place(&mut self.table, hash >> 32 << 32 | (u64::from(number) + 1));
        match self.metrics.get_mut(labels.metric_name()) {
            Some(series) => series.numbers.push(number),
            None => {
                let series = MetricSeries { numbers: vec![number], sorted: 1 };
                self.metrics.insert(labels.metric_name().into(), series);
            }
        }
        self.index(number, &labels);
        self.label_bytes += labels.as_bytes().len();
        // A guess, which is right if the series were added in the order of their scrape.
        let next = AtomicU32::new(number + 1);
        self.entries.push(Entry { labels, next, defined: AtomicU64::new(0) });
        number
    }

    fn grow(&mut self) {
        let larger = vec![0; (self.table.len() * 2).max(TABLE_MIN)];
        let slots = std::mem::replace(&mut self.table, larger);
        let used = slots.into_iter().filter(|slot| *slot != 0);
        used.for_each(|slot| place(&mut self.table, slot));
    }

    fn index(&mut self, number: u32, labels: &Labels) {
        for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            if !self.values.contains_key(label) {
                self.values.insert(label.into(), ValueSeries::new());
            }
            let values = self.values.get_mut(label).expect("it was inserted where it was missing");
            let numbers = match values.get_mut(value) {
                Some(numbers) => numbers,
                None => {
                    self.index_bytes += LIST_BYTES + value.len();
                    values.entry(value.into()).or_default()
                }
            };
            self.index_bytes += numbers.push(number);
        }
    }

    /// In the order of names. The series of each metric are in order after `sort`.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.metrics.iter().map(|(name, series)| (&**name, series.numbers.as_slice()))
    }

    pub(crate) fn metric(&self, name: &str) -> &[u32] {
        self.metrics.get(name).map_or(&[], |series| series.numbers.as_slice())
    }

    /// The values of a label other than the metric's name.
    pub(crate) fn values(&self, label: &str) -> Option<&ValueSeries> {
        self.values.get(label)
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &ValueSeries)> {
        self.values.iter().map(|(label, values)| (&**label, values))
    }

    /// The series with this value of a label other than the metric's name.
    pub(crate) fn with_value(&self, label: &str, value: &str) -> Option<&Postings> {
        self.values.get(label)?.get(value)
    }

    /// Roughly the memory that the registry takes.
    pub(crate) fn bytes(&self) -> usize {
        let each = size_of::<Entry>() + size_of::<u32>() + 16;
        let series = self.label_bytes + self.entries.len() * each;
        series + self.index_bytes + self.table.len() * 8
    }

    /// Roughly the memory that new series with so many bytes of labels may take: their values may
    /// all be new to the index.
    pub(crate) fn bytes_of_new(series: usize, label_bytes: usize) -> usize {
        2 * label_bytes + series * (size_of::<Entry>() + LIST_BYTES)
    }

    /// Whether the series of the metric, or of all, are in the order of parts.
    pub(crate) fn is_sorted(&self, metric: Option<&str>) -> bool {
        let sorted = |series: &MetricSeries| series.sorted == series.numbers.len();
        match metric {
            Some(metric) => self.metrics.get(metric).is_none_or(sorted),
            None => self.metrics.values().all(sorted),
        }
    }

    /// Brings the series of the metric, or of all, into the order of parts.
    pub(crate) fn sort(&mut self, metric: Option<&str>) {
        let entries = &self.entries;
        let labels = |number: &u32| &entries[*number as usize].labels;
        let sort = |series: &mut MetricSeries| {
            if series.sorted < series.numbers.len() {
                // A stable sort recognises the sorted run at the front and merges with it.
                series.numbers.sort_by(|left, right| labels(left).cmp(labels(right)));
                series.sorted = series.numbers.len();
            }
        };
        match metric {
            Some(metric) => self.metrics.get_mut(metric).into_iter().for_each(sort),
            None => self.metrics.values_mut().for_each(sort),
        }
    }

    /// All series; after `sort`, in the order of parts.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.metrics.values().flat_map(|series| series.numbers.iter().copied())
    }
}

impl Entry {
    pub(crate) fn is_defined_in(&self, epoch: u64) -> bool {
        self.defined.load(Relaxed) == epoch
    }

    pub(crate) fn define(&self, epoch: u64) {
        self.defined.store(epoch, Relaxed);
    }
}

/// The order of parts: by metric, then by labels, so that similar series are adjacent.
pub(crate) fn part_order(labels: &Labels) -> (&str, &Labels) {
    (labels.metric_name(), labels)
}

/// Puts a slot where a lookup by its upper half finds it.
fn place(table: &mut [u64], slot: u64) {
    let mask = table.len() - 1;
    let mut place = (slot >> 32) as usize & mask;
    while table[place] != 0 {
        place = (place + 1) & mask;
    }
    table[place] = slot;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(number: usize) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("n", number.to_string().as_str())])
    }

    #[test]
    fn series_are_found_by_their_labels_and_by_their_order() {
        let mut registry = Registry::default();
        let numbers: Vec<u32> = (0..1_000).map(|n| registry.insert(labels(n))).collect();
        let mut before = u32::MAX;
        for (number, expected) in numbers.iter().enumerate() {
            let found = registry.find_after(before, labels(number).as_bytes());
            assert_eq!(found, Some(*expected));
            before = *expected;
        }
        // Another order is learned.
        assert_eq!(registry.find_after(5, labels(900).as_bytes()), Some(900));
        assert_eq!(registry.find_after(5, labels(900).as_bytes()), Some(900));
        assert_eq!(registry.find_after(5, labels(1_000).as_bytes()), None);
        assert_eq!(registry.metric("m").len(), 1_000);
        assert!(registry.with_value("n", "900").unwrap().iter().eq([900]));
        assert!(!registry.is_sorted(Some("m")) && registry.is_sorted(Some("x")));
        registry.sort(None);
        let order: Vec<u32> = registry.numbers().collect();
        assert!(order.windows(2).all(|pair| {
            let key = |n: u32| &registry.entry(n).labels;
            key(pair[0]) < key(pair[1])
        }));
    }
}
