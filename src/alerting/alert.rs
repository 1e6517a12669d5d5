//! Alerts as they are kept: what was told of them last, and what several tellings make together.

use model::{Alert, Labels};
use std::fmt;

/// FNV-1a over the sorted labels, as Prometheus computes it: the name of an alert in APIs and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    pub fn of(labels: &Labels) -> Self {
        const BASE: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let mut hash = BASE;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for (name, value) in labels.iter() {
            name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]).for_each(&mut add);
        }
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An alert with what the engine knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAlert {
    pub fingerprint: Fingerprint,
    pub alert: Alert,
    pub updated_at_ms: i64,
    /// Nobody said when it ends: it counts as ended when it has not been told again for a while.
    pub is_timeout: bool,
}

impl KeptAlert {
    pub fn new(alert: Alert, updated_at_ms: i64, is_timeout: bool) -> Self {
        let fingerprint = Fingerprint::of(&alert.labels);
        Self { fingerprint, alert, updated_at_ms, is_timeout }
    }

    pub fn is_resolved(&self, now_ms: i64) -> bool {
        self.alert.ends_at_ms <= now_ms
    }

    /// Whether this and an earlier telling are of the same time, so that they make one alert.
    pub fn overlaps(&self, earlier: &Self) -> bool {
        let (new, old) = (&self.alert, &earlier.alert);
        (new.ends_at_ms > old.starts_at_ms && new.ends_at_ms < old.ends_at_ms)
            || (new.starts_at_ms > old.starts_at_ms && new.starts_at_ms < old.ends_at_ms)
    }

    /// One alert of two tellings: it began with the earlier one; the newer one says what it is. An end
    /// that was told outweighs one that was only assumed.
    #[must_use]
    pub fn merged(self, other: Self, now_ms: i64) -> Self {
        let (old, mut new) =
            if self.updated_at_ms <= other.updated_at_ms { (self, other) } else { (other, self) };
        new.alert.starts_at_ms = new.alert.starts_at_ms.min(old.alert.starts_at_ms);
        let is_later = old.alert.ends_at_ms > new.alert.ends_at_ms;
        let counts = match new.is_resolved(now_ms) {
            true => old.is_resolved(now_ms),
            false => !old.is_timeout,
        };
        if is_later && counts {
            new.alert.ends_at_ms = old.alert.ends_at_ms;
        }
        new
    }
}

/// The order in which a notification lists alerts: by job and instance, then by their labels.
pub(crate) fn listed_before(left: &Labels, right: &Labels) -> std::cmp::Ordering {
    for name in ["job", "instance"] {
        let by_name = match (left.get(name), right.get(name)) {
            (None, None) => continue,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(left), Some(right)) => left.cmp(right),
        };
        if by_name.is_ne() {
            return by_name;
        }
    }
    left.iter().count().cmp(&right.iter().count()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_prometheus() {
        let of = |pairs: &[(&str, &str)]| {
            Fingerprint::of(&Labels::from_pairs(pairs.iter().copied())).to_string()
        };
        // From the tests of prometheus/common: an empty set, and two small ones.
        assert_eq!(of(&[]), "cbf29ce484222325");
        assert_eq!(of(&[("name", "garland, briggs"), ("fear", "love is not enough")]), {
            format!("{:016x}", 5_799_056_148_416_392_346_u64)
        });
    }

    fn told(starts: i64, ends: i64, updated: i64, is_timeout: bool) -> KeptAlert {
        let alert = Alert {
            labels: Labels::from_pairs([("a", "b")]),
            annotations: Labels::empty(),
            starts_at_ms: starts,
            ends_at_ms: ends,
            generator_url: String::new(),
        };
        KeptAlert::new(alert, updated, is_timeout)
    }

    #[test]
    fn tellings_of_one_time_make_one_alert() {
        let (first, second) = (told(10, 100, 10, true), told(20, 120, 20, true));
        assert!(second.overlaps(&first));
        let one = first.clone().merged(second, 30);
        assert_eq!((one.alert.starts_at_ms, one.alert.ends_at_ms), (10, 120));
        // An end that was told earlier and is later counts, unless it was only assumed.
        let resolved = told(10, 25, 25, false);
        assert_eq!(first.merged(resolved, 30).alert.ends_at_ms, 25);
        let told_end = told(10, 200, 10, false);
        assert_eq!(told_end.merged(told(10, 90, 20, true), 30).alert.ends_at_ms, 200);
        assert_eq!(told(10, 200, 10, true).merged(told(10, 90, 20, true), 30).alert.ends_at_ms, 90);
    }
}
