//! Remembers which requests were answered quickly, so that they are answered on the thread that
//! read them: for an answer of a tenth of a millisecond, handing the work to a worker thread and
//! back costs as much again.
//!
//! Dashboards send the same queries again and again, so the time that a query took before predicts
//! the time that it will take. A query counts as quick after several quick answers in a row over a
//! time range of about the same length and age; one slow answer resets the count. It is a guess: an
//! attempt that turns out not to be quick is broken off (`run`).
//!
//! Invariant: the table has a fixed size. Two queries with the same place in it overwrite each
//! other, which makes them slower but never wrong.

use crate::Call;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const PLACES: usize = 4_096;
const QUICK: Duration = Duration::from_millis(1);
/// So many quick answers in a row make a query quick.
const ENOUGH: u64 = 3;
/// The lower bits of a place count quick answers, the others identify the query.
const COUNT_MASK: u64 = 0b11;
/// Longer requests are not looked up.
pub(super) const LENGTH_MAX: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct QuickQueries {
    places: Vec<AtomicU64>,
}

impl Default for QuickQueries {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

/// Ages below this many seconds are alike.
const AGE_STEP: f64 = 4_096.0;

/// A query without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    /// `None`: the request is too long to be looked up.
    pub(crate) fn of(call: &Call, now_ms: i64) -> Option<Self> {
        let is_short = call.query.len() + call.body.len() <= LENGTH_MAX;
        let forms = [call.query.as_bytes(), &call.body];
        is_short.then(|| Self::new(call.tenant.as_str(), &call.path, forms, now_ms))
    }

    fn new(tenant: &str, path: &str, forms: [&[u8]; 2], now_ms: i64) -> Self {
        let mut hasher = DefaultHasher::new();
        for text in [tenant, path] {
            hasher.write(text.as_bytes());
            hasher.write_u8(0);
        }
        let (mut start, mut end, mut time) = (None, None, None);
        for pair in forms.into_iter().flat_map(|form| form.split(|byte| *byte == b'&')) {
            match split_pair(pair) {
                (b"start", value) => start = seconds(value),
                (b"end", value) => end = seconds(value),
                (b"time", value) => time = seconds(value),
                _ => {
                    hasher.write(pair);
                    hasher.write_u8(b'&');
                }
            }
        }
        // Twice the length may take twice the time.
        let length = start.zip(end).map_or(0.0, |(start, end)| (end - start).abs().log2().ceil());
        // Where there was no data there may be some at another time.
        let now = now_ms as f64 / 1_000.0;
        let age = end.or(time).map_or(0.0, |end| (now - end).abs().max(AGE_STEP).log2().ceil());
        hasher.write_i64(length as i64);
        hasher.write_i64(age as i64);
        Self(hasher.finish())
    }

    fn place(self) -> usize {
        (self.0 >> 52) as usize % PLACES
    }

    fn name(self) -> u64 {
        self.0 & !COUNT_MASK
    }
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    (&pair[..at], pair.get(at + 1..).unwrap_or_default())
}

fn seconds(value: &[u8]) -> Option<f64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl QuickQueries {
    pub(crate) fn is_quick(&self, key: Key) -> bool {
        self.places[key.place()].load(Relaxed) == key.name() | ENOUGH
    }

    /// Records how long an answer took.
    pub(crate) fn learn(&self, key: Key, took: Duration) {
        let place = &self.places[key.place()];
        let known = place.load(Relaxed);
        let is_known = known & !COUNT_MASK == key.name();
        let count = if is_known { known & COUNT_MASK } else { 0 };
        if took < QUICK {
            place.store(key.name() | (count + 1).min(ENOUGH), Relaxed);
        } else if is_known {
            place.store(key.name(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, form: &str) -> Key {
        Key::new("default", path, [form.as_bytes(), b""], 10_000_000)
    }

    #[test]
    fn a_query_is_the_same_at_other_times() {
        let range = |form: &str| key("/api/v1/query_range", form);
        let one = range("query=up&start=1000&end=4600&step=15");
        assert_eq!(one, range("query=up&start=2000.5&end=5600.5&step=15"));
        assert_ne!(one, range("query=up&start=1000&end=91000&step=15"));
        assert_ne!(one, range("query=up&start=1000&end=4600&step=1"));
        assert_ne!(one, range("query=down&start=1000&end=4600&step=15"));
        assert_ne!(one, key("/api/v1/query", "query=up&start=1000&end=4600&step=15"));
        assert_ne!(one, Key::new("other", "/api/v1/query_range", [b"query=up", b""], 10_000_000));
        assert_eq!(range("query=1&time=9000"), range("query=1&time=10000"));
        assert_ne!(range("query=1&time=9000"), range("query=1&time=1000000"));
    }

    #[test]
    fn quick_is_what_was_quick_often_enough() {
        let queries = QuickQueries::default();
        let (one, other) = (key("/api/v1/labels", ""), key("/api/v1/status/buildinfo", ""));
        for _ in 0..ENOUGH {
            assert!(!queries.is_quick(one));
            queries.learn(one, QUICK / 2);
        }
        assert!(queries.is_quick(one) && !queries.is_quick(other));
        queries.learn(one, QUICK);
        assert!(!queries.is_quick(one));
    }
}
