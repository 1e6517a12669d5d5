//! Delta points, added up to cumulative points, which is what Prometheus' model has.
//!
//! The sums are in memory, by tenant and series. After a restart, or when a series had no points for
//! too long, its sum starts again at 0, which a query sees as a counter reset. A point that is not newer
//! than the one before it is left out, so that a request that is sent again is not counted twice.
//!
//! Invariant: the sums hold the points of the requests that were stored. A request adds its points
//! while it is decoded and takes them back when it fails, and requests don't wait for each other:
//! 1. Before the first point of a request in a series, the sum so far is saved.
//! 2. When a request is stored, its saved sum is dropped, and so are those of requests that added
//!    earlier, because the sum that is now on disk holds their points.
//! 3. When a request fails, the sum goes back to what it saved. If a later request has added to it
//!    meanwhile, that request takes the saved sum over, to go back to if it fails as well.

use model::{FloatHistogram, TenantId};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sum of the points so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sum {
    Number(f64),
    Buckets { count: u64, sum: f64, counts: Vec<u64>, bounds: Vec<f64> },
    Native(FloatHistogram),
}

impl Sum {
    /// Adds a point; a point of another shape replaces the sum. Answers whether it was added.
    fn add(&mut self, point: Self) -> bool {
        match (&mut *self, point) {
            (Self::Number(sum), Self::Number(more)) => *sum += more,
            (
                Self::Buckets { count, sum, counts, bounds },
                Self::Buckets { count: more, sum: more_sum, counts: more_counts, bounds: same },
            ) if *bounds == same && counts.len() == more_counts.len() => {
                *count = count.saturating_add(more);
                *sum += more_sum;
                for (mine, theirs) in counts.iter_mut().zip(more_counts) {
                    *mine = mine.saturating_add(theirs);
                }
            }
            (Self::Native(sum), Self::Native(more)) => match sum.add(&more) {
                Ok(_) => {}
                Err(_) => {
                    *self = Self::Native(more);
                    return false;
                }
            },
            (_, other) => {
                *self = other;
                return false;
            }
        }
        true
    }
}

/// A sum, and the times of its points.
#[derive(Clone, Debug)]
struct Running {
    sum: Sum,
    start_ns: u64,
    last_ns: u64,
    seen_ms: i64,
}

/// Which request added a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket(u64);

/// The sum before a request's first point; dropped once the request is stored.
#[derive(Debug)]
struct Undo {
    ticket: Ticket,
    /// `None`: the series was new.
    before: Option<Running>,
}

#[derive(Debug)]
struct Counted {
    running: Running,
    /// The requests that are not stored yet, in the order in which they added.
    undo: Vec<Undo>,
}

impl Counted {
    /// The request is stored, and with it all points that were added before its last one.
    fn confirm(&mut self, ticket: Ticket) {
        if let Some(last) = self.undo.iter().rposition(|undo| undo.ticket == ticket) {
            self.undo.drain(..=last);
        }
    }

    /// The request failed. Answers whether nothing is left of the series.
    fn roll_back(&mut self, ticket: Ticket) -> bool {
        while let Some(index) = self.undo.iter().rposition(|undo| undo.ticket == ticket) {
            let Undo { before, .. } = self.undo.remove(index);
            match (self.undo.get_mut(index), before) {
                // A later request added to this sum. If it fails too, it must go back further.
                (Some(above), before) => above.before = before,
                (None, Some(before)) => self.running = before,
                (None, None) => return true,
            }
        }
        false
    }
}

/// Why a delta point was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DeltaError {
    #[error("a delta point is not newer than the one before it")]
    OutOfOrder,
    #[error("too many series send deltas: send sums, or raise otlp.delta_series_max")]
    TooMany,
}

type SeriesKey = (TenantId, Vec<u8>);

/// The running sums of all tenants.
#[derive(Debug, Default)]
pub(crate) struct DeltaState {
    series: Mutex<HashMap<SeriesKey, Counted>>,
    next_ticket: AtomicU64,
}

/// How long a series may be silent, and how many sums there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeltaLimits {
    pub(super) now_ms: i64,
    pub(super) expiry_ms: i64,
    pub(super) series_max: usize,
}

/// The points that one request adds. Unless they are [kept](Self::keep), they are taken back when this
/// is dropped, because the sender will send the request again.
#[derive(Debug)]
pub(super) struct DeltaDraft {
    state: Arc<DeltaState>,
    ticket: Ticket,
    touched: BTreeSet<SeriesKey>,
    limits: DeltaLimits,
}

impl DeltaDraft {
    pub(super) fn new(state: Arc<DeltaState>, limits: DeltaLimits) -> Self {
        let ticket = Ticket(state.next_ticket.fetch_add(1, Relaxed));
        Self { state, ticket, touched: BTreeSet::new(), limits }
    }

    /// Adds a point to its series; answers the sum so far and when it began.
    pub(super) fn add(
        &mut self,
        key: SeriesKey,
        times_ns: (u64, u64),
        point: Sum,
    ) -> Result<(Sum, u64), DeltaError> {
        let added = self.state.add(self.ticket, &key, times_ns, point, self.limits)?;
        self.touched.insert(key);
        Ok(added)
    }

    /// The request is stored.
    pub(super) fn keep(mut self) {
        let mut series = self.state.series();
        for key in std::mem::take(&mut self.touched) {
            if let Some(counted) = series.get_mut(&key) {
                counted.confirm(self.ticket);
            }
        }
    }
}

impl Drop for DeltaDraft {
    fn drop(&mut self) {
        if self.touched.is_empty() {
            return;
        }
        let mut series = self.state.series();
        for key in &self.touched {
            if series.get_mut(key).is_some_and(|counted| counted.roll_back(self.ticket)) {
                series.remove(key);
            }
        }
    }
}

impl DeltaState {
    fn series(&self) -> MutexGuard<'_, HashMap<SeriesKey, Counted>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        ticket: Ticket,
        key: &SeriesKey,
        (start_ns, last_ns): (u64, u64),
        point: Sum,
        limits: DeltaLimits,
    ) -> Result<(Sum, u64), DeltaError> {
        let mut series = self.series();
        let fresh = Running { sum: point.clone(), start_ns, last_ns, seen_ms: limits.now_ms };
        let Some(counted) = series.get_mut(key) else {
            make_room(&mut series, limits)?;
            let undo = vec![Undo { ticket, before: None }];
            series.insert(key.clone(), Counted { running: fresh, undo });
            return Ok((point, start_ns));
        };
        let Counted { running, undo } = counted;
        let is_silent = limits.now_ms.saturating_sub(running.seen_ms) > limits.expiry_ms;
        if !is_silent && last_ns <= running.last_ns {
            return Err(DeltaError::OutOfOrder);
        }
        if undo.last().is_none_or(|last| last.ticket != ticket) {
            undo.push(Undo { ticket, before: Some(running.clone()) });
        }
        if is_silent {
            *running = fresh;
        } else {
            if !running.sum.add(point) {
                running.start_ns = start_ns;
            }
            (running.last_ns, running.seen_ms) = (last_ns, limits.now_ms);
        }
        Ok((running.sum.clone(), running.start_ns))
    }
}

/// Makes room for one more series by removing those that have been silent for too long.
fn make_room(
    series: &mut HashMap<SeriesKey, Counted>,
    limits: DeltaLimits,
) -> Result<(), DeltaError> {
    if series.len() < limits.series_max {
        return Ok(());
    }
    let silent_before = limits.now_ms.saturating_sub(limits.expiry_ms);
    series.retain(|_, one| one.running.seen_ms >= silent_before);
    if series.len() < limits.series_max { Ok(()) } else { Err(DeltaError::TooMany) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(now_ms: i64) -> DeltaLimits {
        DeltaLimits { now_ms, expiry_ms: 1_000, series_max: 2 }
    }

    fn key(name: &str) -> SeriesKey {
        (TenantId::default_tenant(), name.as_bytes().to_vec())
    }

    /// Adds one point as a request of its own that is stored.
    fn add(
        state: &Arc<DeltaState>,
        name: &str,
        times: (u64, u64),
        point: Sum,
        now_ms: i64,
    ) -> Result<(Sum, u64), DeltaError> {
        let mut draft = DeltaDraft::new(Arc::clone(state), limits(now_ms));
        let added = draft.add(key(name), times, point);
        draft.keep();
        added
    }

    #[test]
    fn points_add_up_until_silence() {
        let state = Arc::<DeltaState>::default();
        let add = |times, value, now_ms| add(&state, "a", times, Sum::Number(value), now_ms);
        assert_eq!(add((1, 2), 3.0, 0), Ok((Sum::Number(3.0), 1)));
        assert_eq!(add((2, 3), 4.0, 500), Ok((Sum::Number(7.0), 1)));
        assert_eq!(add((2, 3), 4.0, 600), Err(DeltaError::OutOfOrder));
        assert_eq!(add((8, 9), 1.0, 2_000), Ok((Sum::Number(1.0), 8)));
    }

    #[test]
    fn other_bounds_begin_anew() {
        let state = Arc::<DeltaState>::default();
        let buckets =
            |bounds: Vec<f64>| Sum::Buckets { count: 2, sum: 1.0, counts: vec![1, 1], bounds };
        let add = |times, bounds| add(&state, "a", times, buckets(bounds), 0).unwrap();
        add((0, 1), vec![5.0]);
        let (sum, start) = add((1, 2), vec![5.0]);
        assert_eq!(start, 0);
        assert_eq!(sum, Sum::Buckets { count: 4, sum: 2.0, counts: vec![2, 2], bounds: vec![5.0] });
        assert_eq!(add((2, 3), vec![6.0]), (buckets(vec![6.0]), 2));
    }

    #[test]
    fn there_is_room_for_so_many_series() {
        let state = Arc::<DeltaState>::default();
        let add = |name, now_ms| add(&state, name, (0, 1), Sum::Number(1.0), now_ms);
        assert!(add("a", 0).is_ok() && add("b", 900).is_ok());
        assert_eq!(add("c", 950), Err(DeltaError::TooMany));
        assert!(add("c", 1_500).is_ok(), "a has been silent too long");
    }

    #[test]
    fn a_request_that_fails_may_come_again() {
        let state = Arc::<DeltaState>::default();
        let mut draft = DeltaDraft::new(Arc::clone(&state), limits(0));
        for (time, value) in [(1, 3.0), (2, 4.0)] {
            draft.add(key("a"), (0, time), Sum::Number(value)).unwrap();
        }
        drop(draft);
        assert!(state.series().is_empty(), "the series is as new as before");
        assert_eq!(add(&state, "a", (0, 1), Sum::Number(3.0), 0), Ok((Sum::Number(3.0), 0)));
    }

    proptest! {
        /// Requests overlap and fail as they like: what is stored in the end, each failed one sent
        /// again until it is stored or found to be counted, is the sum of all points.
        #[test]
        fn every_point_counts_once(order in prop::collection::vec((0usize..3, any::<bool>()), 0..40)) {
            let state = Arc::<DeltaState>::default();
            let mut open: [Option<(DeltaDraft, f64)>; 3] = [None, None, None];
            let (mut clock, mut stored, mut expected) = (1u64, 0.0, 0.0);
            for (slot, succeeds) in order {
                match open[slot].take() {
                    None => {
                        let mut draft = DeltaDraft::new(Arc::clone(&state), limits(0));
                        clock += 1;
                        let added = draft.add(key("a"), (0, clock), Sum::Number(1.0)).unwrap().0;
                        let Sum::Number(sum) = added else { unreachable!("numbers add up to one") };
                        open[slot] = Some((draft, sum));
                    }
                    Some((draft, sum)) if succeeds => {
                        draft.keep();
                        stored = f64::max(stored, sum);
                    }
                    Some((draft, _)) => drop(draft),
                }
                let running = state.series().get(&key("a")).map(|one| match one.running.sum {
                    Sum::Number(sum) => sum,
                    _ => unreachable!("numbers add up to one"),
                });
                expected = running.unwrap_or(0.0);
                prop_assert!(expected >= stored, "what is stored is never taken back");
            }
            drop(open);
            let left = state.series().get(&key("a")).map_or(0.0, |one| match one.running.sum {
                Sum::Number(sum) => sum,
                _ => unreachable!("numbers add up to one"),
            });
            prop_assert_eq!(left, stored, "of requests that failed nothing is left: {}", expected);
        }
    }
}
