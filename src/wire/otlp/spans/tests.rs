//! The decoders of spans against the generated types of `crate::proto`, against each other, and against
//! any bytes.

use super::super::oracle_tests::{attributes, expected_attributes};
use super::*;
use crate::decoding::DecodeError;
use crate::otlp::Attribute;
use crate::proto::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use crate::proto::opentelemetry::proto::common::v1 as common;
use crate::proto::opentelemetry::proto::resource::v1::Resource;
use crate::proto::opentelemetry::proto::trace::v1::span::{Event, Link};
use crate::proto::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use crate::protobuf::Writer;
use crate::span_sink::{DecodedSpans, EventRef, LinkRef, SpanRef, SpanSink};
use common::any_value::Value;
use model::Unbounded;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

/// Everything that a sink was told, as text.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Vec<String>);

impl SpanSink for Heard {
    fn resource(&mut self, attributes: &[Attribute<'_>]) {
        self.0.push(format!("resource {attributes:?}"));
    }
    fn scope(&mut self, name: &str, version: &str, attributes: &[Attribute<'_>]) {
        self.0.push(format!("scope {name:?} {version:?} {attributes:?}"));
    }
    fn span(&mut self, span: &SpanRef<'_>) {
        assert!(span.trace_id != [0; 16] && span.span_id != [0; 8]);
        self.0.push(format!("{span:?}"));
    }
}

fn decode(bytes: &[u8]) -> (Vec<String>, DecodedSpans) {
    let mut heard = Heard::default();
    let decoded = decode_otlp_spans(bytes, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

fn decode_json(json: &[u8]) -> (Vec<String>, DecodedSpans) {
    let mut heard = Heard::default();
    let decoded = decode_otlp_spans_json(json, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

/// Mostly ids, and now and then bytes that are none.
fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => vec(1u8.., length..length + 1),
        1 => vec(any::<u8>(), 0..20),
        1 => Just(vec![0; length]),
    ]
}

prop_compose! {
    fn event()(
        time_unix_nano: u64, name in ".{0,6}", attributes in attributes(), dropped_attributes_count: u32,
    ) -> Event {
        Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn link()(
        trace_id in id(16), span_id in id(8), trace_state in "[a-z=,]{0,5}",
        attributes in attributes(), dropped_attributes_count: u32, flags: u32,
    ) -> Link {
        Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    fn span()(
        (trace_id, span_id, parent_span_id) in (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]),
        (trace_state, name) in ("[a-z=,]{0,5}", ".{0,6}"),
        (kind, start_time_unix_nano, end_time_unix_nano, flags) in (-1i32..7, any::<u64>(), any::<u64>(), any::<u32>()),
        attributes in attributes(), events in vec(event(), 0..3), links in vec(link(), 0..3),
        (dropped_attributes_count, dropped_events_count, dropped_links_count) in any::<(u32, u32, u32)>(),
        status in option::of((".{0,5}", -1i32..4)),
    ) -> Span {
        Span {
            trace_id, span_id, trace_state, parent_span_id, name, kind, start_time_unix_nano,
            end_time_unix_nano, attributes, dropped_attributes_count, events, dropped_events_count,
            links, dropped_links_count, flags,
            status: status.map(|(message, code)| Status { message, code }),
        }
    }
}

prop_compose! {
    fn scope()(
        scope in option::of(("[a-z]{0,3}", "[0-9]{0,1}", attributes())), spans in vec(span(), 0..4),
    ) -> ScopeSpans {
        let scope = scope.map(|(name, version, attributes)| {
            common::InstrumentationScope { name, version, attributes }
        });
        ScopeSpans { scope, spans }
    }
}

prop_compose! {
    fn request()(
        resources in vec((option::of(attributes()), vec(scope(), 0..3)), 0..3),
    ) -> ExportTraceServiceRequest {
        let resource = |(attributes, scope_spans): (Option<_>, _)| ResourceSpans {
            resource: attributes.map(|attributes| Resource { attributes }),
            scope_spans,
        };
        ExportTraceServiceRequest { resource_spans: resources.into_iter().map(resource).collect() }
    }
}

/// The attributes, the last one of each key.
fn last(attributes: &[common::KeyValue]) -> Vec<Attribute<'_>> {
    let all = expected_attributes(attributes);
    let is_last = |(at, one): &(usize, &Attribute<'_>)| {
        all[at + 1..].iter().all(|later| later.key != one.key)
    };
    all.iter().enumerate().filter(is_last).map(|(_, one)| one.clone()).collect()
}

fn whole<const N: usize>(id: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(id).ok().filter(|id| *id != [0; N])
}

fn expected_span(span: &Span) -> Option<String> {
    let status = span.status.clone().unwrap_or_default();
    let parent_span_id = match &span.parent_span_id[..] {
        [] => [0; 8],
        id => id.try_into().ok()?,
    };
    let events: Vec<_> = span.events.iter().map(expected_event).collect();
    let links: Vec<_> = span.links.iter().map(expected_link).collect();
    let expected = SpanRef {
        trace_id: whole(&span.trace_id)?,
        span_id: whole(&span.span_id)?,
        parent_span_id,
        name: &span.name,
        kind: if (0..=5).contains(&span.kind) { span.kind as u8 } else { 0 },
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        status: if (0..=2).contains(&status.code) { status.code as u8 } else { 0 },
        status_message: &status.message,
        trace_state: &span.trace_state,
        flags: span.flags,
        dropped_attributes: span.dropped_attributes_count,
        dropped_events: span.dropped_events_count,
        dropped_links: span.dropped_links_count,
        attributes: &last(&span.attributes),
        events: &events,
        links: &links,
    };
    Some(format!("{expected:?}"))
}

fn expected_event(event: &Event) -> EventRef<'_> {
    EventRef {
        time_ns: event.time_unix_nano,
        name: (&event.name).into(),
        dropped_attributes: event.dropped_attributes_count,
        attributes: last(&event.attributes),
    }
}

fn expected_link(link: &Link) -> LinkRef<'_> {
    LinkRef {
        trace_id: link.trace_id[..].try_into().unwrap_or_default(),
        span_id: link.span_id[..].try_into().unwrap_or_default(),
        trace_state: (&link.trace_state).into(),
        flags: link.flags,
        dropped_attributes: link.dropped_attributes_count,
        attributes: last(&link.attributes),
    }
}

/// What the decoder has to tell its sink, by way of prost's own decoding.
fn expected(bytes: &[u8]) -> Vec<String> {
    let mut heard = Vec::new();
    for spans in ExportTraceServiceRequest::decode(bytes).unwrap().resource_spans {
        let resource = spans.resource.unwrap_or_default();
        heard.push(format!("resource {:?}", last(&resource.attributes)));
        for spans in spans.scope_spans {
            let scope = spans.scope.unwrap_or_default();
            let attributes = last(&scope.attributes);
            heard.push(format!("scope {:?} {:?} {attributes:?}", scope.name, scope.version));
            heard.extend(spans.spans.iter().filter_map(expected_span));
        }
    }
    heard
}

fn value_in_json(value: Option<&common::AnyValue>) -> serde_json::Value {
    use base64::Engine as _;
    let values = |all: &[common::AnyValue]| {
        all.iter().map(|one| value_in_json(Some(one))).collect::<Vec<_>>()
    };
    match value.and_then(|value| value.value.as_ref()) {
        None => json!({}),
        Some(Value::StringValue(text)) => json!({ "stringValue": text }),
        Some(Value::BoolValue(value)) => json!({ "boolValue": value }),
        Some(Value::IntValue(value)) if value % 2 == 0 => json!({ "intValue": value.to_string() }),
        Some(Value::IntValue(value)) => json!({ "intValue": value }),
        Some(Value::DoubleValue(value)) if value.is_finite() => json!({ "doubleValue": value }),
        Some(Value::DoubleValue(value)) => json!({ "doubleValue": value.to_string() }),
        Some(Value::BytesValue(bytes)) => {
            json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes) })
        }
        Some(Value::ArrayValue(list)) => {
            json!({ "arrayValue": { "values": values(&list.values) } })
        }
        Some(Value::KvlistValue(map)) => {
            json!({ "kvlistValue": { "values": attributes_in_json(&map.values) } })
        }
    }
}

fn attributes_in_json(all: &[common::KeyValue]) -> Vec<serde_json::Value> {
    let one = |one: &common::KeyValue| json!({ "key": one.key, "value": value_in_json(one.value.as_ref()) });
    all.iter().map(one).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn span_in_json(span: &Span) -> serde_json::Value {
    let event = |event: &Event| {
        json!({
            "timeUnixNano": event.time_unix_nano.to_string(), "name": event.name, "more": [{}],
            "attributes": attributes_in_json(&event.attributes),
            "droppedAttributesCount": event.dropped_attributes_count,
        })
    };
    let link = |link: &Link| {
        json!({
            "traceId": hex(&link.trace_id), "spanId": hex(&link.span_id).to_lowercase(),
            "traceState": link.trace_state, "attributes": attributes_in_json(&link.attributes),
            "droppedAttributesCount": link.dropped_attributes_count, "flags": link.flags,
        })
    };
    let status = span.status.as_ref().map(|s| json!({ "message": s.message, "code": s.code }));
    let parent = (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id));
    json!({
        "traceId": hex(&span.trace_id), "spanId": hex(&span.span_id), "parentSpanId": parent,
        "traceState": span.trace_state, "name": span.name, "kind": span.kind, "flags": span.flags,
        "startTimeUnixNano": span.start_time_unix_nano,
        "endTimeUnixNano": span.end_time_unix_nano.to_string(),
        "attributes": attributes_in_json(&span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "droppedEventsCount": span.dropped_events_count,
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "droppedLinksCount": span.dropped_links_count, "status": status,
    })
}

/// The same request in JSON. serde sorts keys; `spans_first` renames none, and puts what is shared behind.
fn in_json(request: &ExportTraceServiceRequest, spans_first: bool) -> String {
    let object = |shared: String, spans: String| match spans_first {
        true => format!("{{{spans}, {shared}}}"),
        false => format!("{{{shared}, {spans}}}"),
    };
    let scope_spans = |spans: &ScopeSpans| {
        let scope = spans.scope.as_ref().map(|scope| {
            json!({
                "name": scope.name, "version": scope.version,
                "attributes": attributes_in_json(&scope.attributes),
            })
        });
        let spans = spans.spans.iter().map(span_in_json).collect::<Vec<_>>();
        object(format!("\"scope\": {}", json!(scope)), format!("\"spans\": {}", json!(spans)))
    };
    let resource_spans = |spans: &ResourceSpans| {
        let resource = spans.resource.as_ref();
        let resource =
            resource.map(|one| json!({ "attributes": attributes_in_json(&one.attributes) }));
        let scopes = spans.scope_spans.iter().map(scope_spans).collect::<Vec<_>>().join(",");
        object(format!("\"resource\": {}", json!(resource)), format!("\"scopeSpans\": [{scopes}]"))
    };
    let all = request.resource_spans.iter().map(resource_spans).collect::<Vec<_>>().join(",");
    format!("{{\"resourceSpans\": [{all}]}}")
}

proptest! {
    #[test]
    fn requests_are_read_as_prost_reads_them(request in request()) {
        let bytes = request.encode_to_vec();
        let (heard, decoded) = decode(&bytes);
        prop_assert_eq!(&heard, &expected(&bytes));
        let scopes = request.resource_spans.iter().flat_map(|spans| &spans.scope_spans);
        let sent: usize = scopes.map(|scope| scope.spans.len()).sum();
        prop_assert_eq!(decoded.spans + decoded.rejected.count, sent as u64);
    }

    #[test]
    fn both_encodings_are_the_same_spans(request in request(), spans_first: bool) {
        let (heard, decoded) = decode_json(in_json(&request, spans_first).as_bytes());
        prop_assert_eq!((heard, decoded), decode(&request.encode_to_vec()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, request in request(), at in 0usize..400, byte: u8) {
        let mut binary = request.encode_to_vec();
        let mut json = in_json(&request, false).into_bytes();
        for whole in [&mut binary, &mut json] {
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
        }
        for bytes in [&bytes, &binary, &json] {
            for bytes in [&bytes[..], &bytes[..at.min(bytes.len())]] {
                drop(decode_otlp_spans(bytes, &mut Unbounded, &mut Heard::default()));
                drop(decode_otlp_spans_json(bytes, &mut Unbounded, &mut Heard::default()));
            }
        }
    }
}

/// A request of one span, whose fields `build` writes.
fn one_span(build: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(1, |resource_spans| {
        resource_spans.message(2, |scope_spans| scope_spans.message(2, build));
    });
    writer.into_bytes()
}

fn ids(span: &mut Writer) {
    span.bytes(1, &[1; 16]);
    span.bytes(2, &[2; 8]);
}

#[test]
fn spans_without_ids_are_left_out_with_a_reason() {
    let binary = |trace_id: &[u8], span_id: &[u8], parent: &[u8]| {
        one_span(|span| {
            span.text(5, "GET /");
            for (field, id) in [(1, trace_id), (2, span_id), (4, parent)] {
                span.bytes(field, id);
            }
        })
    };
    for (request, kind, reason) in [
        (
            binary(&[1; 8], &[1; 8], &[]),
            "invalid_trace_id",
            "the span \"GET /\" is refused: its trace id is not 16 bytes (32 digits), or is all zeros",
        ),
        (
            binary(&[1; 16], &[0; 8], &[]),
            "invalid_span_id",
            "the span \"GET /\" is refused: its span id is not 8 bytes (16 digits), or is all zeros",
        ),
        (
            binary(&[1; 16], &[1; 8], &[1; 7]),
            "invalid_span_id",
            "the span \"GET /\" is refused: its parent's span id is not 8 bytes (16 digits), or is all zeros",
        ),
    ] {
        let (heard, decoded) = decode(&request);
        assert_eq!((heard.len(), decoded.spans), (2, 0));
        assert_eq!(decoded.rejected.kinds, [(kind, 1)]);
        assert_eq!(decoded.rejected.reasons, [reason]);
    }
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"xy","spanId":"0102030405060708"},
        {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","parentSpanId":""},
        {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","parentSpanId":"1"}
    ]}]}]}"#;
    let (_, decoded) = decode_json(json.as_bytes());
    assert_eq!(decoded.spans, 1);
    assert_eq!(decoded.rejected.kinds, [("invalid_trace_id", 1), ("invalid_span_id", 1)]);
}

#[test]
fn texts_that_are_not_utf8_are_replaced_and_said() {
    let mut writer = Writer::new();
    writer.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.message(1, |attribute| attribute.bytes(1, b"k\xff"));
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(2, |span| {
                ids(span);
                span.message(11, |event| event.bytes(2, b"e\xc3"));
                span.message(9, |attribute| {
                    attribute.text(1, "list");
                    attribute.message(2, |value| {
                        value.message(5, |list| list.message(1, |value| value.bytes(1, b"\xff")));
                    });
                });
            });
            scope_spans.message(2, |span| {
                ids(span);
                span.text(5, "바다");
            });
        });
    });
    let marked = r#"Attribute { key: "invalid_utf8", value: Bool(true) }"#;
    let json = [
        &br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k"#[..],
        b"\xff",
        br#""}]},"scopeSpans":[{"scope":{},"spans":[{"traceId":"01010101010101010101010101010101","#,
        br#""spanId":"0202020202020202","attributes":[{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"#,
        b"\"\xff\"}]}}}],\"events\":[{\"name\":\"\\u0065\xc3\"}]},",
        br#"{"traceId":"01010101010101010101010101010101","spanId":"0202020202020202","name":"\ubc14\ub2e4"}]}]}]}"#,
    ]
    .concat();
    let (heard, decoded) = decode(&writer.into_bytes());
    assert_eq!(decode_json(&json), (heard.clone(), decoded));
    assert!(heard[0].contains(r#"key: "k�""#) && heard[0].contains(marked), "{heard:?}");
    assert!(heard[2].contains(r#"name: "e�""#), "{heard:?}");
    assert!(heard[2].contains(r#"Array([Text("�")])"#), "{heard:?}");
    assert!(heard[2].contains(marked) && !heard[3].contains(marked), "{heard:?}");
    assert!(heard[3].contains("바다"), "{heard:?}");
}

#[test]
fn what_is_empty_and_what_is_null() {
    for json in [r#"{}"#, r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[]}"#] {
        assert_eq!(decode_json(json.as_bytes()), (Vec::new(), DecodedSpans::default()));
    }
    let json =
        r#"{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":[null]}]}]}"#;
    assert_eq!(decode_json(json.as_bytes()).1.rejected.count, 1);
}

#[test]
fn json_that_breaks_the_rules_is_refused() {
    for (span, expected) in [
        (r#"{"startTimeUnixNano": "x"}"#, "expected a whole number, or a text of one at byte 65"),
        (r#"{"kind": "SPAN_KIND_SERVER"}"#, "expected the number of an enum at byte 52"),
        (r#"{"attributes": {}}"#, "expected a list at byte 58"),
        (r#"{"traceId": 5}"#, "expected a text at byte 55"),
        (r#"{"#, "expected a text at byte 44"),
    ] {
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let result = decode_otlp_spans_json(body.as_bytes(), &mut Unbounded, &mut Heard::default());
        let error = result.unwrap_err().to_string();
        assert_eq!(error, format!("the body is not the JSON of this protocol: {expected}"));
    }
}

/// Counts what it is asked for.
#[derive(Default)]
struct Counted(usize);

impl model::Room for Counted {
    fn take(&mut self, bytes: usize) -> Result<(), model::NoRoom> {
        self.0 += bytes;
        Ok(())
    }
}

#[test]
fn memory_is_bounded_and_does_not_grow_with_the_number_of_spans() {
    let request = |count: usize| {
        let mut writer = Writer::new();
        writer.message(1, |resource_spans| {
            resource_spans.message(2, |scope_spans| {
                for _ in 0..count {
                    scope_spans.message(2, |span| {
                        ids(span);
                        for key in ["a", "b", "c", "d", "e", "f"] {
                            span.message(9, |attribute| attribute.text(1, key));
                        }
                        span.message(11, |event| event.text(2, "event"));
                    });
                }
            });
        });
        writer.into_bytes()
    };
    let asked = [1, 10_000].map(|count| {
        let mut room = Counted::default();
        decode_otlp_spans(&request(count), &mut room, &mut Heard::default()).unwrap();
        room.0
    });
    assert_eq!(asked[0], asked[1]);
    let empty_events = one_span(|span| {
        ids(span);
        (0..100_000).for_each(|_| span.bytes(11, b""));
    });
    let result = decode_otlp_spans(&empty_events, &mut Unbounded, &mut Heard::default());
    assert_eq!(result, Err(DecodeError::TooMany));
    let sparse = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"events":[{}{{}}]}}]}}]}}]}}"#,
        "{},".repeat(100_000)
    );
    let result = decode_otlp_spans_json(sparse.as_bytes(), &mut Unbounded, &mut Heard::default());
    assert_eq!(result, Err(DecodeError::TooMany));
    let deep = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}"#,
        r#"{"arrayValue":{"values":["#.repeat(1_000)
    );
    let result = decode_otlp_spans_json(deep.as_bytes(), &mut Unbounded, &mut Heard::default());
    assert!(result.unwrap_err().to_string().contains("128 levels"));
}
