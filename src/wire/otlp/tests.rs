//! Both encodings are read into the same values; any bytes are read or refused.

use super::{AnyValue, Attribute, OtlpEncoding, OtlpJsonError, PartialSuccess, StatusCode};
use super::{decode_otlp_metrics, decode_otlp_metrics_json, export_response, status_body};
use crate::decoding::DecodeError;
use crate::proto::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use crate::proto::opentelemetry::proto::common::v1::{self as common, any_value::Value};
use crate::proto::opentelemetry::proto::metrics::v1 as proto;
use crate::proto::opentelemetry::proto::resource::v1::Resource;
use crate::protobuf::{ProtobufError, Writer};
use model::Unbounded;
use proptest::prelude::*;
use prost::Message;
use proto::exponential_histogram_data_point::Buckets;

const JSON: &str = r#"{
  "resourceMetrics": [{
    "resource": {"attributes": [
      {"key": "service.name", "value": {"stringValue": "shop"}},
      {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"boolValue": true}]}}}
    ]},
    "schemaUrl": "s",
    "somethingNew": {"a": [1, 2]},
    "scopeMetrics": [{
      "scope": {"name": "lib", "version": "1"},
      "metrics": [
        {"name": "requests", "unit": "1", "description": "d", "sum": {
          "aggregationTemporality": 2, "isMonotonic": true,
          "dataPoints": [{
            "startTimeUnixNano": "5", "timeUnixNano": 1700000000000000000, "asInt": "-7",
            "attributes": null,
            "exemplars": [{"asDouble": 0.5, "timeUnixNano": "9", "traceId": "00AbfF", "spanId": ""}]
          }]}},
        {"name": "sizes", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [{
          "timeUnixNano": "3", "count": "4", "sum": 2.5, "scale": -1, "zeroCount": 1,
          "positive": {"offset": -2, "bucketCounts": ["1", 2]}, "flags": 1
        }]}}
      ]
    }]
  }]
}"#;

/// The same in protobuf.
fn binary() -> Vec<u8> {
    let list = Value::ArrayValue(common::ArrayValue {
        values: vec![any_value(Value::IntValue(1)), any_value(Value::BoolValue(true))],
    });
    let attributes = vec![
        key_value("service.name", Value::StringValue("shop".to_owned())),
        key_value("list", list),
    ];
    let scope = common::InstrumentationScope {
        name: "lib".to_owned(),
        version: "1".to_owned(),
        ..Default::default()
    };
    let scope_metrics = proto::ScopeMetrics {
        scope: Some(scope),
        metrics: vec![requests(), sizes()],
        ..Default::default()
    };
    let resource_metrics = proto::ResourceMetrics {
        resource: Some(Resource { attributes }),
        scope_metrics: vec![scope_metrics],
        schema_url: "s".to_owned(),
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
}

fn any_value(value: Value) -> common::AnyValue {
    common::AnyValue { value: Some(value) }
}

fn key_value(key: &str, value: Value) -> common::KeyValue {
    common::KeyValue { key: key.to_owned(), value: Some(any_value(value)) }
}

fn requests() -> proto::Metric {
    let exemplar = proto::Exemplar {
        time_unix_nano: 9,
        value: Some(proto::exemplar::Value::AsDouble(0.5)),
        trace_id: vec![0, 0xab, 0xff],
        ..Default::default()
    };
    let point = proto::NumberDataPoint {
        start_time_unix_nano: 5,
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(proto::number_data_point::Value::AsInt(-7)),
        exemplars: vec![exemplar],
        ..Default::default()
    };
    let sum = proto::Sum {
        data_points: vec![point],
        aggregation_temporality: proto::AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    proto::Metric {
        name: "requests".to_owned(),
        description: "d".to_owned(),
        unit: "1".to_owned(),
        data: Some(proto::metric::Data::Sum(sum)),
    }
}

fn sizes() -> proto::Metric {
    let positive = Buckets { offset: -2, bucket_counts: vec![1, 2] };
    let point = proto::ExponentialHistogramDataPoint {
        time_unix_nano: 3,
        count: 4,
        sum: Some(2.5),
        scale: -1,
        zero_count: 1,
        positive: Some(positive),
        flags: proto::DataPointFlags::NoRecordedValueMask as u32,
        ..Default::default()
    };
    let histogram = proto::ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: proto::AggregationTemporality::Delta.into(),
    };
    let data = Some(proto::metric::Data::ExponentialHistogram(histogram));
    proto::Metric { name: "sizes".to_owned(), data, ..Default::default() }
}

#[test]
fn both_encodings_say_the_same() {
    let binary = binary();
    let from_binary = decode_otlp_metrics(&binary, &mut Unbounded).unwrap();
    let from_json = decode_otlp_metrics_json(JSON.as_bytes(), &mut Unbounded).unwrap();
    assert_eq!(from_binary, from_json);
    let metrics = &from_json.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.iter().map(|metric| metric.data.point_count()).sum::<usize>(), 2);
    let list = &from_json.resource_metrics[0].resource.attributes[1].value;
    assert_eq!(list.as_text(), "[1,true]");
}

#[test]
fn values_have_one_text_each() {
    let entry = |key: &'static str, value| Attribute { key: key.into(), value };
    let one = AnyValue::Int(1);
    let map = |entries: Vec<Attribute<'static>>| AnyValue::Map(entries).as_text().into_owned();
    let text = r#"{"a":null,"b":1}"#;
    assert_eq!(map(vec![entry("b", one.clone()), entry("a", AnyValue::Empty)]), text);
    assert_eq!(map(vec![entry("a", AnyValue::Empty), entry("b", one)]), text);
    for (value, text) in [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (-1e21, "-1e+21"),
        (-0.0, "-0"),
    ] {
        assert_eq!(AnyValue::Double(value).as_text(), text);
    }
}

#[test]
fn json_that_breaks_the_rules_is_refused() {
    for (value, expected) in [
        (r#"{"asInt": "x"}"#, "a whole number"),
        (r#"{"asInt": 1.5}"#, "a whole number"),
        (r#"{"exemplars": [{"traceId": "abc"}]}"#, "hexadecimal bytes"),
    ] {
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{value}]}}}}]}}]}}]}}"#
        );
        let error =
            decode_otlp_metrics_json(body.as_bytes(), &mut Unbounded).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let named = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{
        "aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}}]}]}]}"#;
    assert!(decode_otlp_metrics_json(named.as_bytes(), &mut Unbounded).is_err());
}

#[test]
fn deep_values_and_sparse_bodies_are_refused() {
    let mut value = Writer::new();
    for _ in 0..200 {
        let mut outer = Writer::new();
        outer.message(5, |array| array.bytes(1, &value.into_bytes()));
        value = outer;
    }
    let value = value.into_bytes();
    let mut request = Writer::new();
    request.message(1, |resource_metrics| {
        resource_metrics.message(1, |resource| {
            resource.message(1, |attribute| attribute.bytes(2, &value));
        });
    });
    let error = decode_otlp_metrics(&request.into_bytes(), &mut Unbounded).unwrap_err();
    assert_eq!(error, ProtobufError::Depth.into());

    let empty_points = [0x0a, 0x00].repeat(1_000_000);
    assert!(matches!(
        decode_otlp_metrics(&empty_points, &mut Unbounded),
        Err(DecodeError::TooMany)
    ));
    let deep = "[".repeat(100_000);
    assert!(decode_otlp_metrics_json(deep.as_bytes(), &mut Unbounded).is_err());
    let sparse = format!("{{\"resourceMetrics\":[{}{{}}]}}", "{},".repeat(1_000_000));
    assert!(matches!(
        decode_otlp_metrics_json(sparse.as_bytes(), &mut Unbounded),
        Err(OtlpJsonError::TooMany)
    ));
}

#[test]
fn answers_come_in_both_encodings() {
    let full = PartialSuccess::default();
    let partial = PartialSuccess { rejected: 3, message: "why".to_owned() };
    let key = "rejectedDataPoints";
    let body = |encoding, partial| export_response(encoding, partial, key);
    assert_eq!(body(OtlpEncoding::Protobuf, &full), b"");
    assert_eq!(body(OtlpEncoding::Json, &full), b"{}");
    assert_eq!(body(OtlpEncoding::Protobuf, &partial), b"\x0a\x07\x08\x03\x12\x03why");
    assert_eq!(
        String::from_utf8(body(OtlpEncoding::Json, &partial)).unwrap(),
        r#"{"partialSuccess":{"errorMessage":"why","rejectedDataPoints":"3"}}"#
    );
    let status = |encoding, retry| status_body(encoding, StatusCode::Unavailable, "later", retry);
    assert_eq!(status(OtlpEncoding::Protobuf, None), b"\x08\x0e\x12\x05later");
    assert_eq!(
        status(OtlpEncoding::Protobuf, Some(2)),
        b"\x08\x0e\x12\x05later\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x02"
    );
    assert_eq!(
        String::from_utf8(status(OtlpEncoding::Json, Some(2))).unwrap(),
        r#"{"code":14,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}],"message":"later"}"#
    );
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = decode_otlp_metrics(&bytes, &mut Unbounded);
        let _ = decode_otlp_metrics_json(&bytes, &mut Unbounded);
    }

    #[test]
    fn damage_is_survived(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let binary = binary();
        for whole in [&binary[..], JSON.as_bytes()] {
            let mut bytes = whole.to_vec();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = decode_otlp_metrics(&bytes, &mut Unbounded);
            let _ = decode_otlp_metrics_json(&bytes, &mut Unbounded);
        }
    }
}
