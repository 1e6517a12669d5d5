//! The age of parts.

use codec::{ByteReader, ByteWriter, DecodeError};
use model::WalPosition;
use parts::PartInfo;

/// Between which two positions of the write-ahead log a part's rows were written. Where newer rows
/// replace older ones, only parts that are neighbours in age may be merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    pub first: WalPosition,
    pub last: WalPosition,
}

impl Age {
    /// The age of a part that a flush up to this position writes.
    pub fn at(position: WalPosition) -> Self {
        Self { first: position, last: position }
    }

    /// Encoded as in the bounds of a part.
    pub fn encode(self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.u8(1);
        for position in [self.first, self.last] {
            writer.varint(position.segment);
            writer.varint(position.offset);
        }
        writer.bytes
    }

    pub fn decode(bounds: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bounds);
        let newer = reader.value_error("the age of a newer version");
        if reader.u8()? != 1 {
            return Err(newer);
        }
        let mut position =
            || Ok(WalPosition { segment: reader.varint()?, offset: reader.varint()? });
        let age = Self { first: position()?, last: position()? };
        let reversed = reader.value_error("a part's age that ends before it begins");
        if age.last < age.first {
            return Err(reversed);
        }
        Ok(age)
    }

    /// Reads the age of a part. It can't fail: parts with an unreadable age were quarantined when
    /// the tenant was opened, and this process writes none.
    pub fn of(part: &PartInfo) -> Self {
        Self::decode(&part.bounds).expect("`check` has refused parts without a readable age")
    }

    /// Why the age of a part can't be read, if so. Such a part is not used: with a guessed age, an
    /// older row could win over a newer one.
    pub(crate) fn check(part: &PartInfo) -> Result<(), String> {
        let age = Self::decode(&part.bounds);
        age.map(|_| ()).map_err(|error| format!("its age can't be read: {error}"))
    }

    pub fn union(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ages_come_back(mut ends: [(u64, u64); 2]) {
            ends.sort_unstable();
            let [first, last] = ends.map(|(segment, offset)| WalPosition { segment, offset });
            let age = Age { first, last };
            prop_assert_eq!(Age::decode(&age.encode()), Ok(age));
        }

        #[test]
        fn bytes_that_are_no_age_are_an_error(bytes: Vec<u8>) {
            if let Ok(age) = Age::decode(&bytes) {
                prop_assert!(age.first <= age.last);
            }
        }
    }

    #[test]
    fn an_unreadable_age_is_never_the_oldest_one() {
        assert!(Age::decode(&[]).is_err());
        assert!(Age::decode(&[2, 0, 0, 0, 0]).is_err(), "of a newer version");
        assert!(Age::decode(&[1, 5, 0, 4, 0]).is_err(), "ends before it begins");
    }
}
