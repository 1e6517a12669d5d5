//! ULIDs: 48 bits of milliseconds, 80 bits of randomness, 26 characters of Crockford's base 32.

use std::fmt;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of a part, a token or a tombstone. Making one needs a clock and randomness,
/// so `platform::Ids` makes them; it also keeps ids rising when the clock steps back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(pub u128);

impl Ulid {
    pub const TEXT_LENGTH: usize = 26;

    pub fn from_parts(millis: u64, randomness: u128) -> Self {
        Self((u128::from(millis & 0xFFFF_FFFF_FFFF) << 80) | (randomness & ((1 << 80) - 1)))
    }

    pub fn millis(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// Only the canonical form: upper case, 26 characters, no more than 128 bits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::TEXT_LENGTH || text.as_bytes()[0] > b'7' {
            return None;
        }
        text.bytes()
            .try_fold(0u128, |value, byte| {
                let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
                Some((value << 5) | digit as u128)
            })
            .map(Self)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; Self::TEXT_LENGTH];
        for (index, byte) in text.iter_mut().enumerate() {
            *byte = ALPHABET[((self.0 >> (125 - 5 * index)) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_and_sorts_like_the_number() {
        let ids = [0, 1, 31, 32, u128::from(u64::MAX), u128::MAX].map(Ulid);
        for pair in ids.windows(2) {
            assert!(pair[0].to_string() < pair[1].to_string());
        }
        for id in ids {
            assert_eq!(Ulid::parse(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn refuses_other_spellings() {
        for text in ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U", "0000"] {
            assert_eq!(Ulid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn carries_its_time() {
        assert_eq!(Ulid::from_parts(1_795_000_000_000, u128::MAX).millis(), 1_795_000_000_000);
    }
}
