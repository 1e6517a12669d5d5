//! Requests as Grafana sends them, and what its plugin needs of the answers.

use crate::testing::{Answered, TestServer};
use model::TenantId;
use prost::Message as _;
use query::{CancelFlag, PoolSettings};
use serde_json::{Value, json};
use wire::proto::opentelemetry::proto::common::v1::any_value::Value as AnyValue;
use wire::proto::tempopb::{self as pb, TraceByIdResponse};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("accept", "application/protobuf");
const ID: &str = "00000000000000000abc0000000000de";

/// A trace of a server's span with a failed client's below it, and one without a root or a resource.
fn server() -> TestServer {
    let server = TestServer::new(|_| {});
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span = |id: &str, parent: &str, name: &str, kind: u8, status: u8| {
        json!({"traceId": ID, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001500000000",
            "status": {"code": status}, "attributes": [text("http.route", "/a \"b\"")],
            "events": [{"name": "exception", "timeUnixNano": "1700000000000000007",
                "attributes": [text("exception.type", "IOError")]}]})
    };
    let spans = [
        span("0000000000000001", "", "GET /", 2, 0),
        span("0000000000000002", "0000000000000001", "SELECT", 3, 2),
    ];
    let orphan = json!({"traceId": "ff000000000000000000000000000001", "spanId": "0000000000000009",
        "parentSpanId": "0000000000000008", "name": "late", "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1600000000000000000"});
    let body = json!({"resourceSpans": [
        {"resource": {"attributes": [text("service.name", "shop")]},
            "scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}]},
        {"scopeSpans": [{"spans": [orphan]}]},
    ]});
    assert_eq!(server.send("POST /v1/traces", &[JSON], body.to_string()).status, 200);
    server
}

fn get(server: &TestServer, path: &str) -> Answered {
    server.send(&format!("GET {path}"), &[], "")
}

fn get_json(server: &TestServer, path: &str) -> Value {
    let answer = get(server, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn grafana_finds_a_tempo() {
    let server = server();
    for prefix in ["", "/tempo"] {
        assert_eq!(get(&server, &format!("{prefix}/api/echo")).text(), "echo");
        let info = get_json(&server, &format!("{prefix}/api/status/buildinfo"));
        assert_eq!(info["version"], "3.0.2");
    }
}

#[test]
fn a_trace_is_answered_as_protobuf_with_all_that_the_plugin_dereferences() {
    let server = server();
    let read = |id: &str| {
        let answer = server.send(&format!("GET /api/v2/traces/{id}"), &[PROTOBUF], "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/protobuf");
        TraceByIdResponse::decode(&answer.body[..]).unwrap().trace.expect("a message is there")
    };
    assert_eq!(read("123").resource_spans, [], "a trace that is not there is an empty one");
    for id in [ID, "abc0000000000de", "ff000000000000000000000000000001"] {
        let trace = read(id);
        assert!(!trace.resource_spans.is_empty());
        for of_resource in &trace.resource_spans {
            assert!(!of_resource.resource.as_ref().unwrap().attributes.is_empty());
            for of_scope in &of_resource.scope_spans {
                assert!(of_scope.scope.is_some());
                for span in &of_scope.spans {
                    assert!(span.status.is_some());
                    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
                }
            }
        }
    }
}

#[test]
fn a_trace_is_answered_as_json_as_tempo_writes_it() {
    let server = server();
    let trace = get_json(&server, &format!("/api/v2/traces/{ID}"));
    let of_resource = &trace["trace"]["resourceSpans"][0];
    let spans = &of_resource["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["traceId"], "AAAAAAAAAAAKvAAAAAAA3g==");
    assert_eq!(spans[0]["startTimeUnixNano"], "1700000000000000000");
    assert_eq!(spans[1]["kind"], "SPAN_KIND_CLIENT");
    assert_eq!(spans[1]["status"], json!({"code": "STATUS_CODE_ERROR"}));
    assert_eq!(get_json(&server, "/api/v2/traces/123")["trace"], json!({}));
    let old = get_json(&server, &format!("/tempo/api/traces/{ID}"));
    assert_eq!(old["batches"][0]["resource"], of_resource["resource"]);
    assert_eq!(get(&server, "/tempo/api/traces/123").status, 404);
    for bad in ["xyz", "0123456789012345678901234567890123"] {
        assert_eq!(get(&server, &format!("/api/v2/traces/{bad}")).status, 400);
    }
}

#[test]
fn a_search_has_only_fields_that_the_plugin_knows() {
    let server = server();
    let found = get_json(&server, "/api/search?q=%7B%20status%20%3D%20error%20%7D&spss=5");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&found), ["metrics", "traces"]);
    let known = [
        "completedJobs",
        "inspectedBytes",
        "inspectedSpans",
        "inspectedTraces",
        "totalBlockBytes",
        "totalBlocks",
        "totalJobs",
    ];
    assert_eq!(keys(&found["metrics"]), known);
    let trace = &found["traces"][0];
    assert_eq!(trace["traceID"], "abc0000000000de", "without leading zeros");
    assert_eq!(trace["rootServiceName"], "shop");
    assert_eq!(trace["durationMs"], 1500);
    assert_eq!(trace["startTimeUnixNano"], "1700000000000000000");
    assert_eq!(trace["serviceStats"], json!({"shop": {"spanCount": 2, "errorCount": 1}}));
    let span = &trace["spanSets"][0]["spans"][0];
    assert_eq!(span["spanID"], "0000000000000002");
    assert_eq!(span["durationNanos"], "1500000000");
    assert_eq!(span["attributes"], json!([{"key": "status", "value": {"stringValue": "error"}}]));
    let rootless = get_json(&server, "/api/search?q=%7B%20name%20%3D%20%22late%22%20%7D");
    assert_eq!(rootless["traces"][0]["rootServiceName"], "<root span not yet received>");
}

#[test]
fn a_search_that_can_not_be_is_refused() {
    let server = server();
    let refused = [
        ("q={}&limit=0", "limit"),
        ("q={}&tags=a%3Db", "not both"),
        ("q={%20status", "parse error at line 1"),
        ("q={}&start=20&end=10", "start must be before end"),
        ("q={}&start=soon", "invalid start"),
        ("minDuration=long", "invalid minDuration"),
    ];
    for (parameters, expected) in refused {
        let answer = get(&server, &format!("/api/search?{parameters}"));
        assert_eq!(answer.status, 400, "{parameters}");
        assert!(answer.text().contains(expected), "{parameters}: {}", answer.text());
    }
}

#[test]
fn names_and_values_of_attributes_are_listed() {
    let server = server();
    let scopes = get_json(&server, "/api/v2/search/tags");
    let of = |name: &str| {
        let scopes = scopes["scopes"].as_array().unwrap();
        scopes.iter().find(|scope| scope["name"] == name).unwrap()["tags"].clone()
    };
    // One span of the sample ends before it starts.
    assert_eq!(of("span"), json!(["http.route", "mirador.end_time_unix_nano"]));
    assert_eq!(of("event"), json!(["exception.type"]));
    assert_eq!(of("intrinsic").as_array().unwrap().len(), 25);
    let old = get_json(&server, "/api/search/tags?scope=resource");
    assert_eq!(old["tagNames"], json!(["service.name"]));
    let values = |path: &str| get_json(&server, path)["tagValues"].clone();
    let route = json!([{"type": "string", "value": "/a \"b\""}]);
    assert_eq!(values("/api/v2/search/tag/span.http.route/values"), route);
    let quoted = "/api/v2/search/tag/span.%22http.route%22/values?q=%7B%20status%20%3D%20err";
    assert_eq!(values(quoted), route, "an incomplete query does no harm");
    assert_eq!(values("/api/search/tag/service.name/values"), json!(["shop"]));
    let status = values("/api/v2/search/tag/status/values");
    assert!(status.as_array().unwrap().iter().all(|value| value["type"] == "keyword"));
    assert_eq!(get(&server, "/api/v2/search/tag/span.x").status, 400);
}

#[test]
fn metrics_have_samples_and_exemplars() {
    let server = server();
    let range = "start=1699999990&end=1700000010&step=10s";
    let by_service = "q=%7B%20%7D%20%7C%20count_over_time()%20by%20(resource.service.name)";
    let answer = get_json(&server, &format!("/api/metrics/query_range?{by_service}&{range}"));
    let shop = answer["series"]
        .as_array()
        .unwrap()
        .iter()
        .find(|series| series["labels"][0]["value"]["stringValue"] == "shop")
        .unwrap();
    let sample = json!({"timestampMs": "1700000000000", "value": 2.0});
    assert!(shop["samples"].as_array().unwrap().contains(&sample), "{shop}");
    assert_eq!(shop["exemplars"][0]["labels"][0]["key"], "trace:id");
    assert_eq!(shop["exemplars"][0]["labels"][0]["value"]["stringValue"], ID);
    let instant = "q=%7B%20status%20%3D%20error%20%7D%20%7C%20count_over_time()&start=1699999990&end=1700000010";
    let answer = get_json(&server, &format!("/api/metrics/query?{instant}"));
    assert_eq!(answer["series"][0]["value"], 1.0);
    assert_eq!(get(&server, "/api/metrics/query_range?q=%7B%7D").status, 400);
}

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

fn framed(message: &impl prost::Message) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message.encode_to_vec()].concat()
}

/// Calls a method of the service that streams; answers its messages.
fn stream<M: prost::Message + Default>(
    server: &TestServer,
    method: &str,
    request: &impl prost::Message,
) -> Vec<M> {
    let line = format!("POST /tempopb.StreamingQuerier/{method}");
    let answer = server.send(&line, &GRPC, framed(request));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/grpc");
    let trailers = answer.trailers.expect("the status comes behind the answer");
    assert_eq!(trailers["grpc-status"], "0");
    let (mut rest, mut found) = (&answer.body[..], Vec::new());
    while let [0, a, b, c, d, tail @ ..] = rest {
        let (message, after) = tail.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        found.push(M::decode(message).unwrap());
        rest = after;
    }
    assert_eq!(rest, b"");
    found
}

#[test]
fn a_search_is_streamed_as_it_is_answered_over_http() {
    let server = server();
    let request = pb::SearchRequest {
        query: "{ status = error }".to_owned(),
        spans_per_span_set: 5,
        ..pb::SearchRequest::default()
    };
    let answers: Vec<pb::SearchResponse> = stream(&server, "Search", &request);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    let trace = &answer.traces[0];
    assert_eq!((&*trace.trace_id, &*trace.root_service_name), ("abc0000000000de", "shop"));
    assert_eq!((trace.start_time_unix_nano, trace.duration_ms), (1_700_000_000_000_000_000, 1_500));
    assert_eq!(trace.service_stats["shop"], pb::ServiceStats { span_count: 2, error_count: 1 });
    assert_eq!(trace.span_set.as_ref(), trace.span_sets.first());
    let span = &trace.span_sets[0].spans[0];
    assert_eq!((&*span.span_id, span.duration_nanos), ("0000000000000002", 1_500_000_000));
    let value = span.attributes[0].value.as_ref().unwrap().value.as_ref();
    assert_eq!(value, Some(&AnyValue::StringValue("error".to_owned())));
    let metrics = answer.metrics.as_ref().unwrap();
    assert_eq!((metrics.inspected_traces, metrics.completed_jobs, metrics.total_jobs), (1, 1, 1));
    // What Grafana asks to know whether there is a Tempo that streams.
    let health =
        pb::SearchRequest { query: "{}".to_owned(), limit: 1, ..pb::SearchRequest::default() };
    let answers: Vec<pb::SearchResponse> = stream(&server, "Search", &health);
    assert_eq!(answers[0].traces.len(), 1);
    let tags =
        [("service.name".to_owned(), "shop".to_owned()), ("name".to_owned(), "a \"b".to_owned())];
    for (count, expected) in [(1, 1), (2, 0)] {
        let tags = tags[..count].iter().cloned().collect();
        let by_tags = pb::SearchRequest { tags, min_duration_ms: 1_500, ..Default::default() };
        let answers: Vec<pb::SearchResponse> = stream(&server, "Search", &by_tags);
        assert_eq!(answers[0].traces.len(), expected, "{count}");
        assert!(answers[0].traces.iter().all(|trace| trace.span_sets.is_empty()));
    }
}

#[test]
fn names_and_values_are_streamed() {
    let server = server();
    let of_scope = |scope: &str| pb::SearchTagsRequest {
        scope: scope.to_owned(),
        ..pb::SearchTagsRequest::default()
    };
    let names: Vec<pb::SearchTagsResponse> = stream(&server, "SearchTags", &of_scope("resource"));
    assert_eq!(names[0].tag_names, ["service.name"]);
    let names: Vec<pb::SearchTagsV2Response> = stream(&server, "SearchTagsV2", &of_scope("span"));
    let [scope] = &names[0].scopes[..] else { panic!("{names:?}") };
    assert_eq!(scope.name, "span");
    assert_eq!(scope.tags, ["http.route", "mirador.end_time_unix_nano"]);
    let of_tag = |tag: &str| pb::SearchTagValuesRequest {
        tag_name: tag.to_owned(),
        query: "{ status = err".to_owned(),
        start: 1_699_999_000,
        end: 1_700_000_100,
    };
    let values: Vec<pb::SearchTagValuesResponse> =
        stream(&server, "SearchTagValues", &of_tag("service.name"));
    assert_eq!(values[0].tag_values, ["shop"]);
    let values: Vec<pb::SearchTagValuesV2Response> =
        stream(&server, "SearchTagValuesV2", &of_tag("span.http.route"));
    let expected = pb::TagValue { r#type: "string".to_owned(), value: "/a \"b\"".to_owned() };
    assert_eq!(values[0].tag_values, [expected]);
}

#[test]
fn metrics_are_streamed() {
    let server = server();
    let query = "{ } | count_over_time() by (resource.service.name)".to_owned();
    const SECOND: u64 = 1_000_000_000;
    let (start, end) = (1_699_999_990 * SECOND, 1_700_000_010 * SECOND);
    let range =
        pb::QueryRangeRequest { query: query.clone(), start, end, step: 10 * SECOND, exemplars: 0 };
    let answers: Vec<pb::QueryRangeResponse> = stream(&server, "MetricsQueryRange", &range);
    let is_shop = |labels: &[wire::proto::opentelemetry::proto::common::v1::KeyValue]| {
        let value = labels[0].value.as_ref().and_then(|value| value.value.as_ref());
        value == Some(&AnyValue::StringValue("shop".to_owned()))
    };
    let shop = answers[0].series.iter().find(|series| is_shop(&series.labels)).unwrap();
    let sample = pb::Sample { value: 2.0, timestamp_ms: 1_700_000_000_000 };
    assert!(shop.samples.contains(&sample), "{shop:?}");
    assert_eq!(shop.exemplars[0].labels[0].key, "trace:id");
    assert!(shop.exemplars[0].timestamp_ms > 0);
    let instant = pb::QueryInstantRequest { query, start, end };
    let answers: Vec<pb::QueryInstantResponse> = stream(&server, "MetricsQueryInstant", &instant);
    let shop = answers[0].series.iter().find(|series| is_shop(&series.labels)).unwrap();
    assert_eq!(shop.value, 2.0);
}

#[test]
fn a_question_that_can_not_be_has_a_status_of_grpc() {
    let server = server();
    let wrong = pb::SearchRequest { query: "{ status".to_owned(), ..Default::default() };
    let ask = |headers: &[(&str, &str)], body: Vec<u8>| {
        server.send("POST /tempopb.StreamingQuerier/Search", headers, body)
    };
    let answer = ask(&GRPC, framed(&wrong));
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "3"));
    assert!(answer.header("grpc-message").contains("parse error at line 1"));
    let answer = ask(&GRPC, b"\0\0\0\0\x02\x0a\x7f".to_vec());
    assert_eq!(answer.header("grpc-status"), "3", "a message that ends too early");
    let nobody = [GRPC[0], GRPC[1], ("x-test-refuse", "missing")];
    let answer = ask(&nobody, framed(&wrong));
    assert_eq!(answer.header("grpc-status"), "16");
    let other = [GRPC[0], GRPC[1], ("x-scope-orgid", "other"), ("accept-encoding", "gzip")];
    let all = pb::SearchRequest { query: "{}".to_owned(), ..Default::default() };
    let answer = ask(&other, framed(&all));
    let found = pb::SearchResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(found.traces, [], "of another tenant");
}

#[test]
fn a_stream_waits_for_its_turn_which_a_client_that_goes_away_gives_back() {
    const SEARCH: &str = "POST /tempopb.StreamingQuerier/Search";
    let queries = PoolSettings { threads: 1, waiting_max: 1, tenant_waiting_max: 1 };
    let server = TestServer::new(|setup| setup.queries = queries);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let busy = move || assert!(ended.recv().is_err(), "nothing is sent");
    server.pool.submit(&TenantId::default_tenant(), CancelFlag::new(), busy).unwrap();
    let all = || framed(&pb::SearchRequest { query: "{}".to_owned(), ..Default::default() });
    while server.pool.load().running == 0 {
        std::thread::yield_now();
    }
    let gone = server.begin_with(SEARCH, &GRPC, all(), 1);
    let refused = server.send(SEARCH, &GRPC, all());
    assert_eq!((refused.status.as_u16(), refused.header("grpc-status")), (200, "14"));
    drop(gone);
    let waiting = server.begin_with(SEARCH, &GRPC, all(), 1);
    drop(end);
    let answer = server.block_on(waiting);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("grpc-status"), None, "the status comes behind the answer");
}

#[test]
fn traces_are_deleted_by_their_ids() {
    let server = server();
    const PATH: &str = "/api/admin/traces/delete";
    let post = |line: &str, headers: &[(&str, &str)]| {
        let answer = server.send(&format!("POST {PATH}{line}"), headers, "");
        let body: Value = serde_json::from_str(&answer.text()).unwrap();
        (answer.status.as_u16(), body)
    };
    assert_eq!(post("", &[]).0, 400);
    assert_eq!(post("?trace_id=abc&trace_id=xyz", &[]).0, 400);
    assert_eq!(post("?trace_id=abc", &[("x-test-refuse", "scope")]).0, 403);
    assert_eq!(post(&format!("?trace_id={ID}"), &[("x-scope-orgid", "other")]).0, 200);
    assert_ne!(get_json(&server, &format!("/api/v2/traces/{ID}"))["trace"], json!({}));
    server.flush_traces();
    let (status, answer) = post("?trace_id=abc0000000000de&trace_id=7", &[]);
    let ids = json!(["00000000000000000000000000000007", ID]);
    assert_eq!((status, &answer["trace_ids"]), (200, &ids));
    assert_eq!(get_json(&server, &format!("/api/v2/traces/{ID}"))["trace"], json!({}));
    assert_eq!(get_json(&server, "/api/search?q=%7B%7D")["traces"].as_array().unwrap().len(), 1);
    let listed = get_json(&server, PATH);
    assert_eq!(listed["deletes"][0]["trace_ids"], ids);
}
