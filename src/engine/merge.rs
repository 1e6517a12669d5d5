//! Merges parts, and drops parts.

use crate::{Age, EngineError, InputFailed, Kind, PartOrigin, Tenant};
use model::Ulid;
use parts::{Edit, Manifest, MergePlan, PartError};
use std::collections::BTreeSet;
use std::sync::Arc;

impl<K: Kind> Tenant<K> {
    /// Runs the merges and returns which were done. A merge whose input is damaged or missing is
    /// skipped. After any other failure the remaining merges still run, and the first error is
    /// returned.
    pub(crate) fn merge_all(&self, kind: &K, plans: Vec<MergePlan>) -> MergeOutcome {
        let mut outcome = MergeOutcome::default();
        for plan in plans {
            match self.merge(kind, &plan) {
                Ok(true) => outcome.done.push(plan),
                Ok(false) => {}
                Err(error) => outcome.failed = outcome.failed.or(Some(error)),
            }
        }
        outcome
    }

    /// Returns false if an input was damaged (it is quarantined now) or was dropped in the
    /// meantime.
    fn merge(&self, kind: &K, plan: &MergePlan) -> Result<bool, EngineError> {
        let manifest = self.store.snapshot();
        let Some(origin) = merge_origin(plan, &manifest) else { return Ok(false) };
        let add = match kind.merge(self, &manifest, plan, origin) {
            Ok(add) => add,
            Err(failed) => return self.input_failed(kind, failed),
        };
        let edit = Edit { add, remove: plan.inputs.clone(), ..Edit::default() };
        let published = self.store.update(|current| {
            let gone = plan.inputs.iter().find(|id| current.part(**id).is_none());
            gone.map_or(Ok(edit), |id| Err(PartError::NoSuchPart(*id)))
        });
        match published {
            Ok(_) => {
                kind.parts_gone(&plan.inputs);
                Ok(true)
            }
            // Retention or a reader has removed an input meanwhile: the next run plans anew.
            Err(PartError::NoSuchPart(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn input_failed(&self, kind: &K, failed: InputFailed) -> Result<bool, EngineError> {
        match failed {
            InputFailed { input: Some(id), error } => {
                self.quarantine_damaged(kind, id, error).map(|_| false)
            }
            InputFailed { input: None, error } => Err(error),
        }
    }

    /// Drops the given parts that exist here. A merge that reads them fails when it publishes.
    pub(crate) fn drop_parts(
        &self,
        kind: &K,
        parts: &BTreeSet<Ulid>,
    ) -> Result<usize, EngineError> {
        let mut remove: Vec<Ulid> = Vec::new();
        let named = |manifest: &Manifest| manifest.named().any(|id| parts.contains(&id));
        if !named(&self.store.snapshot()) {
            return Ok(0);
        }
        self.store.update(|current| {
            remove = current.named().filter(|id| parts.contains(id)).collect();
            Ok(Edit { remove: remove.clone(), ..Edit::default() })
        })?;
        self.store.collect_garbage()?;
        kind.parts_gone(&remove);
        Ok(remove.len())
    }
}

/// The merges that were done, and the first failure.
#[derive(Debug, Default)]
pub(crate) struct MergeOutcome {
    pub(crate) done: Vec<MergePlan>,
    pub(crate) failed: Option<EngineError>,
}

/// `None` if an input no longer exists.
fn merge_origin(plan: &MergePlan, manifest: &Arc<Manifest>) -> Option<PartOrigin> {
    let inputs: Option<Vec<_>> = plan.inputs.iter().map(|id| manifest.part(*id)).collect();
    let ages: Vec<Age> = inputs?.into_iter().map(Age::of).collect();
    assert!(ages.is_sorted(), "a plan names its inputs by age");
    Some(PartOrigin {
        day: plan.day,
        level: plan.level,
        age: ages.into_iter().reduce(Age::union).unwrap_or_default(),
        covered: manifest.covered,
        sources: plan.inputs.clone(),
        tombstones_applied: manifest.generation,
    })
}
