//! Requests of the screens, on spans in memory and in parts.

mod active;
mod map;
mod transactions;

use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");

pub(super) const NOW_NS: u64 = NOW_MS as u64 * 1_000_000;
pub(super) const MS: u64 = 1_000_000;

/// A span as a test sends it.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) trace: u64,
    pub(super) id: u64,
    /// 0 for none.
    pub(super) parent: u64,
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: u8,
    /// Milliseconds after ten minutes before now.
    pub(super) start_ms: u64,
    pub(super) length_ms: u64,
    pub(super) is_error: bool,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

/// What tests' times count from.
pub(super) const BEGIN_NS: u64 = NOW_NS - 600_000 * MS;

pub(super) const SERVER: u8 = 2;
pub(super) const CLIENT: u8 = 3;

/// A server's span, without a parent.
pub(super) fn sent(trace: u64, id: u64, start_ms: u64, length_ms: u64) -> Sent {
    Sent {
        trace,
        id,
        parent: 0,
        service: "shop",
        name: "GET /",
        kind: SERVER,
        start_ms,
        length_ms,
        is_error: false,
        attributes: Vec::new(),
    }
}

pub(super) fn text(value: &str) -> Value {
    json!({"stringValue": value})
}

pub(super) fn number(value: u64) -> Value {
    json!({"intValue": value.to_string()})
}

impl Sent {
    fn json(&self) -> Value {
        let start = BEGIN_NS + self.start_ms * MS;
        let attribute = |(key, value): &(&str, Value)| json!({"key": key, "value": value});
        let parent = if self.parent == 0 { String::new() } else { format!("{:016x}", self.parent) };
        json!({
            "traceId": format!("{:032x}", self.trace), "spanId": format!("{:016x}", self.id),
            "parentSpanId": parent, "name": self.name, "kind": self.kind,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + self.length_ms * MS).to_string(),
            "status": {"code": if self.is_error { 2 } else { 0 }},
            "attributes": self.attributes.iter().map(attribute).collect::<Vec<_>>(),
        })
    }
}

pub(super) fn send(server: &TestServer, spans: &[Sent]) {
    let of = |span: &Sent| {
        json!({"resource": {"attributes": [{"key": "service.name", "value": text(span.service)}]},
            "scopeSpans": [{"spans": [span.json()]}]})
    };
    let body = json!({"resourceSpans": spans.iter().map(of).collect::<Vec<_>>()});
    let answer = server.send("POST /v1/traces", &[JSON], body.to_string());
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
}

/// Asks before and after what is in memory is written to parts; both answers must be equal but for how
/// long they took.
pub(super) fn ask_twice(server: &TestServer, paths: &[&str]) -> Vec<Value> {
    let ask = || {
        let answer = |path: &&str| {
            let mut answer = server.get_json(path);
            let stats = answer["stats"].as_object_mut().unwrap();
            assert!(stats.remove("ms").unwrap().is_number());
            assert!(stats["scanned"].is_u64() && stats["partial"].is_boolean());
            answer
        };
        paths.iter().map(answer).collect::<Vec<_>>()
    };
    let before = ask();
    server.flush_traces();
    server.flush_logs();
    assert_eq!(ask(), before);
    before
}
