//! Plans which parts to drop because they are too old or exceed the size limit. A pure function of
//! the manifests, which may be those of all tenants and signals on a disk, because they share its
//! space.

use crate::manifest::{Manifest, PartInfo};
use model::{Day, Signal, TenantId, Ulid};
use std::collections::{BTreeMap, BTreeSet};

/// How much data may be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Parts whose last row is older are dropped; milliseconds since 1970, by signal. A signal
    /// without an entry is kept for ever.
    pub oldest_ms: BTreeMap<Signal, i64>,
    /// The same for single tenants, with precedence over `oldest_ms`; `None` keeps for ever.
    pub oldest_ms_of: BTreeMap<(TenantId, Signal), Option<i64>>,
    /// The most bytes that the parts of all manifests, quarantined ones included, and
    /// `bytes_beside` may take together. `None` for no limit.
    pub bytes_max: Option<u64>,
    /// What the data folder holds beside parts: the write-ahead log and snapshots. To make space
    /// for it, whole days are dropped, but never the newest one.
    pub bytes_beside: u64,
}

impl Retention {
    fn oldest(&self, manifest: &Manifest) -> Option<i64> {
        let of_tenant = self.oldest_ms_of.get(&(manifest.tenant.clone(), manifest.signal));
        of_tenant.copied().unwrap_or_else(|| self.oldest_ms.get(&manifest.signal).copied())
    }
}

/// The parts to drop: first by age, then whole days of all tenants, the oldest first, until the
/// rest fits. Of the newest day single parts are dropped, those with the oldest rows first.
pub fn plan_retention<'m>(
    manifests: impl IntoIterator<Item = &'m Manifest>,
    retention: &Retention,
) -> BTreeSet<Ulid> {
    let (mut drop, mut kept) = (BTreeSet::new(), Vec::new());
    for manifest in manifests {
        let oldest = retention.oldest(manifest);
        let is_too_old = |part: &PartInfo| oldest.is_some_and(|oldest| part.time.max_ms() < oldest);
        let quarantined = manifest.quarantined.iter().map(|part| &part.info);
        for part in manifest.parts.iter().chain(quarantined) {
            match is_too_old(part) {
                true => drop.extend([part.id]),
                false => kept.push(part),
            }
        }
    }
    if let Some(bytes_max) = retention.bytes_max {
        drop.extend(over_size(kept, bytes_max, retention.bytes_beside));
    }
    drop
}

/// The parts to drop for the size.
fn over_size(parts: Vec<&PartInfo>, bytes_max: u64, beside: u64) -> Vec<Ulid> {
    let mut bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    let mut days: BTreeMap<Day, Vec<&PartInfo>> = BTreeMap::new();
    parts.into_iter().for_each(|part| days.entry(part.day).or_default().push(part));
    let mut drop = Vec::new();
    while bytes.saturating_add(beside) > bytes_max
        && days.len() > 1
        && let Some((_, oldest)) = days.pop_first()
    {
        bytes -= oldest.iter().map(|part| part.bytes).sum::<u64>();
        drop.extend(oldest.iter().map(|part| part.id));
    }
    let mut newest = days.into_values().next().unwrap_or_default();
    newest.sort_by_key(|part| (part.time.max_ms(), part.id));
    for part in newest {
        if bytes <= bytes_max {
            break;
        }
        bytes -= part.bytes;
        drop.push(part.id);
    }
    drop
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::QuarantinedPart;
    use model::TimeUnit;

    fn part(id: u128, day: i64, max: i64, bytes: u64) -> PartInfo {
        PartInfo {
            id: Ulid(id),
            bytes,
            schema: 1,
            level: 0,
            day: Day(day),
            time: TimeUnit::Millis.between(0, max),
            rows: 1,
            series: 1,
            tombstones_applied: 0,
            bounds: Vec::new(),
        }
    }

    fn manifest() -> Manifest {
        let mut manifest = Manifest::empty(TenantId::default_tenant(), Signal::Metrics);
        manifest.parts =
            vec![part(1, 1, 10, 5), part(2, 1, 19, 5), part(3, 2, 25, 7), part(4, 3, 30, 9)];
        let info = part(5, 1, 12, 100);
        let reason = "rot".to_owned();
        manifest.quarantined = vec![QuarantinedPart { info, reason, since_ms: 0 }];
        manifest
    }

    fn retention(oldest_ms: Option<i64>, bytes_max: Option<u64>) -> Retention {
        let signals = [Signal::Metrics, Signal::Logs];
        let oldest_ms = signals.into_iter().zip(oldest_ms.into_iter().cycle()).collect();
        Retention { oldest_ms, bytes_max, ..Retention::default() }
    }

    fn dropped(manifests: &[&Manifest], retention: &Retention) -> Vec<u128> {
        plan_retention(manifests.iter().copied(), retention).iter().map(|id| id.0).collect()
    }

    fn check(oldest_ms: Option<i64>, bytes_max: Option<u64>, expected: &[u128]) {
        let retention = retention(oldest_ms, bytes_max);
        assert_eq!(dropped(&[&manifest()], &retention), expected, "{retention:?}");
    }

    #[test]
    fn the_oldest_go_first() {
        check(None, None, &[]);
        check(Some(10), None, &[]);
        check(Some(11), None, &[1]);
        check(Some(13), None, &[1, 5]);
        check(Some(i64::MAX), None, &[1, 2, 3, 4, 5]);
        check(None, Some(126), &[]);
        check(None, Some(125), &[1, 2, 5]);
        check(None, Some(16), &[1, 2, 5]);
        check(None, Some(9), &[1, 2, 3, 5]);
        check(None, Some(8), &[1, 2, 3, 4, 5]);
        check(Some(20), Some(9), &[1, 2, 3, 5]);
    }

    #[test]
    fn what_lies_beside_the_parts_counts_but_leaves_the_newest_day() {
        let beside = |bytes_beside| {
            let retention = Retention { bytes_beside, ..retention(None, Some(130)) };
            dropped(&[&manifest()], &retention)
        };
        assert_eq!(beside(4), [0u128; 0]);
        assert_eq!(beside(5), [1, 2, 5]);
        assert_eq!(beside(1_000), [1, 2, 3, 5]);
    }

    #[test]
    fn tenants_share_the_size() {
        let (one, mut other) = (manifest(), manifest());
        other.parts = vec![part(6, 2, 20, 40)];
        other.quarantined.clear();
        assert_eq!(dropped(&[&one, &other], &retention(None, Some(20))), [1, 2, 3, 5, 6]);
    }

    #[test]
    fn a_tenant_may_have_an_age_of_its_own() {
        let (one, mut other) = (manifest(), manifest());
        other.tenant = TenantId::new("other").unwrap();
        other.parts = vec![part(6, 1, 10, 1), part(7, 3, 30, 1)];
        other.quarantined.clear();
        let of = |oldest: Option<i64>| {
            let oldest_ms_of = [((other.tenant.clone(), Signal::Metrics), oldest)].into();
            dropped(&[&one, &other], &Retention { oldest_ms_of, ..retention(Some(20), None) })
        };
        assert_eq!(of(Some(31)), [1, 2, 5, 6, 7]);
        assert_eq!(of(None), [1, 2, 5]);
    }

    /// The signals' ticks have different lengths; the oldest parts must still be dropped first.
    #[test]
    fn signals_share_the_size_and_the_age() {
        let mut logs = Manifest::empty(TenantId::default_tenant(), Signal::Logs);
        let of_logs = |id, day, ms| {
            let unit = Signal::Logs.time_unit();
            PartInfo { time: unit.at(unit.of_ms(ms)), ..part(id, day, 0, 5) }
        };
        logs.parts = vec![of_logs(6, 1, 11), of_logs(7, 3, 29), of_logs(8, 3, 31)];
        let check = |oldest_ms: Option<i64>, bytes_max: Option<u64>, expected: &[u128]| {
            assert_eq!(dropped(&[&manifest(), &logs], &retention(oldest_ms, bytes_max)), expected);
        };
        check(Some(11), None, &[1]);
        check(Some(12), None, &[1, 6]);
        check(None, Some(141), &[]);
        check(None, Some(140), &[1, 2, 5, 6]);
        check(None, Some(18), &[1, 2, 3, 5, 6, 7]);
        check(None, Some(13), &[1, 2, 3, 4, 5, 6, 7]);
    }
}
