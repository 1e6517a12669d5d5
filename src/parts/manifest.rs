//! The manifest: the list of one tenant's parts of one signal, an immutable value per generation.

use crate::PartError;
use crate::footer::PartMeta;
use crate::keys::part_key;
use crate::writer::NewPart;
use model::{Day, Signal, TenantId, TimeRange, Ulid, WalPosition};
use std::collections::BTreeSet;

/// One generation of one tenant's signal. Readers hold it in an `Arc` for as long as they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// 0 before the first commit.
    pub generation: u64,
    pub tenant: TenantId,
    pub signal: Signal,
    pub created_ms: i64,
    /// All batches of the write-ahead log below this position are in the parts. One commit
    /// publishes rows in parts and moves this position.
    pub covered: WalPosition,
    /// Live parts, in the order of their ids.
    pub parts: Vec<PartInfo>,
    pub tombstones: Vec<Tombstone>,
    /// Parts that are kept on disk but not read.
    pub quarantined: Vec<QuarantinedPart>,
    /// Generations that could not be read. Answers carry a warning until an administrator
    /// acknowledges it.
    pub damage: Vec<Damage>,
    /// For the engine.
    pub engine_state: Vec<u8>,
}

/// What a manifest stores about a part: enough to plan with, without opening the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    pub id: Ulid,
    /// The size of the part's file.
    pub bytes: u64,
    pub schema: u16,
    pub level: u8,
    pub day: Day,
    pub time: TimeRange,
    pub rows: u64,
    pub series: u64,
    /// Every tombstone up to this generation has been applied to the part's rows.
    pub tombstones_applied: u64,
    pub bounds: Vec<u8>,
}

/// A delete: the rows in the range that the matcher selects are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    pub id: Ulid,
    pub time: TimeRange,
    /// For the engine.
    pub matcher: Vec<u8>,
    pub created_ms: i64,
    /// The end of the write-ahead log when the delete was requested. Until the manifest covers it,
    /// older rows to which the tombstone applies may still be on their way into a part.
    pub position: WalPosition,
    /// The generation that added the tombstone; the store sets it.
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedPart {
    pub info: PartInfo,
    pub reason: String,
    pub since_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub found_ms: i64,
    pub text: String,
}

/// The changes of one commit, which happen together or not at all.
#[derive(Debug, Default)]
pub struct Edit {
    pub add: Vec<NewPart>,
    /// Ids of live parts, or of quarantined ones when retention drops them.
    pub remove: Vec<Ulid>,
    /// Must not be below the current position.
    pub covered: Option<WalPosition>,
    pub add_tombstones: Vec<Tombstone>,
    pub quarantine: Vec<(Ulid, String)>,
    pub engine_state: Option<Vec<u8>>,
    /// Texts about what is missing, which answers carry until `forget_damage`. A text that the
    /// manifest has already is not added again.
    pub add_damage: Vec<String>,
    pub forget_damage: bool,
}

/// The reason of a quarantine is for people and is repeated in every later generation.
const REASON_LENGTH_MAX: usize = 512;

impl PartInfo {
    pub(crate) fn of(meta: &PartMeta, bytes: u64) -> Self {
        let summary = &meta.summary;
        Self {
            id: meta.id,
            bytes,
            schema: summary.schema,
            level: summary.level,
            day: summary.day,
            time: summary.time,
            rows: summary.rows,
            series: summary.series,
            tombstones_applied: summary.tombstones_applied,
            bounds: summary.bounds.clone(),
        }
    }
}

impl Tombstone {
    /// Whether the tombstone may still have to be applied to rows of the part.
    pub fn concerns(&self, part: &PartInfo) -> bool {
        self.generation > part.tombstones_applied && self.time.overlaps(part.time)
    }
}

impl Manifest {
    /// The ids of all parts, live and quarantined.
    pub fn all_ids(&self) -> impl Iterator<Item = Ulid> + '_ {
        let quarantined = self.quarantined.iter().map(|part| part.info.id);
        self.parts.iter().map(|part| part.id).chain(quarantined)
    }

    pub(crate) fn empty(tenant: TenantId, signal: Signal) -> Self {
        Self {
            generation: 0,
            tenant,
            signal,
            created_ms: 0,
            covered: WalPosition::default(),
            parts: Vec::new(),
            tombstones: Vec::new(),
            quarantined: Vec::new(),
            damage: Vec::new(),
            engine_state: Vec::new(),
        }
    }

    pub fn part(&self, id: Ulid) -> Option<&PartInfo> {
        let at = self.parts.binary_search_by_key(&id, |part| part.id).ok()?;
        Some(&self.parts[at])
    }

    pub fn part_key(&self, id: Ulid) -> String {
        part_key(&self.tenant, self.signal, id)
    }

    pub fn parts_in(&self, time: TimeRange) -> impl Iterator<Item = &PartInfo> {
        self.parts.iter().filter(move |part| part.time.overlaps(time))
    }

    /// The tombstones that a reader of the part has to apply.
    pub fn tombstones_for(&self, part: &PartInfo) -> impl Iterator<Item = &Tombstone> {
        self.tombstones.iter().filter(move |tombstone| tombstone.concerns(part))
    }

    /// The warnings that an answer about this time range must carry. Empty if nothing is missing
    /// from it.
    pub fn warnings(&self, time: TimeRange) -> Vec<String> {
        let missing = self.quarantined.iter().filter(|part| part.info.time.overlaps(time));
        let missing = missing.map(|part| {
            let (id, day, rows) = (part.info.id, part.info.day, part.info.rows);
            let reason = &part.reason;
            format!("{rows} rows of {day} are missing: part {id} is in quarantine ({reason})")
        });
        self.damage.iter().map(|damage| damage.text.clone()).chain(missing).collect()
    }

    /// Whether rows may be missing from answers.
    pub fn is_degraded(&self) -> bool {
        !self.quarantined.is_empty() || !self.damage.is_empty()
    }

    /// Every part whose file must stay: live and quarantined.
    pub fn named(&self) -> impl Iterator<Item = Ulid> {
        let quarantined = self.quarantined.iter().map(|part| part.info.id);
        self.parts.iter().map(|part| part.id).chain(quarantined)
    }

    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// The next generation, or why the edit is not valid.
    pub(crate) fn apply(
        &self,
        edit: &Edit,
        generation: u64,
        now_ms: i64,
    ) -> Result<Self, PartError> {
        let mut next = Self { generation, created_ms: now_ms, ..self.clone() };
        next.remove(&edit.remove)?;
        next.quarantine(&edit.quarantine, now_ms)?;
        next.add(&edit.add)?;
        next.cover(edit.covered)?;
        let stamped = |tombstone: &Tombstone| Tombstone { generation, ..tombstone.clone() };
        next.tombstones.extend(edit.add_tombstones.iter().map(stamped));
        if let Some(state) = &edit.engine_state {
            next.engine_state.clone_from(state);
        }
        if edit.forget_damage {
            next.damage.clear();
        }
        next.add_damage(&edit.add_damage, now_ms);
        next.drop_applied_tombstones();
        Ok(next)
    }

    pub(crate) fn add_damage(&mut self, texts: &[String], now_ms: i64) {
        for text in texts {
            if self.damage.iter().all(|known| known.text != *text) {
                self.damage.push(Damage { found_ms: now_ms, text: text.clone() });
            }
        }
    }

    fn remove(&mut self, ids: &[Ulid]) -> Result<(), PartError> {
        let named: BTreeSet<Ulid> = self.named().collect();
        if let Some(missing) = ids.iter().find(|id| !named.contains(id)) {
            return Err(PartError::NoSuchPart(*missing));
        }
        let gone: BTreeSet<&Ulid> = ids.iter().collect();
        self.parts.retain(|part| !gone.contains(&part.id));
        self.quarantined.retain(|part| !gone.contains(&part.info.id));
        Ok(())
    }

    pub(crate) fn quarantine(
        &mut self,
        parts: &[(Ulid, String)],
        now_ms: i64,
    ) -> Result<(), PartError> {
        for (id, reason) in parts {
            let at = self.parts.binary_search_by_key(id, |part| part.id);
            let info = self.parts.remove(at.map_err(|_| PartError::NoSuchPart(*id))?);
            let reason = reason.chars().take(REASON_LENGTH_MAX).collect();
            self.quarantined.push(QuarantinedPart { info, reason, since_ms: now_ms });
        }
        Ok(())
    }

    fn add(&mut self, new: &[NewPart]) -> Result<(), PartError> {
        for part in new {
            if self.named().any(|id| id == part.info.id) {
                let text = format!("part {} is in the manifest already", part.info.id);
                return Err(PartError::Refused(text));
            }
            self.parts.push(part.info.clone());
        }
        self.parts.sort_by_key(|part| part.id);
        Ok(())
    }

    fn cover(&mut self, covered: Option<WalPosition>) -> Result<(), PartError> {
        let covered = covered.unwrap_or(self.covered);
        if covered < self.covered {
            let text = format!("covered goes back from {:?} to {covered:?}", self.covered);
            return Err(PartError::Refused(text));
        }
        self.covered = covered;
        Ok(())
    }

    /// Drops tombstones that are no longer needed: every older row is in a part, and every part has
    /// been written with the tombstone applied.
    fn drop_applied_tombstones(&mut self) {
        let (parts, quarantined, covered) = (&self.parts, &self.quarantined, self.covered);
        self.tombstones.retain(|tombstone| {
            covered < tombstone.position
                || parts.iter().any(|part| tombstone.concerns(part))
                || quarantined.iter().any(|part| tombstone.concerns(&part.info))
        });
    }
}
