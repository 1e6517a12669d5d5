//! Delta points, added up to the cumulative ones that Prometheus' model knows.
//!
//! State lives in memory, by tenant and series. A series that is silent too long, or a restart,
//! begins anew: to a query that is a counter reset. A point that is not newer than the one before
//! it is left out, so a request that is sent again is not counted twice.

use model::{FloatHistogram, TenantId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// What has come together so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sum {
    Number(f64),
    Buckets { count: u64, sum: f64, counts: Vec<u64>, bounds: Vec<f64> },
    Native(FloatHistogram),
}

impl Sum {
    /// Adds a point; one of another shape takes the place of what was there.
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

#[derive(Debug)]
struct Running {
    sum: Sum,
    start_ns: u64,
    last_ns: u64,
    seen_ms: i64,
}

/// Why a delta point was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DeltaError {
    #[error("a delta point is not newer than the one before it")]
    OutOfOrder,
    #[error("too many series send deltas (otlp.delta_series_max)")]
    TooMany,
}

/// The running sums of all tenants.
#[derive(Debug, Default)]
pub(crate) struct DeltaState {
    running: Mutex<HashMap<(TenantId, Vec<u8>), Running>>,
}

/// How long silence may last, and how many series may run.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeltaLimits {
    pub(super) now_ms: i64,
    pub(super) expiry_ms: i64,
    pub(super) series_max: usize,
}

impl DeltaState {
    /// Adds a point to its series; answers the sum so far and when it began.
    pub(super) fn add(
        &self,
        key: (TenantId, Vec<u8>),
        times_ns: (u64, u64),
        point: Sum,
        limits: DeltaLimits,
    ) -> Result<(Sum, u64), DeltaError> {
        let (start_ns, last_ns) = times_ns;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= limits.series_max && !running.contains_key(&key) {
            let silent_before = limits.now_ms.saturating_sub(limits.expiry_ms);
            running.retain(|_, one| one.seen_ms >= silent_before);
            if running.len() >= limits.series_max {
                return Err(DeltaError::TooMany);
            }
        }
        let fresh = Running { sum: point.clone(), start_ns, last_ns, seen_ms: limits.now_ms };
        match running.entry(key) {
            Entry::Vacant(vacant) => drop(vacant.insert(fresh)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let silent = limits.now_ms.saturating_sub(known.seen_ms) > limits.expiry_ms;
                if !silent && last_ns <= known.last_ns {
                    return Err(DeltaError::OutOfOrder);
                }
                if silent {
                    *known = fresh;
                    return Ok((point, start_ns));
                }
                if !known.sum.add(point) {
                    known.start_ns = start_ns;
                }
                (known.last_ns, known.seen_ms) = (last_ns, limits.now_ms);
                return Ok((known.sum.clone(), known.start_ns));
            }
        }
        Ok((point, start_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(now_ms: i64) -> DeltaLimits {
        DeltaLimits { now_ms, expiry_ms: 1_000, series_max: 2 }
    }

    fn key(name: &str) -> (TenantId, Vec<u8>) {
        (TenantId::default_tenant(), name.as_bytes().to_vec())
    }

    #[test]
    fn points_add_up_until_silence() {
        let state = DeltaState::default();
        let add =
            |times, value, now_ms| state.add(key("a"), times, Sum::Number(value), limits(now_ms));
        assert_eq!(add((1, 2), 3.0, 0), Ok((Sum::Number(3.0), 1)));
        assert_eq!(add((2, 3), 4.0, 500), Ok((Sum::Number(7.0), 1)));
        assert_eq!(add((2, 3), 4.0, 600), Err(DeltaError::OutOfOrder));
        assert_eq!(add((8, 9), 1.0, 2_000), Ok((Sum::Number(1.0), 8)));
    }

    #[test]
    fn other_bounds_begin_anew() {
        let state = DeltaState::default();
        let buckets =
            |bounds: Vec<f64>| Sum::Buckets { count: 2, sum: 1.0, counts: vec![1, 1], bounds };
        let add = |times, bounds| state.add(key("a"), times, buckets(bounds), limits(0)).unwrap();
        add((0, 1), vec![5.0]);
        let (sum, start) = add((1, 2), vec![5.0]);
        assert_eq!(start, 0);
        assert_eq!(sum, Sum::Buckets { count: 4, sum: 2.0, counts: vec![2, 2], bounds: vec![5.0] });
        assert_eq!(add((2, 3), vec![6.0]), (buckets(vec![6.0]), 2));
    }

    #[test]
    fn there_is_room_for_so_many_series() {
        let state = DeltaState::default();
        let add = |name, now_ms| state.add(key(name), (0, 1), Sum::Number(1.0), limits(now_ms));
        assert!(add("a", 0).is_ok() && add("b", 900).is_ok());
        assert_eq!(add("c", 950), Err(DeltaError::TooMany));
        assert!(add("c", 1_500).is_ok(), "a has been silent too long");
    }
}
