//! The bytes of one batch, which do not depend on where in a segment they stand. See
//! docs/formats/wal.md.

use crate::WalError;
use codec::{ByteReader, ByteWriter, crc32c};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use model::{Signal, TenantId};

/// The most bytes that a payload may have, packed or not. Writer and reader check it before they
/// allocate.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

pub(crate) const BATCH_HEADER_BYTES: usize = 16;

/// A payload is stored packed only where that makes it smaller, so this bounds every batch.
pub(crate) const BATCH_BYTES_MAX: usize =
    BATCH_HEADER_BYTES + TenantId::LENGTH_MAX + PAYLOAD_BYTES_MAX;

const VERSION: u8 = 1;

/// An LZ4 block unpacks to at most this many bytes for each of its bytes.
const LZ4_RATIO_MAX: usize = 255;

/// Shorter payloads are not packed: they hold too few repetitions.
const PACKABLE_BYTES_MIN: usize = 64;

/// One tenant's telemetry of one signal: the unit that is acknowledged and replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    pub tenant: &'a TenantId,
    pub signal: Signal,
    /// The version of the payload's own layout, which only the engine knows.
    pub schema: u16,
    pub payload: &'a [u8],
}

/// How a payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Packing {
    Plain = 0,
    Lz4 = 1,
}

impl Batch<'_> {
    /// Appends the batch to `out`. Packs the payload only where that makes it smaller.
    pub fn encode(&self, packing: Packing, out: &mut ByteWriter) -> Result<(), WalError> {
        let length = self.payload.len();
        check_size(length, PAYLOAD_BYTES_MAX)?;
        let start = out.len();
        out.u32(0);
        out.u8(VERSION);
        out.u8(self.signal.code());
        out.u8(Packing::Plain as u8);
        out.u8(self.tenant.as_str().len() as u8);
        out.u16(self.schema);
        out.u16(0);
        out.u32(length as u32);
        out.raw(self.tenant.as_str().as_bytes());
        if packing == Packing::Lz4 && pack(self.payload, &mut out.bytes) {
            out.bytes[start + 6] = Packing::Lz4 as u8;
        } else {
            out.raw(self.payload);
        }
        let crc = crc32c(&out.bytes[start + 4..]);
        out.bytes[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

pub(crate) fn check_size(size: usize, limit: usize) -> Result<(), WalError> {
    if size > limit {
        return Err(WalError::TooLarge { size: size as u64, limit: limit as u64 });
    }
    Ok(())
}

/// Appends the packed payload to `out`. Returns false, with `out` as it was, if packing saves
/// nothing.
fn pack(payload: &[u8], out: &mut Vec<u8>) -> bool {
    if payload.len() < PACKABLE_BYTES_MIN {
        return false;
    }
    let start = out.len();
    out.resize(start + get_maximum_output_size(payload.len()), 0);
    let packed = compress_into(payload, &mut out[start..]).unwrap_or(usize::MAX);
    let smaller = packed < payload.len();
    out.truncate(if smaller { start + packed } else { start });
    smaller
}

/// A batch as read from a segment, its payload still packed.
#[derive(Clone, Copy, Debug)]
pub struct StoredBatch<'a> {
    pub signal: Signal,
    pub schema: u16,
    pub packing: Packing,
    /// Not a `TenantId` yet, because making one allocates.
    pub tenant: &'a str,
    pub payload_length: usize,
    pub stored: &'a [u8],
}

impl<'a> StoredBatch<'a> {
    /// Checks everything that can be checked without unpacking the payload.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WalError> {
        let malformed = |_| WalError::Corrupt { what: "it is truncated" };
        let mut reader = ByteReader::new(bytes);
        let crc = reader.u32().map_err(malformed)?;
        if crc32c(&bytes[4..]) != crc {
            return Err(WalError::Corrupt { what: "its checksum is wrong" });
        }
        let [version, signal, packing, tenant_length] = reader.array().map_err(malformed)?;
        if version != VERSION {
            return Err(newer("write-ahead log batch version", version, VERSION));
        }
        let signal = Signal::from_code(signal)
            .ok_or_else(|| newer("write-ahead log batch signal", signal, Signal::Traces.code()))?;
        let packing = match packing {
            0 => Packing::Plain,
            1 => Packing::Lz4,
            other => return Err(newer("write-ahead log batch packing", other, Packing::Lz4 as u8)),
        };
        let schema = reader.u16().map_err(malformed)?;
        reader.u16().map_err(malformed)?;
        let payload_length = reader.u32().map_err(malformed)? as usize;
        let tenant = reader.bytes(tenant_length.into()).map_err(malformed)?;
        let tenant = std::str::from_utf8(tenant)
            .map_err(|_| WalError::Corrupt { what: "its tenant is not text" })?;
        let stored = reader.bytes(reader.remaining()).map_err(malformed)?;
        let batch = Self { signal, schema, packing, tenant, payload_length, stored };
        batch.check_length()?;
        Ok(batch)
    }

    fn check_length(&self) -> Result<(), WalError> {
        check_size(self.payload_length, PAYLOAD_BYTES_MAX)?;
        let possible = match self.packing {
            Packing::Plain => self.payload_length == self.stored.len(),
            Packing::Lz4 => self.payload_length <= self.stored.len() * LZ4_RATIO_MAX,
        };
        possible.then_some(()).ok_or(WalError::Corrupt { what: "its length is impossible" })
    }

    /// The payload as it was passed to [`Log::append`](crate::Log::append). A packed payload is
    /// unpacked into `buffer`.
    pub fn unpack<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], WalError>
    where
        'a: 'b,
    {
        if self.packing == Packing::Plain {
            return Ok(self.stored);
        }
        if buffer.len() < self.payload_length {
            buffer.resize(self.payload_length, 0);
        }
        let buffer = &mut buffer[..self.payload_length];
        match decompress_into(self.stored, buffer) {
            Ok(length) if length == self.payload_length => Ok(buffer),
            _ => Err(WalError::Corrupt { what: "it does not unpack to its length" }),
        }
    }
}

fn newer(what: &'static str, found: u8, known: u8) -> WalError {
    WalError::Newer { what, found: found.into(), known: known.into() }
}
