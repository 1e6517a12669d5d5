//! Pushes over HTTP, and what becomes of them. `reading`: what is told about lines that were pushed.
//! `tail`: lines as they come in. `delete`: lines that go away.

mod delete;
mod reading;
mod tail;

use crate::testing::{NOW_MS, TestServer};
use std::io::Write as _;
use wire::protobuf::Writer;

const JSON: (&str, &str) = ("content-type", "application/json");
const PUSH: &str = "POST /loki/api/v1/push";

/// A push of one line, in protobuf.
fn push(labels: &str, line: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(1, |stream| {
        stream.text(1, labels);
        stream.message(2, |entry| {
            entry.message(1, |time| time.signed(1, NOW_MS / 1_000));
            entry.text(2, line);
            entry.message(3, |pair| {
                pair.text(1, "trace_id");
                pair.text(2, "ab");
            });
        });
    });
    writer.into_bytes()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn json(values: &str) -> String {
    format!(r#"{{"streams":[{{"stream":{{"app":"shop"}},"values":[{values}]}}]}}"#)
}

fn at(seconds: i64) -> String {
    format!("{}000000", NOW_MS + seconds * 1_000)
}

#[test]
fn every_encoding_is_taken() {
    let server = TestServer::new(|_| {});
    let plain = push("{app=\"shop\"}", "level=warn x");
    let packed = snappy(&plain);
    let text = json(&format!(r#"["{}","level=warn x",{{"trace_id":"ab"}}]"#, at(0)));
    let text = text.as_bytes();
    let protobuf = ("content-type", "application/x-protobuf");
    let encoded = |name| ("content-encoding", name);
    for (headers, body) in [
        (vec![protobuf], packed.clone()),
        (vec![], packed.clone()),
        (vec![protobuf, encoded("snappy")], packed.clone()),
        (vec![protobuf, encoded("gzip")], gzip(&packed)),
        (vec![protobuf, encoded("gzip")], gzip(&plain)),
        (vec![protobuf, encoded("zstd")], zstd::encode_all(&plain[..], 1).unwrap()),
        (vec![JSON], text.to_vec()),
        (vec![("content-type", "application/json; charset=utf-8"), encoded("gzip")], gzip(text)),
        (vec![JSON, encoded("snappy")], snappy(text)),
    ] {
        let answer = server.send(PUSH, &headers, body);
        assert_eq!((answer.status.as_u16(), answer.text()), (204, String::new()), "{headers:?}");
        server.forget_repeats();
    }
    let lines = server.lines();
    let line = r#"{app="shop", service_name="shop"} 1700000000000000000 "level=warn x" detected_level="warn" trace_id="ab""#;
    assert_eq!((lines.len(), &*lines[0]), (9, line));
    assert!(lines.iter().all(|one| one == line), "{lines:?}");
}

#[test]
fn a_push_that_arrives_again_counts_once() {
    let server = TestServer::new(|_| {});
    let push = |line: &str| json(&format!(r#"["{0}","{line}"],["{0}","{line}"]"#, at(0)));
    let first = server.send_to_broken_disk(PUSH, &[JSON], push("a"));
    assert_eq!(first.status, 503);
    for line in ["a", "b", "a", "a"] {
        assert_eq!(server.send(PUSH, &[JSON], push(line)).status, 204);
    }
    let count = |text| server.lines().iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("\"a\""), count("\"b\"")), (2, 2), "lines of one push count each");
}

/// A line of the millisecond in which the query arrives is not in the future.
#[test]
fn the_next_query_has_the_line() {
    let server = TestServer::new(|_| {});
    server.advance(std::time::Duration::from_nanos(500_000));
    let text = json(&format!(r#"["{NOW_MS}400000","just now"]"#));
    assert_eq!(server.send(PUSH, &[JSON], text).status, 204);
    for query in
        ["query_range?query=%7Bapp%3D%22shop%22%7D", "series?match[]=%7Bapp%3D%22shop%22%7D"]
    {
        let answer = server.send(&format!("GET /loki/api/v1/{query}"), &[], "");
        assert!(answer.text().contains("shop"), "{query}: {}", answer.text());
    }
}

#[test]
fn every_name_and_the_tenant() {
    let server = TestServer::new(|_| {});
    let body = snappy(&push("{a=\"b\"}", "x"));
    for path in [
        "/loki/api/v1/push",
        "/loki/loki/api/v1/push",
        "/api/prom/push",
        "/insert/loki/api/v1/push",
    ] {
        let headers = [("x-scope-orgid", "blue")];
        assert_eq!(server.send(&format!("POST {path}"), &headers, body.clone()).status, 204);
        server.forget_repeats();
    }
    assert!(server.lines().iter().all(|line| line.starts_with("[blue] {a=\"b\"")));
    assert_eq!(server.lines().len(), 4);
}

#[test]
fn what_can_not_be_stored_is_told_and_the_rest_is_stored() {
    let server = TestServer::new(|setup| {
        setup.settings.logs.max_line_size = "5B".parse().unwrap();
    });
    let values =
        format!(r#"["{}","good"],["{}","new"],["{}","too long"]"#, at(0), at(3_600), at(0));
    let answer = server.send(PUSH, &[JSON], json(&values));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        answer.text(),
        "entry for stream '{app=\"shop\"}' has timestamp too new: 2023-11-14T23:13:20Z \
         (logs.creation_grace_period); max entry size '5' bytes exceeded for stream '{app=\"shop\"}' \
         while adding an entry with length '8' bytes (logs.max_line_size), total ignored: 2 out of 3\n"
    );
    assert_eq!(server.lines().len(), 1);
    for (body, status, text) in [
        ("{}", 422, "error at least one valid stream is required for ingestion\n"),
        (
            r#"{"streams":[{"stream":{},"values":[["1700000000000000000","x"]]}]}"#,
            400,
            "error at least one label pair is required per stream, total ignored: 1 out of 1\n",
        ),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[[1700000000000000000,"x"]]}]}"#,
            400,
            "the body is not a push in JSON: expected a time as a text of nanoseconds (\"1700000000000000000\") at byte 43\n",
        ),
    ] {
        let answer = server.send(PUSH, &[JSON], body);
        assert_eq!((answer.status.as_u16(), &*answer.text()), (status, text));
    }
    let answer = server.send(PUSH, &[], snappy(b"\xff"));
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = server.send(PUSH, &[], "no snappy");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = server.send(PUSH, &[("content-encoding", "br")], "");
    assert_eq!(answer.status, 415);
    let bomb = gzip(&vec![b' '; 5 << 20]);
    let answer = server.send(PUSH, &[JSON, ("content-encoding", "gzip")], bomb);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn what_may_be_stored_later_is_unavailable() {
    let server = TestServer::new(|_| {});
    let answer = server.send_to_broken_disk(PUSH, &[], snappy(&push("{a=\"b\"}", "x")));
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    assert!(server.lines().is_empty());
    let answer = server.send(PUSH, &[("x-test-refuse", "scope")], "");
    assert_eq!(answer.status, 403);
}
