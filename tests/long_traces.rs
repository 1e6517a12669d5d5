//! Traces that are unusually large, or whose spans arrive over a long time: whole by id and in searches,
//! with their root and their duration.

use crate::remote_write::{field, fixed64};
use crate::support::{Folder, Server, ask, encoded};
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND_NS: u64 = 1_000_000_000;
const ROOT_ID: u64 = 1;

struct Span {
    id: u64,
    parent: u64,
    name: String,
    start_ns: u64,
    length_ns: u64,
}

fn body(trace_id: u128, spans: impl Iterator<Item = Span>) -> Vec<u8> {
    let span = |span: Span| {
        let parent =
            if span.parent == 0 { Vec::new() } else { field(4, &span.parent.to_be_bytes()) };
        let fields = [
            field(1, &trace_id.to_be_bytes()),
            field(2, &span.id.to_be_bytes()),
            parent,
            field(5, span.name.as_bytes()),
            fixed64(7, span.start_ns),
            fixed64(8, span.start_ns + span.length_ns),
        ];
        field(2, &fields.concat())
    };
    let name = [field(1, b"service.name"), field(2, &field(1, b"batch"))];
    let resource = field(1, &field(1, &name.concat()));
    field(1, &[resource, field(2, &spans.flat_map(span).collect::<Vec<u8>>())].concat())
}

fn send(server: &Server, body: &[u8]) {
    let headers = [("content-type", "application/x-protobuf")];
    let reply = server.connect().send("POST", "/v1/traces", &headers, body);
    assert_eq!((reply.status, reply.text()), (200, ""), "{}", reply.text());
}

fn begin() -> u64 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 7_200) * SECOND_NS
}

/// How many spans a trace has when it is asked for by its id.
fn spans_by_id(server: &Server, trace_id: u128) -> usize {
    let answer = ask(server.address, &format!("/tempo/api/v2/traces/{trace_id:032x}"));
    assert_eq!(answer["status"], serde_json::Value::Null, "{}", answer["message"]);
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().unwrap().clone();
    let scopes = list(&answer["trace"], "resourceSpans").into_iter();
    let spans = scopes.flat_map(|resource| list(&resource, "scopeSpans"));
    spans.map(|scope| list(&scope, "spans").len()).sum()
}

/// Root, duration and matching spans of the only trace that a query finds.
fn found(server: &Server, query: &str, begin: u64) -> (String, u64, u64) {
    let from = begin / SECOND_NS - 60;
    let path = format!(
        "/tempo/api/search?q={}&limit=10&spss=1&start={from}&end={}",
        encoded(query),
        from + 7_200
    );
    let answer = ask(server.address, &path);
    let traces = answer["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 1, "{query}: {answer}");
    let trace = &traces[0];
    (
        trace["rootTraceName"].as_str().unwrap_or_default().to_owned(),
        trace["durationMs"].as_u64().unwrap(),
        trace["spanSet"]["matched"].as_u64().unwrap(),
    )
}

#[test]
fn a_trace_of_a_hundred_thousand_spans_is_whole() {
    const SPANS: u64 = 100_000;
    const OF_REQUEST: u64 = 5_000;
    let (folder, begin, trace_id) = (Folder::new(), begin(), 0xABCD);
    let server = Server::start(folder.path());
    // The root is sent last. Spans stand below each other up to a depth of ten.
    let span = |id: u64| match id {
        SPANS => Span {
            id: ROOT_ID,
            parent: 0,
            name: "nightly".to_owned(),
            start_ns: begin,
            length_ns: 600 * SECOND_NS,
        },
        id => Span {
            id: id + 1,
            parent: if id % 10 == 1 { ROOT_ID } else { id },
            name: format!("step {}", id % 10),
            start_ns: begin + id * 1_000_000,
            length_ns: 900_000,
        },
    };
    for first in (1..=SPANS).step_by(OF_REQUEST as usize) {
        send(&server, &body(trace_id, (first..first + OF_REQUEST).map(span)));
    }
    let check = |server: &Server| {
        assert_eq!(spans_by_id(server, trace_id), SPANS as usize);
        let below = r#"{name="nightly"} >> {name="step 9"}"#;
        let expected = ("nightly".to_owned(), 600_000, SPANS / 10);
        assert_eq!(found(server, below, begin), expected);
    };
    check(&server);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    check(&server);
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.post("/-/merge", b"").status, 200);
    check(&server);
}

#[test]
fn a_trace_whose_spans_arrive_over_an_hour_is_whole() {
    const MINUTES: u64 = 60;
    let (folder, begin, trace_id) = (Folder::new(), begin(), 0x1234_5678);
    let mut server = Server::start(folder.path());
    let step = |minute: u64| Span {
        id: minute + 10,
        parent: if minute == 0 { ROOT_ID } else { minute + 9 },
        name: format!("minute {minute}"),
        start_ns: begin + minute * 60 * SECOND_NS,
        length_ns: SECOND_NS,
    };
    // A program sends a span when it has ended, so the root comes last. Other traces come between.
    for minute in 0..MINUTES {
        send(&server, &body(trace_id, [step(minute)].into_iter()));
        let other = |id: u64| Span { id, parent: id - 1, name: "other".to_owned(), ..step(minute) };
        send(&server, &body(u128::from(minute) << 64 | 7, (1..5).map(other)));
        match minute % 10 {
            2 => assert_eq!(server.post("/-/flush", b"").status, 200),
            5 => {
                server.kill();
                server = Server::start(folder.path());
            }
            8 if minute > 30 => assert_eq!(server.post("/-/merge", b"").status, 200),
            _ => {}
        }
    }
    let without_root = format!(r#"{{name="minute {}"}}"#, MINUTES - 1);
    let lasted = ((MINUTES - 1) * 60 + 1) * 1_000;
    let seen = (String::new(), lasted, 1);
    assert_eq!(found(&server, &without_root, begin), seen);
    let hour = Span {
        id: ROOT_ID,
        parent: 0,
        name: "hourly".to_owned(),
        start_ns: begin - SECOND_NS,
        length_ns: 3_600 * SECOND_NS,
    };
    send(&server, &body(trace_id, [hour].into_iter()));
    for _ in 0..2 {
        assert_eq!(spans_by_id(&server, trace_id), MINUTES as usize + 1);
        let below = format!(r#"{{name="hourly"}} >> {{name="minute {}"}}"#, MINUTES - 1);
        assert_eq!(found(&server, &below, begin), ("hourly".to_owned(), 3_600_000, 1));
        let long = r#"{trace:duration > 59m && name="minute 7"}"#;
        assert_eq!(found(&server, long, begin), ("hourly".to_owned(), 3_600_000, 1));
        assert_eq!(server.post("/-/merge", b"").status, 200);
    }
}
