//! Raw samples out: `/federate` as text, `/api/v1/export` as JSON lines.

use super::envelope::{ApiError, Context};
use super::json;
use crate::reply;
use axum::http::StatusCode;
use axum::response::Response;
use model::{Labels, is_plain_name, is_stale};
use promql::storage::Scratch;
use promql::{Engine, Matcher, QueryValue, Request, SampleOf, SelectHints, VectorSample};
use std::collections::BTreeMap;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The newest sample of everything selected, within the lookback, by name.
pub(super) fn federate(context: &Context) -> Result<Response, ApiError> {
    let selectors = context.parameters.selectors()?;
    let reader = context.reader()?;
    let engine = Engine::new(context.services.engine.clone());
    let clock = &*context.services.clock;
    let mut found: BTreeMap<Labels, VectorSample> = BTreeMap::new();
    for matchers in &selectors {
        // The time of a sample, not of the query, is what federation passes on.
        let query = selector_text(matchers);
        let times = format!("timestamp({query})");
        let now_ms = clock.wall_ms();
        let run = |query: &str| {
            let mut request = Request::instant(query, now_ms);
            request.cancel = context.cancel.clone();
            engine.run(&*reader, clock, &request)
        };
        let stamps = stamps(run(&times)?.value);
        let QueryValue::Vector(samples) = run(&query)?.value else { continue };
        for mut sample in samples {
            if let Some(seconds) = stamps.get(&sample.labels.without_metadata()) {
                sample.time_ms = (seconds * 1000.0).round() as i64;
            }
            found.insert(sample.labels.clone(), sample);
        }
    }
    Ok(reply::of(StatusCode::OK, TEXT, exposition(found.values())))
}

fn stamps(value: QueryValue) -> BTreeMap<Labels, f64> {
    let QueryValue::Vector(samples) = value else { return BTreeMap::new() };
    let float = |sample: VectorSample| match sample.value {
        SampleOf::Float(value) => Some((sample.labels, value)),
        SampleOf::Histogram(_) => None,
    };
    samples.into_iter().filter_map(float).collect()
}

fn selector_text(matchers: &[Matcher]) -> String {
    let one = |matcher: &Matcher| {
        let (name, value) = (quoted(&matcher.name), quoted(&matcher.value));
        let name = if is_plain_name(&matcher.name) { matcher.name.clone() } else { name };
        format!("{name}{}{value}", matcher.op.as_str())
    };
    format!("{{{}}}", matchers.iter().map(one).collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Floats only: the text format has no native histograms.
fn exposition<'a>(samples: impl Iterator<Item = &'a VectorSample>) -> Vec<u8> {
    let mut by_name: Vec<_> = samples.collect();
    by_name.sort_by(|left, right| {
        (left.labels.metric_name(), &left.labels).cmp(&(right.labels.metric_name(), &right.labels))
    });
    let mut out = Vec::new();
    let mut family = None;
    for sample in by_name {
        let SampleOf::Float(value) = sample.value else { continue };
        let name = sample.labels.metric_name();
        if family != Some(name) {
            family = Some(name);
            let shown = if is_plain_name(name) { name.to_owned() } else { quoted(name) };
            out.extend_from_slice(format!("# TYPE {shown} untyped\n").as_bytes());
        }
        out.extend_from_slice(series_text(&sample.labels).as_bytes());
        out.push(b' ');
        json::number(&mut out, value);
        out.extend_from_slice(format!(" {}\n", sample.time_ms).as_bytes());
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
    let reader = context.reader()?;
    let hints = SelectHints {
        start_ms: question.start_ms,
        end_ms: question.end_ms,
        ..SelectHints::default()
    };
    let (mut out, mut seen, mut scratch) = (Vec::new(), BTreeMap::new(), Scratch::default());
    for matchers in &question.selectors {
        let selection = reader.select(&hints, matchers).map_err(promql::QueryError::Storage)?;
        for index in 0..selection.len() {
            let labels = selection.labels(index);
            if context.cancel.is_cancelled() || seen.insert(labels.clone(), ()).is_some() {
                continue;
            }
            scratch.clear();
            let columns = selection.columns(index, &mut scratch);
            let floats = columns.map_err(promql::QueryError::Storage)?.floats;
            let points = floats.times.iter().copied().zip(floats.values.iter().copied());
            let wanted = question.start_ms..=question.end_ms;
            let kept: Vec<_> =
                points.filter(|(time, value)| wanted.contains(time) && !is_stale(*value)).collect();
            write_line(&mut out, &labels, &kept);
        }
    }
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
