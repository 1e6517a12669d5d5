//! Answers as the lines of scripts.

use super::spans::BASE_NS;
use super::store::name_of;
use crate::engine::{Series, SetFound, TagNames, TagValues, TraceFound};
use crate::value::FieldValue;
use model::{format_duration_ns, quote_go};
use query::format_number;

/// Texts in quotes, everything else as it is.
fn value(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => quote_go(text.as_bytes()),
        FieldValue::Float(number) => rounded(*number),
        other => other.to_string(),
    }
}

fn pairs(list: &[(String, FieldValue)]) -> String {
    let shown = list.iter().map(|(name, of)| format!("{name}={}", value(of)));
    shown.collect::<Vec<_>>().join(", ")
}

/// To twelve digits: sums of parts differ in the last ones. A whole number has no point.
fn rounded(number: f64) -> String {
    let rounded: f64 = format!("{number:.11e}").parse().unwrap_or(number);
    format_number(rounded)
}

/// A line for each set of spans. `are_attributes_shown`: those of spans as well.
pub(super) fn traces(found: &[TraceFound], are_attributes_shown: bool) -> Vec<String> {
    let line = |trace: &TraceFound, set: &SetFound| {
        let attributes = match set.attributes.is_empty() {
            true => String::new(),
            false => format!(" [{}]", pairs(&set.attributes)),
        };
        let spans = set.spans.iter().map(|span| {
            let name = name_of(&span.span_id);
            match are_attributes_shown {
                true => format!("{name}{{{}}}", pairs(&span.attributes)),
                false => name,
            }
        });
        let mut spans: Vec<String> = spans.collect();
        if set.matched > spans.len() {
            spans.push(format!("of {}", set.matched));
        }
        format!("{}{attributes}: {}", name_of(&trace.trace_id), spans.join(" "))
    };
    let lines = |trace| {
        let of: &TraceFound = trace;
        let mut lines: Vec<String> = of.sets.iter().map(|set| line(of, set)).collect();
        lines.sort();
        lines
    };
    found.iter().flat_map(lines).collect()
}

/// `t1: web "GET /" 10s+1s web=3/1`
pub(super) fn summaries(found: &[TraceFound]) -> Vec<String> {
    let line = |trace: &TraceFound| {
        let start = i64::try_from(trace.start_ns).unwrap_or(i64::MAX) - BASE_NS;
        let length = i64::try_from(trace.duration_ns).unwrap_or(i64::MAX);
        let root = match (&trace.root_service, &trace.root_name) {
            (Some(service), Some(name)) => format!("{service} {}", quote_go(name.as_bytes())),
            _ => "no root".to_owned(),
        };
        let services = trace.services.iter();
        let services = services.map(|(name, of)| format!(" {name}={}/{}", of.spans, of.errors));
        let (start, length) = (format_duration_ns(start), format_duration_ns(length));
        let services: String = services.collect();
        format!("{}: {root} {start}+{length}{services}", name_of(&trace.trace_id))
    };
    found.iter().map(line).collect()
}

/// Labels, and a value for each step.
pub(super) fn series(found: &[Series]) -> Vec<String> {
    let line = |one: &Series| {
        let values = one.values.iter().map(|value| match value.is_nan() {
            true => "_".to_owned(),
            false => rounded(*value),
        });
        format!("{{{}}} {}", pairs(&one.labels), values.collect::<Vec<_>>().join(" "))
    };
    found.iter().map(line).collect()
}

/// `http.method`
pub(super) fn tag_names(found: &TagNames) -> Vec<String> {
    let line = |(scope, names): (&crate::TagScope, &std::collections::BTreeSet<String>)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{}: {}", scope.as_str(), names.join(" "))
    };
    found.iter().map(line).collect()
}

pub(super) fn tag_values(found: &TagValues) -> Vec<String> {
    found.iter().map(value).collect()
}
