//! What is left to be told of a group whose time has come.
//!
//! The stages are those of Alertmanager, in its order: inhibition, active intervals, muting intervals,
//! silences; then, for each integration, what the notification log says.

use super::groups::GroupId;
use super::notification_log::KEPT_MS;
use super::{Engine, LogEntry, LogKey, Now};
use crate::alert::{Fingerprint, KeptAlert};
use crate::config::Integration;
use crate::routing::Route;
use model::Labels;
use std::collections::BTreeSet;

/// The least time that deliveries get.
const DEADLINE_MIN_MS: i64 = 10_000;

/// An integration of a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntegrationId {
    pub receiver: String,
    pub kind: &'static str,
    pub index: usize,
}

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    First,
    NewAlerts,
    SomeResolved,
    AllResolved,
    Repeat,
}

impl Reason {
    /// As webhooks have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// A look at a group, with what is to be delivered of it.
#[derive(Clone, Debug)]
pub struct Flush {
    pub group: GroupId,
    /// The group's name in the notification log.
    pub key: String,
    /// What was told, or need not be.
    pub alerts: Vec<KeptAlert>,
    pub at_ms: i64,
    pub deliveries: Vec<Delivery>,
}

/// What one integration is to be told.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub key: LogKey,
    pub group_labels: Labels,
    /// None where there is only something to remember: ends, for who does not want to hear of them.
    pub alerts: Vec<KeptAlert>,
    pub reason: Reason,
    /// The time to which `alerts` fire or not.
    pub at_ms: i64,
    /// Until when it may be tried, on the clock that never steps.
    pub deadline_ms: i64,
    /// For the log, when it was delivered.
    pub entry: LogEntry,
}

impl Engine {
    pub(super) fn flush(&mut self, now: Now, id: &GroupId) -> Flush {
        let empty = Flush {
            group: id.clone(),
            key: String::new(),
            alerts: Vec::new(),
            at_ms: now.wall_ms,
            deliveries: Vec::new(),
        };
        let Some(route) = self.config.routes.get(id.route).cloned() else { return empty };
        self.groups.set_next(id, now.steady_ms.saturating_add(route.timing.group_interval_ms));
        let Some(group) = self.groups.get(id) else { return empty };
        let (alerts, key) = (group.listed(), group.key().to_owned());
        let deliveries = match self.muted_in(&route, now.wall_ms).is_empty() {
            true => self.deliveries(now, &route, id, &key, &alerts),
            false => Vec::new(),
        };
        Flush { key, alerts, deliveries, ..empty }
    }

    /// The intervals that mute a route now: those that hold, or those of which one should.
    pub(super) fn muted_in(&self, route: &Route, now_ms: i64) -> Vec<String> {
        let holds = |name: &&String| {
            let intervals = self.config.intervals.get(*name);
            intervals.is_some_and(|all| all.iter().any(|interval| interval.holds(now_ms)))
        };
        if !route.active_in.is_empty() && !route.active_in.iter().any(|name| holds(&name)) {
            return route.active_in.clone();
        }
        route.muted_in.iter().filter(holds).cloned().collect()
    }

    fn deliveries(
        &self,
        now: Now,
        route: &Route,
        id: &GroupId,
        group_key: &str,
        alerts: &[KeptAlert],
    ) -> Vec<Delivery> {
        let silences = self.silences.active(now.wall_ms);
        let is_heard = |alert: &&KeptAlert| {
            let labels = &alert.alert.labels;
            self.inhibited_by(labels, now.wall_ms).is_none() && !silences.silence(labels)
        };
        let heard: Vec<KeptAlert> = alerts.iter().filter(is_heard).cloned().collect();
        let Some(receiver) = self.config.receiver(&route.receiver) else { return Vec::new() };
        if heard.is_empty() {
            return Vec::new();
        }
        let of = |integration: &Integration| {
            let id_of = IntegrationId {
                receiver: receiver.name.clone(),
                kind: integration.settings.kind(),
                index: integration.index,
            };
            let key = LogKey { group_key: group_key.to_owned(), integration: id_of };
            self.delivery(now, route, key, id.labels.clone(), integration, &heard)
        };
        receiver.integrations.iter().filter_map(of).collect()
    }

    /// The fingerprint of an alert that mutes one with these labels.
    pub(super) fn inhibited_by(&self, labels: &Labels, now_ms: i64) -> Option<Fingerprint> {
        self.inhibition.muted_by(labels, |fingerprint| {
            let source = self.alerts.get(fingerprint).filter(|alert| !alert.is_resolved(now_ms))?;
            Some(&source.alert.labels)
        })
    }

    fn delivery(
        &self,
        now: Now,
        route: &Route,
        key: LogKey,
        group_labels: Labels,
        integration: &Integration,
        heard: &[KeptAlert],
    ) -> Option<Delivery> {
        let of = |resolved: bool| {
            let those = heard.iter().filter(|alert| alert.is_resolved(now.wall_ms) == resolved);
            those.map(|alert| alert.fingerprint).collect::<BTreeSet<_>>()
        };
        let (firing, resolved) = (of(false), of(true));
        let repeat_ms = route.timing.repeat_interval_ms;
        let known = self.log.get(&key);
        let reason = reason(known, &firing, &resolved, integration.send_resolved, |entry| {
            entry.at_ms < now.wall_ms.saturating_sub(repeat_ms)
        })?;
        let sends =
            |alert: &&KeptAlert| integration.send_resolved || !alert.is_resolved(now.wall_ms);
        let alerts: Vec<KeptAlert> = heard.iter().filter(sends).cloned().collect();
        let kept_ms = KEPT_MS.min(repeat_ms.saturating_mul(2));
        let expires_ms = now.wall_ms.saturating_add(kept_ms);
        let deadline_ms = route.timing.group_interval_ms.max(DEADLINE_MIN_MS);
        Some(Delivery {
            key,
            group_labels,
            alerts,
            reason,
            at_ms: now.wall_ms,
            deadline_ms: now.steady_ms.saturating_add(deadline_ms),
            entry: LogEntry { at_ms: now.wall_ms, firing, resolved, expires_ms },
        })
    }
}

/// Why an integration is to be told; `None` where it knows.
fn reason(
    known: Option<&LogEntry>,
    firing: &BTreeSet<Fingerprint>,
    resolved: &BTreeSet<Fingerprint>,
    send_resolved: bool,
    is_old: impl Fn(&LogEntry) -> bool,
) -> Option<Reason> {
    let Some(known) = known else { return (!firing.is_empty()).then_some(Reason::First) };
    if !firing.is_subset(&known.firing) {
        return Some(if known.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    if firing.is_empty() {
        // What began and ended between two looks is not worth a word.
        return (!known.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !resolved.is_subset(&known.resolved) {
        return Some(Reason::SomeResolved);
    }
    is_old(known).then_some(Reason::Repeat)
}
