//! The series that windows are counted for, found by what tells them apart.
//!
//! Labels are put together once for each distinct series, not for each line. Series of several streams may
//! have equal labels.

use crate::pipeline::labels::LineLabels;
use model::{LabelChoice, Labels, write_label};
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
}

/// Series by their labels, each with a value.
#[derive(Debug)]
pub(crate) struct SeriesTable<T> {
    grouping: Grouping,
    choice: LabelChoice,
    /// By what tells lines of one stream apart; only where series have all labels but some.
    by_line: HashMap<Vec<u8>, u32, KeyHash>,
    /// By the canonical bytes of labels.
    by_labels: HashMap<Vec<u8>, u32, KeyHash>,
    pub(crate) series: Vec<(Labels, T)>,
    key: Vec<u8>,
}

impl<T> SeriesTable<T> {
    /// A table of a hash map is at most half empty.
    const KEY: usize = 2 * size_of::<(Vec<u8>, u32)>();

    pub(crate) fn new(grouping: &Grouping) -> Self {
        Self {
            grouping: grouping.clone(),
            choice: grouping.choice(),
            by_line: HashMap::default(),
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
        if let Grouping::Only(_) = self.grouping {
            return self.resolve(labels, portions, weight, make);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&stream.to_le_bytes());
        labels.write_key(&mut key);
        let number = match self.by_line.get(&key) {
            Some(number) => *number as usize,
            None => {
                portions.take(Weight::bytes(key.len() + Self::KEY))?;
                let number = self.resolve(labels, portions, weight, make)?;
                self.by_line.insert(key.clone(), number as u32);
                number
            }
        };
        self.key = key;
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
        let Grouping::Only(names) = &self.grouping else {
            let choice = &self.choice;
            let chosen = portions.labels(labels.length(), || labels.series().chosen(choice))?;
            return self.of_labels(chosen.as_bytes(), portions, weight, make);
        };
        if names.is_empty() && !self.series.is_empty() {
            // The one series without labels.
            return Ok(0);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        // Sorted names make the canonical order.
        for (name, value) in names.iter().map(|name| (name, labels.value(name))) {
            if !value.is_empty() {
                write_label(name, value, &mut key);
            }
        }
        let number = self.of_labels(&key, portions, weight, make);
        self.key = key;
        number
    }

    fn of_labels(
        &mut self,
        canonical: &[u8],
        portions: &mut Portions<'_>,
        weight: usize,
        make: impl FnOnce() -> T,
    ) -> Result<usize, QueryError> {
        if let Some(number) = self.by_labels.get(canonical) {
            return Ok(*number as usize);
        }
        portions.take(Weight::bytes(weight + 2 * canonical.len() + Self::KEY))?;
        let number = self.series.len();
        self.by_labels.insert(canonical.to_vec(), number as u32);
        self.series.push((Labels::from_canonical(canonical), make()));
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
            match self.by_labels.get(labels.as_bytes()) {
                Some(number) => merge(&mut self.series[*number as usize].1, value),
                None => {
                    self.of_labels(labels.as_bytes(), portions, 0, || value)?;
                }
            }
        }
        Ok(())
    }
}
