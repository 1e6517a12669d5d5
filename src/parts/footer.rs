//! The frame of a part file: header, footer, tail. `docs/formats/part.md` draws the bytes.

use crate::PartError;
use codec::{ByteReader, ByteWriter, DecodeError, crc32c_append};
use model::{Day, Signal, TenantId, TimeRange, TimeUnit, Ulid, WalPosition};

pub const PART_FORMAT_VERSION: u16 = 1;

pub(crate) const HEADER_LENGTH: usize = 16;
pub(crate) const TAIL_LENGTH: usize = 20;
/// The directory of `PAGES_MAX` pages with long keys fits.
pub(crate) const FOOTER_LENGTH_MAX: usize = 128 << 20;

const HEADER_MAGIC: &[u8; 8] = b"MIRAPART";
const TAIL_MAGIC: &[u8; 8] = b"TRAPARIM";
/// The most inputs that a merge names; far above the planner's fan-in.
const SOURCES_MAX: usize = 65_536;

/// What a part records about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartMeta {
    pub id: Ulid,
    pub tenant: TenantId,
    pub signal: Signal,
    pub summary: PartSummary,
}

/// What the engine records about a part that it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// The version of the engine's own layout inside the pages.
    pub schema: u16,
    /// How often its rows have been merged, 0 for a flush.
    pub level: u8,
    pub day: Day,
    /// First and last tick, both within the day.
    pub time: TimeRange,
    pub rows: u64,
    /// The number of series or streams.
    pub series: u64,
    /// Every tombstone up to this manifest generation has been applied to the rows of this part.
    pub tombstones_applied: u64,
    /// The position of the write-ahead log that the manifest covers once this part is published.
    pub covered: WalPosition,
    /// The parts that a merge made this one from.
    pub sources: Vec<Ulid>,
    /// For the engine: what rules the part out without opening it. Repeated in the manifest.
    pub bounds: Vec<u8>,
    /// For the engine: everything else.
    pub engine: Vec<u8>,
}

pub(crate) fn header() -> [u8; HEADER_LENGTH] {
    let mut writer = ByteWriter::with_capacity(HEADER_LENGTH);
    writer.raw(HEADER_MAGIC);
    writer.u16(PART_FORMAT_VERSION);
    writer.u16(0);
    writer.u32(crc32c_append(0, &writer.bytes[..12]));
    writer.bytes.try_into().expect("8 + 2 + 2 + 4 bytes were written")
}

/// Readers do not need the header (the tail repeats its content); only verifying a file checks it.
pub(crate) fn check_header(key: &str, bytes: &[u8]) -> Result<(), PartError> {
    if bytes == header() { Ok(()) } else { Err(PartError::corrupt(key, "its header is damaged")) }
}

pub(crate) fn encode_footer(meta: &PartMeta, directory: &[u8]) -> Vec<u8> {
    let summary = &meta.summary;
    let mut writer = ByteWriter::with_capacity(directory.len() + summary.engine.len() + 256);
    writer.u128(meta.id.0);
    writer.text(meta.tenant.as_str());
    writer.u8(meta.signal.code());
    writer.u16(summary.schema);
    writer.u8(summary.level);
    writer.varint_signed(summary.day.0);
    writer.varint_signed(summary.time.min);
    writer.varint_signed(summary.time.max);
    writer.varint(summary.rows);
    writer.varint(summary.series);
    writer.varint(summary.tombstones_applied);
    writer.varint(summary.covered.segment);
    writer.varint(summary.covered.offset);
    writer.varint(summary.sources.len() as u64);
    summary.sources.iter().for_each(|source| writer.u128(source.0));
    writer.prefixed(&summary.bounds);
    writer.prefixed(&summary.engine);
    writer.raw(directory);
    writer.bytes
}

/// The meta, and the offset in the footer where the directory begins.
pub(crate) fn decode_footer(footer: &[u8]) -> Result<(PartMeta, usize), DecodeError> {
    let mut reader = ByteReader::new(footer);
    let id = Ulid(reader.u128()?);
    let tenant = decode_tenant(&mut reader)?;
    let signal = decode_signal(&mut reader)?;
    let summary = PartSummary {
        schema: reader.u16()?,
        level: reader.u8()?,
        day: Day(reader.varint_signed()?),
        time: decode_time(&mut reader, signal.time_unit())?,
        rows: reader.varint()?,
        series: reader.varint()?,
        tombstones_applied: reader.varint()?,
        covered: WalPosition { segment: reader.varint()?, offset: reader.varint()? },
        sources: decode_sources(&mut reader)?,
        bounds: reader.prefixed()?.to_vec(),
        engine: reader.prefixed()?.to_vec(),
    };
    Ok((PartMeta { id, tenant, signal, summary }, reader.offset()))
}

fn decode_sources(reader: &mut ByteReader<'_>) -> Result<Vec<Ulid>, DecodeError> {
    let count = reader.length(SOURCES_MAX.min(reader.remaining() / 16))?;
    (0..count).map(|_| Ok(Ulid(reader.u128()?))).collect()
}

pub(crate) fn decode_tenant(reader: &mut ByteReader<'_>) -> Result<TenantId, DecodeError> {
    let wrong = reader.value_error("not a tenant id");
    TenantId::new(reader.text()?).map_err(|_| wrong)
}

pub(crate) fn decode_signal(reader: &mut ByteReader<'_>) -> Result<Signal, DecodeError> {
    let wrong = reader.value_error("not a signal");
    Signal::from_code(reader.u8()?).ok_or(wrong)
}

/// The files hold bare ticks: their signal says which unit.
pub(crate) fn decode_time(
    reader: &mut ByteReader<'_>,
    unit: TimeUnit,
) -> Result<TimeRange, DecodeError> {
    let wrong = reader.value_error("a time range that ends before it begins");
    unit.range(reader.varint_signed()?, reader.varint_signed()?).ok_or(wrong)
}

pub(crate) fn encode_tail(footer: &[u8]) -> [u8; TAIL_LENGTH] {
    let mut writer = ByteWriter::with_capacity(TAIL_LENGTH);
    writer.u32(footer.len() as u32);
    writer.u16(PART_FORMAT_VERSION);
    writer.u16(0);
    writer.u32(frame_crc(footer, &writer.bytes));
    writer.raw(TAIL_MAGIC);
    writer.bytes.try_into().expect("4 + 2 + 2 + 4 + 8 bytes were written")
}

/// One checksum over the footer and the numbers of the tail.
fn frame_crc(footer: &[u8], tail_numbers: &[u8]) -> u32 {
    crc32c_append(crc32c_append(0, footer), tail_numbers)
}

/// The decoded tail of a part file.
pub(crate) struct Tail {
    pub(crate) footer_length: usize,
    numbers: [u8; 8],
    version: u16,
    crc: u32,
}

impl Tail {
    pub(crate) fn decode(key: &str, bytes: &[u8; TAIL_LENGTH]) -> Result<Self, PartError> {
        if &bytes[12..] != TAIL_MAGIC {
            return Err(PartError::corrupt(key, "it does not end like a part"));
        }
        let mut reader = ByteReader::new(bytes);
        let mut numbers = [0; 8];
        numbers.copy_from_slice(&bytes[..8]);
        let footer_length = reader.u32().map_err(PartError::decode(key))? as usize;
        let version = reader.u16().map_err(PartError::decode(key))?;
        reader.u16().map_err(PartError::decode(key))?;
        let crc = reader.u32().map_err(PartError::decode(key))?;
        if footer_length > FOOTER_LENGTH_MAX {
            return Err(PartError::corrupt(key, "its footer is longer than any footer"));
        }
        Ok(Self { footer_length, numbers, version, crc })
    }

    /// The checksum comes first: a bit flip in the version must be reported as damage, not as a
    /// newer version.
    pub(crate) fn check(&self, key: &str, footer: &[u8]) -> Result<(), PartError> {
        if frame_crc(footer, &self.numbers) != self.crc {
            return Err(PartError::corrupt(key, "the checksum of its footer does not match"));
        }
        if self.version != PART_FORMAT_VERSION {
            let (version, known) = (self.version, PART_FORMAT_VERSION);
            return Err(PartError::OtherFormat { key: key.to_owned(), version, known });
        }
        Ok(())
    }
}
