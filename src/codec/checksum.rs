//! CRC32C against bad bytes, XXH3 for identity. Both have frozen specifications, so both may stand
//! in files; the hash with a secret seed may not.

use std::hash::{BuildHasher, RandomState};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// CRC32C (Castagnoli) of the bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Continues the CRC32C of the bytes before these.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

pub fn xxh3_64(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

pub fn xxh3_128(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}

/// A hash for tables whose keys strangers may choose: they don't know the seed, which differs from value
/// to value, and so can't make keys collide. In a file a hash is of use only with its seed beside it.
#[derive(Clone, Copy, Debug)]
pub struct SecretHash {
    seed: u64,
}

impl Default for SecretHash {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0) }
    }
}

impl SecretHash {
    /// The hash that had this seed before.
    pub fn with_seed(seed: u64) -> Self {
        Self { seed }
    }

    pub fn seed(self) -> u64 {
        self.seed
    }

    #[inline]
    pub fn of(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.seed)
    }

    /// Wide enough to stand for the bytes.
    pub fn wide(self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the two specifications: files written today must be readable for ever.
    #[test]
    fn values_are_those_of_the_specifications() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c_append(crc32c(b"1234"), b"56789"), 0xE306_9283);
        assert_eq!(xxh3_64(b""), 0x2D06_8005_38D3_94C2);
        assert_eq!(xxh3_128(b""), 0x99AA_06D3_0147_98D8_6001_C324_468D_497F);
    }
}
