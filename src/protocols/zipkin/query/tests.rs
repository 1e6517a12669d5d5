//! Questions to the query API over stored spans.

use crate::testing::TestServer;
use serde_json::{Value, json};

fn ask(server: &TestServer, path: &str) -> Value {
    server.get_json(&format!("/zipkin/api/v2/{path}"))
}

#[test]
fn services_and_spans_are_listed() {
    let server = TestServer::with_sample();
    assert_eq!(ask(&server, "services"), json!(["shop", "stock"]));
    assert_eq!(ask(&server, "spans?serviceName=shop"), json!(["GET /cart", "ask"]));
    assert_eq!(ask(&server, "spans?serviceName=mall"), json!([]));
    assert_eq!(server.get("/zipkin/api/v2/spans").0, 400);
}

#[test]
fn a_trace_is_as_zipkin_writes_it() {
    let server = TestServer::with_sample();
    let spans = ask(&server, "trace/abcd");
    assert_eq!(spans.as_array().unwrap().len(), 4);
    let root = json!({
        "traceId": "000000000000abcd",
        "id": "0000000000000001",
        "kind": "SERVER",
        "name": "GET /cart",
        "timestamp": 1_699_999_990_000_000_u64,
        "duration": 500_000,
        "localEndpoint": { "serviceName": "shop" },
        "annotations": [{ "timestamp": 1_699_999_990_100_000_u64, "value": "{\"asked\":{\"n\":2}}" }],
        "tags": {
            "big": "9007199254740993",
            "cached": "true",
            "host.cpus": "8",
            "http.status_code": "200",
            "list": "[1,\"x\"]",
            "otel.scope.name": "http",
            "otel.scope.version": "1.2",
            "ratio": "0.5",
            "w3c.tracestate": "a=b",
        },
    });
    assert_eq!(spans[0], root);
    let (called, failed) = (&spans[1], &spans[3]);
    let remote = json!({ "serviceName": "stock", "ipv4": "10.0.0.1", "port": 80 });
    assert_eq!(
        (&called["parentId"], &called["remoteEndpoint"]),
        (&json!("0000000000000001"), &remote)
    );
    assert_eq!(failed["localEndpoint"], json!({ "serviceName": "stock" }));
    assert_eq!(failed["tags"], json!({ "error": "none left" }));
    let unnamed = ask(&server, "trace/0123456789abcdef0123456789abcdef");
    assert_eq!(unnamed[0]["localEndpoint"], json!({ "serviceName": "unknown_service" }));
    assert_eq!(unnamed[0].get("duration"), None);
    assert_eq!(server.get("/zipkin/api/v2/trace/1"), (404, "trace not found\n".to_owned()));
    assert_eq!(server.get("/zipkin/api/v2/trace/xyz").0, 400);
}

/// What is answered is what would be stored again.
#[test]
fn traces_come_back_as_they_were_sent() {
    let server = TestServer::with_sample();
    let (_, spans) = server.get("/zipkin/api/v2/trace/abcd");
    let headers = [("content-type", "application/json"), ("x-scope-orgid", "copy")];
    assert_eq!(server.send("POST /zipkin/api/v2/spans", &headers, spans.clone()).status, 202);
    let copy = server.send("GET /zipkin/api/v2/trace/abcd", &headers[1..], "").text();
    let read = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
    let (first, second) = (read(&spans), read(&copy));
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second);
    }
}

#[test]
fn searches_find_by_all_parameters() {
    let server = TestServer::with_sample();
    let found = |parameters: &str| -> Vec<String> {
        let traces = ask(&server, &format!("traces?{parameters}"));
        let ids = traces.as_array().unwrap().iter();
        ids.map(|trace| trace[0]["traceId"].as_str().unwrap().to_owned()).collect()
    };
    for parameters in [
        "serviceName=shop",
        "serviceName=shop&spanName=all&endTs=1700000000000&lookback=60000&limit=3",
        "spanName=ask&minDuration=100000&maxDuration=100000",
        "serviceName=shop&annotationQuery=http.status_code%3D200 and cached%3Dtrue and asked",
        "serviceName=stock&annotationQuery=error",
        "annotationQuery=peer.service",
        "limit=1",
    ] {
        assert_eq!(found(parameters), ["000000000000abcd"], "{parameters}");
    }
    for parameters in [
        "serviceName=mall",
        "serviceName=shop&annotationQuery=error",
        "serviceName=shop&annotationQuery=refused",
        "serviceName=shop&minDuration=500001",
        "serviceName=shop&endTs=1699999980000",
        "serviceName=shop&lookback=1000",
    ] {
        assert_eq!(found(parameters), [""; 0], "{parameters}");
    }
    assert_eq!(found("").len(), 2);
    for parameters in ["limit=0", "limit=x", "minDuration=2&maxDuration=1", "lookback=-1"] {
        assert_eq!(
            server.get(&format!("/zipkin/api/v2/traces?{parameters}")).0,
            400,
            "{parameters}"
        );
    }
}

#[test]
fn dependencies_are_calls_between_services() {
    let server = TestServer::with_sample();
    let calls = json!([{ "parent": "shop", "child": "stock", "callCount": 2, "errorCount": 1 }]);
    assert_eq!(ask(&server, "dependencies?endTs=1700000000000&lookback=60000"), calls);
    assert_eq!(ask(&server, "dependencies?endTs=1699999990000&lookback=1000"), json!([]));
}
