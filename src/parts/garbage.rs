//! Deletes files that are no longer needed. `docs/adr/0002-parts-and-manifests.md` gives the
//! reasons; in short, a part file is deleted when all of this holds:
//! 1. Neither the current generation nor the one before it names the part, live or quarantined: if
//!    the newest manifest is damaged later, the one before must still be complete.
//! 2. It is not in use: no manifest that names it and no handle is held, and it is not being
//!    written.
//! 3. It is known to be dropped (some generation named it once, or this process began it and
//!    abandoned it), or it is an orphan whose file and id are both older than an hour.
//! 4. The newest generation is known. Orphans also stay while the manifest carries unacknowledged
//!    damage or does not exist: they may be all that is left of the data.

use crate::PartError;
use crate::keys::{generation_of, manifests_prefix, part_id_of, parts_prefix};
use crate::store::{GENERATIONS_KEPT, PartStore, Writing};
use crate::{generations, telemetry};
use model::Ulid;
use platform::BlobInfo;
use std::collections::BTreeSet;

/// A younger orphan may belong to a writer that this process does not know.
pub const ORPHAN_AGE_MS: i64 = 3_600_000;

/// What a garbage collection deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub files: u64,
    pub bytes: u64,
    /// Files of dropped parts that are still read, or still named by the generation before.
    pub waiting: u64,
}

/// Whether and why a file may be deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Wait,
    Delete(&'static str),
}

/// Everything that decides about a file.
struct Rules<'a> {
    named: BTreeSet<Ulid>,
    in_use: BTreeSet<Ulid>,
    making: BTreeSet<Ulid>,
    given_up: BTreeSet<Ulid>,
    writing: &'a Writing,
    orphans_may_go: bool,
    now_ms: i64,
}

impl PartStore {
    /// Deletes files that are not needed. Call it after merges and retention, and from time to
    /// time.
    pub fn collect_garbage(&self) -> Result<Collected, PartError> {
        let mut writing = self.writing();
        self.settle(&mut writing)?;
        let prefix = parts_prefix(&self.tenant, self.signal);
        // Listed first: files that are created later are not in the list.
        let listed = self.blobs.list(&prefix).map_err(PartError::io(&prefix))?;
        let rules = self.rules(&writing);
        let mut collected = Collected::default();
        let mut gone = Vec::new();
        for blob in &listed {
            let Some(id) = part_id_of(&blob.key) else { continue };
            match rules.fate(id, blob) {
                Fate::Keep => {}
                Fate::Wait => collected.waiting += 1,
                Fate::Delete(reason) if self.delete(blob, reason) => {
                    collected.files += 1;
                    collected.bytes += blob.len;
                    gone.push(id);
                }
                Fate::Delete(_) => collected.waiting += 1,
            }
        }
        let present: BTreeSet<Ulid> = listed.iter().filter_map(|b| part_id_of(&b.key)).collect();
        gone.iter().for_each(|id| _ = writing.dropped.remove(id));
        writing.dropped.retain(|id| present.contains(id));
        self.forget_given_up();
        self.prune_generations()?;
        Ok(collected)
    }

    /// Publishes the current manifest once more, so that the generation before it names the same
    /// parts, and collects. After a full merge, this frees the space now instead of after the next
    /// flush.
    pub fn collect_garbage_now(&self) -> Result<Collected, PartError> {
        self.update(|_| Ok(crate::Edit::default()))?;
        self.collect_garbage()
    }

    fn rules<'a>(&self, writing: &'a Writing) -> Rules<'a> {
        let shared = self.shared();
        let manifest = &shared.current;
        let (making, given_up): (Vec<_>, Vec<_>) =
            shared.making.iter().partition(|(_, pin)| pin.strong_count() > 0);
        let ids = |list: Vec<&(Ulid, _)>| list.into_iter().map(|(id, _)| *id).collect();
        Rules {
            named: manifest.named().collect(),
            in_use: shared.in_use(),
            making: ids(making),
            given_up: ids(given_up),
            writing,
            orphans_may_go: manifest.generation > 0 && manifest.damage.is_empty(),
            now_ms: self.clock.wall_ms(),
        }
    }

    fn delete(&self, blob: &BlobInfo, reason: &str) -> bool {
        match self.blobs.delete(&blob.key) {
            Ok(()) => {
                telemetry::PARTS_DELETED.increment(&[reason]);
                true
            }
            Err(error) => {
                observe::emit(&telemetry::GarbageStays { key: &blob.key, error: &error });
                false
            }
        }
    }

    /// Forgets the ids of abandoned parts whose files are deleted or published.
    fn forget_given_up(&self) {
        self.shared().making.retain(|(_, pin)| pin.strong_count() > 0);
    }

    /// Deletes generations that an earlier process left.
    fn prune_generations(&self) -> Result<(), PartError> {
        let prefix = manifests_prefix(&self.tenant, self.signal);
        let listed = self.blobs.list(&prefix).map_err(PartError::io(&prefix))?;
        let newest = self.snapshot().generation;
        let old: Vec<u64> = listed
            .iter()
            .filter_map(|blob| generation_of(&blob.key))
            .filter(|generation| generation + GENERATIONS_KEPT <= newest)
            .collect();
        generations::prune(self.blobs.as_ref(), &self.tenant, self.signal, &old);
        Ok(())
    }
}

impl Rules<'_> {
    fn fate(&self, id: Ulid, blob: &BlobInfo) -> Fate {
        if self.named.contains(&id) || self.making.contains(&id) {
            return Fate::Keep;
        }
        let Some(reason) = self.why_garbage(id, blob) else { return Fate::Keep };
        if self.writing.previous.contains(&id) || self.in_use.contains(&id) {
            return Fate::Wait;
        }
        Fate::Delete(reason)
    }

    fn why_garbage(&self, id: Ulid, blob: &BlobInfo) -> Option<&'static str> {
        if self.writing.dropped.contains(&id) {
            return Some("dropped");
        }
        if self.given_up.contains(&id) {
            return Some("given_up");
        }
        let minted_ms = i64::try_from(id.millis()).unwrap_or(i64::MAX);
        let youngest_ms = blob.modified_ms.max(minted_ms);
        let old = self.now_ms.saturating_sub(youngest_ms) >= ORPHAN_AGE_MS;
        (old && self.orphans_may_go).then_some("orphan")
    }
}
