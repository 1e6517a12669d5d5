//! Lines that come in by every protocol of HTTP: they are found, survive a kill, and damaged bodies do
//! no harm.
//!
//! Not here: syslog and Fluentd, whose connections the tests of `protocols` play.

use crate::remote_write::{field, number, snappy};
use crate::support::{Folder, Server, ask, command, encoded, say, wait_for};
use platform::sim::test_seed;
use platform::{Random, SeededRandom};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds; the lines are a little older than now.
fn time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 60
}

struct Request {
    path: &'static str,
    content_type: &'static str,
    /// Before it is packed.
    plain: Vec<u8>,
    pack: fn(&[u8]) -> Vec<u8>,
}

/// A request with one line of each protocol, whose text is the protocol's name.
fn requests() -> Vec<Request> {
    let as_is: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    let seconds = time();
    let nanos = seconds * 1_000_000_000;
    let text = |number, text: &str| field(number, text.as_bytes());
    let entry = [field(1, &number(1, seconds)), text(2, "loki protobuf")].concat();
    let entry = [entry, field(3, &[text(1, "k"), text(2, "v")].concat())].concat();
    let push = field(1, &[text(1, "{app=\"all\"}"), field(2, &entry)].concat());
    let attribute = |key, value| [text(1, key), field(2, &text(1, value))].concat();
    let resource = field(1, &field(1, &attribute("service.name", "all")));
    let record_time = [vec![1 << 3 | 1], nanos.to_le_bytes().to_vec()].concat();
    let record = [record_time, field(5, &text(1, "otlp protobuf"))].concat();
    let records = field(1, &[resource, field(2, &field(2, &record))].concat());
    let json = |text: String| text.into_bytes();
    vec![
        Request {
            path: "/loki/api/v1/push",
            content_type: "application/x-protobuf",
            plain: push,
            pack: snappy,
        },
        Request {
            path: "/loki/api/v1/push",
            content_type: "application/json",
            plain: json(format!(
                r#"{{"streams":[{{"stream":{{"app":"all"}},"values":[["{nanos}","loki json",{{"k":"v"}}]]}}]}}"#
            )),
            pack: as_is,
        },
        Request {
            path: "/v1/logs",
            content_type: "application/x-protobuf",
            plain: records,
            pack: as_is,
        },
        Request {
            path: "/v1/logs",
            content_type: "application/json",
            plain: json(format!(
                r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"all"}}}}]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{nanos}","body":{{"stringValue":"otlp json"}}}}]}}]}}]}}"#
            )),
            pack: as_is,
        },
        Request {
            path: "/elasticsearch/logs/_bulk",
            content_type: "application/x-ndjson",
            plain: json(format!(
                "{{\"create\":{{}}}}\n{{\"@timestamp\":{seconds}000,\"message\":\"bulk\",\"app\":\"all\"}}\n"
            )),
            pack: as_is,
        },
        Request {
            path: "/insert/jsonline",
            content_type: "application/stream+json",
            plain: json(format!(
                "{{\"_time\":\"{nanos}\",\"_msg\":\"jsonline\",\"app\":\"all\"}}\n"
            )),
            pack: as_is,
        },
    ]
}

/// The texts of all lines of the service, sorted.
fn found(server: &Server) -> Vec<String> {
    let query = encoded("{service_name=\"all\"}");
    let answer = ask(server.address, &format!("/loki/api/v1/query_range?query={query}&limit=5000"));
    let streams = answer["data"]["result"].as_array().unwrap().clone();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
    let mut lines: Vec<String> =
        values.map(|value: Value| value[1].as_str().unwrap().to_owned()).collect();
    lines.sort();
    lines
}

const ALL: [&str; 6] =
    ["bulk", "jsonline", "loki json", "loki protobuf", "otlp json", "otlp protobuf"];

#[test]
fn acknowledged_lines_are_found_also_after_a_kill() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let mut connection = server.connect();
    for request in requests() {
        let headers = [("content-type", request.content_type)];
        let body = (request.pack)(&request.plain);
        let reply = connection.send("POST", request.path, &headers, &body);
        assert!(matches!(reply.status, 200 | 204), "{}: {}", request.path, reply.status);
    }
    assert_eq!(found(&server), ALL);
    server.signal("-KILL");
    let server = wait_for("the folder", || Server::spawn(command(folder.path(), &[])).ok());
    assert_eq!(found(&server), ALL);
}

#[test]
fn the_servers_own_lines_are_in_its_store() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "logs.store_own_lines=true"]);
    let query = encoded("{service_name=\"mirador\"} |= \"ready\"");
    let path = format!("/loki/api/v1/query_range?query={query}&limit=10");
    wait_for("the line that says that the server is ready", || {
        server.get(&path).text().contains("\\\"message\\\":\\\"ready\\\"").then_some(())
    });
}

/// Truncated, with a flipped bit, or with a byte too many.
pub(crate) fn damaged(body: &[u8], random: &SeededRandom) -> Vec<u8> {
    let at = random.below(body.len() as u64) as usize;
    let mut body = body.to_vec();
    match random.below(3) {
        0 => body.truncate(at),
        1 => body[at] ^= 1 << random.below(8),
        _ => body.insert(at, random.below(256) as u8),
    }
    body
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
            let inside = (request.pack)(&damaged(&request.plain, &random));
            let outside = damaged(&(request.pack)(&request.plain), &random);
            for body in [inside, outside] {
                let headers = [("content-type", request.content_type)];
                let reply = connection.send("POST", request.path, &headers, &body);
                let expected = matches!(reply.status, 200 | 204 | 400 | 413 | 422);
                assert!(expected, "{}: {} {:?}", request.path, reply.status, reply.body);
                sent += 1;
                taken += usize::from(reply.status < 300);
            }
        }
    }
    say(&format!("damaged logs: SEED={seed}, {sent} sent, {taken} still meant something"));
    assert!(taken < sent, "nothing was refused");
    for request in &requests {
        let headers = [("content-type", request.content_type)];
        let body = (request.pack)(&request.plain);
        let reply = connection.send("POST", request.path, &headers, &body);
        assert!(reply.status < 300, "{}: {}", request.path, reply.status);
    }
    let lines = found(&server);
    assert!(ALL.iter().all(|line| lines.iter().any(|found| found == line)), "{lines:?}");
}
