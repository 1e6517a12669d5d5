//! Both encodings of version 2 against each other by way of the generated types, what becomes of spans,
//! and any bytes.

use super::*;
use crate::otlp::HeardSpans;
use crate::proto::zipkin::proto3::{Annotation, Endpoint, ListOfSpans, Span};
use crate::span_sink::DecodedSpans;
use model::Unbounded;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use std::net::{Ipv4Addr, Ipv6Addr};

const NOW_NS: u64 = 1_700_000_000_000_000_000;

fn decode(bytes: &[u8]) -> (Vec<String>, DecodedSpans) {
    let mut heard = HeardSpans::default();
    let decoded = decode_zipkin_protobuf(bytes, NOW_NS, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

fn decode_json(json: &str) -> (Vec<String>, DecodedSpans) {
    let mut heard = HeardSpans::default();
    let decoded = decode_zipkin_json(json.as_bytes(), NOW_NS, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

fn decode_v1(json: &str) -> (Vec<String>, DecodedSpans) {
    let mut heard = HeardSpans::default();
    let decoded =
        decode_zipkin_v1_json(json.as_bytes(), NOW_NS, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

prop_compose! {
    fn endpoint()(
        service_name in "shop|cart|", ipv4 in option::of(any::<[u8; 4]>()),
        ipv6 in option::of(any::<[u8; 16]>()), port in prop_oneof![Just(0), 1i32..65_536],
    ) -> Endpoint {
        let [ipv4, ipv6] = [ipv4.map(|ip| ip.to_vec()), ipv6.map(|ip| ip.to_vec())];
        Endpoint {
            service_name, ipv4: ipv4.unwrap_or_default(), ipv6: ipv6.unwrap_or_default(), port,
        }
    }
}

prop_compose! {
    fn span()(
        trace_id in prop_oneof![vec(any::<u8>(), 8..9), vec(any::<u8>(), 16..17), Just(vec![0; 16])],
        (parent_id, id) in (option::of(vec(any::<u8>(), 8..9)), vec(any::<u8>(), 8..9)),
        kind in 0i32..5, name in ".{0,5}", timestamp in 0u64..1 << 50, duration in 0u64..1 << 40,
        local_endpoint in option::of(endpoint()), remote_endpoint in option::of(endpoint()),
        annotations in vec((0u64..1 << 50, ".{0,5}"), 0..3),
        tags in btree_map(
            "[a-z.]{1,4}|error|otel.status_code|span.kind|otel.scope.name|host.name|w3c.tracestate",
            "ERROR|true|false|internal|.{0,4}", 0..4,
        ),
    ) -> Span {
        let annotation = |(timestamp, value)| Annotation { timestamp, value };
        Span {
            trace_id, parent_id: parent_id.unwrap_or_default(), id, kind, name, timestamp, duration,
            local_endpoint, remote_endpoint,
            annotations: annotations.into_iter().map(annotation).collect(),
            // prost's maps have no order: JSON would have another.
            tags: tags.into_iter().take(1).collect(),
        }
    }
}

fn in_json(spans: &[Span]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let kinds = [None, Some("CLIENT"), Some("SERVER"), Some("PRODUCER"), Some("CONSUMER")];
    let endpoint = |endpoint: &Endpoint| {
        let ipv4 = <[u8; 4]>::try_from(&endpoint.ipv4[..]).ok().map(Ipv4Addr::from);
        let ipv6 = <[u8; 16]>::try_from(&endpoint.ipv6[..]).ok().map(Ipv6Addr::from);
        json!({
            "serviceName": endpoint.service_name, "port": endpoint.port, "more": {},
            "ipv4": ipv4.map(|ip| ip.to_string()), "ipv6": ipv6.map(|ip| ip.to_string()),
        })
    };
    let span = |span: &Span| {
        let annotation =
            |one: &Annotation| json!({ "timestamp": one.timestamp, "value": one.value });
        json!({
            "traceId": hex(&span.trace_id), "parentId": hex(&span.parent_id), "id": hex(&span.id),
            "kind": kinds[span.kind as usize], "name": span.name, "duration": span.duration,
            "timestamp": (span.timestamp > 0).then_some(span.timestamp), "shared": true,
            "localEndpoint": span.local_endpoint.as_ref().map(endpoint),
            "remoteEndpoint": span.remote_endpoint.as_ref().map(endpoint),
            "annotations": span.annotations.iter().map(annotation).collect::<Vec<_>>(),
            "tags": span.tags,
        })
    };
    json!(spans.iter().map(span).collect::<Vec<_>>()).to_string()
}

proptest! {
    #[test]
    fn both_encodings_are_the_same_spans(spans in vec(span(), 0..5)) {
        let json = in_json(&spans);
        let (heard, decoded) = decode(&ListOfSpans { spans: spans.clone() }.encode_to_vec());
        let is_valid = |span: &&Span| {
            span.trace_id.iter().any(|byte| *byte > 0) && span.id.iter().any(|byte| *byte > 0)
        };
        prop_assert_eq!(decoded.spans, spans.iter().filter(is_valid).count() as u64);
        prop_assert_eq!(decode_json(&json), (heard, decoded));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes: Vec<u8>, text in "[{}\\[\\]\":,a-z0-9 ]{0,60}", spans in vec(span(), 1..3),
        at in 0usize..600, byte: u8,
    ) {
        let mut binary = ListOfSpans { spans: spans.clone() }.encode_to_vec();
        let mut json = in_json(&spans).into_bytes();
        for whole in [&mut binary, &mut json] {
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
        }
        for bytes in [&bytes[..], text.as_bytes(), &binary, &json] {
            for bytes in [bytes, &bytes[..at.min(bytes.len())]] {
                let mut heard = HeardSpans::default();
                drop(decode_zipkin_protobuf(bytes, NOW_NS, &mut Unbounded, &mut heard));
                drop(decode_zipkin_json(bytes, NOW_NS, &mut Unbounded, &mut heard));
                drop(decode_zipkin_v1_json(bytes, NOW_NS, &mut Unbounded, &mut heard));
                drop(decode_zipkin_v1_thrift(bytes, NOW_NS, &mut Unbounded, &mut heard));
            }
        }
    }
}

/// The example of Zipkin's documentation, with tags that OpenTelemetry writes.
#[test]
fn a_span_of_a_client() {
    let json = r#"[{
        "traceId": "5982fe77008310cc80f1da5e10147517", "parentId": "90394f6bcffb5d13",
        "id": "67fae42571535f60", "kind": "CLIENT", "name": "/m/n/2.6.1",
        "timestamp": 1516781775726000, "duration": 26000,
        "localEndpoint": {"serviceName": "api", "ipv4": "10.0.0.1", "port": 80},
        "remoteEndpoint": {"serviceName": "apip", "ipv6": "::1"},
        "annotations": [{"timestamp": 1516781775726001, "value": "sent"}],
        "tags": {
            "data.http_response_code": "201", "net.peer.ip": "known", "host.name": "h", "n": 5,
            "otel.scope.name": "lib", "otel.scope.version": "2", "otel.status_code": "OK",
            "otel.status_description": "fine", "w3c.tracestate": "a=b"
        }
    }]"#;
    let (heard, decoded) = decode_json(json);
    assert_eq!(decoded, DecodedSpans { spans: 1, ..DecodedSpans::default() });
    let resource = r#"resource [Attribute { key: "service.name", value: Text("api") }, "#
        .to_owned()
        + r#"Attribute { key: "host.name", value: Text("h") }]"#;
    assert_eq!(heard[..2], [resource, "scope \"lib\" \"2\" []".to_owned()]);
    for part in [
        "trace_id: [89, 130, 254, 119, 0, 131, 16, 204, 128, 241, 218, 94, 16, 20, 117, 23]",
        "span_id: [103, 250, 228, 37, 113, 83, 95, 96]",
        "parent_span_id: [144, 57, 79, 107, 207, 251, 93, 19]",
        "kind: 3, start_ns: 1516781775726000000, end_ns: 1516781775752000000",
        r#"status: 1, status_message: "fine", trace_state: "a=b""#,
        concat!(
            r#"attributes: [Attribute { key: "data.http_response_code", value: Text("201") }, "#,
            r#"Attribute { key: "net.peer.ip", value: Text("known") }, "#,
            r#"Attribute { key: "n", value: Int(5) }, "#,
            r#"Attribute { key: "net.host.ip", value: Text("10.0.0.1") }, "#,
            r#"Attribute { key: "net.host.port", value: Int(80) }, "#,
            r#"Attribute { key: "peer.service", value: Text("apip") }], "#,
            r#"events: [EventRef { time_ns: 1516781775726001000, name: "sent", "#,
        ),
    ] {
        assert!(heard[2].contains(part), "{part}\n{}", heard[2]);
    }
}

#[test]
fn ids_times_and_errors() {
    let one = |more: &str| {
        let span = format!(r#"[{{"traceId":"1f","id":"a0","name":"x"{more}}}]"#);
        let (heard, decoded) = decode_json(&span);
        (heard.last().cloned().unwrap_or_default(), decoded.rejected)
    };
    let (span, _) = one("");
    assert!(span.contains("trace_id: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31]"), "{span}");
    assert!(span.contains("span_id: [0, 0, 0, 0, 0, 0, 0, 160]"), "{span}");
    assert!(span.contains(&format!("start_ns: {NOW_NS}, end_ns: {NOW_NS}")), "{span}");
    assert!(span.contains(r#"key: "otel.zipkin.absentField.startTime", value: Bool(true)"#));
    for (more, part) in [
        (r#","parentId":"00a0""#, "parent_span_id: [0, 0, 0, 0, 0, 0, 0, 0]"),
        (
            r#","annotations":[{"timestamp":9,"value":"b"},{"timestamp":7}]"#,
            "start_ns: 7000, end_ns: 9000",
        ),
        (r#","timestamp":"5","duration":2"#, "start_ns: 5000, end_ns: 7000"),
        (r#","tags":{"error":"true"}"#, r#"status: 2, status_message: """#),
        (
            r#","tags":{"error":"boom","otel.status_code":"OK"}"#,
            r#"status: 2, status_message: "boom""#,
        ),
        (r#","tags":{"error":"false"}"#, r#"status: 0, status_message: """#),
        (r#","tags":{"span.kind":"internal"}"#, "kind: 1"),
    ] {
        let (span, _) = one(more);
        assert!(span.contains(part), "{part}\n{span}");
    }
    for (more, kind) in [
        (r#","traceId":"0""#, "invalid_trace_id"),
        (r#","traceId":"123456789012345678901234567890123""#, "invalid_trace_id"),
        (r#","id":"g""#, "invalid_span_id"),
        (r#","parentId":"12345678901234567""#, "invalid_span_id"),
    ] {
        assert_eq!(one(more).1.kinds, [(kind, 1)], "{more}");
    }
}

#[test]
fn events_with_attributes_are_annotations_in_json() {
    for (value, event) in [
        (
            r#"{\"retry\": {\"attempt\": 2, \"why\": \"x\\\"y\", \"list\": [1]}}"#,
            concat!(
                r#"name: "retry", dropped_attributes: 0, attributes: [Attribute { key: "attempt", value: Int(2) }, "#,
                r#"Attribute { key: "why", value: Text("x\"y") }, Attribute { key: "list", value: Text("[1]") }]"#,
            ),
        ),
        (r#"{\"a\": 1}"#, r#"name: "{\"a\": 1}", dropped_attributes: 0, attributes: []"#),
        (
            r#"{\"a\": {\"b\": 1}, \"c\": {}}"#,
            r#"name: "{\"a\": {\"b\": 1}, \"c\": {}}", dropped_attributes: 0, attributes: []"#,
        ),
        ("{oops", r#"name: "{oops", dropped_attributes: 0, attributes: []"#),
    ] {
        let json = format!(
            r#"[{{"traceId":"1","id":"2","annotations":[{{"timestamp":5,"value":"{value}"}}]}}]"#
        );
        let (heard, _) = decode_json(&json);
        assert!(heard[2].contains(event), "{event}\n{}", heard[2]);
    }
}

#[test]
fn resources_and_scopes_are_told_where_they_change() {
    let span = |service: &str, scope: &str| {
        format!(
            r#"{{"traceId":"1","id":"2","localEndpoint":{{"serviceName":"{service}"}},"tags":{{"otel.library.name":"{scope}"}}}}"#
        )
    };
    let all = [span("a", "x"), span("a", "x"), span("a", "y"), span("b", "y")];
    let (heard, _) = decode_json(&format!("[{}]", all.join(",")));
    let kinds: Vec<_> = heard.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "resource", "scope", "SpanRef", "SpanRef", "scope", "SpanRef", "resource", "scope",
            "SpanRef"
        ]
    );
}

#[test]
fn version_1_is_told_by_annotations() {
    let json = r#"[{
        "traceId": "48485a3953bb6124", "id": "6b221d5bc9e6496c", "name": "get",
        "annotations": [
            {"timestamp": 100, "value": "sr", "endpoint": {"serviceName": "shop", "ipv4": "10.0.0.1"}},
            {"timestamp": 130, "value": "cache miss", "endpoint": {"serviceName": "shop"}},
            {"timestamp": 150, "value": "ss", "endpoint": {"serviceName": "shop"}}
        ],
        "binaryAnnotations": [
            {"key": "ca", "value": true, "endpoint": {"ipv4": "10.0.0.9", "port": 5}},
            {"key": "sa", "value": true, "endpoint": {"ipv4": "10.0.0.1"}},
            {"key": "lc", "value": "web", "endpoint": {"serviceName": "shop"}},
            {"key": "error", "value": "500"}
        ]
    }]"#;
    let (heard, _) = decode_v1(json);
    assert_eq!(heard[0], r#"resource [Attribute { key: "service.name", value: Text("shop") }]"#);
    for part in [
        r#"name: "get", kind: 2, start_ns: 100000, end_ns: 150000, status: 2, status_message: "500""#,
        concat!(
            r#"attributes: [Attribute { key: "component", value: Text("web") }, "#,
            r#"Attribute { key: "net.host.ip", value: Text("10.0.0.1") }, "#,
            r#"Attribute { key: "net.peer.ip", value: Text("10.0.0.9") }, "#,
            r#"Attribute { key: "net.peer.port", value: Int(5) }], "#,
            r#"events: [EventRef { time_ns: 130000, name: "cache miss", "#,
        ),
    ] {
        assert!(heard[2].contains(part), "{part}\n{}", heard[2]);
    }
}

#[test]
fn what_is_no_list_of_spans_is_refused() {
    for (json, error) in [
        ("{}", "expected a list at byte 0"),
        (r#"[{"traceId":1}]"#, "expected a text at byte 12"),
        (r#"[{"tags":{"a":{}}}]"#, "expected a text, a number or a boolean at byte 14"),
        (r#"[] x"#, "expected the end at byte 3"),
    ] {
        let result =
            decode_zipkin_json(json.as_bytes(), 0, &mut Unbounded, &mut HeardSpans::default());
        let expected = format!("the body is not the JSON of this protocol: {error}");
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
}

/// A field of Thrift's binary protocol.
fn thrift(kind: u8, id: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, 0, id][..], value].concat()
}

fn thrift_text(id: u8, text: &[u8]) -> Vec<u8> {
    thrift(11, id, &[&(text.len() as u32).to_be_bytes()[..], text].concat())
}

fn thrift_long(id: u8, number: i64) -> Vec<u8> {
    thrift(10, id, &number.to_be_bytes())
}

/// A list of structs, as a value.
fn thrift_list(structs: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = [&[12][..], &(structs.len() as u32).to_be_bytes()].concat();
    for fields in structs {
        out.extend(fields.concat());
        out.push(0);
    }
    out
}

#[test]
fn version_1_says_the_same_in_thrift() {
    let host = || {
        let fields = [
            thrift(8, 1, &[10, 0, 0, 1]),
            thrift(6, 2, &80u16.to_be_bytes()),
            thrift_text(3, b"shop"),
        ];
        thrift(12, 3, &[fields.concat(), vec![0]].concat())
    };
    let at = |time: i64, value: &[u8]| vec![thrift_long(1, time), thrift_text(2, value), host()];
    let tag = |key: &[u8], kind: u8, value: &[u8]| {
        vec![thrift_text(1, key), thrift_text(2, value), thrift(8, 3, &[0, 0, 0, kind])]
    };
    let annotations = thrift_list(&[at(1_000, b"sr"), at(1_500, b"looked"), at(2_000, b"ss")]);
    let tags = thrift_list(&[
        tag(b"text", 6, b"GET"),
        tag(b"flag", 0, &[1]),
        tag(b"short", 2, &[0, 7]),
        tag(b"int", 3, &[0, 0, 0, 8]),
        tag(b"long", 4, &9i64.to_be_bytes()),
        tag(b"double", 5, &0.5f64.to_be_bytes()),
        tag(b"bytes", 1, &[0xff]),
    ]);
    let span = vec![
        thrift_long(1, 0xabc),
        thrift_text(3, b"get"),
        thrift_long(4, 7),
        thrift_long(5, 6),
        thrift(15, 6, &annotations),
        thrift(15, 8, &tags),
        thrift(2, 9, &[1]),
        thrift_long(10, 1_000),
        thrift_long(11, 1_000),
        thrift_long(12, 1),
    ];
    let mut heard = HeardSpans::default();
    let bytes = thrift_list(&[span]);
    decode_zipkin_v1_thrift(&bytes, NOW_NS, &mut Unbounded, &mut heard).unwrap();
    let endpoint = json!({ "serviceName": "shop", "ipv4": "10.0.0.1", "port": 80 });
    let at =
        |time: u64, value: &str| json!({ "timestamp": time, "value": value, "endpoint": endpoint });
    let tag = |key: &str, value: serde_json::Value| json!({ "key": key, "value": value });
    let same = json!([{
        "traceId": "00000000000000010000000000000abc", "id": "7", "parentId": "6", "name": "get",
        "timestamp": 1_000, "duration": 1_000,
        "annotations": [at(1_000, "sr"), at(1_500, "looked"), at(2_000, "ss")],
        "binaryAnnotations": [
            tag("text", "GET".into()), tag("flag", true.into()), tag("short", 7.into()),
            tag("int", 8.into()), tag("long", 9.into()), tag("double", 0.5.into()),
        ],
    }]);
    let (expected, _) = decode_v1(&same.to_string());
    assert_eq!(heard.0.len(), expected.len());
    let without_bytes = |text: &str| {
        let bytes = r#", Attribute { key: "bytes", value: Bytes([255]) }"#;
        assert!(text.contains(bytes), "{text}");
        text.replace(bytes, "")
    };
    let (last, first) = heard.0.split_last().unwrap();
    assert_eq!(first, &expected[..first.len()]);
    assert_eq!(without_bytes(last), *expected.last().unwrap());
}
