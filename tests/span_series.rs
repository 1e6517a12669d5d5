//! Spans that come in by OTLP, asked for as PromQL series in the way of Grafana's service graph and table
//! of services: the answers are the same from memory, from parts, and after a restart.

use crate::support::{Folder, Server, ask, command, encoded, wait_for};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds.
const AGE: u64 = 120;

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// A span of some milliseconds, and what it says of itself.
fn span(
    trace: u64,
    ids: (u64, u64),
    kind: u64,
    (start_ns, millis): (u64, u64),
    more: &Value,
) -> Value {
    let (id, parent) = ids;
    let mut span = json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "name": format!("work {id}"),
        "kind": kind, "startTimeUnixNano": start_ns.to_string(),
        "endTimeUnixNano": (start_ns + millis * 1_000_000).to_string(),
    });
    if parent > 0 {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    let fields = more.as_object().unwrap();
    fields.iter().for_each(|(name, value)| span[name] = value.clone());
    span
}

/// A shop calls a bank, which asks a database: as many traces as asked for, of which the first fails.
fn body(first: u64, traces: u64, start_ns: u64) -> Value {
    let (mut shop, mut bank) = (Vec::new(), Vec::new());
    for trace in first..first + traces {
        let status = if trace == 1 { json!({ "status": { "code": 2 } }) } else { json!({}) };
        let database = json!({ "attributes": [attribute("db.system", "sql"), attribute("server.address", "db")] });
        shop.push(span(trace, (1, 0), 2, (start_ns, 300), &json!({})));
        shop.push(span(trace, (2, 1), 3, (start_ns, 250), &json!({})));
        bank.push(span(trace, (3, 2), 2, (start_ns, 150), &status));
        bank.push(span(trace, (4, 3), 3, (start_ns, 50), &database));
    }
    let resource = |service: &str, spans: Vec<Value>| {
        json!({
            "resource": { "attributes": [attribute("service.name", service)] },
            "scopeSpans": [{ "spans": spans }],
        })
    };
    json!({ "resourceSpans": [resource("shop", shop), resource("bank", bank)] })
}

fn push(server: &Server, body: &Value) {
    let headers = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/v1/traces", &headers, body.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The series of an instant query and their values, by the labels that are left.
fn values(server: &Server, query: &str) -> Vec<(String, f64)> {
    let answer = ask(server.address, &format!("/api/v1/query?query={}", encoded(query)));
    let one = |series: &Value| {
        let value = series["value"][1].as_str().unwrap().parse().unwrap();
        (series["metric"].to_string(), value)
    };
    let mut found: Vec<(String, f64)> =
        answer["data"]["result"].as_array().unwrap().iter().map(one).collect();
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found
}

fn edges(values: [(&str, &str, &str, f64); 3]) -> Vec<(String, f64)> {
    let edge = |(client, kind, server, value): (&str, &str, &str, f64)| {
        let mut labels = json!({ "client": client, "server": server });
        if !kind.is_empty() {
            labels["connection_type"] = kind.into();
        }
        (labels.to_string(), value)
    };
    values.map(edge).to_vec()
}

fn check(server: &Server, traces: f64) {
    let graph = |what: &str, how: &str| {
        values(
            server,
            &format!(
                "sum by (client, server, connection_type) ({how}(traces_service_graph_request_{what}))"
            ),
        )
    };
    let all = [
        ("bank", "database", "db", traces),
        ("shop", "", "bank", traces),
        ("user", "virtual_node", "shop", traces),
    ];
    assert_eq!(graph("total", ""), edges(all));
    let failed = [
        ("bank", "database", "db", 0.0),
        ("shop", "", "bank", 1.0),
        ("user", "virtual_node", "shop", 0.0),
    ];
    assert_eq!(graph("failed_total", ""), edges(failed));
    let rates =
        values(server, "sum by (client, server) (rate(traces_service_graph_request_total[1h]))");
    assert_eq!(rates.len(), 3);
    assert!(rates.iter().all(|(_, rate)| *rate > 0.0), "{rates:?}");
    let table = r#"sum by (span_name) (traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER",service="bank"})"#;
    assert_eq!(values(server, table), [(json!({ "span_name": "work 3" }).to_string(), traces)]);
    let quantile = r#"histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{service="bank"}[1h])) by (le, span_name))"#;
    let quantiles = values(server, quantile);
    let within = [(0.032, 0.064), (0.128, 0.256)];
    assert_eq!(quantiles.len(), 2);
    for ((name, value), (above, upto)) in quantiles.iter().rev().zip(within) {
        assert!((above..=upto).contains(value), "{name}: {value}");
    }
    let services = ask(server.address, "/api/v1/label/service/values");
    assert_eq!(services["data"], json!(["bank", "shop"]));
}

#[test]
fn spans_are_series_from_memory_from_parts_and_after_a_restart() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Both pushes start on the same day, even where that begins with them.
    let start_ns = (now - std::time::Duration::from_secs(AGE)).as_nanos() as u64;
    push(&server, &body(1, 200, start_ns));
    check(&server, 200.0);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    check(&server, 200.0);
    push(&server, &body(201, 100, start_ns));
    check(&server, 300.0);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    assert_eq!(server.post("/-/merge", b"").status, 200);
    check(&server, 300.0);
    server.signal("-KILL");
    let server = wait_for("the folder", || Server::spawn(command(folder.path(), &[])).ok());
    check(&server, 300.0);
    let exported =
        server.get(&format!("/api/v1/export?match[]={}", encoded(r#"{client="shop",le=""}"#)));
    assert_eq!(exported.text().lines().count(), 6, "{}", exported.text());
    let federated =
        server.get(&format!("/federate?match[]={}", encoded("traces_service_graph_request_total")));
    let line = r#"traces_service_graph_request_total{client="shop",server="bank",instance=""} 300"#;
    assert!(federated.text().contains(line), "{}", federated.text());
}
