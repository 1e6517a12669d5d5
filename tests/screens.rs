//! What screens ask of the real server: transactions by end and duration, a trace by its services and with
//! its lines, in memory, in parts and in merged parts, and the spans that are in flight.
//!
//! Not here: each parameter and count, which the tests of `protocols` check.

use crate::support::{Folder, Server, ask, encoded, wait_for};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const JSON: (&str, &str) = ("content-type", "application/json");

const MS: u64 = 1_000_000;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn export(server: &Server, signal: &str, body: &Value) {
    let body = body.to_string();
    let reply = server.connect().send("POST", &format!("/v1/{signal}"), &[JSON], body.as_bytes());
    assert_eq!((reply.status, reply.text()), (200, "{}"));
}

fn send_spans(server: &Server, service: &str, spans: &[Value]) {
    let resource = json!({"attributes": [attribute("service.name", service)]});
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
    export(server, "traces", &body);
}

struct Ids {
    trace: u64,
    id: u64,
    parent: u64,
}

/// A span of so many milliseconds; kind 2 is a server's, 3 a client's.
fn span(
    ids: Ids,
    name: &str,
    kind: u8,
    (start_ms, length_ms): (u64, u64),
    more: &[Value],
) -> Value {
    let Ids { trace, id, parent } = ids;
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "parentSpanId": parent,
        "name": name, "kind": kind, "attributes": more,
        "startTimeUnixNano": (start_ms * MS).to_string(),
        "endTimeUnixNano": ((start_ms + length_ms) * MS).to_string(),
    })
}

/// A trace of two services with a statement, and a line of it; ten others.
fn fill(server: &Server, start_ms: u64) {
    let statement = [attribute("db.system", "postgresql"), attribute("db.statement", "SELECT 1")];
    let ids = |trace, id, parent| Ids { trace, id, parent };
    let shop = [
        span(ids(1, 1, 0), "GET /cart", 2, (start_ms, 900), &[]),
        span(ids(1, 2, 1), "ask", 3, (start_ms + 10, 500), &[]),
    ];
    send_spans(server, "shop", &shop);
    let stock = [
        span(ids(1, 3, 2), "count", 2, (start_ms + 20, 400), &[]),
        span(ids(1, 4, 3), "SELECT", 3, (start_ms + 30, 300), &statement),
    ];
    send_spans(server, "stock", &stock);
    let others: Vec<Value> = (2..12)
        .map(|trace| span(ids(trace, 1, 0), "GET /", 2, (start_ms, trace * 1_000), &[]))
        .collect();
    send_spans(server, "shop", &others);
    let record = json!({"timeUnixNano": ((start_ms + 5) * MS).to_string(), "body": {"stringValue": "in the cart"},
        "traceId": format!("{:032x}", 1), "spanId": format!("{:016x}", 1)});
    export(server, "logs", &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}));
}

fn sum(of: &Value) -> u64 {
    of.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).sum()
}

/// Each of the answers, without how long it took and what was looked at.
fn answers(server: &Server, start_ms: u64) -> Vec<Value> {
    let (from, to) = (start_ms - 5_000, start_ms + 60_000);
    let query = encoded("{ resource.service.name = \"shop\" && name = \"GET /\" }");
    let paths = [
        format!("/api/ui/v1/hitmap?from={from}&to={to}"),
        format!("/api/ui/v1/hitmap?from={from}&to={to}&q={query}"),
        format!("/api/ui/v1/tx?from={from}&to={to}&min=5s"),
        "/api/ui/v1/trace/1/map".to_owned(),
        "/api/ui/v1/trace/1/logs".to_owned(),
    ];
    let answer = |path: &String| {
        let mut answer = ask(server.address, path);
        let stats = answer.as_object_mut().unwrap().remove("stats").unwrap();
        assert_eq!(stats["partial"], false, "{path}: {stats}");
        assert!(stats["scanned"].as_u64() > Some(0), "{path}: {stats}");
        answer
    };
    paths.iter().map(answer).collect()
}

#[test]
fn screens_are_answered_the_same_from_memory_and_parts() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let start_ms = now_ms() - 120_000;
    fill(&server, start_ms);
    let in_memory = answers(&server, start_ms);
    let [all, some, long, map, lines] = &in_memory[..] else { panic!("as many") };
    assert_eq!((sum(&all["hits"]), sum(&some["hits"])), (12, 10));
    assert_eq!(long["count"], 7);
    assert_eq!(map["nodes"]["service"], json!(["shop", "stock", "postgresql"]));
    assert_eq!(lines["lines"][0]["line"], "in the cart");
    assert_eq!(lines["lines"][0]["span_id"], format!("{:016x}", 1));
    for path in ["/-/flush", "/-/merge"] {
        assert_eq!(server.post(path, b"").status, 200);
        assert_eq!(answers(&server, start_ms), in_memory, "after {path}");
    }
    let packed = server.connect().send(
        "GET",
        &format!("/api/ui/v1/hitmap?from={}", start_ms - 5_000),
        &[("accept-encoding", "gzip")],
        b"",
    );
    assert_eq!(packed.status, 200);
}

#[test]
fn a_statement_is_seen_while_it_runs() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let start_ms = now_ms() - 9_000;
    let told = [
        attribute("logfire.span_type", "pending_span"),
        attribute("logfire.pending_parent_id", "0000000000000001"),
        attribute("db.statement", "SELECT pg_sleep($1)"),
    ];
    let ids = |id, parent| Ids { trace: 7, id, parent };
    send_spans(&server, "shop", &[span(ids(99, 2), "SELECT (pending)", 3, (start_ms, 0), &told)]);
    let active = ask(server.address, "/api/ui/v1/active");
    assert_eq!((&active["count"], &active["very_slow"]), (&json!(1), &json!(1)));
    assert_eq!(active["detail"][0], "SELECT pg_sleep($1)");
    assert_eq!(active["span_id"][0], format!("{:016x}", 2));
    assert!(active["elapsed_ms"][0].as_f64() >= Some(9_000.0));
    assert_eq!(server.metric("mirador_traces_active"), 1.0);
    let trace = || ask(server.address, &format!("/tempo/api/v2/traces/{:032x}", 7));
    assert_eq!(trace()["trace"], json!({}), "what is pending is not stored");
    // A client that follows sees it, and that it ends.
    let mut following = server.connect();
    let request = "GET /api/ui/v1/active?inferred=0 HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    following.write(request.as_bytes()).unwrap();
    assert!(next_event(&mut following).contains("pg_sleep"));
    send_spans(&server, "shop", &[span(ids(2, 1), "SELECT", 3, (start_ms, 9_500), &told[2..])]);
    assert_eq!(ask(server.address, "/api/ui/v1/active?inferred=0")["count"], 0);
    wait_for("the end of the statement", || {
        (!next_event(&mut following).contains("pg_sleep")).then_some(())
    });
    assert_eq!(server.metric("mirador_traces_active"), 0.0);
    let spans = &trace()["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!((&spans[0]["name"], spans.as_array().unwrap().len()), (&json!("SELECT"), 1));
    // A server that stops does not wait for those who follow.
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
}

/// The data of the next event.
fn next_event(connection: &mut crate::client::Connection) -> String {
    loop {
        let line = connection.line().unwrap();
        if let Some(data) = line.strip_prefix("data: ") {
            return data.to_owned();
        }
    }
}
