//! What agents ask and set up before they send: the version, a licence, health, templates.
//!
//! Nothing that they set up is kept: documents need no index, no template and no policy here. So what
//! they ask for is always missing, and what they then send is always acknowledged.

use super::{Elasticsearch, answer};
use crate::{Call, reply};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

/// The names of the cluster and of its one node.
const NAME: &str = "mirador";
const UUID: &str = "bWlyYWRvci1jbHVzdGVy";

/// The versions that clients of a generation are told.
const GENERATIONS: [(&str, &str); 3] = [("7", "7.17.29"), ("8", "8.19.4"), ("9", "9.2.0")];
const DEFAULT_VERSION: &str = "8.19.4";

pub(super) async fn root(state: Arc<Elasticsearch>, call: Call) -> Response {
    let version = version(&state, &call);
    let generation = version.split('.').next().unwrap_or("8");
    let (lucene, wire_version) = match generation {
        "7" => ("8.11.3", "6.8.0"),
        "9" => ("10.3.1", "8.19.0"),
        _ => ("9.12.2", "7.17.0"),
    };
    answer::json(
        StatusCode::OK,
        &json!({
            "name": NAME,
            "cluster_name": NAME,
            "cluster_uuid": UUID,
            "version": {
                "number": version,
                "build_flavor": "default",
                "build_type": "docker",
                "build_hash": "unknown",
                "build_date": "1970-01-01T00:00:00.000000000Z",
                "build_snapshot": false,
                "lucene_version": lucene,
                "minimum_wire_compatibility_version": wire_version,
                "minimum_index_compatibility_version": wire_version,
            },
            "tagline": "You Know, for Search",
        }),
    )
}

/// That of the settings, else that of the Beat that asks, else one of the client's generation.
fn version(state: &Elasticsearch, call: &Call) -> String {
    if !state.settings.version.is_empty() {
        return state.settings.version.clone();
    }
    let agent = call.header("user-agent");
    if let Some(version) = agent.strip_prefix("Elastic-").and_then(version_in) {
        return version;
    }
    let accept = call.header("accept");
    let asked = accept.split_once("compatible-with=").and_then(|(_, rest)| rest.get(..1));
    let of_client = || {
        let meta = call.header("x-elastic-client-meta");
        meta.strip_prefix("es=").and_then(|rest| rest.get(..1))
    };
    let asked = asked.or_else(of_client).unwrap_or("");
    let known = GENERATIONS.iter().find(|(generation, _)| *generation == asked);
    known.map_or(DEFAULT_VERSION, |(_, version)| version).to_owned()
}

/// The version of `Filebeat/8.15.0 (linux; amd64)`.
fn version_in(agent: &str) -> Option<String> {
    let (_, rest) = agent.split_once('/')?;
    let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let parts: Vec<&str> = version.split('.').collect();
    let is_version = parts.len() == 3 && parts.iter().all(|part| (1..=4).contains(&part.len()));
    is_version.then_some(version)
}

pub(super) async fn license(_: Arc<Elasticsearch>, _: Call) -> Response {
    answer::json(StatusCode::OK, &json!({ "license": license_value() }))
}

fn license_value() -> serde_json::Value {
    json!({
        "status": "active",
        "uid": "00000000-0000-0000-0000-000000000000",
        "type": "basic",
        "mode": "basic",
        "issue_date": "1970-01-01T00:00:00.000Z",
        "issue_date_in_millis": 0,
        "issued_to": NAME,
        "issuer": NAME,
        "start_date_in_millis": -1,
    })
}

pub(super) async fn xpack(_: Arc<Elasticsearch>, _: Call) -> Response {
    let feature = |available: bool| json!({ "available": available, "enabled": available });
    let body = json!({
        "build": { "hash": "unknown", "date": "1970-01-01T00:00:00.000000Z" },
        "license": license_value(),
        "features": {
            "data_streams": feature(true), "ilm": feature(true), "logstash": feature(false),
            "monitoring": feature(false), "security": feature(false),
        },
        "tagline": "You know, for X",
    });
    answer::json(StatusCode::OK, &body)
}

/// The status: green once lines can be stored.
fn status(state: &Elasticsearch) -> &'static str {
    if state.services.logs().is_ok() { "green" } else { "red" }
}

pub(super) async fn health(state: Arc<Elasticsearch>, _: Call) -> Response {
    answer::json(
        StatusCode::OK,
        &json!({
            "cluster_name": NAME, "status": status(&state), "timed_out": false,
            "number_of_nodes": 1, "number_of_data_nodes": 1,
            "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0,
            "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
        }),
    )
}

pub(super) async fn cat_health(state: Arc<Elasticsearch>, _: Call) -> Response {
    let seconds = state.services.clock.wall_ms() / 1_000;
    let line = format!("{seconds} 00:00:00 {NAME} {} 1 1 1 1 0 0 0 0 - 100.0%\n", status(&state));
    answer::marked(reply::text(StatusCode::OK, line))
}

pub(super) async fn cluster_settings(_: Arc<Elasticsearch>, _: Call) -> Response {
    let none = json!({});
    answer::json(StatusCode::OK, &json!({ "persistent": none, "transient": none }))
}

/// Clients that look for the nodes of a cluster go on with the address that they asked at.
pub(super) async fn nodes(state: Arc<Elasticsearch>, call: Call) -> Response {
    let address = call.header("host");
    answer::json(
        StatusCode::OK,
        &json!({
            "_nodes": { "total": 1, "successful": 1, "failed": 0 },
            "cluster_name": NAME,
            "nodes": { UUID: {
                "name": NAME,
                "version": version(&state, &call),
                "roles": ["data", "ingest", "master"],
                "http": { "bound_address": [address], "publish_address": address },
            } },
        }),
    )
}

pub(super) async fn acknowledge(_: Arc<Elasticsearch>, call: Call) -> Response {
    let name = call.path.rsplit('/').next().unwrap_or("");
    let body = json!({ "acknowledged": true, "shards_acknowledged": true, "index": name });
    answer::json(StatusCode::OK, &body)
}

pub(super) async fn missing(_: Arc<Elasticsearch>, call: Call) -> Response {
    let name: String = call.path.rsplit('/').next().unwrap_or("").chars().take(100).collect();
    let reason = format!("[{name}] is not set up here, and needs no setting up");
    answer::error(StatusCode::NOT_FOUND, "resource_not_found_exception", &reason)
}
