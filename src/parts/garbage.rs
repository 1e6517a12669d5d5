//! Gives disk space back. The reasoning stands in `docs/adr/0002-parts-and-manifests.md`; in short,
//! a part file may go when all of this holds:
//! 1. Neither the current generation nor the one before it names it, live or in quarantine: were
//!    the newest manifest to rot, the one before would still be complete.
//! 2. Nobody reads it: no snapshot that names it and no handle is held, and it is not being made.
//! 3. It is known to be dropped (some generation named it once, or this process began it and gave
//!    it up), or it is an orphan that is older than an hour by its file and by its id.
//! 4. It is known what the newest generation is. Orphans stay, too, while the manifest carries
//!    unacknowledged damage or does not exist at all: they may be all that is left.

use crate::PartError;
use crate::keys::{generation_of, manifests_prefix, part_id_of, parts_prefix};
use crate::store::{GENERATIONS_KEPT, PartStore, Writing};
use crate::{generations, telemetry};
use model::Ulid;
use platform::BlobInfo;
use std::collections::BTreeSet;

/// An orphan younger than this may belong to a writer that this process does not know of.
pub const ORPHAN_AGE_MS: i64 = 3_600_000;

/// What a collection gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub files: u64,
    pub bytes: u64,
    /// Files that are dropped but still read, or still named by the generation before.
    pub waiting: u64,
}

/// Why a file may go.
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
    /// Deletes what nobody needs. Call it after merges and retention, and now and then.
    pub fn collect_garbage(&self) -> Result<Collected, PartError> {
        let mut writing = self.writing();
        self.settle(&mut writing)?;
        let prefix = parts_prefix(&self.tenant, self.signal);
        // Listed first: what is made from here on is not in the list.
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
    /// parts, and collects: after a full merge the space comes back now instead of with the next
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

    /// Ids that were given up are no longer needed once their files are gone or published.
    fn forget_given_up(&self) {
        self.shared().making.retain(|(_, pin)| pin.strong_count() > 0);
    }

    /// What an earlier process did not come to delete.
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
