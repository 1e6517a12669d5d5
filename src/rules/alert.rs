//! The alerts of one rule: inactive, pending, firing, resolved.
//!
//! Lives here: what becomes of each alert at an evaluation, the series that tell of it, and when it is
//! sent. Not here: what the expression gives, templates, whom it is sent to.
//! Invariants: time only comes from the caller; alerts are told apart by their labels alone; a
//! resolved alert is kept for [`RESOLVED_KEPT_MS`], so that those who missed its end are told again.

use crate::backend::OutSample;
use crate::view::AlertState;
use model::{Labels, LabelsBuilder, METRIC_NAME, SampleValue};
use std::collections::BTreeMap;

pub(crate) const ALERTS: &str = "ALERTS";
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
pub(crate) const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// How long a resolved alert is sent again and again.
const RESOLVED_KEPT_MS: i64 = 15 * 60_000;
/// An alert that is sent is taken to hold for so many intervals, so that two failures to send it do not
/// end it.
const VALID_INTERVALS: i64 = 4;

/// One alert. Times are milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    pub(crate) state: AlertState,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
    pub(crate) active_at_ms: i64,
    pub(crate) fired_at_ms: i64,
    pub(crate) resolved_at_ms: Option<i64>,
    pub(crate) keep_firing_since_ms: Option<i64>,
    sent_at_ms: Option<i64>,
}

/// What an evaluation found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
}

/// The durations of a rule, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// `for`
    pub(crate) hold_ms: i64,
    /// `keep_firing_for`
    pub(crate) keep_firing_ms: i64,
}

/// All alerts of a rule, by their labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    active: BTreeMap<Labels, Alert>,
    /// Series are written only when it is known since when alerts are active: otherwise a restart would
    /// overwrite what tells of it.
    pub(crate) restored: bool,
}

impl Alerts {
    pub(crate) fn new(restored: bool) -> Self {
        Self { active: BTreeMap::new(), restored }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Labels, &Alert)> {
        self.active.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Labels, &mut Alert)> {
        self.active.iter_mut()
    }

    /// Takes over the alerts of the same rule before a reload.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.active.clone_from(&other.active);
        self.restored |= other.restored;
    }

    /// The state of the rule: that of its worst alert.
    pub(crate) fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// One evaluation. `Err` when more alerts are pending or firing than `limit` allows, which takes all
    /// of them away.
    pub(crate) fn step(
        &mut self,
        found: Vec<Found>,
        now_ms: i64,
        patience: Patience,
        limit: usize,
    ) -> Result<(), String> {
        let mut seen = std::collections::BTreeSet::new();
        for one in found {
            seen.insert(one.labels.clone());
            self.see(one, now_ms);
        }
        let mut count = 0;
        self.active.retain(|labels, alert| {
            let is_kept = match seen.contains(labels) {
                true => {
                    alert.keep_firing_since_ms = None;
                    true
                }
                false => alert.ends(now_ms, patience.keep_firing_ms),
            };
            if alert.state == AlertState::Pending && now_ms - alert.active_at_ms >= patience.hold_ms
            {
                alert.state = AlertState::Firing;
                alert.fired_at_ms = now_ms;
            }
            count += usize::from(is_kept && alert.state != AlertState::Inactive);
            is_kept
        });
        if limit > 0 && count > limit {
            self.active.clear();
            return Err(format!("exceeded limit of {limit} with {count} alerts"));
        }
        Ok(())
    }

    /// The condition holds: a known alert gets the new value, any other becomes pending.
    fn see(&mut self, found: Found, now_ms: i64) {
        let Found { labels, annotations, value } = found;
        match self.active.get_mut(&labels) {
            Some(alert) if alert.state != AlertState::Inactive => {
                (alert.value, alert.annotations) = (value, annotations);
            }
            _ => {
                let alert = Alert {
                    state: AlertState::Pending,
                    annotations,
                    value,
                    active_at_ms: now_ms,
                    fired_at_ms: 0,
                    resolved_at_ms: None,
                    keep_firing_since_ms: None,
                    sent_at_ms: None,
                };
                self.active.insert(labels, alert);
            }
        }
    }

    /// The series of alerts that are pending or firing.
    pub(crate) fn samples(&self, name: &str, time_ms: i64) -> Vec<OutSample> {
        if !self.restored {
            return Vec::new();
        }
        let shown = self.active.iter().filter(|(_, alert)| alert.state != AlertState::Inactive);
        let samples = shown.flat_map(|(labels, alert)| {
            let float = |labels, value| {
                let value = SampleValue::Float(value);
                OutSample { labels, time_ms, value }
            };
            let state = series(labels, ALERTS, name, Some(alert.state.as_str()));
            let since = series(labels, ALERTS_FOR_STATE, name, None);
            [float(state, 1.0), float(since, alert.active_at_ms.div_euclid(1_000) as f64)]
        });
        samples.collect()
    }

    /// The alerts that are to be sent now.
    pub(crate) fn take_due(
        &mut self,
        now_ms: i64,
        (interval_ms, resend_ms): (i64, i64),
        finish: impl Fn(&Labels) -> Labels,
        generator_url: &str,
    ) -> Vec<model::Alert> {
        let valid_until_ms = now_ms + VALID_INTERVALS * interval_ms.max(resend_ms);
        let due = self.active.iter_mut().filter(|(_, alert)| alert.is_due(now_ms, resend_ms));
        let sent = due.map(|(labels, alert)| {
            alert.sent_at_ms = Some(now_ms);
            model::Alert {
                labels: finish(labels),
                annotations: alert.annotations.clone(),
                starts_at_ms: alert.fired_at_ms,
                ends_at_ms: alert.resolved_at_ms.unwrap_or(valid_until_ms),
                generator_url: generator_url.to_owned(),
            }
        });
        sent.collect()
    }
}

impl Alert {
    /// The condition does not hold. Answers whether the alert is kept in mind.
    fn ends(&mut self, now_ms: i64, keep_firing_ms: i64) -> bool {
        if self.state == AlertState::Firing && keep_firing_ms > 0 {
            let since_ms = *self.keep_firing_since_ms.get_or_insert(now_ms);
            if now_ms - since_ms < keep_firing_ms {
                return true;
            }
        }
        match (self.state, self.resolved_at_ms) {
            (AlertState::Pending, _) => return false,
            (_, Some(resolved_ms)) if now_ms - resolved_ms > RESOLVED_KEPT_MS => return false,
            (AlertState::Inactive, _) => {}
            _ => {
                self.state = AlertState::Inactive;
                self.resolved_at_ms = Some(now_ms);
            }
        }
        true
    }

    fn is_due(&self, now_ms: i64, resend_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent_ms) = self.sent_at_ms else { return true };
        let has_ended = self.resolved_at_ms.is_some_and(|resolved_ms| resolved_ms > sent_ms);
        has_ended || sent_ms + resend_ms < now_ms
    }
}

/// The labels of a series that tells of an alert.
fn series(labels: &Labels, metric: &str, name: &str, state: Option<&str>) -> Labels {
    let mut builder = LabelsBuilder::new();
    for (name, value) in labels.iter() {
        builder.set(name, value);
    }
    builder.set(METRIC_NAME, metric).set(ALERT_NAME, name);
    if let Some(state) = state {
        builder.set(ALERT_STATE, state);
    }
    builder.build()
}
