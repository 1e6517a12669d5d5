//! Spans that come in by every protocol of HTTP: they are found, survive a kill, and damaged bodies do
//! no harm.
//!
//! Not here: gRPC and datagrams (`trace_clients`, and the tests of `protocols`).

use crate::logs_in::damaged;
use crate::remote_write::{field, fixed64};
use crate::support::{Folder, Server, ask, command, say, wait_for};
use platform::SeededRandom;
use platform::sim::test_seed;
use std::time::{SystemTime, UNIX_EPOCH};

struct Request {
    name: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

/// A request of each protocol with one span, whose name is the protocol's, and whose trace id is its
/// place in this list, from 1.
fn requests() -> Vec<Request> {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let nanos = micros * 1_000;
    let otlp = [
        field(1, &1u128.to_be_bytes()),
        field(2, &7u64.to_be_bytes()),
        field(5, b"otlp protobuf"),
        fixed64(7, nanos),
        fixed64(8, nanos),
    ];
    let zipkin = [
        field(1, &4u128.to_be_bytes()),
        field(3, &7u64.to_be_bytes()),
        field(5, b"zipkin protobuf"),
        fixed64(6, micros),
    ];
    let long = |id: u8, value: u64| [&[10, 0, id][..], &value.to_be_bytes()].concat();
    let jaeger = [
        &[15, 0, 2, 12, 0, 0, 0, 1][..],
        &long(1, 6),
        &long(3, 7),
        &[11, 0, 5, 0, 0, 0, 6],
        b"jaeger",
        &long(8, micros),
        &[0, 0],
    ];
    let request = |name, path, content_type, body| Request { name, path, content_type, body };
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let body = field(1, &field(2, &field(2, &otlp.concat())));
    let otlp_json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{:032x}","spanId":"{:016x}","name":"otlp json","startTimeUnixNano":"{nanos}","endTimeUnixNano":{nanos}}}]}}]}}]}}"#,
        2, 7
    );
    let zipkin_json = format!(
        r#"[{{"traceId":"3","id":"7","name":"zipkin json","timestamp":{micros},"tags":{{"a":"b"}}}}]"#
    );
    let version1 = format!(
        r#"[{{"traceId":"5","id":"7","name":"zipkin 1","annotations":[{{"timestamp":{micros},"value":"sr"}}]}}]"#
    );
    let (thrift, zipkin_path) = ("application/x-thrift", "/zipkin/api/v2/spans");
    vec![
        request("otlp protobuf", "/v1/traces", protobuf, body),
        request("otlp json", "/v1/traces", json, otlp_json.into_bytes()),
        request("zipkin json", zipkin_path, json, zipkin_json.into_bytes()),
        request("zipkin protobuf", zipkin_path, protobuf, field(1, &zipkin.concat())),
        request("zipkin 1", "/zipkin/api/v1/spans", json, version1.into_bytes()),
        request("jaeger", "/jaeger/api/traces", thrift, jaeger.concat()),
    ]
}

/// The name of the first span of each of the traces, in order.
fn found(server: &Server) -> Vec<String> {
    let name = |id: usize| {
        let answer = ask(server.address, &format!("/tempo/api/v2/traces/{id:032x}"));
        let spans = &answer["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans[0]["name"].as_str().unwrap_or("none").to_owned()
    };
    (1..=requests().len()).map(name).collect()
}

fn send(server: &Server, requests: &[Request]) {
    let mut connection = server.connect();
    for request in requests {
        let headers = [("content-type", request.content_type)];
        let reply = connection.send("POST", request.path, &headers, &request.body);
        assert!(matches!(reply.status, 200 | 202), "{}: {}", request.name, reply.text());
    }
}

#[test]
fn acknowledged_spans_are_found_also_after_a_kill() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let requests = requests();
    send(&server, &requests);
    let names: Vec<&str> = requests.iter().map(|request| request.name).collect();
    assert_eq!(found(&server), names);
    server.signal("-KILL");
    let server = wait_for("the folder", || Server::spawn(command(folder.path(), &[])).ok());
    assert_eq!(found(&server), names);
}

#[test]
fn damaged_bodies_are_refused_and_nothing_else_breaks() {
    const TIMES: usize = 300;
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let mut connection = server.connect();
    let requests = requests();
    let (mut sent, mut taken) = (0, 0);
    for _ in 0..TIMES {
        for request in &requests {
            let headers = [("content-type", request.content_type)];
            let body = damaged(&request.body, &random);
            let reply = connection.send("POST", request.path, &headers, &body);
            let expected = matches!(reply.status, 200 | 202 | 400 | 413);
            assert!(expected, "SEED={seed} {}: {} {body:?}", request.name, reply.text());
            sent += 1;
            taken += usize::from(reply.status < 300);
        }
    }
    say(&format!("damaged traces: SEED={seed}, {sent} sent, {taken} still meant something"));
    assert!(taken < sent, "nothing was refused");
    send(&server, &requests);
    let trace = ask(server.address, "/tempo/api/v2/traces/00000000000000000000000000000001");
    assert!(trace.to_string().contains("otlp protobuf"), "{trace}");
}
