//! The memory of requests: their bodies as they arrive, what is made of them, and their answers until
//! the clients have read them. One limit for all together (`limits.request_memory`), of which a
//! single request may take half.
//!
//! A *transfer* is a body that arrives or an answer that is sent: how long it takes, its client
//! decides. Where the memory ends, transfers are cut off to make room, first those that hold much for
//! long. So a client that sends slowly, or does not read, holds memory only until another needs it.
//!
//! Invariants: `held` is the sum of what all [`Held`] and all transfers in the table have; a transfer
//! that is not in the table was cut off and has nothing.

use axum::body::Bytes;
use model::{NoRoom, Room};
use observe::{Counter, Gauge, Metric};
use platform::{Clock, Moment};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

static HELD: Gauge = Gauge::new(
    "mirador_request_memory_bytes",
    "Memory of requests on their way: bodies, what is made of them, answers that are being sent.",
);
static CUT_OFF: Counter = Counter::new(
    "mirador_request_transfers_cut_off_total",
    "Bodies and answers of slow clients that were cut off because others needed the memory.",
);
pub(crate) static METRICS: &[&dyn Metric] = &[&HELD, &CUT_OFF];

/// The share of the limit that one request may take.
const OWN_SHARE: usize = 2;
/// The share of the limit that is made free at once, so that the table is looked through seldom.
const ROOM_SHARE: usize = 16;

/// The memory that requests share.
#[derive(Debug)]
pub struct RequestMemory {
    limit: usize,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    next_id: u64,
    transfers: BTreeMap<u64, Transfer>,
}

#[derive(Debug)]
struct Transfer {
    bytes: usize,
    since: Moment,
    shared: Arc<TransferState>,
}

/// What a transfer's owner shares with the table.
#[derive(Debug, Default)]
pub(super) struct TransferState {
    /// The rest of an answer, so that cutting it off frees it even while nobody reads.
    pub(super) answer: Mutex<Option<Bytes>>,
    /// Signalled when a body that arrives is cut off.
    pub(super) cut: Notify,
}

impl TransferState {
    fn cut_off(&self) {
        CUT_OFF.increment();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.cut.notify_one();
    }
}

impl RequestMemory {
    pub fn new(limit: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { limit, clock, state: Mutex::default() })
    }

    /// What one request may take.
    fn own_max(&self) -> usize {
        self.limit / OWN_SHARE
    }

    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// A request that has nothing yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: AtomicUsize::new(0) }
    }

    /// No panic can happen while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> NoRoom {
        NoRoom::Busy(format!(
            "requests need more memory than the {} bytes that they may have together: try again \
             later, or raise limits.request_memory",
            self.limit
        ))
    }

    fn check_own(&self, bytes: usize) -> Result<(), NoRoom> {
        if bytes <= self.own_max() {
            return Ok(());
        }
        Err(NoRoom::Own(format!(
            "this takes more than the {} bytes of memory that one request may have, half of \
             limits.request_memory: send or ask for less at once, or raise it",
            self.own_max()
        )))
    }

    /// Takes memory for a transfer, or for what can't be cut off.
    fn take(&self, bytes: usize, own: Option<u64>) -> Result<(), NoRoom> {
        let mut cut = Vec::new();
        let fits = self.lock().take(bytes, own, self, &mut cut);
        // Without the lock, because this frees what the transfers hold.
        cut.iter().for_each(|transfer: &Arc<TransferState>| transfer.cut_off());
        if fits { Ok(()) } else { Err(self.busy()) }
    }

    fn give_back(&self, bytes: usize) {
        let mut state = self.lock();
        state.held -= bytes;
        HELD.set(state.held as f64);
    }

    pub(super) fn begin(self: &Arc<Self>) -> TransferGuard {
        let shared = Arc::new(TransferState::default());
        let since = self.clock.now();
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.transfers.insert(id, Transfer { bytes: 0, since, shared: Arc::clone(&shared) });
        TransferGuard { memory: Arc::clone(self), id, shared }
    }
}

impl State {
    fn take(
        &mut self,
        bytes: usize,
        own: Option<u64>,
        memory: &RequestMemory,
        cut: &mut Vec<Arc<TransferState>>,
    ) -> bool {
        let is_cut_off = own.is_some_and(|id| !self.transfers.contains_key(&id));
        if is_cut_off || !(self.fits(bytes, memory) || self.make_room(bytes, own, memory, cut)) {
            return false;
        }
        self.held += bytes;
        HELD.set(self.held as f64);
        if let Some(transfer) = own.and_then(|id| self.transfers.get_mut(&id)) {
            transfer.bytes += bytes;
        }
        true
    }

    fn fits(&self, bytes: usize, memory: &RequestMemory) -> bool {
        bytes <= memory.limit.saturating_sub(self.held)
    }

    /// Takes transfers out of the table until there is room, or until it is the turn of `own`.
    fn make_room(
        &mut self,
        bytes: usize,
        own: Option<u64>,
        memory: &RequestMemory,
        cut: &mut Vec<Arc<TransferState>>,
    ) -> bool {
        let now = memory.clock.now();
        let weight = |transfer: &Transfer| {
            let age = now.since(transfer.since).as_millis() + 1;
            age.saturating_mul(transfer.bytes as u128)
        };
        let holding = self.transfers.iter().filter(|(_, transfer)| transfer.bytes > 0);
        let mut order: Vec<(u128, u64)> = holding.map(|(id, one)| (weight(one), *id)).collect();
        order.sort_unstable_by(|left, right| right.cmp(left));
        let goal = bytes.max(memory.limit / ROOM_SHARE);
        for (_, id) in order {
            if self.fits(goal, memory) || own == Some(id) {
                break;
            }
            if let Some(transfer) = self.transfers.remove(&id) {
                self.held -= transfer.bytes;
                cut.push(transfer.shared);
            }
        }
        self.fits(bytes, memory)
    }
}

/// What a request holds, which no other request can take from it. Given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    memory: Arc<RequestMemory>,
    bytes: AtomicUsize,
}

impl Held {
    pub fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        self.memory.check_own(self.bytes.load(Ordering::Relaxed).saturating_add(bytes))?;
        self.memory.take(bytes, None)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// From here on holds exactly this much.
    pub fn settle(&self, bytes: usize) -> Result<(), NoRoom> {
        let held = self.bytes.load(Ordering::Relaxed);
        if bytes > held {
            return self.take(bytes - held);
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        self.memory.give_back(held - bytes);
        Ok(())
    }
}

impl Room for &Held {
    fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        Held::take(self, bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.give_back(*self.bytes.get_mut());
    }
}

/// A transfer; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct TransferGuard {
    memory: Arc<RequestMemory>,
    id: u64,
    pub(super) shared: Arc<TransferState>,
}

impl TransferGuard {
    pub(super) fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let state = self.memory.lock();
        let held = state.transfers.get(&self.id).map_or(0, |transfer| transfer.bytes);
        drop(state);
        self.memory.check_own(held.saturating_add(bytes))?;
        self.memory.take(bytes, Some(self.id))
    }

    /// Ends the transfer; what it holds can't be cut off any more. `Err`: it was cut off.
    pub(super) fn arrived(self) -> Result<Held, NoRoom> {
        let removed = self.memory.lock().transfers.remove(&self.id);
        let transfer = removed.ok_or_else(|| self.memory.busy())?;
        Ok(Held { memory: Arc::clone(&self.memory), bytes: AtomicUsize::new(transfer.bytes) })
    }

    pub(super) fn busy(&self) -> NoRoom {
        self.memory.busy()
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        let removed = self.memory.lock().transfers.remove(&self.id);
        if let Some(transfer) = removed {
            self.memory.give_back(transfer.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::sim::SimClock;
    use std::time::Duration;

    fn memory(limit: usize) -> (Arc<RequestMemory>, Arc<SimClock>) {
        let clock = Arc::new(SimClock::new());
        (RequestMemory::new(limit, clock.clone()), clock)
    }

    #[test]
    fn what_is_held_is_given_back() {
        let (memory, _) = memory(100);
        let held = memory.hold();
        held.take(20).unwrap();
        assert_eq!(held.take(31).unwrap_err().kind(), model::ErrorKind::Limit);
        held.settle(25).unwrap();
        held.settle(10).unwrap();
        assert_eq!(memory.held(), 10);
        drop(held);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn the_largest_and_oldest_transfer_makes_room() {
        let (memory, clock) = memory(100);
        let [old, large, young] = [(); 3].map(|()| memory.begin());
        old.take(10).unwrap();
        large.take(25).unwrap();
        clock.advance(Duration::from_secs(10));
        let held = [(); 3].map(|()| memory.hold());
        held.iter().for_each(|held| held.take(20).unwrap());
        // The large one goes; 6 of the 15 beyond what is needed are the sixteenth.
        young.take(20).unwrap();
        assert_eq!(memory.held(), 90);
        assert!(large.take(1).is_err() && large.arrived().is_err());
        // The transfer that asks is the one that would have to go.
        clock.advance(Duration::from_secs(10));
        assert_eq!(young.take(5), Ok(()));
        assert_eq!(memory.held(), 95);
        assert_eq!(young.take(31).unwrap_err().kind(), model::ErrorKind::Limit);
        let more = memory.hold();
        more.take(25).unwrap();
        assert!(young.arrived().is_err());
        drop((old, held, more));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_arrived_can_not_be_cut_off() {
        let (memory, _) = memory(40);
        let held: Vec<Held> = (0..4)
            .map(|_| {
                let transfer = memory.begin();
                transfer.take(10).unwrap();
                transfer.arrived().unwrap()
            })
            .collect();
        let more = memory.begin();
        assert_eq!(more.take(1).unwrap_err().kind(), model::ErrorKind::Overloaded);
        drop(held);
        more.take(1).unwrap();
    }
}
