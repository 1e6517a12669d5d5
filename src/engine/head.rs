//! Heads: rows that are only in memory.

use crate::Kind;
use model::WalPosition;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The rows of the batches between two cuts. A head is *live* and takes rows; a cut seals it, and it
/// is *frozen* until a flush has written it into parts.
pub struct Head<K: Kind> {
    /// All its batches are at or after this position of the write-ahead log.
    pub start: WalPosition,
    /// What does not change while the head exists.
    pub context: K::Context,
    rows: RwLock<K::Rows>,
    is_sealed: AtomicBool,
}

impl<K: Kind> Head<K> {
    pub(crate) fn new(start: WalPosition, context: K::Context) -> Self {
        Self { start, context, rows: RwLock::default(), is_sealed: AtomicBool::new(false) }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, K::Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` once the head is sealed: the tenant has another live head then.
    pub fn write(&self) -> Option<RwLockWriteGuard<'_, K::Rows>> {
        let rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        (!self.is_sealed.load(Ordering::Acquire)).then_some(rows)
    }

    /// Waits until a write in progress ends.
    pub(crate) fn seal(&self) {
        let _writing = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        self.is_sealed.store(true, Ordering::Release);
    }
}

impl<K: Kind> fmt::Debug for Head<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("start", &self.start).finish_non_exhaustive()
    }
}

/// A sealed head and the position of the cut that sealed it: all its batches are below that
/// position.
pub(crate) struct Frozen<K: Kind> {
    pub(crate) head: Arc<Head<K>>,
    pub(crate) end: WalPosition,
}

impl<K: Kind> Clone for Frozen<K> {
    fn clone(&self) -> Self {
        Self { head: Arc::clone(&self.head), end: self.end }
    }
}
