//! Describes the content of a segment for `mirador inspect wal FILE`.

use crate::reader::{Opened, SegmentReader, Step};
use crate::replay::decode_batch;
use crate::segment::parse_segment_name;
use crate::{Packing, WalError};
use model::{Signal, TenantId};
use platform::Disk;
use std::fmt;

/// One item of a segment, in the order of the file.
#[derive(Clone, Debug)]
pub enum Inspected {
    Header {
        sequence: u64,
        created_ns: i64,
    },
    /// No valid header: the segment's creation was interrupted, or nothing in the file can be
    /// verified.
    NoHeader {
        bytes: u64,
    },
    Batch(InspectedBatch),
    /// A frame with valid checksums around a batch that this version can't decode.
    Strange {
        offset: u64,
        error: WalError,
    },
    Seal {
        offset: u64,
    },
    Corrupt {
        offset: u64,
        bytes: u64,
    },
    TornTail {
        offset: u64,
        bytes: u64,
    },
}

#[derive(Clone, Debug)]
pub struct InspectedBatch {
    pub offset: u64,
    pub tenant: TenantId,
    pub signal: Signal,
    pub schema: u16,
    pub packing: Packing,
    pub stored_bytes: usize,
    pub payload_bytes: usize,
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { sequence, created_ns } => {
                write!(f, "segment {sequence:016x}, created {created_ns} ns after 1970")
            }
            Self::NoHeader { bytes } => write!(f, "no valid header in {bytes} bytes"),
            Self::Batch(batch) => batch.fmt(f),
            Self::Strange { offset, error } => write!(f, "{offset:>10} strange: {error}"),
            Self::Seal { offset } => write!(f, "{offset:>10} seal"),
            Self::Corrupt { offset, bytes } => write!(f, "{offset:>10} corrupt, {bytes} bytes"),
            Self::TornTail { offset, bytes } => write!(f, "{offset:>10} torn tail, {bytes} bytes"),
        }
    }
}

impl fmt::Display for InspectedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, tenant, signal, schema, .. } = self;
        write!(f, "{offset:>10} ok tenant={tenant} signal={signal} schema={schema} ")?;
        let packing = match self.packing {
            Packing::Plain => "plain",
            Packing::Lz4 => "lz4",
        };
        write!(f, "payload={} stored={} {packing}", self.payload_bytes, self.stored_bytes)
    }
}

/// Calls `visit` for every item in one segment file. Damage is an item; only a failing disk or a
/// file of a newer format is an error.
pub fn inspect(
    disk: &dyn Disk,
    path: &str,
    visit: &mut dyn FnMut(Inspected),
) -> Result<(), WalError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut reader = match SegmentReader::open(disk, path, parse_segment_name(name))? {
        Opened::Segment(reader) => reader,
        Opened::Unborn { bytes } | Opened::Unreadable { bytes } => {
            visit(Inspected::NoHeader { bytes });
            return Ok(());
        }
    };
    let header = reader.header;
    visit(Inspected::Header { sequence: header.sequence, created_ns: header.created_ns });
    let failed = |error| WalError::io("read", path, error);
    loop {
        visit(match reader.step().map_err(failed)? {
            Step::Batch { offset, length } => {
                describe(offset, reader.batch(offset, length).map_err(failed)?)
            }
            Step::Seal { offset } => Inspected::Seal { offset },
            Step::Corrupt { offset, bytes } => Inspected::Corrupt { offset, bytes },
            Step::TornTail { offset, bytes } => Inspected::TornTail { offset, bytes },
            Step::End => return Ok(()),
        });
    }
}

fn describe(offset: u64, bytes: &[u8]) -> Inspected {
    let mut tenant = TenantId::default_tenant();
    match decode_batch(bytes, &mut tenant, &mut Vec::new()) {
        Err(error) => Inspected::Strange { offset, error },
        Ok(stored) => Inspected::Batch(InspectedBatch {
            offset,
            tenant,
            signal: stored.signal,
            schema: stored.schema,
            packing: stored.packing,
            stored_bytes: stored.stored.len(),
            payload_bytes: stored.payload_length,
        }),
    }
}
