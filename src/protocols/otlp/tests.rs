//! Requests over HTTP and gRPC, and what becomes of them.

use super::TranslationStrategy;
use crate::services::ServiceError;
use crate::testing::{Answered, NOW_MS, TestServer};
use model::ErrorKind;
use wire::protobuf::Writer;

#[test]
fn json_requests() {
    TestServer::new(|_| {}).play("otlp.txt");
}

const GRPC: &str = "POST /opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A gauge of one point, in protobuf.
fn gauge(name: &str, time_ms: i64) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(1, |resource_metrics| {
        resource_metrics.message(2, |scope_metrics| {
            scope_metrics.message(2, |metric| {
                metric.text(1, name);
                metric.message(5, |gauge| {
                    gauge.message(1, |point| {
                        point.double(3, f64::from_bits(time_ms.unsigned_abs() * 1_000_000));
                        point.double(4, 2.5);
                    });
                });
            });
        });
    });
    writer.into_bytes()
}

fn framed(message: &[u8], packed: u8) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[packed][..], &length.to_be_bytes(), message].concat()
}

fn grpc_status(answer: &Answered) -> (String, String) {
    let trailers = answer.trailers.as_ref().unwrap();
    let text = |name| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (text("grpc-status"), text("grpc-message"))
}

fn value_of(server: &TestServer, query: &str) -> String {
    server.send(&format!("GET /api/v1/query?query={query}"), &[], "").text()
}

#[test]
fn protobuf_is_answered_in_protobuf() {
    let server = TestServer::new(|_| {});
    let answer = server.send("POST /v1/metrics", &[PROTOBUF], gauge("a.b", NOW_MS));
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert!(value_of(&server, "a_b").contains(r#"[1700000000,"2.5"]"#));

    let partial = server.send("POST /v1/metrics", &[PROTOBUF], gauge("", NOW_MS));
    assert_eq!(partial.status, 200);
    assert_eq!(partial.body, b"\x0a\x18\x08\x01\x12\x14a metric has no name");
    let wrong = server.send("POST /v1/metrics", &[PROTOBUF], "\u{1}");
    assert_eq!((wrong.status.as_u16(), wrong.body[..2].to_vec()), (400, vec![0x08, 3]));
}

#[test]
fn what_may_succeed_later_is_unavailable() {
    for kind in [ErrorKind::Overloaded, ErrorKind::Io, ErrorKind::Bug, ErrorKind::Corrupt] {
        let server = TestServer::new(|_| {});
        let fail = || *server.store.failure.lock().unwrap() = Some(ServiceError::new(kind, "no"));
        fail();
        let answer = server.send("POST /v1/metrics", &[PROTOBUF], gauge("a", NOW_MS));
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"), "{kind}");
        fail();
        let answer = server.send(GRPC, &[], framed(&gauge("a", NOW_MS), 0));
        assert_eq!(grpc_status(&answer), ("14".to_owned(), "no".to_owned()), "{kind}");
    }
}

#[test]
fn grpc_takes_plain_and_packed_messages() {
    let server = TestServer::new(|_| {});
    let answer = server.send(GRPC, &[], framed(&gauge("plain", NOW_MS), 0));
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!((grpc_status(&answer).0.as_str(), answer.body), ("0", vec![0; 5]));

    let packed = zstd::encode_all(&gauge("packed", NOW_MS)[..], 1).unwrap();
    let answer = server.send(GRPC, &[("grpc-encoding", "zstd")], framed(&packed, 1));
    assert_eq!(grpc_status(&answer).0, "0");
    assert!(value_of(&server, "plain").contains("2.5"));
    assert!(value_of(&server, "packed").contains("2.5"));

    for body in [vec![], vec![0, 0, 0, 0, 9, 1], framed(b"\xff", 0)] {
        assert_eq!(grpc_status(&server.send(GRPC, &[], body)).0, "3");
    }
}

#[test]
fn settings_choose_names_and_labels() {
    let server = TestServer::new(|services| {
        services.otlp.translation_strategy = TranslationStrategy::NoTranslation;
        services.otlp.promote_scope_metadata = true;
        services.otlp.convert_histograms_to_nhcb = true;
    });
    let json = ("content-type", "application/json");
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"lib","version":"2"},"metrics":[
        {"name":"a.b","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
            {"timeUnixNano":"1700000000000000000","count":3,"sum":4,"bucketCounts":[1,2],"explicitBounds":[5]}]}}]}]}]}"#;
    assert_eq!(server.send("POST /v1/metrics", &[json], body).status, 200);
    let found = value_of(&server, "%7B%22a.b%22%7D");
    assert!(found.contains(r#""otel_scope_name":"lib","otel_scope_version":"2""#), "{found}");
    assert!(
        found.contains(
            r#"{"count":"3","sum":"4","buckets":[[3,"-Inf","5","1"],[0,"5","+Inf","2"]]}"#
        ),
        "{found}"
    );
}
