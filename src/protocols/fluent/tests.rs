//! Messages on a connection, and what becomes of them.

use super::handshake::Handshake;
use crate::settings::Secret;
use crate::testing::{NOW_MS, Setup, TestServer};
use crate::{Accepted, Stopper, Transport};
use sha2::{Digest as _, Sha512};
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use wire::msgpack::{MsgpackReader, MsgpackValue, MsgpackWriter};

fn server(adjust: impl FnOnce(&mut Setup)) -> TestServer {
    TestServer::new(|setup| {
        setup.settings.fluent.address = ":0".to_owned();
        setup.services.machine.host_name = "here".to_owned();
        adjust(setup);
    })
}

/// Runs a sender against the server, until the sender closes its side; answers what it was sent.
fn session<F: Future<Output = DuplexStream>>(
    server: &TestServer,
    send: impl FnOnce(DuplexStream) -> F,
) -> Vec<u8> {
    let protocol = server.protocols.iter().find(|protocol| protocol.name == "fluent").unwrap();
    let Transport::Tcp(serve) = &protocol.listeners[0].transport else { panic!() };
    server.block_on(async {
        let (client, socket) = tokio::io::duplex(50);
        let (_stopper, stop) = Stopper::new();
        let serving = tokio::spawn(serve(Accepted { socket: Box::new(socket), peer: None, stop }));
        let mut client = send(client).await;
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        serving.await.unwrap();
        answers
    })
}

fn send(server: &TestServer, bytes: &[u8]) -> Vec<u8> {
    session(server, async |mut client: DuplexStream| {
        client.write_all(bytes).await.unwrap();
        client
    })
}

fn record(log: &str) -> Vec<u8> {
    let mut writer = MsgpackWriter::default();
    writer.map(2).text(b"log").text(log.as_bytes());
    writer.text(b"kubernetes").map(1).text(b"pod_name").text(b"p");
    writer.into_bytes()
}

fn event_time() -> Vec<u8> {
    let seconds = (NOW_MS / 1_000) as u32;
    [&b"\xd7\x00"[..], &seconds.to_be_bytes(), &5u32.to_be_bytes()].concat()
}

fn event(log: &str) -> Vec<u8> {
    [&b"\x92"[..], &event_time(), &record(log)].concat()
}

/// `{"chunk": …}`, and `{"compressed": …}` where it is named.
fn option(chunk: &str, compressed: Option<&str>) -> Vec<u8> {
    let mut writer = MsgpackWriter::default();
    writer.map(1 + usize::from(compressed.is_some())).text(b"chunk").text(chunk.as_bytes());
    if let Some(name) = compressed {
        writer.text(b"compressed").text(name.as_bytes());
    }
    writer.into_bytes()
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut writer = MsgpackWriter::default();
    writer.array(parts.len() + 1).text(b"app.web");
    for part in parts {
        writer.raw(part);
    }
    writer.into_bytes()
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut writer = MsgpackWriter::default();
    writer.binary(bytes);
    writer.into_bytes()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_shape_of_a_message_becomes_lines_and_is_acknowledged() {
    let server = server(|_| {});
    let (one, two) = (event("1\n"), event("2"));
    let both = [&one[..], &two].concat();
    let list = [&b"\x92"[..], &both].concat();
    let members = [gzip(&one), gzip(&two)].concat();
    let messages = [
        message(&[&event_time(), &record("1\n"), &option("a", None)]),
        message(&[&event_time(), &record("2")]),
        message(&[&list, &option("b", None)]),
        message(&[&binary(&both), &option("c", None)]),
        message(&[&binary(&members), &option("d", Some("gzip"))]),
        message(&[&binary(&zstd::encode_all(&both[..], 1).unwrap()), &option("e", Some("zstd"))]),
        b"\xc0".to_vec(),
    ];
    let answers = send(&server, &messages.concat());
    let mut acks = MsgpackReader::new(&answers);
    let mut chunks = Vec::new();
    while !acks.is_empty() {
        assert_eq!((acks.map().unwrap(), acks.text().unwrap()), (1, &b"ack"[..]));
        chunks.push(String::from_utf8_lossy(acks.text().unwrap()).into_owned());
    }
    assert_eq!(chunks, ["a", "b", "c", "d", "e"]);
    let lines = server.lines();
    assert_eq!(lines.len(), 10);
    for (half, log) in lines.chunks(5).zip(["1", "2"]) {
        for line in half {
            let expected = format!(
                r#"{{kubernetes_pod_name="p", service_name="unknown_service"}} 1700000000000000005 "{log}" detected_level="unknown" fluent.tag="app.web""#
            );
            assert_eq!(*line, expected);
        }
    }
}

/// A sender that misses an acknowledgement sends the message again, maybe beside others.
#[test]
fn a_message_that_its_sender_named_counts_once() {
    let server = server(|_| {});
    let named = |chunk| message(&[&event_time(), &record("x"), &option(chunk, None)]);
    let unnamed = message(&[&event_time(), &record("x")]);
    assert_eq!(send(&server, &named("a")).len(), 7);
    let answers = send(&server, &[named("a"), unnamed.clone(), named("b"), named("a")].concat());
    assert_eq!(answers.len(), 21, "all are acknowledged");
    assert_eq!(server.lines().len(), 3, "two of other names, and one without");
    send(&server, &unnamed);
    assert_eq!(server.lines().len(), 4);
    let undated = message(&[b"\xc0", &record("x"), &option("c", None)]);
    send(&server, &[undated.clone(), undated].concat());
    assert_eq!(server.lines().len(), 6, "these have the time of their arrival");
}

#[test]
fn records_without_a_line_or_labels_and_times_of_other_kinds() {
    let server = server(|_| {});
    let bare = b"\x81\xa1a\x01";
    let with_metadata = [&b"\x92\x92"[..], &event_time(), b"\x80", bare].concat();
    let mark = [&b"\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00"[..], b"\x80"].concat();
    let list = [&b"\x92"[..], &with_metadata, &mark].concat();
    let seconds = [&b"\xce"[..], &((NOW_MS / 1_000) as u32).to_be_bytes()].concat();
    let metrics = message(&[&binary(b"x"), b"\x81\xadfluent_signal\x01"]);
    send(&server, &[message(&[&list]), message(&[&seconds, bare]), metrics].concat());
    let line = |nanos| {
        format!(
            r#"{{service_name="unknown_service", tag="app.web"}} 170000000000000000{nanos} "{{\"a\":1}}" a="1" detected_level="unknown" fluent.tag="app.web""#
        )
    };
    assert_eq!(server.lines(), [line(0), line(5)]);
}

#[test]
fn what_is_malformed_or_too_large_ends_the_connection() {
    let server = server(|setup| setup.settings.fluent.message_size = "1KiB".parse().unwrap());
    let good = message(&[&event_time(), &record("x"), &option("a", None)]);
    let large = message(&[&event_time(), &record(&"x".repeat(100_000))]);
    for bad in [&b"\xc1"[..], b"\x01", b"\x91\x01", b"\x93\xa1t\xc3\x80", &large] {
        assert!(!send(&server, &good).is_empty());
        let lines = server.lines().len();
        let answers = send_in_part(&server, bad);
        assert!(answers.is_empty(), "{bad:x?}");
        assert_eq!(server.lines().len(), lines);
    }
    let broken = message(&[&binary(b"no gzip"), &option("z", Some("gzip"))]);
    assert!(!send(&server, &broken).is_empty(), "what can never be stored is not sent again");
    let broken = message(&[&binary(b"\x92\x01"), &option("z", None)]);
    assert!(!send(&server, &broken).is_empty());
}

/// Sends until the server does not read any more.
fn send_in_part(server: &TestServer, bytes: &[u8]) -> Vec<u8> {
    session(server, async |mut client: DuplexStream| {
        drop(client.write_all(bytes).await);
        client
    })
}

fn hex(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a sender of host `there` answers, and the server's part of what it expects then.
fn ping(helo: &[u8], key: &str) -> (Vec<u8>, String) {
    let mut reader = MsgpackReader::new(helo);
    assert_eq!((reader.array().unwrap(), reader.text().unwrap()), (2, &b"HELO"[..]));
    assert_eq!(reader.map().unwrap(), 3);
    assert_eq!(reader.text().unwrap(), b"nonce");
    let MsgpackValue::Binary(nonce) = reader.value().unwrap() else { panic!() };
    let digest = |host: &str| {
        hex(Sha512::digest([b"salt", host.as_bytes(), nonce, key.as_bytes()].concat()))
    };
    let mut writer = MsgpackWriter::default();
    writer.array(6).text(b"PING").text(b"there").text(b"salt");
    writer.text(digest("there").as_bytes()).text(b"").text(b"");
    (writer.into_bytes(), digest("here"))
}

fn greet(server: &TestServer, key: &str) -> (bool, bool) {
    let mut proof = String::new();
    let answers = session(server, async |mut client: DuplexStream| {
        let mut helo = vec![0; Handshake::new(b"x", 0, 0).helo().len()];
        client.read_exact(&mut helo).await.unwrap();
        let (ping, expected) = ping(&helo, key);
        proof = expected;
        client.write_all(&ping).await.unwrap();
        let message = message(&[&event_time(), &record("x")]);
        drop(client.write_all(&message).await);
        client
    });
    let mut reader = MsgpackReader::new(&answers);
    assert_eq!((reader.array().unwrap(), reader.text().unwrap()), (5, &b"PONG"[..]));
    let admitted = reader.value().unwrap() == MsgpackValue::Bool(true);
    let _reason = reader.text().unwrap();
    let _host = reader.text().unwrap();
    (admitted, reader.text().unwrap() == proof.as_bytes())
}

#[test]
fn a_shared_key_is_asked_for_and_proven() {
    let server = server(|setup| setup.settings.fluent.shared_key = Secret::new("key"));
    assert_eq!(greet(&server, "other"), (false, false));
    assert!(server.lines().is_empty());
    assert_eq!(greet(&server, "key"), (true, true));
    assert_eq!(server.lines().len(), 1);
    let nonces = [0, 1].map(|connection| Handshake::new(b"key", connection, 0).helo());
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn what_is_not_stored_is_not_acknowledged() {
    let server = server(|_| {});
    server.break_disk();
    let protocol = server.protocols.iter().find(|protocol| protocol.name == "fluent").unwrap();
    let Transport::Tcp(serve) = &protocol.listeners[0].transport else { panic!() };
    server.block_on(async {
        let (mut client, socket) = tokio::io::duplex(1 << 10);
        let (stopper, stop) = Stopper::new();
        let serving = tokio::spawn(serve(Accepted { socket: Box::new(socket), peer: None, stop }));
        let message = message(&[&event_time(), &record("x"), &option("a", None)]);
        client.write_all(&message).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!serving.is_finished(), "it waits");
        stopper.request();
        serving.await.unwrap();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        assert!(answers.is_empty());
    });
}
