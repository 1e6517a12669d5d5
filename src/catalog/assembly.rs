//! The catalog as its exports and its journal tell it, without the store: an export, and the batches of
//! changes that the journal has behind it. It is whole or refused; nothing acknowledged is left out.

use crate::export::Export;
use crate::journal::{Batch, Journals};
use crate::store::{Change, Entries};
use crate::{CatalogError, recovery, telemetry};
use platform::Disk;
use std::collections::BTreeMap;

/// The exports and the journal of a folder.
pub(crate) struct Assembly<'a> {
    disk: &'a dyn Disk,
    /// The numbers of the exports, in rising order.
    pub(crate) exports: Vec<u64>,
    pub(crate) journals: Journals,
}

/// The whole content.
pub(crate) struct Assembled {
    /// Values are not sealed.
    pub(crate) entries: Entries,
    pub(crate) sequence: u64,
    /// What it was put together from, for people.
    pub(crate) from: String,
}

impl<'a> Assembly<'a> {
    pub(crate) fn read(disk: &'a dyn Disk) -> Result<Self, CatalogError> {
        let (exports, journals) = (recovery::export_sequences(disk)?, Journals::read(disk)?);
        Ok(Self { disk, exports, journals })
    }

    pub(crate) fn newest_export(&self) -> u64 {
        self.exports.last().copied().unwrap_or(0)
    }

    /// From the newest readable export that the journal completes; or why there is none.
    pub(crate) fn assemble(&self) -> Result<Assembled, String> {
        let newest = self.newest_export();
        // The journal's file is begun before the export is written.
        if self.journals.last_base().is_none_or(|base| base < newest) {
            return Err(format!("the journal behind export {newest} is missing"));
        }
        let mut gap = None;
        for sequence in self.exports.iter().rev() {
            let path = recovery::export_path(*sequence);
            let completed = match recovery::read_export(self.disk, *sequence) {
                Ok(export) => self.complete(export, &path),
                Err(error) => {
                    observe::emit(&telemetry::ExportUnreadable { place: &path, error: &error });
                    Err(format!("{path} can't be read: {error}"))
                }
            };
            match completed {
                Ok(assembled) => return Ok(assembled),
                Err(why) => _ = gap.get_or_insert(why),
            }
        }
        let nothing = Export { sequence: 0, created_ms: 0, entries: Vec::new() };
        self.complete(nothing, "the beginning").map_err(|why| gap.unwrap_or(why))
    }

    fn complete(&self, export: Export, from: &str) -> Result<Assembled, String> {
        let newest = self.newest_export();
        let batches = self.journals.since(export.sequence)?;
        let sequence = batches.last().map_or(export.sequence, |batch| batch.sequence);
        if sequence < newest {
            return Err(format!("the journal ends at change {sequence}, an export has {newest}"));
        }
        let mut entries: BTreeMap<String, Vec<u8>> = export.entries.into_iter().collect();
        for Batch { changes, .. } in batches {
            for change in changes {
                match change {
                    Change::Put(key, value) => _ = entries.insert(key.clone(), value.clone()),
                    Change::Delete(key) => _ = entries.remove(key),
                }
            }
        }
        Ok(Assembled { entries: entries.into_iter().collect(), sequence, from: from.to_owned() })
    }
}
