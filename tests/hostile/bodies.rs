//! Bodies that are small on the wire and large in memory, and bodies that never end.

use super::{at_once, gzip, health_takes, others_are_served, start};
use crate::client::Connection;
use crate::remote_write::{HEADERS, field, number, snappy};
use crate::support::Folder;
use axum::body::Bytes;
use axum::http::Request;
use http_body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is allowed to be the answer to a request that wants too much.
const REFUSALS: [u16; 4] = [400, 413, 429, 503];

/// 31 million attributes of two bytes each.
fn empty_attributes() -> Vec<u8> {
    let attributes = field(1, &[]).repeat(31 << 20);
    let metrics = field(1, &field(1, &attributes));
    gzip([metrics])
}

#[test]
fn otlp_with_millions_of_empty_attributes() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let body = empty_attributes();
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    let send = |_| Connection::open(server.address).send("POST", "/v1/metrics", &headers, &body);
    for reply in at_once(4, send) {
        assert!(REFUSALS.contains(&reply.status), "{}", reply.status);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let says = ["elements for its size", "limits.request_memory", "limits.decompressed_size"];
        assert!(says.iter().any(|one| text.contains(one)), "{text}");
    }
    others_are_served(&server);
}

#[test]
fn spans_with_millions_of_empty_attributes() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let span = field(9, &[]).repeat(30 << 20);
    let spans = gzip([field(1, &field(2, &field(2, &span)))]);
    let tags = "{},".repeat(10 << 20);
    let list = format!("[{{\"traceId\":\"1\",\"id\":\"1\",\"annotations\":[{tags}{{}}]}}]");
    let list = gzip([list.into_bytes()]);
    let replies = at_once(4, |index| {
        let (path, media, body) = match index % 2 {
            0 => ("/v1/traces", "application/x-protobuf", &spans),
            _ => ("/zipkin/api/v2/spans", "application/json", &list),
        };
        let headers = [("content-type", media), ("content-encoding", "gzip")];
        Connection::open(server.address).send("POST", path, &headers, body)
    });
    for reply in replies {
        assert!(REFUSALS.contains(&reply.status), "{}: {}", reply.status, reply.text());
    }
    others_are_served(&server);
}

#[test]
fn remote_write_with_millions_of_empty_labels() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let series = [field(1, &[]).repeat(30 << 20), field(2, &number(2, super::TIME_MS as u64))];
    let version_1 = snappy(&field(1, &series.concat()));
    let symbols = field(4, &[]).repeat(30 << 20);
    let version_2 = snappy(&symbols);
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let headers_2 = [("content-type", v2), ("content-encoding", "snappy")];
    let replies = at_once(4, |index| {
        let mut connection = Connection::open(server.address);
        match index % 2 {
            0 => connection.send("POST", "/api/v1/write", &HEADERS, &version_1),
            _ => connection.send("POST", "/api/v1/write", &headers_2, &version_2),
        }
    });
    for reply in replies {
        assert!(REFUSALS.contains(&reply.status), "{}: {}", reply.status, reply.text());
    }
    others_are_served(&server);
}

#[test]
fn a_packed_form_of_millions_of_parameters() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")];
    let forms = [gzip([b"a&".repeat(4 << 20)]), gzip([b"a&".repeat(30 << 20)])];
    let replies = at_once(4, |index| {
        let form = &forms[index % 2];
        Connection::open(server.address).send("POST", "/api/v1/query", &headers, form)
    });
    for reply in replies {
        assert!([413, 422, 503].contains(&reply.status), "{}: {}", reply.status, reply.text());
    }
    others_are_served(&server);
}

#[test]
fn packed_bodies_of_many_connections_keep_nobody_waiting() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")];
    let form = gzip([vec![b'x'; 60 << 20]]);
    let slowest = std::thread::scope(|scope| {
        let attackers = scope.spawn(|| {
            at_once(100, |_| {
                let mut connection = Connection::open(server.address);
                connection.send("POST", "/api/v1/query", &headers, &form).status
            })
        });
        let mut slowest = Duration::ZERO;
        while !attackers.is_finished() {
            slowest = slowest.max(health_takes(server.address));
            std::thread::sleep(Duration::from_millis(20));
        }
        let statuses = attackers.join().unwrap();
        assert!(statuses.iter().all(|status| REFUSALS.contains(status) || *status == 422));
        slowest
    });
    // It was eight seconds, and is some milliseconds; the tests share their processors.
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    others_are_served(&server);
}

#[test]
fn bodies_that_never_end() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
         content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n\r\n",
        31 << 20
    );
    let most = vec![b'x'; 30 << 20];
    let _held = at_once(60, |_| {
        let mut connection = Connection::open(server.address);
        connection.write(head.as_bytes()).unwrap();
        // Fails where the server has cut this body off for others.
        let _ = connection.write(&most);
        connection
    });
    others_are_served(&server);
}

#[test]
fn imports_with_millions_of_labels_values_and_comments() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let labels = [b"m{".to_vec(), b"a=\"\",".repeat(12 << 20), b"} 1\n".to_vec()].concat();
    let zeros = b"0,".repeat(15 << 20);
    let line: [&[u8]; 5] =
        [b"{\"metric\":{},\"values\":[", &zeros, b"0],\"timestamps\":[", &zeros, b"0]}\n"];
    let comments: Vec<u8> =
        (0..3 << 20).flat_map(|i| format!("# TYPE m{i} gauge\n").into_bytes()).collect();
    let bodies = [
        ("/api/v1/import/prometheus", gzip([labels])),
        ("/api/v1/import", gzip([line.concat()])),
        ("/api/v1/import/prometheus", gzip([comments])),
    ];
    let replies = at_once(6, |index| {
        let (path, body) = &bodies[index % 3];
        let mut connection = Connection::open(server.address);
        connection.try_send("POST", path, &[("content-encoding", "gzip")], body)
    });
    for reply in replies {
        match reply {
            Ok(reply) => {
                assert!(REFUSALS.contains(&reply.status), "{}: {}", reply.status, reply.text());
            }
            // Refused while the body was still being sent: the answer went down with the connection.
            Err(error) => {
                let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                assert!(closed.contains(&error.kind()), "{error}");
            }
        }
    }
    others_are_served(&server);
}

/// A hundred bodies at once in one connection of HTTP/2, none of which ends.
#[test]
fn streams_that_never_end() {
    let folder = Folder::new();
    let server = start(folder.path(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
        let connection = tokio::spawn(connection);
        let requests: Vec<_> = (0..100)
            .map(|_| {
                let request = Request::post(format!("http://{}/api/v1/write", server.address))
                    .header("content-type", "application/x-protobuf")
                    .header("content-encoding", "snappy");
                sender.send_request(request.body(Endless(30 << 20)).unwrap())
            })
            .collect();
        let all = async {
            for request in requests {
                // Cut off for others, most of them.
                let _ = request.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), all).await;
        tokio::task::spawn_blocking({
            let address = server.address;
            move || assert!(health_takes(address) < Duration::from_secs(4))
        })
        .await
        .unwrap();
        connection.abort();
    });
    others_are_served(&server);
}

/// So many bytes, and then silence.
struct Endless(usize);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Pending;
        }
        let piece = self.0.min(64 << 10);
        self.0 -= piece;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; piece].into()))))
    }
}
