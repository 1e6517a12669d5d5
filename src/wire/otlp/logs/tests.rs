//! The decoders of logs against the generated types of `crate::proto`, against each other, and against
//! any bytes.

use super::*;
use crate::log_sink::DecodedLogs;
use crate::loki::Heard;
use crate::proto::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use crate::proto::opentelemetry::proto::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use crate::proto::opentelemetry::proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use crate::proto::opentelemetry::proto::resource::v1::Resource;
use model::Unbounded;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

fn names() -> Vec<String> {
    ["service.name", "k8s.pod.name"].map(str::to_owned).to_vec()
}

fn decode(bytes: &[u8]) -> (Vec<String>, DecodedLogs) {
    let names = names();
    let options = OtlpLogOptions { stream_attributes: &names, now_ns: 7 };
    let mut heard = Heard::default();
    let decoded = decode_otlp_logs(bytes, &options, &mut Unbounded, &mut heard).unwrap();
    (heard.0, decoded)
}

fn decode_json(json: &str) -> Vec<String> {
    let names = names();
    let options = OtlpLogOptions { stream_attributes: &names, now_ns: 7 };
    let mut heard = Heard::default();
    decode_otlp_logs_json(json.as_bytes(), &options, &mut Unbounded, &mut heard).unwrap();
    heard.0
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value) }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("[a-z.]{0,5}|service[.]name|k8s[.]pod[.]name", ".{0,5}"), 0..4)
        .prop_map(|pairs| pairs.iter().map(|(key, value)| attribute(key, value)).collect())
}

prop_compose! {
    fn record()(
        (time_unix_nano, observed_time_unix_nano, dropped_attributes_count, flags) in any::<(u32, u32, u32, u32)>(),
        severity_number in 0i32..25, severity_text in "[A-Z]{0,3}", body in ".{0,10}",
        attributes in attributes(), id in vec(any::<u8>(), 0..3), event_name in "[a-z]{0,2}",
    ) -> LogRecord {
        LogRecord {
            time_unix_nano: time_unix_nano.into(),
            observed_time_unix_nano: observed_time_unix_nano.into(),
            severity_number, severity_text, body: text(&body), attributes,
            dropped_attributes_count, flags, trace_id: id.repeat(2), span_id: id, event_name,
        }
    }
}

prop_compose! {
    fn scope()(
        name in "[a-z]{0,3}", version in "[0-9]{0,1}", attributes in attributes(),
        log_records in vec(record(), 0..3),
    ) -> ScopeLogs {
        let scope = Some(InstrumentationScope { name, version, attributes });
        ScopeLogs { scope, log_records }
    }
}

prop_compose! {
    fn request()(
        resources in vec((attributes(), vec(scope(), 0..3)), 0..3),
    ) -> ExportLogsServiceRequest {
        let resource = |(attributes, scope_logs)| ResourceLogs {
            resource: Some(Resource { attributes }),
            scope_logs,
        };
        ExportLogsServiceRequest { resource_logs: resources.into_iter().map(resource).collect() }
    }
}

fn value_of(attribute: &KeyValue) -> String {
    match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text.clone(),
        _ => String::new(),
    }
}

fn field_of(attribute: &KeyValue) -> Option<(String, String)> {
    let name = attribute.key.replace('.', "_");
    (!name.is_empty()).then(|| (name, value_of(attribute)))
}

/// What the decoder has to tell its sink, by way of prost's own decoding.
fn expected(bytes: &[u8]) -> Vec<String> {
    let mut heard = Vec::new();
    for logs in ExportLogsServiceRequest::decode(bytes).unwrap().resource_logs {
        let attributes = logs.resource.unwrap_or_default().attributes;
        let (labels, resource): (Vec<_>, Vec<_>) =
            attributes.iter().partition(|attribute| names().contains(&attribute.key));
        // The first of equal names counts, and the last one for `Labels`.
        let labels: Vec<_> = labels.into_iter().rev().filter_map(field_of).collect();
        let labels = labels.iter().map(|(name, value)| (&**name, &**value));
        heard.push(model::Labels::from_pairs(labels).to_string());
        for scope_logs in logs.scope_logs {
            let scope = scope_logs.scope.unwrap_or_default();
            let mut of_scope: Vec<_> = scope.attributes.iter().filter_map(field_of).collect();
            of_scope.push(("scope_name".to_owned(), scope.name));
            of_scope.push(("scope_version".to_owned(), scope.version));
            for record in scope_logs.log_records {
                heard.push(line(&record, &resource, &of_scope));
            }
        }
    }
    heard
}

fn line(record: &LogRecord, resource: &[&KeyValue], scope: &[(String, String)]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let number = |value: u64| if value == 0 { String::new() } else { value.to_string() };
    let own = [
        ("observed_timestamp", number(record.observed_time_unix_nano)),
        ("severity_number", number(record.severity_number as u64)),
        ("severity_text", record.severity_text.clone()),
        ("dropped_attributes_count", number(record.dropped_attributes_count.into())),
        ("flags", number(record.flags.into())),
        ("trace_id", hex(&record.trace_id)),
        ("span_id", hex(&record.span_id)),
        ("event_name", record.event_name.clone()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let of_scope = scope.iter().filter(|(name, value)| {
        !(["scope_name", "scope_version"].contains(&name.as_str()) && value.is_empty())
    });
    let fields: Vec<_> = record
        .attributes
        .iter()
        .filter_map(field_of)
        .chain(own.filter(|(_, value)| !value.is_empty()))
        .chain(resource.iter().filter_map(|attribute| field_of(attribute)))
        .chain(of_scope.cloned())
        .collect();
    let time = [record.time_unix_nano, record.observed_time_unix_nano, 7];
    let time = time.into_iter().find(|time| *time != 0).unwrap();
    let body = record
        .body
        .clone()
        .map(|body| value_of(&KeyValue { key: String::new(), value: Some(body) }));
    format!("{time} {:?} {fields:?}", body.unwrap_or_default())
}

/// The same request in JSON.
fn in_json(request: &ExportLogsServiceRequest) -> String {
    let attributes = |all: &[KeyValue]| {
        let one = |a: &KeyValue| json!({ "key": a.key, "value": { "stringValue": value_of(a) } });
        all.iter().map(one).collect::<Vec<_>>()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let record = |r: &LogRecord| {
        let body = r
            .body
            .clone()
            .map(|body| value_of(&KeyValue { key: String::new(), value: Some(body) }));
        json!({
            "timeUnixNano": r.time_unix_nano.to_string(), "observedTimeUnixNano": r.observed_time_unix_nano,
            "severityNumber": r.severity_number, "severityText": r.severity_text,
            "body": { "stringValue": body }, "attributes": attributes(&r.attributes),
            "droppedAttributesCount": r.dropped_attributes_count, "flags": r.flags,
            "traceId": hex(&r.trace_id), "spanId": hex(&r.span_id), "eventName": r.event_name,
        })
    };
    let scope_logs = |logs: &ScopeLogs| {
        let scope = logs.scope.clone().unwrap_or_default();
        json!({
            "scope": { "name": scope.name, "version": scope.version, "attributes": attributes(&scope.attributes) },
            "logRecords": logs.log_records.iter().map(record).collect::<Vec<_>>(),
        })
    };
    let resource_logs = |logs: &ResourceLogs| {
        json!({
            "resource": { "attributes": attributes(&logs.resource.clone().unwrap_or_default().attributes) },
            "scopeLogs": logs.scope_logs.iter().map(scope_logs).collect::<Vec<_>>(),
        })
    };
    json!({ "resourceLogs": request.resource_logs.iter().map(resource_logs).collect::<Vec<_>>() })
        .to_string()
}

proptest! {
    #[test]
    fn requests_are_read_as_prost_reads_them(request in request()) {
        let bytes = request.encode_to_vec();
        prop_assert_eq!(decode(&bytes).0, expected(&bytes));
    }

    #[test]
    fn both_encodings_are_the_same_lines(request in request()) {
        prop_assert_eq!(decode_json(&in_json(&request)), decode(&request.encode_to_vec()).0);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, request in request(), cut in 0usize..200) {
        let options = OtlpLogOptions { stream_attributes: &names(), now_ns: 0 };
        let whole = request.encode_to_vec();
        let broken = &whole[..cut.min(whole.len())];
        for bytes in [&bytes[..], broken] {
            drop(decode_otlp_logs(bytes, &options, &mut Unbounded, &mut Heard::default()));
            drop(decode_otlp_logs_json(bytes, &options, &mut Unbounded, &mut Heard::default()));
        }
    }
}

#[test]
fn bodies_and_maps() {
    let map = |entries: Vec<KeyValue>| {
        Some(AnyValue { value: Some(Value::KvlistValue(KeyValueList { values: entries })) })
    };
    let number = |value| Some(AnyValue { value: Some(Value::IntValue(value)) });
    let nested = KeyValue { key: "re.quest".to_owned(), value: map(vec![attribute("1st", "x")]) };
    let record = LogRecord {
        body: map(vec![attribute("b", "2"), KeyValue { key: "a".to_owned(), value: number(1) }]),
        attributes: vec![
            KeyValue { key: "http".to_owned(), value: map(vec![nested]) },
            KeyValue { key: "9".to_owned(), value: number(-5) },
            attribute("결제", "예"),
        ],
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { scope: None, log_records: vec![record] }];
    let logs = ResourceLogs { resource: None, scope_logs };
    let bytes = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
    let fields = r#"[("http_re_quest_1st", "x"), ("key_9", "-5"), ("__", "예")]"#;
    assert_eq!(decode(&bytes).0, ["{}", &format!(r#"7 "{{\"a\":1,\"b\":\"2\"}}" {fields}"#)]);
}
