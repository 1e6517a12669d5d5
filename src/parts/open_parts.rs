//! Parts that stay open between queries, of all stores of a server together: one bound for all
//! tenants and signals, so that neither file handles nor footers grow with their number.
//!
//! A part that is read stays open for as long as its reader holds it, whatever stands here.

use crate::part::Part;
use model::Ulid;
use platform::{Blobs, Clock, Ids};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Days × parts per day × signals of a usual retention, and below the usual limit of file handles.
const HANDLES_KEPT: usize = 512;

/// What their footers may take of memory.
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

    /// Those that were not used for longest go.
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

    /// Readers go on; nobody else holds the file.
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
