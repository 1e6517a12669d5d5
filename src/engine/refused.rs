//! The positions of refused batches: those that the replay could not apply.
//!
//! A manifest may cover positions after such a batch, so the manifest stores the batch's position:
//! the next start tries the batch again, and the write-ahead log is kept from that position on.
//! Layout: a version byte, a count, and per position two varints.

use crate::EngineError;
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{ErrorKind, WalPosition};
use std::collections::BTreeSet;

const VERSION: u8 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusedPositions(BTreeSet<WalPosition>);

impl RefusedPositions {
    pub(crate) fn add(&mut self, position: WalPosition) {
        self.0.insert(position);
    }

    pub(crate) fn remove(&mut self, position: WalPosition) {
        self.0.remove(&position);
    }

    pub(crate) fn contains(&self, position: WalPosition) -> bool {
        self.0.contains(&position)
    }

    pub(crate) fn lowest(&self) -> Option<WalPosition> {
        self.0.first().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Empty if nothing was refused, which is nearly always.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        if !self.0.is_empty() {
            writer.u8(VERSION);
            writer.varint(self.0.len() as u64);
            for position in &self.0 {
                writer.varint(position.segment);
                writer.varint(position.offset);
            }
        }
        writer.bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let read = || -> Result<Self, DecodeError> {
            let mut reader = ByteReader::new(bytes);
            let newer = reader.value_error("a list of refused batches of a newer version");
            if reader.u8()? != VERSION {
                return Err(newer);
            }
            let count = reader.length(reader.remaining() / 2)?;
            let mut position =
                || Ok(WalPosition { segment: reader.varint()?, offset: reader.varint()? });
            let all: Result<_, DecodeError> = (0..count).map(|_| position()).collect();
            let all = Self(all?);
            reader.finish()?;
            Ok(all)
        };
        read().map_err(|error| EngineError::new(ErrorKind::Corrupt, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_come_back(positions: BTreeSet<(u64, u64)>) {
            let positions = positions.into_iter();
            let all = positions.map(|(segment, offset)| WalPosition { segment, offset }).collect();
            let refused = RefusedPositions(all);
            prop_assert_eq!(RefusedPositions::decode(&refused.encode()).unwrap(), refused);
        }

        #[test]
        fn any_bytes_are_positions_or_an_error(bytes: Vec<u8>) {
            let _ = RefusedPositions::decode(&bytes);
        }
    }
}
