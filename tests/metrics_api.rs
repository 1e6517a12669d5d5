//! The HTTP API of metrics beyond writes and queries: refused samples, snapshots, streamed answers.

use crate::remote_write::{self, Series};
use crate::support::{Folder, Server, encoded};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

fn import(server: &Server, page: &str) -> (u16, String) {
    let reply = server.post("/api/v1/import/prometheus", page.as_bytes());
    (reply.status, reply.text().to_owned())
}

fn ask(server: &Server, path: &str) -> Value {
    let reply = server.get(path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_str(reply.text()).unwrap()
}

/// The number of series that a query finds at a time.
fn count(server: &Server, query: &str, time: &str) -> usize {
    let path = format!("/api/v1/query?query={query}&time={time}");
    ask(server, &path)["data"]["result"].as_array().unwrap().len()
}

#[test]
fn samples_beyond_retention_are_refused() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "retention.metrics=1d"]);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let page = format!("kept 1 {now_ms}\nold 1 {}\nends 1 {}\n", now_ms - 86_500_000, i64::MIN);
    let (status, text) = import(&server, &page);
    assert_eq!(status, 400);
    assert!(text.starts_with("2 not stored: a sample of {__name__=\"old\"} has the "), "{text}");
    assert!(text.contains("retention.metrics, 86400 s"), "{text}");
    assert_eq!(count(&server, "kept", &(now_ms / 1_000 + 1).to_string()), 1);
    assert!(server.metric("mirador_samples_refused_total{reason=\"retention\"}") >= 1.0);
}

#[test]
fn without_retention_the_ends_of_time_are_stored_and_found() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let first = i64::MIN / 2;
    let times = [first, first + 1, -1, 0, 1];
    for time in times {
        assert_eq!(import(&server, &format!("ends{{at=\"{time}\"}} 1 {time}\n")).0, 204, "{time}");
    }
    assert_eq!(import(&server, &format!("ends 1 {}\n", i64::MIN)).0, 400);
    assert_eq!(import(&server, &format!("ends 1 {}\n", i64::MAX)).0, 400);
    let found = |server: &Server| {
        let all = ask(server, "/api/v1/series?match[]=ends")["data"].as_array().unwrap().len();
        (all, count(server, "ends", "0.001"))
    };
    assert_eq!(found(&server), (5, 3));
    for path in ["/-/flush", "/-/merge"] {
        let reply = server.post(path, b"");
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(found(&server), (5, 3), "{path}");
    }
    for query in ["ends[100y]", "rate(ends[1000000y])", "ends offset 1000000y", "ends @ -9e15"] {
        let path = format!("/api/v1/query?query={}&time=-9e9", query.replace(' ', "%20"));
        assert!(server.get(&path).status < 500, "{query}");
    }
}

#[test]
fn a_server_can_be_started_on_a_snapshot() {
    let folder = Folder::new();
    let admin = ["--set", "prometheus.admin_api=true"];
    let server = Server::start_with(folder.path(), &admin);
    let token = crate::access::token(folder.path(), &["--scope", "read"]);
    assert_eq!(import(&server, "before{a=\"b\"} 1 1700000000000\n").0, 204);
    let take = |query: &str| {
        let reply = server.post(&format!("/api/v1/admin/tsdb/snapshot{query}"), b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer: Value = serde_json::from_str(reply.text()).unwrap();
        answer["data"]["name"].as_str().unwrap().to_owned()
    };
    let first = take("");
    assert_eq!(import(&server, "after 1 1700000000000\n").0, 204);
    let without_head = take("?skip_head=true");
    // Later changes must not reach the snapshot.
    assert_eq!(server.post("/api/v1/admin/tsdb/delete_series?match[]=before", b"").status, 204);
    assert_eq!(server.post("/-/merge", b"").status, 200);
    assert_eq!(count(&server, "before", "1700000000"), 0);
    let whole = take("");

    for (name, expected) in [(&first, (1, 0)), (&without_head, (1, 0)), (&whole, (0, 1))] {
        let kept = folder.path().join("snapshots").join(name);
        let server = Server::start(&kept);
        let found = (count(&server, "before", "1700000000"), count(&server, "after", "1700000000"));
        assert_eq!(found, expected, "{name}");
        assert_eq!(import(&server, "more 1 1700000000000\n").0, 204);
        assert_eq!(server.post("/-/merge", b"").status, 200);
        assert_eq!(count(&server, "more", "1700000000"), 1);
    }
    assert_eq!(
        count(&server, "more", "1700000000"),
        0,
        "a change on one server does not reach the other"
    );
    let kept = folder.path().join("snapshots").join(&whole);
    let protected = Server::start_with(&kept, &["--set", "auth.mode=on"]);
    for (token, status) in [(token.as_str(), 200), ("mir_another", 401)] {
        let headers = [("authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let reply = protected.connect().send("GET", "/api/v1/labels", &headers, b"");
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    drop(protected);

    let listed = ask(&server, "/api/admin/snapshots");
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 3);
    for (name, status) in
        [(first.as_str(), 200), (&first, 404), ("..%2Fblobs", 400), ("x.tmp", 400)]
    {
        let reply =
            server.connect().send("DELETE", &format!("/api/admin/snapshots/{name}"), &[], b"");
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
    assert!(!folder.path().join("snapshots").join(&first).exists());
    assert_eq!(count(&server, "after", "1700000000"), 1);
}

#[test]
fn snapshots_need_their_setting() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let reply = server.post("/api/v1/admin/tsdb/snapshot", b"");
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("admin APIs disabled"), "{}", reply.text());
}

#[test]
fn exports_and_federation_are_streamed_and_come_back() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let mut page = String::new();
    for series in 0..2_000 {
        page += &format!("many{{series=\"{series:04}\"}} {series} 1700000000000\n");
    }
    assert_eq!(import(&server, &page).0, 204);
    let reply = server.get("/api/v1/export?match[]=many");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.text().lines().count(), 2_000);
    let copy = Folder::new();
    let other = Server::start(copy.path());
    assert_eq!(other.post("/api/v1/import", reply.text().as_bytes()).status, 204);
    assert_eq!(ask(&other, "/api/v1/series/count")["data"][0], 2_000);
    assert_eq!(count(&other, "many%7Bseries=%221234%22%7D==1234", "1700000000"), 1);
}

#[test]
fn parts_are_listed_as_blocks() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    assert_eq!(import(&server, "a 1 1700000000000\nb 1 1700000001000\n").0, 204);
    assert_eq!(ask(&server, "/api/v1/status/tsdb/blocks")["data"]["blocks"], serde_json::json!([]));
    assert_eq!(server.post("/internal/force_flush", b"").status, 200);
    let blocks = ask(&server, "/prometheus/api/v1/status/tsdb/blocks");
    let block = &blocks["data"]["blocks"][0];
    assert_eq!(block["minTime"], 1_700_000_000_000_i64);
    assert_eq!(block["maxTime"], 1_700_000_001_001_i64);
    assert_eq!(
        (&block["stats"]["numSamples"], &block["stats"]["numSeries"]),
        (&2.into(), &2.into())
    );
    assert_eq!(import(&server, "c 1 1700000002000\n").0, 204);
    let statistics = ask(&server, "/api/v1/status/tsdb")["data"]["headStats"].clone();
    assert_eq!(statistics["numSeries"], 3);
    assert_eq!(
        (&statistics["minTime"], &statistics["maxTime"]),
        (&block["minTime"], &1_700_000_002_000_i64.into())
    );
    let runtime = ask(&server, "/api/v1/status/runtimeinfo");
    assert_eq!(runtime["data"]["corruptionCount"], 0);
    assert!(!runtime["data"]["hostname"].as_str().unwrap().is_empty());
    let config = ask(&server, "/api/v1/status/config");
    let config = config["data"]["yaml"].as_str().unwrap();
    assert!(config.contains("\nauth:\n  mode: \"off\"\n"), "{config}");
    let flags = ask(&server, "/api/v1/status/flags");
    assert_eq!(flags["data"]["retention.metrics"], "0s");
}

#[test]
fn queries_tell_what_they_did() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let page = "{\"a.b\",\"http.status\"=\"200\"} 1 1700000000000\nup{job=\"x\"} 1 1700000000000\n";
    assert_eq!(import(&server, page).0, 204);
    let query = "/api/v1/query_range?query=sum(up)&start=1700000000&end=1700000060&step=30";
    let answer = ask(&server, &format!("{query}&stats=all&trace=1&limit=5&nocache=1"));
    let samples = &answer["data"]["stats"]["samples"];
    assert_eq!(samples["totalQueryableSamples"], 3);
    assert_eq!(samples["totalQueryableSamplesPerStep"].as_array().unwrap().len(), 3);
    assert!(answer["data"]["stats"]["timings"]["execTotalTime"].as_f64().unwrap() > 0.0);
    let trace = &answer["trace"];
    assert!(trace["duration_msec"].as_f64().unwrap() > 0.0);
    assert!(trace["children"][0]["message"].as_str().unwrap().contains("series="), "{trace}");
    assert_eq!(ask(&server, query).get("trace"), None);

    let path = "/api/v1/label/U__http_2e_status/values?extra_label=__name__=a.b";
    assert_eq!(ask(&server, path)["data"], serde_json::json!(["200"]));
    let ago = |lookback: &str| {
        let path = format!("/api/v1/query?query=up&time=1700000100&lookback_delta={lookback}");
        ask(&server, &path)["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!((ago("1m"), ago("2m")), (0, 1));
    let reply = server.get("/api/v1/query?query=up&timeout=soon");
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[test]
fn what_a_limit_refuses_is_not_counted_as_written() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "metrics.active_series_max=2"]);
    let point = |name: &str| {
        format!(
            r#"{{"name":"{name}","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":"1700000000000000000","count":"1","sum":1,"scale":0,"positive":{{"offset":0,"bucketCounts":["1"]}}}}]}}}}"#
        )
    };
    let names: Vec<String> = ["one", "two", "three", "four", "five"].map(point).to_vec();
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{}]}}]}}]}}"#,
        names.join(",")
    );
    let json = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/v1/metrics", &json, body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer: Value = serde_json::from_str(reply.text()).unwrap();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "3", "{answer}");
    assert!(partial["errorMessage"].as_str().unwrap().contains("active_series_max"), "{answer}");
    assert_eq!(ask(&server, "/api/v1/series/count")["data"][0], 2);
}

#[test]
fn a_limited_listing_is_the_beginning_of_the_whole() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let page: String = (0..40)
        .map(|n| format!("m_{}{{n=\"{n}\"}} 1 1700000000000\n", n % 4))
        .chain(["late{UUID=\"1\"} 1 1700000000000\n".to_owned()])
        .collect();
    let series = |parameters: &str| ask(&server, &format!("/api/v1/series?{parameters}"));
    let check = |selectors: &[&str], count: usize| {
        let selectors: String =
            selectors.iter().map(|one| format!("match[]={}&", encoded(one))).collect();
        let whole = series(&selectors);
        let whole = whole["data"].as_array().unwrap();
        assert_eq!(whole.len(), count, "{selectors}");
        for limit in [1, 2, 7, count - 1, count, count + 1] {
            let cut = series(&format!("{selectors}limit={limit}"));
            assert_eq!(cut["data"].as_array().unwrap()[..], whole[..limit.min(count)]);
            assert_eq!(cut.get("warnings").is_some(), limit < count, "{limit} of {selectors}");
        }
    };
    assert_eq!(import(&server, &page).0, 204);
    for state in ["head", "part"] {
        // Overlapping selectors, in another order than the answer's.
        check(&["m_3", "{n=~\".*1.*\"}", "m_0"], 27);
        check(&["{__name__!=\"\"}"], 41);
        assert_eq!(server.post("/-/flush", b"").status, 200, "{state}");
    }
}

#[test]
fn what_is_left_out_of_a_remote_write_is_counted_by_reason() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let series = |labels: &[(&str, &str)]| Series::new(labels).sample(1_700_000_000_000, 1.0);
    let up = ("__name__", "up");
    let (good, nameless) = (series(&[up]), series(&[("job", "x")]));
    let doubled = series(&[up, ("job", "x"), ("job", "y")]);
    let send = |all: &[Series]| remote_write::send(server.address, &remote_write::request(all));
    let reply = send(&[good, nameless.clone(), doubled.clone(), doubled]);
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_eq!(reply.header("x-prometheus-remote-write-samples-written"), Some("1"));
    let reply = send(&[nameless]);
    assert_eq!((reply.status, reply.text()), (400, "a series has no metric name\n"));
    let refused = |reason: &str| {
        server.metric(&format!("mirador_samples_refused_total{{reason=\"{reason}\"}}"))
    };
    assert_eq!((refused("metric_name"), refused("duplicate_label")), (2.0, 2.0));
}
