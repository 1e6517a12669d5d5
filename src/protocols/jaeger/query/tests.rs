//! Questions to the query API over stored spans.

use crate::testing::TestServer;
use serde_json::{Value, json};

fn data(server: &TestServer, path: &str) -> Value {
    let answer = server.get_json(&format!("/jaeger/api/{path}"));
    let (total, data) = (answer["total"].as_u64().unwrap(), answer["data"].clone());
    assert_eq!(total as usize, data.as_array().unwrap().len());
    assert_eq!((&answer["limit"], &answer["offset"]), (&json!(0), &json!(0)));
    assert_eq!(answer["errors"], Value::Null);
    data
}

fn refused(server: &TestServer, path: &str) -> (u16, String) {
    let (status, body) = server.get(&format!("/jaeger/api/{path}"));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["data"], &answer["errors"][0]["code"]), (&Value::Null, &json!(status)));
    (status, answer["errors"][0]["msg"].as_str().unwrap().to_owned())
}

#[test]
fn services_and_operations_are_listed() {
    let server = TestServer::with_sample();
    assert_eq!(data(&server, "services"), json!(["shop", "stock"]));
    assert_eq!(data(&server, "services/shop/operations"), json!(["GET /cart", "ask"]));
    assert_eq!(data(&server, "services/no%20shop/operations"), json!([]));
    let operations = json!([
        { "name": "GET /cart", "spanKind": "server" },
        { "name": "ask", "spanKind": "client" },
    ]);
    assert_eq!(data(&server, "operations?service=shop"), operations);
    let clients = data(&server, "operations?service=shop&spanKind=client");
    assert_eq!(clients, json!([operations[1]]));
    assert_eq!(refused(&server, "operations"), (400, "parameter 'service' is required".into()));
    assert_eq!(refused(&server, "operations?service=shop&spanKind=x").0, 400);
}

#[test]
fn a_trace_is_as_jaeger_writes_it() {
    let server = TestServer::with_sample();
    let found = data(&server, "traces/abcd");
    assert_eq!(found, data(&server, "traces/0000000000000000000000000000abcd"));
    let trace = &found[0];
    assert_eq!(trace["traceID"], "000000000000abcd");
    let shop = json!({
        "serviceName": "shop",
        "tags": [{ "key": "host.cpus", "type": "int64", "value": 8 }],
    });
    let stock = json!({ "serviceName": "stock", "tags": [] });
    assert_eq!(trace["processes"], json!({ "p1": shop, "p2": stock }));
    assert_eq!(trace["spans"].as_array().unwrap().len(), 4);
    let tag =
        |key: &str, kind: &str, value: Value| json!({ "key": key, "type": kind, "value": value });
    let event = [tag("event", "string", "asked".into()), tag("n", "int64", 2.into())];
    let root = json!({
        "traceID": "000000000000abcd",
        "spanID": "0000000000000001",
        "operationName": "GET /cart",
        "references": [{
            "refType": "FOLLOWS_FROM",
            "traceID": "0123456789abcdef0123456789abcdef",
            "spanID": "0000000000000009",
        }],
        "startTime": 1_699_999_990_000_000_u64,
        "duration": 500_000,
        "tags": [
            tag("big", "int64", "9007199254740993".into()),
            tag("cached", "bool", true.into()),
            tag("http.status_code", "int64", 200.into()),
            tag("list", "string", "[1,\"x\"]".into()),
            tag("ratio", "float64", 0.5.into()),
            tag("otel.scope.name", "string", "http".into()),
            tag("otel.scope.version", "string", "1.2".into()),
            tag("span.kind", "string", "server".into()),
            tag("w3c.tracestate", "string", "a=b".into()),
        ],
        "logs": [{ "timestamp": 1_699_999_990_100_000_u64, "fields": event }],
        "processID": "p1",
        "warnings": null,
    });
    assert_eq!(trace["spans"][0], root);
    let failed = &trace["spans"][3];
    let parent = json!([{
        "refType": "CHILD_OF",
        "traceID": "000000000000abcd",
        "spanID": "0000000000000002",
    }]);
    assert_eq!((&failed["references"], &failed["processID"]), (&parent, &json!("p2")));
    let tags = json!([
        tag("span.kind", "string", "server".into()),
        tag("otel.status_code", "string", "ERROR".into()),
        tag("otel.status_description", "string", "none left".into()),
        tag("error", "bool", true.into()),
    ]);
    assert_eq!(failed["tags"], tags);
    let unnamed = data(&server, "traces/0123456789abcdef0123456789abcdef");
    assert_eq!(unnamed[0]["processes"]["p1"]["serviceName"], "unknown_service");
    assert_eq!(refused(&server, "traces/1"), (404, "trace not found".into()));
    assert_eq!(refused(&server, "traces/xyz").0, 400);
}

/// The ids that a search finds.
fn found(server: &TestServer, parameters: &str) -> Vec<String> {
    let traces = data(server, &format!("traces?{parameters}"));
    let ids = traces.as_array().unwrap().iter();
    ids.map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn searches_find_by_all_parameters() {
    let server = TestServer::with_sample();
    for parameters in [
        "service=shop",
        "service=shop&operation=all&lookback=1h&limit=5",
        "service=shop&operation=GET%20/cart&minDuration=400ms&maxDuration=0.5s",
        "service=shop&tags=%7B%22http.status_code%22%3A%22200%22%2C%22cached%22%3A%22true%22%7D",
        "service=shop&tag=list:x&tag=span.kind:server",
        "service=stock&tags=%7B%22error%22%3A%22true%22%7D",
        "service=stock&tag=otel.status_description:none left&tag=otel.status_code:ERROR",
        "service=shop&start=1699999989000000&end=1699999991000000&lookback=custom",
        "traceID=abcd&traceID=77",
    ] {
        assert_eq!(found(&server, parameters), ["000000000000abcd"], "{parameters}");
    }
    for parameters in [
        "service=mall",
        "service=shop&operation=count",
        "service=shop&minDuration=501ms",
        "service=shop&maxDuration=99ms",
        "service=shop&tag=http.status_code:500",
        "service=shop&tags=%7B%22error%22%3A%22true%22%7D",
        "service=shop&start=1699999995000000",
        "service=shop&lookback=1s",
    ] {
        assert_eq!(found(&server, parameters), [""; 0], "{parameters}");
    }
}

#[test]
fn searches_that_make_no_sense_are_refused() {
    let server = TestServer::with_sample();
    for (parameters, message) in [
        ("", "parameter 'service' is required"),
        (
            "service=a&minDuration=2s&maxDuration=1s",
            "'maxDuration' should be greater than 'minDuration'",
        ),
        ("service=a&limit=-1", "unable to parse param 'limit': \"-1\" is no whole number"),
        ("service=a&tag=b", "malformed 'tag' parameter, expecting key:value: \"b\""),
        ("service=a&tags=%7B%22b%22:%5B%5D%7D", "malformed 'tags' parameter: \"b\" must be a text"),
        (
            "service=a&lookback=yesterday",
            "unable to parse param 'lookback': invalid duration \"yesterday\"",
        ),
    ] {
        assert_eq!(refused(&server, &format!("traces?{parameters}")), (400, message.to_owned()));
    }
    let many: String = (0..101).map(|number| format!("&tag=k{number}:v")).collect();
    assert_eq!(refused(&server, &format!("traces?service=a{many}")).0, 400);
}

#[test]
fn dependencies_are_calls_between_services() {
    let server = TestServer::with_sample();
    let calls = json!([{ "parent": "shop", "child": "stock", "callCount": 2 }]);
    assert_eq!(data(&server, "dependencies?endTs=1700000000000&lookback=60000"), calls);
    assert_eq!(data(&server, "dependencies"), calls);
    server.flush_traces();
    assert_eq!(data(&server, "dependencies"), calls);
    let one = data(&server, "dependencies?endTs=1699999990130&lookback=60000");
    assert_eq!(one[0]["callCount"], 1);
    assert_eq!(data(&server, "dependencies?endTs=1699999990000&lookback=1000"), json!([]));
}

#[test]
fn tenants_see_their_own_traces() {
    let server = TestServer::with_sample();
    let ask = |path: &str| {
        server.send(&format!("GET /jaeger/api/{path}"), &[("x-scope-orgid", "blue")], "")
    };
    assert_eq!(ask("traces/abcd").status, 404);
    for path in ["services", "traces?service=shop", "dependencies"] {
        let answer: Value = serde_json::from_str(&ask(path).text()).unwrap();
        assert_eq!(answer["data"], json!([]), "{path}");
    }
}
