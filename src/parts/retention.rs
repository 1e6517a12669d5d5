//! Which parts to drop because they are too old or too much. A pure function of the manifests, which
//! may be those of all tenants and signals on a disk: they share its space.

use crate::manifest::{Manifest, PartInfo};
use model::{Day, Signal, Ulid};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Parts whose last row is older go; milliseconds since 1970. `None` keeps them for ever.
    pub oldest_ms: Option<i64>,
    /// The most bytes of live parts, of all manifests together. `None` for no limit.
    pub bytes_max: Option<u64>,
}

/// The parts to drop: first by age (quarantined ones too), then whole days of all tenants, the
/// oldest first, until the rest fits. Of the newest day single parts go, the oldest rows first.
pub fn plan_retention<'m>(
    manifests: impl IntoIterator<Item = &'m Manifest>,
    settings: &RetentionSettings,
) -> BTreeSet<Ulid> {
    let (mut drop, mut kept) = (BTreeSet::new(), Vec::new());
    for manifest in manifests {
        let last = |part: &PartInfo| to_ms(part.time.max, manifest.signal);
        let too_old = |part: &PartInfo| settings.oldest_ms.is_some_and(|from| last(part) < from);
        let quarantined = manifest.quarantined.iter().map(|part| &part.info);
        drop.extend(quarantined.filter(|part| too_old(part)).map(|part| part.id));
        let (old, rest): (Vec<_>, Vec<_>) = manifest.parts.iter().partition(|part| too_old(part));
        drop.extend(old.iter().map(|part| part.id));
        kept.extend(rest.into_iter().map(|part| (last(part), part)));
    }
    drop.extend(over_size(kept, settings.bytes_max.unwrap_or(u64::MAX)));
    drop
}

fn to_ms(tick: i64, signal: Signal) -> i64 {
    tick.div_euclid(signal.ticks_per_second() / 1_000)
}

/// Parts with the millisecond of their last row.
fn over_size(parts: Vec<(i64, &PartInfo)>, bytes_max: u64) -> Vec<Ulid> {
    let mut bytes: u64 = parts.iter().map(|(_, part)| part.bytes).sum();
    let mut days: BTreeMap<Day, Vec<(i64, &PartInfo)>> = BTreeMap::new();
    parts.into_iter().for_each(|part| days.entry(part.1.day).or_default().push(part));
    let mut drop = Vec::new();
    while bytes > bytes_max
        && days.len() > 1
        && let Some((_, oldest)) = days.pop_first()
    {
        bytes -= oldest.iter().map(|(_, part)| part.bytes).sum::<u64>();
        drop.extend(oldest.iter().map(|(_, part)| part.id));
    }
    let mut newest = days.into_values().next().unwrap_or_default();
    newest.sort_by_key(|(last, part)| (*last, part.id));
    for (_, part) in newest {
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
    use crate::manifest::{LogPosition, QuarantinedPart};
    use model::{Signal, TenantId, TimeRange};

    fn part(id: u128, day: i64, max: i64, bytes: u64) -> PartInfo {
        PartInfo {
            id: Ulid(id),
            bytes,
            schema: 1,
            level: 0,
            day: Day(day),
            time: TimeRange { min: 0, max },
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
        manifest.covered = LogPosition::default();
        let info = part(5, 1, 12, 100);
        let reason = "rot".to_owned();
        manifest.quarantined = vec![QuarantinedPart { info, reason, since_ms: 0 }];
        manifest
    }

    fn check(oldest_ms: Option<i64>, bytes_max: Option<u64>, expected: &[u128]) {
        let settings = RetentionSettings { oldest_ms, bytes_max };
        let dropped: Vec<u128> =
            plan_retention([&manifest()], &settings).iter().map(|id| id.0).collect();
        assert_eq!(dropped, expected, "{settings:?}");
    }

    #[test]
    fn the_oldest_go_first() {
        check(None, None, &[]);
        check(Some(10), None, &[]);
        check(Some(11), None, &[1]);
        check(Some(13), None, &[1, 5]);
        check(Some(i64::MAX), None, &[1, 2, 3, 4, 5]);
        check(None, Some(26), &[]);
        check(None, Some(25), &[1, 2]);
        check(None, Some(16), &[1, 2]);
        check(None, Some(9), &[1, 2, 3]);
        check(None, Some(8), &[1, 2, 3, 4]);
        check(Some(20), Some(9), &[1, 2, 3, 5]);
    }

    #[test]
    fn tenants_share_the_size() {
        let (one, mut other) = (manifest(), manifest());
        other.parts = vec![part(6, 2, 20, 40)];
        let settings = RetentionSettings { oldest_ms: None, bytes_max: Some(20) };
        let dropped = plan_retention([&one, &other], &settings);
        assert_eq!(dropped.iter().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 3, 6]);
    }
    /// Their ticks are of different lengths, and the oldest go first all the same.
    #[test]
    fn signals_share_the_size_and_the_age() {
        let mut logs = Manifest::empty(TenantId::default_tenant(), Signal::Logs);
        let nanoseconds = |ms: i64| ms * 1_000_000;
        logs.parts = vec![
            part(6, 1, nanoseconds(11), 5),
            part(7, 3, nanoseconds(29), 5),
            part(8, 3, nanoseconds(31), 5),
        ];
        let check = |oldest_ms: Option<i64>, bytes_max: Option<u64>, expected: &[u128]| {
            let settings = RetentionSettings { oldest_ms, bytes_max };
            let dropped = plan_retention([&manifest(), &logs], &settings);
            assert_eq!(dropped.iter().map(|id| id.0).collect::<Vec<_>>(), expected);
        };
        check(Some(11), None, &[1]);
        check(Some(12), None, &[1, 6]);
        check(None, Some(41), &[]);
        check(None, Some(40), &[1, 2, 6]);
        check(None, Some(18), &[1, 2, 3, 6, 7]);
        check(None, Some(13), &[1, 2, 3, 4, 6, 7]);
    }
}
