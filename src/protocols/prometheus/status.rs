//! `status/…`, and answers that are always empty because there are no rules and alerts yet.

use super::envelope::{ApiError, Context, Data};
use super::selectors::selectors;
use crate::api::json;
use metric_store::{Cardinality, NameCount, Select};
use model::{Labels, Matcher, TimeUnit, format_duration};
use serde_json::json as value;
use std::collections::BTreeMap;

/// The version of Prometheus whose API this is, from which clients conclude what they can use.
const SPOKEN_VERSION: &str = "3.14.0";
const STATISTICS_DEFAULT: usize = 10;
const STATISTICS_MAX: usize = 10_000;

fn data(value: &serde_json::Value) -> Result<Data, ApiError> {
    Ok(Data::of(value.to_string()))
}

pub(super) fn build(context: &Context) -> Result<Data, ApiError> {
    // Without "features", which would make Grafana take this server for a Mimir with rules.
    data(&value!({
        "version": SPOKEN_VERSION,
        "revision": format!("mirador-{}", context.services().version),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) fn config(context: &Context) -> Result<Data, ApiError> {
    data(&value!({ "yaml": context.services().config_text }))
}

/// Every setting under its own name, and those that tools look for under Prometheus' names.
pub(super) fn flags(context: &Context) -> Result<Data, ApiError> {
    let services = context.services();
    let mut flags: BTreeMap<String, String> = services.settings.iter().cloned().collect();
    let retention = services.metric_retention.of(&context.call.tenant).age_ms;
    let retention = retention.map_or_else(|| "0s".to_owned(), format_duration);
    for (name, text) in [
        ("query.lookback-delta", format_duration(services.metric_options.engine.lookback_ms)),
        ("query.max-samples", services.metric_options.engine.samples_max.to_string()),
        ("query.timeout", format_duration(services.metric_options.engine.timeout_ms)),
        ("storage.tsdb.retention.time", retention),
        ("web.cors.origin", context.api.settings.cors_origins.join(",")),
        ("web.enable-admin-api", context.api.settings.admin_api.to_string()),
        ("web.enable-otlp-receiver", "true".to_owned()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ] {
        flags.insert(name.to_owned(), text);
    }
    data(&value!(flags))
}

/// The features of the API, by category and name.
pub(super) fn features(context: &Context) -> Result<Data, ApiError> {
    let services = context.services();
    let is_on = |setting: &str| services.setting(setting) == Some("true");
    let experimental = services.metric_options.engine.parse.experimental_functions;
    let functions = promql::functions::all().iter();
    let functions: BTreeMap<&str, bool> =
        functions.map(|function| (function.name, experimental || !function.experimental)).collect();
    data(&value!({
        "api": {
            "admin": context.api.settings.admin_api,
            "exemplars": true,
            "label_values_match": true,
            "lookback_delta": true,
            "query_stats": true,
            "query_warnings": true,
            "remote_read": true,
            "remote_write_receiver": true,
            "otlp_write_receiver": true,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "otlp_receiver": {
            "delta_conversion": true,
            "promote_scope_metadata": is_on("otlp.promote_scope_metadata"),
            "convert_histograms_to_nhcb": is_on("otlp.convert_histograms_to_nhcb"),
        },
        "promql": {
            "at_modifier": true,
            "delayed_name_removal": services.metric_options.engine.delayed_name_removal,
            "duration_expr": true,
            "experimental_functions": experimental,
            "native_histograms": true,
            "negative_offset": true,
            "subqueries": true,
            "utf8_names": true,
        },
        "promql_functions": functions,
        "tsdb": {
            "delete": true,
            "exemplar_storage": true,
            "native_histograms": true,
            "out_of_order": true,
            "snapshot": true,
            "start_timestamps": true,
        },
    }))
}

/// Without the figures of Go's runtime, which is not there: invented figures would mislead.
pub(super) fn runtime(context: &Context) -> Result<Data, ApiError> {
    let services = context.services();
    let started = chrono::DateTime::from_timestamp_millis(services.started_ms);
    let started = started.unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let now = chrono::DateTime::from_timestamp_millis(services.clock.wall_ms());
    let now = now.unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let retention = services.metric_retention.of(&context.call.tenant).age_ms;
    let retention = retention.map_or_else(String::new, format_duration);
    data(&value!({
        "startTime": started,
        "CWD": services.machine.working_dir,
        "hostname": services.machine.host_name,
        "serverTime": now,
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": context.metrics()?.store.engine().stats().quarantined,
        "GOMAXPROCS": services.machine.threads,
        "storageRetention": retention,
    }))
}

/// The parts on disk, in the shape of Prometheus' blocks, whose end is the first time after them.
pub(super) fn blocks(context: &Context) -> Result<Data, ApiError> {
    let mut parts = context.metrics()?.store.parts(&context.call.tenant);
    parts.sort_by_key(|part| (part.time.min, part.id));
    let blocks = parts.iter().map(|part| {
        let id = part.id.to_string();
        value!({
            "ulid": id,
            "minTime": part.time.min,
            "maxTime": part.time.max.saturating_add(1),
            "stats": {
                "numSamples": part.rows,
                "numSeries": part.series,
                "numBytes": part.bytes,
            },
            "compaction": { "level": u32::from(part.level) + 1, "sources": [id] },
            "version": 1,
        })
    });
    data(&value!({ "blocks": blocks.collect::<Vec<_>>() }))
}

/// VictoriaMetrics' `series/count`.
pub(super) fn series_count(context: &Context) -> Result<Data, ApiError> {
    data(&value!([cardinality(context, 1)?.series]))
}

pub(super) fn notifications(_: &Context) -> Result<Data, ApiError> {
    data(&value!([]))
}

pub(super) fn wal_replay(_: &Context) -> Result<Data, ApiError> {
    // Requests are only admitted when the write-ahead log has been replayed.
    data(&value!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}

pub(super) fn statistics(context: &Context) -> Result<Data, ApiError> {
    let limit = match context.parameters.count("topN")? {
        None if context.parameters.text("limit") == "0" => {
            return Err(ApiError::bad("limit must be a positive number"));
        }
        None => context.parameters.count("limit")?.unwrap_or(STATISTICS_DEFAULT),
        Some(limit) => limit,
    };
    if limit > STATISTICS_MAX {
        return Err(ApiError::bad(format!("limit must not exceed {STATISTICS_MAX}")));
    }
    let found = cardinality(context, limit)?;
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    let time = store.time_range(tenant);
    // The samples of a series in a part stand together, as those of a chunk do.
    let chunks: u64 = store.parts(tenant).iter().map(|part| part.series).sum();
    let mut out = value!({
        "numSeries": found.series,
        "numLabelPairs": found.label_pairs,
        "chunkCount": chunks,
        "minTime": time.map_or(0, |time| time.min),
        "maxTime": time.map_or(0, |time| time.max),
    })
    .to_string()
    .into_bytes();
    out.splice(0..0, *b"{\"headStats\":");
    for (name, counts) in [
        ("seriesCountByMetricName", &found.metrics),
        ("labelValueCountByLabelName", &found.labels),
        ("memoryInBytesByLabelName", &found.label_bytes),
        ("seriesCountByLabelValuePair", &found.pairs),
    ] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json::list(&mut out, counts, write_count);
    }
    // VictoriaMetrics' names for the first two.
    let (series, pairs) = (found.series, found.label_pairs);
    let totals = format!(",\"totalSeries\":{series},\"totalLabelValuePairs\":{pairs}}}");
    out.extend_from_slice(totals.as_bytes());
    Ok(Data::of(out))
}

/// Who causes how many series, with at most `limit` lines in each table.
fn cardinality(context: &Context, limit: usize) -> Result<Cardinality, ApiError> {
    let (time, matchers) = (TimeUnit::Millis.everything(), &only_selector(context)?);
    let wanted = Select { time, matchers, values_needed: false };
    let memory = context.listing_memory();
    let store = &context.metrics()?.store;
    let selection = store.select(&context.call.tenant, &wanted, &mut &memory)?;
    Ok(selection.cardinality(limit, &mut memory.portions())?)
}

/// The one selector of a request for statistics, which VictoriaMetrics lets narrow them. The counts of
/// several selectors could not be added, because a series may match more than one.
fn only_selector(context: &Context) -> Result<Vec<Matcher>, ApiError> {
    let mut selectors = selectors(&context.parameters)?;
    match selectors.len() {
        0 | 1 => Ok(selectors.pop().unwrap_or_default()),
        _ => {
            let message = "statistics are of one selector: ask with one match[] and one \
                           extra_filters[]";
            Err(ApiError::parameter("match[]", message))
        }
    }
}

fn write_count(out: &mut Vec<u8>, one: &NameCount) {
    out.extend_from_slice(b"{\"name\":");
    json::text(out, &one.name);
    out.extend_from_slice(format!(",\"value\":{}}}", one.count).as_bytes());
}

/// Alertmanagers elsewhere; that of this server is not among them.
pub(super) fn alertmanagers(context: &Context) -> Result<Data, ApiError> {
    let (urls, dropped) = context.services().alertmanagers();
    let active: Vec<_> = urls.iter().map(|url| value!({ "url": url })).collect();
    let address = |labels: &Labels| {
        let [scheme, address, path] =
            ["__scheme__", "__address__", "__alerts_path__"].map(|name| labels.value(name));
        value!({ "url": format!("{scheme}://{address}{path}") })
    };
    let dropped: Vec<_> = dropped.iter().map(address).collect();
    data(&value!({ "activeAlertmanagers": active, "droppedAlertmanagers": dropped }))
}
