//! Batches over HTTP, gRPC and as datagrams, and what becomes of them.

use crate::testing::{Answered, TestServer};
use crate::{Stopper, Transport};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use wire::protobuf::Writer;

const THRIFT: (&str, &str) = ("content-type", "application/x-thrift");
const START_US: i64 = 1_700_000_000_000_000;

fn text(id: u8, text: &str) -> Vec<u8> {
    [&[11, 0, id][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn long(id: u8, value: i64) -> Vec<u8> {
    [&[10, 0, id][..], &value.to_be_bytes()].concat()
}

/// A batch of a span in Thrift's binary protocol.
fn batch(span_id: i64) -> Vec<u8> {
    let process = [&[12, 0, 1][..], &text(1, "shop"), &[0]].concat();
    let tag = [&text(1, "n")[..], &[8, 0, 2, 0, 0, 0, 3], &long(6, -5), &[0]].concat();
    let span = [
        &long(1, 0xab)[..],
        &long(2, 0),
        &long(3, span_id),
        &text(5, "get"),
        &long(8, START_US),
        &long(9, 5_000),
        &[15, 0, 10, 12, 0, 0, 0, 1],
        &tag,
        &[0],
    ];
    [&process[..], &[15, 0, 2, 12, 0, 0, 0, 1], &span.concat(), &[0]].concat()
}

fn stored(tenant: &str, span_id: u8) -> String {
    format!(
        "[{tenant}] {span_id:016x} {{service.name=\"shop\"}} \"get\" kind 0 at 1700000000000000000 for 5000000 status 0 {{n=-5}}"
    )
}

#[test]
fn batches_over_http_are_stored() {
    for (path, media) in [
        ("/jaeger/api/traces?format=jaeger.thrift", "application/x-thrift"),
        ("/api/traces", "application/vnd.apache.thrift.binary; charset=utf-8"),
    ] {
        let server = TestServer::new(|_| {});
        let headers = [("content-type", media), ("x-scope-orgid", "blue")];
        let answer = server.send(&format!("POST {path}"), &headers, batch(1));
        assert_eq!((answer.status.as_u16(), answer.text()), (202, String::new()));
        assert_eq!(server.spans(), [stored("blue", 1)]);
    }
}

#[test]
fn what_can_not_be_stored_is_told_for_now_or_for_good() {
    let server = TestServer::new(|_| {});
    let send = |body: Vec<u8>| server.send("POST /api/traces", &[THRIFT], body);
    assert_eq!(server.send("POST /api/traces", &[], batch(1)).status, 415);
    let answer = send(b"{\"a\":1}".to_vec());
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), "the Thrift message has a value of an unknown type (123)\n");
    let answer = send(batch(0));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("the span \"get\" is refused: its span id"), "{answer:?}");
    let answer = server.send_to_broken_disk("POST /api/traces", &[THRIFT], batch(1));
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    assert!(server.spans().is_empty());
}

fn grpc_status(answer: &Answered) -> String {
    let trailers = answer.trailers.as_ref().unwrap_or(&answer.headers);
    trailers.get("grpc-status").unwrap().to_str().unwrap().to_owned()
}

#[test]
fn batches_over_grpc_are_stored() {
    let server = TestServer::new(|_| {});
    let mut writer = Writer::new();
    writer.message(1, |batch| {
        batch.message(1, |span| {
            span.bytes(1, &0xabu128.to_be_bytes());
            span.bytes(2, &1u64.to_be_bytes());
            span.text(3, "get");
            span.message(6, |time| time.varint(1, 1_700_000_000));
            span.message(7, |time| time.varint(2, 5_000_000));
            span.message(8, |tag| {
                tag.text(1, "n");
                tag.varint(2, 2);
                tag.signed(5, -5);
            });
        });
        batch.message(2, |process| process.text(1, "shop"));
    });
    let send = |message: &[u8]| {
        let body = [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
        server.send("POST /jaeger.api_v2.CollectorService/PostSpans", &[], body)
    };
    let answer = send(&writer.into_bytes());
    assert_eq!((grpc_status(&answer).as_str(), answer.body), ("0", vec![0; 5]));
    assert_eq!(server.spans(), [stored("default", 1)]);
    assert_eq!(grpc_status(&send(b"\x01")), "3");
    let mut bad = Writer::new();
    bad.message(1, |batch| batch.message(1, |span| span.text(3, "bad")));
    assert_eq!(grpc_status(&send(&bad.into_bytes())), "3");
}

#[test]
fn datagrams_are_stored() {
    let server = TestServer::new(|setup| {
        setup.settings.jaeger.binary_address = ":0".to_owned();
        setup.settings.jaeger.tenant = serde_json::from_str("\"net\"").unwrap();
    });
    let protocol = server.protocols.iter().find(|protocol| protocol.name == "jaeger").unwrap();
    assert_eq!(protocol.native.listeners[0].setting, "jaeger.compact_address");
    let Transport::Udp(serve) = protocol.listeners[0].transport.clone() else { panic!() };
    server.block_on(async {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let (stopper, stop) = Stopper::new();
        let serving = tokio::spawn(serve(socket, stop));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(b"no batch", address).await.unwrap();
        for number in 1..=50 {
            let head = b"\x80\x01\x00\x04\x00\x00\x00\x09emitBatch\x00\x00\x00\x00\x0c\x00\x01";
            let datagram = [&head[..], &batch(number), &[0]].concat();
            client.send_to(&datagram, address).await.unwrap();
        }
        while server.spans().len() < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stopper.request();
        serving.await.unwrap();
    });
    assert_eq!(server.spans()[0], stored("net", 1));
}

#[test]
fn clients_are_told_to_record_all() {
    let server = TestServer::new(|_| {});
    for path in ["/jaeger/api/sampling", "/jaeger/sampling"] {
        let strategy = server.get_json(&format!("{path}?service=shop"));
        assert_eq!(strategy["probabilisticSampling"]["samplingRate"], 1.0);
        assert_eq!(server.get(path).0, 400);
    }
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let line = "POST /jaeger.api_v2.SamplingManager/GetSamplingStrategy";
    let answer = server.send(line, &headers, vec![0; 5]);
    let expected = [&[0, 0, 0, 0, 11, 0x12, 9, 9][..], &1.0f64.to_le_bytes()].concat();
    assert_eq!(answer.body, expected);
}
