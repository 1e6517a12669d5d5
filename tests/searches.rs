//! Searches of Elasticsearch's API, as Grafana's data source sends them, of the real server: over lines of
//! several protocols, after a kill, for each tenant its own.
//!
//! Not here: what every query and aggregation answers, which the cases of `protocols` list; the official
//! client (`log_clients`).

use crate::support::{Folder, Server};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn send(server: &Server, path: &str, more: &[(&str, &str)], body: &str) -> (u16, Value) {
    let headers: Vec<(&str, &str)> = [JSON].into_iter().chain(more.iter().copied()).collect();
    let reply = server.connect().send("POST", path, &headers, body.as_bytes());
    (reply.status, serde_json::from_str(reply.text()).unwrap_or_default())
}

/// One document and one line of Loki's push.
fn fill(server: &Server, time_ms: u64) {
    let document = json!({
        "@timestamp": time_ms, "message": "order 결제가 failed", "service": { "name": "shop" }, "status": 502,
    });
    let bulk = format!("{{\"create\":{{\"_index\":\"logs-shop\"}}}}\n{document}\n");
    let (status, answer) = send(server, "/elasticsearch/_bulk", &[], &bulk);
    assert_eq!((status, &answer["errors"]), (200, &json!(false)));
    let line = r#"{"status":504,"user":{"name":"kim"},"note":"결제 failed"}"#;
    let push = json!({ "streams": [{ "stream": { "app": "gate" }, "values": [[
        format!("{}000000", time_ms + 1), line
    ]] }] });
    assert_eq!(send(server, "/loki/api/v1/push", &[], &push.to_string()).0, 204);
}

/// What Explore sends.
fn explore(index: &str, query: &str) -> String {
    let header =
        json!({ "ignore_unavailable": true, "index": index, "search_type": "query_then_fetch" });
    let body = json!({
        "query": { "bool": { "filter": [
            { "range": { "@timestamp": {
                "format": "epoch_millis", "gte": now_ms() - 3_600_000, "lte": now_ms() + 1_000,
            } } },
            { "query_string": { "analyze_wildcard": true, "query": query } },
        ] } },
        "size": 500,
        "sort": [
            { "@timestamp": { "order": "desc", "unmapped_type": "boolean" } },
            { "_doc": { "order": "desc" } },
        ],
        "highlight": {
            "fields": { "*": {} }, "fragment_size": 2_147_483_647_u32,
            "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"],
        },
        "aggs": { "1": { "max": { "field": "status" } } },
    });
    format!("{header}\n{body}\n")
}

fn search(server: &Server, tenant: &[(&str, &str)], index: &str, query: &str) -> Value {
    let path = "/elasticsearch/_msearch?max_concurrent_shard_requests=5";
    let (status, answer) = send(server, path, tenant, &explore(index, query));
    assert_eq!((status, &answer["responses"][0]["status"]), (200, &json!(200)), "{answer}");
    answer["responses"][0].clone()
}

fn check(server: &Server) {
    let all = search(server, &[], "*", "결제 AND failed");
    assert_eq!(all["hits"]["total"], json!({ "value": 2, "relation": "eq" }));
    assert_eq!(all["aggregations"]["1"]["value"], 504.0);
    let indices: Vec<&str> = all["hits"]["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["_index"].as_str().unwrap())
        .collect();
    assert_eq!(indices, ["mirador", "logs-shop"]);
    let shop = search(server, &[], "logs-*", "결제");
    let highlight = &shop["hits"]["hits"][0]["highlight"]["message"][0];
    assert_eq!(highlight, "order @HIGHLIGHT@결제@/HIGHLIGHT@가 failed");
    let gate = search(server, &[], "*", "user.name:kim AND status:>502");
    let source = &gate["hits"]["hits"][0]["_source"];
    assert_eq!((&source["user.name"], &source["status"]), (&json!("kim"), &json!(504)));
    assert_eq!(gate["hits"]["total"]["value"], 1);
    let other = search(server, &[("X-Scope-OrgID", "other")], "*", "*");
    assert_eq!(other["hits"]["total"]["value"], 0);
}

#[test]
fn grafana_searches_lines_of_every_protocol() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    fill(&server, now_ms() - 60_000);
    check(&server);
    server.kill();
    let server = Server::start(folder.path());
    check(&server);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    check(&server);
}
