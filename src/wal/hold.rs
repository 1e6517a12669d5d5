//! Holds: what keeps segments although no engine needs them, within bounds.
//!
//! Lives here: the holds, and how far a truncation may go in spite of them. Not here: the deletion.
//! Invariant: a hold never stops a truncation for longer than its bytes allow, nor on a disk that is
//! nearly full; what is deleted in spite of it is counted for it.

use crate::log::Shared;
use model::WalPosition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keeps the write-ahead log from a position on, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    shared: Arc<Shared>,
    id: u64,
}

impl Hold {
    pub(crate) fn new(shared: Arc<Shared>, held: Held) -> Self {
        let id = shared.lock().holds.add(held);
        Self { shared, id }
    }

    /// Keeps everything from `keep_from` on; what lies below `unsent_from` would be no loss.
    pub fn set(&self, keep_from: WalPosition, unsent_from: WalPosition) {
        let mut state = self.shared.lock();
        if let Some(held) = state.holds.of.get_mut(&self.id) {
            (held.keep_from, held.unsent_from) = (keep_from, unsent_from);
        }
    }

    /// What was deleted in spite of the hold since the last call: at most so many bytes from
    /// `unsent_from` on.
    pub(crate) fn take_lost(&self) -> Option<u64> {
        self.shared.lock().holds.of.get_mut(&self.id)?.lost.take()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.lock().holds.of.remove(&self.id);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) keep_from: WalPosition,
    pub(crate) unsent_from: WalPosition,
    pub(crate) bytes_max: u64,
    pub(crate) lost: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Holds {
    of: BTreeMap<u64, Held>,
    next: u64,
}

impl Holds {
    fn add(&mut self, held: Held) -> u64 {
        self.next += 1;
        self.of.insert(self.next, held);
        self.next
    }

    /// Below which segment may be deleted of what lies below `wanted`. `segments`: all, with their
    /// bytes. On a disk that is nearly full one segment goes at a time, held or not.
    pub(crate) fn bound(&self, wanted: u64, segments: &BTreeMap<u64, u64>, is_short: bool) -> u64 {
        let oldest = segments.keys().next().copied().unwrap_or(wanted);
        let allowed = |held: &Held| {
            let too_many = first_within(segments, held.bytes_max);
            let short = if is_short { oldest + 1 } else { 0 };
            held.keep_from.segment.max(too_many).max(short)
        };
        self.of.values().map(allowed).fold(wanted, u64::min)
    }

    /// Segments below `bound` will be deleted.
    pub(crate) fn note_deleted(&mut self, bound: u64, segments: &BTreeMap<u64, u64>) {
        for held in self.of.values_mut().filter(|held| held.unsent_from.segment < bound) {
            let unsent = held.unsent_from;
            let bytes = |(sequence, bytes): (&u64, &u64)| match *sequence == unsent.segment {
                true => bytes.saturating_sub(unsent.offset),
                false => *bytes,
            };
            let lost: u64 = segments.range(unsent.segment..bound).map(bytes).sum();
            if lost > 0 {
                held.lost = Some(held.lost.unwrap_or(0) + lost);
                held.unsent_from = WalPosition { segment: bound, offset: 0 };
            }
        }
    }
}

/// The first segment from which on there are no more than so many bytes.
fn first_within(segments: &BTreeMap<u64, u64>, bytes_max: u64) -> u64 {
    let mut sum = 0u64;
    for (sequence, bytes) in segments.iter().rev() {
        sum = sum.saturating_add(*bytes);
        if sum > bytes_max {
            return sequence + 1;
        }
    }
    0
}
