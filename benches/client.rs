//! A client of a running server for the benches: requests of HTTP/1.1 on one connection, and a websocket
//! that is only read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a server listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Status and body of the answer.
    pub(crate) fn send(&mut self, head: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "{head} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).expect("it is sent");
        let mut line = String::new();
        self.line(&mut line);
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("HTTP");
        let (mut length, mut is_chunked) = (0, false);
        loop {
            self.line(&mut line);
            match line.trim_end().split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().expect("a length"),
                Some(("transfer-encoding", _)) => is_chunked = true,
                Some(_) => {}
            }
        }
        let body = if is_chunked { self.chunks() } else { self.bytes(length) };
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The body of a request without one, which must succeed.
    pub(crate) fn get(&mut self, path: &str) -> String {
        let (status, body) = self.send(&format!("GET {path}"), b"");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Turns the connection into a websocket of a path.
    #[allow(dead_code, reason = "not every bench follows")]
    pub(crate) fn follow(mut self, path: &str) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.0.get_mut().write_all(request.as_bytes()).expect("it is sent");
        let mut line = String::new();
        self.line(&mut line);
        assert!(line.contains(" 101 "), "{line}");
        while line.trim_end() != "" {
            self.line(&mut line);
        }
        self
    }

    /// The next text of a websocket; others are passed over.
    #[allow(dead_code, reason = "not every bench follows")]
    pub(crate) fn frame(&mut self) -> String {
        loop {
            let head = self.bytes(2);
            let length = match head[1] & 0x7F {
                126 => u16::from_be_bytes(self.bytes(2).try_into().expect("two")).into(),
                127 => u64::from_be_bytes(self.bytes(8).try_into().expect("eight")),
                short => short.into(),
            };
            let content = self.bytes(length);
            if head[0] & 0x0F == 1 {
                return String::from_utf8_lossy(&content).into_owned();
            }
        }
    }

    fn line(&mut self, line: &mut String) {
        line.clear();
        self.0.read_line(line).expect("an answer");
        assert!(!line.is_empty(), "the server closed the connection");
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).expect("an answer");
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let (mut body, mut line) = (Vec::new(), String::new());
        loop {
            self.line(&mut line);
            let length = u64::from_str_radix(line.trim_end(), 16).expect("a chunk");
            body.extend(self.bytes(length));
            self.line(&mut line);
            if length == 0 {
                return body;
            }
        }
    }
}

pub(crate) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The sum of the samples of `/metrics` that begin so.
#[allow(dead_code, reason = "not every bench counts")]
pub(crate) fn metric(client: &mut Client, begin: &str) -> f64 {
    let text = client.get("/metrics");
    let values = text.lines().filter(|line| line.starts_with(begin));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The number that an instant query answers; zero where it answers nothing.
#[allow(dead_code, reason = "not every bench counts")]
pub(crate) fn count(client: &mut Client, query: &str) -> u64 {
    let answer = client.get(&format!("/loki/api/v1/query?query={}", encoded(query)));
    let value = answer.split("\"value\":[").nth(1).and_then(|rest| rest.split('"').nth(1));
    value.map_or(0, |text| text.parse().expect("a number"))
}
