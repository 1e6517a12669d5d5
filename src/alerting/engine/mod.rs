//! One tenant's alerts, and who is to be told of them when.
//!
//! The engine does nothing by itself: it is told what happened and what time it is, and answers what
//! is due. So a test drives it through hours in no time. Alerts go into groups by the routes that they
//! take ([`groups`]); a group is looked at when its time has come, and what is left of its alerts after
//! inhibition, intervals and silences goes to each integration of its receiver, unless the notification
//! log says that this one knows already ([`due`]). The caller delivers, records, and reports back.
//!
//! Lives here: `alerts`, `groups`, `inhibition`, `silences`, `notification_log`, `due` (the stages in
//! front of a delivery), `watchdog`, `view` (what the API shows).
//! Not here: sending, files, threads.
//! Invariants: of a group one look is under way at a time; an integration is told again only when the
//! log says so; alerts, and so groups, are bounded.

mod alerts;
mod due;
mod groups;
mod inhibition;
mod notification_log;
mod silences;
mod view;
mod watchdog;

pub use due::{Delivery, Flush, IntegrationId, Reason};
pub use groups::GroupId;
pub use notification_log::{LogEntry, LogKey, NotificationLog};
pub use silences::{Silence, SilenceChange, SilenceError, SilenceState, Silences};
pub use view::{AlertView, GroupView, State, Wanted};
pub use watchdog::Watchdog;

use crate::alert::KeptAlert;
use crate::config::Config;
use alerts::Alerts;
use groups::Groups;
use inhibition::Inhibition;
use model::Alert;
use std::sync::Arc;

/// The time on both clocks. Timers run on the one that never steps; what people and other machines say
/// of times is compared with the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// Milliseconds of a clock that only goes forward.
    pub steady_ms: i64,
}

/// Alerts of a tenant beyond which further ones are refused.
pub const ALERTS_MAX: usize = 100_000;

#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    alerts: Alerts,
    groups: Groups,
    inhibition: Inhibition,
    pub silences: Silences,
    pub log: NotificationLog,
    watchdog: Option<Watchdog>,
    next_cleaning_ms: i64,
}

/// How often what nobody needs any more is thrown away.
const CLEANING_MS: i64 = 30_000;

/// An alert as a sender tells it: what is left out is for the engine to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldAlert {
    pub alert: Alert,
    pub has_start: bool,
    pub has_end: bool,
}

impl Engine {
    pub fn new(config: Arc<Config>, silences: Silences, log: NotificationLog) -> Self {
        let inhibition = Inhibition::new(&config.inhibit_rules);
        Self {
            config,
            alerts: Alerts::default(),
            groups: Groups::default(),
            inhibition,
            silences,
            log,
            watchdog: None,
            next_cleaning_ms: 0,
        }
    }

    #[must_use]
    pub fn with_watchdog(self, watchdog: Option<Watchdog>) -> Self {
        Self { watchdog, ..self }
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes alerts; answers how many found no room.
    pub fn put(&mut self, now: Now, told: Vec<ToldAlert>) -> usize {
        let mut refused = 0;
        for one in told {
            let kept = self.kept(now, one);
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.see(&kept, now);
            }
            match self.alerts.put(kept, now.wall_ms) {
                Some(kept) => self.group(now, &kept),
                None => refused += 1,
            }
        }
        refused
    }

    fn kept(&self, now: Now, told: ToldAlert) -> KeptAlert {
        let ToldAlert { mut alert, has_start, has_end } = told;
        if !has_start {
            alert.starts_at_ms = if has_end { alert.ends_at_ms } else { now.wall_ms };
        }
        if !has_end {
            alert.ends_at_ms = now.wall_ms.saturating_add(self.config.global.resolve_timeout_ms);
        }
        KeptAlert::new(alert, now.wall_ms, !has_end)
    }

    fn group(&mut self, now: Now, alert: &KeptAlert) {
        self.inhibition.see(alert);
        self.groups.put(now, &self.config.routes, alert);
    }

    /// When there is something to do next, on the clock that never steps.
    pub fn due_at_ms(&self) -> i64 {
        let watchdog = self.watchdog.as_ref().map_or(i64::MAX, Watchdog::due_at_ms);
        self.groups.due_at_ms().min(self.next_cleaning_ms).min(watchdog)
    }

    /// Does what is due and answers the groups that somebody is to be told of. The caller delivers and
    /// reports each by [`Self::delivered`] and, at the end, [`Self::flushed`].
    pub fn due(&mut self, now: Now) -> Vec<Flush> {
        if let Some(told) = self.watchdog.as_mut().and_then(|watchdog| watchdog.due(now)) {
            self.put(now, vec![told]);
        }
        if now.steady_ms >= self.next_cleaning_ms {
            self.next_cleaning_ms = now.steady_ms + CLEANING_MS;
            self.clean(now);
        }
        let due = self.groups.take_due(now);
        due.into_iter().map(|group| self.flush(now, &group)).collect()
    }

    /// An integration was told. The entry is in the log on the disk already.
    pub fn delivered(&mut self, key: LogKey, entry: LogEntry) {
        self.log.put(key, entry);
    }

    /// All deliveries of a group have ended; `is_told`: none failed.
    pub fn flushed(&mut self, flush: &Flush, is_told: bool) {
        self.groups.flushed(flush, is_told);
    }

    /// Takes another configuration: alerts are grouped anew, what was told is still known.
    pub fn reload(&mut self, now: Now, config: Arc<Config>) {
        self.inhibition = Inhibition::new(&config.inhibit_rules);
        self.groups.clear();
        self.config = config;
        let alerts: Vec<KeptAlert> = self.alerts.iter().cloned().collect();
        for alert in alerts {
            self.group(now, &alert);
        }
    }

    fn clean(&mut self, now: Now) {
        self.groups.clean();
        let held = self.groups.held();
        self.alerts.clean(now.wall_ms, |alert| held.contains(&alert.fingerprint));
        let alerts = &self.alerts;
        self.inhibition.clean(|fingerprint| alerts.get(fingerprint).is_some());
        self.silences.clean(now.wall_ms);
        self.log.clean(now.wall_ms);
    }

    pub fn alert_count(&self) -> usize {
        self.alerts.len()
    }

    pub fn group_count(&self) -> usize {
        self.groups.len()
    }
}

#[cfg(test)]
mod script;
