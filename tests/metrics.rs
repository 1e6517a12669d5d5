//! Metrics from end to end: written by the protocols that agents use, queried as Grafana queries.

use crate::remote_write::{self, Series, request};
use crate::support::{Folder, Server, encoded, wait_for};
use serde_json::Value;

/// The tests write samples of 2023.
const KEEP_ALL: &[&str] = &["--set", "retention.metrics=0s"];

fn ask(server: &Server, path: &str) -> Value {
    crate::support::ask(server.address, path)
}

/// `(metric, value)` of an instant vector.
fn vector(server: &Server, query: &str, time: &str) -> Vec<(Value, String)> {
    let path = format!("/api/v1/query?query={}&time={time}", encoded(query));
    let answer = ask(server, &path);
    let result = answer["data"]["result"].as_array().unwrap().clone();
    let value = |one: &Value| one["value"][1].as_str().unwrap().to_owned();
    result.iter().map(|one| (one["metric"].clone(), value(one))).collect()
}

fn remote_write(server: &Server, message: &[u8]) -> u16 {
    remote_write::send(server.address, message).status
}

#[test]
fn what_is_written_is_answered_at_once_and_after_a_kill() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), KEEP_ALL);
    let labels = [("__name__", "lookouts"), ("host", "한라"), ("job", "node")];
    for step in 0..10 {
        let series = Series::new(&labels).sample(1_700_000_000_000 + step * 15_000, step as f64);
        assert_eq!(remote_write(&server, &request(&[series])), 204);
    }
    let time = "1700000135";
    let check = |server: &Server| {
        let found = vector(server, "lookouts", time);
        assert_eq!((found.len(), found[0].1.as_str()), (1, "9"));
        assert_eq!(found[0].0["host"], "한라");
        assert_eq!(vector(server, "sum(increase(lookouts[1m]))", time)[0].1, "4");
    };
    check(&server);
    server.kill();
    let server = Server::start_with(folder.path(), KEEP_ALL);
    check(&server);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    check(&server);
    assert_eq!(server.post("/-/merge", b"").status, 200);
    check(&server);
}

#[test]
fn text_can_be_pushed_and_labels_listed() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let text = "# TYPE doors gauge\n# HELP doors Open doors.\ndoors{floor=\"1\"} 3\ndoors{floor=\"2\"} 4\n";
    assert_eq!(server.post("/api/v1/import/prometheus", text.as_bytes()).status, 204);
    let sum = ask(&server, &format!("/api/v1/query?query={}", encoded("sum(doors)")));
    assert_eq!(sum["data"]["result"][0]["value"][1], "7");
    assert_eq!(ask(&server, "/api/v1/labels")["data"], serde_json::json!(["__name__", "floor"]));
    let floors = ask(&server, "/prometheus/api/v1/label/floor/values");
    assert_eq!(floors["data"], serde_json::json!(["1", "2"]));
    let series = ask(&server, &format!("/api/v1/series?match[]={}", encoded("doors{floor=\"2\"}")));
    assert_eq!(series["data"].as_array().unwrap().len(), 1);
    assert_eq!(ask(&server, "/api/v1/metadata")["data"]["doors"][0]["type"], "gauge");
}

/// The requests that Grafana's standard data source sends when it is saved and when a query is
/// written.
#[test]
fn grafana_is_answered() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    server.post("/api/v1/import/prometheus", b"up{job=\"x\"} 1\n");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = |path: &str, body: &str| {
        let reply = server.connect().send("POST", path, &form, body.as_bytes());
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let two = post("/prometheus/api/v1/query", "query=1%2B1&time=4");
    assert_eq!(two["data"]["result"][1], "2");
    let build = ask(&server, "/prometheus/api/v1/status/buildinfo");
    assert!(build["data"]["version"].is_string() && build["data"]["features"].is_null());
    let range = post("/prometheus/api/v1/query_range", "query=vector(1)&start=0&end=60&step=15");
    assert_eq!(range["data"]["result"][0]["values"].as_array().unwrap().len(), 5);
    for path in [
        "/prometheus/api/v1/rules",
        "/prometheus/api/v1/alerts",
        "/prometheus/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000001000",
        "/prometheus/api/v1/labels?limit=40000",
        "/prometheus/api/v1/label/__name__/values?limit=40000",
        "/prometheus/api/v1/metadata?limit=40000",
    ] {
        assert_eq!(ask(&server, path)["status"], "success", "{path}");
    }
    let reply = server.get("/prometheus/rules/test/test");
    assert_eq!((reply.status, reply.text()), (404, "404 page not found\n"));
}

#[test]
fn the_server_stores_its_own_metrics() {
    let folder = Folder::new();
    let mut plain = std::process::Command::new(crate::support::BINARY);
    plain.arg("--data").arg(folder.path()).args(["--listen", "127.0.0.1:0"]);
    plain.args(["--set", "listen.also=[]"]);
    plain.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let server = Server::spawn(plain).unwrap();
    wait_for("its own metrics", || {
        let up = vector(&server, "up{job=\"mirador\"}", "");
        (up.first()?.1 == "1").then_some(())
    });
    let path = "/api/v1/metadata?metric=mirador_wal_sync_seconds";
    let described = ask(&server, path)["data"]["mirador_wal_sync_seconds"].take();
    assert_eq!(described[0]["type"], "histogram", "{described}");
    let memory = vector(&server, "process_resident_memory_bytes{job=\"mirador\"}", "");
    assert!(memory[0].1.parse::<f64>().unwrap() > 1e6);
}

#[test]
fn bad_requests_are_refused_and_nothing_is_lost() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let good = Series::new(&[("__name__", "good"), ("a", "b")]).sample(1_700_000_000_000, 1.0);
    assert_eq!(remote_write(&server, &request(&[good])), 204);
    for garbage in
        [&b"\xff\xff\xff\xff\xff"[..], &[0x0a, 0xff, 0xff, 0xff, 0x7f], b"\x0a\x05\x0a\x03\x0a\x01"]
    {
        assert_eq!(remote_write(&server, garbage), 400, "{garbage:x?}");
    }
    let json = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/api/v1/write", &json, b"{}");
    assert_eq!(reply.status, 415, "{}", reply.text());
    let reply = server.get("/api/v1/query?query=sum%28");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("parse error"), "{}", reply.text());
    let reply = server.get("/api/v1/query_range?query=1&start=0&end=100000&step=1");
    assert_eq!(reply.status, 400);
    assert!(
        reply.text().contains("exceeded maximum resolution of 11,000 points"),
        "{}",
        reply.text()
    );
    assert_eq!(vector(&server, "good", "1700000000").len(), 1);
}
