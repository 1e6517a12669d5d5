//! `status/…` and what is empty here because rules, alerts and targets have their own crates.

use super::envelope::{ApiError, Context, Data};
use super::json;
use crate::services::NamedCount;
use serde_json::json as value;

/// The Prometheus whose API this is: clients choose what they may ask by it.
const SPOKEN_VERSION: &str = "3.14.0";
const STATISTICS_DEFAULT: usize = 10;
const STATISTICS_MAX: usize = 10_000;

fn data(value: &serde_json::Value) -> Result<Data, ApiError> {
    Ok(Data::of(value.to_string()))
}

pub(super) fn build(context: &Context) -> Result<Data, ApiError> {
    // No "features": Grafana would take us for a Mimir with a ruler API.
    data(&value!({
        "version": SPOKEN_VERSION,
        "revision": format!("mirador-{}", context.services.version),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) fn config(context: &Context) -> Result<Data, ApiError> {
    data(&value!({ "yaml": context.services.config_text }))
}

pub(super) fn flags(_: &Context) -> Result<Data, ApiError> {
    data(&value!({}))
}

pub(super) fn runtime(context: &Context) -> Result<Data, ApiError> {
    let started = chrono::DateTime::from_timestamp_millis(context.services.started_ms);
    let started = started.unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    data(&value!({
        "startTime": started,
        "CWD": "",
        "hostname": "",
        "serverTime": context.services.clock.wall_ms() / 1000,
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": 0,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    }))
}

pub(super) fn wal_replay(_: &Context) -> Result<Data, ApiError> {
    // Requests are only let in when the log has been replayed.
    data(&value!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}

pub(super) fn statistics(context: &Context) -> Result<Data, ApiError> {
    let limit = context.parameters.count("limit")?.unwrap_or(STATISTICS_DEFAULT);
    if limit > STATISTICS_MAX {
        return Err(ApiError::bad(format!("limit must not exceed {STATISTICS_MAX}")));
    }
    let found = context.reader()?.statistics(limit)?;
    let mut out = value!({
        "numSeries": found.series,
        "numLabelPairs": found.label_pairs,
        "chunkCount": found.chunks,
        "minTime": found.min_time_ms,
        "maxTime": found.max_time_ms,
    })
    .to_string()
    .into_bytes();
    out.splice(0..0, *b"{\"headStats\":");
    for (name, counts) in [
        ("seriesCountByMetricName", &found.series_by_metric),
        ("labelValueCountByLabelName", &found.values_by_label),
        ("memoryInBytesByLabelName", &found.bytes_by_label),
        ("seriesCountByLabelValuePair", &found.series_by_pair),
    ] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json::list(&mut out, counts, write_count);
    }
    out.push(b'}');
    Ok(Data::of(out))
}

fn write_count(out: &mut Vec<u8>, one: &NamedCount) {
    out.extend_from_slice(b"{\"name\":");
    json::text(out, &one.name);
    out.extend_from_slice(format!(",\"value\":{}}}", one.count).as_bytes());
}

pub(super) fn rules(_: &Context) -> Result<Data, ApiError> {
    data(&value!({ "groups": [] }))
}

pub(super) fn alerts(_: &Context) -> Result<Data, ApiError> {
    data(&value!({ "alerts": [] }))
}

pub(super) fn targets(_: &Context) -> Result<Data, ApiError> {
    data(&value!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }))
}

pub(super) fn target_metadata(_: &Context) -> Result<Data, ApiError> {
    data(&value!([]))
}

pub(super) fn scrape_pools(_: &Context) -> Result<Data, ApiError> {
    data(&value!({ "scrapePools": [] }))
}

pub(super) fn alertmanagers(_: &Context) -> Result<Data, ApiError> {
    data(&value!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}
