//! What the heads of an engine may take of the memory, with the labels of their series or streams.
//!
//! The maintenance measures all tenants about once a second; in between, what batches add is counted.
//! So a batch is refused before its labels are copied, whoever fills the memory.

use crate::EngineError;
use model::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much memory heads may take, and the setting that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadMemory {
    pub bytes_max: u64,
    pub setting: &'static str,
}

impl HeadMemory {
    pub const UNLIMITED: Self = Self { bytes_max: u64::MAX, setting: "" };
}

/// Heads take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what is in memory takes {used} bytes, limit `{setting}` allows {bytes_max}: send the batch again \
     later, drop labels that change often, or raise the limit"
)]
pub struct HeadsFull {
    pub setting: &'static str,
    pub used: u64,
    pub bytes_max: u64,
}

impl From<HeadsFull> for EngineError {
    fn from(full: HeadsFull) -> Self {
        Self::new(ErrorKind::Overloaded, full)
    }
}

#[derive(Debug)]
pub struct MemoryBudget {
    limit: HeadMemory,
    used: AtomicU64,
}

impl MemoryBudget {
    pub fn new(limit: HeadMemory) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub fn unlimited() -> Self {
        Self::new(HeadMemory::UNLIMITED)
    }

    /// New series or streams need room below the limit. Rows of known ones have a quarter more, so that
    /// a flood of new ones does not stop what is written already.
    pub fn check_known(&self) -> Result<(), HeadsFull> {
        self.check(0, self.limit.bytes_max.saturating_add(self.limit.bytes_max / 4))
    }

    pub fn check_new(&self, bytes: usize) -> Result<(), HeadsFull> {
        self.check(bytes as u64, self.limit.bytes_max)
    }

    fn check(&self, bytes: u64, bytes_max: u64) -> Result<(), HeadsFull> {
        let used = self.used.load(Relaxed);
        if used.saturating_add(bytes) <= bytes_max {
            return Ok(());
        }
        let HeadMemory { bytes_max, setting } = self.limit;
        Err(HeadsFull { setting, used, bytes_max })
    }

    /// Three quarters are used: what is idle is let go sooner, and by an early flush.
    pub fn is_short(&self) -> bool {
        self.used.load(Relaxed) > self.limit.bytes_max / 4 * 3
    }

    pub fn add(&self, before: usize, after: usize) {
        // Only growth: what is let go is seen by the next measurement.
        self.used.fetch_add(after.saturating_sub(before) as u64, Relaxed);
    }

    /// What heads take, as far as it is known.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub fn measured(&self, bytes: u64) {
        self.used.store(bytes, Relaxed);
    }
}
