//! What a row group counts, kept in the cache.

use super::index::Cached;
use super::{Group, TracePart};
use crate::error::StoreError;
use crate::measures::{MeasureKey, Measures};
use std::sync::Arc;

impl TracePart {
    /// What all spans of a row group count; `count` reads its columns.
    pub(crate) fn kept_measures<K: MeasureKey>(
        &self,
        index: u32,
        count: impl FnOnce(Group) -> Result<Measures<K>, StoreError>,
    ) -> Result<Arc<Measures<K>>, StoreError> {
        self.caches.get(self.id, Cached::Measures(K::PAGE, index), || {
            let measures = count(self.group(index)?)?;
            let memory = measures.memory();
            Ok((measures, memory))
        })
    }
}
