//! Groups of alerts, and when each is looked at.
//!
//! A group is looked at first when its alerts have waited for others of their kind, then at regular
//! intervals, as long as it has alerts. A look that is under way holds up the next one of the same
//! group, also when another configuration has made the group anew meanwhile.

use super::{Flush, Now};
use crate::alert::{Fingerprint, KeptAlert, listed_before};
use crate::routing::{Route, Routes};
use model::Labels;
use std::collections::{BTreeMap, BTreeSet};

/// A route, and the labels that the group's alerts share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId {
    pub route: usize,
    pub labels: Labels,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) alerts: BTreeMap<Fingerprint, KeptAlert>,
    next_ms: i64,
    has_flushed: bool,
    /// Its name in the notification log: the route's conditions and the labels.
    key: String,
}

impl Group {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Its alerts in the order in which they are told.
    pub(super) fn listed(&self) -> Vec<KeptAlert> {
        let mut listed: Vec<KeptAlert> = self.alerts.values().cloned().collect();
        listed.sort_by(|left, right| listed_before(&left.alert.labels, &right.alert.labels));
        listed
    }
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<GroupId, Group>,
    /// The keys of groups of which a look is under way.
    under_way: BTreeSet<String>,
}

impl Groups {
    pub(super) fn put(&mut self, now: Now, routes: &Routes, alert: &KeptAlert) {
        let labels = &alert.alert.labels;
        for place in routes.taken_by(labels) {
            let Some(route) = routes.get(place) else { continue };
            let id = GroupId { route: place, labels: route.group_by.labels_of(labels) };
            let wait_ms = route.timing.group_wait_ms;
            let group = self.groups.entry(id);
            let group = group.or_insert_with_key(|id| new_group(now, route, id));
            group.alerts.insert(alert.fingerprint, alert.clone());
            // It has waited elsewhere, with the sender or before a restart.
            let has_waited = alert.alert.starts_at_ms.saturating_add(wait_ms) < now.wall_ms;
            if !group.has_flushed && has_waited {
                group.next_ms = now.steady_ms;
            }
        }
    }

    /// Forgets all groups, but not which of them are under way.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    pub(super) fn due_at_ms(&self) -> i64 {
        let waiting = self.groups.values().filter(|group| !self.under_way.contains(&group.key));
        waiting.map(|group| group.next_ms).min().unwrap_or(i64::MAX)
    }

    /// The groups whose time has come; from now on they are under way.
    pub(super) fn take_due(&mut self, now: Now) -> Vec<GroupId> {
        self.groups.retain(|_, group| group.next_ms > now.steady_ms || !group.alerts.is_empty());
        let mut due = Vec::new();
        for (id, group) in &mut self.groups {
            if group.next_ms <= now.steady_ms && self.under_way.insert(group.key.clone()) {
                group.has_flushed = true;
                due.push(id.clone());
            }
        }
        due
    }

    pub(super) fn set_next(&mut self, id: &GroupId, next_ms: i64) {
        if let Some(group) = self.groups.get_mut(id) {
            group.next_ms = next_ms;
        }
    }

    pub(super) fn get(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.groups.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// What has ended leaves the group when everybody knows it, unless it was told again meanwhile.
    pub(super) fn flushed(&mut self, flush: &Flush, is_told: bool) {
        self.under_way.remove(&flush.key);
        let group = self.groups.get_mut(&flush.group);
        // Another configuration may have another group there.
        let Some(group) = group.filter(|group| is_told && group.key == flush.key) else { return };
        for told in flush.alerts.iter().filter(|alert| alert.is_resolved(flush.at_ms)) {
            let is_same = |known: &KeptAlert| known.updated_at_ms == told.updated_at_ms;
            if group.alerts.get(&told.fingerprint).is_some_and(is_same) {
                group.alerts.remove(&told.fingerprint);
            }
        }
    }

    pub(super) fn clean(&mut self) {
        self.groups
            .retain(|_, group| !group.alerts.is_empty() || self.under_way.contains(&group.key));
    }

    /// All alerts that are in any group.
    pub(super) fn held(&self) -> BTreeSet<Fingerprint> {
        self.groups.values().flat_map(|group| group.alerts.keys().copied()).collect()
    }
}

fn new_group(now: Now, route: &Route, id: &GroupId) -> Group {
    Group {
        alerts: BTreeMap::new(),
        next_ms: now.steady_ms.saturating_add(route.timing.group_wait_ms),
        has_flushed: false,
        key: group_key(route, &id.labels),
    }
}

/// `{}/{severity="page"}:{alertname="X"}`
fn group_key(route: &Route, labels: &Labels) -> String {
    let pair = |(name, value): (&str, &str)| {
        let name = match model::is_plain_name(name) {
            true => name.to_owned(),
            false => model::quote_go(name.as_bytes()),
        };
        format!("{name}={}", model::quote_go(value.as_bytes()))
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{}:{{{}}}", route.key, pairs.join(", "))
}
