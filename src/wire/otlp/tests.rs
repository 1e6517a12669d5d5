//! Both encodings come to the same nouns; no bytes make trouble.

use super::*;
use crate::protobuf::{ProtobufError, Writer};
use proptest::prelude::*;

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
    let mut writer = Writer::new();
    writer.message(1, |resource_metrics| {
        resource_metrics.message(1, |resource| {
            attribute(resource, 1, "service.name", |value| value.text(1, "shop"));
            attribute(resource, 1, "list", |value| {
                value.message(5, |array| {
                    array.message(1, |value| value.signed(3, 1));
                    array.message(1, |value| value.varint(2, 1));
                });
            });
        });
        resource_metrics.message(2, |scope_metrics| {
            scope_metrics.message(1, |scope| {
                scope.text(1, "lib");
                scope.text(2, "1");
            });
            scope_metrics.message(2, requests);
            scope_metrics.message(2, sizes);
        });
        resource_metrics.text(3, "s");
    });
    writer.into_bytes()
}

fn attribute(writer: &mut Writer, field: u32, key: &str, value: impl FnOnce(&mut Writer)) {
    writer.message(field, |attribute| {
        attribute.text(1, key);
        attribute.message(2, value);
    });
}

fn fixed64(value: i64) -> f64 {
    f64::from_bits(value as u64)
}

fn requests(metric: &mut Writer) {
    metric.text(1, "requests");
    metric.text(2, "d");
    metric.text(3, "1");
    metric.message(7, |sum| {
        sum.message(1, |point| {
            point.double(2, fixed64(5));
            point.double(3, fixed64(1_700_000_000_000_000_000));
            point.double(6, fixed64(-7));
            point.message(5, |exemplar| {
                exemplar.double(2, fixed64(9));
                exemplar.double(3, 0.5);
                exemplar.bytes(5, &[0, 0xab, 0xff]);
            });
        });
        sum.varint(2, 2);
        sum.varint(3, 1);
    });
}

fn sizes(metric: &mut Writer) {
    metric.text(1, "sizes");
    metric.message(10, |histogram| {
        histogram.message(1, |point| {
            point.double(3, fixed64(3));
            point.double(4, fixed64(4));
            point.double(5, 2.5);
            point.zigzag(6, -1);
            point.double(7, fixed64(1));
            point.message(8, |buckets| {
                buckets.zigzag(1, -2);
                buckets.bytes(2, &[1, 2]);
            });
            point.varint(10, 1);
        });
        histogram.varint(2, 1);
    });
}

#[test]
fn both_encodings_say_the_same() {
    let binary = binary();
    let from_binary = decode_otlp_metrics(&binary).unwrap();
    let from_json = decode_otlp_metrics_json(JSON.as_bytes()).unwrap();
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
        let error = decode_otlp_metrics_json(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let named = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{
        "aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}}]}]}]}"#;
    assert!(decode_otlp_metrics_json(named.as_bytes()).is_err());
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
    let error = decode_otlp_metrics(&request.into_bytes()).unwrap_err();
    assert_eq!(error, ProtobufError::Depth);

    let empty_points = [0x0a, 0x00].repeat(1_000_000);
    assert!(matches!(decode_otlp_metrics(&empty_points), Err(ProtobufError::TooMany { .. })));
    let deep = "[".repeat(100_000);
    assert!(decode_otlp_metrics_json(deep.as_bytes()).is_err());
    let sparse = format!("{{\"resourceMetrics\":[{}{{}}]}}", "{},".repeat(1_000_000));
    assert!(matches!(decode_otlp_metrics_json(sparse.as_bytes()), Err(OtlpJsonError::TooMany)));
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
        let _ = decode_otlp_metrics(&bytes);
        let _ = decode_otlp_metrics_json(&bytes);
    }

    #[test]
    fn damage_is_survived(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let binary = binary();
        for whole in [&binary[..], JSON.as_bytes()] {
            let mut bytes = whole.to_vec();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = decode_otlp_metrics(&bytes);
            let _ = decode_otlp_metrics_json(&bytes);
        }
    }
}
