//! Rows that are in memory alone.

use crate::Kind;
use model::WalPosition;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The rows of the batches between two cuts. A head is *live* and takes rows; a cut seals it, and it
/// is *frozen* until a flush has written it into parts.
pub struct Head<K: Kind> {
    /// Its batches stand here in the write-ahead log, or behind.
    pub start: WalPosition,
    /// What stays the same while the head lives.
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

    /// Whoever is in the middle of writing comes to an end first.
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

/// A sealed head and the position of the cut that sealed it: all its batches stand below.
pub(crate) struct Frozen<K: Kind> {
    pub(crate) head: Arc<Head<K>>,
    pub(crate) end: WalPosition,
}

impl<K: Kind> Clone for Frozen<K> {
    fn clone(&self) -> Self {
        Self { head: Arc::clone(&self.head), end: self.end }
    }
}
