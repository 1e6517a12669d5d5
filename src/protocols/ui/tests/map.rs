//! A trace by its services, and with its lines.

use super::{BEGIN_NS, CLIENT, JSON, MS, SERVER, Sent, ask_twice, send, sent, text};
use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};

const MAP: &str = "/api/ui/v1/trace/7/map";

/// A shop asks a stock twice, a database three times and a payment that sends no spans.
fn server() -> TestServer {
    let server = TestServer::new(|_| {});
    let query = |id: u64, start: u64| Sent {
        parent: 1,
        kind: CLIENT,
        name: "SELECT",
        attributes: vec![
            ("db.system", text("postgresql")),
            ("db.name", text("orders")),
            ("db.statement", text("SELECT 1")),
        ],
        ..sent(7, id, start, 10)
    };
    let ask = |id: u64, start: u64| Sent {
        parent: 1,
        kind: CLIENT,
        name: "ask",
        attributes: vec![("http.method", text("GET")), ("server.address", text("stock"))],
        ..sent(7, id, start, 100)
    };
    let count = |id: u64, parent: u64, start: u64, is_error: bool| Sent {
        parent,
        service: "stock",
        name: "count",
        is_error,
        ..sent(7, id, start, 80)
    };
    let spans = [
        sent(7, 1, 0, 1_000),
        query(2, 10),
        query(3, 20),
        query(4, 30),
        ask(5, 100),
        count(6, 5, 110, false),
        ask(7, 300),
        count(8, 7, 310, true),
        Sent { parent: 8, service: "stock", kind: 1, name: "inner", ..sent(7, 9, 320, 40) },
        Sent {
            parent: 1,
            kind: CLIENT,
            name: "pay",
            attributes: vec![
                ("http.method", text("POST")),
                ("server.address", text("pay.example")),
            ],
            ..sent(7, 10, 500, 400)
        },
        Sent { parent: 1, kind: 1, name: "render", ..sent(7, 11, 920, 30) },
    ];
    send(&server, &spans);
    server
}

fn column<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    let values = of[name].as_array().unwrap();
    assert_eq!(values.len() as u64, of["count"].as_u64().unwrap(), "{name}");
    values
}

#[test]
fn a_trace_is_collapsed_to_its_services_and_what_they_ask() {
    let server = server();
    let answers = ask_twice(&server, &[MAP]);
    let map = &answers[0];
    assert_eq!((&map["spans"], &map["duration_ms"]), (&json!(11), &json!(1_000)));
    assert_eq!(map["start_ms"], BEGIN_NS / MS);
    let nodes = &map["nodes"];
    assert_eq!(column(nodes, "kind"), ["service", "database", "service", "external"]);
    assert_eq!(column(nodes, "service"), ["shop", "postgresql", "stock", "http"]);
    assert_eq!(column(nodes, "name"), ["GET /", "orders", "count", "pay.example"]);
    assert_eq!(column(nodes, "calls"), [1, 3, 2, 1]);
    assert_eq!(column(nodes, "errors"), [0, 0, 1, 0]);
    assert_eq!(column(nodes, "spans"), [4, 3, 3, 1]);
    assert_eq!(column(nodes, "total_ms"), [1_000, 30, 160, 400]);
    // Of the root what is not covered by its children, and what its calls were on their way.
    assert_eq!(column(nodes, "self_ms"), [340 + 2 * 20 + 30, 30, 160, 400]);
    assert_eq!(column(nodes, "start_ms"), [0, 10, 110, 500]);
    assert_eq!(column(nodes, "end_ms"), [1_000, 40, 390, 900]);
    assert_eq!(column(nodes, "sql"), [3, 0, 0, 0]);
    assert_eq!(column(nodes, "sql_ms"), [30, 0, 0, 0]);
    assert_eq!(column(nodes, "http"), [3, 0, 0, 0]);
    assert_eq!(column(nodes, "http_ms"), [600, 0, 0, 0]);
    let edges = &map["edges"];
    assert_eq!(
        (column(edges, "from"), column(edges, "to")),
        (&[0, 0, 0].map(Value::from)[..], &[1, 2, 3].map(Value::from)[..])
    );
    assert_eq!(
        (column(edges, "calls"), column(edges, "errors")),
        (&[3, 2, 1].map(Value::from)[..], &[0, 1, 0].map(Value::from)[..])
    );
}

#[test]
fn the_critical_path_covers_the_root_once() {
    let server = server();
    let map = server.get_json(MAP);
    let path = &map["critical_path"];
    let times: Vec<(u64, u64)> = column(path, "start_ms")
        .iter()
        .zip(column(path, "ms"))
        .map(|(start, length)| (start.as_u64().unwrap(), length.as_u64().unwrap()))
        .collect();
    let mut end = 0;
    for (start, length) in &times {
        assert_eq!(*start, end, "without gaps: {times:?}");
        end = start + length;
    }
    assert_eq!(end, 1_000);
    let ids: Vec<&str> =
        column(path, "span_id").iter().map(|id| &id.as_str().unwrap()[14..]).collect();
    let expected = [
        "01", "02", "03", "04", "01", "05", "06", "05", "01", "07", "08", "09", "08", "07", "01",
        "0a", "01", "0b", "01",
    ];
    assert_eq!(ids, expected);
    let critical: u64 =
        column(&map["nodes"], "critical_ms").iter().map(|ms| ms.as_u64().unwrap()).sum();
    assert_eq!(critical, 1_000);
}

#[test]
fn children_that_overlap_or_outlive_their_parents_are_cut() {
    let server = TestServer::new(|_| {});
    let child = |id: u64, start: u64, length: u64| Sent {
        parent: 1,
        kind: 1,
        ..sent(7, id, start, length)
    };
    send(&server, &[sent(7, 1, 100, 100), child(2, 90, 60), child(3, 140, 200), child(4, 130, 15)]);
    let map = server.get_json(MAP);
    let path = &map["critical_path"];
    // The third ran to the end; before it began the fourth had not ended, and the second has not either.
    assert_eq!(column(path, "ms"), [40, 60]);
    assert_eq!(column(&map["nodes"], "self_ms")[0], 60 + 200 + 15);
}

#[test]
fn long_chains_need_no_stack_and_many_calls_are_one_node() {
    let server = TestServer::new(|_| {});
    let chain =
        |id: u64| Sent { parent: id - 1, kind: 1, start_ms: 0, ..sent(7, id, 0, 60_000 - id) };
    let calls = |id: u64| Sent {
        parent: 1,
        kind: CLIENT,
        name: "GET",
        attributes: vec![("db.system", text("redis"))],
        ..sent(7, id, 0, 1)
    };
    let spans: Vec<Sent> = [sent(7, 1, 0, 60_000)]
        .into_iter()
        .chain((2..3_000).map(chain))
        .chain((3_000..6_000).map(calls))
        .collect();
    spans.chunks(1_000).for_each(|some| send(&server, some));
    let map = server.get_json(MAP);
    assert_eq!(column(&map["nodes"], "calls"), [1, 3_000]);
    assert_eq!(column(&map["nodes"], "kind"), ["service", "database"]);
    assert_eq!(map["stats"]["partial"], true, "the critical path is longer than what is listed");
}

#[test]
fn calls_beyond_the_most_nodes_are_counted_in_their_callers() {
    let server = TestServer::new(|_| {});
    let names: Vec<&'static str> =
        (0..1_500).map(|number| &*Box::leak(format!("op{number}").into_boxed_str())).collect();
    let called = |(number, name): (usize, &&'static str)| Sent {
        parent: 1,
        name,
        kind: SERVER,
        ..sent(7, number as u64 + 2, 1, 1)
    };
    let spans: Vec<Sent> =
        [sent(7, 1, 0, 9_000)].into_iter().chain(names.iter().enumerate().map(called)).collect();
    send(&server, &spans);
    let map = server.get_json(MAP);
    assert_eq!(map["nodes"]["count"], 1_000);
    assert_eq!(column(&map["nodes"], "spans")[0], 1 + 501);
    assert!(map["stats"]["warnings"][0].as_str().unwrap().contains("501 further calls"));
}

#[test]
fn a_trace_that_is_not_there_is_not_found() {
    let server = server();
    for path in ["/api/ui/v1/trace/8/map", "/api/ui/v1/trace/8/logs"] {
        let (status, body) = server.get(path);
        assert_eq!(status, 404, "{path}: {body}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["kind"], "not_found");
    }
}

fn log(server: &TestServer, trace: u64, span: Option<u64>, line: &str, after_ms: i64) {
    let mut record = json!({"timeUnixNano": ((NOW_MS - 600_000 + after_ms) * 1_000_000).to_string(),
        "body": {"stringValue": line}});
    if let Some(span) = span {
        record["traceId"] = format!("{trace:032x}").into();
        record["spanId"] = format!("{span:016x}").into();
    }
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": text("shop")}]},
        "scopeLogs": [{"logRecords": [record]}]}]});
    assert_eq!(server.send("POST /v1/logs", &[JSON], body.to_string()).status, 200);
}

#[test]
fn a_trace_comes_with_its_lines() {
    let server = server();
    let word = format!("taking {:032x} on", 7);
    log(&server, 7, Some(1), "second", 20);
    log(&server, 7, None, &word, 10);
    log(&server, 8, Some(1), "of another trace", 15);
    log(&server, 9, Some(1), "of a trace that is not stored", 500_000);
    let paths =
        ["/api/ui/v1/trace/7/logs", "/api/ui/v1/trace/7/logs?limit=1", "/api/ui/v1/trace/9/logs"];
    let answers = ask_twice(&server, &paths);
    let [both, one, other] = &answers[..] else { panic!("as many") };
    assert_eq!(both["trace_id"], format!("{:032x}", 7));
    assert_eq!(both["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "GET /");
    let lines = &both["lines"];
    assert_eq!((&lines[0]["line"], &lines[1]["line"]), (&json!(word), &json!("second")));
    assert_eq!(lines[0].get("span_id"), None);
    assert_eq!(lines[1]["span_id"], format!("{:016x}", 1));
    assert_eq!(lines[0]["time_ms"], NOW_MS - 600_000 + 10);
    assert_eq!(both["streams"][0]["service_name"], "shop");
    assert_eq!(both["stats"]["partial"], false);
    assert_eq!(one["lines"].as_array().unwrap().len(), 1);
    assert_eq!(one["lines"][0]["line"], word);
    assert_eq!(one["stats"]["partial"], true);
    assert_eq!((&other["trace"], other["lines"].as_array().unwrap().len()), (&json!({}), 1));
}
