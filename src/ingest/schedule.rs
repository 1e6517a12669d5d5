//! Decides when each tenant of each engine is flushed. It does no I/O: from the tenants' status and
//! the time it computes which flushes are due.

use engine::TenantStatus;
use model::{Signal, TenantId, WalPosition};
use platform::Moment;
use std::collections::HashMap;
use std::time::Duration;

/// The settings about when to flush.
#[derive(Clone, Copy, Debug)]
pub struct FlushSettings {
    /// The longest time that rows stay only in memory and in the write-ahead log.
    pub interval: Duration,
    /// A tenant is flushed earlier when the write-ahead log has grown by this since the tenant's
    /// oldest unflushed row.
    pub wal_size: u64,
    /// When the heads of all tenants of an engine together take more memory than this, the largest
    /// ones are flushed earlier.
    pub head_size: u64,
}

/// A flush costs about as much for a series as for twenty samples of it: where there are so many series
/// that the sizes of the settings are reached with fewer samples each, they are these instead. In
/// memory a sample takes two to three bytes, in the write-ahead log, with the labels, about ten.
const HEAD_BYTES_OF_SERIES: u64 = 48;
const WAL_BYTES_OF_SERIES: u64 = 192;

/// After a failure a tenant is not tried for a second, then for twice as long after each further
/// failure.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

pub(crate) type Target = (Signal, TenantId);

#[derive(Debug)]
pub(crate) struct Schedule {
    settings: FlushSettings,
    tenants: HashMap<Target, FlushState>,
}

/// The state of one tenant's flushes.
#[derive(Clone, Copy, Debug)]
struct FlushState {
    /// When it was last flushed, or first seen with rows to flush.
    since: Moment,
    failures: u32,
    not_before: Moment,
}

impl FlushState {
    fn new(now: Moment) -> Self {
        Self { since: now, failures: 0, not_before: now }
    }
}

impl Schedule {
    pub(crate) fn new(settings: FlushSettings) -> Self {
        Self { settings, tenants: HashMap::new() }
    }

    /// The tenants of one engine to flush now. `wal_bytes_from` returns how many bytes the
    /// write-ahead log has from a position on.
    pub(crate) fn due(
        &mut self,
        signal: Signal,
        statuses: &[TenantStatus],
        now: Moment,
        wal_bytes_from: impl Fn(WalPosition) -> u64,
    ) -> Vec<Target> {
        let mut due = Vec::new();
        let mut waiting: Vec<&TenantStatus> = Vec::new();
        let (mut head_bytes, mut series) = (0, 0);
        for status in statuses {
            let target = (signal, status.tenant.clone());
            if !has_work(status) {
                self.tenants.remove(&target);
                continue;
            }
            let state = *self.tenants.entry(target.clone()).or_insert(FlushState::new(now));
            if now < state.not_before {
                // A failing tenant's memory is no reason to write small parts of other tenants.
                continue;
            }
            head_bytes += status.head.bytes;
            series += status.head.series;
            let lag = status.wal_unflushed_from.map_or(0, &wal_bytes_from);
            let wal_size = self.settings.wal_size.max(status.head.series * WAL_BYTES_OF_SERIES);
            let is_due = status.wants_cut
                || state.failures > 0
                || now.since(state.since) >= self.settings.interval
                || lag >= wal_size;
            match is_due {
                true => due.push((target, status.head.bytes)),
                false => waiting.push(status),
            }
        }
        let head_size = self.settings.head_size.max(series * HEAD_BYTES_OF_SERIES);
        let freed: u64 = due.iter().map(|(_, bytes)| bytes).sum();
        let mut left = head_bytes.saturating_sub(freed);
        waiting.sort_by_key(|status| std::cmp::Reverse(status.head.bytes));
        let mut due: Vec<Target> = due.into_iter().map(|(target, _)| target).collect();
        for status in waiting {
            if left < head_size {
                break;
            }
            left -= status.head.bytes;
            due.push((signal, status.tenant.clone()));
        }
        due
    }

    pub(crate) fn flushed(&mut self, target: &Target, now: Moment) {
        self.tenants.insert(target.clone(), FlushState::new(now));
    }

    pub(crate) fn failed(&mut self, target: &Target, now: Moment) {
        let state = self.tenants.entry(target.clone()).or_insert(FlushState::new(now));
        let wait = RETRY_MIN.saturating_mul(1 << state.failures.min(16)).min(RETRY_MAX);
        state.failures += 1;
        state.not_before = Moment(now.0 + wait);
    }
}

fn has_work(status: &TenantStatus) -> bool {
    let TenantStatus { head, is_frozen, wants_cut, wal_unflushed_from, .. } = status;
    head.rows > 0 || head.bytes > 0 || *is_frozen || *wants_cut || wal_unflushed_from.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::HeadSize;

    const SETTINGS: FlushSettings =
        FlushSettings { interval: Duration::from_secs(300), wal_size: 1_000, head_size: 500 };

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    /// A tenant with this many bytes in its head, whose oldest row is this many bytes before the
    /// end of the write-ahead log.
    fn status(name: &str, bytes: u64, lag: u64) -> TenantStatus {
        let oldest = (lag > 0).then_some(WalPosition { segment: 1, offset: lag });
        TenantStatus {
            tenant: TenantId::new(name).unwrap(),
            head: HeadSize { rows: bytes, bytes, series: 0 },
            is_frozen: false,
            wants_cut: false,
            wal_needed_from: oldest,
            wal_unflushed_from: oldest,
        }
    }

    fn due(schedule: &mut Schedule, seconds: u64, statuses: &[TenantStatus]) -> Vec<String> {
        let due = schedule.due(Signal::Metrics, statuses, at(seconds), |from| from.offset);
        due.into_iter().map(|(_, tenant)| tenant.to_string()).collect()
    }

    fn target(name: &str) -> Target {
        (Signal::Metrics, TenantId::new(name).unwrap())
    }

    #[test]
    fn each_tenant_has_its_own_clock() {
        let mut schedule = Schedule::new(SETTINGS);
        assert!(due(&mut schedule, 0, &[status("a", 1, 1), status("idle", 0, 0)]).is_empty());
        let both = [status("a", 1, 1), status("b", 1, 1)];
        assert!(due(&mut schedule, 100, &both).is_empty());
        assert_eq!(due(&mut schedule, 300, &both), ["a"]);
        schedule.flushed(&target("a"), at(300));
        assert_eq!(due(&mut schedule, 400, &both), ["b"]);
        // The head is empty, but the tenant still needs the write-ahead log.
        assert_eq!(due(&mut schedule, 600, &[status("a", 0, 1)]), ["a"]);
    }

    #[test]
    fn a_burst_of_one_tenant_does_not_cut_the_others() {
        let mut schedule = Schedule::new(SETTINGS);
        assert_eq!(
            due(&mut schedule, 0, &[status("burst", 100, 1_000), status("calm", 9, 9)]),
            ["burst"]
        );
        let large = [status("a", 200, 1), status("b", 290, 1), status("c", 10, 1)];
        assert_eq!(due(&mut schedule, 0, &large), ["b"], "the largest, until the rest fits");
    }

    #[test]
    fn a_failing_tenant_is_tried_less_and_less_often() {
        let mut schedule = Schedule::new(SETTINGS);
        let statuses = [status("bad", 600, 1), status("good", 1, 1)];
        let mut tried = Vec::new();
        for second in 0..300 {
            for name in due(&mut schedule, second, &statuses) {
                assert_eq!(name, "bad", "its neighbour is not cut early");
                schedule.failed(&target("bad"), at(second));
                tried.push(second);
            }
        }
        assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        schedule.flushed(&target("bad"), at(300));
        assert_eq!(due(&mut schedule, 300, &[status("bad", 1, 1)]), [""; 0]);
    }

    #[test]
    fn very_many_series_wait_for_more_samples_of_each() {
        let mut schedule = Schedule::new(SETTINGS);
        let wide = |bytes, lag| {
            let status = status("wide", bytes, lag);
            TenantStatus { head: HeadSize { series: 100, ..status.head }, ..status }
        };
        assert!(due(&mut schedule, 0, &[wide(4_799, 19_199)]).is_empty());
        assert_eq!(due(&mut schedule, 0, &[wide(4_800, 1)]), ["wide"]);
        assert_eq!(due(&mut schedule, 0, &[wide(1, 19_200)]), ["wide"]);
        assert!(due(&mut schedule, 0, &[wide(1, 1)]).is_empty());
        assert_eq!(due(&mut schedule, 300, &[wide(1, 1)]), ["wide"]);
    }

    #[test]
    fn a_requested_cut_does_not_wait() {
        let mut schedule = Schedule::new(SETTINGS);
        let wanted = TenantStatus { wants_cut: true, ..status("a", 0, 0) };
        assert_eq!(due(&mut schedule, 0, &[wanted]), ["a"]);
    }
}
