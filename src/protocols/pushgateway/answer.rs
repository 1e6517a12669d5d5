//! What the Pushgateway answers: its page of metrics and its API.

use super::emit::gauges;
use super::group::Group;
use super::page::{Family, Value, kind_name, without};
use chrono::{DateTime, SecondsFormat};
use model::{Labels, METRIC_NAME};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The metrics of all groups in the text format. Native histograms have no form there.
pub(super) fn page(groups: &[Arc<Group>]) -> String {
    let mut out = String::new();
    let mut families: BTreeMap<&str, Vec<&Family>> = BTreeMap::new();
    for (name, family) in groups.iter().flat_map(|group| &group.families) {
        families.entry(name).or_default().push(family);
    }
    for (name, members) in families {
        let help = members.iter().map(|family| family.help.as_str()).find(|help| !help.is_empty());
        let kind = members.first().map_or("untyped", |family| kind_name(family.kind));
        head(&mut out, name, help.unwrap_or_default(), kind);
        for series in members.into_iter().flat_map(|family| &family.series) {
            if let Value::Float(value) = series.value {
                sample(&mut out, &series.labels, value);
            }
        }
    }
    let of_groups: Vec<_> = groups.iter().map(|group| gauges(group)).collect();
    for index in 0..2 {
        let Some((name, help, ..)) = of_groups.first().map(|both| &both[index]) else { break };
        head(&mut out, name, help, "gauge");
        of_groups.iter().for_each(|both| sample(&mut out, &both[index].2, both[index].3));
    }
    out
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    if !help.is_empty() {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(out, "# HELP {name} {help}");
    }
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn sample(out: &mut String, labels: &Labels, value: f64) {
    out.push_str(labels.metric_name());
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    let pairs: Vec<_> = labels
        .iter()
        .filter(|(name, _)| *name != METRIC_NAME)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    // A scrape that keeps the labels of a page must not put a host's name into an absent label.
    let instance = labels.get("instance").is_none().then(|| "instance=\"\"".to_owned());
    let pairs: Vec<_> = instance.into_iter().chain(pairs).collect();
    let _ = writeln!(out, "{{{}}} {}", pairs.join(","), query::format_number(value));
}

/// `GET /api/v1/metrics`: the groups with their families.
pub(super) fn metrics(groups: &[Arc<Group>]) -> Json {
    json!({ "status": "success", "data": groups.iter().map(|group| of_group(group)).collect::<Vec<_>>() })
}

fn of_group(group: &Group) -> Json {
    let mut out = Map::new();
    out.insert("labels".to_owned(), of_labels(&group.labels));
    let is_successful = group.failure_ms < group.push_ms || group.failure_ms == 0;
    out.insert("last_push_successful".to_owned(), is_successful.into());
    for (name, help, _, value) in gauges(group) {
        let metric =
            json!({ "labels": of_labels(&group.labels), "value": query::format_number(value) });
        let time = rfc3339(group.push_ms);
        let family =
            json!({ "time_stamp": time, "type": "GAUGE", "help": help, "metrics": [metric] });
        out.insert(name.to_owned(), family);
    }
    for (name, family) in &group.families {
        out.insert(name.clone(), of_family(name, family));
    }
    Json::Object(out)
}

fn of_family(name: &str, family: &Family) -> Json {
    let mut metrics: BTreeMap<Labels, Map<String, Json>> = BTreeMap::new();
    for series in &family.series {
        let plain = without(&series.labels, &[METRIC_NAME, "le", "quantile"]);
        let metric = metrics.entry(plain).or_default();
        let Value::Float(value) = series.value else {
            metric.insert("native_histogram".to_owned(), true.into());
            continue;
        };
        let value: Json = query::format_number(value).into();
        let suffix = series.labels.metric_name().strip_prefix(name).unwrap_or_default();
        let bound = series.labels.get("le").or_else(|| series.labels.get("quantile"));
        let (field, bound) = match (kind_name(family.kind), suffix, bound) {
            ("histogram", "_bucket", Some(bound)) => ("buckets", Some(bound)),
            ("summary", "", Some(bound)) => ("quantiles", Some(bound)),
            ("histogram" | "summary", "_sum", _) => ("sum", None),
            ("histogram" | "summary", "_count", _) => ("count", None),
            _ => ("value", None),
        };
        match bound {
            None => {
                metric.insert(field.to_owned(), value);
            }
            Some(bound) => {
                let bounds = metric.entry(field).or_insert_with(|| json!({}));
                bounds[bound] = value;
            }
        }
    }
    let metrics = metrics.into_iter().map(|(labels, mut metric)| {
        metric.insert("labels".to_owned(), of_labels(&labels));
        Json::Object(metric)
    });
    json!({
        "time_stamp": rfc3339(family.push_ms),
        "type": kind_name(family.kind).to_uppercase(),
        "help": family.help,
        "metrics": metrics.collect::<Vec<_>>(),
    })
}

fn of_labels(labels: &Labels) -> Json {
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

pub(super) fn rfc3339(time_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
