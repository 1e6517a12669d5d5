//! A cache of open parts, shared by all stores of a server: one limit for all tenants and signals,
//! so that neither file handles nor memory for footers grow with the number of stores.
//!
//! A part that is read stays open for as long as its reader holds it, also when this cache drops
//! it.

use crate::part::Part;
use model::Ulid;
use platform::{Blobs, Clock, Ids};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Enough for the parts of a usual retention (days × parts per day × signals), and below the usual
/// limit of file handles.
const HANDLES_KEPT: usize = 512;

/// The most memory for the footers of these parts.
const FOOTER_BYTES_KEPT: usize = 64 << 20;

/// Where the stores of a server keep their parts, and what they share.
#[derive(Clone, Debug)]
pub struct Site {
    pub blobs: Arc<dyn Blobs>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<Ids>,
    pub(crate) open: Arc<OpenParts>,
}

impl Site {
    pub fn new(blobs: Arc<dyn Blobs>, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Self {
        let open = Arc::new(OpenParts::new(HANDLES_KEPT, FOOTER_BYTES_KEPT));
        Self { blobs, clock, ids, open }
    }
}

#[derive(Debug)]
pub(crate) struct OpenParts {
    handles_max: usize,
    bytes_max: usize,
    kept: Mutex<Kept>,
}

/// Ids of parts are unique across tenants and signals.
#[derive(Debug, Default)]
struct Kept {
    parts: HashMap<Ulid, (Arc<Part>, u64)>,
    bytes: usize,
    clock: u64,
}

impl OpenParts {
    pub(crate) fn new(handles_max: usize, bytes_max: usize) -> Self {
        Self { handles_max, bytes_max, kept: Mutex::default() }
    }

    /// Keeps a part open, and drops the least recently used ones above the limits.
    pub(crate) fn keep(&self, id: Ulid, part: &Arc<Part>) {
        let mut kept = self.kept();
        kept.bytes += part.footer_bytes();
        let used = kept.tick();
        if let Some((before, _)) = kept.parts.insert(id, (Arc::clone(part), used)) {
            kept.bytes -= before.footer_bytes();
        }
        while kept.parts.len() > self.handles_max || kept.bytes > self.bytes_max {
            let oldest = kept.parts.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            kept.forget(oldest);
        }
    }

    pub(crate) fn touch(&self, id: Ulid) {
        let mut kept = self.kept();
        let now = kept.tick();
        if let Some((_, used)) = kept.parts.get_mut(&id) {
            *used = now;
        }
    }

    /// Drops a part from the cache. Readers that hold it can go on.
    pub(crate) fn forget(&self, id: Ulid) {
        self.kept().forget(id);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn forget(&mut self, id: Ulid) {
        if let Some((part, _)) = self.parts.remove(&id) {
            self.bytes -= part.footer_bytes();
        }
    }
}
