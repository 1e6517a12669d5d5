//! The store of one tenant's parts of one signal: its current manifest, its open parts, and the
//! switch from one generation to the next.
//!
//! How a commit works:
//! 1. The writer holds `writing`; readers do not wait.
//! 2. The edit is applied to the current manifest in memory; an invalid edit is refused here.
//! 3. The next generation is written under its own new key. If the key exists, another writer was
//!    faster: load its manifest and return `Conflict`.
//! 4. After any other failure it is unknown whether the file exists. Nothing changes in memory, and
//!    the next commit finds out first (`settle`).
//! 5. Readers see the new manifest; generations older than the last eight are deleted.
//!
//! Locks: `writing` before `shared` before that of the open parts, never the other way round.
//! `shared` is never held during I/O.

use crate::generations::{Generations, prune};
use crate::keys::{manifest_key, part_id_of, part_key, parts_prefix};
use crate::manifest::{Damage, Edit, Manifest, PartInfo};
use crate::open_parts::{OpenParts, Site};
use crate::part::Part;
use crate::writer::PartWriter;
use crate::{PartError, manifest_format, telemetry};
use model::{Signal, TenantId, Ulid, WalPosition};
use platform::{Blobs, Clock, Ids};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How many generations stay on disk: enough to look back at what happened, few enough to list.
pub const GENERATIONS_KEPT: u64 = 8;

/// Why a part that a manifest names must not be read, as far as the engine can tell from its entry
/// in the manifest.
pub type PartCheck = fn(&PartInfo) -> Result<(), String>;

#[derive(Debug)]
pub struct PartStore {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    open: Arc<OpenParts>,
    pub(crate) tenant: TenantId,
    pub(crate) signal: Signal,
    check: PartCheck,
    writing: Mutex<Writing>,
    shared: Mutex<Shared>,
}

/// State that only the writer of manifests needs.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The highest generation number on disk.
    highest: u64,
    /// The parts that the generation before the current one names.
    pub(crate) previous: BTreeSet<Ulid>,
    /// Parts that an older generation named and a later one does not: deleted as soon as no reader
    /// uses them.
    pub(crate) dropped: BTreeSet<Ulid>,
    /// Set after a write of unknown outcome; holds the pins of its new parts.
    pub(crate) uncertain: Option<Vec<Arc<()>>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) current: Arc<Manifest>,
    previous: Previous,
    /// Every manifest that a reader may still hold.
    handed_out: Vec<Weak<Manifest>>,
    /// Open parts that a reader may still hold.
    handles: BTreeMap<Ulid, Weak<Part>>,
    /// Parts that this process is writing, or has written and not yet published.
    pub(crate) making: Vec<(Ulid, Weak<()>)>,
}

/// What is still needed of the generation before the current one.
#[derive(Clone, Debug, Default)]
struct Previous {
    covered: WalPosition,
    engine_state: Vec<u8>,
}

impl Previous {
    fn of(manifest: &Manifest) -> Self {
        Self { covered: manifest.covered, engine_state: manifest.engine_state.clone() }
    }
}

impl PartStore {
    /// Reads the newest manifest and writes nothing. Unreadable generations and parts with missing
    /// files are reported and kept out of answers, and the next generation records them.
    pub fn open(site: &Site, tenant: TenantId, signal: Signal) -> Result<Self, PartError> {
        Self::open_checked(site, tenant, signal, |_| Ok(()))
    }

    /// Like [`PartStore::open`], but also quarantines parts that do not pass the check.
    pub fn open_checked(
        site: &Site,
        tenant: TenantId,
        signal: Signal,
        check: PartCheck,
    ) -> Result<Self, PartError> {
        let Site { blobs, clock, ids, open } = site.clone();
        let found = Generations::load(blobs.as_ref(), &tenant, signal)?;
        let adopted = adopt(blobs.as_ref(), clock.as_ref(), &tenant, signal, found, check)?;
        let shared = Shared::new(Arc::new(adopted.manifest), adopted.previous);
        let (shared, writing) = (Mutex::new(shared), Mutex::new(adopted.writing));
        Ok(Self { blobs, clock, ids, open, tenant, signal, check, writing, shared })
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The current manifest. The parts that it names stay readable for as long as it is held.
    pub fn snapshot(&self) -> Arc<Manifest> {
        Arc::clone(&self.shared().current)
    }

    /// A part of a snapshot, opened. Handles are shared and kept open between queries.
    pub fn part(&self, snapshot: &Manifest, id: Ulid) -> Result<Arc<Part>, PartError> {
        let info = snapshot.part(id).ok_or(PartError::NoSuchPart(id))?;
        let held = self.shared().handles.get(&id).and_then(Weak::upgrade);
        if let Some(part) = held {
            self.open.touch(id);
            return Ok(part);
        }
        let key = part_key(&self.tenant, self.signal, id);
        let part = Part::open(self.blobs.as_ref(), &key).map_err(missing_is_damage)?;
        let meta = part.meta();
        if (meta.id, &meta.tenant, meta.signal) != (id, &self.tenant, self.signal)
            || part.bytes() != info.bytes
        {
            return Err(PartError::corrupt(&key, "it is not the file that the manifest means"));
        }
        let part = Arc::new(part);
        let mut shared = self.shared();
        shared.handles.insert(id, Arc::downgrade(&part));
        // A part that is no longer in the manifest is held by its readers only, not by the cache.
        if shared.current.part(id).is_some() {
            self.open.keep(id, &part);
        }
        drop(shared);
        Ok(part)
    }

    /// Starts a part. A commit that adds the result of its `finish` publishes it.
    pub fn new_part(&self) -> Result<PartWriter, PartError> {
        let id = self.ids.mint();
        let pin = Arc::new(());
        self.shared().making.push((id, Arc::downgrade(&pin)));
        PartWriter::create(self.blobs.as_ref(), &self.tenant, self.signal, id, pin)
    }

    /// A new id, for a tombstone.
    pub fn mint_id(&self) -> Ulid {
        self.ids.mint()
    }

    /// Publishes the edit if `expected` is still the newest generation, else returns `Conflict`.
    pub fn commit(&self, expected: u64, edit: &Edit) -> Result<Arc<Manifest>, PartError> {
        let mut writing = self.writing();
        self.settle(&mut writing)?;
        let current = self.snapshot();
        if current.generation != expected {
            telemetry::CONFLICTS.increment();
            return Err(PartError::Conflict { expected, current: current.generation });
        }
        self.publish_edit(&mut writing, &current, edit)
    }

    /// Publishes what `build` makes of the newest manifest. Commits of this process wait for each
    /// other here instead of conflicting.
    pub fn update(
        &self,
        build: impl FnOnce(&Manifest) -> Result<Edit, PartError>,
    ) -> Result<Arc<Manifest>, PartError> {
        let mut writing = self.writing();
        self.settle(&mut writing)?;
        let current = self.snapshot();
        let edit = build(&current)?;
        self.publish_edit(&mut writing, &current, &edit)
    }

    /// Stops reading a part, and keeps its file for an administrator. Several readers that meet the
    /// same damage may call it; only the first call has an effect.
    pub fn quarantine(&self, id: Ulid, reason: &str) -> Result<Arc<Manifest>, PartError> {
        let mut writing = self.writing();
        self.settle(&mut writing)?;
        let current = self.snapshot();
        if current.part(id).is_none() {
            return Ok(current);
        }
        let edit = Edit { quarantine: vec![(id, reason.to_owned())], ..Edit::default() };
        let manifest = self.publish_edit(&mut writing, &current, &edit)?;
        self.tell_quarantine(id, reason);
        Ok(manifest)
    }

    /// Records that rows are missing: answers carry the text from now on, also if it can't be
    /// written now; the next generation writes it then.
    pub fn note_damage(&self, text: &str) -> Result<(), PartError> {
        let mut writing = self.writing();
        let current = self.snapshot();
        if current.damage.iter().any(|known| known.text == text) {
            return Ok(());
        }
        let mut noted = (*current).clone();
        noted.add_damage(&[text.to_owned()], self.clock.wall_ms());
        let noted = Arc::new(noted);
        let previous = self.shared().previous.clone();
        self.shared().replace(Arc::clone(&noted), previous, &self.open);
        self.settle(&mut writing)?;
        self.publish_edit(&mut writing, &noted, &Edit::default()).map(|_| ())
    }

    /// The write-ahead log may be truncated below this position. It is the position that the
    /// generation *before* the newest covers: if the newest manifest is damaged, the write-ahead
    /// log still has the rows that only it knew. Does not wait for the disk.
    pub fn wal_needed_from(&self) -> WalPosition {
        self.shared().previous.covered
    }

    /// The engine's state in the generation before the newest.
    pub fn previous_state(&self) -> Vec<u8> {
        self.shared().previous.engine_state.clone()
    }

    /// Finds out whether a commit whose write failed has happened.
    pub fn resolve_uncertain(&self) -> Result<(), PartError> {
        self.settle(&mut self.writing())
    }

    fn publish_edit(
        &self,
        writing: &mut Writing,
        current: &Arc<Manifest>,
        edit: &Edit,
    ) -> Result<Arc<Manifest>, PartError> {
        let next = current.apply(edit, writing.highest + 1, self.clock.wall_ms())?;
        let pins = edit.add.iter().map(|part| Arc::clone(&part.pin)).collect();
        self.publish(writing, next, pins)
    }

    fn publish(
        &self,
        writing: &mut Writing,
        next: Manifest,
        pins: Vec<Arc<()>>,
    ) -> Result<Arc<Manifest>, PartError> {
        let expected = self.snapshot().generation;
        let key = manifest_key(&self.tenant, self.signal, next.generation);
        match self.blobs.put_new(&key, &manifest_format::encode(&next)) {
            Ok(()) => Ok(self.switch(writing, next)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                telemetry::CONFLICTS.increment();
                self.reload(writing)?;
                Err(PartError::Conflict { expected, current: self.snapshot().generation })
            }
            Err(error) => {
                observe::emit(&telemetry::CommitUncertain { key: &key, error: &error });
                writing.uncertain = Some(pins);
                Err(PartError::Io { key, source: error })
            }
        }
    }

    /// The new generation is durable: readers see it from now on.
    fn switch(&self, writing: &mut Writing, next: Manifest) -> Arc<Manifest> {
        telemetry::COMMITS.increment();
        let next = Arc::new(next);
        let previous = Previous::of(&self.snapshot());
        let before = self.shared().replace(Arc::clone(&next), previous, &self.open);
        let named: BTreeSet<Ulid> = next.named().collect();
        writing.dropped.extend(before.named().filter(|id| !named.contains(id)));
        writing.previous = before.named().collect();
        writing.highest = next.generation;
        writing.uncertain = None;
        if let Some(old) = next.generation.checked_sub(GENERATIONS_KEPT).filter(|old| *old > 0) {
            prune(self.blobs.as_ref(), &self.tenant, self.signal, &[old]);
        }
        next
    }

    /// Resolves a write of unknown outcome by reading the disk. If the write happened, its content
    /// is written again under a new number, because its directory entry might not survive a power
    /// cut.
    pub(crate) fn settle(&self, writing: &mut Writing) -> Result<(), PartError> {
        if writing.uncertain.is_none() {
            return Ok(());
        }
        let found = Generations::load(self.blobs.as_ref(), &self.tenant, self.signal)?;
        let happened = found.highest > writing.highest;
        writing.highest = found.highest;
        if !happened {
            writing.uncertain = None;
            return Ok(());
        }
        let newest = found.current.unwrap_or_else(|| (*self.snapshot()).clone());
        let generation = found.highest + 1;
        let pins = writing.uncertain.clone().unwrap_or_default();
        self.publish(writing, Manifest { generation, ..newest }, pins).map(|_| ())
    }

    /// Loads what another writer published.
    fn reload(&self, writing: &mut Writing) -> Result<(), PartError> {
        let found = Generations::load(self.blobs.as_ref(), &self.tenant, self.signal)?;
        let adopted = adopt(
            self.blobs.as_ref(),
            self.clock.as_ref(),
            &self.tenant,
            self.signal,
            found,
            self.check,
        )?;
        *writing = adopted.writing;
        self.shared().replace(Arc::new(adopted.manifest), adopted.previous, &self.open);
        Ok(())
    }

    fn tell_quarantine(&self, part: Ulid, reason: &str) {
        let (tenant, signal) = (&self.tenant, self.signal);
        observe::emit(&telemetry::Quarantined { tenant, signal, part, reason });
    }

    pub(crate) fn writing(&self) -> MutexGuard<'_, Writing> {
        // Writers change this state only after the disk succeeded, so it is consistent even after a
        // panic.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the parts that the store kept open.
impl Drop for PartStore {
    fn drop(&mut self) {
        let shared = self.shared.get_mut().unwrap_or_else(PoisonError::into_inner);
        shared.handles.keys().for_each(|id| self.open.forget(*id));
    }
}

impl Shared {
    fn new(current: Arc<Manifest>, previous: Previous) -> Self {
        let handed_out = vec![Arc::downgrade(&current)];
        let (handles, making) = (BTreeMap::new(), Vec::new());
        Self { current, previous, handed_out, handles, making }
    }

    /// Returns the manifest that was current.
    fn replace(
        &mut self,
        next: Arc<Manifest>,
        previous: Previous,
        open: &OpenParts,
    ) -> Arc<Manifest> {
        self.previous = previous;
        self.handed_out.retain(|manifest| manifest.strong_count() > 0);
        self.handed_out.push(Arc::downgrade(&next));
        let gone = self.handles.keys().filter(|id| next.part(**id).is_none());
        gone.for_each(|id| open.forget(*id));
        self.handles.retain(|_, part| part.strong_count() > 0);
        std::mem::replace(&mut self.current, next)
    }

    /// Parts that a reader may still use.
    pub(crate) fn in_use(&self) -> BTreeSet<Ulid> {
        let manifests = self.handed_out.iter().filter_map(Weak::upgrade);
        let mut ids: BTreeSet<Ulid> =
            manifests.flat_map(|manifest| manifest.named().collect::<Vec<_>>()).collect();
        let open = self.handles.iter().filter(|(_, part)| part.strong_count() > 0);
        ids.extend(open.map(|(id, _)| *id));
        ids
    }
}

/// The manifest and the state built from the generations found on disk.
struct Adopted {
    manifest: Manifest,
    writing: Writing,
    previous: Previous,
}

fn adopt(
    blobs: &dyn Blobs,
    clock: &dyn Clock,
    tenant: &TenantId,
    signal: Signal,
    found: Generations,
    check: PartCheck,
) -> Result<Adopted, PartError> {
    let Generations { current, previous, unreadable, highest, once_named, .. } = found;
    let mut manifest = current.unwrap_or_else(|| Manifest::empty(tenant.clone(), signal));
    note_unreadable(&mut manifest, &unreadable, clock.wall_ms());
    quarantine_unusable(blobs, &mut manifest, clock.wall_ms(), check)?;
    let before = previous.as_ref().map(Previous::of).unwrap_or_default();
    let previous: BTreeSet<Ulid> =
        previous.iter().flat_map(|p| p.named().collect::<Vec<_>>()).collect();
    let named: BTreeSet<Ulid> = manifest.named().collect();
    let dropped = once_named.difference(&named).copied().collect();
    let writing = Writing { highest, previous, dropped, uncertain: None };
    Ok(Adopted { manifest, writing, previous: before })
}

fn note_unreadable(manifest: &mut Manifest, unreadable: &[u64], now_ms: i64) {
    for generation in unreadable {
        let (signal, used) = (manifest.signal, manifest.generation);
        let text = format!(
            "generation {generation} of the {signal} manifest could not be read, generation {used} \
             is used: what changed between them may be missing"
        );
        manifest.damage.push(Damage { found_ms: now_ms, text });
    }
}

/// Finds parts whose file is missing or has another length, and parts that do not pass the check,
/// on opening instead of in the middle of a query.
fn quarantine_unusable(
    blobs: &dyn Blobs,
    manifest: &mut Manifest,
    now_ms: i64,
    check: PartCheck,
) -> Result<(), PartError> {
    let prefix = parts_prefix(&manifest.tenant, manifest.signal);
    let listed = blobs.list(&prefix).map_err(PartError::io(&prefix))?;
    let on_disk: BTreeMap<Ulid, u64> =
        listed.iter().filter_map(|blob| Some((part_id_of(&blob.key)?, blob.len))).collect();
    let reason = |part: &PartInfo| match on_disk.get(&part.id) {
        None => Some("its file is gone".to_owned()),
        Some(found) if *found != part.bytes => {
            Some(format!("its file has {found} bytes instead of {}", part.bytes))
        }
        Some(_) => check(part).err(),
    };
    let lost: Vec<(Ulid, String)> =
        manifest.parts.iter().filter_map(|part| Some((part.id, reason(part)?))).collect();
    for (part, reason) in &lost {
        let (tenant, signal) = (&manifest.tenant, manifest.signal);
        observe::emit(&telemetry::Quarantined { tenant, signal, part: *part, reason });
    }
    manifest.quarantine(&lost, now_ms)
}

/// If the manifest names a part and its file is missing, the part is damaged.
fn missing_is_damage(error: PartError) -> PartError {
    match error {
        PartError::Io { key, source } if source.kind() == io::ErrorKind::NotFound => {
            PartError::corrupt(&key, "its file is gone")
        }
        other => other,
    }
}
