//! Raw samples out: `/federate` as text, `/api/v1/export` as JSON lines.

use super::envelope::{ApiError, Context};
use super::json;
use crate::reply;
use axum::http::StatusCode;
use axum::response::Response;
use model::{Labels, is_plain_name, is_stale};
use promql::storage::{Scratch, SeriesColumns};
use promql::{Matcher, QueryError, SelectHints};
use query::Stop;
use std::collections::{BTreeMap, BTreeSet};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The newest sample of everything selected, within the lookback, by name. Read from the store, not
/// by a query: a query would lose either the names or the times.
pub(super) fn federate(context: &Context) -> Result<Response, ApiError> {
    let end_ms = context.services.clock.wall_ms();
    let start_ms = end_ms.saturating_sub(context.services.engine.lookback_ms).saturating_add(1);
    let selectors = context.parameters.selectors()?;
    let mut found: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
    each_series(context, &selectors, (start_ms, end_ms), |labels, columns| {
        let floats = columns.floats;
        let mut points = floats.times.iter().zip(floats.values);
        let newest = points.rfind(|(time, _)| (start_ms..=end_ms).contains(*time));
        if let Some((time, value)) = newest.filter(|(_, value)| !is_stale(**value)) {
            found.insert(labels.clone(), (*time, *value));
        }
    })?;
    Ok(reply::of(StatusCode::OK, TEXT, exposition(&found)))
}

/// The columns of every series that any selector matches; each series once.
pub(super) fn each_series(
    context: &Context,
    selectors: &[Vec<Matcher>],
    (start_ms, end_ms): (i64, i64),
    mut take: impl FnMut(&Labels, SeriesColumns<'_>),
) -> Result<(), ApiError> {
    let reader = context.reader()?;
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let (mut seen, mut scratch) = (BTreeSet::new(), Scratch::default());
    for matchers in selectors {
        let selection = reader.select(&hints, matchers).map_err(QueryError::Storage)?;
        for index in 0..selection.len() {
            if context.cancel.is_cancelled() {
                return Err(QueryError::Stopped(Stop::Cancelled).into());
            }
            let labels = selection.labels(index);
            if seen.contains(&labels) {
                continue;
            }
            scratch.clear();
            let columns = selection.columns(index, &mut scratch).map_err(QueryError::Storage)?;
            take(&labels, columns);
            seen.insert(labels);
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Floats only: the text format has no native histograms.
fn exposition(samples: &BTreeMap<Labels, (i64, f64)>) -> Vec<u8> {
    let mut by_name: Vec<_> = samples.iter().collect();
    // Stable: within a name the order of labels stays.
    by_name.sort_by_key(|(labels, _)| labels.metric_name());
    let mut out = Vec::new();
    let mut family = None;
    for (labels, (time_ms, value)) in by_name {
        let name = labels.metric_name();
        if family != Some(name) {
            family = Some(name);
            let shown = if is_plain_name(name) { name.to_owned() } else { quoted(name) };
            out.extend_from_slice(format!("# TYPE {shown} untyped\n").as_bytes());
        }
        out.extend_from_slice(series_text(labels).as_bytes());
        out.push(b' ');
        json::number(&mut out, *value);
        out.extend_from_slice(format!(" {time_ms}\n").as_bytes());
    }
    out
}

fn series_text(labels: &Labels) -> String {
    let name = labels.metric_name();
    let is_plain = is_plain_name(name);
    let mut inside: Vec<String> = if is_plain { Vec::new() } else { vec![quoted(name)] };
    for (label, value) in labels.iter().filter(|(label, _)| *label != model::METRIC_NAME) {
        let label = if is_plain_name(label) { label.to_owned() } else { quoted(label) };
        inside.push(format!("{label}={}", quoted(value)));
    }
    format!("{}{{{}}}", if is_plain { name } else { "" }, inside.join(","))
}

/// One JSON object a line: the labels, the values, the times in milliseconds.
pub(super) fn export(context: &Context) -> Result<Response, ApiError> {
    let question = context.parameters.question()?;
    if question.selectors.is_empty() {
        return Err(ApiError::bad("no match[] parameter provided"));
    }
    let wanted = question.start_ms..=question.end_ms;
    let mut out = Vec::new();
    let range = (question.start_ms, question.end_ms);
    each_series(context, &question.selectors, range, |labels, columns| {
        let floats = columns.floats;
        let points = floats.times.iter().copied().zip(floats.values.iter().copied());
        let kept: Vec<_> =
            points.filter(|(time, value)| wanted.contains(time) && !is_stale(*value)).collect();
        write_line(&mut out, labels, &kept);
    })?;
    Ok(reply::of(StatusCode::OK, "application/stream+json; charset=utf-8", out))
}

fn write_line(out: &mut Vec<u8>, labels: &Labels, points: &[(i64, f64)]) {
    if points.is_empty() {
        return;
    }
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, labels);
    out.extend_from_slice(b",\"values\":");
    json::list(out, points, |out, (_, value)| write_value(out, *value));
    out.extend_from_slice(b",\"timestamps\":");
    json::list(out, points, |out, (time, _)| out.extend_from_slice(time.to_string().as_bytes()));
    out.extend_from_slice(b"}\n");
}

/// Numbers as numbers; what JSON has no number for, as text.
fn write_value(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        json::number(out, value);
    } else {
        json::value(out, value);
    }
}
