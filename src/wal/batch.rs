//! A batch as bytes that do not depend on where they stand. See docs/formats/wal.md.

use crate::WalError;
use codec::{ByteReader, ByteWriter, crc32c};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use model::{Signal, TenantId};

/// What a payload may have at most, packed or not. Checked before memory is taken for it, when
/// writing and when reading.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

pub(crate) const BATCH_HEADER_BYTES: usize = 16;

/// Packing is only used where it makes a payload smaller, so this bounds every batch.
pub(crate) const BATCH_BYTES_MAX: usize =
    BATCH_HEADER_BYTES + TenantId::LENGTH_MAX + PAYLOAD_BYTES_MAX;

const VERSION: u8 = 1;

/// No LZ4 block unpacks to more than this for each of its bytes.
const LZ4_RATIO_MAX: usize = 255;

/// Shorter payloads have nothing to repeat.
const PACKABLE_BYTES_MIN: usize = 64;

/// One tenant's telemetry of one signal: the unit that is acknowledged and replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    pub tenant: &'a TenantId,
    pub signal: Signal,
    /// The version of the payload's own layout, which is the engine's business.
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
    /// Writes the batch behind what is in `out`. Packs only where that makes it smaller.
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

/// Answers false, and leaves `out` as it was, where packing gains nothing.
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

/// A batch as it was read, still packed.
#[derive(Clone, Copy, Debug)]
pub struct StoredBatch<'a> {
    pub signal: Signal,
    pub schema: u16,
    pub packing: Packing,
    /// Not a `TenantId` yet: making one takes memory.
    pub tenant: &'a str,
    pub payload_length: usize,
    pub stored: &'a [u8],
}

impl<'a> StoredBatch<'a> {
    /// Checks everything but what only unpacking can show.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WalError> {
        let malformed = |_| WalError::Corrupt { what: "it is cut short" };
        let mut reader = ByteReader::new(bytes);
        let crc = reader.u32().map_err(malformed)?;
        if crc32c(&bytes[4..]) != crc {
            return Err(WalError::Corrupt { what: "its checksum is wrong" });
        }
        let [version, signal, packing, tenant_length] = reader.array().map_err(malformed)?;
        if version != VERSION {
            return Err(newer("log batch version", version, VERSION));
        }
        let signal = Signal::from_code(signal)
            .ok_or_else(|| newer("log batch signal", signal, Signal::Traces.code()))?;
        let packing = match packing {
            0 => Packing::Plain,
            1 => Packing::Lz4,
            other => return Err(newer("log batch packing", other, Packing::Lz4 as u8)),
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

    /// The payload as it was given to the log. `room` is used where it was packed.
    pub fn unpack<'b>(&self, room: &'b mut Vec<u8>) -> Result<&'b [u8], WalError>
    where
        'a: 'b,
    {
        if self.packing == Packing::Plain {
            return Ok(self.stored);
        }
        if room.len() < self.payload_length {
            room.resize(self.payload_length, 0);
        }
        let room = &mut room[..self.payload_length];
        match decompress_into(self.stored, room) {
            Ok(length) if length == self.payload_length => Ok(room),
            _ => Err(WalError::Corrupt { what: "it does not unpack to its length" }),
        }
    }
}

fn newer(what: &'static str, found: u8, known: u8) -> WalError {
    WalError::Newer { what, found: found.into(), known: known.into() }
}
