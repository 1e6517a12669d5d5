//! Groups of series whose chosen labels are equal, numbered in the order in which they are met.
//!
//! Invariant: the key of a group is taken from the query's memory before it is kept.

use crate::error::QueryError;
use crate::holding::{Portions, Weight};
use model::{BytesHash, LabelChoice, Labels};
use std::collections::HashMap;

#[derive(Debug)]
pub struct LabelGroups {
    choice: LabelChoice,
    numbers: HashMap<Vec<u8>, usize, BytesHash>,
    /// The key of the latest labels; its memory is reused.
    key: Vec<u8>,
}

impl LabelGroups {
    /// A table of a hash map is at most half empty.
    const ENTRY: usize = 2 * size_of::<(Vec<u8>, usize)>();

    pub fn new(choice: LabelChoice) -> Self {
        Self { choice, numbers: HashMap::default(), key: Vec::new() }
    }

    pub fn choice(&self) -> &LabelChoice {
        &self.choice
    }

    /// The number of the labels' group. A new group has the number of groups before it.
    pub fn number(
        &mut self,
        labels: &Labels,
        portions: &mut Portions<'_>,
    ) -> Result<usize, QueryError> {
        if let Some(number) = self.find(labels) {
            return Ok(number);
        }
        portions.take(Weight::bytes(self.key.len() + Self::ENTRY))?;
        Ok(self.number_of_key(self.key.clone()))
    }

    /// The number of the labels' group, where there is one.
    pub fn find(&mut self, labels: &Labels) -> Option<usize> {
        self.key.clear();
        labels.write_key(&self.choice, &mut self.key);
        self.numbers.get(&self.key).copied()
    }

    /// The number of the group with this key, which other groups have taken from the query's memory.
    pub(crate) fn number_of_key(&mut self, key: Vec<u8>) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(key).or_insert(next)
    }

    /// The keys of all groups, in the order of their numbers.
    pub(crate) fn into_keys(self) -> impl Iterator<Item = Vec<u8>> {
        let mut keys: Vec<(Vec<u8>, usize)> = self.numbers.into_iter().collect();
        keys.sort_unstable_by_key(|(_, number)| *number);
        keys.into_iter().map(|(key, _)| key)
    }
}
