//! A table of streams: labels and their numbers.

use codec::xxh3_64;
use model::Labels;
use std::collections::HashMap;

/// Numbers streams in the order of their arrival. A hash alone is never trusted.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    labels: Vec<Labels>,
    /// By the hash of the labels; a stream whose hash is taken is in `others`.
    numbers: HashMap<u64, u32>,
    others: Vec<u32>,
    bytes: usize,
}

/// Roughly what a stream takes beside its labels.
const ENTRY_BYTES: usize = 64;

impl StreamTable {
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn labels(&self) -> &[Labels] {
        &self.labels
    }

    pub(crate) fn find(&self, labels: &[u8]) -> Option<u32> {
        let found = *self.numbers.get(&xxh3_64(labels))?;
        let is_same = |number: &u32| self.labels[*number as usize].as_bytes() == labels;
        Some(found).filter(is_same).or_else(|| self.others.iter().copied().find(is_same))
    }

    pub(crate) fn number(&mut self, labels: &Labels) -> u32 {
        self.find(labels.as_bytes()).unwrap_or_else(|| self.insert(labels.clone()))
    }

    fn insert(&mut self, labels: Labels) -> u32 {
        let number = self.labels.len() as u32;
        self.bytes += labels.as_bytes().len() + ENTRY_BYTES;
        let hash = xxh3_64(labels.as_bytes());
        match self.numbers.contains_key(&hash) {
            true => self.others.push(number),
            false => drop(self.numbers.insert(hash, number)),
        }
        self.labels.push(labels);
        number
    }
}
