//! "Why?" for three faults, asked of the real server: a slow statement, computing, errors after a rollout.
//! The cause comes first.

use crate::support::{Folder, Server, encoded};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

const JSON: (&str, &str) = ("content-type", "application/json");
const MS: u64 = 1_000_000;
const MINUTE: u64 = 60_000;

/// The selection is the last five of twenty-five minutes.
struct Times {
    start_ms: u64,
    fault_ms: u64,
    end_ms: u64,
}

fn times() -> Times {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let end_ms = now - 2 * MINUTE;
    Times { start_ms: end_ms - 25 * MINUTE, fault_ms: end_ms - 5 * MINUTE, end_ms }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

struct Span<'a> {
    ids: [u64; 3],
    name: &'a str,
    length_ms: u64,
    is_error: bool,
    attributes: Vec<Value>,
}

fn send(server: &Server, (service, version): (&str, &str), start_ms: u64, spans: &[Span<'_>]) {
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let [trace, id, parent] = span.ids;
            let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
            json!({
                "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"),
                "parentSpanId": parent, "name": span.name, "kind": 2, "attributes": span.attributes,
                "status": {"code": if span.is_error { 2 } else { 0 }},
                "startTimeUnixNano": (start_ms * MS).to_string(),
                "endTimeUnixNano": ((start_ms + span.length_ms) * MS).to_string(),
            })
        })
        .collect();
    let resource = [attribute("service.name", service), attribute("service.version", version)];
    let resource = json!({"attributes": resource});
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
    let body = body.to_string();
    let reply = server.connect().send("POST", "/v1/traces", &[JSON], body.as_bytes());
    assert_eq!((reply.status, reply.text()), (200, "{}"));
}

/// The lines of the answer; the last one ranks what all sources found.
fn ask(server: &Server, times: &Times, more: &str) -> Vec<Value> {
    let (from, to) = (times.fault_ms, times.end_ms);
    let reply = server.get(&format!("/api/ui/v1/explain?from={from}&to={to}{more}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let lines: Vec<Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sources: Vec<&str> = lines.iter().map(|line| line["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["changes", "spans", "patterns", "metrics", "all"]);
    assert!(lines.iter().all(|line| line["error"].is_null()), "{lines:#?}");
    lines
}

fn first(lines: &[Value]) -> [String; 3] {
    let first = &lines[4]["findings"][0];
    ["kind", "name", "value"].map(|key| first[key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_slow_statement_is_named() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let times = times();
    for number in 1..100 {
        let start_ms = times.start_ms + number * 14_000;
        let is_slow = start_ms > times.fault_ms && number % 2 == 0;
        let length_ms = if is_slow { 4_000 } else { 40 };
        let statement = if is_slow { "SELECT pg_sleep($1)" } else { "SELECT * FROM items" };
        let path = if is_slow { "POST /slow" } else { "GET /items" };
        let span = |id: u64, name, attributes| Span {
            ids: [number, id, id - 1],
            name,
            length_ms,
            is_error: false,
            attributes,
        };
        let route = || vec![attribute("http.route", path)];
        send(&server, ("caller", "1"), start_ms, &[span(1, path, route())]);
        let statement = vec![attribute("db.query.text", statement)];
        let called = [span(2, path, route()), span(3, "query", statement)];
        send(&server, ("callee-with-db", "1"), start_ms, &called);
    }
    let log = |at: u64, text: &str| {
        let body = json!({"streams": [{"stream": {"service_name": "callee-with-db"},
            "values": [[(at * MS).to_string(), text]]}]});
        let body = body.to_string();
        let reply = server.connect().send("POST", "/loki/api/v1/push", &[JSON], body.as_bytes());
        assert_eq!(reply.status, 204, "{}", reply.text());
    };
    for number in 0..40 {
        log(times.start_ms + number * 30_000, &format!("GET /items took {number} ms"));
        log(times.fault_ms + number * 5_000, &format!("connection {number} is not available"));
    }
    let lines = ask(&server, &times, &format!("&q={}", encoded("{ duration > 3s }")));
    let statement = ["attribute", "span.db.query.text", "SELECT pg_sleep($1)"];
    assert_eq!(first(&lines), statement, "{lines:#?}");
    let pattern = &lines[2]["findings"][0];
    assert_eq!(pattern["value"], "connection <_> is not available", "{lines:#?}");
    assert_eq!((&pattern["selection"], &pattern["baseline"]), (&json!(40), &json!(0)));
    // The evidence can be asked for as it is written.
    let query = encoded(pattern["query"].as_str().unwrap());
    let (start, end) = (times.fault_ms * MS, times.end_ms * MS);
    let path = format!("/loki/api/v1/query_range?query={query}&start={start}&end={end}&limit=50");
    let found = server.get(&path);
    let found: Value = serde_json::from_str(found.text()).unwrap();
    assert_eq!(found["data"]["result"][0]["values"].as_array().map(Vec::len), Some(40), "{found}");
}

#[test]
fn computing_is_seen_in_the_metrics_of_the_service() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let times = times();
    let (mut page, mut computed) = (String::new(), 0.0);
    let mut at_ms = times.start_ms;
    while at_ms < times.end_ms {
        let is_fault = at_ms >= times.fault_ms;
        computed += if is_fault { 14.0 } else { 1.0 };
        let _ = writeln!(page, "process_cpu_seconds_total{{job=\"callee\"}} {computed} {at_ms}");
        // Others go on as before, or belong to another service.
        for number in 0..20 {
            let value = (at_ms / 15_000 * 7 + number) % 11;
            let _ = writeln!(page, "pool_size_{number}{{job=\"callee\"}} {value} {at_ms}");
        }
        let other = u8::from(is_fault);
        let _ = writeln!(page, "queue_length{{job=\"other\"}} {other} {at_ms}");
        at_ms += 15_000;
    }
    assert_eq!(server.post("/api/v1/import/prometheus", page.as_bytes()).status, 204);
    let lines = ask(&server, &times, "&service=callee");
    let [kind, name, _] = first(&lines);
    assert_eq!((&*kind, &*name), ("metric", "process_cpu_seconds_total"), "{lines:#?}");
    assert_eq!(lines[4]["findings"].as_array().map(Vec::len), Some(1), "{lines:#?}");
    assert_eq!(lines[3]["ruled_out"].as_array().map(Vec::len), Some(20), "{lines:#?}");
}

#[test]
fn a_rollout_is_named_where_errors_follow_it() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let times = times();
    for number in 1..200 {
        let start_ms = times.start_ms + number * 7_000;
        let version = if start_ms > times.fault_ms - MINUTE { "1.1.0" } else { "1.0.9" };
        let is_error = start_ms > times.fault_ms && number % 3 == 0;
        let ids = [number, 1, 0];
        let attributes = vec![attribute("client.address", &format!("10.0.0.{}", number % 7))];
        let span = Span { ids, name: "GET /", length_ms: 20, is_error, attributes };
        send(&server, ("shop", version), start_ms, &[span]);
    }
    let lines = ask(&server, &times, &format!("&q={}", encoded("{ status = error }")));
    let version = ["attribute", "resource.service.version", "1.1.0"];
    assert_eq!(first(&lines), version, "{lines:#?}");
    let second = &lines[4]["findings"][1];
    assert_eq!(second["value"], "version 1.0.9 -> 1.1.0", "{lines:#?}");
    assert_eq!(lines[4]["findings"].as_array().map(Vec::len), Some(2), "{lines:#?}");
}

#[test]
fn what_can_not_be_asked_is_refused_in_words() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for (query, text) in [
        ("from=2000&to=1000", "there is no time between `from` and `to`"),
        ("from=1000&to=2000&baseline_from=1500&baseline_to=1600", "the baseline must end before"),
        ("from=1000&to=2000&baseline_from=1500", "belong together"),
        ("from=1000&to=2000&q=%7B", "line"),
    ] {
        let reply = server.get(&format!("/api/ui/v1/explain?{query}"));
        assert_eq!(reply.status, 400, "{query}: {}", reply.text());
        assert!(reply.text().contains(text), "{query}: {}", reply.text());
    }
}
