//! A webhook on this machine, which keeps what it is sent; also one elsewhere, behind a proxy on this
//! machine.

use crate::support::{root, wait_for};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

pub(crate) struct Sink {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Value>>,
    /// Requests that are still to be answered 503.
    failures: AtomicUsize,
    hangs: bool,
    /// It is a proxy, and stands itself for every host that it is asked to connect to.
    elsewhere: Option<Elsewhere>,
}

struct Elsewhere {
    tls: Arc<ServerConfig>,
    /// What it was asked to connect to.
    hosts: Mutex<Vec<String>>,
}

impl Sink {
    /// Answers every request.
    pub(crate) fn start() -> Self {
        Self::with(State::default())
    }

    /// Answers the first requests with 503.
    pub(crate) fn failing(times: usize) -> Self {
        Self::with(State { failures: AtomicUsize::new(times), ..State::default() })
    }

    /// Takes requests and never answers.
    pub(crate) fn hanging() -> Self {
        Self::with(State { hangs: true, ..State::default() })
    }

    /// A proxy: whatever host is asked for over TLS, its answers are given here, with the certificate of
    /// the tests.
    pub(crate) fn elsewhere() -> Self {
        let file = |name: &str| root().join("tests/fixtures").join(name);
        let chain = CertificateDer::from_pem_file(file("tls.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("tls.key")).unwrap();
        let tls = ServerConfig::builder().with_no_client_auth();
        let tls = Arc::new(tls.with_single_cert(vec![chain], key).unwrap());
        let elsewhere = Some(Elsewhere { tls, hosts: Mutex::default() });
        Self::with(State { elsewhere, ..State::default() })
    }

    /// What the proxy was asked to connect to.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let elsewhere = self.state.elsewhere.as_ref().unwrap();
        elsewhere.hosts.lock().unwrap().clone()
    }

    pub(crate) fn proxy_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn with(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || connected(stream, &state));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap().clone()
    }

    /// The payload with this number, from 0.
    pub(crate) fn wait(&self, number: usize) -> Value {
        wait_for("a notification", || self.received().get(number).cloned())
    }
}

fn connected(mut stream: TcpStream, state: &State) {
    let Some(elsewhere) = &state.elsewhere else { return serve(stream, state) };
    let Some(host) = asked_host(&mut stream) else { return };
    elsewhere.hosts.lock().unwrap().push(host);
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let connection = ServerConnection::new(Arc::clone(&elsewhere.tls)).unwrap();
    serve(StreamOwned::new(connection, stream), state);
}

/// What a request `CONNECT host:port` names. Nothing behind the request is read.
fn asked_host(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let text = String::from_utf8(head).ok()?;
    text.strip_prefix("CONNECT ")?.split(' ').next().map(str::to_owned)
}

fn serve(stream: impl Read + Write, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = read_request(&mut reader) {
        let payload = serde_json::from_slice(&body).unwrap();
        state.received.lock().unwrap().push(payload);
        if state.hangs {
            // Until the client goes away.
            let _ = reader.read(&mut [0]);
            return;
        }
        let fails = state.failures.try_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = if fails { "503 Service Unavailable" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let stream = reader.get_mut();
        if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
