//! The bytes of a segment: its file name, its header, the frame around a batch. See
//! docs/formats/wal.md.

use crate::WalError;
use codec::{ByteReader, ByteWriter, crc32c};

const MAGIC: &[u8; 8] = b"MIRADWAL";
const VERSION: u32 = 1;
const MARKER: [u8; 4] = [0xF5, 0x4D, 0x57, 0xA1];

/// The header takes 44 bytes. It is stored twice, in two sectors of 512 bytes.
const HEADER_COPY_BYTES: usize = 512;
const HEADER_USED_BYTES: usize = 44;

/// The offset of the first frame.
pub(crate) const HEADER_BYTES: usize = 2 * HEADER_COPY_BYTES;
/// The size of the frame header that precedes a batch.
pub(crate) const FRAME_BYTES: usize = 12;

pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{sequence:016x}.log")
}

/// Accepts only names that `segment_name` writes.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
    (segment_name(sequence) == name).then_some(sequence)
}

/// How a segment is linked to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentLinks {
    pub(crate) sequence: u64,
    pub(crate) previous: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    /// The segment that was written before; 0 if there is none, or a version without links wrote
    /// this one.
    pub(crate) previous: u64,
    pub(crate) salt: u64,
    pub(crate) created_ns: i64,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = ByteWriter::with_capacity(HEADER_COPY_BYTES);
        copy.raw(MAGIC);
        copy.u32(VERSION);
        copy.u32(self.distance());
        copy.u64(self.sequence);
        copy.u64(self.salt);
        copy.u64(self.created_ns as u64);
        copy.u32(crc32c(&copy.bytes));
        copy.bytes.resize(HEADER_COPY_BYTES, 0);
        copy.bytes.repeat(2)
    }

    pub(crate) fn links(&self) -> SegmentLinks {
        SegmentLinks { sequence: self.sequence, previous: self.previous }
    }

    /// From the previous segment, or 0.
    fn distance(&self) -> u32 {
        match self.previous {
            0 => 0,
            previous => u32::try_from(self.sequence - previous).unwrap_or(0),
        }
    }

    /// The first copy with a valid checksum; `None` if neither has one.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Option<Self>, WalError> {
        let copies = bytes.chunks(HEADER_COPY_BYTES);
        Ok(copies
            .map(Self::decode_copy)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .next())
    }

    fn decode_copy(bytes: &[u8]) -> Result<Option<Self>, WalError> {
        let (signed, crc) = bytes[..HEADER_USED_BYTES].split_at(HEADER_USED_BYTES - 4);
        if crc32c(signed).to_le_bytes() != crc || !signed.starts_with(MAGIC) {
            return Ok(None);
        }
        let mut reader = ByteReader::new(&signed[MAGIC.len()..]);
        let mut next = || reader.u32().expect("40 bytes hold all fields");
        let (version, distance) = (next(), next());
        if version != VERSION {
            return Err(WalError::Newer {
                what: "write-ahead log segment version",
                found: version,
                known: VERSION,
            });
        }
        let mut next = || reader.u64().expect("40 bytes hold all fields");
        let (sequence, salt, created_ns) = (next(), next(), next() as i64);
        let previous = match distance {
            0 => 0,
            _ => sequence.saturating_sub(u64::from(distance)),
        };
        Ok(Some(Self { sequence, previous, salt, created_ns }))
    }
}

/// Fills in the frame header in front of a batch once the batch's offset is known.
pub(crate) fn place_frame(frame: &mut [u8], salt: u64, offset: u64) {
    let (header, batch) = frame.split_at_mut(FRAME_BYTES);
    let batch_crc = batch.first_chunk().copied().unwrap_or_default();
    let length = batch.len() as u32;
    header[..4].copy_from_slice(&MARKER);
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..].copy_from_slice(&check(salt, offset, length, batch_crc).to_le_bytes());
}

/// The frame that ends an orderly closed segment.
pub(crate) fn seal(salt: u64, offset: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    place_frame(&mut frame, salt, offset);
    frame
}

/// The length of the batch behind the frame header at the start of `bytes`, if that header was
/// written for this segment and offset. `bytes` should hold the first 4 bytes of the batch too.
pub(crate) fn read_frame(bytes: &[u8], salt: u64, offset: u64) -> Option<u32> {
    let mut reader = ByteReader::new(bytes);
    let marker: [u8; 4] = reader.array().ok()?;
    let length = reader.u32().ok()?;
    let found = reader.u32().ok()?;
    if marker != MARKER {
        return None;
    }
    let batch_crc = if length == 0 { [0; 4] } else { reader.array().ok()? };
    (found == check(salt, offset, length, batch_crc)).then_some(length)
}

/// The first index at which a frame could begin.
pub(crate) fn find_marker(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let found = start + bytes[start..].iter().position(|byte| *byte == MARKER[0])?;
        if MARKER.starts_with(&bytes[found..bytes.len().min(found + MARKER.len())]) {
            return Some(found);
        }
        start = found + 1;
    }
}

fn check(salt: u64, offset: u64, length: u32, batch_crc: [u8; 4]) -> u32 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&salt.to_le_bytes());
    bytes[8..16].copy_from_slice(&offset.to_le_bytes());
    bytes[16..20].copy_from_slice(&length.to_le_bytes());
    bytes[20..].copy_from_slice(&batch_crc);
    crc32c(&bytes)
}
