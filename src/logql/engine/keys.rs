//! Distinct keys, numbered in the order in which they are met.
//!
//! The bytes of all keys lie in one buffer and their places in one table, so that a key costs no
//! allocation. Keys may come from log lines, which strangers write: the seed of the hash is not known to
//! them.

use codec::SecretHash;

#[derive(Debug)]
pub(crate) struct KeyTable {
    hash: SecretHash,
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<usize>,
    /// As many as a power of two, some of them empty; a key lies in the first free one from its hash on.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    /// The number of the key + 1; 0 where the slot is empty.
    number: u32,
}

const SLOTS_MIN: usize = 16;

impl Default for KeyTable {
    fn default() -> Self {
        let slots = vec![Slot::default(); SLOTS_MIN];
        Self { hash: SecretHash::default(), bytes: Vec::new(), ends: Vec::new(), slots }
    }
}

impl KeyTable {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }

    /// What a key takes of memory: buffers that grow are at most half empty, and an old table is there
    /// while a new one is filled.
    pub(crate) fn weight(key: &[u8]) -> usize {
        2 * (key.len() + size_of::<usize>()) + 4 * size_of::<Slot>()
    }

    /// The number of a key, where it was inserted.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let number = self.slots[self.slot(self.hash(key), key)].number;
        number.checked_sub(1).map(|number| number as usize)
    }

    /// The number of a key, which is a new one.
    pub(crate) fn insert(&mut self, key: &[u8]) -> usize {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash(key);
        let (slot, number) = (self.slot(hash, key), self.len());
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.slots[slot] = Slot { hash, number: number as u32 + 1 };
        number
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u32 {
        self.hash.of(key) as u32
    }

    /// The slot of the key, or the empty one where it belongs.
    #[inline]
    fn slot(&self, hash: u32, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == 0 || slot.hash == hash && self.get(slot.number as usize - 1) == key {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        for slot in old.into_iter().filter(|slot| slot.number > 0) {
            let mut at = slot.hash as usize & (size - 1);
            while self.slots[at].number > 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_keys_have_one_number(keys in prop::collection::vec("[ab]{0,5}", 0..200)) {
            let mut table = KeyTable::default();
            let mut model: Vec<&str> = Vec::new();
            for key in &keys {
                let known = model.iter().position(|known| known == key);
                prop_assert_eq!(table.find(key.as_bytes()), known);
                if known.is_none() {
                    prop_assert_eq!(table.insert(key.as_bytes()), model.len());
                    model.push(key);
                }
            }
            let keys: Vec<&[u8]> = (0..table.len()).map(|number| table.get(number)).collect();
            prop_assert_eq!(keys, model.iter().map(|key| key.as_bytes()).collect::<Vec<_>>());
        }
    }
}
