//! One tenant: its series, its heads, its parts.
//!
//! The life of a head: it is *live* and takes samples; a cut seals it and sets it apart as
//! *frozen*; a flush writes it into parts and drops it. Readers take the live head, the frozen ones
//! and the manifest, in this order, so that what moves from one to the next is seen at least once.
//!
//! Locks, in this order: `heads`, a registry, a head. `upkeep` and `flushing` are taken before all
//! of them, by whoever changes parts; a flush does not wait for merges, which may take long. The
//! order holds for shared locking too: who waits to write makes new readers wait. A registry serves
//! the live head and the frozen ones, so nobody holds one over I/O.

use crate::StoreError;
use crate::batch::format::{self, DecodedBatch};
use crate::batch::{BatchBuilder, REFUSED};
use crate::deletes::Deleted;
use crate::head::{BatchCursor, FloatSample, Head};
use crate::registry::Registry;
use crate::telemetry::{SAMPLES_APPLIED, SERIES_CREATED, SERIES_REFUSED};
use codec::xxh3_64;
use model::{Labels, TimeRange};
use parts::{LogPosition, PartStore};
use platform::Moment;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use wal::Position;

/// Series that nobody wrote to for this long are forgotten at the next cut, if they are many.
const IDLE: Duration = Duration::from_secs(3_600);
/// One in this many idle series makes a new registry worth it.
const IDLE_SHARE: usize = 4;

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) store: PartStore,
    heads: RwLock<Heads>,
    last_applied: Mutex<Option<Position>>,
    /// Merges and retention: one at a time.
    upkeep: Mutex<()>,
    flushing: Mutex<()>,
}

#[derive(Debug)]
struct Heads {
    live: Arc<LiveHead>,
    /// Oldest first.
    frozen: Vec<Frozen>,
    replay: ReplayState,
    busy: BusyWindow,
}

/// Which series were written to lately.
#[derive(Debug)]
struct BusyWindow {
    began: Moment,
    /// By number.
    busy: Vec<bool>,
}

/// A head with the registry that its numbers come from.
#[derive(Debug)]
pub(crate) struct LiveHead {
    pub(crate) registry: Arc<RwLock<Registry>>,
    pub(crate) head: RwLock<Head>,
    /// Names this head's definitions in the log.
    pub(crate) epoch: u64,
    sealed: AtomicBool,
}

#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) head: Arc<LiveHead>,
    pub(crate) end: Position,
    /// The manifest generation whose tombstones the samples have felt.
    pub(crate) felt: u64,
}

/// Only used at start-up.
#[derive(Debug, Default)]
struct ReplayState {
    epochs: HashMap<u64, HashMap<u32, u32>>,
    /// Deletes that were asked for while older batches were only in the log, oldest first.
    pending: Vec<(LogPosition, TimeRange, Deleted)>,
}

/// Everything that can be read at one moment, oldest first, without the parts.
#[derive(Debug)]
pub(crate) struct HeadView {
    pub(crate) heads: Vec<(Arc<LiveHead>, Option<u64>)>,
}

impl Tenant {
    pub(crate) fn new(store: PartStore, epoch: u64, now: Moment) -> Self {
        let manifest = store.snapshot();
        let waiting = manifest.tombstones.iter().filter(|t| manifest.covered < t.position);
        let mut pending: Vec<_> = waiting
            .map(|tombstone| {
                (tombstone.position, tombstone.time, Deleted::decode(&tombstone.matcher))
            })
            .collect();
        pending.sort_by_key(|(position, ..)| *position);
        let replay = ReplayState { epochs: HashMap::new(), pending };
        let live = Arc::new(LiveHead::new(Arc::default(), epoch));
        let busy = BusyWindow { began: now, busy: Vec::new() };
        let heads = RwLock::new(Heads { live, frozen: Vec::new(), replay, busy });
        let last_applied = Mutex::new(None);
        Self { store, heads, last_applied, upkeep: Mutex::new(()), flushing: Mutex::new(()) }
    }

    pub(crate) fn upkeep(&self) -> MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn flushing(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_heads(&self) -> RwLockReadGuard<'_, Heads> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_heads(&self) -> RwLockWriteGuard<'_, Heads> {
        self.heads.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head that takes samples. Deletes that the replay left are felt first: they concern what
    /// was there, not what comes.
    pub(crate) fn live(&self) -> Arc<LiveHead> {
        Arc::clone(&self.settled_heads().live)
    }

    fn settled_heads(&self) -> RwLockReadGuard<'_, Heads> {
        if !self.read_heads().replay.pending.is_empty() {
            self.write_heads().settle_deletes(None);
        }
        self.read_heads()
    }

    pub(crate) fn view(&self) -> HeadView {
        let heads = self.settled_heads();
        let frozen =
            heads.frozen.iter().map(|frozen| (Arc::clone(&frozen.head), Some(frozen.felt)));
        HeadView { heads: frozen.chain([(Arc::clone(&heads.live), None)]).collect() }
    }

    pub(crate) fn oldest_frozen(&self) -> Option<Frozen> {
        self.read_heads().frozen.first().cloned()
    }

    /// After its parts were published.
    pub(crate) fn drop_frozen(&self, flushed: &Frozen) {
        self.write_heads().frozen.retain(|frozen| !Arc::ptr_eq(&frozen.head, &flushed.head));
    }

    pub(crate) fn last_applied(&self) -> Option<Position> {
        *self.last_applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_applied(&self, position: Position) {
        let mut last = self.last_applied.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(position));
    }

    /// Makes the batch readable. It was resolved against `live`; false where that was cut since.
    pub(crate) fn apply(&self, live: &LiveHead, batch: &BatchBuilder, position: Position) -> bool {
        {
            let known = live.registry().len();
            let mut head = live.write();
            if live.sealed.load(Ordering::Acquire) {
                return false;
            }
            head.reserve(known);
            push_batch(&mut head, batch);
        }
        if !batch.defined.is_empty() {
            let registry = live.registry();
            let numbers = batch.defined.iter().map(|slot| batch.numbers[*slot as usize]);
            numbers.for_each(|number| registry.entry(number).define(live.epoch));
        }
        self.note_applied(position);
        SAMPLES_APPLIED.add(batch.sample_count() as u64);
        true
    }

    /// Takes back a batch of the log, unless the manifest covers it. Of a batch that names unknown
    /// series the rest is taken, and the answer is an error.
    pub(crate) fn replay(&self, payload: &[u8], position: Position) -> Result<(), StoreError> {
        let at = log_position(position);
        self.note_applied(position);
        if at < self.store.snapshot().covered {
            return Ok(());
        }
        let batch = format::decode(payload)?;
        let mut heads = self.write_heads();
        heads.settle_deletes(Some(at));
        let live = Arc::clone(&heads.live);
        let numbers = heads.replay.epochs.entry(batch.epoch).or_default();
        define(&live, numbers, &batch.definitions);
        let known = live.registry().len();
        let mut head = live.write();
        head.reserve(known);
        match push_replayed(&mut head, numbers, &batch) {
            0 => Ok(()),
            samples => Err(StoreError::UndefinedSeries { samples }),
        }
    }

    /// Sets everything applied so far apart, unless what was cut before is still to be written.
    /// `epoch` names what comes after.
    pub(crate) fn cut(&self, end: Position, epoch: u64, now: Moment) {
        let mut heads = self.write_heads();
        if !heads.frozen.is_empty() {
            return;
        }
        heads.settle_deletes(None);
        let needed = self.store.log_needed_from();
        let touched = self.last_applied().is_some_and(|last| needed <= log_position(last));
        let is_idle = heads.live.read().is_empty() && !touched;
        let registry = heads.registry_after_cut(now);
        if is_idle && Arc::ptr_eq(&registry, &heads.live.registry) {
            return;
        }
        let next = Arc::new(LiveHead::new(registry, epoch));
        let head = std::mem::replace(&mut heads.live, next);
        {
            // Whoever is in the middle of applying holds this lock.
            let _writing = head.write();
            head.sealed.store(true, Ordering::Release);
        }
        heads.replay.epochs.clear();
        if !is_idle {
            let felt = self.store.snapshot().generation;
            heads.frozen.push(Frozen { head, end, felt });
        }
    }

    /// Erases from the live head; `publish` makes the delete durable before. No cut runs meanwhile,
    /// so that the live head is the same behind as before, and readers need not wait for the disk.
    pub(crate) fn delete<T, E>(
        &self,
        range: TimeRange,
        deleted: &Deleted,
        publish: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let live = self.live();
        let published = publish()?;
        live.erase(range, deleted);
        Ok(published)
    }

    /// What of the log must stay; `None` once even the generation before the newest covers all
    /// that was ever applied.
    pub(crate) fn log_needed_from(&self) -> Option<Position> {
        let last = self.last_applied()?;
        let LogPosition { segment, offset } = self.store.log_needed_from();
        let needed = Position { segment, offset };
        (needed <= last).then_some(needed)
    }
}

impl Heads {
    /// Applies the deletes that were asked for before a batch at this position, or all that are
    /// left once the replay is over.
    fn settle_deletes(&mut self, before: Option<LogPosition>) {
        let due = |position: &LogPosition| before.is_none_or(|before| *position <= before);
        let count = self.replay.pending.iter().take_while(|(position, ..)| due(position)).count();
        for (_, range, deleted) in self.replay.pending.drain(..count) {
            self.live.erase(range, &deleted);
        }
    }
}

impl Heads {
    /// The same registry, or, once in a while, one without the series that are idle.
    fn registry_after_cut(&mut self, now: Moment) -> Arc<RwLock<Registry>> {
        let registry = self.live.registry();
        let head = self.live.read();
        self.busy.busy.resize(registry.len(), false);
        for (number, busy) in self.busy.busy.iter_mut().enumerate() {
            *busy |= head.has(number as u32);
        }
        if now.since(self.busy.began) < IDLE {
            return Arc::clone(&self.live.registry);
        }
        let busy = std::mem::take(&mut self.busy.busy);
        self.busy.began = now;
        let idle = busy.iter().filter(|busy| !**busy).count();
        if idle * IDLE_SHARE <= busy.len() {
            return Arc::clone(&self.live.registry);
        }
        let mut thinned = Registry::default();
        for (number, _) in busy.iter().enumerate().filter(|(_, busy)| **busy) {
            thinned.insert(registry.entry(number as u32).labels.clone());
        }
        Arc::new(RwLock::new(thinned))
    }
}

impl LiveHead {
    fn new(registry: Arc<RwLock<Registry>>, epoch: u64) -> Self {
        Self { registry, head: RwLock::default(), epoch, sealed: AtomicBool::new(false) }
    }

    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// With the series of the metric, or of all, in the order of parts.
    pub(crate) fn sorted_registry(&self, metric: Option<&str>) -> RwLockReadGuard<'_, Registry> {
        let registry = self.registry();
        if registry.is_sorted(metric) {
            return registry;
        }
        drop(registry);
        let mut registry = self.registry_mut();
        registry.sort(metric);
        RwLockWriteGuard::downgrade(registry)
    }

    /// The series with their labels.
    pub(crate) fn named(&self, numbers: &[u32]) -> Vec<(u32, Labels)> {
        let registry = self.registry();
        numbers.iter().map(|number| (*number, registry.entry(*number).labels.clone())).collect()
    }

    pub(crate) fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn erase(&self, range: TimeRange, deleted: &Deleted) {
        let registry = self.registry();
        let mut head = self.write();
        for (metric, series) in registry.metrics() {
            if deleted.concerns_metric(metric) {
                let concerned =
                    series.iter().filter(|n| deleted.concerns(&registry.entry(**n).labels));
                concerned.for_each(|number| head.erase(*number, range));
            }
        }
        head.erase_exemplars(range, |number| deleted.concerns(&registry.entry(number).labels));
    }

    /// Gives each slot of the batch its number, and says which need their definition in the log.
    /// Answers how many series were refused.
    pub(crate) fn resolve(
        &self,
        batch: &mut BatchBuilder,
        series_max: u64,
    ) -> Result<u64, StoreError> {
        let mut missing = Vec::new();
        batch.numbers.clear();
        batch.defined.clear();
        {
            let registry = self.registry();
            let mut before = u32::MAX;
            for slot in 0..batch.label_ends.len() as u32 {
                let found = registry.find_after(before, batch.labels(slot));
                batch.numbers.push(found.unwrap_or(REFUSED));
                match found {
                    Some(number) => {
                        before = number;
                        if !registry.entry(number).is_defined_in(self.epoch) {
                            batch.defined.push(slot);
                        }
                    }
                    None => missing.push(slot),
                }
            }
        }
        if missing.is_empty() { Ok(0) } else { self.add_series(batch, &missing, series_max) }
    }

    fn add_series(
        &self,
        batch: &mut BatchBuilder,
        missing: &[u32],
        series_max: u64,
    ) -> Result<u64, StoreError> {
        let mut registry = self.registry_mut();
        let known = registry.len();
        let mut refused = 0;
        for slot in missing {
            let bytes = batch.labels(*slot);
            let number = match registry.find(xxh3_64(bytes), bytes) {
                Some(number) => number,
                None if registry.len() as u64 >= series_max => {
                    refused += 1;
                    continue;
                }
                None => registry.insert(Labels::from_bytes(bytes).ok_or(StoreError::Labels)?),
            };
            batch.numbers[*slot as usize] = number;
            batch.defined.push(*slot);
        }
        SERIES_CREATED.add((registry.len() - known) as u64);
        SERIES_REFUSED.add(refused);
        Ok(refused)
    }
}

fn push_batch(head: &mut Head, batch: &BatchBuilder) {
    let mut cursor = BatchCursor::default();
    for (index, slot) in batch.slots.iter().enumerate() {
        let start = batch.starts.get(index).copied().unwrap_or(0);
        let sample = FloatSample { time: batch.times[index], start, value: batch.values[index] };
        head.push(&mut cursor, batch.numbers[*slot as usize], sample);
    }
    for (slot, sample) in &batch.histograms {
        head.push_histogram(batch.numbers[*slot as usize], sample.clone());
    }
    for (slot, exemplar) in &batch.exemplars {
        head.push_exemplar(batch.numbers[*slot as usize], exemplar.clone());
    }
    batch.metadata.iter().for_each(|(metric, metadata)| head.push_metadata(metric, metadata));
    head.end_batch();
}

fn define(live: &LiveHead, numbers: &mut HashMap<u32, u32>, definitions: &[(u32, Labels)]) {
    if definitions.is_empty() {
        return;
    }
    let mut registry = live.registry_mut();
    for (number, labels) in definitions {
        let bytes = labels.as_bytes();
        let found = registry.find(xxh3_64(bytes), bytes);
        let own = found.unwrap_or_else(|| registry.insert(labels.clone()));
        numbers.insert(*number, own);
    }
}

/// Answers how many samples name a series that was never defined.
fn push_replayed(head: &mut Head, numbers: &HashMap<u32, u32>, batch: &DecodedBatch) -> u64 {
    let mut cursor = BatchCursor::default();
    let mut undefined = 0;
    let own = |number: u32| numbers.get(&number).copied();
    for (index, number) in batch.numbers.iter().enumerate() {
        let number = u32::try_from(*number).ok().and_then(own);
        let start = batch.starts.get(index).copied().unwrap_or(0);
        let sample = FloatSample { time: batch.times[index], start, value: batch.values[index] };
        match number {
            Some(number) => head.push(&mut cursor, number, sample),
            None => undefined += 1,
        }
    }
    for (number, sample) in &batch.histograms {
        match own(*number) {
            Some(number) => head.push_histogram(number, sample.clone()),
            None => undefined += 1,
        }
    }
    for (number, exemplar) in &batch.exemplars {
        if let Some(number) = own(*number) {
            head.push_exemplar(number, exemplar.clone());
        }
    }
    batch.metadata.iter().for_each(|(metric, metadata)| head.push_metadata(metric, metadata));
    head.end_batch();
    undefined
}

pub(crate) fn log_position(position: Position) -> LogPosition {
    LogPosition { segment: position.segment, offset: position.offset }
}
