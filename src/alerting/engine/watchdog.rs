//! A dead man's switch: an alert that always fires, whose silence is told.
//!
//! While the watchdog's alert does not come, the engine raises an alert of its own, which takes the
//! routes like any other. It ends when the watchdog is back.

use super::{Now, ToldAlert};
use crate::alert::KeptAlert;
use model::{Alert, Labels};

/// The name of the alert that is raised.
const RAISED: &str = "WatchdogMissing";
/// How often it is told again while it lasts.
const AGAIN_MS: i64 = 60_000;

#[derive(Clone, Debug)]
pub struct Watchdog {
    alert_name: String,
    timeout_ms: i64,
    /// When it counts as missing.
    missing_at_ms: Option<i64>,
    raised_since_ms: Option<i64>,
    next_ms: i64,
}

impl Watchdog {
    /// `alert_name`: the alert that must keep coming. It has this long to come first.
    pub fn new(alert_name: &str, timeout_ms: i64) -> Self {
        Self {
            alert_name: alert_name.to_owned(),
            timeout_ms,
            missing_at_ms: None,
            raised_since_ms: None,
            next_ms: 0,
        }
    }

    pub(super) fn see(&mut self, alert: &KeptAlert, now: Now) {
        let is_it = alert.alert.labels.value("alertname") == self.alert_name;
        if is_it && !alert.is_resolved(now.wall_ms) {
            self.missing_at_ms = Some(now.steady_ms.saturating_add(self.timeout_ms));
            self.next_ms = match self.raised_since_ms {
                Some(_) => now.steady_ms,
                None => now.steady_ms.saturating_add(self.timeout_ms),
            };
        }
    }

    pub(super) fn due_at_ms(&self) -> i64 {
        self.next_ms
    }

    /// The alert to be told now, if it is time.
    pub(super) fn due(&mut self, now: Now) -> Option<ToldAlert> {
        if now.steady_ms < self.next_ms {
            return None;
        }
        let missing_at =
            *self.missing_at_ms.get_or_insert(now.steady_ms.saturating_add(self.timeout_ms));
        if now.steady_ms < missing_at {
            self.next_ms = missing_at;
            let since_ms = self.raised_since_ms.take()?;
            return Some(self.told(since_ms, now.wall_ms));
        }
        self.next_ms = now.steady_ms.saturating_add(AGAIN_MS);
        let since_ms = *self.raised_since_ms.get_or_insert(now.wall_ms);
        Some(self.told(since_ms, now.wall_ms.saturating_add(3 * AGAIN_MS)))
    }

    fn told(&self, starts_at_ms: i64, ends_at_ms: i64) -> ToldAlert {
        let labels = [("alertname", RAISED), ("watchdog", self.alert_name.as_str())];
        let summary = format!(
            "The alert {} should always fire and has stopped coming: what evaluates or sends \
             alerts may be broken.",
            self.alert_name
        );
        let alert = Alert {
            labels: Labels::from_pairs(labels),
            annotations: Labels::from_pairs([("summary", summary.as_str())]),
            starts_at_ms,
            ends_at_ms,
            generator_url: String::new(),
        };
        ToldAlert { alert, has_start: true, has_end: true }
    }
}
