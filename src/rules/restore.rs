//! Since when alerts are active, read back after a restart from the series that tell of it.

use crate::alert::{ALERT_NAME, ALERTS_FOR_STATE};
use crate::backend::{Evaluate, EvaluateError, Question, Sample};
use crate::definition::RuleKind;
use crate::language::Language;
use crate::rule::RunningRule;
use model::{Labels, SampleValue, TenantId};
use observe::Notice;
use std::collections::BTreeMap;

/// How long the server may have been away, and how long an alert waits at least after that. In
/// milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestoreLimits {
    pub(crate) outage_ms: i64,
    pub(crate) grace_ms: i64,
}

/// Sets since when the pending alerts of a rule are active; from then on their series are written.
pub(crate) fn restore(
    rule: &RunningRule,
    by: &dyn Evaluate,
    tenant: &TenantId,
    now_ms: i64,
    limits: RestoreLimits,
) {
    let RuleKind::Alert { name, hold_ms, .. } = &rule.rule.kind else { return };
    // An alert that waits for less than the grace period is not made to wait for it.
    if *hold_ms >= limits.grace_ms {
        match last_states(name, by, tenant, now_ms, limits.outage_ms) {
            Ok(states) => {
                let mut state = rule.state();
                for (labels, alert) in state.alerts.iter_mut() {
                    if let Some(last) = states.get(labels) {
                        alert.active_at_ms = last.active_at_ms(*hold_ms, now_ms, limits.grace_ms);
                    }
                }
            }
            Err(error) => {
                let text = "the `for` of alerts could not be restored: they wait anew";
                Notice::warn(text, &[("alert", name), ("error", &error)]);
            }
        }
    }
    rule.state().alerts.restored = true;
}

/// What the last sample before the restart says.
#[derive(Clone, Copy, Debug)]
struct LastState {
    active_at_ms: i64,
    /// When the sample was written.
    seen_at_ms: i64,
}

impl LastState {
    fn active_at_ms(self, hold_ms: i64, now_ms: i64, grace_ms: i64) -> i64 {
        let left_ms = hold_ms - (self.seen_at_ms - self.active_at_ms);
        match left_ms {
            // It fired before, and fires again at the next evaluation.
            i64::MIN..=0 => self.active_at_ms,
            // It fires when the grace period is over.
            _ if left_ms < grace_ms => now_ms + grace_ms - hold_ms,
            // The time of the outage does not count.
            _ => self.active_at_ms + (now_ms - self.seen_at_ms),
        }
    }
}

/// By the labels of alerts. A series that a stale marker has ended is not there.
fn last_states(
    name: &str,
    by: &dyn Evaluate,
    tenant: &TenantId,
    now_ms: i64,
    outage_ms: i64,
) -> Result<BTreeMap<Labels, LastState>, EvaluateError> {
    let selector =
        format!("{ALERTS_FOR_STATE}{{{ALERT_NAME}={}}}", model::quote_go(name.as_bytes()));
    let ask = |query: &str| {
        by.instant(&Question {
            tenant,
            language: Language::Promql,
            query,
            time_ms: now_ms,
            window_ms: outage_ms,
            lookback_ms: Some(outage_ms),
            cancel: by.deadline(),
        })
    };
    let since = by_labels(ask(&selector)?);
    let seen = by_labels(ask(&format!("timestamp({selector})"))?);
    let state = |(labels, since): (Labels, f64)| {
        let seen = seen.get(&labels)?;
        let (active_at_ms, seen_at_ms) = (since as i64 * 1_000, *seen as i64 * 1_000);
        Some((labels, LastState { active_at_ms, seen_at_ms }))
    };
    Ok(since.into_iter().filter_map(state).collect())
}

fn by_labels(samples: Vec<Sample>) -> BTreeMap<Labels, f64> {
    let float = |sample: Sample| match sample.value {
        SampleValue::Float(value) => Some((sample.labels.without_metadata(), value)),
        SampleValue::Histogram(_) => None,
    };
    samples.into_iter().filter_map(float).collect()
}
