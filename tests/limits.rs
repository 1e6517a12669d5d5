//! Clients that send too much, send too slowly, or send nonsense.

use crate::support::{Folder, Server, say, wait_for};
use std::time::Duration;

#[test]
fn bodies_are_bounded_before_and_after_unpacking() {
    let folder = Folder::new();
    let settings = ["--set", "limits.body_size=100KiB", "--set", "limits.decompressed_size=200KiB"];
    let server = Server::start_with(folder.path(), &settings);
    let big = vec![b'1'; 200 << 10];
    let reply = server.post("/-/probe", &big);
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("limits.body_size"), "{}", reply.text());
    let send = |encoding: &str, body: &[u8]| {
        server.connect().send("POST", "/-/probe", &[("content-encoding", encoding)], body)
    };
    // Ten bytes that claim to decompress to 64 MiB.
    let lie = [0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0, 0, 0];
    let reply = send("snappy", &lie);
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("raise limits.decompressed_size"), "{}", reply.text());
    assert_eq!(send("gzip", b"no gzip").status, 400);
    assert_eq!(send("br", b"x").status, 415);
    let reply = server.post("/-/probe", b"1 ok\nnonsense\n");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("line 2"), "{}", reply.text());
    assert!(server.stored_ids().is_empty(), "a refused body stores nothing");
}

#[test]
fn headers_are_bounded() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let long = "x".repeat(60 << 10);
    let reply = server.connect().try_send("GET", "/ready", &[("x-long", &long)], b"");
    assert!(reply.is_err() || reply.unwrap().status == 431);
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn slow_clients_are_disconnected() {
    let folder = Folder::new();
    let settings = ["--set", "limits.header_timeout=1s", "--set", "limits.body_timeout=1s"];
    let server = Server::start_with(folder.path(), &settings);
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write(b"GET /ready HTTP/1.1\r\nhost: x\r\n").unwrap();
    let mut trickle = server.connect();
    trickle.write(b"POST /-/probe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n1 ").unwrap();
    assert_eq!(trickle.read_reply().unwrap().status, 408);
    assert!(silent.is_closed() && half.is_closed());
}

#[test]
fn an_idle_connection_is_closed_for_a_new_one() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "limits.connections=8"]);
    let mut idle: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for _ in 0..20 {
        assert_eq!(server.get("/ready").status, 200);
    }
    assert!(idle[0].is_closed(), "the longest idle one had to go");
}

#[test]
fn a_keep_alive_connection_serves_many_requests() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "limits.header_timeout=1s"]);
    let mut connection = server.connect();
    assert_eq!(connection.send("GET", "/ready", &[], b"").status, 200);
    // The pause between requests is longer than a client may take for headers, but the client is
    // not slow.
    std::thread::sleep(Duration::from_millis(1_800));
    assert_eq!(connection.send("GET", "/ready", &[], b"").status, 200);
}

#[test]
fn nonsense_closes_the_connection_and_nothing_else() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.write(garbage).unwrap();
        let _ = connection.write(&[0xFF; 64]);
        assert!(connection.is_closed());
    }
    wait_for("the connections to go", || {
        (server.metric("mirador_http_connections_open") <= 1.0).then_some(())
    });
}

/// The figure that the limit goes by is the memory that the process really takes: with long label
/// values, and with ordinary series.
#[test]
fn the_memory_of_heads_is_known() {
    let long = |number: u64| format!("m{{v=\"{number:0>4000}\"}} 1\n");
    check_memory("long label values", 500, long);
    let ordinary = |number: u64| {
        let (job, instance) = (number % 7, number / 50);
        format!(
            "m{{job=\"job-{job}\",instance=\"host-{instance}:9100\",n=\"{number}\"}} {number}\n"
        )
    };
    check_memory("ordinary series", 5_000, ordinary);
}

fn check_memory(what: &str, lines: u64, line: impl Fn(u64) -> String) {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "storage.flush_interval=1h"]);
    let write = |batch: u64| {
        let body: String = (batch * lines..(batch + 1) * lines).map(&line).collect();
        let reply = server.post("/api/v1/import/prometheus", body.as_bytes());
        assert!(reply.status < 300, "{}", reply.text());
    };
    // A measurement a second; the allocator returns memory after one.
    let settled = || {
        std::thread::sleep(Duration::from_secs(4));
        let metric = |name| server.metric(name);
        [metric("process_resident_memory_bytes"), metric("mirador_metrics_head_bytes")]
    };
    write(0);
    let before = settled();
    (1..40).for_each(write);
    let after = settled();
    let [process, heads] = [after[0] - before[0], after[1] - before[1]];
    say(&format!("{what}: heads have {heads} bytes more, the process {process}"));
    assert!((0.75..1.25).contains(&(heads / process)), "{heads} is not near {process}");
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    let settings = ["--set", "storage.head_memory=64MiB", "--set", "storage.flush_interval=1h"];
    let server = Server::start_with(folder.path(), &settings);
    let write = |batch: u64| {
        let line = |number: u64| format!("m{{v=\"{number:0>4000}\"}} 1\n");
        let body: String = (batch * 500..batch * 500 + 500).map(line).collect();
        server.post("/api/v1/import/prometheus", body.as_bytes())
    };
    // 500 series of 4,000 bytes, which the labels hold and the index.
    let taken = (0..100).take_while(|batch| write(*batch).status < 300).count();
    assert!((12..=17).contains(&taken), "{taken}");
    let refusal = write(100);
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(refusal.header("retry-after").is_some());
    assert!(refusal.text().contains("storage.head_memory"), "{}", refusal.text());
    assert!(write(1).status < 300, "series that are known are still written");
}

#[test]
fn a_tenant_too_many_is_refused_for_good() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "storage.tenants=2"]);
    let write = |tenant: &str| {
        let path = "/api/v1/import/prometheus";
        server.connect().send("POST", path, &[("x-scope-orgid", tenant)], b"up 1\n")
    };
    assert!(write("a").status < 300 && write("b").status < 300);
    let refusal = write("c");
    assert_eq!(refusal.status, 403, "{}", refusal.text());
    assert!(refusal.text().contains("storage.tenants"), "{}", refusal.text());
    assert!(write("a").status < 300);
}
