//! Opens a catalog in whatever state it is, or reports why it can't. It is never silently empty and
//! never silently older than it was.
//!
//! 1. On sled, the remains of an interrupted snapshot (`snap.*.generating`) go to quarantine,
//!    because sled takes them for a snapshot and refuses to open.
//! 2. Open, and compare everything with the state entry and with the newest export's number. Take from
//!    the journal what the store does not have.
//! 3. If that fails and the store is sled, its snapshots go to quarantine, sled replays its own
//!    log, and step 2 is tried again. Then write the state entry unchanged: if a store can be read
//!    but not written, its content moves to a new one. Nothing is lost by that.
//! 4. If reading fails, the content is put together from an export and the journal (assembly.rs), the
//!    store goes to quarantine, and a new one takes its place. Nothing is lost by that either; an event
//!    and a metric tell of it.
//! 5. If the journal has a gap or is damaged, opening fails, and every file stays where it is: a catalog
//!    that is older than it was would lose users and bring back revoked tokens. An operator who moves the
//!    journal away decides for the newest export.
//! 6. Without any journal (in a snapshot, or moved away) the newest readable export takes the place of a
//!    store that can't be read, and the catalog reports it (event, metric, `Catalog::damage`) until an
//!    administrator acknowledges it. If there is none, opening fails.
//!
//! A machine that refuses (no space, no permission, a lock) is not damage: opening fails with that
//! error, and nothing is moved.

use crate::assembly::{Assembled, Assembly};
use crate::envelope::{self, STATE_KEY, State};
use crate::export::{self, Export};
use crate::redb_store::RedbStore;
use crate::sled_store::SledStore;
use crate::store::Store;
use crate::{CatalogError, telemetry};
use platform::{Disk, RealDisk};

pub(crate) const EXPORTS: &str = "exports";
pub(crate) const DAMAGE_KEY: &str = "meta/damage";
const QUARANTINE: &str = "quarantine";
/// Written once the store exists: from then on, an empty store is a damaged one.
const MARKER: &str = "backend";
/// Written when a write found damage that reading had not found: the next opening rebuilds the
/// store.
const REBUILD: &str = "rebuild";
const EXPORT_SUFFIX: &str = ".jsonl.zst";
const EXPORT_LENGTH_MAX: u64 = 256 << 20;

/// The embedded store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    #[default]
    Sled,
    Redb,
}

impl Backend {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sled, Self::Redb].into_iter().find(|backend| backend.as_str() == name)
    }

    /// The bare store in `<folder>/<backend>`, without the catalog's checks: for tests and tools.
    pub fn open(self, disk: &RealDisk) -> Result<Box<dyn Store>, CatalogError> {
        disk.create_dirs(self.as_str()).map_err(CatalogError::io(self.as_str()))?;
        let folder = disk.root().join(self.as_str());
        Ok(match self {
            Self::Sled => Box::new(SledStore::open(&folder)?),
            Self::Redb => Box::new(RedbStore::open(&folder.join("catalog.redb"))?),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Box<dyn Store>,
    pub(crate) state: State,
    pub(crate) damage: Option<String>,
}

pub(crate) fn open(disk: &RealDisk, backend: Backend, now_ms: i64) -> Result<Opened, CatalogError> {
    let opening = Opening { disk, backend, now_ms, assembly: Assembly::read(disk)? };
    // A marker that names no known backend is damaged, and is treated as missing.
    match opening.marker()?.as_deref().and_then(Backend::from_name) {
        Some(made_by) if made_by != backend => {
            let text = format!(
                "the catalog was made with {} and can't be opened with {}: set the backend back, \
                 or export, move the folder away, and import",
                made_by.as_str(),
                backend.as_str()
            );
            Err(CatalogError::Invalid(text))
        }
        Some(_) => opening.existing(),
        None => opening.fresh(),
    }
}

/// The numbers of the exports on disk, in rising order.
pub(crate) fn export_sequences(disk: &dyn Disk) -> Result<Vec<u64>, CatalogError> {
    let listed = disk.list(EXPORTS).map_err(CatalogError::io(EXPORTS))?;
    let sequence = |name: &str| name.strip_suffix(EXPORT_SUFFIX)?.parse().ok();
    Ok(listed.iter().filter_map(|entry| sequence(&entry.name)).collect())
}

pub(crate) fn export_path(sequence: u64) -> String {
    format!("{EXPORTS}/{sequence:020}{EXPORT_SUFFIX}")
}

pub(crate) fn read_export(disk: &dyn Disk, sequence: u64) -> Result<Export, CatalogError> {
    let path = export_path(sequence);
    let bytes = disk.read_all(&path, EXPORT_LENGTH_MAX).map_err(CatalogError::io(&path))?;
    export::decode(&bytes)
}

/// Compares the whole content with the state entry and returns the state.
pub(crate) fn verify(store: &dyn Store) -> Result<State, CatalogError> {
    let mut found = State::default();
    let mut wanted = None;
    for (key, sealed) in store.export()? {
        if key == STATE_KEY {
            wanted = Some(State::decode(&sealed)?);
            continue;
        }
        envelope::open(&key, &sealed)?;
        found.add(&key, &sealed);
    }
    let wanted = wanted.ok_or_else(|| CatalogError::damaged(STATE_KEY, "it is missing"))?;
    found.sequence = wanted.sequence;
    if found != wanted {
        return Err(CatalogError::damaged(STATE_KEY, "entries are missing or too many"));
    }
    Ok(wanted)
}

/// The sealed form of entries, and the state entry that belongs to them.
pub(crate) fn sealed(
    entries: Vec<(String, Vec<u8>)>,
    sequence: u64,
) -> (Vec<(String, Vec<u8>)>, State) {
    let mut state = State { sequence, ..State::default() };
    let seal = |(key, value): (String, Vec<u8>)| {
        let bytes = envelope::seal(&key, &value);
        state.add(&key, &bytes);
        (key, bytes)
    };
    let mut all: Vec<_> = entries.into_iter().map(seal).collect();
    all.push((STATE_KEY.to_owned(), state.encode()));
    (all, state)
}

/// Requests that the next opening moves the content to a new store. If the request can't be
/// written, the next opening either finds the damage itself or works.
pub(crate) fn ask_for_rebuild(disk: &dyn Disk) {
    let _ = disk.replace(REBUILD, b"");
}

/// Writes the state entry unchanged, to find out whether the store can still be written.
fn write_as_it_is(opened: &Opened) -> Result<(), CatalogError> {
    opened.store.put(STATE_KEY, &opened.state.encode())?;
    opened.store.flush()
}

/// Call it only with a store that `verify` accepted: damaged content must not become the newest
/// export.
pub(crate) fn write_export(
    disk: &dyn Disk,
    store: &dyn Store,
    sequence: u64,
    created_ms: i64,
) -> Result<(), CatalogError> {
    verify(store)?;
    let mut entries = Vec::new();
    for (key, sealed) in store.export()? {
        if key != STATE_KEY && key != DAMAGE_KEY {
            let payload = envelope::open(&key, &sealed)?.to_vec();
            entries.push((key, payload));
        }
    }
    let path = export_path(sequence);
    let bytes = export::encode(&Export { sequence, created_ms, entries })?;
    disk.create_dirs(EXPORTS).map_err(CatalogError::io(EXPORTS))?;
    disk.replace(&path, &bytes).map_err(CatalogError::io(&path))
}

struct Opening<'a> {
    disk: &'a RealDisk,
    backend: Backend,
    now_ms: i64,
    assembly: Assembly<'a>,
}

impl Opening<'_> {
    fn marker(&self) -> Result<Option<String>, CatalogError> {
        match self.disk.read_all(MARKER, 64) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CatalogError::io(MARKER)(error)),
        }
    }

    /// Opens a folder without a marker. Usually it is empty; but there may be exports that were
    /// copied into it, or a store whose marker was lost, which is used if it is intact.
    fn fresh(&self) -> Result<Opened, CatalogError> {
        let name = self.backend.as_str();
        if !self.disk.list(name).map_err(CatalogError::io(name))?.is_empty() {
            match self.existing_store() {
                Ok(opened) => {
                    self.mark()?;
                    return Ok(opened);
                }
                Err(error) if !error.is_damage() => return Err(error),
                Err(_) => self.quarantine_store()?,
            }
        }
        if !self.assembly.exports.is_empty() || !self.assembly.journals.is_empty() {
            return self.restore("there is no store");
        }
        self.begin(Vec::new(), 0, None)
    }

    fn existing(&self) -> Result<Opened, CatalogError> {
        match self.existing_store() {
            Err(error) if error.is_damage() => self.restore(&error.to_string()),
            opened_or_refused => opened_or_refused,
        }
    }

    /// Steps 1 to 3: opens without loss, or fails with the reason.
    fn existing_store(&self) -> Result<Opened, CatalogError> {
        let opened = self.readable_store()?;
        let asked = self.disk.list("").map_err(CatalogError::io(REBUILD))?;
        let asked = asked.iter().any(|entry| entry.name == REBUILD);
        match write_as_it_is(&opened) {
            Ok(()) if !asked => Ok(opened),
            Err(error) if !error.is_damage() => Err(error),
            _ => self.rebuild(opened),
        }
    }

    /// Moves the content of a store that can be read but not written to a new one, without loss.
    /// The export comes first, so that a crash in between loses nothing either.
    fn rebuild(&self, opened: Opened) -> Result<Opened, CatalogError> {
        let Opened { store, state, damage } = opened;
        write_export(self.disk, store.as_ref(), state.sequence, self.now_ms)?;
        let entries = store.export()?;
        drop(store);
        self.quarantine_store()?;
        let store = self.backend.open(self.disk)?;
        store.import(entries)?;
        let name = self.backend.as_str();
        self.disk.sync_dir(name).map_err(CatalogError::io(name))?;
        match self.disk.remove(REBUILD) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CatalogError::io(REBUILD)(error));
            }
            _ => {}
        }
        observe::emit(&telemetry::Rebuilt { place: name });
        Ok(Opened { store, state, damage })
    }

    fn readable_store(&self) -> Result<Opened, CatalogError> {
        if self.backend == Backend::Sled {
            self.quarantine_snapshots(|name| name.ends_with(".generating"))?;
        }
        let first = match self.try_open() {
            Err(error) if error.is_damage() => error,
            opened_or_refused => return opened_or_refused,
        };
        let has_snapshots = self.backend == Backend::Sled && self.quarantine_snapshots(|_| true)?;
        if has_snapshots && let Ok(opened) = self.try_open() {
            let place = self.backend.as_str();
            observe::emit(&telemetry::SnapshotQuarantined { place, error: &first });
            return Ok(opened);
        }
        Err(first)
    }

    fn try_open(&self) -> Result<Opened, CatalogError> {
        let store = self.backend.open(self.disk)?;
        let state = verify(store.as_ref())?;
        let newest = self.assembly.newest_export();
        if state.sequence < newest {
            let text = format!("it is at change {}, an export has {newest}", state.sequence);
            return Err(CatalogError::damaged(STATE_KEY, text));
        }
        let state = self.redo(store.as_ref(), state)?;
        let damage = store.get(DAMAGE_KEY)?;
        let damage = damage.map(|sealed| damage_text(&sealed)).transpose()?;
        Ok(Opened { store, state, damage })
    }

    /// Gives the store what only the journal has: the change that a crash interrupted, or what the store
    /// has lost by going back in time.
    fn redo(&self, store: &dyn Store, mut state: State) -> Result<State, CatalogError> {
        let journals = &self.assembly.journals;
        if journals.is_empty() {
            return Ok(state);
        }
        let batches = match journals.since(state.sequence) {
            Ok(batches) => batches,
            Err(reason) if journals.last_sequence() > state.sequence => {
                return Err(CatalogError::damaged(STATE_KEY, format!("it is behind: {reason}")));
            }
            Err(reason) => {
                observe::emit(&telemetry::JournalDamaged { reason: &reason });
                return Ok(state);
            }
        };
        for batch in &batches {
            let (sealed, next) = envelope::sealed_batch(store, state, &batch.changes)?;
            store.batch(&sealed)?;
            state = next;
        }
        if !batches.is_empty() {
            store.flush()?;
            let (changes, sequence) = (batches.len(), state.sequence);
            observe::emit(&telemetry::Redone { changes, sequence });
        }
        Ok(state)
    }

    fn restore(&self, reason: &str) -> Result<Opened, CatalogError> {
        if self.assembly.journals.is_empty() {
            return self.restore_export(reason);
        }
        match self.assembly.assemble() {
            Ok(Assembled { entries, sequence, from }) => {
                self.quarantine_store()?;
                observe::emit(&telemetry::Recovered { reason, from: &from, sequence });
                self.begin(entries, sequence, None)
            }
            Err(gap) => Err(self.unrecoverable(format!("{reason}; and {gap}"))),
        }
    }

    fn restore_export(&self, reason: &str) -> Result<Opened, CatalogError> {
        for sequence in self.assembly.exports.iter().rev() {
            let path = export_path(*sequence);
            match read_export(self.disk, *sequence) {
                Ok(export) => {
                    self.quarantine_store()?;
                    observe::emit(&telemetry::Restored { reason, export: &path });
                    return self.begin_from(export, &path, reason);
                }
                Err(error) => {
                    observe::emit(&telemetry::ExportUnreadable { place: &path, error: &error });
                }
            }
        }
        Err(self.unrecoverable(format!("{reason}; and there is no export that can be read")))
    }

    fn unrecoverable(&self, reason: String) -> CatalogError {
        CatalogError::Unrecoverable { folder: self.disk.root().display().to_string(), reason }
    }

    fn begin_from(&self, export: Export, path: &str, why: &str) -> Result<Opened, CatalogError> {
        let newest = self.assembly.newest_export();
        let text = format!(
            "the catalog was damaged ({why}) and restored from {path}: users, tokens and settings \
             changed after it are missing, and tokens revoked after it are valid again"
        );
        self.begin(export.entries, newest.max(export.sequence) + 1, Some(text))
    }

    /// Makes a new store with these entries. The marker is written last: after an earlier crash,
    /// the next opening begins again.
    fn begin(
        &self,
        mut entries: Vec<(String, Vec<u8>)>,
        sequence: u64,
        damage: Option<String>,
    ) -> Result<Opened, CatalogError> {
        if let Some(text) = &damage {
            let json = serde_json::to_vec(text).expect("text becomes JSON in memory");
            entries.push((DAMAGE_KEY.to_owned(), json));
        }
        let store = self.backend.open(self.disk)?;
        let (all, state) = sealed(entries, sequence);
        store.import(all)?;
        let name = self.backend.as_str();
        self.disk.sync_dir(name).map_err(CatalogError::io(name))?;
        self.mark()?;
        Ok(Opened { store, state, damage })
    }

    fn mark(&self) -> Result<(), CatalogError> {
        let name = self.backend.as_str();
        self.disk.replace(MARKER, name.as_bytes()).map_err(CatalogError::io(MARKER))
    }

    /// Returns whether there were any snapshots.
    fn quarantine_snapshots(&self, which: impl Fn(&str) -> bool) -> Result<bool, CatalogError> {
        let folder = self.backend.as_str();
        let listed = self.disk.list(folder).map_err(CatalogError::io(folder))?;
        let snapshots = listed.iter().map(|entry| entry.name.as_str());
        let mut any = false;
        for name in snapshots.filter(|name| name.starts_with("snap.") && which(name)) {
            self.quarantine(&format!("{folder}/{name}"), name)?;
            any = true;
        }
        Ok(any)
    }

    fn quarantine_store(&self) -> Result<(), CatalogError> {
        let name = self.backend.as_str();
        let listed = self.disk.list(name).map_err(CatalogError::io(name))?;
        if listed.is_empty() { Ok(()) } else { self.quarantine(name, name) }
    }

    fn quarantine(&self, path: &str, name: &str) -> Result<(), CatalogError> {
        self.disk.create_dirs(QUARANTINE).map_err(CatalogError::io(QUARANTINE))?;
        let to = self.free_name(name)?;
        self.disk.rename(path, &to).map_err(CatalogError::io(path))?;
        let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
        self.disk.sync_dir(folder).map_err(CatalogError::io(folder))?;
        self.disk.sync_dir(QUARANTINE).map_err(CatalogError::io(QUARANTINE))
    }

    fn free_name(&self, name: &str) -> Result<String, CatalogError> {
        let taken = self.disk.list(QUARANTINE).map_err(CatalogError::io(QUARANTINE))?;
        let place = |number: usize| format!("{}-{number}-{name}", self.now_ms);
        let free = |candidate: &String| taken.iter().all(|entry| entry.name != *candidate);
        let found = (0..=taken.len()).map(place).find(free);
        Ok(format!("{QUARANTINE}/{}", found.expect("one more name than there are entries")))
    }
}

fn damage_text(sealed: &[u8]) -> Result<String, CatalogError> {
    let payload = envelope::open(DAMAGE_KEY, sealed)?;
    serde_json::from_slice(payload).map_err(|_| CatalogError::damaged(DAMAGE_KEY, "it is not text"))
}
