//! What changed shortly before or in the selection: versions, restarts, alerts.

use crate::finding::{Figures, Finding, Found, Kind};
use crate::neighbours::Near;
use crate::question::Window;
use crate::score::{CHANGE, change};
use crate::stores::{Asking, ExplainError, quoted};
use promql::QueryValue;
use std::collections::BTreeMap;
use traceql::{FieldValue, MetricTimes};

/// How long before the selection a change may lie.
const BEFORE_MS: i64 = 30 * 60_000;
const STEPS: i64 = 360;
const STEP_MIN_MS: i64 = 5_000;

pub(crate) fn find(asking: &Asking) -> Result<Found, ExplainError> {
    let near = asking.near();
    let selection = asking.question.selection;
    let start_ms = (selection.start_ms - BEFORE_MS).max(asking.question.baseline.start_ms);
    let window = Window { start_ms, end_ms: selection.end_ms };
    let step_ms = (window.length_ms() / STEPS).max(STEP_MIN_MS);
    let mut found = Found::default();
    versions(asking, near, (window, step_ms), &mut found)?;
    restarts(asking, near, (window, step_ms), &mut found)?;
    alerts(asking, (window, step_ms), &mut found)?;
    Ok(found.ranked())
}

fn is_near(near: &Near, service: &str) -> bool {
    let name = service.rsplit('/').next().unwrap_or(service);
    near.is_empty() || near.contains_key(service) || near.contains_key(name)
}

fn finding(
    (kind, name, value): (Kind, String, String),
    (at_ms, start_ms, is_near): (i64, i64, bool),
    (query, language): (String, &'static str),
) -> Finding {
    let distance_ms = start_ms - at_ms;
    let figures = Figures::Time { at_ms, distance_ms, is_near };
    let score = change(distance_ms, is_near);
    Finding { kind, name, value, score, figures, formula: CHANGE, query, language }
}

/// Versions of services that spans name and that were not there at the beginning.
fn versions(
    asking: &Asking,
    near: &Near,
    (window, step_ms): (Window, i64),
    found: &mut Found,
) -> Result<(), ExplainError> {
    let query = "{ } | rate() by (resource.service.name, resource.service.version)";
    let times = MetricTimes::Range { step_ns: step_ms * 1_000_000 };
    let series = asking.trace_series(query, window, times)?;
    let text = |value: &FieldValue| match value {
        FieldValue::Text(text) => Some(text.clone()),
        _ => None,
    };
    // When each version was seen first, by service.
    let mut seen: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for one in &series {
        found.looked_at += 1;
        let [(_, service), (_, version)] = &one.labels[..] else { continue };
        let (Some(service), Some(version)) = (text(service), text(version)) else { continue };
        let first = one.values.iter().position(|rate| *rate > 0.0);
        if let Some(at_ms) = first.and_then(|step| one.times_ms.get(step)) {
            seen.entry(service).or_default().push((*at_ms, version));
        }
    }
    for (service, mut versions) in seen {
        versions.sort();
        for pair in versions.windows(2) {
            let [(_, from), (at_ms, to)] = pair else { continue };
            let is_near = is_near(near, &service);
            let query = format!(
                "{{ resource.service.name = {} && resource.service.version = {} }}",
                quoted(&service),
                quoted(to)
            );
            found.findings.push(finding(
                (Kind::Change, service.clone(), format!("version {from} -> {to}")),
                (*at_ms, asking.question.selection.start_ms, is_near),
                (query, "traceql"),
            ));
        }
    }
    Ok(())
}

/// Processes that began anew, by the metric that says when they did.
fn restarts(
    asking: &Asking,
    near: &Near,
    times: (Window, i64),
    found: &mut Found,
) -> Result<(), ExplainError> {
    let query = "process_start_time_seconds";
    let QueryValue::Matrix { times_ms, series } = asking.promql(query, times)? else {
        return Ok(());
    };
    for one in &series {
        found.looked_at += 1;
        let mut before = None;
        for (step, at_ms) in times_ms.iter().enumerate() {
            let Some(value) = one.column.float(step) else { continue };
            // A clock that is read anew moves a little.
            if before.is_some_and(|before: f64| value - before > 1.0) {
                let service = ["service_name", "job"]
                    .into_iter()
                    .map(|label| one.labels.value(label))
                    .find(|value| !value.is_empty());
                let service = service.unwrap_or_default().to_owned();
                let is_near = is_near(near, &service);
                let instance = one.labels.value("instance").to_owned();
                found.findings.push(finding(
                    (Kind::Change, service, format!("restart of {instance}")),
                    (*at_ms, asking.question.selection.start_ms, is_near),
                    (format!("{query}{{instance={}}}", quoted(&instance)), "promql"),
                ));
            }
            before = Some(value);
        }
    }
    Ok(())
}

/// Alerts that began to fire.
fn alerts(asking: &Asking, times: (Window, i64), found: &mut Found) -> Result<(), ExplainError> {
    let query = "ALERTS{alertstate=\"firing\"}";
    let QueryValue::Matrix { times_ms, series } = asking.promql(query, times)? else {
        return Ok(());
    };
    for one in &series {
        found.looked_at += 1;
        let first = (0..times_ms.len()).find(|step| one.column.float(*step).is_some());
        // What fired all along began before.
        let Some(at_ms) = first.filter(|step| *step > 0).and_then(|step| times_ms.get(step)) else {
            continue;
        };
        let name = one.labels.value("alertname").to_owned();
        let query = format!("ALERTS{{alertname={}}}", quoted(&name));
        let labels =
            one.labels.filtered(|name| !["__name__", "alertname", "alertstate"].contains(&name));
        found.findings.push(finding(
            (Kind::Alert, name, labels.to_string()),
            (*at_ms, asking.question.selection.start_ms, true),
            (query, "promql"),
        ));
    }
    Ok(())
}
