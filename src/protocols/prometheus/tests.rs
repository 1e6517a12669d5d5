//! Requests and answers: fixtures of text, and remote write's bytes.

use crate::services::{Kept, PerTenant};
use crate::testing::{NOW_MS, TestServer};
use model::TenantId;
use prost::Message;
use query::{CancelFlag, PoolSettings};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use wire::proto::io::prometheus::client::{MetricFamily, MetricType};
use wire::proto::prometheus::ReadResponse;
use wire::protobuf::Writer;

fn kept(age_ms: i64) -> PerTenant<Kept> {
    PerTenant::new(Kept { age_ms: Some(age_ms), setting: "retention.metrics" })
}

fn server() -> TestServer {
    let server = TestServer::new(|_| {});
    server.play("import.txt");
    server
}

#[test]
fn imports() {
    server();
}

#[test]
fn queries() {
    server().play("query.txt");
}

#[test]
fn listings() {
    server().play("labels.txt");
}

#[test]
fn statuses() {
    server().play("status.txt");
}

#[test]
fn parts_are_shown_as_blocks() {
    let server = server();
    server.flush();
    let answer = server.send("GET /api/v1/status/tsdb/blocks", &[], "");
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let parts = server.metrics.store.parts(&TenantId::default_tenant());
    let part = parts.first().unwrap();
    assert_eq!(parts.len(), 1, "one day, one part");
    let block = serde_json::json!({
        "ulid": part.id.to_string(),
        "minTime": 1_699_999_940_000_i64,
        "maxTime": 1_699_999_994_001_i64,
        "stats": { "numSamples": 12, "numSeries": 6, "numBytes": part.bytes },
        "compaction": { "level": 1, "sources": [part.id.to_string()] },
        "version": 1,
    });
    assert_eq!(answer["data"], serde_json::json!({ "blocks": [block] }));
    let statistics = server.send("GET /api/v1/status/tsdb", &[], "").text();
    assert!(statistics.contains(r#""chunkCount":6"#), "a series of a part: {statistics}");
}

#[test]
fn flags_and_features_tell_the_truth() {
    let server = TestServer::new(|setup| {
        setup.services.settings = vec![("retention.metrics".to_owned(), "30d".to_owned())];
        setup.services.metric_retention = kept(30 * 86_400_000);
        setup.settings.prometheus.admin_api = true;
    });
    let data = |path: &str| -> serde_json::Value {
        let answer = server.send(&format!("GET /prometheus/api/v1/{path}"), &[], "");
        assert_eq!(answer.status, 200);
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["data"].take()
    };
    let flags = data("status/flags");
    for (name, value) in [
        ("retention.metrics", "30d"),
        ("storage.tsdb.retention.time", "30d"),
        ("web.enable-admin-api", "true"),
        ("query.lookback-delta", "5m"),
    ] {
        assert_eq!(flags[name], value, "{name}");
    }
    let features = data("features");
    let is_flag = |one: &serde_json::Value| one.is_boolean();
    let categories = features.as_object().unwrap().values();
    assert!(categories.flat_map(|names| names.as_object().unwrap().values()).all(is_flag));
    assert_eq!(features["promql_functions"]["rate"], true);
    assert_eq!(features["promql_functions"]["info"], false, "experimental ones are off");
    assert_eq!(data("status/runtimeinfo")["storageRetention"], "30d");
}

#[test]
fn what_grafana_asks() {
    server().play("grafana.txt");
}

#[test]
fn forms_may_be_long_and_selectors_many_but_not_without_bounds() {
    let server = server();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ask = |path: &str, body: String| {
        let answer = server.send(&format!("POST /api/v1/{path}"), &form, body);
        (answer.status.as_u16(), answer.text())
    };
    let jobs: Vec<String> =
        (0..30_000).map(|number| format!("job-number-{number}-of-many")).collect();
    let query = format!("query=count(up{{job=~\"api|{}\"}})", jobs.join("|"));
    let (status, text) = ask("query", query);
    assert!(status == 200 && text.contains(r#""value":[1700000000,"1"]"#), "{text}");

    assert_eq!(ask("series", "match[]=up&".repeat(1_000)).0, 200);
    let filtered = |selectors: usize, filters: usize| {
        "match[]=up&".repeat(selectors) + &"extra_filters[]={job=\"api\"}&".repeat(filters)
    };
    assert_eq!(ask("series", filtered(25, 40)).0, 200);
    let long = "x".repeat(200_000);
    let multiplied = format!("{}extra_filters[]={{a=\"{long}\"}}", "match[]=up&".repeat(1_000));
    for many in ["match[]=up&".repeat(1_001), filtered(1_000, 5_000), filtered(26, 40), multiplied]
    {
        let (status, text) = ask("series", many);
        assert!(status == 400 && text.contains("a request may have 1000 selectors"), "{text}");
    }
}

/// Those of the query, of `match[]` and of `extra_filters[]` together.
#[test]
fn regular_expressions_have_one_budget_per_request() {
    let server = server();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ask = |path: &str, body: String| {
        let answer = server.send(&format!("POST /api/v1/{path}"), &form, body);
        (answer.status.as_u16(), answer.text())
    };
    let filters = |count: usize| "&extra_filters[]={a=~\".x\"}".repeat(count);
    let selector = |count: usize| format!("{{{}}}", "a=~\".x\",".repeat(count));
    assert_eq!(ask("series", format!("match[]={}{}", selector(400), filters(1))).0, 200);
    assert_eq!(ask("query", format!("query={}{}", selector(400), filters(100))).0, 200);
    for (path, body) in [
        ("series", "match[]={a=~\".x\"}&".repeat(501)),
        ("series", format!("match[]={}{}", selector(500), filters(1))),
        ("query", format!("query={}{}", selector(401), filters(100))),
        ("query", format!("query=up{}", filters(501))),
        ("query_exemplars", format!("query={}{}", selector(401), filters(100))),
        ("query", format!("query=up&extra_filters[]={{{}}}", "a=~\"\\\\pL{20}\",".repeat(499))),
    ] {
        let (status, text) = ask(path, body);
        assert!(status == 400 && text.contains("too many regular expressions"), "{path}: {text}");
    }
}

/// Series whose labels sort before the name, so that listing them in order needs all at once.
#[test]
fn what_is_listed_counts_against_the_memory_of_queries() {
    let server = TestServer::new(|setup| {
        setup.services.metric_options.engine.memory_max = 20_000;
        setup.services.query_memory = Arc::new(query::Budget::new(1 << 20));
    });
    let lines: String = (0..200)
        .map(|id| {
            format!("m{id}{{A=\"{}{id}\",l{id}=\"{}\"}} 1\n", "v".repeat(300), "w".repeat(60))
        })
        .collect();
    assert_eq!(server.send("POST /api/v1/import/prometheus", &[], lines).status, 204);
    let metadata: String =
        (0..200).map(|id| format!("# HELP m{id} {}\nm{id} 1\n", "h".repeat(300))).collect();
    assert_eq!(server.send("POST /api/v1/import/prometheus", &[], metadata).status, 204);
    for path in [
        "/api/v1/series?match[]={A!=\"\"}",
        "/api/v1/series?match[]={A!=\"\"}&limit=1",
        "/api/v1/label/A/values",
        "/api/v1/label/A/values?match[]={A!=\"\"}",
        "/api/v1/labels?match[]={A!=\"\"}&match[]={A=~\".+\"}&match[]={A=~\"v.*\"}",
        "/api/v1/metadata",
        "/api/v1/status/tsdb",
        "/api/v1/export?match[]={A!=\"\"}",
        "/federate?match[]={A!=\"\"}",
        "/api/v1/query?query={A!=\"\"}",
        "/api/v1/query?query={A!=\"\"}[1h]",
    ] {
        let answer = server.send(&format!("GET {path}"), &[], "");
        let text: String = answer.text().chars().take(300).collect();
        assert_eq!(answer.status, 422, "{path}: {text}");
        assert!(text.contains("needs more than 20000 bytes of memory: ask for fewer"), "{text}");
        assert!(text.contains("raise promql.max_memory"), "{text}");
    }
    let few = server.send("GET /api/v1/series?match[]={A!=\"\",__name__=\"m1\"}", &[], "");
    assert_eq!(few.status, 200);
    server.flush();
    for path in ["/api/v1/label/A/values", "/api/v1/metadata", "/api/v1/status/tsdb"] {
        assert_eq!(server.send(&format!("GET {path}"), &[], "").status, 422, "{path}");
    }
}

#[test]
fn a_listing_waits_for_others_when_memory_is_short() {
    let all = Arc::new(query::Budget::new(1_000));
    let shared = Arc::clone(&all);
    let server = TestServer::new(move |setup| setup.services.query_memory = shared);
    server.play("import.txt");
    let labels = || server.send("GET /api/v1/labels", &[], "");
    assert_eq!(labels().status, 200);
    let other = all.reserve(1_000).unwrap();
    let refused = labels();
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "2"));
    assert!(refused.text().contains("raise limits.query_memory"), "{}", refused.text());
    drop(other);
    assert_eq!((labels().status.as_u16(), all.held()), (200, 0));
}

#[test]
fn forms_may_come_in_parts() {
    let body =
        "--cut\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\ncount(up)\r\n--cut--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=cut")];
    let answer = server().send("POST /api/v1/query", &headers, body);
    assert!(answer.text().contains(r#""value":[1700000000,"2"]"#), "{}", answer.text());
}

#[test]
fn answers_are_packed_as_their_client_accepts() {
    use std::io::Read as _;
    let server = server();
    let ask = |accepted: &str| {
        server.send("GET /api/v1/status/flags", &[("accept-encoding", accepted)], "")
    };
    let many = TestServer::new(|setup| {
        let setting = |number: i32| (format!("a.setting.{number}"), "x".repeat(100));
        setup.services.settings = (0..100).map(setting).collect();
    });
    let deflated = many.send("GET /api/v1/status/flags", &[("accept-encoding", "deflate, br")], "");
    assert_eq!(deflated.header("content-encoding"), "deflate");
    let mut plain = String::new();
    flate2::read::ZlibDecoder::new(&deflated.body[..]).read_to_string(&mut plain).unwrap();
    assert!(plain.contains("a.setting.99"));
    let both = many.send("GET /api/v1/status/flags", &[("accept-encoding", "deflate, gzip")], "");
    assert_eq!(both.header("content-encoding"), "gzip");
    assert_eq!(ask("deflate").header("content-encoding"), "", "small answers are not packed");
}

#[test]
fn a_slash_at_the_end_leads_to_the_path_without_it() {
    let server = server();
    for (asked, location) in [
        ("/api/v1/query/?query=up", "/api/v1/query?query=up"),
        ("/prometheus/api/v1/labels/", "/prometheus/api/v1/labels"),
    ] {
        let answer = server.send(&format!("POST {asked}"), &[], "");
        assert_eq!((answer.status.as_u16(), answer.header("location")), (308, location));
    }
    for path in ["//api/v1/query/", "/elsewhere/", "/"] {
        assert_eq!(server.send(&format!("GET {path}"), &[], "").status, 404, "{path}");
    }
}

#[test]
fn a_header_chooses_start_timestamps_for_one_query() {
    let server = server();
    let ask = |value: &str| {
        let headers = [("X-Prometheus-Use-Start-Timestamps", value)];
        server.send("GET /api/v1/query?query=rate(http_requests_total[1m])", &headers, "")
    };
    for value in ["true", "false", "1", "0"] {
        assert_eq!(ask(value).status, 200, "{value}");
    }
    let refused = ask("perhaps");
    assert!(refused.status == 400 && refused.text().contains("send true or false"));
}

/// Keeps the only thread of the server's query pool busy until the sender is dropped.
fn with_busy_pool(waiting_max: usize, tenant_waiting_max: usize) -> (TestServer, Sender<()>) {
    let queries = PoolSettings { threads: 1, waiting_max, tenant_waiting_max };
    let server = TestServer::new(|setup| setup.queries = queries);
    server.play("import.txt");
    let (end, ended) = channel::<()>();
    let busy = move || assert!(ended.recv().is_err(), "nothing is sent");
    server.pool.submit(&TenantId::default_tenant(), CancelFlag::new(), busy).unwrap();
    while server.pool.load().running == 0 {
        std::thread::yield_now();
    }
    (server, end)
}

const QUERY: &str = "GET /api/v1/query?query=sum(up)";
const NOISY: &[(&str, &str)] = &[("x-scope-orgid", "noisy")];
const QUIET: &[(&str, &str)] = &[("x-scope-orgid", "quiet")];

#[test]
fn a_tenant_that_floods_the_queue_is_refused_and_others_are_answered() {
    let (server, end) = with_busy_pool(10, 3);
    let noisy = [1, 2, 3].map(|waiting| server.begin(QUERY, NOISY, waiting));
    let refused = server.send(QUERY, NOISY, "");
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "2"));
    let text = refused.text();
    assert!(text.contains(r#""errorType":"unavailable""#), "{text}");
    assert!(text.contains("raise limits.tenant_queries_waiting"), "{text}");
    let quiet = server.begin(QUERY, QUIET, 4);
    drop(end);
    assert_eq!(server.block_on(quiet).status(), 200);
    for answer in noisy {
        assert_eq!(server.block_on(answer).status(), 200);
    }
}

#[test]
fn a_full_queue_refuses_every_tenant_and_a_client_that_goes_away_makes_room() {
    let (server, end) = with_busy_pool(2, 2);
    let first = server.begin(QUERY, NOISY, 1);
    let gone = server.begin("GET /api/v1/labels", NOISY, 2);
    for path in ["query?query=up", "series?match[]=up", "status/tsdb"] {
        let refused = server.send(&format!("GET /api/v1/{path}"), QUIET, "");
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "2"), "{path}");
        assert!(refused.text().contains("raise limits.queries_waiting"), "{}", refused.text());
    }
    let read = server.send("POST /api/v1/read", &[SNAPPY, QUIET[0]], read_request(false));
    assert_eq!(read.status, 503, "{}", read.text());
    drop(gone);
    let second = server.begin(QUERY, QUIET, 2);
    drop(end);
    assert_eq!(server.block_on(first).status(), 200);
    assert_eq!(server.block_on(second).status(), 200);
}

#[test]
fn writes_streams_and_what_is_known_do_not_wait_for_queries() {
    let (server, end) = with_busy_pool(1, 1);
    let waiting = server.begin(QUERY, &[], 1);
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    assert_eq!(server.send("POST /api/v1/write", &[SNAPPY], body).status, 204);
    for path in ["/api/v1/export?match[]=up", "/federate?match[]=up", "/api/v1/status/buildinfo"] {
        assert_eq!(server.send(&format!("GET {path}"), &[], "").status, 200, "{path}");
    }
    let chunks = server.send("POST /api/v1/read", &[SNAPPY], read_request(true));
    assert_eq!(chunks.status, 200);
    drop(end);
    assert_eq!(server.block_on(waiting).status(), 200);
}

#[test]
fn limits_say_what_raises_them() {
    let server = TestServer::new(|setup| setup.services.metric_options.engine.samples_max = 1);
    server.play("import.txt");
    let answer = server.send("GET /api/v1/query?query=up", &[], "");
    assert_eq!(answer.status, 422);
    let advice = "in query execution: ask for fewer series or a longer step, or raise \
                  promql.max_samples";
    assert!(answer.text().contains(advice), "{}", answer.text());
}

type LabelPairs = &'static [(&'static str, &'static str)];

/// A version 1 request: series of one sample each.
fn version1(series: &[(LabelPairs, f64, i64)]) -> Vec<u8> {
    let mut writer = Writer::new();
    for (labels, value, timestamp_ms) in series {
        writer.message(1, |series| {
            for (name, text) in *labels {
                series.message(1, |label| {
                    label.text(1, name);
                    label.text(2, text);
                });
            }
            series.message(2, |sample| {
                sample.double(1, *value);
                sample.signed(2, *timestamp_ms);
            });
        });
    }
    writer.into_bytes()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

const UP: LabelPairs = &[("__name__", "up"), ("job", "x")];
const NAMELESS: LabelPairs = &[("job", "x")];
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const VERSION_2: (&str, &str) =
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

#[test]
fn remote_write_is_stored_and_counted() {
    let server = TestServer::new(|_| {});
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    for path in ["/api/v1/write", "/prometheus/api/v1/write", "/api/v1/push"] {
        let answer = server.send(&format!("POST {path}"), &[SNAPPY], body.clone());
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "1");
        assert_eq!(answer.header("x-prometheus-remote-write-histograms-written"), "0");
    }
    let found = server.send("GET /api/v1/query?query=up", &[], "");
    assert!(found.text().contains(r#""value":[1700000000,"1"]"#), "{}", found.text());
}

#[test]
fn extra_labels_of_the_url_are_those_of_every_series() {
    let server = TestServer::new(|_| {});
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    let write = "POST /api/v1/write?extra_label=dc=seoul%201&extra_label=job=agent";
    assert_eq!(server.send(write, &[SNAPPY], body.clone()).status, 204);
    let text = "POST /api/v1/import/prometheus?extra_label=dc=b&timestamp=1699999999000";
    assert_eq!(server.send(text, &[], "up{dc=\"a\"} 2\n").status, 204);
    let line = r#"{"metric":{"__name__":"up"},"values":[3],"timestamps":[1700000000000]}"#;
    let json = "POST /api/v1/import?extra_label=dc=c";
    assert_eq!(server.send(json, &[], line).status, 204);
    let found = server.send("GET /api/v1/query?query=up", &[], "").text();
    for one in [
        r#"{"metric":{"__name__":"up","dc":"seoul 1","job":"agent"},"value":[1700000000,"1"]}"#,
        r#"{"metric":{"__name__":"up","dc":"b"},"value":[1700000000,"2"]}"#,
        r#"{"metric":{"__name__":"up","dc":"c"},"value":[1700000000,"3"]}"#,
    ] {
        assert!(found.contains(one), "{one} is not in {found}");
    }
    let times = server.send("GET /api/v1/query?query=timestamp(up{dc=\"b\"})", &[], "").text();
    assert!(times.contains("1699999999"), "{times}");

    let bad = server.send("POST /api/v1/write?extra_label=dc", &[SNAPPY], body);
    assert_eq!(
        (bad.status.as_u16(), bad.text().as_str()),
        (400, "extra_label must be name=value\n")
    );
    let bad = server.send("POST /api/v1/import/prometheus?timestamp=soon", &[], "up 1\n");
    assert_eq!(bad.status, 400);
}

#[test]
fn vmagents_zstd_is_taken() {
    let server = TestServer::new(|_| {});
    let body = zstd::encode_all(&version1(&[(UP, 1.0, NOW_MS)])[..], 1).unwrap();
    let headers = [("content-encoding", "zstd"), ("x-victoriametrics-remote-write-version", "1")];
    assert_eq!(server.send("POST /api/v1/write", &headers, body).status, 204);
}

#[test]
fn what_is_not_spoken_is_415() {
    let server = TestServer::new(|_| {});
    let other = ("content-type", "application/x-protobuf;proto=some.Other");
    for headers in [[SNAPPY, other], [SNAPPY, ("content-type", "text/plain")]] {
        let answer = server.send("POST /api/v1/write", &headers, "");
        assert_eq!(answer.status, 415, "{}", answer.text());
    }
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(server.send("POST /api/v1/write", &gzip, "").status, 415);
}

#[test]
fn permanent_errors_are_400_and_passing_ones_503() {
    let server = TestServer::new(|_| {});
    let send = |body: Vec<u8>| server.send("POST /api/v1/write", &[SNAPPY], body);
    assert_eq!(send(b"no snappy".to_vec()).status, 400);
    assert_eq!(send(snappy(b"\xff\xff")).status, 400);

    let good = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    let answer = server.send_to_broken_disk("POST /api/v1/write", &[SNAPPY], good.clone());
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    let text = answer.text();
    assert!(text.starts_with("the write-ahead log takes no writes: "), "{text}");
    assert_eq!(send(good).status, 204);
}

#[test]
fn version_1_skips_bad_series_and_fails_when_nothing_is_left() {
    let server = TestServer::new(|_| {});
    let send =
        |series: &[_]| server.send("POST /api/v1/write", &[SNAPPY], snappy(&version1(series)));
    assert_eq!(send(&[(UP, 1.0, NOW_MS), (NAMELESS, 1.0, NOW_MS)]).status, 204);
    let answer = send(&[(NAMELESS, 1.0, NOW_MS)]);
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (400, "a series has no metric name\n")
    );
    let future = send(&[(UP, 1.0, NOW_MS + 600_001)]);
    assert_eq!(future.status, 400);
    assert!(future.text().contains("too far in the future"));
    assert_eq!(send(&[(UP, 1.0, NOW_MS + 600_000)]).status, 204);
}

/// With labels Prometheus skips, with histograms it fails.
#[test]
fn version_1_tells_of_bad_histograms() {
    let server = TestServer::new(|_| {});
    let mut body = version1(&[(UP, 1.0, NOW_MS)]);
    let mut bad = Writer::new();
    bad.message(1, |series| {
        series.message(1, |label| {
            label.text(1, "__name__");
            label.text(2, "h");
        });
        series.message(4, |histogram| {
            histogram.zigzag(4, 99);
            histogram.signed(15, NOW_MS);
        });
    });
    body.extend(bad.into_bytes());
    let answer = server.send("POST /api/v1/write", &[SNAPPY], snappy(&body));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), "histogram has an unknown schema 99\n");
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "1");
}

#[test]
fn samples_out_of_time_are_refused_and_the_rest_stored() {
    let day_ms = 86_400_000;
    let server = TestServer::new(|setup| setup.services.metric_retention = kept(day_ms));
    let body = snappy(&version1(&[
        (UP, 1.0, NOW_MS),
        (UP, 2.0, NOW_MS - day_ms - 1),
        (UP, 3.0, i64::MIN),
        (UP, 4.0, i64::MAX),
    ]));
    let answer = server.send("POST /api/v1/write", &[SNAPPY], body);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "1");
    let text = answer.text();
    assert!(text.starts_with(
        "a sample of {__name__=\"up\", job=\"x\"} has the timestamp 2023-11-13T22:13:19.999Z, which is older"
    ));
    assert!(
        text.contains("retention.metrics, 86400 s") && text.contains("prometheus.future_grace")
    );
    let found = server.send("GET /api/v1/query?query=up[2d]", &[], "");
    assert!(found.text().contains(r#""values":[[1700000000,"1"]]"#), "{}", found.text());

    let import = server.send("POST /api/v1/import/prometheus", &[], "up 1 5\nup 1\nup 2 -5\n");
    assert_eq!(import.status, 400);
    assert!(
        import
            .text()
            .starts_with("2 not stored: a sample of {__name__=\"up\"} has the timestamp 1970"),
        "{}",
        import.text()
    );
    let point = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"old","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"5000000","count":"1","bucketCounts":["1"]}]}}]}]}]}"#;
    let answer = server.send("POST /v1/metrics", &[("content-type", "application/json")], point);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(r#""rejectedDataPoints":"1""#), "{}", answer.text());
}

#[test]
fn a_tenant_may_have_a_retention_of_its_own() {
    let day_ms = 86_400_000;
    let brief = Kept { age_ms: Some(day_ms), setting: "tenants.retention_metrics" };
    let own = [(TenantId::new("brief").unwrap(), brief)].into();
    let default = Kept { age_ms: None, setting: "retention.metrics" };
    let server = TestServer::new(|setup| {
        setup.services.metric_retention = PerTenant { default, own };
    });
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS - 2 * day_ms)]));
    for (tenant, status, kept) in [("brief", 400, "1d"), ("default", 204, "")] {
        let headers = [SNAPPY, ("x-scope-orgid", tenant)];
        let answer = server.send("POST /api/v1/write", &headers, body.clone());
        assert_eq!(answer.status, status);
        let names_setting = answer.text().contains("tenants.retention_metrics, 86400 s");
        assert_eq!(names_setting, status == 400, "{}", answer.text());
        let told = server.send("GET /api/v1/status/runtimeinfo", &headers[1..], "").text();
        assert!(told.contains(&format!(r#""storageRetention":"{kept}""#)), "{told}");
    }
}

#[test]
fn the_ends_of_time_can_be_stored_and_asked_for() {
    let server = TestServer::new(|_| {});
    let (first, before) = (i64::MIN / 2, i64::MIN / 2 - 1);
    let body =
        snappy(&version1(&[(UP, 1.0, 0), (UP, 2.0, -1), (UP, 3.0, first), (UP, 4.0, before)]));
    let answer = server.send("POST /api/v1/write", &[SNAPPY], body);
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "3");
    for (query, expected) in [
        ("query?query=up&time=0", 200),
        ("query?query=up&time=1e300", 400),
        ("query?query=up%20offset%20100y&time=-4611686018427000", 200),
        ("query?query=up[100y]&time=-4611686018427000", 200),
        ("query?query=up&time=9223372036854775807", 200),
        ("query?query=up%20@%209223372036854775807&time=0", 400),
        ("query_range?query=up&start=-4611686018427387&end=4611686018427387&step=1e15", 400),
        ("query_range?query=up&start=-4611686018427387&end=4611686018427387&step=9000000000", 200),
        ("series?match[]=up&start=-4611686018427387&end=4611686018427387", 200),
        ("export?match[]=up", 200),
    ] {
        let answer = server.send(&format!("GET /api/v1/{query}"), &[], "");
        assert_eq!(answer.status, expected, "{query}: {}", answer.text());
    }
}

#[test]
fn created_lines_say_when_a_counter_began() {
    let server = TestServer::new(|setup| {
        setup.services.metric_options.engine.parse.experimental_functions = true;
        setup.services.metric_options.engine.start_timestamps = true;
    });
    let page = "# TYPE c counter\nc_total{a=\"b\"} 5 1699999990\nc_created{a=\"b\"} 1699999000.5\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 5 1699999990\nh_count 5 1699999990\n\
                h_created 1699999001\n# EOF\n";
    let headers = [("content-type", "application/openmetrics-text; version=1.0.0")];
    assert_eq!(server.send("POST /api/v1/import/prometheus", &headers, page).status, 204);
    let ask =
        |query: &str| server.send(&format!("GET /api/v1/query?query={query}"), &[], "").text();
    for (query, expected) in [
        ("start_timestamp(c_total)", r#""value":[1700000000,"1699999000.5"]"#),
        ("start_timestamp(h_bucket{le=\"1.0\"})", r#""value":[1700000000,"1699999001"]"#),
        ("{__name__=~\".*_created\"}", r#""result":[]"#),
    ] {
        let answer = ask(query);
        assert!(answer.contains(expected), "{query}: {answer}");
    }
}

/// A version 2 request of two series, the second without a name where `is_bad`.
fn version2(is_bad: bool) -> Vec<u8> {
    let mut writer = Writer::new();
    for symbol in ["", "__name__", "up", "job", "x"] {
        writer.text(4, symbol);
    }
    for refs in [&[1u8, 2, 3, 4][..], if is_bad { &[3, 4] } else { &[1, 2] }] {
        writer.message(5, |series| {
            series.bytes(1, refs);
            series.message(2, |sample| {
                sample.double(1, 2.0);
                sample.signed(2, NOW_MS);
                sample.signed(3, NOW_MS - 1);
            });
        });
    }
    writer.into_bytes()
}

#[test]
fn version_2_tells_what_was_written_either_way() {
    let server = TestServer::new(|_| {});
    for (is_bad, status, written) in [(false, 204, "2"), (true, 400, "1")] {
        let body = snappy(&version2(is_bad));
        let answer = server.send("POST /api/v1/write", &[SNAPPY, VERSION_2], body);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), written);
    }
}

#[test]
fn limits_of_labels_are_settings() {
    let server = TestServer::new(|setup| setup.settings.prometheus.labels_max = 1);
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    let answer = server.send("POST /api/v1/write", &[SNAPPY], body);
    assert_eq!(answer.text(), "\"up\" has more than 1 labels (prometheus.labels_max)\n");
}

#[test]
fn tenants_do_not_see_each_other() {
    let server = TestServer::new(|_| {});
    let tenant = |name| ("x-scope-orgid", name);
    let body = snappy(&version1(&[(UP, 1.0, NOW_MS)]));
    server.send("POST /api/v1/write", &[SNAPPY, tenant("one")], body);
    let names = |name| server.send("GET /api/v1/labels", &[tenant(name)], "").text();
    assert_eq!(names("one"), r#"{"status":"success","data":["__name__","job"]}"#);
    assert_eq!(names("two"), r#"{"status":"success","data":[]}"#);
}

#[test]
fn large_answers_are_packed_for_who_takes_it() {
    let server = server();
    let query = "GET /api/v1/query_range?query=vector(1)&start=0&end=1000&step=1";
    let plain = server.send(query, &[], "");
    let packed = server.send(query, &[("accept-encoding", "br, gzip;q=0.5")], "");
    assert_eq!(packed.header("content-encoding"), "gzip");
    let unpacked = wire::decompress(wire::Encoding::Gzip, &packed.body, 1 << 20).unwrap();
    assert_eq!(unpacked, plain.body);
    let refused = server.send(query, &[("accept-encoding", "gzip;q=0")], "");
    assert_eq!(refused.header("content-encoding"), "");
}

#[test]
fn browsers_of_other_sites_are_answered_as_the_setting_says() {
    let query = "GET /api/v1/query?query=1";
    let allowed = |server: &TestServer, line: &str, origin: &str| {
        let answer = server.send(line, &[("origin", origin)], "");
        assert!(answer.status.is_success(), "{line}");
        answer.header("access-control-allow-origin").to_owned()
    };
    let closed = TestServer::new(|_| {});
    assert_eq!(allowed(&closed, query, "http://x"), "", "no site may unless it is listed");
    assert_eq!(allowed(&closed, "OPTIONS /api/v1/query", "http://x"), "");
    let listed = |origins: &[&str]| {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        TestServer::new(|setup| setup.settings.prometheus.cors_origins = origins)
    };
    let two = listed(&["https://a.example", "https://b.example"]);
    for line in [query, "OPTIONS /api/v1/query"] {
        assert_eq!(allowed(&two, line, "https://b.example"), "https://b.example");
        assert_eq!(allowed(&two, line, "https://c.example"), "");
    }
    assert_eq!(allowed(&listed(&["*"]), query, "http://x"), "http://x");
    let answer = two.send(query, &[], "");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let varies = answer.headers.get_all("vary").iter().any(|value| value == "Origin");
    assert!(varies, "caches must keep the answers apart");
}

/// What a page of another site can have a browser send without being asked first.
#[test]
fn pages_of_other_sites_change_nothing() {
    let server = TestServer::new(|setup| {
        setup.settings.prometheus.admin_api = true;
        setup.settings.prometheus.cors_origins = vec!["https://a.example".to_owned()];
    });
    let changes = [
        ("POST /api/v1/import/prometheus", "a 1\n"),
        ("POST /api/v1/import", "{}"),
        ("POST /api/v1/write", ""),
        ("POST /v1/metrics", "{}"),
        ("POST /api/v1/admin/tsdb/delete_series?match[]=up", ""),
        ("POST /api/v1/admin/tsdb/snapshot", ""),
    ];
    for (line, body) in changes {
        for page in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://a.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let headers = [("host", "localhost:9640"), ("content-type", "text/plain"), page];
            let answer = server.send(line, &headers, body);
            assert_eq!(answer.status, 403, "{line} by a page with {page:?}");
        }
    }
    let count = server.send("GET /api/v1/query?query=count({__name__=~\".%2B\"})", &[], "");
    assert!(count.text().contains("\"result\":[]"), "nothing was stored: {}", count.text());
    for own in [&[][..], &[("host", "m:1"), ("origin", "http://m:1")]] {
        let answer = server.send("POST /api/v1/import/prometheus", own, "a 1\n");
        assert_eq!(answer.status, 204, "agents and the server's own pages: {own:?}");
    }
    let read = [("origin", "http://grafana:3000"), ("host", "mirador:9640")];
    let answer = server.send("POST /api/v1/query?query=1", &read, "");
    assert_eq!(answer.status, 200, "a proxy passes the origin of its own page on");
}

#[test]
fn browsers_may_send_otlp_where_its_setting_says_so() {
    let origin = "https://shop.example";
    let open = TestServer::new(|setup| setup.settings.otlp.cors_origins = vec![origin.to_owned()]);
    let json = [("content-type", "application/json"), ("origin", origin)];
    for path in ["/v1/metrics", "/api/v1/otlp/v1/metrics", "/otlp/v1/metrics"] {
        let before = open.send(&format!("OPTIONS {path}"), &[("origin", origin)], "");
        assert_eq!(before.status, 204, "{path}");
        assert!(before.header("access-control-allow-headers").contains("Content-Type"));
        assert_eq!(before.header("access-control-allow-methods"), "POST, OPTIONS");
        for (body, status) in [("{}", 200), ("nonsense", 400)] {
            let answer = open.send(&format!("POST {path}"), &json, body);
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), origin);
        }
    }
    let closed = TestServer::new(|_| {});
    let answer = closed.send("OPTIONS /v1/metrics", &[("origin", origin)], "");
    assert_eq!(answer.header("access-control-allow-origin"), "", "nobody unless it is set");
}

#[test]
fn admins_may_delete_where_the_setting_allows_it() {
    let server = TestServer::new(|setup| setup.settings.prometheus.admin_api = true);
    server.play("import.txt");
    let path = "POST /api/v1/admin/tsdb/delete_series";
    assert_eq!(server.send(path, &[], "").status, 400);
    assert_eq!(server.send(&format!("{path}?match[]=up"), &[], "").status, 204);
    let left = server.send("GET /api/v1/query?query=up", &[], "").text();
    assert!(left.contains(r#""result":[]"#), "{left}");
    let snapshot = server.send("POST /api/v1/admin/tsdb/snapshot", &[], "");
    assert_eq!(snapshot.text(), r#"{"status":"success","data":{"name":"a-name"}}"#);
    let snapshot = server.send("POST /api/v1/admin/tsdb/snapshot?skip_head=true", &[], "");
    assert!(snapshot.text().contains("without-head"));
    assert_eq!(server.send("POST /api/v1/admin/tsdb/snapshot?skip_head=2", &[], "").status, 400);
    // Listings tell of parts by their dictionaries: what was deleted goes with the next merge.
    server.flush();
    assert_eq!(server.send("PUT /api/v1/admin/tsdb/clean_tombstones", &[], "").status, 204);
    let left = server.send("GET /api/v1/series?match[]=up", &[], "");
    assert_eq!(left.text(), r#"{"status":"success","data":[]}"#);
}

/// A remote read of everything with a job, that takes chunks or not.
fn read_request(takes_chunks: bool) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(1, |query| {
        query.signed(1, NOW_MS - 60_000);
        query.signed(2, NOW_MS);
        query.message(3, |matcher| {
            matcher.text(2, "__name__");
            matcher.text(3, "up");
        });
    });
    if takes_chunks {
        writer.varint(2, 1);
    }
    snappy(&writer.into_bytes())
}

#[test]
fn remote_read_answers_samples_or_chunks() {
    let server = server();
    let samples = server.send("POST /api/v1/read", &[SNAPPY], read_request(false));
    assert_eq!((samples.status.as_u16(), samples.header("content-encoding")), (200, "snappy"));
    let plain = wire::decompress(wire::Encoding::Snappy, &samples.body, 1 << 20).unwrap();
    let response = ReadResponse::decode(&plain[..]).unwrap();
    let count: usize = response.results.iter().map(|result| result.timeseries.len()).sum();
    assert_eq!(count, 2);

    let chunks = server.send("POST /api/v1/read", &[SNAPPY], read_request(true));
    assert_eq!(
        chunks.header("content-type"),
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    );
    let first = usize::from(chunks.body[0]) + 5;
    let second = usize::from(chunks.body[first]) + 5;
    assert_eq!(first + second, chunks.body.len());

    assert_eq!(server.send("POST /api/v1/read", &[SNAPPY], "x").status, 400);
}

/// An exponential histogram and one with custom bounds.
fn with_histograms() -> TestServer {
    let server = TestServer::new(|setup| setup.settings.otlp.convert_histograms_to_nhcb = true);
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"up","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1699999990000000000","count":"4","sum":10,"scale":0,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["1","2"]}}]}},
        {"name":"up","histogram":{"aggregationTemporality":2,"dataPoints":[{"attributes":[{"key":"custom","value":{"stringValue":"x"}}],"timeUnixNano":"1699999990000000000","count":"3","sum":4,"bucketCounts":["1","2"],"explicitBounds":[0.5]}]}}]}]}]}"#;
    let answer = server.send("POST /v1/metrics", &[("content-type", "application/json")], body);
    assert_eq!(answer.text(), "{}");
    server
}

#[test]
fn histograms_are_exported_as_classic_ones() {
    let server = with_histograms();
    let answer = server.send("GET /api/v1/export?match[]=up", &[], "");
    let line = |labels: &str, value: &str| {
        format!("{{\"metric\":{{{labels}}},\"values\":[{value}],\"timestamps\":[1699999990000]}}\n")
    };
    let bucket =
        |le: &str, value| line(&format!("\"__name__\":\"up_bucket\",\"le\":\"{le}\""), value);
    let text = answer.text();
    for one in [
        line("\"__name__\":\"up_count\"", "4"),
        line("\"__name__\":\"up_sum\"", "10"),
        bucket("2.0", "2"),
        bucket("4.0", "4"),
        bucket("+Inf", "4"),
        line("\"__name__\":\"up_bucket\",\"custom\":\"x\",\"le\":\"0.5\"", "1"),
    ] {
        assert!(text.contains(&one), "{one} is not in {text}");
    }
    let copy = TestServer::new(|_| {});
    assert_eq!(copy.send("POST /api/v1/import", &[], text).status, 204);
    let quantile = |server: &TestServer, of: &str| {
        server.send(&format!("GET /api/v1/query?query=histogram_quantile(1,{of})"), &[], "").text()
    };
    let classic = quantile(&copy, "up_bucket{custom=\"\"}");
    assert!(classic.contains(r#""value":[1700000000,"4"]"#), "{classic}");
}

/// What is federated most: the names of recording rules.
#[test]
fn colons_need_no_quotes_in_federation() {
    let server = TestServer::new(|_| {});
    let page = "job:up:sum{a=\"b\"} 1 1700000000000\n{\"l\",\"a:b\"=\"c\"} 2 1700000000000\n";
    assert_eq!(server.send("POST /api/v1/import/prometheus", &[], page).status, 204);
    let ask = |accept| {
        let path = "GET /federate?match[]=job:up:sum&match[]=l";
        server.send(path, &[("accept", accept)], "").text()
    };
    let rule = "# TYPE job:up:sum untyped\njob:up:sum{a=\"b\",instance=\"\"} 1 1700000000000\n";
    let label = "# TYPE l untyped\nl{a_b=\"c\",instance=\"\"} 2 1700000000000\n";
    assert_eq!(ask("text/plain;version=0.0.4"), format!("{rule}{label}"));
    let label = "# TYPE l untyped\nl{\"a:b\"=\"c\",instance=\"\"} 2 1700000000000\n";
    assert_eq!(ask("text/plain;escaping=allow-utf-8"), format!("{rule}{label}"));
}

#[test]
fn histograms_are_federated_in_protobuf() {
    let server = with_histograms();
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.3";
    let ask = |accept| server.send("GET /federate?match[]=up", &[("accept", accept)], "");
    assert_eq!(ask("text/plain").text(), "", "text has no histograms");
    let answer = ask(accept);
    assert!(answer.header("content-type").ends_with("encoding=delimited"));
    let mut page = &answer.body[..];
    let family = MetricFamily::decode_length_delimited(&mut page).unwrap();
    assert!(page.is_empty(), "one family");
    assert_eq!((family.name(), family.r#type()), ("up", MetricType::Histogram));
    let histograms = family.metric.iter().filter_map(|metric| metric.histogram.as_ref());
    let (mut classic, mut spans) = (0, 0);
    for histogram in histograms {
        classic += histogram.bucket.len();
        spans += histogram.positive_span.len();
    }
    assert_eq!((classic, spans), (2, 1));
}

#[test]
fn histograms_are_read_as_chunks_and_as_samples() {
    let server = with_histograms();
    let chunks = server.send("POST /api/v1/read", &[SNAPPY], read_request(true));
    assert!(chunks.header("content-type").starts_with("application/x-streamed-protobuf"));
    let first = usize::from(chunks.body[0]) + 5;
    let second = usize::from(chunks.body[first]) + 5;
    assert_eq!(first + second, chunks.body.len(), "a frame for each series");
    let samples = server.send("POST /api/v1/read", &[SNAPPY], read_request(false));
    let plain = wire::decompress(wire::Encoding::Snappy, &samples.body, 1 << 20).unwrap();
    assert!(plain.len() > 100);
    let small = TestServer::new(|setup| setup.services.metric_options.engine.samples_max = 1);
    small.play("import.txt");
    let answer = small.send("POST /api/v1/read", &[SNAPPY], read_request(false));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(small.send("POST /api/v1/read", &[SNAPPY], read_request(true)).status, 200);
}

#[test]
fn every_path_that_is_read_answers_a_preflight() {
    let any = || vec!["*".to_owned()];
    let server = TestServer::new(|setup| setup.settings.prometheus.cors_origins = any());
    let own = server.protocols.iter().filter(|protocol| protocol.name == "prometheus");
    let routes = own.flat_map(|protocol| &protocol.routes);
    let is_read = |route: &&crate::Route<crate::Bound>| {
        route.access.scope() == Some(catalog::Scope::Read) && route.path != "/"
    };
    let read = routes.filter(is_read);
    for route in read {
        let path = route.path.replace("{name}", "job");
        let answer = server.send(&format!("OPTIONS {path}"), &[("origin", "http://x")], "");
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "http://x", "{path}");
    }
}
