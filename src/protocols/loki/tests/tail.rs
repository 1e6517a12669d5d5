//! Clients that follow new lines, over websockets.

use super::reading::push;
use super::{JSON, PUSH, at};
use crate::testing::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const PATH: &str = "/loki/api/v1/tail?query={app=\"shop\"}";

fn server() -> TestServer {
    TestServer::new(|setup| {
        setup.settings.logs.discover_service_name.clear();
        setup.settings.logs.discover_log_levels = false;
    })
}

/// A client and the head of the server's answer.
fn follow(server: &TestServer, path: &str, headers: &str) -> (DuplexStream, String) {
    let mut client = server.connect();
    let path = path.replace(' ', "%20").replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    let head = server.block_on(async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().to_lowercase()
    });
    (client, head)
}

fn following(server: &TestServer, path: &str, headers: &str) -> DuplexStream {
    let (client, head) = follow(server, path, headers);
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    client
}

/// The next frame: its opcode and what it holds.
fn frame(server: &TestServer, client: &mut DuplexStream) -> (u8, Vec<u8>) {
    server.block_on(async {
        let first = client.read_u8().await.unwrap();
        let length = match client.read_u8().await.unwrap() {
            126 => u64::from(client.read_u16().await.unwrap()),
            127 => client.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        client.read_exact(&mut payload).await.unwrap();
        (first & 0x0F, payload)
    })
}

fn message(server: &TestServer, client: &mut DuplexStream) -> Value {
    loop {
        match frame(server, client) {
            (9, _) => {}
            (1, text) => return serde_json::from_slice(&text).unwrap(),
            (opcode, payload) => panic!("{opcode} {:?}", String::from_utf8_lossy(&payload)),
        }
    }
}

fn stream(values: &[(i64, &str)]) -> Value {
    let values: Vec<Value> =
        values.iter().map(|(second, line)| json!([at(*second), line])).collect();
    json!([{"stream": {"app": "shop"}, "values": values}])
}

#[test]
fn lines_of_the_past_come_first_and_then_new_ones() {
    let server = server();
    let shop = json!({"app": "shop"});
    push(&server, &shop, &[(-90, "a"), (-60, "b"), (-30, "c")]);
    push(&server, &json!({"app": "other"}), &[(-20, "x")]);
    let mut client = following(&server, &format!("{PATH}&limit=2"), "");
    assert_eq!(
        message(&server, &mut client),
        json!({"streams": stream(&[(-60, "b"), (-30, "c")])})
    );
    push(&server, &json!({"app": "other"}), &[(0, "x")]);
    push(&server, &shop, &[(0, "d")]);
    assert_eq!(message(&server, &mut client), json!({"streams": stream(&[(0, "d")])}));
    push(&server, &shop, &[(-1_000, "late")]);
    assert_eq!(message(&server, &mut client), json!({"streams": stream(&[(-1_000, "late")])}));
    server.block_on(async {
        // A ping of "hi" in the mask of zeros, and a close.
        client.write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
        client.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    });
    assert_eq!(frame(&server, &mut client), (10, b"hi".to_vec()));
    assert_eq!(frame(&server, &mut client), (8, 1_000_u16.to_be_bytes().to_vec()));
    let left = server.block_on(async { client.read_to_end(&mut Vec::new()).await.unwrap() });
    assert_eq!(left, 0);
}

#[test]
fn lines_are_filtered_and_shaped_as_asked() {
    let server = server();
    let flags = "x-loki-response-encoding-flags: categorize-labels\r\n";
    let mut categorized = following(&server, &format!("{PATH} |= \"b\""), flags);
    let mut merged = following(&server, PATH, "");
    let mut legacy = following(&server, "/api/prom/tail?query={app=\"shop\"}", "");
    let values = json!([[at(-2), "a"], [at(-1), "b", {"id": "7"}]]);
    let body = json!({"streams": [{"stream": {"app": "shop"}, "values": values}]}).to_string();
    assert_eq!(server.send(PUSH, &[JSON], body).status, 204);
    let found = message(&server, &mut categorized);
    assert_eq!(
        found,
        json!({"streams": [{"stream": {"app": "shop"}, "values": [
        [at(-1), "b", {"structuredMetadata": {"id": "7"}}],
    ]}], "encodingFlags": ["categorize-labels"]})
    );
    let found = message(&server, &mut merged);
    assert_eq!(
        found,
        json!({"streams": [
            {"stream": {"app": "shop"}, "values": [[at(-2), "a"]]},
            {"stream": {"app": "shop", "id": "7"}, "values": [[at(-1), "b"]]},
        ]})
    );
    let found = message(&server, &mut legacy);
    assert_eq!(
        found["streams"][0],
        json!({"labels": "{app=\"shop\"}", "entries": [
            {"ts": "2023-11-14T22:13:18Z", "line": "a"},
        ]})
    );
}

#[test]
fn a_slow_client_is_told_what_it_missed_and_holds_nobody_up() {
    let server = server();
    let mut client = following(&server, PATH, "");
    let line = "x".repeat(900_000);
    for second in 0..14 {
        push(&server, &json!({"app": "shop"}), &[(second, &line)]);
        push(&server, &json!({"app": "other"}), &[(second, &line)]);
    }
    assert_eq!(server.lines().len(), 28);
    let (mut sent, mut missed) = (0, Vec::new());
    while sent + missed.len() < 14 {
        let found = message(&server, &mut client);
        sent += found["streams"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|s| s["values"].as_array())
            .flatten()
            .count();
        missed.extend(found["dropped_entries"].as_array().into_iter().flatten().cloned());
    }
    assert!(sent > 1 && !missed.is_empty(), "{sent} {missed:?}");
    assert_eq!(missed[missed.len() - 1], json!({"labels": {"app": "shop"}, "timestamp": at(13)}));
}

#[test]
fn following_is_bounded() {
    let server = TestServer::new(|setup| {
        setup.settings.logs.max_concurrent_tail_requests = 2;
    });
    let first = following(&server, PATH, "");
    let _second = following(&server, PATH, "");
    let (_, head) = follow(&server, PATH, "");
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let _other = following(&server, PATH, "x-scope-orgid: other\r\n");
    drop(first);
    // Its place is free as soon as the server has noticed.
    while !follow(&server, PATH, "").1.starts_with("http/1.1 101") {}

    let server = TestServer::new(|setup| {
        setup.settings.logs.tail_max_duration = "1ms".parse().unwrap();
    });
    let mut client = following(&server, PATH, "");
    let (opcode, payload) = frame(&server, &mut client);
    let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
    assert_eq!((opcode, &payload[..2]), (8, &1_000_u16.to_be_bytes()[..]));
    assert!(reason.contains("tail_max_duration"), "{reason}");
}

#[test]
fn bad_requests_are_answered_and_a_stop_ends_all() {
    let server = server();
    for path in [
        "/loki/api/v1/tail?query=rate({app=\"a\"}[1m])",
        "/loki/api/v1/tail?query={",
        "/loki/api/v1/tail?query={app=\"a\"}&delay_for=6",
        "/loki/api/v1/tail?query={app=\"a\"}&limit=5001",
    ] {
        let (_, head) = follow(&server, path, "");
        assert!(head.starts_with("http/1.1 400"), "{path}: {head}");
    }
    let answer = server.send(&format!("GET {PATH}"), &[], "");
    assert!(answer.status == 400 && answer.text().contains("websocket"), "{}", answer.text());
    let mut client = following(&server, PATH, "");
    server.stopper.request();
    let (opcode, payload) = frame(&server, &mut client);
    assert_eq!((opcode, &payload[..2]), (8, &1_001_u16.to_be_bytes()[..]));
}
