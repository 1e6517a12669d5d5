//! Counts, fields and patterns of lines that were pushed, from memory and from parts.

use super::{JSON, PUSH, at};
use crate::testing::TestServer;
use serde_json::{Value, json};

/// A push of lines with their seconds from now.
pub(super) fn push(server: &TestServer, stream: &Value, lines: &[(i64, &str)]) {
    let values: Vec<Value> =
        lines.iter().map(|(second, line)| json!([at(*second), line])).collect();
    let body = json!({"streams": [{"stream": stream, "values": values}]}).to_string();
    let answer = server.send(PUSH, &[JSON], body);
    assert_eq!(answer.status, 204, "{}", answer.text());
}

pub(super) fn get(server: &TestServer, path: &str) -> Value {
    let answer = server.send(&format!("GET {path}"), &[], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn refused(server: &TestServer, path: &str) -> String {
    let answer = server.send(&format!("GET {path}"), &[], "");
    assert_eq!(answer.status, 400, "{}", answer.text());
    answer.text()
}

fn shop() -> TestServer {
    let server = TestServer::new(|setup| setup.settings.logs.discover_service_name.clear());
    push(&server, &json!({"app": "shop", "pod": "a"}), &[(-90, "12345"), (-30, "1234567")]);
    push(&server, &json!({"app": "shop", "pod": "b"}), &[(-30, "1")]);
    push(&server, &json!({"app": "db"}), &[(-30, "123")]);
    server
}

#[test]
fn volumes_are_counted_in_memory_and_in_parts() {
    let server = shop();
    for is_flushed in [false, true] {
        if is_flushed {
            server.flush_logs();
        }
        let stats = |query: &str| get(&server, &format!("/loki/api/v1/index/stats?query={query}"));
        let all = stats(r#"{app=~".%2B"}"#);
        assert_eq!(
            (&all["streams"], &all["bytes"], &all["entries"]),
            (&json!(3), &json!(16), &json!(4))
        );
        assert!(all["chunks"].as_u64().unwrap() > 0);
        assert_eq!(stats("{}"), all);
        let late = stats(r#"{app="shop"}&start=1699999960"#);
        assert_eq!((&late["bytes"], &late["entries"]), (&json!(8), &json!(2)));
        let none = json!({"streams": 0, "chunks": 0, "bytes": 0, "entries": 0});
        assert_eq!(stats(r#"{app="x"}"#), none);

        let volume = |rest: &str| {
            get(&server, &format!("/loki/api/v1/index/volume?query={rest}"))["data"].clone()
        };
        let found = volume(r#"{app=~".%2B"}"#);
        assert_eq!(
            found,
            json!({"resultType": "vector", "result": [
                {"metric": {"app": "shop"}, "value": [1_700_000_000, "13"]},
                {"metric": {"app": "db"}, "value": [1_700_000_000, "3"]},
            ]})
        );
        let found = volume(r#"{app=~".%2B"}&targetLabels=pod&limit=1"#);
        let pod = json!([{"metric": {"pod": "a"}, "value": [1_700_000_000, "12"]}]);
        assert_eq!(found["result"], pod);
        let found = volume(r#"{}&aggregateBy=labels"#);
        assert_eq!(
            found["result"],
            json!([
                {"metric": {"app": ""}, "value": [1_700_000_000, "16"]},
                {"metric": {"pod": ""}, "value": [1_700_000_000, "13"]},
            ])
        );
        let found = get(
            &server,
            r#"/loki/loki/api/v1/index/volume_range?query={app="shop"}&start=1699999880&end=1700000000&step=60"#,
        );
        assert_eq!(
            found["data"],
            json!({"resultType": "matrix", "result": [
                {"metric": {"app": "shop"}, "values": [[1_699_999_880, "5"], [1_699_999_920, "8"]]},
            ]})
        );
    }
    assert!(refused(&server, "/loki/api/v1/index/volume").contains("'query' is missing"));
    assert!(
        refused(&server, "/loki/api/v1/index/volume?query={}&aggregateBy=x")
            .contains("aggregateBy")
    );
}

#[test]
fn labels_and_fields_are_detected() {
    let server = TestServer::new(|_| {});
    let stream = json!({"app": "shop", "uid": "17"});
    push(
        &server,
        &stream,
        &[
            (-30, r#"{"app":"x","took":"5ms","n":1,"ok":true,"level":"warn"}"#),
            (-20, r#"took=7ms n=2.5 size=5KB msg="a b""#),
            (-10, "no pairs here"),
        ],
    );
    let answer = server.send(
        PUSH,
        &[JSON],
        json!({"streams": [{"stream": stream, "values": [
            [at(-5), "plain", {"trace_id": "ab"}],
        ]}]})
        .to_string(),
    );
    assert_eq!(answer.status, 204);
    let labels = get(&server, "/loki/api/v1/detected_labels?query={app=\"shop\"}");
    assert_eq!(
        labels,
        json!({"detectedLabels": [
            {"label": "app", "cardinality": 1}, {"label": "service_name", "cardinality": 1},
        ]})
    );
    let fields = |rest: &str| get(&server, &format!("/loki/api/v1/detected_fields?query={rest}"));
    let found = fields(r#"{app="shop"}"#);
    let field = |label: &str, kind: &str, cardinality: u64, parsers: Value| json!({"label": label, "type": kind, "cardinality": cardinality, "parsers": parsers});
    let json_field = |label: &str, kind: &str, cardinality: u64, parsers: Value, key: &str| {
        let mut field = field(label, kind, cardinality, parsers);
        field["jsonPath"] = json!([key]);
        field
    };
    assert_eq!(
        found,
        json!({"limit": 1_000, "fields": [
            json_field("app_extracted", "string", 1, json!(["json"]), "app"),
            field("detected_level", "string", 2, Value::Null),
            json_field("level", "string", 1, json!(["json"]), "level"),
            field("msg", "string", 1, json!(["logfmt"])),
            json_field("n", "float", 2, json!(["json", "logfmt"]), "n"),
            json_field("ok", "boolean", 1, json!(["json"]), "ok"),
            field("size", "bytes", 1, json!(["logfmt"])),
            json_field("took", "duration", 2, json!(["json", "logfmt"]), "took"),
            field("trace_id", "string", 1, Value::Null),
        ]})
    );
    let parsed = fields(r#"{app="shop"} | json | logfmt | drop __error__, __error_details__"#);
    assert_eq!(parsed, found);
    let newest = fields(r#"{app="shop"} |= "plain"&line_limit=1&limit=1"#);
    let level = field("detected_level", "string", 1, Value::Null);
    assert_eq!(newest, json!({"limit": 1, "fields": [level]}));
    let values = |name: &str| {
        get(&server, &format!("/loki/api/v1/detected_field/{name}/values?query={{app=\"shop\"}}"))
    };
    assert_eq!(values("took"), json!({"values": ["5ms", "7ms"], "limit": 1_000}));
    assert_eq!(values("trace_id"), json!({"values": ["ab"], "limit": 1_000}));
    assert_eq!(values("unknown"), json!({"values": [], "limit": 1_000}));
    assert_eq!(fields(r#"{app="none"}"#), json!({"fields": [], "limit": 1_000}));
    let metric = refused(&server, "/loki/api/v1/detected_fields?query=rate({a=\"b\"}[1m])");
    assert!(metric.contains("only log selector"), "{metric}");
}

#[test]
fn patterns_come_from_templates() {
    let server = TestServer::new(|_| {});
    let lines = [
        (-90, "user u1 logged in from 10.0.0.1"),
        (-30, "user u2 logged in from 10.0.0.2"),
        (-30, "user u3 logged in from 10.0.0.3"),
        (-30, "error: no disk 7"),
        (-30, "77"),
    ];
    push(&server, &json!({"app": "shop"}), &lines);
    let many: Vec<String> = (0..20).map(|n| format!("job {n} done in {n}ms")).collect();
    let many: Vec<(i64, &str)> = many.iter().map(|line| (-200, line.as_str())).collect();
    push(&server, &json!({"app": "shop"}), &many);
    let jobs = json!({"pattern": "job <_> done in <_>", "level": "unknown",
        "samples": [[1_699_999_800, 20]]});
    let logged_in = json!({"pattern": "user <_> logged in from <_>", "level": "unknown",
        "samples": [[1_699_999_860, 1], [1_699_999_920, 2]]});
    let no_disk = json!({"pattern": "error: no disk <_>", "level": "error",
        "samples": [[1_699_999_920, 1]]});
    for is_flushed in [false, true] {
        if is_flushed {
            server.flush_logs();
        }
        let path = "/loki/api/v1/patterns?step=60&query={app=\"shop\"}";
        let found = get(&server, path);
        assert_eq!(found, json!({"status": "success", "data": [jobs, logged_in, no_disk]}));
        let late = get(&server, &format!("{path}&start=1699999960"));
        assert_eq!(late["data"][0]["samples"], json!([[1_699_999_920, 2]]));
    }
}

#[test]
fn the_first_api_and_limits_are_answered() {
    let server = TestServer::new(|setup| {
        setup.settings.logs.discover_service_name.clear();
        setup.settings.logs.discover_log_levels = false;
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        setup.services.settings = vec![
            setting("logs.max_query_series", "500"),
            setting("logs.query_timeout", "1m"),
            setting("retention.logs", "7d"),
        ];
    });
    push(&server, &json!({"app": "shop"}), &[(-90, "a"), (-30, "b")]);
    let found = get(&server, "/api/prom/query?query={app=\"shop\"}&limit=1");
    assert_eq!(
        found,
        json!({"streams": [{"labels": "{app=\"shop\"}", "entries": [
            {"ts": "2023-11-14T22:12:50Z", "line": "b"},
        ]}]})
    );
    assert_eq!(get(&server, "/api/prom/label"), json!({"values": ["app"]}));
    assert_eq!(get(&server, "/loki/api/prom/label/app/values"), json!({"values": ["shop"]}));
    let series = json!({"status": "success", "data": [{"app": "shop"}]});
    assert_eq!(get(&server, "/api/prom/series?match[]={app=\"shop\"}"), series);
    let limits = get(&server, "/loki/api/v1/drilldown-limits");
    assert_eq!(
        limits["limits"],
        json!({"max_query_series": 500, "query_timeout": "1m",
        "retention_period": "0s", "volume_enabled": true})
    );
    let answer = server.send("GET /config/tenant/v1/limits", &[], "");
    let yaml = "max_query_series: 500\nquery_timeout: \"1m\"\nretention_period: \"0s\"\nvolume_enabled: true\n";
    assert_eq!(answer.text(), yaml);
}
