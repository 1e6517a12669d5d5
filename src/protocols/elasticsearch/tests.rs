//! Documents over HTTP, and what becomes of them. `cases`: searches that files of cases list. `grafana`:
//! what Grafana sends. `hostile`: what nobody should
//! send. `plans`: what the store decides of a search.

mod cases;
mod grafana;
mod hostile;
mod plans;

use crate::testing::TestServer;
use serde_json::Value;

const JSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// The answer as JSON; it must be marked as one of Elasticsearch.
fn send(server: &TestServer, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let answer = server.send(line, headers, body.to_owned());
    assert_eq!(answer.header("x-elastic-product"), "Elasticsearch", "{line}");
    let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status.as_u16(), value)
}

#[test]
fn documents_become_lines() {
    let server = TestServer::new(|_| {});
    let body = concat!(
        r#"{"create":{"_index":"logs-a","_id":"7"}}"#,
        "\n",
        r#"{"@timestamp":"2023-11-14T22:13:20Z","message":"hi","log":{"level":"warn"},"service":{"name":"shop"},"n":[1]}"#,
        "\n",
        r#"{"index":{}}"#,
        "\n",
        r#"{"@timestamp":1699999999000,"a":1}"#,
        "\n",
    );
    for path in
        ["/elasticsearch/logs-b/_bulk", "/logs-b/_bulk", "/insert/elasticsearch/logs-b/_bulk"]
    {
        let (status, answer) = send(&server, &format!("POST {path}"), &[JSON], body);
        assert_eq!((status, &answer["errors"]), (200, &Value::Bool(false)));
        let first = &answer["items"][0]["create"];
        assert_eq!((first["_index"].as_str(), first["_id"].as_str()), (Some("logs-a"), Some("7")));
        assert_eq!(
            (first["status"].as_u64(), first["result"].as_str()),
            (Some(201), Some("created"))
        );
        let second = &answer["items"][1]["index"];
        assert_eq!(second["_index"], "logs-b");
        assert_eq!(second["_id"].as_str().unwrap().len(), 20);
        assert_eq!(answer["items"].as_array().unwrap().len(), 2);
        server.forget_repeats();
    }
    let mut lines = server.lines();
    assert_eq!(lines.len(), 6);
    lines.dedup();
    assert_eq!(
        lines,
        [
            r#"{_index="logs-a", service_name="shop"} 1700000000000000000 "hi" _id="7" detected_level="warn" log.level="warn" n="[1]""#,
            r#"{_index="logs-b", service_name="unknown_service"} 1699999999000000000 "{\"@timestamp\":1699999999000,\"a\":1}" a="1" detected_level="unknown""#,
        ]
    );
}

#[test]
fn each_document_that_can_not_be_stored_is_an_error_of_its_item() {
    let server = TestServer::new(|_| {});
    let body = concat!(
        "{\"create\":{\"_index\":\"a\"}}\n{\"message\":\"good\"}\n",
        "{\"create\":{\"_index\":\"a\"}}\n{\"message\":\n",
        "{\"delete\":{\"_index\":\"a\",\"_id\":\"1\"}}\n",
        "{\"update\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"doc\":{}}\n",
        "{\"create\":{}}\n{\"message\":\"no index\"}\n",
        "{\"create\":{\"_index\":\"a\"}}\n{\"@timestamp\":\"2100-01-01T00:00:00Z\"}\n",
        "{\"create\":{\"_index\":\"a\"}}\n{\"@timestamp\":\"x\"}\n",
        "{\"create\":{\"_index\":\"a\"}}",
    );
    let (status, answer) = send(&server, "POST /_bulk", &[JSON], body);
    assert_eq!((status, &answer["errors"]), (200, &Value::Bool(true)));
    let outcomes: Vec<String> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let (operation, item) = item.as_object().unwrap().iter().next().unwrap();
            let error = &item["error"];
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            format!(
                "{operation} {} {} {}",
                item["status"],
                text(&error["type"]),
                text(&error["reason"])
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            "create 201  ",
            "create 400 document_parsing_exception failed to parse: expected a value at byte 11",
            "delete 400 illegal_argument_exception delete can't be done: only documents that are new can be sent here",
            "update 400 illegal_argument_exception update can't be done: only documents that are new can be sent here",
            "create 400 illegal_argument_exception an index is missing",
            "create 400 document_parsing_exception entry for stream '{_index=\"a\"}' has timestamp too new: 2100-01-01T00:00:00Z (logs.creation_grace_period)",
            "create 400 document_parsing_exception the time in field \"@timestamp\" is \"x\": expected RFC 3339 or a number of seconds or milliseconds since 1970",
            "create 400 document_parsing_exception failed to parse: expected an object at byte 0",
        ]
    );
    assert_eq!(server.lines().len(), 1);
    for body in ["no json\n", "{\"other\":{}}\n", "{}\n"] {
        let (status, answer) = send(&server, "POST /_bulk", &[JSON], body);
        assert_eq!(
            (status, &answer["error"]["type"]),
            (400, &Value::from("illegal_argument_exception"))
        );
        assert!(
            answer["error"]["reason"]
                .as_str()
                .unwrap()
                .starts_with("Malformed action/metadata line [1]")
        );
    }
}

#[test]
fn answers_are_filtered() {
    let server = TestServer::new(|_| {});
    let good = "{\"create\":{\"_index\":\"a\"}}\n{\"message\":\"x\"}\n";
    let bad = "{\"create\":{\"_index\":\"a\"}}\n{\n";
    let ask = |filter: &str, body: &str| {
        let line = format!("POST /_bulk?filter_path={filter}");
        send(&server, &line, &[JSON], body).1.to_string()
    };
    assert_eq!(ask("errors,items.*.error", good), r#"{"errors":false}"#);
    assert_eq!(
        ask("errors,items.*.status", good),
        r#"{"errors":false,"items":[{"create":{"status":201}}]}"#
    );
    assert_eq!(
        ask("errors,items.*.error,items.*.status", bad),
        r#"{"errors":true,"items":[{"create":{"error":{"reason":"failed to parse: expected a text at byte 1","type":"document_parsing_exception"},"status":400}}]}"#
    );
}

#[test]
fn one_document() {
    let server = TestServer::new(|_| {});
    let (status, answer) = send(&server, "POST /logs/_doc", &[], r#"{"message":"x"}"#);
    assert_eq!((status, answer["result"].as_str()), (201, Some("created")));
    let (status, answer) =
        send(&server, "PUT /elasticsearch/logs/_create/a%20b", &[], r#"{"message":"x"}"#);
    assert_eq!((status, answer["_id"].as_str()), (201, Some("a b")));
    let (status, answer) = send(&server, "POST /logs/_doc", &[], "[]");
    assert_eq!(
        (status, answer["error"]["type"].as_str()),
        (400, Some("document_parsing_exception"))
    );
    assert_eq!(server.lines().len(), 2);
    assert!(server.lines()[0].contains("_id=\"a b\""));
}

#[test]
fn what_may_be_stored_later_is_rejected_for_now() {
    let server = TestServer::new(|_| {});
    let good = "{\"create\":{\"_index\":\"a\"}}\n{\"message\":\"x\"}\n";
    let answer = server.send_to_broken_disk("POST /_bulk", &[], good);
    assert!(matches!(answer.status.as_u16(), 429 | 503), "{}", answer.status);
    assert_eq!(answer.header("retry-after"), "2");
    assert!(server.lines().is_empty());
    let refused = server.send("POST /_bulk", &[("x-test-refuse", "missing")], "");
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Basic"));
    assert!(refused.text().contains("security_exception"), "{}", refused.text());
}

#[test]
fn agents_are_told_what_they_ask() {
    let server = TestServer::new(|_| {});
    let version = |headers: &[(&str, &str)]| {
        let (_, answer) = send(&server, "GET /elasticsearch/", headers, "");
        answer["version"]["number"].as_str().unwrap().to_owned()
    };
    assert_eq!(version(&[]), "8.19.4");
    assert_eq!(version(&[("user-agent", "Elastic-Filebeat/9.1.3 (linux; amd64)")]), "9.1.3");
    assert_eq!(version(&[("user-agent", "Elastic-x/../9")]), "8.19.4");
    assert_eq!(
        version(&[("accept", "application/vnd.elasticsearch+json; compatible-with=9")]),
        "9.2.0"
    );
    assert_eq!(version(&[("x-elastic-client-meta", "es=7.17.0,py=3.9")]), "7.17.29");
    let (status, answer) = send(&server, "GET /_license?human=false", &[], "");
    assert_eq!((status, answer["license"]["type"].as_str()), (200, Some("basic")));
    let (_, answer) = send(&server, "GET /_cluster/health?wait_for_status=yellow", &[], "");
    assert_eq!(answer["status"], "green");
    let (_, answer) = send(&server, "GET /_nodes/http", &[("host", "logs:9200")], "");
    let nodes = answer["nodes"].as_object().unwrap();
    assert_eq!(nodes.values().next().unwrap()["http"]["publish_address"], "logs:9200");
    for path in [
        "_ilm/policy/x",
        "_index_template/x",
        "_template/x",
        "_data_stream/x",
        "_ingest/pipeline/x",
    ] {
        assert_eq!(send(&server, &format!("GET /{path}"), &[], "").0, 404);
        assert_eq!(send(&server, &format!("HEAD /elasticsearch/{path}"), &[], "").0, 404);
        let (status, answer) = send(&server, &format!("PUT /{path}"), &[], "{}");
        assert_eq!((status, &answer["acknowledged"]), (200, &Value::Bool(true)));
    }
    assert_eq!(send(&server, "HEAD /elasticsearch/some-index", &[], "").0, 404);
    assert_eq!(send(&server, "PUT /elasticsearch/some-index", &[], "{}").0, 200);
}

#[test]
fn the_version_can_be_set() {
    let server = TestServer::new(|setup| setup.settings.elasticsearch.version = "7.1.0".to_owned());
    let (_, answer) = send(&server, "GET /elasticsearch", &[], "");
    assert_eq!(answer["version"]["number"], "7.1.0");
}
