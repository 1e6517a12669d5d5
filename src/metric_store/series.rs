//! The series of a head: their numbers, and the epoch of their definitions in the write-ahead log.
//!
//! Locks: a registry before the rows of a head. The live head and the frozen ones share a registry,
//! so its lock is never held during I/O. The order also holds for shared locks: a thread that waits
//! to write makes new readers wait.

use crate::StoreError;
use crate::batch::{BatchBuilder, REFUSED};
use crate::registry::Registry;
use crate::telemetry::{SERIES_CREATED, SERIES_REFUSED};
use codec::xxh3_64;
use engine::MemoryBudget;
use model::Labels;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug)]
pub(crate) struct SeriesContext {
    pub(crate) registry: Arc<RwLock<Registry>>,
    /// The epoch under which this head's definitions are written to the write-ahead log.
    pub(crate) epoch: u64,
}

impl SeriesContext {
    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the registry with the series of the metric, or of all metrics, in the order of parts.
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

    /// Assigns each slot of the batch its number, and collects the slots whose definition must be
    /// written to the write-ahead log. Returns how many series were refused.
    pub(crate) fn resolve(
        &self,
        batch: &mut BatchBuilder,
        series_max: u64,
        memory: &MemoryBudget,
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
        if missing.is_empty() {
            Ok(0)
        } else {
            self.add_series(batch, &missing, series_max, memory)
        }
    }

    fn add_series(
        &self,
        batch: &mut BatchBuilder,
        missing: &[u32],
        series_max: u64,
        memory: &MemoryBudget,
    ) -> Result<u64, StoreError> {
        let labels: usize = missing.iter().map(|slot| batch.labels(*slot).len()).sum();
        memory.check_new(Registry::bytes_of_new(missing.len(), labels))?;
        let mut registry = self.registry_mut();
        let (known, bytes) = (registry.len(), registry.bytes());
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
        memory.add(bytes, registry.bytes());
        SERIES_CREATED.add((registry.len() - known) as u64);
        SERIES_REFUSED.add(refused);
        Ok(refused)
    }
}
