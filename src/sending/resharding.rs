//! How many requests a destination is sent at once: as many as its samples need, at the time that one
//! takes, with some more to catch up. Decided every [`EACH`], as Prometheus decides it.

use crate::destination::QueueSettings;
use std::time::Duration;

pub(crate) const EACH: Duration = Duration::from_secs(10);

/// The weight of the newest interval.
const NEWEST: f64 = 0.2;
/// The share of what waits that should be sent each second beside what comes in.
const CATCH_UP: f64 = 0.05;
/// Smaller changes than this share are not worth an interruption.
const TOLERANCE: f64 = 0.3;
/// Whoever is further behind than this many seconds keeps its shards.
const BEHIND_SECONDS: f64 = 10.0;

/// What happened in one interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interval {
    /// Items that came in.
    pub(crate) received: f64,
    /// Items that were answered for, and the seconds that their requests took, all shards together.
    pub(crate) sent: f64,
    pub(crate) busy_seconds: f64,
    /// Items that wait at its end, here and in the write-ahead log.
    pub(crate) waiting: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Resharding {
    received: Rate,
    sent: Rate,
    busy: Rate,
}

/// A mean over intervals, of so much each second.
#[derive(Debug, Default)]
struct Rate(Option<f64>);

impl Rate {
    fn add(&mut self, amount: f64) -> f64 {
        let now = amount / EACH.as_secs_f64();
        let mean = self.0.map_or(now, |before| before + NEWEST * (now - before));
        self.0 = Some(mean);
        mean
    }
}

impl Resharding {
    /// How many shards there should be after this interval.
    pub(crate) fn decide(
        &mut self,
        interval: Interval,
        shards: usize,
        settings: &QueueSettings,
    ) -> usize {
        let received = self.received.add(interval.received);
        let sent = self.sent.add(interval.sent);
        let busy = self.busy.add(interval.busy_seconds);
        // Nothing is known of a receiver that takes nothing, and more requests would not help it.
        if interval.sent <= 0.0 {
            return shards;
        }
        let seconds_each = busy / sent;
        let wanted = seconds_each * (received + CATCH_UP * interval.waiting);
        let now = shards as f64;
        let is_near = wanted.ceil() >= now * (1.0 - TOLERANCE) && wanted <= now * (1.0 + TOLERANCE);
        let is_behind = interval.waiting > received * BEHIND_SECONDS;
        if is_near || (wanted < now && is_behind) {
            return shards;
        }
        let wanted = wanted.ceil().clamp(1.0, settings.shards_max as f64) as usize;
        wanted.clamp(settings.shards_min.min(settings.shards_max), settings.shards_max)
    }
}
