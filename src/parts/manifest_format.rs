//! Encodes and decodes manifests. `docs/formats/manifest.md` draws the bytes.

use crate::PartError;
use crate::footer::{decode_signal, decode_tenant, decode_time};
use crate::manifest::{Damage, Manifest, PartInfo, QuarantinedPart, Tombstone};
use codec::{ByteReader, ByteWriter, DecodeError, crc32c};
use model::{Day, TimeRange, TimeUnit, Ulid, WalPosition};

pub const MANIFEST_FORMAT_VERSION: u16 = 1;

/// Holds a million parts. A manifest is read as a whole, so the length is checked before memory is
/// allocated.
pub(crate) const MANIFEST_LENGTH_MAX: u64 = 256 << 20;

const MAGIC: &[u8; 8] = b"MIRAMANI";
const CRC_LENGTH: usize = 4;

pub(crate) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut writer = ByteWriter::with_capacity(256 + manifest.parts.len() * 96);
    writer.raw(MAGIC);
    writer.u16(MANIFEST_FORMAT_VERSION);
    writer.u64(manifest.generation);
    writer.text(manifest.tenant.as_str());
    writer.u8(manifest.signal.code());
    writer.varint_signed(manifest.created_ms);
    writer.varint(manifest.covered.segment);
    writer.varint(manifest.covered.offset);
    write_list(&mut writer, &manifest.parts, write_part);
    write_list(&mut writer, &manifest.tombstones, write_tombstone);
    write_list(&mut writer, &manifest.quarantined, write_quarantined);
    write_list(&mut writer, &manifest.damage, write_damage);
    writer.prefixed(&manifest.engine_state);
    writer.u32(crc32c(&writer.bytes));
    writer.bytes
}

/// The checksum comes first: a bit flip in the version must be reported as damage, not as a newer
/// version.
pub(crate) fn decode(key: &str, bytes: &[u8]) -> Result<Manifest, PartError> {
    let (body, crc) = bytes
        .split_last_chunk::<CRC_LENGTH>()
        .ok_or_else(|| PartError::corrupt(key, "it is shorter than any manifest"))?;
    if crc32c(body) != u32::from_le_bytes(*crc) {
        return Err(PartError::corrupt(key, "its checksum does not match"));
    }
    let body = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| PartError::corrupt(key, "it does not begin like a manifest"))?;
    let mut reader = ByteReader::new(body);
    let version = reader.u16().map_err(PartError::decode(key))?;
    if version != MANIFEST_FORMAT_VERSION {
        let known = MANIFEST_FORMAT_VERSION;
        return Err(PartError::OtherFormat { key: key.to_owned(), version, known });
    }
    decode_body(reader).map_err(PartError::decode(key))
}

fn decode_body(mut reader: ByteReader<'_>) -> Result<Manifest, DecodeError> {
    let generation = reader.u64()?;
    let tenant = decode_tenant(&mut reader)?;
    let signal = decode_signal(&mut reader)?;
    let unit = signal.time_unit();
    let manifest = Manifest {
        generation,
        tenant,
        signal,
        created_ms: reader.varint_signed()?,
        covered: WalPosition { segment: reader.varint()?, offset: reader.varint()? },
        parts: read_list(&mut reader, |reader| read_part(reader, unit))?,
        tombstones: read_list(&mut reader, |reader| read_tombstone(reader, unit))?,
        quarantined: read_list(&mut reader, |reader| read_quarantined(reader, unit))?,
        damage: read_list(&mut reader, read_damage)?,
        engine_state: reader.prefixed()?.to_vec(),
    };
    if !manifest.parts.is_sorted_by(|a, b| a.id < b.id) {
        return Err(reader.value_error("parts are not in the order of their ids"));
    }
    reader.finish()?;
    Ok(manifest)
}

fn write_list<T>(writer: &mut ByteWriter, list: &[T], write: fn(&mut ByteWriter, &T)) {
    writer.varint(list.len() as u64);
    list.iter().for_each(|item| write(writer, item));
}

fn read_list<T>(
    reader: &mut ByteReader<'_>,
    read: impl Fn(&mut ByteReader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    // Every item takes at least one byte, so the count can't exceed the remaining bytes; memory
    // grows only with items that are really there.
    let count = reader.length(reader.remaining())?;
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(read(reader)?);
    }
    Ok(list)
}

fn write_part(writer: &mut ByteWriter, part: &PartInfo) {
    writer.u128(part.id.0);
    writer.varint(part.bytes);
    writer.u16(part.schema);
    writer.u8(part.level);
    writer.varint_signed(part.day.0);
    write_time(writer, part.time);
    writer.varint(part.rows);
    writer.varint(part.series);
    writer.varint(part.tombstones_applied);
    writer.prefixed(&part.bounds);
}

fn read_part(reader: &mut ByteReader<'_>, unit: TimeUnit) -> Result<PartInfo, DecodeError> {
    Ok(PartInfo {
        id: Ulid(reader.u128()?),
        bytes: reader.varint()?,
        schema: reader.u16()?,
        level: reader.u8()?,
        day: Day(reader.varint_signed()?),
        time: decode_time(reader, unit)?,
        rows: reader.varint()?,
        series: reader.varint()?,
        tombstones_applied: reader.varint()?,
        bounds: reader.prefixed()?.to_vec(),
    })
}

fn write_tombstone(writer: &mut ByteWriter, tombstone: &Tombstone) {
    writer.u128(tombstone.id.0);
    write_time(writer, tombstone.time);
    writer.prefixed(&tombstone.matcher);
    writer.varint_signed(tombstone.created_ms);
    writer.varint(tombstone.position.segment);
    writer.varint(tombstone.position.offset);
    writer.varint(tombstone.generation);
}

fn read_tombstone(reader: &mut ByteReader<'_>, unit: TimeUnit) -> Result<Tombstone, DecodeError> {
    Ok(Tombstone {
        id: Ulid(reader.u128()?),
        time: decode_time(reader, unit)?,
        matcher: reader.prefixed()?.to_vec(),
        created_ms: reader.varint_signed()?,
        position: WalPosition { segment: reader.varint()?, offset: reader.varint()? },
        generation: reader.varint()?,
    })
}

fn write_quarantined(writer: &mut ByteWriter, part: &QuarantinedPart) {
    write_part(writer, &part.info);
    writer.text(&part.reason);
    writer.varint_signed(part.since_ms);
}

fn read_quarantined(
    reader: &mut ByteReader<'_>,
    unit: TimeUnit,
) -> Result<QuarantinedPart, DecodeError> {
    Ok(QuarantinedPart {
        info: read_part(reader, unit)?,
        reason: reader.text()?.to_owned(),
        since_ms: reader.varint_signed()?,
    })
}

fn write_damage(writer: &mut ByteWriter, damage: &Damage) {
    writer.varint_signed(damage.found_ms);
    writer.text(&damage.text);
}

fn read_damage(reader: &mut ByteReader<'_>) -> Result<Damage, DecodeError> {
    Ok(Damage { found_ms: reader.varint_signed()?, text: reader.text()?.to_owned() })
}

fn write_time(writer: &mut ByteWriter, time: TimeRange) {
    writer.varint_signed(time.min);
    writer.varint_signed(time.max);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Signal, TenantId};
    use proptest::prelude::*;

    prop_compose! {
        fn part()(
            id: u128, bytes: u64, schema: u16, level: u8, day: i64, a: i64, b: i64, rows: u64,
            series: u64, tombstones_applied: u64, bounds: Vec<u8>,
        ) -> PartInfo {
            let time = TimeUnit::Nanos.between(a, b);
            let (id, day) = (Ulid(id), Day(day));
            PartInfo {
                id, bytes, schema, level, day, time, rows, series, tombstones_applied, bounds,
            }
        }
    }

    prop_compose! {
        fn manifest()(
            generation: u64, created_ms: i64, segment: u64, offset: u64,
            parts in prop::collection::btree_map(any::<u128>(), part(), 0..9),
            tombstones in prop::collection::vec((any::<u128>(), any::<Vec<u8>>()), 0..4),
            quarantined in prop::collection::vec((part(), any::<String>()), 0..4),
            damage in prop::collection::vec(any::<String>(), 0..3),
            engine_state: Vec<u8>,
        ) -> Manifest {
            let tombstone = |(id, matcher): (u128, Vec<u8>)| Tombstone {
                id: Ulid(id),
                time: TimeUnit::Nanos.at(id as i64),
                matcher,
                created_ms: 5,
                position: WalPosition { segment: 7, offset: 8 },
                generation: 6,
            };
            let set_apart = |(info, reason)| QuarantinedPart { info, reason, since_ms: -1 };
            Manifest {
                generation,
                tenant: TenantId::default_tenant(),
                signal: Signal::Logs,
                created_ms,
                covered: WalPosition { segment, offset },
                parts: parts.into_iter().map(|(id, p)| PartInfo { id: Ulid(id), ..p }).collect(),
                tombstones: tombstones.into_iter().map(tombstone).collect(),
                quarantined: quarantined.into_iter().map(set_apart).collect(),
                damage: damage.into_iter().map(|text| Damage { found_ms: 3, text }).collect(),
                engine_state,
            }
        }
    }

    proptest! {
        #[test]
        fn manifests_come_back(manifest in manifest()) {
            let bytes = encode(&manifest);
            prop_assert_eq!(decode("m", &bytes).unwrap(), manifest);
        }

        #[test]
        fn any_bytes_are_a_manifest_or_an_error(body: Vec<u8>) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([1, 0]);
            bytes.extend(body);
            bytes.extend(crc32c(&bytes).to_le_bytes());
            let _ = decode("m", &bytes);
            prop_assert!(decode("m", &bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_newer_version_is_not_damage() {
        let mut bytes = encode(&Manifest::empty(TenantId::default_tenant(), Signal::Logs));
        bytes[8] = 2;
        let body = bytes.len() - CRC_LENGTH;
        let crc = crc32c(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&crc);
        assert!(matches!(decode("m", &bytes), Err(PartError::OtherFormat { version: 2, .. })));
    }
}
