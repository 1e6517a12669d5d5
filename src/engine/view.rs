//! What a tenant has at one moment.

use crate::{Head, Kind};
use parts::{Manifest, Tombstone};
use std::fmt;
use std::sync::Arc;

/// The heads and the manifest that a reader holds. Every applied row is in exactly one of them.
pub struct View<K: Kind> {
    /// Oldest first, the live one last. Its rows may still grow.
    pub heads: Vec<Arc<Head<K>>>,
    /// Keeps the files of its parts readable.
    pub manifest: Arc<Manifest>,
}

impl<K: Kind> View<K> {
    /// `manifest` is not older than `heads`: a head that it covers has been written into its parts.
    pub(crate) fn new(mut heads: Vec<Arc<Head<K>>>, manifest: Arc<Manifest>) -> Self {
        heads.retain(|head| manifest.covered <= head.start);
        Self { heads, manifest }
    }

    /// The deletes that concern a head: those that came after it began, since a delete cuts.
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
