//! One tenant of one engine: its heads, its parts, and what it needs of the write-ahead log.
//!
//! How rows move: batches go to the *live* head. A cut seals that head at a position of the
//! write-ahead log and puts it among the *frozen* ones. A flush writes the oldest frozen head into
//! parts and publishes them together with the position: from then on the manifest covers it.
//! A delete begins with a cut, so that every head is on one side of it: the delete applies to heads
//! that begin before its position, and not to later ones. During the replay, heads are split at the
//! positions of recorded deletes for the same reason.
//!
//! Locks, in this order: `merging`, `deleting`, `flushing`, `heads`, the rows of a head. The first
//! three are held during I/O; batches and queries never need them.

use crate::head::Frozen;
use crate::refused::RefusedPositions;
use crate::{Age, EngineError, Head, Kind, TenantStatus, View};
use model::{ErrorKind, TenantId, Ulid, WalPosition};
use parts::{PartStore, Site};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Deletes split heads. While flushes fail, deletes are refused once there are this many frozen
/// heads.
const FROZEN_MAX: usize = 16;

pub struct Tenant<K: Kind> {
    pub store: PartStore,
    pub state: K::State,
    heads: RwLock<Heads<K>>,
    wal: Mutex<WalUse>,
    pub(crate) flushing: Mutex<()>,
    pub(crate) deleting: Mutex<()>,
    pub(crate) merging: Mutex<()>,
}

struct Heads<K: Kind> {
    live: Arc<Head<K>>,
    /// Oldest first.
    frozen: Vec<Frozen<K>>,
    /// The positions of recorded deletes that will split the replay; in rising order.
    splits: VecDeque<WalPosition>,
}

/// What the tenant needs of the write-ahead log.
#[derive(Debug, Default)]
struct WalUse {
    last_applied: Option<WalPosition>,
    refused: RefusedPositions,
}

impl<K: Kind> Tenant<K> {
    pub(crate) fn open(kind: &K, site: &Site, name: &TenantId) -> Result<Self, EngineError> {
        let store = PartStore::open_checked(site, name.clone(), K::SIGNAL, Age::check)?;
        let manifest = store.snapshot();
        for tombstone in &manifest.tombstones {
            K::check_tombstone(&tombstone.matcher).map_err(|error| {
                let id = tombstone.id;
                let message = format!(
                    "delete {id} of tenant {name} can't be read ({error}): data folders of newer \
                     versions need that version"
                );
                EngineError::new(ErrorKind::Corrupt, message)
            })?;
        }
        let refused = RefusedPositions::decode(&manifest.engine_state)?;
        let pending = manifest.tombstones.iter().filter(|t| manifest.covered < t.position);
        let mut splits: Vec<WalPosition> = pending.map(|tombstone| tombstone.position).collect();
        splits.sort_unstable();
        splits.dedup();
        let state = kind.new_state();
        let live = Arc::new(Head::new(manifest.covered, kind.context(&state, None)));
        Ok(Self {
            store,
            state,
            heads: RwLock::new(Heads { live, frozen: Vec::new(), splits: splits.into() }),
            wal: Mutex::new(WalUse { last_applied: None, refused }),
            flushing: Mutex::default(),
            deleting: Mutex::default(),
            merging: Mutex::default(),
        })
    }

    pub fn name(&self) -> &TenantId {
        self.store.tenant()
    }

    // ── heads ──

    /// The head that takes new batches.
    pub fn live(&self, kind: &K) -> Arc<Head<K>> {
        self.split_before(kind, None);
        Arc::clone(&self.heads().live)
    }

    /// The head for a replayed batch at this position.
    pub(crate) fn live_at(&self, kind: &K, position: WalPosition) -> Arc<Head<K>> {
        self.split_before(kind, Some(position));
        Arc::clone(&self.heads().live)
    }

    /// Splits the replayed rows at the deletes at or before a position, or at all remaining ones.
    fn split_before(&self, kind: &K, position: Option<WalPosition>) {
        let is_due = |split: &WalPosition| position.is_none_or(|position| *split <= position);
        if !self.heads().splits.front().is_some_and(is_due) {
            return;
        }
        let mut heads = self.heads_mut();
        while let Some(split) = heads.splits.pop_front_if(|split| is_due(split)) {
            heads.freeze(kind, &self.state, split, false);
        }
    }

    /// The heads and the manifest at one moment.
    pub fn view(&self, kind: &K) -> View<K> {
        self.split_before(kind, None);
        let heads = self.all_heads();
        // Read after the heads: rows that a flush moves in between are in this manifest.
        View::new(heads, self.store.snapshot())
    }

    /// Every head, the live one last.
    pub fn all_heads(&self) -> Vec<Arc<Head<K>>> {
        let heads = self.heads();
        let frozen = heads.frozen.iter().map(|frozen| Arc::clone(&frozen.head));
        frozen.chain([Arc::clone(&heads.live)]).collect()
    }

    pub(crate) fn cut(&self, kind: &K, end: WalPosition) {
        self.split_before(kind, None);
        let holds_wal = self.unflushed_from().is_some();
        let mut heads = self.heads_mut();
        // While flushes fail, repeated cuts must not add one frozen head each.
        let is_waiting = !heads.frozen.is_empty();
        let is_idle = K::is_empty(&heads.live.read()) && !holds_wal;
        if !is_waiting && (!is_idle || K::wants_cut(&self.state)) {
            heads.freeze(kind, &self.state, end, !is_idle);
        }
    }

    /// Separates the rows applied so far from later ones, for a delete.
    pub(crate) fn split(&self, kind: &K, end: WalPosition) -> Result<(), EngineError> {
        self.split_before(kind, None);
        let mut heads = self.heads_mut();
        if heads.frozen.len() >= FROZEN_MAX {
            let message =
                "heads that were cut can't be written to parts: deletes wait until they can";
            return Err(EngineError::new(ErrorKind::Overloaded, message));
        }
        heads.freeze(kind, &self.state, end, false);
        Ok(())
    }

    pub(crate) fn oldest_frozen(&self) -> Option<Frozen<K>> {
        self.heads().frozen.first().cloned()
    }

    /// Removes a frozen head after its parts were published.
    pub(crate) fn drop_frozen(&self, flushed: &Frozen<K>) {
        self.heads_mut().frozen.retain(|frozen| !Arc::ptr_eq(&frozen.head, &flushed.head));
    }

    fn heads(&self) -> RwLockReadGuard<'_, Heads<K>> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn heads_mut(&self) -> RwLockWriteGuard<'_, Heads<K>> {
        self.heads.write().unwrap_or_else(PoisonError::into_inner)
    }

    // ── the write-ahead log ──

    /// Records that the batch at this position is in a head.
    pub fn note_applied(&self, position: WalPosition) {
        let mut wal = self.wal();
        wal.last_applied = wal.last_applied.max(Some(position));
    }

    pub(crate) fn note_refused(&self, position: WalPosition) {
        self.wal().refused.add(position);
    }

    /// Whether a batch must be replayed: no manifest covers it, or it was refused before.
    pub(crate) fn needs_replay(&self, position: WalPosition) -> bool {
        self.store.snapshot().covered <= position || self.wal().refused.contains(position)
    }

    /// Records that a batch that was refused before has now been applied.
    pub(crate) fn note_accepted(&self, position: WalPosition) {
        self.wal().refused.remove(position);
    }

    pub(crate) fn refused(&self) -> RefusedPositions {
        self.wal().refused.clone()
    }

    pub(crate) fn forget_refused(&self) -> usize {
        std::mem::take(&mut self.wal().refused).len()
    }

    /// The position from which a flush frees the write-ahead log. `None` once even the generation
    /// before the newest covers every applied batch.
    fn unflushed_from(&self) -> Option<WalPosition> {
        let last = self.wal().last_applied?;
        let needed = self.store.wal_needed_from();
        (needed <= last).then_some(needed)
    }

    /// The lowest position that refused batches need. A batch that a newer manifest no longer lists
    /// is still needed until the manifest before the newest does not list it either.
    fn refused_from(&self) -> Option<WalPosition> {
        let listed = |state: &[u8]| RefusedPositions::decode(state).ok()?.lowest();
        let of_manifests =
            [self.store.snapshot().engine_state.clone(), self.store.previous_state()];
        let of_manifests = of_manifests.iter().filter_map(|state| listed(state));
        of_manifests.chain(self.wal().refused.lowest()).min()
    }

    pub(crate) fn status(&self) -> TenantStatus {
        let (size, is_frozen) = {
            let heads = self.heads();
            let frozen = heads.frozen.iter().map(|frozen| K::size(&frozen.head));
            let size = frozen.fold(K::size(&heads.live), std::ops::Add::add);
            (size, !heads.frozen.is_empty())
        };
        let unflushed = self.unflushed_from();
        TenantStatus {
            tenant: self.name().clone(),
            head: size,
            is_frozen,
            wants_cut: K::wants_cut(&self.state),
            wal_needed_from: unflushed.into_iter().chain(self.refused_from()).min(),
            wal_unflushed_from: unflushed,
        }
    }

    fn wal(&self) -> MutexGuard<'_, WalUse> {
        self.wal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ── parts ──

    /// A damaged part is quarantined, and a warning returned; any other failure is returned as an
    /// error.
    pub fn quarantine_damaged<E: Into<EngineError>>(
        &self,
        kind: &K,
        part: Ulid,
        error: E,
    ) -> Result<String, EngineError> {
        let error = error.into();
        if error.kind != ErrorKind::Corrupt {
            return Err(error);
        }
        let text = error.to_string();
        self.store.quarantine(part, &text)?;
        kind.parts_gone(&[part]);
        Ok(format!("part {part} is damaged and was quarantined: {text}"))
    }
}

impl<K: Kind> Heads<K> {
    /// Seals the live head and begins another one at `end`. An empty head is only kept if its flush
    /// has to publish `end`.
    fn freeze(&mut self, kind: &K, state: &K::State, end: WalPosition, keep_empty: bool) {
        assert!(self.live.start <= end, "positions of cuts only rise");
        let context = kind.context(state, Some(&self.live.context));
        let next = Arc::new(Head::new(end, context));
        let head = std::mem::replace(&mut self.live, next);
        head.seal();
        let is_empty = K::is_empty(&head.read());
        if keep_empty || !is_empty {
            self.frozen.push(Frozen { head, end });
        }
    }
}

impl<K: Kind> fmt::Debug for Tenant<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("name", self.name()).finish_non_exhaustive()
    }
}
