//! The series that windows are counted for, found by what tells them apart.
//!
//! Labels are put together once for each distinct series, not for each line. Series of several streams may
//! have equal labels.

use super::keys::KeyTable;
use crate::pipeline::labels::LineLabels;
use codec::SecretHash;
use model::{LabelChoice, Labels, write_label};
use query::{Portions, QueryError, Weight};

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

/// The labels of series, which are numbered in the order in which they are met.
#[derive(Debug)]
pub(crate) struct SeriesTable {
    grouping: Grouping,
    choice: LabelChoice,
    /// What tells lines of one stream apart, and the series of each; only where series have all labels
    /// but some.
    by_line: (KeyTable, Vec<u32>),
    /// The value of the label, where series have one label at most, else the canonical bytes of labels.
    keys: KeyTable,
    key: Vec<u8>,
}

impl SeriesTable {
    /// Tables of one hash are merged quickest.
    pub(crate) fn new(grouping: &Grouping, hash: SecretHash) -> Self {
        Self {
            grouping: grouping.clone(),
            choice: grouping.choice(),
            by_line: Default::default(),
            keys: KeyTable::new(hash),
            key: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of a line's series. Of a new one the weight is taken first.
    pub(crate) fn number(
        &mut self,
        stream: u32,
        labels: &LineLabels<'_>,
        portions: &mut Portions<'_>,
        weight: usize,
    ) -> Result<usize, QueryError> {
        if let Grouping::Only(_) = self.grouping {
            return self.resolve(labels, portions, weight);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&stream.to_le_bytes());
        labels.write_key(&mut key);
        let place = self.by_line.0.find(&key);
        let number = match place.number() {
            Some(known) => self.by_line.1[known] as usize,
            None => {
                portions.take(Weight::bytes(KeyTable::weight(&key) + 2 * size_of::<u32>()))?;
                let number = self.resolve(labels, portions, weight)?;
                self.by_line.0.insert(place, &key);
                self.by_line.1.push(number as u32);
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
    ) -> Result<usize, QueryError> {
        let Grouping::Only(names) = &self.grouping else {
            let choice = &self.choice;
            let chosen = portions.labels(labels.length(), || labels.series().chosen(choice))?;
            return self.of_key(chosen.as_bytes(), portions, weight);
        };
        if let [name] = &names[..] {
            return self.of_key(labels.value(name).as_bytes(), portions, weight);
        }
        if names.is_empty() && self.len() > 0 {
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
        let number = self.of_key(&key, portions, weight);
        self.key = key;
        number
    }

    /// The number of the series with this value of the only label that series have.
    #[inline]
    pub(crate) fn of_value(
        &mut self,
        value: &str,
        portions: &mut Portions<'_>,
        weight: usize,
    ) -> Result<usize, QueryError> {
        debug_assert!(matches!(&self.grouping, Grouping::Only(names) if names.len() == 1));
        self.of_key(value.as_bytes(), portions, weight)
    }

    #[inline]
    fn of_key(
        &mut self,
        key: &[u8],
        portions: &mut Portions<'_>,
        weight: usize,
    ) -> Result<usize, QueryError> {
        let place = self.keys.find(key);
        if let Some(number) = place.number() {
            return Ok(number);
        }
        portions.take(weight_of(key, weight))?;
        Ok(self.keys.insert(place, key))
    }

    pub(crate) fn labels(&self, number: usize) -> Labels {
        let key = self.keys.get(number);
        match &self.grouping {
            Grouping::Only(names) if names.len() == 1 => {
                let value = std::str::from_utf8(key).unwrap_or_default();
                Labels::from_pairs(names.iter().map(|name| (name.as_str(), value)))
            }
            _ => Labels::from_canonical(key),
        }
    }

    /// Takes in the series of another thread, and answers the numbers that they have here.
    pub(crate) fn merge(
        &mut self,
        other: &Self,
        portions: &mut Portions<'_>,
    ) -> Result<Vec<usize>, QueryError> {
        let mut numbers = vec![0; other.len()];
        self.keys.merge(&other.keys, |keys, number, key, place| {
            numbers[number] = match place.number() {
                Some(known) => known,
                None => {
                    portions.take(weight_of(key, 0))?;
                    keys.insert(place, key)
                }
            };
            Ok::<_, QueryError>(())
        })?;
        Ok(numbers)
    }
}

/// What a new series takes of memory. Labels are made of the key in the end.
fn weight_of(key: &[u8], weight: usize) -> Weight {
    Weight::bytes(weight + KeyTable::weight(key) + key.len())
}
