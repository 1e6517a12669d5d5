//! Input that an attacker crafted.

use super::*;
use crate::segment::{FRAME_BYTES, HEADER_BYTES, place_frame};
use crate::{Packing, StoredBatch};
use codec::ByteWriter;
use proptest::prelude::*;

fn encoded(owned: &Owned, packing: Packing) -> Vec<u8> {
    let mut writer = ByteWriter::default();
    owned.batch().encode(packing, &mut writer).unwrap();
    writer.bytes
}

/// The batch's bytes after a change, with a checksum that fits them.
fn forged(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    let crc = codec::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A user who knows the bytes of a segment sends them as a payload. Then the frame around the
/// payload breaks, so that the reader searches for frames inside it.
#[test]
fn a_copy_of_a_frame_in_a_payload_is_never_a_batch() {
    let disk = SimDisk::new();
    let options = LogOptions { packing: Packing::Plain, segment_bytes: 1 << 20, ..options() };
    let (log, _) = try_open(&disk, options).unwrap();
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    let path = segment_paths(&disk).remove(0);
    let stolen = disk.contents(&path).unwrap()[HEADER_BYTES..].to_vec();
    let carrier = Owned::probe(&stolen.repeat(50));
    let at = log.append_wait(&carrier.batch()).unwrap();
    log.append_wait(&Owned::numbered(2).batch()).unwrap();
    for byte in [0, 4, 9] {
        disk.flip_bit(&path, (at.offset + byte) * 8).unwrap();
        let copy = SimDisk::new();
        copy.create_dirs("wal").unwrap();
        copy.overwrite(&path, &disk.contents(&path).unwrap()).unwrap();
        let (found, summary) = read(&copy);
        assert_eq!(batches(found), [1, 2].map(Owned::numbered));
        assert_eq!(summary.corrupt_ranges, 1);
        disk.flip_bit(&path, (at.offset + byte) * 8).unwrap();
    }
}

#[test]
fn a_lying_length_takes_no_memory() {
    let packed = encoded(&Owned::probe(&[7; 1_000]), Packing::Lz4);
    for claimed in [u32::MAX, 64 << 20, (64 << 20) + 1, 999, 1_001, 0] {
        let lie = forged(packed.clone(), |b| b[12..16].copy_from_slice(&claimed.to_le_bytes()));
        let mut room = Vec::new();
        let unpacked = StoredBatch::decode(&lie).and_then(|b| b.unpack(&mut room).map(<[u8]>::len));
        assert!(unpacked.is_err(), "{claimed}");
        assert!(room.len() <= 255 * lie.len());
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_not_skipped() {
    let plain = encoded(&Owned::numbered(1), Packing::Plain);
    for (index, value) in [(4, 2), (5, 9), (6, 2)] {
        let newer = forged(plain.clone(), |bytes| bytes[index] = value);
        assert!(matches!(StoredBatch::decode(&newer), Err(WalError::Newer { .. })));
        let disk = SimDisk::new();
        drop(open(&disk));
        let path = segment_paths(&disk).remove(0);
        let mut bytes = disk.contents(&path).unwrap();
        let salt = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
        let mut frame = [vec![0; FRAME_BYTES], newer].concat();
        place_frame(&mut frame, salt, bytes.len() as u64);
        bytes.extend(frame);
        disk.overwrite(&path, &bytes).unwrap();
        let (_log, mut replay) = open(&disk);
        assert!(matches!(replay.next_batch(), Err(WalError::Newer { .. })));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_batch_or_an_error(raw: Vec<u8>, good_checksum: bool) {
        let bytes = match good_checksum && raw.len() >= 4 {
            true => forged(raw, |_| {}),
            false => raw,
        };
        let mut room = Vec::new();
        if let Ok(batch) = StoredBatch::decode(&bytes) {
            let _ = batch.unpack(&mut room);
        }
        prop_assert!(room.len() <= 255 * bytes.len());
    }

    #[test]
    fn any_file_is_opened(raw in prop::collection::vec(any::<u8>(), 0..3_000), keep_header: bool) {
        let disk = SimDisk::new();
        drop(open(&disk));
        let path = segment_paths(&disk).remove(0);
        let mut bytes = disk.contents(&path).unwrap();
        bytes.truncate(if keep_header { HEADER_BYTES } else { 0 });
        bytes.extend(raw);
        disk.overwrite(&path, &bytes).unwrap();
        prop_assert!(read(&disk).0.is_empty());
    }
}
