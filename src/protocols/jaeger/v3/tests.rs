//! Questions over HTTP and gRPC over stored spans.

use crate::testing::TestServer;
use prost::Message;
use serde_json::{Value, json};
use wire::proto::jaeger::{api_v3 as v3, storage::v2 as storage};
use wire::proto::opentelemetry::proto::common::v1::{AnyValue, KeyValue, any_value};
use wire::proto::opentelemetry::proto::trace::v1::TracesData;

const ID: &str = "0000000000000000000000000000abcd";
const TIMES: &str =
    "query.startTimeMin=2023-11-14T22:13:01Z&query.startTimeMax=2023-11-14T22:13:11Z";

fn get(server: &TestServer, path: &str) -> Value {
    server.get_json(&format!("/jaeger/api/v3/{path}"))
}

#[test]
fn names_are_listed() {
    let server = TestServer::with_sample();
    assert_eq!(get(&server, "services"), json!({ "services": ["shop", "stock"] }));
    let cart = json!({ "name": "GET /cart", "spanKind": "server" });
    let ask = json!({ "name": "ask", "spanKind": "client" });
    assert_eq!(get(&server, "operations?service=shop"), json!({ "operations": [cart, ask] }));
    for kind in ["spanKind", "span_kind"] {
        let found = get(&server, &format!("operations?service=shop&{kind}=client"));
        assert_eq!(found, json!({ "operations": [ask] }));
    }
}

#[test]
fn traces_are_otlp_within_a_result() {
    let server = TestServer::with_sample();
    let trace = get(&server, "traces/abcd");
    let resources = trace["result"]["resourceSpans"].as_array().unwrap();
    assert_eq!(resources.len(), 2);
    let root = &resources[0]["scopeSpans"][0]["spans"][0];
    assert_eq!((&root["traceId"], &root["spanId"]), (&json!(ID), &json!("0000000000000001")));
    assert_eq!((&root["kind"], &root["name"]), (&json!(2), &json!("GET /cart")));
    assert_eq!(get(&server, &format!("traces?{TIMES}&query.serviceName=stock")), trace);
    for (path, status, message) in [
        ("traces/77", 404, "No traces found"),
        ("traces/xyz", 400, "hexadecimal"),
        ("traces?query.serviceName=mall", 404, "No traces found"),
    ] {
        let (found, body) = server.get(&format!("/jaeger/api/v3/{path}"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((found, &body["error"]["httpCode"]), (status, &json!(status)), "{path}");
        assert!(body["error"]["message"].as_str().unwrap().contains(message), "{path}: {body}");
    }
}

#[test]
fn summaries_tell_what_a_trace_is() {
    let server = TestServer::with_sample();
    let found = get(&server, "trace-summaries?query.serviceName=shop");
    let expected = json!({ "summaries": [{
        "traceId": ID,
        "rootServiceName": "shop",
        "rootOperationName": "GET /cart",
        "minStartTimeUnixNano": "1699999990000000000",
        "maxEndTimeUnixNano": "1699999990500000000",
        "spanCount": 4,
        "errorSpanCount": 1,
        "services": [
            { "name": "shop", "spanCount": 2 },
            { "name": "stock", "spanCount": 2, "errorSpanCount": 1 },
        ],
    }] });
    assert_eq!(found, expected);
    let all = get(&server, "trace-summaries?query.searchDepth=1");
    assert_eq!(all["summaries"].as_array().unwrap().len(), 1, "the newest");
    let orphan = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"000000000000000000000000000000ff",
        "spanId":"0000000000000001","parentSpanId":"0000000000000077","name":"late",
        "startTimeUnixNano":"1699999991000000000","endTimeUnixNano":"1699999991000000000"}]}]}]}"#;
    server.send("POST /v1/traces", &[("content-type", "application/json")], orphan);
    let late = &get(&server, "trace-summaries?query.operationName=late")["summaries"][0];
    assert_eq!((&late["orphanSpanCount"], &late["rootServiceName"]), (&json!(1), &Value::Null));
}

#[test]
fn searches_ask_by_parameters_and_by_bodies() {
    let server = TestServer::with_sample();
    let count = |parameters: &str| {
        let found = get(&server, &format!("trace-summaries?{parameters}"));
        found["summaries"].as_array().unwrap().len()
    };
    for (parameters, expected) in [
        ("", 2),
        (TIMES, 1),
        ("query.start_time_min=2023-11-14T22:13:11Z", 0),
        ("query.service_name=shop&query.operation_name=ask", 1),
        ("query.service_name=stock&query.operation_name=ask", 0),
        ("query.durationMin=500ms&query.durationMax=0.5s", 1),
        ("query.duration_min=501ms", 0),
        ("query.attributes={\"http.status_code\":\"200\",\"cached\":\"true\"}", 1),
        ("query.attributes={\"error\":\"true\"}&query.serviceName=shop", 0),
        ("query.num_traces=1", 1),
    ] {
        assert_eq!(count(parameters), expected, "{parameters}");
    }
    let post = |body: Value| {
        let json = ("content-type", "application/json");
        server.send("POST /jaeger/api/v3/trace-summaries", &[json], body.to_string())
    };
    let attributes = json!({ "http.status_code": "200" });
    for (query, expected) in [
        (json!({ "serviceName": "shop", "attributes": attributes, "searchDepth": 5 }), 1),
        (json!({ "service_name": "stock", "attributes": attributes }), 0),
    ] {
        let answer = post(json!({ "query": query }));
        let found: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(found["summaries"].as_array().unwrap().len(), expected, "{query}");
    }
    assert_eq!(post(json!({})).status, 400);
}

#[test]
fn what_is_not_understood_is_refused() {
    let server = TestServer::with_sample();
    for parameters in [
        "query.startTimeMin=yesterday",
        "query.startTimeMin=2023-11-14T22:13:00Z&query.startTimeMax=2023-11-14T22:13:00Z",
        "query.durationMin=x",
        "query.durationMin=2s&query.durationMax=1s",
        "query.searchDepth=-1",
        "query.attributes=[]",
        "query.filter={\"op\":\"exists\"}",
    ] {
        let (status, body) = server.get(&format!("/jaeger/api/v3/traces?{parameters}"));
        assert_eq!(status, 400, "{parameters}: {body}");
    }
}

#[test]
fn dependencies_and_capabilities() {
    let server = TestServer::with_sample();
    let calls = json!([{ "parent": "shop", "child": "stock", "callCount": "2" }]);
    let times = "startTime=2023-11-14T22:13:00Z&endTime=2023-11-14T22:13:20Z";
    assert_eq!(get(&server, &format!("dependencies?{times}")), json!({ "dependencies": calls }));
    assert_eq!(server.get("/jaeger/api/v3/dependencies").0, 400);
    assert_eq!(get(&server, "capabilities")["search"]["withoutServiceName"], true);
}

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// Calls a method; answers its messages, or its status.
fn call<M: Message + Default>(
    server: &TestServer,
    method: &str,
    request: &impl Message,
) -> Result<Vec<M>, String> {
    let length = u32::try_from(request.encoded_len()).unwrap();
    let body = [&[0][..], &length.to_be_bytes(), &request.encode_to_vec()].concat();
    let answer = server.send(&format!("POST /jaeger.{method}"), &GRPC, body);
    assert_eq!(answer.status, 200, "{method}");
    let Some(trailers) = answer.trailers else {
        return Err(answer.header("grpc-status").to_owned());
    };
    assert_eq!(trailers["grpc-status"], "0");
    let (mut rest, mut found) = (&answer.body[..], Vec::new());
    while let [0, a, b, c, d, tail @ ..] = rest {
        let (message, after) = tail.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        found.push(M::decode(message).unwrap());
        rest = after;
    }
    Ok(found)
}

fn one<M: Message + Default>(server: &TestServer, method: &str, request: &impl Message) -> M {
    let mut found = call(server, method, request).unwrap();
    assert_eq!(found.len(), 1, "{method}");
    found.remove(0)
}

fn spans(traces: &[TracesData]) -> Vec<String> {
    let resources = traces.iter().flat_map(|trace| &trace.resource_spans);
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

#[test]
fn both_services_of_grpc_answer_the_same() {
    let server = TestServer::with_sample();
    let operations = v3::GetOperationsRequest { service: "shop".into(), span_kind: String::new() };
    let nothing = v3::GetServicesRequest {};
    let times = v3::GetDependenciesRequest::default();
    for (reader, dependencies) in [
        ("api_v3.QueryService", "api_v3.QueryService"),
        ("storage.v2.TraceReader", "storage.v2.DependencyReader"),
    ] {
        let found: v3::GetServicesResponse =
            one(&server, &format!("{reader}/GetServices"), &nothing);
        assert_eq!(found.services, ["shop", "stock"]);
        let found: v3::GetOperationsResponse =
            one(&server, &format!("{reader}/GetOperations"), &operations);
        let kinds = found.operations.iter().map(|one| (one.name.as_str(), one.span_kind.as_str()));
        assert_eq!(kinds.collect::<Vec<_>>(), [("GET /cart", "server"), ("ask", "client")]);
        let method = format!("{dependencies}/GetDependencies");
        assert_eq!(call::<v3::DependenciesResponse>(&server, &method, &times), Err("3".to_owned()));
    }
    for package in ["api_v3", "storage.v2"] {
        let method = format!("{package}.Capabilities/GetCapabilities");
        let found: v3::GetCapabilitiesResponse =
            one(&server, &method, &v3::GetCapabilitiesRequest {});
        assert!(found.search.unwrap().without_service_name);
    }
}

#[test]
fn the_query_api_answers_over_grpc() {
    let server = TestServer::with_sample();
    let query = v3::TraceQueryParameters {
        service_name: "shop".into(),
        attributes: [("cached".to_owned(), "true".to_owned())].into(),
        ..v3::TraceQueryParameters::default()
    };
    let request = v3::FindTracesRequest { query: Some(query.clone()) };
    let found = call(&server, "api_v3.QueryService/FindTraces", &request).unwrap();
    assert_eq!(spans(&found), ["GET /cart", "ask", "count", "count"]);
    let summaries: v3::FindTraceSummariesResponse =
        one(&server, "api_v3.QueryService/FindTraceSummaries", &request);
    assert_eq!(summaries.summaries[0].trace_id, ID.as_bytes());
    assert_eq!(summaries.summaries[0].span_count, 4);
    let by_id = |id: &str| {
        let request = v3::GetTraceRequest { trace_id: id.to_owned() };
        call(&server, "api_v3.QueryService/GetTrace", &request)
    };
    assert_eq!(by_id("abcd"), Ok(found));
    assert_eq!(by_id("77"), Err("5".to_owned()));
    let filtered = v3::TraceQueryParameters { filter: b"\x0a\x02eq".to_vec(), ..query };
    let request = v3::FindTracesRequest { query: Some(filtered) };
    let answer = call::<TracesData>(&server, "api_v3.QueryService/FindTraces", &request);
    assert_eq!(answer, Err("3".to_owned()));
}

#[test]
fn jaeger_reads_as_from_a_storage() {
    let server = TestServer::with_sample();
    let value = Some(AnyValue { value: Some(any_value::Value::IntValue(200)) });
    let request = storage::FindTracesRequest {
        query: Some(storage::TraceQueryParameters {
            attributes: vec![KeyValue { key: "http.status_code".into(), value }],
            search_depth: 10,
            ..storage::TraceQueryParameters::default()
        }),
    };
    let ids: storage::FindTraceIDsResponse =
        one(&server, "storage.v2.TraceReader/FindTraceIDs", &request);
    let id = 0xabcd_u128.to_be_bytes().to_vec();
    assert_eq!(ids.trace_ids, [storage::FoundTraceId { trace_id: id.clone() }]);
    let summaries: v3::FindTraceSummariesResponse =
        one(&server, "storage.v2.TraceReader/FindTraceSummaries", &request);
    assert_eq!(summaries.summaries[0].trace_id, id);
    let found: Vec<TracesData> =
        call(&server, "storage.v2.TraceReader/FindTraces", &request).unwrap();
    assert_eq!(spans(&found).len(), 4);
    let get = |ids: Vec<Vec<u8>>| {
        let query = ids.into_iter().map(|trace_id| storage::GetTraceParams { trace_id }).collect();
        let request = storage::GetTracesRequest { query };
        call::<TracesData>(&server, "storage.v2.TraceReader/GetTraces", &request)
    };
    let other = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes().to_vec();
    let found = get(vec![id, vec![7; 16], other]).unwrap();
    assert_eq!(found.len(), 2, "each trace is a message of its own");
    assert_eq!(get(vec![vec![7; 16]]), Ok(vec![]), "none is no error");
    assert_eq!(get(vec![vec![7; 8]]), Err("3".to_owned()));
}

#[test]
fn a_large_trace_is_several_messages() {
    let server = TestServer::new(|_| {});
    let text = "x".repeat(3_000);
    let spans_sent: Vec<Value> = (1..=800)
        .map(|id| {
            json!({ "traceId": ID, "spanId": format!("{id:016x}"), "name": "work",
                "startTimeUnixNano": "1699999990000000000", "endTimeUnixNano": "1699999990000000001",
                "attributes": [{ "key": "text", "value": { "stringValue": format!("{id}{text}") } }] })
        })
        .collect();
    for half in spans_sent.chunks(200) {
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": half }] }] });
        let json = ("content-type", "application/json");
        assert_eq!(server.send("POST /v1/traces", &[json], body.to_string()).status, 200);
    }
    let request = v3::GetTraceRequest { trace_id: ID.to_owned() };
    let found: Vec<TracesData> = call(&server, "api_v3.QueryService/GetTrace", &request).unwrap();
    assert_eq!(spans(&found).len(), 800);
    assert_eq!(found.len(), 3);
    for message in &found {
        assert!(message.encoded_len() < (1 << 20) + 10_000);
        assert!(message.resource_spans.iter().all(|of| of.resource.is_some()));
    }
}
