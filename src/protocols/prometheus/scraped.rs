//! `targets…` and `scrape_pools…`: what is scraped, and how that goes.
//!
//! What is scraped belongs to one tenant: others see no targets.

use super::envelope::{ApiError, Context, Data, ErrorType};
use crate::api::json;
use chrono::{DateTime, SecondsFormat};
use model::{Labels, METRIC_NAME, Matcher, format_duration};
use promql::parse_selector;
use query::RegexBudget;
use scrape::{ActiveTarget, Manager, PoolView};
use serde::Deserialize;
use serde_json::json as value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// When a target was scraped that was not: Go's zero.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn scraping(context: &Context) -> Option<&Arc<Manager>> {
    let scraping = context.services().scraping();
    scraping.filter(|manager| *manager.tenant() == context.call.tenant)
}

/// The pools that a request is about, with their names.
fn views(context: &Context) -> Vec<(String, PoolView)> {
    let Some(manager) = scraping(context) else { return Vec::new() };
    let wanted = context.parameters.text("scrapePool");
    let names = manager.pools().into_iter();
    names
        .filter(|name| wanted.is_empty() || name == wanted)
        .filter_map(|name| Some((name.clone(), manager.view(&name)?)))
        .collect()
}

pub(super) fn targets(context: &Context) -> Result<Data, ApiError> {
    let state = context.parameters.text("state").to_lowercase();
    let all = !matches!(state.as_str(), "active" | "dropped");
    let (shows_active, shows_dropped) = (all || state == "active", all || state == "dropped");
    let views = views(context);
    let mut data = Data::of(b"{\"activeTargets\":");
    let out = &mut data.json;
    let active = views.iter().filter(|_| shows_active);
    let active = active.flat_map(|(pool, view)| view.active.iter().map(move |one| (pool, one)));
    let host = &context.services().machine.host_name;
    json::list(out, active, |out, (pool, target)| write_active(out, pool, target, host));
    let counts = views.iter().filter(|_| shows_dropped);
    let counts: BTreeMap<&str, usize> =
        counts.map(|(pool, view)| (pool.as_str(), view.dropped_count)).collect();
    out.extend_from_slice(format!(",\"droppedTargetCounts\":{}", value!(counts)).as_bytes());
    out.extend_from_slice(b",\"droppedTargets\":");
    let dropped = views.iter().filter(|_| shows_dropped);
    let dropped = dropped.flat_map(|(pool, view)| view.dropped.iter().map(move |one| (pool, one)));
    json::list(out, dropped, |out, (pool, labels)| {
        out.extend_from_slice(b"{\"discoveredLabels\":");
        json::labels(out, labels);
        out.extend_from_slice(b",\"scrapePool\":");
        json::text(out, pool);
        out.push(b'}');
    });
    out.push(b'}');
    Ok(data)
}

fn write_active(out: &mut Vec<u8>, pool: &str, active: &ActiveTarget, host: &str) {
    let (target, status) = (&active.target, active.status());
    out.extend_from_slice(b"{\"discoveredLabels\":");
    json::labels(out, &target.discovered);
    out.extend_from_slice(b",\"labels\":");
    json::labels(out, &target.labels);
    let url = target.url.to_string();
    let is_local = matches!(target.url.host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
    let global = match is_local && !host.is_empty() {
        true => url.replacen(target.url.host(), host, 1),
        false => url.clone(),
    };
    let at = status.at_ms.and_then(DateTime::from_timestamp_millis);
    let at = at.map_or(NEVER.to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    for (name, text) in [
        ("scrapePool", pool),
        ("scrapeUrl", &url),
        ("globalUrl", &global),
        ("lastError", &status.error),
        ("lastScrape", &at),
        ("health", status.health.as_str()),
        ("scrapeInterval", &format_duration(target.interval_ms)),
        ("scrapeTimeout", &format_duration(target.timeout_ms)),
    ] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json::text(out, text);
    }
    out.extend_from_slice(b",\"lastScrapeDuration\":");
    json::number(out, status.took_seconds);
    out.push(b'}');
}

/// What exporters say of their metrics, target by target.
pub(super) fn metadata(context: &Context) -> Result<Data, ApiError> {
    let parameters = &context.parameters;
    let limit = parameters.count("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let metric = parameters.text("metric");
    let matchers = match parameters.text("match_target") {
        "" => Vec::new(),
        text => parse_selector(text, &mut RegexBudget::default())
            .map_err(|error| ApiError::parameter("match_target", &error.to_string()))?,
    };
    let mut found = Vec::new();
    for target in views(context).into_iter().flat_map(|(_, view)| view.active) {
        if matches(&matchers, &target.target.labels) {
            of_target(&target, metric, limit, &mut found);
        }
    }
    if found.is_empty() && scraping(context).is_some() {
        let message = "specified metadata not found".to_owned();
        return Err(ApiError { kind: ErrorType::NotFound, message });
    }
    Ok(Data::of(value!(found).to_string()))
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}

/// One metric's metadata, or that of all, as far as there is room.
fn of_target(
    active: &ActiveTarget,
    metric: &str,
    limit: usize,
    found: &mut Vec<serde_json::Value>,
) {
    let labels: BTreeMap<&str, &str> =
        active.target.labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
    let metadata = active.status().metadata;
    let entries = metadata.iter().filter(|(name, _)| metric.is_empty() || ***name == *metric);
    for (name, entry) in entries {
        if found.len() >= limit {
            return;
        }
        let mut line = value!({
            "target": labels,
            "type": entry.kind.as_str(),
            "help": entry.help,
            "unit": entry.unit,
        });
        if metric.is_empty() {
            line["metric"] = value!(**name);
        }
        found.push(line);
    }
}

pub(super) fn pools(context: &Context) -> Result<Data, ApiError> {
    let pools = scraping(context).map(|manager| manager.pools()).unwrap_or_default();
    Ok(Data::of(value!({ "scrapePools": pools }).to_string()))
}

fn job(context: &Context) -> Result<Arc<scrape::config::Job>, ApiError> {
    let name = context.parameters.text("scrapePool");
    if name.is_empty() {
        return Err(ApiError::bad("no scrapePool parameter provided"));
    }
    let job = scraping(context).and_then(|manager| manager.job(name));
    job.ok_or_else(|| ApiError {
        kind: ErrorType::NotFound,
        message: format!("scrape pool {name:?} not found"),
    })
}

pub(super) fn pool_config(context: &Context) -> Result<Data, ApiError> {
    let text = job(context)?.text.clone();
    Ok(Data::of(value!({ "yaml": text }).to_string()))
}

#[derive(Deserialize)]
#[serde(transparent)]
struct GivenLabels(BTreeMap<String, String>);

/// What each rule of a job makes of the labels that a request has.
pub(super) fn relabel_steps(context: &Context) -> Result<Data, ApiError> {
    let job = job(context)?;
    let given: GivenLabels = serde_json::from_str(context.parameters.text("labels"))
        .map_err(|error| ApiError::bad(format!("error parsing labels: {error}")))?;
    let pairs = given.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = Labels::from_pairs(pairs);
    let steps = scrape::relabel_steps(&job, &labels).into_iter().map(|step| {
        let rule = step.rule;
        let output: BTreeMap<&str, &str> = step.labels.iter().filter(|_| step.is_kept).collect();
        value!({
            "rule": {
                "action": rule.action.name(),
                "source_labels": rule.source_labels,
                "separator": rule.separator,
                "regex": rule.regex,
                "target_label": rule.target_label,
                "replacement": rule.replacement,
                "modulus": rule.modulus,
            },
            "output": output,
            "keep": step.is_kept,
        })
    });
    Ok(Data::of(value!({ "steps": steps.collect::<Vec<_>>() }).to_string()))
}
