//! Spans in flight.

use super::{CLIENT, JSON, Sent, number, send, sent, text};
use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

const ACTIVE: &str = "/api/ui/v1/active";

/// A span that tells, as Logfire's do, that another one is in flight: `id`, below `parent`.
fn pending(trace: u64, id: u64, parent: u64, start_ms: u64) -> Sent {
    let parent = Box::leak(format!("{parent:016x}").into_boxed_str());
    Sent {
        parent: id,
        kind: CLIENT,
        name: "SELECT pg_sleep (pending)",
        attributes: vec![
            ("logfire.span_type", text("pending_span")),
            ("logfire.pending_parent_id", text(parent)),
            ("db.statement", text("SELECT pg_sleep($1)")),
        ],
        ..sent(trace, id + 1_000, start_ms, 0)
    }
}

#[test]
fn a_pending_span_is_in_flight_until_it_ends() {
    let server = TestServer::new(|_| {});
    send(&server, &[pending(7, 2, 0, 600_000 - 3_000), pending(7, 3, 2, 600_000 - 2_999)]);
    send(&server, &[pending(8, 4, 9, 600_000 - 8_000)]);
    assert_eq!(server.spans(), Vec::<String>::new(), "what is pending is not stored");
    let active = server.get_json(ACTIVE);
    assert_eq!(active["count"], 3);
    let id = |id: u64| format!("{id:016x}");
    assert_eq!(active["span_id"], json!([id(4), id(2), id(3)]), "the longest first");
    assert_eq!(active["parent_id"], json!([id(9), null, id(2)]));
    assert_eq!(active["top"], json!([true, true, false]));
    assert_eq!(active["elapsed_ms"], json!([8_000, 3_000, 2_999]));
    assert_eq!(active["detail"][0], "SELECT pg_sleep($1)");
    assert_eq!(
        (&active["name"][0], &active["service"][0]),
        (&json!("SELECT pg_sleep"), &json!("shop"))
    );
    assert_eq!(active["told_by"], json!(["pending", "pending", "pending"]));
    let counts =
        ["total", "normal", "slow", "very_slow"].map(|name| active[name].as_u64().unwrap());
    assert_eq!(counts, [2, 0, 1, 1], "a span below another is not counted");
    assert_eq!(server.get_json("/api/ui/v1/active?service=stock")["count"], 0);
    // The final span is stored, and no longer in flight.
    send(&server, &[Sent { kind: CLIENT, ..sent(7, 2, 597_000, 3_000) }]);
    assert_eq!(server.get_json(ACTIVE)["count"], 2);
    assert_eq!(server.spans().len(), 1);
    server.advance(Duration::from_secs(360));
    assert_eq!(server.get_json(ACTIVE)["count"], 0, "nothing was heard for too long");
}

#[test]
fn partial_spans_are_in_flight_and_not_stored() {
    let server = TestServer::new(|_| {});
    let partial = |version| Sent {
        attributes: vec![("_dd.partial_version", number(version))],
        ..sent(7, 2, 1_000, 500)
    };
    send(&server, &[partial(1)]);
    send(&server, &[partial(2)]);
    let active = server.get_json(ACTIVE);
    assert_eq!((&active["count"], &active["told_by"][0]), (&json!(1), &json!("partial")));
    assert_eq!(server.spans().len(), 0);
    send(&server, &[sent(7, 2, 1_000, 5_000)]);
    assert_eq!(server.get_json(ACTIVE)["count"], 0);
}

fn heartbeat(server: &TestServer, event: &str) {
    let span = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": text("shop")}]},
        "scopeSpans": [{"spans": [{"traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 2),
            "name": "work", "kind": "SPAN_KIND_SERVER",
            "startTimeUnixNano": ((NOW_MS - 4_000) * 1_000_000).to_string()}]}]}]});
    let attributes = [("partial.event", event), ("partial.frequency", "5000ms")];
    let attribute = |(key, value): (&str, &str)| json!({"key": key, "value": text(value)});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "timeUnixNano": (NOW_MS * 1_000_000).to_string(),
        "body": text(&span.to_string()),
        "attributes": attributes.map(attribute)}]}]}]});
    assert_eq!(server.send("POST /v1/logs", &[JSON], body.to_string()).status, 200);
}

#[test]
fn heartbeats_keep_a_span_in_flight() {
    let server = TestServer::new(|_| {});
    heartbeat(&server, "heartbeat");
    assert_eq!(server.lines().len(), 1, "it is a line as well");
    let active = server.get_json(ACTIVE);
    assert_eq!((&active["told_by"][0], &active["slow"]), (&json!("heartbeat"), &json!(1)));
    server.advance(Duration::from_secs(14));
    heartbeat(&server, "heartbeat");
    server.advance(Duration::from_secs(14));
    assert_eq!(server.get_json(ACTIVE)["count"], 1);
    server.advance(Duration::from_secs(1));
    assert_eq!(server.get_json(ACTIVE)["count"], 0);
    heartbeat(&server, "heartbeat");
    heartbeat(&server, "stop");
    assert_eq!(server.get_json(ACTIVE)["count"], 0);
}

#[test]
fn spans_whose_children_have_arrived_are_inferred() {
    let server = TestServer::new(|_| {});
    let child = |trace, id, parent, start| Sent { parent, ..sent(trace, id, start, 1_000) };
    let now = 600_000;
    send(
        &server,
        &[child(7, 2, 1, now - 9_000), child(7, 3, 1, now - 5_000), child(7, 4, 3, now - 4_500)],
    );
    send(&server, &[child(8, 2, 1, now - 300_000), pending(9, 1, 0, now - 4_000)]);
    send(&server, &[child(9, 2, 1, now - 3_000)]);
    for _ in 0..2 {
        let active = server.get_json(ACTIVE);
        let inferred = &active["inferred"];
        assert_eq!((&inferred["inferred"], &inferred["count"]), (&json!(true), &json!(1)));
        assert_eq!(inferred["span_id"], json!([format!("{:016x}", 1)]));
        assert_eq!(inferred["children"], json!([2]));
        assert_eq!(inferred["elapsed_at_least_ms"], json!([9_000]));
        assert_eq!((&active["count"], &active["total"]), (&json!(1), &json!(1)));
        server.flush_traces();
    }
    let none = server.get_json("/api/ui/v1/active?inferred=0");
    assert_eq!(none.get("inferred"), None);
    send(&server, &[sent(7, 1, now - 10_000, 9_500)]);
    assert_eq!(server.get_json(ACTIVE)["inferred"]["count"], 0);
}

#[test]
fn those_who_want_events_are_sent_them() {
    let server = TestServer::new(|_| {});
    send(&server, &[pending(7, 2, 0, 600_000)]);
    let accept = ("accept", "text/event-stream");
    let event =
        String::from_utf8(server.first_piece(&format!("GET {ACTIVE}"), &[accept], "")).unwrap();
    let data = event.strip_prefix("event: active\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    let active: Value = serde_json::from_str(data).unwrap();
    assert_eq!(active["count"], 1);
    let refused = server.send(&format!("GET {ACTIVE}?limit=0"), &[accept], "");
    assert_eq!(refused.status, 400);
}
