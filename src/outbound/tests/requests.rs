//! Answers, their bounds, redirects, failures in words.

use super::{Server, answer, client, ok};
use crate::{Client, HttpConfig, Reach, Reason, Request};
use std::io::Write;
use std::time::Duration;
use tokio::net::UnixListener;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_is_decompressed_and_its_connection_used_again() {
    let body = gzip(b"up 1\n");
    let server =
        Server::start(move |_| answer("200 OK", "Content-Encoding: gzip\r\n", &body)).await;
    let client = client("{}");
    for _ in 0..3 {
        let response = client.send(Request::get(server.url("/metrics?a=b"))).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"up 1\n"[..]));
    }
    assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "GET /metrics?a=b HTTP/1.1");
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("accept-encoding"), Some("gzip, zstd"));
    assert!(seen.header("user-agent").unwrap().starts_with("Mirador/"));
    let raw = client.send(Request::get(server.url("/")).raw()).await.unwrap();
    assert_eq!((raw.encoding, &raw.body[..2]), (wire::Encoding::Gzip, &[0x1f, 0x8b][..]));
}

#[tokio::test]
async fn an_answer_is_never_larger_than_allowed() {
    let bomb = gzip(&vec![0; 10 << 20]);
    let server = Server::start(move |seen| match seen.line.split(' ').nth(1).unwrap() {
        "/long" => answer("200 OK", "", &[b'x'; 2000]),
        "/bomb" => answer("200 OK", "Content-Encoding: gzip\r\n", &bomb),
        // Chunks without an end: the client has to hang up.
        "/endless" => {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400)).repeat(100);
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}").into_bytes()
        }
        _ => answer("200 OK", "", &[b'x'; 1000]),
    })
    .await;
    let client = client("{}");
    for path in ["/long", "/bomb", "/endless"] {
        let request = Request::get(server.url(path)).answer_max(1000);
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.reason, Reason::TooLarge, "{path}: {error}");
        let expected = format!("the answer of {} is larger than 1000 bytes", server.url(path));
        assert_eq!(error.message, expected);
    }
    let request = Request::get(server.url("/fits")).answer_max(1000);
    assert_eq!(client.send(request).await.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let server = Server::start(|_| Vec::new()).await;
    let request = Request::get(server.url("/")).timeout(Duration::from_millis(50));
    let error = client("{}").send(request).await.unwrap_err();
    let expected = format!("{} did not answer within 50ms", server.address);
    assert_eq!((error.reason, error.message), (Reason::Timeout, expected));
}

fn redirect(status: &str, location: &str) -> Vec<u8> {
    answer(status, &format!("Location: {location}\r\n"), b"")
}

#[tokio::test]
async fn redirects_are_followed_without_giving_secrets_away() {
    let other = Server::start(|_| ok("other")).await;
    let far = other.url("/far").to_string();
    let server = Server::start(move |seen| match seen.line.split(' ').nth(1).unwrap() {
        "/far" => redirect("302 Found", &far),
        "/near" => redirect("307 Temporary Redirect", "here?x=1"),
        "/loop" => redirect("301 Moved Permanently", "/loop"),
        _ => ok("end"),
    })
    .await;
    let text = "{authorization: {credentials: t0ken}, http_headers: {X-Key: {secrets: [k3y]}}}";
    let client = client(text);
    let post = |path: &str| Request::post(server.url(path), "text/plain", "body");
    let response = client.send(post("/near")).await.unwrap();
    assert_eq!(&response.body[..], b"end");
    let seen = server.seen();
    assert_eq!(seen[1].line, "POST /here?x=1 HTTP/1.1");
    assert_eq!((seen[1].body.as_str(), seen[1].header("x-key")), ("body", Some("k3y")));
    assert_eq!(seen[1].header("authorization"), Some("Bearer t0ken"));

    let response = client.send(post("/far")).await.unwrap();
    assert_eq!(&response.body[..], b"other");
    let seen = &other.seen()[0];
    assert_eq!((seen.line.as_str(), seen.body.as_str()), ("GET /far HTTP/1.1", ""));
    let kept = ["authorization", "x-key", "content-type"].map(|name| seen.header(name));
    assert_eq!(kept, [None, None, None]);

    let error = client.send(post("/loop")).await.unwrap_err();
    assert_eq!(error.reason, Reason::Redirect);
}

#[tokio::test]
async fn redirects_are_an_answer_where_they_are_not_followed() {
    let server = Server::start(|_| redirect("302 Found", "http://169.254.169.254/")).await;
    let plain = client("follow_redirects: false");
    assert_eq!(plain.send(Request::get(server.url("/"))).await.unwrap().status, 302);
    let reach = Reach::Public { allowed: vec![crate::Cidr::parse("127.0.0.0/8").unwrap()] };
    let bound = Client::new(&HttpConfig::default(), reach).unwrap();
    assert_eq!(bound.send(Request::get(server.url("/"))).await.unwrap().status, 302);
}

#[tokio::test]
async fn failures_say_what_happened() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let broken = Server::start(|_| b"220 smtp ready\r\n\r\n".to_vec()).await;
    let cases = [
        (
            format!("http://{free}/"),
            Reason::Connect,
            format!("can't connect to {free}: connection refused: nothing listens there"),
        ),
        (broken.url("/").to_string(), Reason::Protocol, "the connection to".to_owned()),
        (
            "http://name.invalid/".to_owned(),
            Reason::Resolve,
            "the name name.invalid has no address".to_owned(),
        ),
    ];
    for (url, reason, message) in cases {
        let url = crate::Url::parse(&url).unwrap();
        let error = client("{}").send(Request::get(url)).await.unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
        assert!(error.message.starts_with(&message), "{error}");
    }
}

#[tokio::test]
async fn a_socket_of_the_machine_is_asked_like_a_server() {
    let folder = std::env::temp_dir().join(format!("mirador-socket-{}", std::process::id()));
    let _ = std::fs::remove_file(&folder);
    let listener = UnixListener::bind(&folder).unwrap();
    let seen = std::sync::Arc::default();
    let kept = std::sync::Arc::clone(&seen);
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        super::serve(socket, std::sync::Arc::new(|_| ok("up 1\n")), kept).await;
    });
    let url = crate::Url::parse("http://app.local/metrics").unwrap();
    let request = Request::get(url).unix_socket(Some(folder.clone()));
    let response = client("{}").send(request).await.unwrap();
    assert_eq!(&response.body[..], b"up 1\n");
    let first: super::Seen = seen.lock().unwrap()[0].clone();
    assert_eq!(
        (first.line.as_str(), first.header("host")),
        ("GET /metrics HTTP/1.1", Some("app.local"))
    );
    std::fs::remove_file(&folder).unwrap();
}
