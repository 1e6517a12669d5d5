//! The envelope around every stored value, and the state entry that describes the whole content.
//!
//! The stores' own checksums have gaps: sled takes a damaged tail for a torn one and silently goes
//! back in time; redb checks checksums only when it repairs. So each value carries a checksum that
//! includes its key, and one entry, written with every batch, holds the number of entries, a sum
//! over them, and the number of batches.

use crate::CatalogError;
use crate::store::{Change, Store};
use codec::{ByteReader, ByteWriter, crc32c, crc32c_append, xxh3_64};
use std::collections::BTreeMap;

/// The key of the [`State`]. It is not part of the sum, nor of exports.
pub(crate) const STATE_KEY: &str = "meta/state";

const VALUE_VERSION: u8 = 1;

/// `version 1 byte | CRC32C of key and payload, 4 bytes | payload`
pub(crate) fn seal(key: &str, payload: &[u8]) -> Vec<u8> {
    let mut writer = ByteWriter::with_capacity(payload.len() + 5);
    writer.u8(VALUE_VERSION);
    writer.u32(checksum(key, payload));
    writer.raw(payload);
    writer.bytes
}

pub(crate) fn open<'a>(key: &str, sealed: &'a [u8]) -> Result<&'a [u8], CatalogError> {
    let mut reader = ByteReader::new(sealed);
    let short = |_| CatalogError::damaged(key, "it is too short");
    let version = reader.u8().map_err(short)?;
    let crc = reader.u32().map_err(short)?;
    let payload = &sealed[reader.offset()..];
    if version != VALUE_VERSION || crc != checksum(key, payload) {
        return Err(CatalogError::damaged(key, "its checksum does not match"));
    }
    Ok(payload)
}

fn checksum(key: &str, payload: &[u8]) -> u32 {
    crc32c_append(crc32c(key.as_bytes()), payload)
}

/// The number of entries, their sum, and the number of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Grows with every batch, for the whole life of the catalog, across restores too.
    pub(crate) sequence: u64,
    pub(crate) entries: u64,
    /// XOR of the hashes of all entries: independent of their order, and cheap to update.
    pub(crate) sum: u64,
}

impl State {
    pub(crate) fn add(&mut self, key: &str, sealed: &[u8]) {
        self.entries += 1;
        self.sum ^= entry_hash(key, sealed);
    }

    pub(crate) fn remove(&mut self, key: &str, sealed: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum ^= entry_hash(key, sealed);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::with_capacity(24);
        writer.u64(self.sequence);
        writer.u64(self.entries);
        writer.u64(self.sum);
        seal(STATE_KEY, &writer.bytes)
    }

    pub(crate) fn decode(sealed: &[u8]) -> Result<Self, CatalogError> {
        let mut reader = ByteReader::new(open(STATE_KEY, sealed)?);
        let mut number =
            || reader.u64().map_err(|e| CatalogError::damaged(STATE_KEY, e.to_string()));
        Ok(Self { sequence: number()?, entries: number()?, sum: number()? })
    }
}

/// A write as the store gets it: its values sealed, and the state entry that belongs to it.
pub(crate) fn sealed_batch(
    store: &dyn Store,
    mut state: State,
    changes: &[Change],
) -> Result<(Vec<Change>, State), CatalogError> {
    let mut last = BTreeMap::new();
    for change in changes {
        let (Change::Put(key, _) | Change::Delete(key)) = change;
        last.insert(key.as_str(), change);
    }
    let mut batch = Vec::with_capacity(last.len() + 1);
    for (key, change) in last {
        if let Some(old) = store.get(key)? {
            state.remove(key, &old);
        }
        batch.push(match change {
            Change::Put(key, value) => {
                let bytes = seal(key, value);
                state.add(key, &bytes);
                Change::Put(key.clone(), bytes)
            }
            Change::Delete(key) => Change::Delete(key.clone()),
        });
    }
    state.sequence += 1;
    batch.push(Change::Put(STATE_KEY.to_owned(), state.encode()));
    Ok((batch, state))
}

fn entry_hash(key: &str, sealed: &[u8]) -> u64 {
    let mut writer = ByteWriter::with_capacity(key.len() + sealed.len() + 4);
    writer.text(key);
    writer.raw(sealed);
    xxh3_64(&writer.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_value_is_under_its_checksum() {
        let sealed = seal("users/a", b"{}");
        assert_eq!(open("users/a", &sealed).unwrap(), b"{}");
        assert!(open("users/b", &sealed).is_err(), "a value belongs to its key");
        for bit in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(open("users/a", &bytes).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open("users/a", &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn the_state_does_not_depend_on_the_order() {
        let (mut a, mut b) = (State::default(), State::default());
        a.add("x", b"1");
        a.add("y", b"2");
        b.add("y", b"2");
        b.add("z", b"3");
        b.add("x", b"1");
        b.remove("z", b"3");
        assert_eq!(a, b);
        assert_eq!(State::decode(&a.encode()).unwrap(), a);
    }
}
