//! The series that windows are counted for, found by what tells them apart.
//!
//! Labels are put together once for each distinct series of a stream, not for each line: a key of bytes
//! (`by_key`) leads to the series. Series of several streams may have equal labels (`by_labels`).

use crate::pipeline::labels::LineLabels;
use model::{BytesHash, LabelChoice, Labels};
use query::{Portions, QueryError, Weight};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Hashes keys that come from log lines, which strangers may write: the seed is not known to them.
#[derive(Clone, Debug)]
pub(crate) struct KeyHash(u64);

impl Default for KeyHash {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Which labels of a line tell series apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Sorted.
    Only(Vec<String>),
    /// Sorted.
    AllBut(Vec<String>),
}

impl Grouping {
    pub(crate) fn choice(&self) -> LabelChoice {
        match self {
            Self::Only(names) => LabelChoice::only(names.iter().map(String::as_str)),
            Self::AllBut(names) => LabelChoice::all_but(names.iter().map(String::as_str)),
        }
    }

    /// Whether a field of this name may be a label of a series, under its own name or renamed.
    pub(crate) fn may_keep(&self, field: &str) -> bool {
        let is_listed = |names: &[String]| names.iter().any(|name| name == field);
        match self {
            Self::Only(names) => names.iter().any(|name| {
                name == field
                    || name.strip_suffix(crate::pipeline::labels::EXTRACTED) == Some(field)
            }),
            Self::AllBut(names) => !is_listed(names),
        }
    }

    /// Writes what tells a line's series apart from others.
    pub(crate) fn write_key(&self, stream: u32, labels: &LineLabels<'_>, key: &mut Vec<u8>) {
        match self {
            Self::Only(names) => {
                for name in names {
                    let value = labels.value(name);
                    key.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    key.extend_from_slice(value.as_bytes());
                }
            }
            Self::AllBut(_) => {
                key.extend_from_slice(&stream.to_le_bytes());
                labels.write_key(key);
            }
        }
    }
}

/// Series by their labels, each with a value.
#[derive(Debug)]
pub(crate) struct SeriesTable<T> {
    grouping: Grouping,
    choice: LabelChoice,
    by_key: HashMap<Vec<u8>, u32, KeyHash>,
    by_labels: HashMap<Labels, u32, BytesHash>,
    pub(crate) series: Vec<(Labels, T)>,
    key: Vec<u8>,
}

impl<T> SeriesTable<T> {
    /// A table of a hash map is at most half empty.
    const KEY: usize = 2 * size_of::<(Vec<u8>, u32)>();
    const LABELS: usize = 2 * size_of::<(Labels, u32)>();

    pub(crate) fn new(grouping: &Grouping) -> Self {
        Self {
            grouping: grouping.clone(),
            choice: grouping.choice(),
            by_key: HashMap::default(),
            by_labels: HashMap::default(),
            series: Vec::new(),
            key: Vec::new(),
        }
    }

    /// The number of a line's series. A new one gets what `make` makes, whose weight is taken first.
    pub(crate) fn number(
        &mut self,
        stream: u32,
        labels: &LineLabels<'_>,
        portions: &mut Portions<'_>,
        weight: usize,
        make: impl FnOnce() -> T,
    ) -> Result<usize, QueryError> {
        self.key.clear();
        self.grouping.write_key(stream, labels, &mut self.key);
        if let Some(number) = self.by_key.get(&self.key) {
            return Ok(*number as usize);
        }
        portions.take(Weight::bytes(self.key.len() + Self::KEY))?;
        let number = self.resolve(labels, portions, weight, make)?;
        self.by_key.insert(self.key.clone(), number as u32);
        Ok(number)
    }

    /// As [`Self::number`], for callers that ask once for each series of a stream.
    pub(crate) fn resolve(
        &mut self,
        labels: &LineLabels<'_>,
        portions: &mut Portions<'_>,
        weight: usize,
        make: impl FnOnce() -> T,
    ) -> Result<usize, QueryError> {
        let choice = &self.choice;
        let chosen = portions.labels(labels.length(), || labels.series().chosen(choice))?;
        self.of_labels(chosen, portions, weight, make)
    }

    fn of_labels(
        &mut self,
        labels: Labels,
        portions: &mut Portions<'_>,
        weight: usize,
        make: impl FnOnce() -> T,
    ) -> Result<usize, QueryError> {
        if let Some(number) = self.by_labels.get(&labels) {
            return Ok(*number as usize);
        }
        portions.take(Weight::bytes(weight + Self::LABELS))?;
        let number = self.series.len();
        self.by_labels.insert(labels.clone(), number as u32);
        self.series.push((labels, make()));
        Ok(number)
    }

    /// Takes in what another thread has collected.
    pub(crate) fn merge(
        &mut self,
        other: Self,
        portions: &mut Portions<'_>,
        merge: impl Fn(&mut T, T),
    ) -> Result<(), QueryError> {
        for (labels, value) in other.series {
            match self.by_labels.get(&labels) {
                Some(number) => merge(&mut self.series[*number as usize].1, value),
                None => {
                    self.of_labels(labels, portions, 0, || value)?;
                }
            }
        }
        Ok(())
    }
}
