//! Deletes of single traces.

use crate::error::StoreError;
use crate::kind::{TraceHead, Traces};
use codec::{ByteReader, ByteWriter, DecodeError};
use engine::{EngineError, View};
use model::{ErrorKind, Ulid};
use parts::{Manifest, Tombstone};
use std::collections::HashSet;

const VERSION: u8 = 1;

/// All spans of these traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceDelete {
    pub trace_ids: Vec<[u8; 16]>,
}

impl TraceDelete {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.u8(VERSION);
        writer.varint(self.trace_ids.len() as u64);
        self.trace_ids.iter().for_each(|id| writer.raw(id));
        writer.bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        Self::read(bytes).map_err(|error| EngineError::new(ErrorKind::Corrupt, error))
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let newer = reader.value_error("a delete of a newer version");
        if reader.u8()? != VERSION {
            return Err(newer);
        }
        let count = reader.length(reader.remaining() / 16)?;
        let trace_ids = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { trace_ids })
    }
}

/// A delete of which parts may still hold spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDelete {
    pub id: Ulid,
    pub created_ms: i64,
    pub trace_ids: Vec<[u8; 16]>,
}

impl KnownDelete {
    pub(crate) fn of(tombstone: &Tombstone) -> Result<Self, EngineError> {
        let trace_ids = TraceDelete::decode(&tombstone.matcher)?.trace_ids;
        Ok(Self { id: tombstone.id, created_ms: tombstone.created_ms, trace_ids })
    }
}

/// The traces that a reader of a head or part leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deleted(HashSet<[u8; 16]>);

impl Deleted {
    pub(crate) fn of_part(manifest: &Manifest, part: Ulid) -> Result<Self, StoreError> {
        let info = manifest.part(part);
        info.map_or(Ok(Self::default()), |info| Self::read(manifest.tombstones_for(info)))
    }

    pub(crate) fn of_head(view: &View<Traces>, head: &TraceHead) -> Result<Self, StoreError> {
        Self::read(view.tombstones_of(head))
    }

    fn read<'t>(tombstones: impl Iterator<Item = &'t Tombstone>) -> Result<Self, StoreError> {
        let mut ids = HashSet::new();
        for tombstone in tombstones {
            ids.extend(TraceDelete::decode(&tombstone.matcher)?.trace_ids);
        }
        Ok(Self(ids))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, trace_id: &[u8; 16]) -> bool {
        self.0.contains(trace_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn deletes_come_back(trace_ids: Vec<[u8; 16]>, bytes: Vec<u8>) {
            let delete = TraceDelete { trace_ids };
            prop_assert_eq!(TraceDelete::decode(&delete.encode()).unwrap(), delete);
            let _ = TraceDelete::decode(&bytes);
        }
    }
}
