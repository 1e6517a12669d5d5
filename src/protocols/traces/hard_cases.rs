//! Spans that are wrong or unusual, and queries that are meant to do harm: what becomes of each, one test
//! for each case, over real stores.

use crate::grpc::push_frame;
use crate::testing::TestServer;
use serde_json::{Map, Value, json};
use wire::proto::tempopb::SearchRequest;

const JSON: (&str, &str) = ("content-type", "application/json");
const START: u64 = 1_699_999_990_000_000_000;
const ID: &str = "0000000000000000000000000000abcd";

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// A span of the trace [`ID`] that takes a millisecond. `more` replaces what is there.
fn span(id: u64, parent: u64, name: &str, more: Value) -> Value {
    let mut span = json!({
        "traceId": ID, "spanId": format!("{id:016x}"), "name": name,
        "startTimeUnixNano": (START + id * 1_000).to_string(),
        "endTimeUnixNano": (START + id * 1_000 + 1_000_000).to_string(),
    });
    let fields = span.as_object_mut().unwrap();
    if parent > 0 {
        fields.insert("parentSpanId".to_owned(), json!(format!("{parent:016x}")));
    }
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    span
}

fn plain(id: u64, parent: u64, name: &str) -> Value {
    span(id, parent, name, Value::Null)
}

/// Sends spans of one resource; answers what the exporter is told.
fn send_of(server: &TestServer, resource: Value, spans: Value) -> Value {
    let body =
        json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let answer = server.send("POST /v1/traces", &[JSON], body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

/// Sends spans of a shop, all of which are taken.
fn send(server: &TestServer, spans: Value) {
    let shop = json!({ "attributes": [text("service.name", "shop")] });
    assert_eq!(send_of(server, shop, spans), json!({}));
}

fn new_server(spans: Value) -> TestServer {
    let server = TestServer::new(|_| {});
    send(&server, spans);
    server
}

/// The query is encoded here.
fn search(server: &TestServer, query: &str) -> Vec<Value> {
    let query = crate::route::percent_encode_value(query);
    let found = server.get_json(&format!("/api/search?spss=100&q={query}"));
    found["traces"].as_array().unwrap().clone()
}

/// The spans that a query finds, by their names, with the attributes that it selects.
fn found(server: &TestServer, query: &str) -> Vec<(String, Map<String, Value>)> {
    let mut found = Vec::new();
    for trace in search(server, query) {
        for span in trace["spanSets"][0]["spans"].as_array().unwrap() {
            let attributes = span["attributes"].as_array().into_iter().flatten();
            let attributes = attributes.map(|attribute| {
                let value = attribute["value"].as_object().unwrap().values().next().unwrap();
                (attribute["key"].as_str().unwrap().to_owned(), value.clone())
            });
            found.push((span["name"].as_str().unwrap_or("").to_owned(), attributes.collect()));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

fn names(server: &TestServer, query: &str) -> Vec<String> {
    found(server, query).into_iter().map(|(name, _)| name).collect()
}

/// The resources of the trace, as OTLP.
fn resources(server: &TestServer) -> Vec<Value> {
    let trace = server.get_json(&format!("/jaeger/api/v3/traces/{ID}"));
    trace["result"]["resourceSpans"].as_array().unwrap().clone()
}

/// All spans of the trace, as OTLP.
fn spans(server: &TestServer) -> Vec<Value> {
    let of_resource = |resource: &Value| resource["scopeSpans"].as_array().unwrap().clone();
    let scopes = resources(server).iter().flat_map(of_resource).collect::<Vec<_>>();
    scopes.iter().flat_map(|scope| scope["spans"].as_array().unwrap().clone()).collect()
}

/// The value of an attribute, with its type.
fn attribute(of: &Value, key: &str) -> Option<Value> {
    let attributes = of["attributes"].as_array()?.iter();
    let found = attributes.into_iter().find(|attribute| attribute["key"] == key)?;
    Some(found["value"].clone())
}

/// Looks at the same before and after the spans are written to a part.
fn in_head_and_part(server: &TestServer, check: impl Fn(&TestServer)) {
    check(server);
    server.flush_traces();
    check(server);
}

#[test]
fn an_id_of_a_wrong_length_or_of_zeros_costs_its_span_only() {
    let server = TestServer::new(|_| {});
    let with = |field: &str, id: &str| {
        let mut fields = Map::new();
        fields.insert(field.to_owned(), json!(id));
        span(1, 0, "bad", Value::Object(fields))
    };
    let answer = send_of(
        &server,
        json!({}),
        json!([
            plain(7, 0, "good"),
            with("traceId", "0af7"),
            with("traceId", &"0".repeat(32)),
            with("spanId", "0af765"),
            with("spanId", &"0".repeat(16)),
        ]),
    );
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "4");
    assert_eq!(names(&server, "{}"), ["good"]);
}

#[test]
fn an_orphan_is_no_root_and_in_no_relation_with_the_rest() {
    let server =
        new_server(json!([plain(1, 0, "root"), plain(2, 1, "child"), plain(3, 99, "orphan"),]));
    in_head_and_part(&server, |server| {
        assert_eq!(names(server, "{ nestedSetParent < 0 }"), ["root"]);
        assert_eq!(names(server, "{ name = \"root\" } >> {}"), ["child"]);
        assert_eq!(names(server, "{} > { name = \"orphan\" }"), [""; 0]);
        let (_, of_orphan) =
            found(server, "{ name = \"orphan\" } | select(nestedSetParent, nestedSetLeft)")
                .remove(0);
        assert_eq!(of_orphan["nestedSetParent"], "0");
        assert_eq!(of_orphan["nestedSetLeft"], "0");
        assert_eq!(spans(server).len(), 3);
        let summaries = server.get_json("/jaeger/api/v3/trace-summaries");
        assert_eq!(summaries["summaries"][0]["orphanSpanCount"], 1);
    });
}

#[test]
fn a_trace_without_a_root_says_so() {
    let server = new_server(json!([plain(2, 1, "late")]));
    let trace = search(&server, "{}").remove(0);
    assert_eq!(trace["rootServiceName"], "<root span not yet received>");
    assert_eq!(trace.get("rootTraceName"), None);
}

#[test]
fn of_several_roots_the_earliest_names_the_trace() {
    // In the order in which they arrive the later one is first.
    let server =
        new_server(json!([plain(9, 0, "later"), plain(3, 0, "earlier"), plain(4, 9, "x")]));
    in_head_and_part(&server, |server| {
        assert_eq!(search(server, "{}")[0]["rootTraceName"], "earlier");
        assert_eq!(names(server, "{ name = \"later\" } > {}"), ["x"]);
        assert_eq!(names(server, "{ nestedSetParent < 0 }"), ["earlier", "later"]);
    });
}

#[test]
fn a_cycle_of_parents_ends_and_is_below_no_root() {
    let server = new_server(json!([
        plain(1, 0, "root"),
        plain(2, 3, "a"),
        plain(3, 4, "b"),
        plain(4, 2, "c"),
        plain(5, 5, "itself"),
    ]));
    in_head_and_part(&server, |server| {
        assert_eq!(spans(server).len(), 5);
        assert_eq!(names(server, "{ name = \"root\" } >> {}"), [""; 0]);
        let (_, of_itself) =
            found(server, "{ name = \"itself\" } | select(nestedSetLeft)").remove(0);
        assert_eq!(of_itself["nestedSetLeft"], "0");
    });
}

#[test]
fn client_and_server_may_share_an_id_as_with_zipkin() {
    let server = new_server(json!([
        plain(1, 0, "root"),
        span(2, 1, "client", json!({ "kind": 3 })),
        span(2, 1, "server", json!({ "kind": 2 })),
        plain(3, 2, "work"),
    ]));
    in_head_and_part(&server, |server| {
        assert_eq!(spans(server).len(), 4);
        assert_eq!(names(server, "{ name = \"client\" } > {}"), ["server"]);
        assert_eq!(names(server, "{ name = \"server\" } > {}"), ["work"]);
    });
}

#[test]
fn more_than_two_spans_of_one_id_are_all_kept_and_do_not_disturb_the_rest() {
    let server = new_server(json!([
        plain(1, 0, "root"),
        plain(2, 1, "one"),
        plain(2, 1, "two"),
        plain(2, 1, "three"),
        plain(3, 1, "other"),
        plain(4, 2, "below"),
    ]));
    in_head_and_part(&server, |server| {
        assert_eq!(spans(server).len(), 6);
        let children = ["one", "other", "three", "two"];
        assert_eq!(names(server, "{ name = \"root\" } > {}"), children);
        assert_eq!(names(server, "{ name = \"root\" } >> { name = \"below\" }"), ["below"]);
    });
}

#[test]
fn a_span_that_is_sent_again_counts_once() {
    let one = plain(1, 0, "one");
    let server = new_server(json!([one, one]));
    // In a batch that is no repetition of the first.
    send(&server, json!([one, plain(2, 1, "two")]));
    in_head_and_part(&server, |server| {
        assert_eq!(names(server, "{}"), ["one", "two"]);
        assert_eq!(spans(server).len(), 2);
    });
    server.flush_traces();
    send(&server, json!([plain(1, 0, "one"), plain(3, 1, "three")]));
    in_head_and_part(&server, |server| assert_eq!(names(server, "{}"), ["one", "three", "two"]));
}

#[test]
fn an_end_before_the_start_is_no_duration_and_is_told_as_it_was_sent() {
    let early = json!({ "endTimeUnixNano": (START - 5).to_string() });
    let server = new_server(json!([span(1, 0, "backwards", early)]));
    in_head_and_part(&server, |server| {
        assert_eq!(names(server, "{ duration = 0s }"), ["backwards"]);
        assert_eq!(names(server, "{ duration > 0s }"), [""; 0]);
        let span = spans(server).remove(0);
        assert_eq!(span["endTimeUnixNano"], span["startTimeUnixNano"], "no endless span");
        let raw = json!({ "intValue": (START - 5).to_string() });
        assert_eq!(attribute(&span, "mirador.end_time_unix_nano"), Some(raw));
    });
}

#[test]
fn a_span_without_a_duration_is_in_no_histogram() {
    let now = json!({ "endTimeUnixNano": (START + 1_000).to_string() });
    let server = new_server(json!([span(1, 0, "instant", now), plain(2, 1, "long")]));
    in_head_and_part(&server, |server| {
        let count = |query: &str| {
            let query = crate::route::percent_encode_value(query);
            let times = "start=1699999980&end=1700000000";
            let answer = server.get_json(&format!("/api/metrics/query?{times}&q={query}"));
            let series = answer["series"].as_array().unwrap().clone();
            series.iter().map(|series| series["value"].as_f64().unwrap()).sum::<f64>()
        };
        assert_eq!(count("{} | count_over_time()"), 2.0);
        assert_eq!(count("{} | histogram_over_time(duration)"), 1.0);
    });
}

#[test]
fn a_start_that_can_not_be_becomes_that_of_the_arrival() {
    let at = |ns: u64| json!({ "startTimeUnixNano": ns.to_string(), "endTimeUnixNano": (ns + 7).to_string() });
    let far = 4_000_000_000_000_000_000;
    let server = new_server(json!([span(1, 0, "never", at(0)), span(2, 1, "future", at(far)),]));
    in_head_and_part(&server, |server| {
        let recent = "{} | select(span.mirador.start_time_unix_nano)";
        let mut sent = found(server, recent).into_iter();
        let (future, never) = (sent.next().unwrap(), sent.next().unwrap());
        assert_eq!(future.1["mirador.start_time_unix_nano"], far.to_string());
        assert_eq!(never.1["mirador.start_time_unix_nano"], "0");
        assert_eq!(names(server, "{ duration = 7ns }"), ["future", "never"]);
    });
}

#[test]
fn clocks_that_differ_change_nothing_that_is_stored() {
    let server =
        new_server(json!([plain(5, 0, "root"), span(2, 5, "skewed", json!({ "kind": 2 })),]));
    let spans = spans(&server);
    let started = |name: &str| {
        let span = spans.iter().find(|span| span["name"] == name).unwrap();
        span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((started("root"), started("skewed")), (START + 5_000, START + 2_000));
}

#[test]
fn a_large_trace_is_kept_and_answered_whole() {
    const SPANS: u64 = 20_000;
    let server = TestServer::new(|_| {});
    let mut sent = 0;
    while sent < SPANS {
        let spans: Vec<Value> =
            (sent + 1..=sent + 2_000).map(|id| plain(id, id / 2, "work")).collect();
        sent += spans.len() as u64;
        send(&server, json!(spans));
    }
    in_head_and_part(&server, |server| {
        assert_eq!(spans(server).len() as u64, SPANS);
        let trace = search(server, "{ nestedSetParent < 0 }").remove(0);
        assert_eq!(trace["serviceStats"]["shop"]["spanCount"], SPANS);
    });
}

#[test]
fn an_attribute_of_any_size_is_kept_whole() {
    let long = "é".repeat(100_000);
    let key = "k".repeat(10_000);
    let attributes = json!({ "attributes": [text("sql", &long), text(&key, "v")] });
    let server = new_server(json!([span(1, 0, "large", attributes)]));
    in_head_and_part(&server, |server| {
        let span = spans(server).remove(0);
        assert_eq!(attribute(&span, "sql"), Some(json!({ "stringValue": long })));
        assert_eq!(attribute(&span, &key), Some(json!({ "stringValue": "v" })));
        assert_eq!(names(server, "{ span.sql =~ \"é+\" }"), ["large"]);
    });
}

#[test]
fn texts_that_are_not_utf8_are_replaced_and_said() {
    let server = TestServer::new(|_| {});
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans":
        [span(1, 0, "bad ?", json!({ "attributes": [text("a", "?")] })), plain(2, 1, "good")] }] }] });
    let body = body.to_string().into_bytes().into_iter();
    let body = body.map(|byte| if byte == b'?' { 0xff } else { byte });
    let answer = server.send("POST /v1/traces", &[JSON], body.collect::<Vec<u8>>());
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
    assert_eq!(names(&server, "{ span.invalid_utf8 = true }"), ["bad \u{fffd}"]);
    assert_eq!(names(&server, "{ span.a = \"\u{fffd}\" }"), ["bad \u{fffd}"]);
    assert_eq!(names(&server, "{}"), ["bad \u{fffd}", "good"]);
}

#[test]
fn a_resource_without_a_service_is_stored_as_it_is_and_answered_as_unknown() {
    let server = TestServer::new(|_| {});
    assert_eq!(send_of(&server, json!({}), json!([plain(1, 0, "nobody")])), json!({}));
    let number = json!({ "attributes": [{ "key": "service.name", "value": { "intValue": "7" } }] });
    assert_eq!(send_of(&server, number, json!([plain(2, 1, "number")])), json!({}));
    in_head_and_part(&server, |server| {
        let by_name = "{ resource.service.name = \"unknown_service\" }";
        assert_eq!(names(server, by_name), [""; 0], "it is stored as it was sent");
        let resources = resources(server);
        let of = |name: &str| {
            let is_of = |of: &&Value| of["scopeSpans"][0]["spans"][0]["name"] == name;
            attribute(&resources.iter().find(is_of).unwrap()["resource"], "service.name").unwrap()
        };
        assert_eq!(of("nobody"), json!({ "stringValue": "unknown_service" }));
        assert_eq!(of("number"), json!({ "intValue": "7" }));
    });
}

#[test]
fn a_span_without_a_name_keeps_having_none() {
    let server = new_server(json!([plain(1, 0, "")]));
    assert_eq!(names(&server, "{ name = \"\" }"), [""]);
    assert_eq!(spans(&server)[0].get("name"), None);
}

#[test]
fn resources_that_are_equal_are_one() {
    let server = TestServer::new(|_| {});
    let of = |spans: Value| {
        json!({ "resource": { "attributes": [text("service.name", "shop")] },
            "scopeSpans": [{ "spans": spans }] })
    };
    let body =
        json!({ "resourceSpans": [of(json!([plain(1, 0, "a")])), of(json!([plain(2, 1, "b")]))] });
    assert_eq!(server.send("POST /v1/traces", &[JSON], body.to_string()).status, 200);
    send(&server, json!([plain(3, 1, "c")]));
    in_head_and_part(&server, |server| {
        let resources = resources(server);
        assert_eq!(resources.len(), 1, "{resources:?}");
        assert_eq!(spans(server).len(), 3);
    });
}

#[test]
fn links_lead_to_anywhere_and_are_as_many_as_were_sent() {
    let link = |trace: u64, span: u64| json!({ "traceId": format!("{trace:032x}"), "spanId": format!("{span:016x}") });
    let mut links = vec![link(0xabcd, 1)];
    links.extend((1..=3_000).map(|number| link(0xffff, number)));
    let server = new_server(json!([span(1, 0, "linked", json!({ "links": links.clone() }))]));
    in_head_and_part(&server, |server| {
        assert_eq!(spans(server)[0]["links"], json!(links));
        assert_eq!(names(server, "{ link:spanID = \"0000000000000bb8\" }"), ["linked"]);
    });
}

#[test]
fn values_of_every_kind_come_back_as_they_were() {
    let values = [
        (
            "list",
            json!({ "arrayValue": { "values": [{ "intValue": "1" }, { "stringValue": "x" }] } }),
        ),
        (
            "nested",
            json!({ "arrayValue": { "values": [{ "arrayValue": { "values": [{ "boolValue": true }] } }] } }),
        ),
        (
            "map",
            json!({ "kvlistValue": { "values": [{ "key": "a b", "value": { "doubleValue": 0.5 } }] } }),
        ),
        ("bytes", json!({ "bytesValue": "AP8=" })),
    ];
    let list: Vec<Value> =
        values.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let server = new_server(json!([span(1, 0, "kinds", json!({ "attributes": list }))]));
    in_head_and_part(&server, |server| {
        let span = spans(server).remove(0);
        for (key, value) in &values {
            assert_eq!(attribute(&span, key).as_ref(), Some(value), "{key}");
        }
        assert_eq!(names(server, "{ span.list = \"x\" || span.map = nil }"), ["kinds"]);
    });
}

#[test]
fn a_key_may_have_values_of_several_types() {
    let of = |value: Value| json!({ "attributes": [{ "key": "code", "value": value }] });
    let server = new_server(json!([
        span(1, 0, "int", of(json!({ "intValue": "200" }))),
        span(2, 1, "text", of(json!({ "stringValue": "200" }))),
        span(3, 1, "double", of(json!({ "doubleValue": 200.5 }))),
    ]));
    in_head_and_part(&server, |server| {
        assert_eq!(names(server, "{ span.code = \"200\" }"), ["text"]);
        assert_eq!(names(server, "{ span.code = 200 }"), ["int"]);
        // As with Tempo, a whole number is compared with whole numbers.
        assert_eq!(names(server, "{ span.code > 100 }"), ["int"]);
        assert_eq!(names(server, "{ span.code > 100.5 }"), ["double"]);
        assert_eq!(names(server, "{ span.code != nil }"), ["double", "int", "text"]);
    });
}

#[test]
fn a_key_may_have_any_characters() {
    for key in ["a b", "a=b", "a\"b", "a\nb", "a{b}|c", "한국", "\\"] {
        let attributes = json!({ "attributes": [text(key, "v")] });
        let server = new_server(json!([span(1, 0, "odd", attributes)]));
        let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
        assert_eq!(names(&server, &format!("{{ span.\"{quoted}\" = \"v\" }}")), ["odd"], "{key:?}");
        let tags = server.get_json("/api/v2/search/tags?scope=span");
        assert_eq!(tags["scopes"][0]["tags"], json!([key]));
    }
}

#[test]
fn queries_that_are_bombs_are_refused_or_answered_at_once() {
    let server =
        new_server(json!([span(1, 0, "x", json!({ "attributes": [text("a", "aaaa!")] }))]));
    // Over gRPC, because no URL is as long as some of these.
    let status = |query: &str| {
        let request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        let mut body = Vec::new();
        push_frame(&mut body, &request);
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let answer = server.send("POST /tempopb.StreamingQuerier/Search", &headers, body);
        let refused = answer.header("grpc-status").to_owned();
        if refused.is_empty() { "0".to_owned() } else { refused }
    };
    const INVALID: &str = "3";
    let deep = |open: &str, close: &str| {
        let times = 10_000;
        format!("{{ {}true{} }}", open.repeat(times), close.repeat(times))
    };
    assert_eq!(status(&deep("(", ")")), INVALID);
    assert_eq!(status(&deep("!", "")), INVALID);
    assert_eq!(status(&format!("{}{{}}{}", "(".repeat(10_000), ")".repeat(10_000))), INVALID);
    assert_eq!(status(&format!("{{ .a = \"{}\" }}", "x".repeat(200 << 10))), INVALID);
    assert_eq!(status(&format!("{{ true{} }}", " && true".repeat(10_000))), INVALID);
    assert_eq!(status(&format!("{{}}{}", " | {}".repeat(10_000))), INVALID);
    for query in [
        "{ 2 ^ 9223372036854775807 > 1 }",
        "{ .n = 2 ^ (2 ^ 62) }",
        "{ .a =~ \"(a*)*b\" }",
        "{ .a =~ \"(a+)+$\" }",
    ] {
        assert_eq!(status(query), "0", "{query}");
    }
    assert_eq!(status("{ .a =~ \"a{1000}{1000}\" }"), INVALID);
}

#[test]
fn a_span_that_comes_hours_later_belongs_to_its_trace() {
    let server = new_server(json!([plain(2, 1, "early")]));
    server.flush_traces();
    let hours = std::time::Duration::from_secs(5 * 3_600);
    server.advance(hours);
    send(&server, json!([plain(1, 0, "root")]));
    let range = "start=1699999980&end=1700000000";
    in_head_and_part(&server, |server| {
        let query =
            crate::route::percent_encode_value("{ name = \"root\" } > { name = \"early\" }");
        let found = server.get_json(&format!("/api/search?q={query}&{range}"));
        assert_eq!(found["traces"][0]["rootTraceName"], "root");
        assert_eq!(found["traces"][0]["serviceStats"]["shop"]["spanCount"], 2);
    });
}
