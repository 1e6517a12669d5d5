//! Clients that hold connections and answers without using them.

use super::{at_once, others_are_served, start};
use crate::client::Connection;
use crate::remote_write::{Series, write};
use crate::support::{Folder, Server, wait_for};
use std::time::{Duration, Instant};

/// Series with long labels: their names alone are an answer of megabytes.
fn fill(server: &Server) {
    for batch in 0..40 {
        let series: Vec<Series> = (0..100)
            .map(|index| {
                let id = format!("{batch}-{index}-{}", "x".repeat(4_000));
                Series::new(&[("__name__", "large"), ("id", &id)]).sample(super::TIME_MS, 1.0)
            })
            .collect();
        write(server.address, &series);
    }
}

const LARGE: &str =
    "GET /api/v1/query?query=large&time=1700000000 HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn answers_that_nobody_reads() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    fill(&server);
    // Sixteen megabytes each.
    let _held = at_once(60, |_| {
        let mut connection = server.connect();
        connection.write(LARGE.as_bytes()).unwrap();
        connection
    });
    wait_for("the queries to be answered", || {
        let busy = server.metric("mirador_request_memory_bytes");
        (busy > 0.0).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    others_are_served(&server);
}

#[test]
fn a_slow_reader_is_not_cut_off_while_there_is_room() {
    let folder = Folder::new();
    let settings = ["--set", "limits.idle_timeout=1s", "--set", "limits.connections=4"];
    let server = start(folder.path(), &settings);
    fill(&server);
    let mut slow = server.connect();
    slow.write(LARGE.as_bytes()).unwrap();
    // Longer than a connection may idle, while others need places.
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        let idle = server.get("/ready");
        assert_eq!(idle.status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    let reply = slow.read_reply().unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.body.len() > 16_000_000, "{}", reply.body.len());
}

#[test]
fn a_client_that_stops_reading_is_disconnected() {
    let folder = Folder::new();
    let server = start(folder.path(), &["--set", "limits.answer_timeout=1s"]);
    fill(&server);
    let mut deaf = server.connect();
    deaf.write(LARGE.as_bytes()).unwrap();
    wait_for("the answer to be given up", || {
        let held = server.metric("mirador_request_memory_bytes");
        let open = server.metric("mirador_http_connections_open");
        (held < 1_000_000.0 && open <= 1.0).then_some(())
    });
    assert!(deaf.read_reply().is_err());
}

#[test]
fn health_is_told_when_all_connections_are_taken() {
    let folder = Folder::new();
    let server = start(folder.path(), &["--set", "limits.connections=8"]);
    let endless = "POST /api/v1/write HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n";
    let mut taken: Vec<Connection> = Vec::new();
    for _ in 0..8 {
        let mut connection = server.connect();
        connection.write(endless.as_bytes()).unwrap();
        taken.push(connection);
    }
    wait_for("all connections to be taken", || {
        let reply = server.get("/api/v1/labels");
        (reply.status == 503).then(|| {
            assert!(reply.text().contains("limits.connections"), "{}", reply.text());
            assert_eq!(reply.header("connection"), Some("close"));
            assert!(reply.header("retry-after").is_some());
        })
    });
    for path in ["/healthy", "/ready", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    drop(taken);
    wait_for("a place", || (server.get("/api/v1/labels").status == 200).then_some(()));
}

#[test]
fn a_preface_of_http2_is_no_reason_to_stay() {
    let folder = Folder::new();
    let server = start(folder.path(), &["--set", "limits.header_timeout=1s"]);
    for begun in ["PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut connection = server.connect();
        connection.write(begun.as_bytes()).unwrap();
        let started = Instant::now();
        assert!(connection.is_closed());
        assert!(started.elapsed() < Duration::from_secs(30), "{begun:?}");
    }
}
