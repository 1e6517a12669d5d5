//! What must outlive a restart: silences, and who was told what. docs/formats/alerting-state.md
//!
//! One file for all tenants, to which records are appended and synced. When most of what it holds is
//! outdated, what still counts is written to a new file (docs/adr/0024).
//!
//! Lives here: the file. `record`: its records as lines. `recorder`: the thread that writes, whose
//! callers share its syncs.
//! Invariants: a record is on the disk when [`RecordFile::append`] answers; a file that failed a write is
//! left, and a new one begun; a damaged line costs only itself and is told.

mod record;
mod recorder;

pub use record::Record;
pub use recorder::Recorder;

use crate::telemetry::DAMAGED_RECORDS;
use observe::Notice;
use platform::{AppendFile, Disk};
use record::RecordKey;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

const FOLDER: &str = "alerting";
const TEMPORARY: &str = "alerting/state.tmp";
const HEADER: &str = "mirador alerting state 1\n";
/// Far above what the records of all tenants take.
const FILE_MAX: u64 = 1 << 30;
/// A file is written anew when it is larger than this and twice what counts of it.
const COMPACT_BYTES: u64 = 1 << 20;

/// The newest record of each key, as its line.
type Live = BTreeMap<RecordKey, Line>;

#[derive(Clone, Debug)]
struct Line {
    text: String,
    /// From then on nobody needs it.
    ends_ms: i64,
}

#[derive(Debug)]
pub struct RecordFile {
    disk: Arc<dyn Disk>,
    number: u64,
    /// `None` after a write that failed.
    file: Option<Box<dyn AppendFile>>,
    bytes: u64,
    live_bytes: u64,
    live: Live,
}

impl RecordFile {
    /// Answers the records that still count too.
    pub fn open(disk: Arc<dyn Disk>, now_ms: i64) -> io::Result<(Self, Vec<Record>)> {
        let mut numbers: Vec<u64> =
            disk.list(FOLDER)?.iter().filter_map(|e| number(&e.name)).collect();
        numbers.sort_unstable();
        let newest = numbers.last().copied().unwrap_or(0);
        let mut records = BTreeMap::new();
        if newest > 0 {
            let bytes = disk.read_all(&path(newest), FILE_MAX)?;
            read(&bytes, &mut records)?;
        }
        records.retain(|_, record: &mut Record| record.ends_ms() > now_ms);
        let live = records.values().map(|record| (record.key(), line(record)));
        let live = live.collect();
        let mut file = Self { disk, number: newest, file: None, bytes: 0, live_bytes: 0, live };
        match file.begin(now_ms) {
            Ok(()) => {
                for old in numbers {
                    let _ = file.disk.remove(&path(old));
                }
            }
            // A server that starts on a full disk reads, and the next record tries again.
            Err(error) => {
                let text = "no file of silences and notifications can be begun yet";
                Notice::warn(text, &[("error", &error)]);
            }
        }
        Ok((file, records.into_values().collect()))
    }

    /// Writes and syncs. After an error the records may be on the disk or not; they are written again
    /// with the next ones.
    pub fn append(&mut self, records: &[Record], now_ms: i64) -> io::Result<()> {
        let lines: Vec<(RecordKey, Line)> =
            records.iter().map(|record| (record.key(), line(record))).collect();
        let text: String = lines.iter().map(|(_, line)| line.text.as_str()).collect();
        for (key, line) in lines {
            self.live_bytes += line.text.len() as u64;
            if let Some(old) = self.live.insert(key, line) {
                self.live_bytes = self.live_bytes.saturating_sub(old.text.len() as u64);
            }
        }
        let is_outdated = self.bytes > COMPACT_BYTES.max(self.live_bytes.saturating_mul(2));
        match &mut self.file {
            Some(file) if !is_outdated => {
                let written = file.append(text.as_bytes()).and_then(|()| file.sync());
                match &written {
                    Ok(()) => self.bytes += text.len() as u64,
                    Err(_) => self.file = None,
                }
                written
            }
            _ => self.begin(now_ms),
        }
    }

    /// Begins a file with what still counts, and leaves the one before it.
    fn begin(&mut self, now_ms: i64) -> io::Result<()> {
        self.file = None;
        self.live.retain(|_, line| line.ends_ms > now_ms);
        let mut text = HEADER.to_owned();
        self.live.values().for_each(|line| text.push_str(&line.text));
        self.disk.create_dirs(FOLDER)?;
        match self.disk.remove(TEMPORARY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.disk.create(TEMPORARY)?;
        file.append(text.as_bytes())?;
        file.sync()?;
        let next = self.number + 1;
        self.disk.rename_new(TEMPORARY, &path(next))?;
        self.disk.sync_dir(FOLDER)?;
        if self.number > 0 {
            // If it stays, the next start removes it: the newest number counts.
            let _ = self.disk.remove(&path(self.number));
        }
        (self.number, self.file) = (next, Some(file));
        (self.bytes, self.live_bytes) = (text.len() as u64, text.len() as u64);
        Ok(())
    }
}

fn path(number: u64) -> String {
    format!("{FOLDER}/state-{number:012}")
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("state-")?.parse().ok()
}

/// The checksum of the record, the record, a line end.
fn line(record: &Record) -> Line {
    let json = record.to_json();
    let text = format!("{:08x} {json}\n", codec::crc32c(json.as_bytes()));
    Line { text, ends_ms: record.ends_ms() }
}

fn read(bytes: &[u8], records: &mut BTreeMap<RecordKey, Record>) -> io::Result<()> {
    let Some(rest) = bytes.strip_prefix(HEADER.as_bytes()) else {
        let text =
            "the file of silences and notifications is of a version that this server does not know";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    };
    let mut damaged = 0;
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        match read_line(line) {
            Some(record) => {
                records.insert(record.key(), record);
            }
            // The end that a crash left behind was never answered.
            None if !line.ends_with(b"\n") => {}
            None => damaged += 1,
        }
    }
    if damaged > 0 {
        DAMAGED_RECORDS.add(damaged);
        let text = "records of silences or notifications are damaged: somebody may be told twice, and silences may be missing";
        Notice::error(text, &[("records", &damaged)]);
    }
    Ok(())
}

fn read_line(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, json) = line.split_once(' ')?;
    let is_whole = u32::from_str_radix(sum, 16).ok()? == codec::crc32c(json.as_bytes());
    if is_whole { Record::from_json(json) } else { None }
}

#[cfg(test)]
mod tests;
