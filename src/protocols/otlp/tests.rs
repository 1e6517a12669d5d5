//! Requests over HTTP and gRPC, and what becomes of them.

use super::{TranslationStrategy, export};
use crate::grpc;
use crate::testing::{Answered, NOW_MS, TestServer};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use model::ErrorKind;
use wire::otlp::OtlpEncoding;
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
    // Where there is no message, the headers are the trailers.
    let trailers = answer.trailers.as_ref().unwrap_or(&answer.headers);
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
    let server = TestServer::new(|_| {});
    let body = gauge("a", NOW_MS);
    let answer = server.send_to_broken_disk("POST /v1/metrics", &[PROTOBUF], body.clone());
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    let answer = server.send_to_broken_disk(GRPC, &[], framed(&body, 0));
    let (code, message) = grpc_status(&answer);
    assert_eq!(code, "14");
    assert!(message.starts_with("the write-ahead log takes no writes: "), "{message}");
    for kind in [ErrorKind::Overloaded, ErrorKind::Io, ErrorKind::Bug, ErrorKind::Corrupt] {
        let answer = export::failure(OtlpEncoding::Protobuf, kind, "no");
        let retry_after = &answer.headers()["retry-after"];
        assert_eq!((answer.status().as_u16(), retry_after.to_str().unwrap()), (503, "2"), "{kind}");
        let answer = grpc::failure(kind, "no");
        let header = |name| answer.headers()[name].to_str().unwrap();
        assert_eq!((header("grpc-status"), header("grpc-message")), ("14", "no"), "{kind}");
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
    let server = TestServer::new(|setup| {
        setup.settings.otlp.translation_strategy = TranslationStrategy::NoTranslation;
        setup.settings.otlp.promote_scope_metadata = true;
        setup.settings.otlp.convert_histograms_to_nhcb = true;
    });
    let json = ("content-type", "application/json");
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"lib","version":"2"},"metrics":[
        {"name":"a.b","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
            {"timeUnixNano":"1700000000000000000","count":3,"sum":4,"bucketCounts":[1,2],"explicitBounds":[5]}]}},
        {"name":"bare","histogram":{"aggregationTemporality":2,"dataPoints":[
            {"timeUnixNano":"1700000000000000000","count":3,"sum":4}]}}]}]}]}"#;
    assert_eq!(server.send("POST /v1/metrics", &[json], body).status, 200);
    let found = value_of(&server, "%7B%22a.b%22%7D");
    assert!(found.contains(r#""otel_scope_name":"lib","otel_scope_version":"2""#), "{found}");
    assert!(
        found.contains(
            r#"{"count":"3","sum":"4","buckets":[[3,"-Inf","5","1"],[0,"5","+Inf","2"]]}"#
        ),
        "{found}"
    );
    let found = value_of(&server, "bare");
    assert!(
        found.contains(r#"{"count":"3","sum":"4","buckets":[[3,"-Inf","+Inf","3"]]}"#),
        "{found}"
    );
}

#[test]
fn bounds_without_counts_make_no_buckets() {
    let server = TestServer::new(|_| {});
    let json = ("content-type", "application/json");
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
        {"timeUnixNano":"1700000000000000000","count":3,"sum":4,"explicitBounds":[1,5]}]}}]}]}]}"#;
    assert_eq!(server.send("POST /v1/metrics", &[json], body).text(), "{}");
    let found = value_of(&server, "h_bucket");
    assert!(found.contains(r#""le":"+Inf"},"value":[1700000000,"3"]"#), "{found}");
    assert!(!found.contains(r#""le":"5""#), "{found}");
}

#[test]
fn refusals_are_statuses_too() {
    let server = TestServer::new(|_| {});
    let json = ("content-type", "application/json");
    let large = vec![b' '; (1 << 20) + 1];
    let cases = [
        (Some("missing"), 401, "16", r#"{"code":16,"#),
        (Some("scope"), 403, "7", r#"{"code":7,"#),
        (Some("starting"), 503, "14", r#"{"code":14,"details":[{"@type":"#),
        (None, 413, "8", r#"{"code":8,"#),
    ];
    for (refusal, status, code, body) in cases {
        let refuse = refusal.map(|refusal| ("x-test-refuse", refusal));
        let headers: Vec<_> = refuse.into_iter().chain([json]).collect();
        let answer = server.send("POST /v1/metrics", &headers, large.clone());
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.text().starts_with(body), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), if status == 503 { "2" } else { "" });

        let headers: Vec<_> =
            refuse.into_iter().chain([("content-type", "application/grpc")]).collect();
        let answer = server.send(GRPC, &headers, large.clone());
        assert_eq!((answer.status.as_u16(), grpc_status(&answer).0.as_str()), (200, code));
        let details = answer.header("grpc-status-details-bin");
        let details = BASE64_STANDARD_NO_PAD.decode(details).unwrap();
        let says_when = String::from_utf8_lossy(&details).contains("google.rpc.RetryInfo");
        assert_eq!(says_when, status == 503);
    }
}

#[test]
fn deltas_of_a_request_that_failed_are_not_counted_twice() {
    let server = TestServer::new(|_| {});
    let json = ("content-type", "application/json");
    let body = |time: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"d","sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{{"startTimeUnixNano":"1699999970000000000","timeUnixNano":"16999999{time}000000000","asInt":"3"}}]}}}}]}}]}}]}}"#
        )
    };
    let send = |time: &str| server.send("POST /v1/metrics", &[json], body(time));
    assert_eq!(send("80").text(), "{}");
    let failed = server.send_to_broken_disk("POST /v1/metrics", &[json], body("85"));
    assert_eq!(failed.status, 503);
    assert_eq!(send("85").text(), "{}");
    assert!(value_of(&server, "d_total").contains(r#","6"]"#));
}

#[test]
fn extra_labels_of_the_url_are_those_of_every_series_and_tell_sums_apart() {
    let server = TestServer::new(|_| {});
    let json = ("content-type", "application/json");
    let body = |time: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"d","sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{{"timeUnixNano":"16999999{time}000000000","asInt":"3"}}]}}}}]}}]}}]}}"#
        )
    };
    for time in ["80", "90"] {
        for path in ["/v1/metrics?extra_label=dc=a", "/otlp/v1/metrics?extra_label=dc=b"] {
            let answer = server.send(&format!("POST {path}"), &[json], body(time));
            assert_eq!(answer.text(), "{}");
        }
    }
    let found = value_of(&server, "d_total");
    for dc in ["a", "b"] {
        let one = format!(r#"{{"__name__":"d_total","dc":"{dc}"}},"value":[1700000000,"6"]}}"#);
        assert!(found.contains(&one), "{found}");
    }
    let answer = server.send("POST /v1/metrics?extra_label=dc", &[json], body("95"));
    assert_eq!(answer.text(), r#"{"code":3,"message":"extra_label must be name=value"}"#);
}

#[test]
fn a_name_of_which_nothing_is_left_is_refused_with_advice() {
    let server = TestServer::new(|_| {});
    let answer = server.send("POST /v1/metrics", &[PROTOBUF], gauge("요청", NOW_MS));
    assert!(answer.text().contains("nothing is left of the metric name"), "{}", answer.text());
    let server = TestServer::new(|setup| {
        setup.settings.otlp.translation_strategy = TranslationStrategy::NoUtf8EscapingWithSuffixes;
    });
    let answer = server.send("POST /v1/metrics", &[PROTOBUF], gauge("요청", NOW_MS));
    assert_eq!(answer.body, b"");
    let found = value_of(&server, "%7B%22%EC%9A%94%EC%B2%AD%22%7D");
    assert!(found.contains("2.5"), "{found}");
}

/// Labels that promise to say where a point comes from say it, whatever the point says of itself.
#[test]
fn scopes_and_targets_are_told_as_prometheus_tells_them() {
    let server = TestServer::new(|setup| {
        setup.settings.otlp.promote_scope_metadata = true;
        setup.settings.otlp.keep_identifying_resource_attributes = true;
    });
    let json = ("content-type", "application/json");
    let body = |resource: &str, scope: &str, name: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"s"}}}}{resource}]}},"scopeMetrics":[{{"scope":{scope},"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"1699999990000000000","asInt":"3","attributes":[{{"key":"otel_scope_name","value":{{"stringValue":"mine"}}}}]}}]}}}}]}}]}}]}}"#
        )
    };
    let send = |body: String| {
        assert_eq!(server.send("POST /v1/metrics", &[json], body).text(), "{}");
    };
    send(body("", r#"{"name":"lib","version":"2"}"#, "a"));
    let found = value_of(&server, "a");
    assert!(found.contains(r#""otel_scope_name":"lib","otel_scope_version":"2""#), "{found}");
    assert!(value_of(&server, "target_info").contains(r#""result":[]"#), "nothing to tell");
    send(body("", r#"{"version":"2"}"#, "b"));
    let found = value_of(&server, "b");
    assert!(found.contains(r#""otel_scope_name":"mine"}"#), "a scope without a name: {found}");
    send(body(r#",{"key":"os","value":{"stringValue":"x"}}"#, "{}", "c"));
    let found = value_of(&server, "target_info");
    assert!(found.contains(r#""job":"s","os":"x","service_name":"s"}"#), "{found}");
}

const LOGS_GRPC: &str = "POST /opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A record of a resource, in protobuf.
fn record(service: &str, time_ns: u64, body: &str) -> Vec<u8> {
    let attribute = |writer: &mut Writer, field, key: &str, value: &str| {
        writer.message(field, |attribute| {
            attribute.text(1, key);
            attribute.message(2, |any| any.text(1, value));
        });
    };
    let mut writer = Writer::new();
    writer.message(1, |resource_logs| {
        resource_logs.message(1, |resource| {
            attribute(resource, 1, "service.name", service);
            attribute(resource, 1, "host.name", "h");
        });
        resource_logs.message(2, |scope_logs| {
            scope_logs.message(2, |record| {
                record.double(1, f64::from_bits(time_ns));
                record.varint(2, 17);
                record.message(5, |any| any.text(1, body));
                record.bytes(9, &[0xab; 16]);
            });
        });
    });
    writer.into_bytes()
}

#[test]
fn records_become_lines_over_http_and_grpc() {
    let server = TestServer::new(|_| {});
    let now_ns = NOW_MS.unsigned_abs() * 1_000_000;
    let body = record("shop", now_ns, "hello");
    for path in ["/v1/logs", "/otlp/v1/logs", "/loki/otlp/v1/logs", "/insert/opentelemetry/v1/logs"]
    {
        let answer = server.send(&format!("POST {path}"), &[PROTOBUF], body.clone());
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        server.forget_repeats();
    }
    let answer = server.send(LOGS_GRPC, &[], framed(&body, 0));
    assert_eq!((grpc_status(&answer).0.as_str(), answer.body), ("0", vec![0; 5]));
    server.forget_repeats();
    let json = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"host.name","value":{"stringValue":"h"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000",
        "severityNumber":17,"body":{"stringValue":"hello"},"traceId":"ABABABABABABABABABABABABABABABAB"}]}]}]}"#;
    let answer = server.send("POST /v1/logs", &[("content-type", "application/json")], json);
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "{}".to_owned()));
    let expected = format!(
        r#"{{service_name="shop"}} 1700000000000000000 "hello" detected_level="error" host_name="h" severity_number="17" trace_id="{}""#,
        "ab".repeat(16)
    );
    assert_eq!(server.lines(), vec![expected; 6]);
}

#[test]
fn records_that_can_not_be_stored_are_a_partial_success() {
    let server = TestServer::new(|_| {});
    let late = NOW_MS.unsigned_abs() * 2_000_000;
    let answer = server.send("POST /v1/logs", &[PROTOBUF], record("shop", late, "x"));
    assert_eq!((answer.status.as_u16(), &answer.body[2..4]), (200, &b"\x08\x01"[..]));
    let text = answer.text();
    assert!(
        text.contains("entry for stream '{service_name=\"shop\"}' has timestamp too new"),
        "{text}"
    );
    assert!(server.lines().is_empty());
    let answer = server.send("POST /v1/logs", &[PROTOBUF], "\u{1}");
    assert_eq!((answer.status.as_u16(), answer.body[..2].to_vec()), (400, vec![0x08, 3]));
    let body = record("shop", 0, "x");
    let answer = server.send_to_broken_disk("POST /v1/logs", &[PROTOBUF], body.clone());
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    assert_eq!(server.send("POST /v1/logs", &[PROTOBUF], body).status, 200);
    assert!(
        server.lines()[0].contains(" 1700000000000000000 "),
        "records without a time are of now"
    );
}

const TRACES_GRPC: &str = "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A span of a resource, in protobuf.
fn span(span_id: &[u8], name: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.message(1, |attribute| {
                attribute.text(1, "service.name");
                attribute.message(2, |value| value.text(1, "shop"));
            });
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(2, |span| {
                span.bytes(1, &[0xab; 16]);
                span.bytes(2, span_id);
                span.text(5, name);
                span.varint(6, 2);
                for (field, time_ms) in [(7, NOW_MS), (8, NOW_MS + 5)] {
                    span.double(field, f64::from_bits(time_ms.unsigned_abs() * 1_000_000));
                }
                span.message(15, |status| status.varint(3, 2));
            });
        });
    });
    writer.into_bytes()
}

const STORED: &str = "[default] 0101010101010101 {service.name=\"shop\"} \"GET /\" kind 2 \
    at 1700000000000000000 for 5000000 status 2 {}";

fn packed(encoding: &str, plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    match encoding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::bulk::compress(plain, 1).unwrap(),
        "snappy" => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        _ => plain.to_vec(),
    }
}

#[test]
fn spans_are_stored_over_http_and_grpc() {
    let stored = |path: &str, headers: &[(&str, &str)], body: Vec<u8>, expected: &[u8]| {
        let server = TestServer::new(|_| {});
        let answer = server.send(&format!("POST {path}"), headers, body);
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, expected), "{path}");
        assert_eq!(server.spans(), [STORED], "{path} {headers:?}");
    };
    let binary = span(&[1; 8], "GET /");
    for path in ["/v1/traces", "/otlp/v1/traces", "/insert/opentelemetry/v1/traces"] {
        stored(path, &[PROTOBUF], binary.clone(), b"");
    }
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"spans":[{"traceId":"ABABABABABABABABABABABABABABABAB","spanId":"0101010101010101","name":"GET /",
        "kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000005000000,"status":{"code":2}}]}]}]}"#;
    for encoding in ["identity", "gzip", "deflate", "zstd", "snappy"] {
        let content = ("content-encoding", encoding);
        stored("/v1/traces", &[PROTOBUF, content], packed(encoding, &binary), b"");
        let headers = [("content-type", "application/json"), content];
        stored("/v1/traces", &headers, packed(encoding, json.as_bytes()), b"{}");
    }
    for encoding in ["gzip", "zstd"] {
        let server = TestServer::new(|_| {});
        let body = framed(&packed(encoding, &binary), 1);
        let answer = server.send(TRACES_GRPC, &[("grpc-encoding", encoding)], body);
        assert_eq!((grpc_status(&answer).0.as_str(), answer.body), ("0", vec![0; 5]));
        assert_eq!(server.spans(), [STORED]);
    }
}

#[test]
fn spans_that_can_not_be_stored_are_a_partial_success() {
    let server = TestServer::new(|_| {});
    let both = [span(&[0; 8], "bad"), span(&[1; 8], "GET /")].concat();
    let answer = server.send("POST /v1/traces", &[PROTOBUF], both.clone());
    assert_eq!((answer.status.as_u16(), &answer.body[2..4]), (200, &b"\x08\x01"[..]));
    assert!(answer.text().contains("the span \"bad\" is refused: its span id"), "{answer:?}");
    assert_eq!(server.spans(), [STORED]);
    // A client that missed the answer sends it again.
    assert_eq!(server.send("POST /v1/traces", &[PROTOBUF], both).status, 200);
    assert_eq!(server.spans(), [STORED]);
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"1"}]}]}]}"#;
    let answer = server.send("POST /v1/traces", &[("content-type", "application/json")], json);
    assert!(answer.text().contains(r#""rejectedSpans":"1""#), "{answer:?}");
}

#[test]
fn exports_of_spans_fail_for_now_or_for_good() {
    let server = TestServer::new(|_| {});
    let answer = server.send("POST /v1/traces", &[PROTOBUF], "\u{1}");
    assert_eq!((answer.status.as_u16(), answer.body[..2].to_vec()), (400, vec![0x08, 3]));
    let answer = server.send(TRACES_GRPC, &[], framed(b"\x01", 0));
    assert_eq!(grpc_status(&answer).0, "3");
    let body = span(&[1; 8], "GET /");
    let answer = server.send_to_broken_disk("POST /v1/traces", &[PROTOBUF], body.clone());
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    assert_eq!(server.send(TRACES_GRPC, &[], framed(&body, 0)).status, 200);
    assert_eq!(server.spans(), [STORED]);
}
