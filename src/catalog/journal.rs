//! The journal: every change since an export, synced before it is acknowledged, so that an export and
//! what the journal has behind it are the whole catalog. `docs/formats/catalog-journal.md`.
//!
//! 1. A file `journal/<base>.journal` holds the batches of changes that follow the change number `base`.
//!    A new one is begun at each opening and before each export, so that no file is ever continued after
//!    a crash or a failed write.
//! 2. A batch of a file counts only up to the next file's base: what comes behind it was never
//!    acknowledged (its write failed), and its number was given to another batch.
//! 3. A crash can leave the last batch of a file incomplete. It was not acknowledged, and is left out.
//!    Any other batch that can't be read is damage, and the journal ends before it.

use crate::CatalogError;
use crate::store::Change;
use codec::{ByteReader, ByteWriter, DecodeError, crc32c};
use platform::{AppendFile, Disk};

pub(crate) const JOURNAL: &str = "journal";
const SUFFIX: &str = ".journal";
/// Where a file is made before it has its name.
const UNNAMED: &str = "journal/new";
pub(crate) const MAGIC: &[u8; 8] = b"MIRCATJ1";
/// Length of the payload, checksum of these four bytes, checksum of the payload.
const FRAME_BYTES: usize = 12;
/// Exports come every few seconds after a change, so files are small; an import is one batch.
const FILE_LENGTH_MAX: u64 = 1 << 30;
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// All changes of one write, with the number that the catalog has with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) sequence: u64,
    /// Values are not sealed.
    pub(crate) changes: Vec<Change>,
}

/// The file that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    base: u64,
    file: Box<dyn AppendFile>,
}

impl Journal {
    /// Begins the file of the changes behind `base`. It takes the place of one with the same base,
    /// in which nothing was acknowledged.
    pub(crate) fn begin(disk: &dyn Disk, base: u64) -> Result<Self, CatalogError> {
        let path = path_of(base);
        let make = || {
            disk.create_dirs(JOURNAL)?;
            match disk.remove(UNNAMED) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = disk.create(UNNAMED)?;
            file.append(MAGIC)?;
            file.sync()?;
            disk.rename(UNNAMED, &path)?;
            disk.sync_dir(JOURNAL)?;
            Ok(file)
        };
        let file = make().map_err(CatalogError::io(&path))?;
        Ok(Self { base, file })
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Durable when it returns. After an error nothing may follow in this file.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<(), CatalogError> {
        let bytes = encode(batch)?;
        let path = path_of(self.base);
        let written = self.file.append(&bytes).and_then(|()| self.file.sync());
        written.map_err(CatalogError::io(&path))
    }
}

/// What the files hold.
#[derive(Debug, Default)]
pub(crate) struct Journals(Vec<(u64, Content)>);

#[derive(Debug)]
struct Content {
    batches: Vec<Batch>,
    /// Why the file can't be read to its end.
    damage: Option<String>,
}

impl Journals {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, CatalogError> {
        let mut files = Vec::new();
        for base in bases(disk)? {
            let path = path_of(base);
            let bytes = disk.read_all(&path, FILE_LENGTH_MAX).map_err(CatalogError::io(&path))?;
            let (batches, damage) = decode(Some(base), &bytes);
            files.push((base, Content { batches, damage }));
        }
        Ok(Self(files))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The base of the newest file.
    pub(crate) fn last_base(&self) -> Option<u64> {
        self.0.last().map(|(base, _)| *base)
    }

    /// The highest number of a batch that can be read.
    pub(crate) fn last_sequence(&self) -> u64 {
        let all = self.0.iter().flat_map(|(_, content)| &content.batches);
        all.map(|batch| batch.sequence).max().unwrap_or(0)
    }

    /// All batches behind the change `from`, without a gap; or why they can't be told.
    pub(crate) fn since(&self, from: u64) -> Result<Vec<&Batch>, String> {
        let first = self.0.iter().rposition(|(base, _)| *base <= from);
        let first = first.ok_or_else(|| format!("the journal does not begin at change {from}"))?;
        let mut next = from.saturating_add(1);
        let mut found = Vec::new();
        for (index, (base, content)) in self.0.iter().enumerate().skip(first) {
            let end = self.0.get(index + 1).map_or(u64::MAX, |(base, _)| *base);
            for batch in content.batches.iter().filter(|batch| batch.sequence <= end) {
                if batch.sequence == next {
                    found.push(batch);
                    next = next.saturating_add(1);
                }
            }
            // What is damaged behind the last batch that counts does not matter.
            if let Some(damage) = &content.damage
                && (end == u64::MAX || next <= end)
            {
                return Err(format!("{}: {damage}", path_of(*base)));
            }
            if end != u64::MAX && next <= end {
                return Err(format!("the journal has no change {next}"));
            }
        }
        Ok(found)
    }
}

/// Removes the files that nothing needs which begins at the change `from` or behind it.
pub(crate) fn prune(disk: &dyn Disk, from: u64) -> Result<(), CatalogError> {
    let bases = bases(disk)?;
    for (base, _) in bases.iter().zip(bases.iter().skip(1)).filter(|(_, next)| **next <= from) {
        let path = path_of(*base);
        disk.remove(&path).map_err(CatalogError::io(&path))?;
    }
    Ok(())
}

/// Of the files, in rising order.
fn bases(disk: &dyn Disk) -> Result<Vec<u64>, CatalogError> {
    let listed = disk.list(JOURNAL).map_err(CatalogError::io(JOURNAL))?;
    let base = |name: &str| name.strip_suffix(SUFFIX)?.parse().ok();
    Ok(listed.iter().filter_map(|entry| base(&entry.name)).collect())
}

fn path_of(base: u64) -> String {
    format!("{JOURNAL}/{base:020}{SUFFIX}")
}

pub(crate) fn encode(batch: &Batch) -> Result<Vec<u8>, CatalogError> {
    let mut payload = ByteWriter::default();
    payload.u64(batch.sequence);
    payload.varint(batch.changes.len() as u64);
    for change in &batch.changes {
        match change {
            Change::Put(key, value) => {
                payload.u8(PUT);
                payload.text(key);
                payload.prefixed(value);
            }
            Change::Delete(key) => {
                payload.u8(DELETE);
                payload.text(key);
            }
        }
    }
    let too_long = |_| CatalogError::Invalid("too many changes for one write".to_owned());
    let length = u32::try_from(payload.bytes.len()).map_err(too_long)?.to_le_bytes();
    let mut frame = ByteWriter::with_capacity(FRAME_BYTES + payload.bytes.len());
    frame.raw(&length);
    frame.raw(&crc32c(&length).to_le_bytes());
    frame.raw(&crc32c(&payload.bytes).to_le_bytes());
    frame.raw(&payload.bytes);
    Ok(frame.bytes)
}

pub(crate) fn is_journal(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The batches of a file, and why there may be more that can't be read. The first batch must follow
/// `base`, if that is known.
pub(crate) fn decode(base: Option<u64>, bytes: &[u8]) -> (Vec<Batch>, Option<String>) {
    let mut batches: Vec<Batch> = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return (batches, Some("it does not begin as a journal does".to_owned()));
    };
    loop {
        match frame(rest) {
            Ok(None) => return (batches, None),
            Ok(Some((batch, behind))) => {
                let before = batches.last().map(|batch| batch.sequence).or(base);
                if before.is_some_and(|before| batch.sequence.checked_sub(1) != Some(before)) {
                    let found = batch.sequence;
                    return (batches, Some(format!("change {found} is out of order")));
                }
                batches.push(batch);
                rest = behind;
            }
            Err(what) => {
                let at = bytes.len() - rest.len();
                return (batches, Some(format!("the change at byte {at} {what}")));
            }
        }
    }
}

/// The first batch; `None` at the end of the file, and where a crash has cut a batch off.
fn frame(bytes: &[u8]) -> Result<Option<(Batch, &[u8])>, String> {
    // A file may have grown without its bytes.
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<FRAME_BYTES>() else { return Ok(None) };
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if number(4) != crc32c(&head[..4]) {
        return Err("has a length with a wrong checksum".to_owned());
    }
    let length = number(0) as usize;
    let Some((payload, behind)) = rest.split_at_checked(length) else { return Ok(None) };
    if number(8) != crc32c(payload) {
        return Err("has a wrong checksum".to_owned());
    }
    let batch = read(payload).map_err(|error| format!("can't be read: {error}"))?;
    Ok(Some((batch, behind)))
}

fn read(payload: &[u8]) -> Result<Batch, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let sequence = reader.u64()?;
    let mut changes = Vec::new();
    for _ in 0..reader.varint()? {
        let kind = reader.u8()?;
        let key = reader.text()?.to_owned();
        changes.push(match kind {
            PUT => Change::Put(key, reader.prefixed()?.to_vec()),
            DELETE => Change::Delete(key),
            _ => return Err(reader.value_error("kind of change")),
        });
    }
    reader.finish()?;
    Ok(Batch { sequence, changes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(sequence: u64) -> Batch {
        let changes = vec![
            Change::Put(format!("settings/{sequence}"), b"[1, \n2]".to_vec()),
            Change::Delete("tokens/x".to_owned()),
        ];
        Batch { sequence, changes }
    }

    fn file(sequences: &[u64]) -> Vec<u8> {
        let frames = sequences.iter().map(|sequence| encode(&batch(*sequence)).unwrap());
        frames.fold(MAGIC.to_vec(), |file, frame| [file, frame].concat())
    }

    fn journals(files: &[(u64, Vec<u8>)]) -> Journals {
        let read = |(base, bytes): &(u64, Vec<u8>)| {
            let (batches, damage) = decode(Some(*base), bytes);
            (*base, Content { batches, damage })
        };
        Journals(files.iter().map(read).collect())
    }

    fn since(journals: &Journals, from: u64) -> Result<Vec<u64>, String> {
        journals.since(from).map(|found| found.iter().map(|batch| batch.sequence).collect())
    }

    proptest! {
        #[test]
        fn any_bytes_are_batches_or_damage(bytes: Vec<u8>, sequence: u64) {
            decode(None, &bytes);
            decode(Some(sequence), &[&MAGIC[..], &bytes].concat());
            let _ = read(&bytes);
        }
    }

    #[test]
    fn batches_come_back_in_order_across_files() {
        let (batches, damage) = decode(Some(4), &file(&[5, 6]));
        assert_eq!((batches, damage), (vec![batch(5), batch(6)], None));
        let two = journals(&[(4, file(&[5, 6])), (6, file(&[7]))]);
        assert_eq!(since(&two, 4), Ok(vec![5, 6, 7]));
        assert_eq!(since(&two, 5), Ok(vec![6, 7]));
        assert_eq!(since(&two, 7), Ok(vec![]));
        assert!(since(&two, 3).unwrap_err().contains("does not begin"));
        let gap = journals(&[(4, file(&[5])), (6, file(&[7]))]);
        assert!(since(&gap, 4).unwrap_err().contains("no change 6"));
        assert_eq!(since(&gap, 6), Ok(vec![7]), "the gap lies before");
    }

    /// A write failed and was not acknowledged; another one took its number in the next file.
    #[test]
    fn what_lies_behind_the_next_files_base_does_not_count() {
        let mut torn = file(&[5, 6]);
        let two = journals(&[(4, torn.clone()), (5, file(&[6]))]);
        assert_eq!(since(&two, 4), Ok(vec![5, 6]));
        *torn.last_mut().unwrap() ^= 1;
        assert_eq!(since(&journals(&[(4, torn), (5, file(&[6]))]), 4), Ok(vec![5, 6]));
    }

    #[test]
    fn a_cut_batch_was_never_acknowledged_and_a_damaged_one_is_damage() {
        let whole = file(&[1, 2]);
        let first = file(&[1]).len();
        for length in MAGIC.len()..whole.len() {
            let (batches, damage) = decode(Some(0), &whole[..length]);
            assert_eq!(batches.len(), usize::from(length >= first), "cut to {length}");
            assert_eq!(damage, None, "cut to {length}");
        }
        assert_eq!(decode(Some(0), &[&file(&[1])[..], &[0; 40]].concat()), (vec![batch(1)], None));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (batches, damage) = decode(Some(0), &flipped);
            assert!(damage.is_some() && batches.len() < 2, "bit {bit}: {damage:?}");
        }
    }
}
