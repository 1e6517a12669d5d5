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

/// Where a key is, or belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    slot: Slot,
    at: usize,
}

impl Place {
    /// The number of the key, where it was inserted.
    pub(crate) fn number(self) -> Option<usize> {
        self.slot.number.checked_sub(1).map(|number| number as usize)
    }
}

const SLOTS_MIN: usize = 16;

impl Default for KeyTable {
    fn default() -> Self {
        Self::new(SecretHash::default())
    }
}

impl KeyTable {
    /// Tables of one hash are merged without hashing keys again.
    pub(crate) fn new(hash: SecretHash) -> Self {
        let slots = vec![Slot::default(); SLOTS_MIN];
        Self { hash, bytes: Vec::new(), ends: Vec::new(), slots }
    }

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

    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Place {
        self.place(self.hash.of(key) as u32, key)
    }

    /// The number of a new key. `place`: what [`Self::find`] said, if nothing was inserted since.
    pub(crate) fn insert(&mut self, place: Place, key: &[u8]) -> usize {
        let Place { slot: Slot { hash, .. }, mut at } = place;
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
            at = self.free_slot(hash);
        }
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.slots[at] = Slot { hash, number: self.ends.len() as u32 };
        self.ends.len() - 1
    }

    /// Calls `each` with the number of every key of another table, in order, the key and its place here,
    /// until it fails.
    pub(crate) fn merge<E>(
        &mut self,
        other: &Self,
        mut each: impl FnMut(&mut Self, usize, &[u8], Place) -> Result<(), E>,
    ) -> Result<(), E> {
        let hashes = (self.hash.seed() == other.hash.seed()).then(|| other.hashes());
        for number in 0..other.len() {
            let key = other.get(number);
            let hash = hashes.as_ref().map_or_else(|| self.hash.of(key) as u32, |it| it[number]);
            let place = self.place(hash, key);
            each(self, number, key, place)?;
        }
        Ok(())
    }

    /// Of each key, by its number.
    fn hashes(&self) -> Vec<u32> {
        let mut hashes = vec![0; self.len()];
        for slot in self.slots.iter().filter(|slot| slot.number > 0) {
            hashes[slot.number as usize - 1] = slot.hash;
        }
        hashes
    }

    /// The slot of the key, or the empty one where it belongs.
    #[inline]
    fn place(&self, hash: u32, key: &[u8]) -> Place {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == 0 {
                return Place { slot: Slot { hash, number: 0 }, at };
            }
            if slot.hash == hash && self.get(slot.number as usize - 1) == key {
                return Place { slot, at };
            }
            at = (at + 1) & mask;
        }
    }

    fn free_slot(&self, hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].number > 0 {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        for slot in old.into_iter().filter(|slot| slot.number > 0) {
            let at = self.free_slot(slot.hash);
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
        fn equal_keys_have_one_number(
            keys in prop::collection::vec("[ab]{0,12}|[ab]{0,3}", 0..200), others in prop::collection::vec("[ab]{0,9}", 0..99),
            has_same_hash: bool,
        ) {
            let hash = SecretHash::with_seed(1);
            let mut table = KeyTable::new(hash);
            let mut model: Vec<&str> = Vec::new();
            for key in &keys {
                let known = model.iter().position(|known| known == key);
                let place = table.find(key.as_bytes());
                prop_assert_eq!(place.number(), known);
                if known.is_none() {
                    prop_assert_eq!(table.insert(place, key.as_bytes()), model.len());
                    model.push(key);
                }
            }
            let mut other =
                KeyTable::new(if has_same_hash { hash } else { SecretHash::with_seed(2) });
            for key in &others {
                let place = other.find(key.as_bytes());
                if place.number().is_none() {
                    other.insert(place, key.as_bytes());
                }
            }
            let merged: Result<(), ()> = table.merge(&other, |table, number, key, place| {
                assert_eq!(other.get(number), key);
                let known = model.iter().position(|known| known.as_bytes() == key);
                assert_eq!(place.number(), known);
                if known.is_none() {
                    assert_eq!(table.insert(place, key), model.len());
                    model.push(others.iter().find(|other| other.as_bytes() == key).unwrap());
                }
                Ok(())
            });
            prop_assert!(merged.is_ok());
            let keys: Vec<&[u8]> = (0..table.len()).map(|number| table.get(number)).collect();
            prop_assert_eq!(keys, model.iter().map(|key| key.as_bytes()).collect::<Vec<_>>());
        }
    }
}
