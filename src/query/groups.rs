//! Groups of series whose chosen labels are equal, numbered in the order in which they are met.

use model::{BytesHash, LabelChoice, Labels};
use std::collections::HashMap;

#[derive(Debug)]
pub(crate) struct LabelGroups {
    pub(crate) choice: LabelChoice,
    numbers: HashMap<Vec<u8>, usize, BytesHash>,
    /// The key of the latest labels; its memory is reused.
    key: Vec<u8>,
}

impl LabelGroups {
    pub(crate) fn new(choice: LabelChoice) -> Self {
        Self { choice, numbers: HashMap::default(), key: Vec::new() }
    }

    /// The number of the labels' group. A new group has the number of groups before it.
    pub(crate) fn number(&mut self, labels: &Labels) -> usize {
        self.key.clear();
        labels.write_key(&self.choice, &mut self.key);
        if let Some(number) = self.numbers.get(&self.key) {
            return *number;
        }
        self.number_of_key(self.key.clone())
    }

    /// The number of the group with this key.
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
