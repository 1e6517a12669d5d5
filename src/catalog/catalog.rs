//! The catalog: JSON values under text keys, durable before they are acknowledged, exported after a
//! change.
//!
//! A change is in the journal, synced, before it is in the store, and in both before it is acknowledged.

use crate::assembly::Assembly;
use crate::envelope::{self, STATE_KEY, State};
use crate::export;
use crate::journal::{self, Batch, Journal};
use crate::recovery::{self, Backend, DAMAGE_KEY, Opened};
use crate::store::{Change, Store};
use crate::{CatalogError, migrations, reserve, telemetry};
use platform::{Clock, Disk, DiskLock, RealDisk};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One day of hourly exports.
pub const EXPORTS_KEPT: usize = 24;
/// Users, rules and dashboards of a large site take a few megabytes.
pub const SIZE_ALARM_BYTES: u64 = 256 << 20;

const EXPORT_DELAY_MS: i64 = 5_000;
const EXPORT_EVERY_MS: i64 = 3_600_000;
const KEY_LENGTH_MAX: usize = 512;
const VALUE_LENGTH_MAX: usize = 16 << 20;
/// The catalog's own keys; callers may not write below this prefix.
const RESERVED: &str = "meta/";
const LOCK: &str = "lock";

#[derive(Debug)]
pub struct Catalog {
    disk: Arc<RealDisk>,
    clock: Arc<dyn Clock>,
    backend: Backend,
    store: Box<dyn Store>,
    inner: Mutex<Inner>,
    _lock: DiskLock,
}

#[derive(Debug)]
struct Inner {
    state: State,
    damage: Option<String>,
    /// `None` before the first change and after a failed one: then another file is begun.
    journal: Option<Journal>,
    /// The exports and the journal tell the whole content.
    is_covered: bool,
    /// Set by the first failed write: what the store then holds in memory may differ from its disk.
    stopped: bool,
    exported_sequence: Option<u64>,
    exported_ms: i64,
    /// The time of the first change since the last export.
    dirty_since_ms: Option<i64>,
    size_alarm: bool,
}

impl Catalog {
    /// Opens the catalog in the disk's folder, which must belong to it alone, and migrates its
    /// content to the current schema.
    pub fn open(
        disk: Arc<RealDisk>,
        backend: Backend,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CatalogError> {
        let locked = || CatalogError::Locked { folder: disk.root().display().to_string() };
        let lock = disk.lock(LOCK).map_err(CatalogError::io(LOCK))?.ok_or_else(locked)?;
        reserve::release_if_needed(&disk)?;
        let Opened { store, state, damage } = recovery::open(&disk, backend, clock.wall_ms())?;
        let assembly = Assembly::read(disk.as_ref())?;
        let exported_sequence = assembly.exports.last().copied();
        let is_new = state.sequence == 0 && assembly.exports.is_empty();
        let is_covered =
            is_new || assembly.assemble().is_ok_and(|told| told.sequence == state.sequence);
        let is_exported = is_covered && exported_sequence == Some(state.sequence);
        let inner = Inner {
            state,
            damage,
            journal: None,
            is_covered,
            stopped: false,
            exported_sequence,
            exported_ms: clock.wall_ms(),
            dirty_since_ms: (!is_exported).then(|| clock.wall_ms()),
            size_alarm: false,
        };
        telemetry::DEGRADED.set(f64::from(u8::from(inner.damage.is_some())));
        let inner = Mutex::new(inner);
        let catalog = Self { disk, clock, backend, store, inner, _lock: lock };
        migrations::run(&catalog)?;
        reserve::refill(&catalog.disk)?;
        Ok(catalog)
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// What was lost and why; `None` when nothing was. Show it wherever an administrator looks.
    pub fn damage(&self) -> Option<String> {
        self.inner().damage.clone()
    }

    /// Clears [`Catalog::damage`], after an administrator has read it and restored what was
    /// missing.
    pub fn acknowledge_damage(&self) -> Result<(), CatalogError> {
        self.apply(&[Change::Delete(DAMAGE_KEY.to_owned())])?;
        self.inner().damage = None;
        telemetry::DEGRADED.set(0.0);
        Ok(())
    }

    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CatalogError> {
        self.store.get(key)?.map(|sealed| read(key, &sealed)).transpose()
    }

    /// Every entry below the prefix, in the order of the keys.
    pub fn scan<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, CatalogError> {
        let found = self.store.scan_prefix(prefix)?;
        let entry = |(key, sealed): (String, Vec<u8>)| {
            let value = read(&key, &sealed)?;
            Ok((key, value))
        };
        found.into_iter().map(entry).collect()
    }

    /// Durable when it returns.
    pub fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<(), CatalogError> {
        self.write(vec![put(key, value)?])
    }

    /// Deleting a key that does not exist is no error.
    pub fn delete(&self, key: &str) -> Result<(), CatalogError> {
        self.write(vec![Change::Delete(key.to_owned())])
    }

    /// All changes or none; durable when it returns. Values must be JSON.
    pub fn write(&self, changes: Vec<Change>) -> Result<(), CatalogError> {
        for change in &changes {
            check(change)?;
        }
        self.apply(&changes)
    }

    /// Exports five seconds after a change and hourly, checks the size, and keeps the space that the
    /// next opening may need on a disk that fills. Call it about every second; most calls do nothing.
    pub fn maintain(&self, now_ms: i64) -> Result<(), CatalogError> {
        reserve::refill(&self.disk)?;
        if self.inner().export_is_due(now_ms) {
            self.export_now()?;
        }
        Ok(())
    }

    /// Writes an export and returns its path below the catalog's folder. Call it at shutdown and
    /// before any risky operation.
    pub fn export_now(&self) -> Result<String, CatalogError> {
        self.export(&mut self.inner())
    }

    fn export(&self, inner: &mut Inner) -> Result<String, CatalogError> {
        let now_ms = self.clock.wall_ms();
        inner.exported_ms = now_ms;
        let sequence = inner.state.sequence;
        let path = recovery::export_path(sequence);
        match self.write_export(inner, sequence, now_ms) {
            Ok(()) => {
                inner.exported_sequence = Some(sequence);
                inner.is_covered = true;
                inner.dirty_since_ms = None;
                telemetry::EXPORTS.increment();
            }
            Err(error) => {
                // Tried again after another delay, not on every call.
                inner.dirty_since_ms = Some(now_ms);
                observe::emit(&telemetry::ExportFailed { place: &path, error: &error });
                return Err(error);
            }
        }
        self.check_size(inner)?;
        Ok(path)
    }

    /// The journal's file is begun before: whoever finds an export alone knows that the journal behind
    /// it is lost.
    fn write_export(
        &self,
        inner: &mut Inner,
        sequence: u64,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        let disk = self.disk.as_ref();
        if inner.journal.as_ref().is_none_or(|journal| journal.base() != sequence) {
            inner.journal = None;
            inner.journal = Some(Journal::begin(disk, sequence)?);
        }
        recovery::write_export(disk, self.store.as_ref(), sequence, now_ms)?;
        self.prune()
    }

    /// Replaces the whole content by an export's. The old content is exported first. [`Tokens`] and
    /// [`Users`] hold copies in memory: open them again afterwards.
    ///
    /// [`Tokens`]: crate::Tokens
    /// [`Users`]: crate::Users
    pub fn import(&self, bytes: &[u8]) -> Result<(), CatalogError> {
        let export = export::decode(bytes)?;
        migrations::check_export(&export)?;
        self.export_now()?;
        let old = self.store.export()?;
        let mut changes: BTreeMap<String, Change> = old
            .into_iter()
            .filter(|(key, _)| key != STATE_KEY)
            .map(|(key, _)| (key.clone(), Change::Delete(key)))
            .collect();
        for (key, value) in export.entries {
            changes.insert(key.clone(), Change::Put(key, value));
        }
        self.apply(&changes.into_values().collect::<Vec<_>>())?;
        migrations::run(self)
    }

    pub fn size_bytes(&self) -> Result<u64, CatalogError> {
        size_of(self.disk.as_ref(), self.backend.as_str())
    }

    /// Writes the changes to the journal and to the store, as one batch with the state entry.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut inner = self.inner();
        if inner.stopped {
            return Err(CatalogError::Stopped);
        }
        if !reserve::has_space(&self.disk) {
            return Err(CatalogError::Full);
        }
        let (batch, state) = envelope::sealed_batch(self.store.as_ref(), inner.state, changes)?;
        self.journal(&mut inner, Batch { sequence: state.sequence, changes: changes.to_vec() })?;
        let written = self.store.batch(&batch).and_then(|()| self.store.flush());
        if let Err(error) = written {
            inner.stopped = true;
            let place = self.backend.as_str();
            observe::emit(&telemetry::WriteFailed { place, error: &error });
            if error.is_damage() {
                recovery::ask_for_rebuild(self.disk.as_ref());
            }
            return Err(error);
        }
        telemetry::WRITES.increment();
        inner.state = state;
        inner.dirty_since_ms.get_or_insert_with(|| self.clock.wall_ms());
        Ok(())
    }

    /// Makes a batch durable. After an error the store is as before, and the next batch gets a file of
    /// its own.
    fn journal(&self, inner: &mut Inner, batch: Batch) -> Result<(), CatalogError> {
        if !inner.is_covered {
            self.export(inner)?;
        }
        let mut journal = match inner.journal.take() {
            Some(journal) => journal,
            None => Journal::begin(self.disk.as_ref(), inner.state.sequence)?,
        };
        if let Err(error) = journal.append(&batch) {
            let place = journal::JOURNAL;
            observe::emit(&telemetry::JournalFailed { place, error: &error });
            return Err(error);
        }
        inner.journal = Some(journal);
        Ok(())
    }

    /// Removes old exports, and the journal before the oldest one that is kept.
    fn prune(&self) -> Result<(), CatalogError> {
        let disk = self.disk.as_ref();
        let all = recovery::export_sequences(disk)?;
        let (old, kept) = all.split_at(all.len().saturating_sub(EXPORTS_KEPT));
        for sequence in old {
            let path = recovery::export_path(*sequence);
            self.disk.remove(&path).map_err(CatalogError::io(&path))?;
        }
        kept.first().map_or(Ok(()), |oldest| journal::prune(disk, *oldest))
    }

    fn check_size(&self, inner: &mut Inner) -> Result<(), CatalogError> {
        let bytes = self.size_bytes()?;
        telemetry::BYTES.set(bytes as f64);
        let alarm = bytes > SIZE_ALARM_BYTES;
        if alarm && !inner.size_alarm {
            observe::emit(&telemetry::TooLarge { bytes });
        }
        inner.size_alarm = alarm;
        Ok(())
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.inner().state.sequence
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Changed only after the store has succeeded, so it is consistent even after a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn export_is_due(&self, now_ms: i64) -> bool {
        let passed = |since: i64, wait: i64| now_ms.saturating_sub(since) >= wait || now_ms < since;
        let changed = self.dirty_since_ms.is_some_and(|since| passed(since, EXPORT_DELAY_MS));
        changed || passed(self.exported_ms, EXPORT_EVERY_MS)
    }
}

/// A change that puts a value.
pub(crate) fn put<T: Serialize>(key: &str, value: &T) -> Result<Change, CatalogError> {
    let wrong = |error| CatalogError::Invalid(format!("value of {key} is not JSON: {error}"));
    Ok(Change::Put(key.to_owned(), serde_json::to_vec(value).map_err(wrong)?))
}

fn read<T: DeserializeOwned>(key: &str, sealed: &[u8]) -> Result<T, CatalogError> {
    let payload = envelope::open(key, sealed)?;
    let wrong = |error: serde_json::Error| CatalogError::damaged(key, error.to_string());
    serde_json::from_slice(payload).map_err(wrong)
}

fn check(change: &Change) -> Result<(), CatalogError> {
    let (Change::Put(key, _) | Change::Delete(key)) = change;
    let plain =
        !key.is_empty() && key.len() <= KEY_LENGTH_MAX && !key.chars().any(char::is_control);
    if !plain || key.starts_with(RESERVED) {
        return Err(CatalogError::Invalid(format!("{key:?} can't be a key of the catalog")));
    }
    let Change::Put(_, value) = change else { return Ok(()) };
    if value.len() > VALUE_LENGTH_MAX {
        return Err(CatalogError::Invalid(format!(
            "value of {key} is over {VALUE_LENGTH_MAX} bytes"
        )));
    }
    let wrong = |error| CatalogError::Invalid(format!("value of {key} is not JSON: {error}"));
    serde_json::from_slice::<IgnoredAny>(value).map(|_| ()).map_err(wrong)
}

fn size_of(disk: &dyn Disk, folder: &str) -> Result<u64, CatalogError> {
    let mut bytes = 0;
    for entry in disk.list(folder).map_err(CatalogError::io(folder))? {
        // sled keeps one level of folders (`blobs`); nothing goes deeper.
        bytes += match entry.is_dir {
            true => size_of(disk, &format!("{folder}/{}", entry.name))?,
            false => entry.len,
        };
    }
    Ok(bytes)
}
