//! Which series a tenant writes to at present, and their numbers.
//!
//! A table of open addressing finds a series by the hash of its canonical labels and compares the
//! labels themselves: a hash alone is never trusted. Scrapes come in the same order again and
//! again, so each series remembers who followed it, and the lookup usually is one comparison.
//!
//! Invariants: numbers are dense and never reused in one registry; a registry is only replaced at a
//! cut, by one that forgets the series that nobody wrote to.

use codec::xxh3_64;
use model::{BytesHash, Labels};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) labels: Labels,
    pub(crate) hash: u64,
    /// Who came after this one the last time.
    next: AtomicU32,
    /// The epoch in whose log the definition is known to stand.
    defined: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    /// Upper half: some bits of the hash; lower half: number + 1, 0 where nothing stands.
    table: Vec<u64>,
    /// The series of each metric, rising.
    metrics: HashMap<Box<str>, Vec<u32>, BytesHash>,
    label_bytes: usize,
    /// Series in the order of parts, as far as they were sorted already.
    sorted: std::sync::Mutex<Vec<u32>>,
}

const TABLE_MIN: usize = 64;

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    /// The series that the labels name. `before` is the one that was found last.
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
        let mask = self.table.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        loop {
            let slot = *self.table.get(place)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash >> 32 {
                let number = slot as u32 - 1;
                if self.entry(number).labels.as_bytes() == labels {
                    return Some(number);
                }
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a series that is not there yet.
    pub(crate) fn insert(&mut self, labels: Labels) -> u32 {
        let number = self.entries.len() as u32;
        let hash = xxh3_64(labels.as_bytes());
        if (self.entries.len() + 1) * 2 > self.table.len() {
            self.grow();
        }
        place(&mut self.table, hash, number);
        match self.metrics.get_mut(labels.metric_name()) {
            Some(series) => series.push(number),
            None => {
                self.metrics.insert(labels.metric_name().into(), vec![number]);
            }
        }
        self.label_bytes += labels.as_bytes().len();
        // A guess that is right when the series came in the order of their scrape.
        let next = AtomicU32::new(number + 1);
        self.entries.push(Entry { labels, hash, next, defined: AtomicU64::new(0) });
        number
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(TABLE_MIN);
        self.table = vec![0; size];
        for (number, entry) in self.entries.iter().enumerate() {
            place(&mut self.table, entry.hash, number as u32);
        }
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.metrics.iter().map(|(name, series)| (&**name, series.as_slice()))
    }

    pub(crate) fn metric(&self, name: &str) -> &[u32] {
        self.metrics.get(name).map_or(&[], Vec::as_slice)
    }

    /// About what it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let each = size_of::<Entry>() + 2 * size_of::<u32>() + 16;
        self.label_bytes + self.entries.len() * each + self.table.len() * 8
    }

    /// All series in the order of parts. Sorts what came since the last call, and merges.
    pub(crate) fn in_part_order(&self) -> Vec<u32> {
        let mut sorted = self.sorted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = sorted.len() as u32;
        sorted.extend(known..self.entries.len() as u32);
        // A stable sort finds the sorted run in front and merges with it.
        let key = |number: &u32| part_order(&self.entry(*number).labels);
        sorted.sort_by(|left, right| key(left).cmp(&key(right)));
        sorted.clone()
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

/// By metric, then by canonical bytes: what is alike stands together.
pub(crate) fn part_order(labels: &Labels) -> (&str, &[u8]) {
    (labels.metric_name(), labels.as_bytes())
}

fn place(table: &mut [u64], hash: u64, number: u32) {
    let mask = table.len() - 1;
    let mut place = hash as usize & mask;
    while table[place] != 0 {
        place = (place + 1) & mask;
    }
    table[place] = (hash >> 32) << 32 | (u64::from(number) + 1);
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
        let order = registry.in_part_order();
        assert!(order.windows(2).all(|pair| {
            let key = |n: u32| registry.entry(n).labels.as_bytes();
            key(pair[0]) < key(pair[1])
        }));
    }
}
