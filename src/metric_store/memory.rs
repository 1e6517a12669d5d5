//! What heads and the labels of their series may take of the memory.
//!
//! The maintenance measures all tenants about once a second; in between, what batches add is counted.
//! So a batch is refused before its labels are copied, whoever fills the memory.

use crate::StoreError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much memory heads may take, and the setting that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadMemory {
    pub bytes_max: u64,
    pub setting: &'static str,
}

#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: HeadMemory,
    used: AtomicU64,
}

impl MemoryBudget {
    pub(crate) fn new(limit: HeadMemory) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(crate) fn unlimited() -> Self {
        Self::new(HeadMemory { bytes_max: u64::MAX, setting: "" })
    }

    /// New series need room below the limit. Samples of known ones have a quarter more, so that a
    /// flood of series does not stop what is written already.
    pub(crate) fn check_samples(&self) -> Result<(), StoreError> {
        self.check(0, self.limit.bytes_max.saturating_add(self.limit.bytes_max / 4))
    }

    pub(crate) fn check_series(&self, bytes: usize) -> Result<(), StoreError> {
        self.check(bytes as u64, self.limit.bytes_max)
    }

    fn check(&self, bytes: u64, bytes_max: u64) -> Result<(), StoreError> {
        let used = self.used.load(Relaxed);
        if used.saturating_add(bytes) <= bytes_max {
            return Ok(());
        }
        let HeadMemory { bytes_max, setting } = self.limit;
        Err(StoreError::Memory { setting, used, bytes_max })
    }

    /// Three quarters are used: idle series are let go sooner, and by an early flush.
    pub(crate) fn is_short(&self) -> bool {
        self.used.load(Relaxed) > self.limit.bytes_max / 4 * 3
    }

    pub(crate) fn add(&self, before: usize, after: usize) {
        // Only growth: what is let go is seen by the next measurement.
        self.used.fetch_add(after.saturating_sub(before) as u64, Relaxed);
    }

    pub(crate) fn measured(&self, bytes: u64) {
        self.used.store(bytes, Relaxed);
    }
}
