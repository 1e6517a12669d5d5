//! What a reader sees of a tenant.

use crate::{Head, Kind};
use parts::{Manifest, Tombstone};
use std::fmt;
use std::sync::Arc;

/// The heads and the manifest that a reader holds. Every applied row is in exactly one of them.
pub struct View<K: Kind> {
    /// Oldest first, the live one last. The live one may still grow.
    pub heads: Vec<Arc<Head<K>>>,
    /// Keeps the files of its parts readable.
    pub manifest: Arc<Manifest>,
}

impl<K: Kind> View<K> {
    /// `manifest` must not be older than `heads`: a head that the manifest covers is in its parts
    /// and is left out here.
    pub(crate) fn new(mut heads: Vec<Arc<Head<K>>>, manifest: Arc<Manifest>) -> Self {
        heads.retain(|head| manifest.covered <= head.start);
        Self { heads, manifest }
    }

    /// The deletes that apply to a head: those at or after its beginning, because a delete cuts.
    pub fn tombstones_of(&self, head: &Head<K>) -> impl Iterator<Item = &Tombstone> {
        let start = head.start;
        self.manifest.tombstones.iter().filter(move |tombstone| start < tombstone.position)
    }
}

impl<K: Kind> fmt::Debug for View<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.manifest.generation;
        f.debug_struct("View").field("generation", &generation).finish_non_exhaustive()
    }
}
