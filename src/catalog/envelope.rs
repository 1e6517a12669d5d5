//! What stands around every stored value, and the state that says what the whole must be.
//!
//! The stores have checksums of their own, with gaps: sled takes a damaged tail for a torn one and
//! goes back in time without a word; redb looks at checksums only when it repairs. So each value
//! carries a checksum that includes its key, and one entry, written with every batch, says how many
//! entries there are, what they add up to, and how many batches there were.

use crate::CatalogError;
use codec::{ByteReader, ByteWriter, crc32c, crc32c_append, xxh3_64};

/// Where the [`State`] stands. Not part of the sum itself, nor of exports.
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
        return Err(CatalogError::damaged(key, "its checksum does not agree"));
    }
    Ok(payload)
}

fn checksum(key: &str, payload: &[u8]) -> u32 {
    crc32c_append(crc32c(key.as_bytes()), payload)
}

/// What all entries together must amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Rises with every batch, for the whole life of the catalog, over restores too.
    pub(crate) sequence: u64,
    pub(crate) entries: u64,
    /// XOR of the hashes of all entries: the same in any order, and cheap to keep up to date.
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
