//! Distinct texts, numbered in the order of their first appearance.

use crate::TextList;
use codec::SecretHash;

/// A table with open addressing over the texts themselves: no text is copied twice, and nothing is
/// allocated for each. Texts come from strangers, so the seed of the hash is not known to them.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    hash: SecretHash,
    texts: TextList,
    hashes: Vec<u32>,
    /// The number of a text + 1, or 0 in an empty slot.
    table: Vec<u32>,
}

const TABLE_MIN: usize = 16;

impl Interner {
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn texts(&self) -> &TextList {
        &self.texts
    }

    pub fn into_texts(self) -> TextList {
        self.texts
    }

    pub fn clear(&mut self) {
        self.texts.clear();
        self.hashes.clear();
        self.table.fill(0);
    }

    /// The memory that it takes.
    pub fn memory(&self) -> usize {
        self.texts.memory() + (self.hashes.capacity() + self.table.capacity()) * size_of::<u32>()
    }

    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        let hash = self.hash.of(text) as u32;
        let slot = self.slot(hash, text);
        self.table[slot].checked_sub(1)
    }

    /// The number of the text, which is new if it is the last one.
    pub fn number(&mut self, text: &[u8]) -> u32 {
        if self.texts.len() * 4 >= self.table.len() * 3 {
            self.grow();
        }
        let hash = self.hash.of(text) as u32;
        let slot = self.slot(hash, text);
        if let Some(known) = self.table[slot].checked_sub(1) {
            return known;
        }
        self.texts.push(text);
        self.hashes.push(hash);
        self.table[slot] = self.texts.len() as u32;
        self.texts.len() as u32 - 1
    }

    /// The slot of the text, or the empty one where it belongs.
    fn slot(&self, hash: u32, text: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(known) = self.table[slot].checked_sub(1) {
            let known = known as usize;
            if self.hashes[known] == hash && self.texts.get(known) == text {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(TABLE_MIN);
        self.table.clear();
        self.table.resize(size, 0);
        for (number, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & (size - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = number as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_texts_have_one_number(texts in prop::collection::vec("[ab]{0,4}", 0..200)) {
            let mut interner = Interner::default();
            let mut model: Vec<&str> = Vec::new();
            for text in &texts {
                let expected = model.iter().position(|known| known == text).unwrap_or(model.len());
                if expected == model.len() {
                    prop_assert_eq!(interner.find(text.as_bytes()), None);
                    model.push(text);
                }
                prop_assert_eq!(interner.number(text.as_bytes()) as usize, expected);
                prop_assert_eq!(interner.find(text.as_bytes()), Some(expected as u32));
            }
            prop_assert_eq!(interner.len(), model.len());
        }
    }
}
