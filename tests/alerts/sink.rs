//! A webhook on this machine, which keeps what it is sent.

use crate::support::wait_for;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

pub(super) struct Sink {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Value>>,
    /// Requests that are still to be answered 503.
    failures: AtomicUsize,
    hangs: bool,
}

impl Sink {
    /// Answers every request.
    pub(super) fn start() -> Self {
        Self::with(State::default())
    }

    /// Answers the first requests with 503.
    pub(super) fn failing(times: usize) -> Self {
        Self::with(State { failures: AtomicUsize::new(times), ..State::default() })
    }

    /// Takes requests and never answers.
    pub(super) fn hanging() -> Self {
        Self::with(State { hangs: true, ..State::default() })
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
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(super) fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap().clone()
    }

    /// The payload with this number, from 0.
    pub(super) fn wait(&self, number: usize) -> Value {
        wait_for("a notification", || self.received().get(number).cloned())
    }
}

fn serve(stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
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
        if stream.write_all(answer.as_bytes()).is_err() {
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
