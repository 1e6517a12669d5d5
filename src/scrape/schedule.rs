//! When a target is scraped: at the same moment of each interval. Pure: times are passed.

/// A scrape that began so little after its moment is stored as of that moment: equal distances take less
/// space, and no clock of an exporter is more exact.
const TOLERANCE_MS: i64 = 10;
/// And so small a part of the interval.
const TOLERANCE_PART: i64 = 100;

/// The moments of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) interval_ms: i64,
    pub(crate) offset_ms: i64,
}

impl Schedule {
    /// The first moment that is not before `now_ms`.
    pub(crate) fn next(self, now_ms: i64) -> i64 {
        let past = (now_ms - self.offset_ms).rem_euclid(self.interval_ms);
        if past == 0 { now_ms } else { now_ms - past + self.interval_ms }
    }

    /// The time that a scrape is stored with which was meant for `moment_ms` and began at `now_ms`.
    pub(crate) fn stored(self, moment_ms: i64, now_ms: i64) -> i64 {
        let tolerance = TOLERANCE_MS.min(self.interval_ms / TOLERANCE_PART);
        if (0..=tolerance).contains(&(now_ms - moment_ms)) { moment_ms } else { now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn little_lateness_is_not_stored() {
        let schedule = Schedule { interval_ms: 15_000, offset_ms: 100 };
        assert_eq!(schedule.next(30_100), 30_100);
        assert_eq!(schedule.next(30_101), 45_100);
        assert_eq!(schedule.stored(30_100, 30_110), 30_100);
        assert_eq!(schedule.stored(30_100, 30_111), 30_111);
        let short = Schedule { interval_ms: 100, offset_ms: 0 };
        assert_eq!(short.stored(200, 201), 200);
        assert_eq!(short.stored(200, 202), 202);
    }

    proptest! {
        #[test]
        fn moments_are_an_interval_apart(
            now in 0i64..4_000_000_000_000, interval in 1i64..100_000, offset in 0i64..100_000,
        ) {
            let schedule = Schedule { interval_ms: interval, offset_ms: offset % interval };
            let next = schedule.next(now);
            prop_assert!(next >= now && next < now + interval);
            prop_assert_eq!(schedule.next(next + 1), next + interval);
        }
    }
}
