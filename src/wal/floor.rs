//! Where a replay begins, when segments below are kept only for those who follow the write-ahead log.
//!
//! It stands in the name of an empty file, `<sequence>.floor`: changing it is a rename, which needs no
//! space on a full disk. Invariant: no engine needs a segment below it, so a lower one than the latest
//! only makes a start slower.

use platform::Disk;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

fn name(sequence: u64) -> String {
    format!("{sequence:016x}.floor")
}

fn parse(text: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(text.strip_suffix(".floor")?, 16).ok()?;
    (name(sequence) == text).then_some(sequence)
}

#[derive(Debug)]
pub(crate) struct Floor {
    disk: Arc<dyn Disk>,
    folder: String,
    /// `None` while there is no file. Held during I/O.
    sequence: Mutex<Option<u64>>,
}

impl Floor {
    /// Of two files the lower one counts.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &str) -> io::Result<Self> {
        let names = disk.list(folder)?;
        let mut found: Vec<u64> = names.iter().filter_map(|entry| parse(&entry.name)).collect();
        found.sort_unstable();
        let sequence = Mutex::new(found.first().copied());
        Ok(Self { disk, folder: folder.to_owned(), sequence })
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(0)
    }

    pub(crate) fn raise(&self, to: u64) -> io::Result<()> {
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        let path = |sequence| format!("{}/{}", self.folder, name(sequence));
        match *sequence {
            Some(now) if now >= to => return Ok(()),
            Some(now) => self.disk.rename(&path(now), &path(to))?,
            None => drop(self.disk.create(&path(to))?),
        }
        *sequence = Some(to);
        self.disk.sync_dir(&self.folder)
    }
}
