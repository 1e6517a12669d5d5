//! The kill ledger for traces: writers send spans by OTLP, each request a half of a trace, the server is
//! killed, and each writer sends the request whose answer it missed again, unchanged, or gives it up. After
//! every start each acknowledged span must be there once, in a trace with its root and its duration as far
//! as its halves arrived, a request that was given up wholly or not at all, and nothing else.

use crate::client::Connection;
use crate::kills;
use crate::remote_write::{field, fixed64};
use crate::support::{Folder, Server, ask, encoded, say};
use platform::SeededRandom;
use platform::sim::test_seed;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WRITERS: usize = 5;
/// Spans of a request.
const SPANS: u64 = 3;
/// Two requests make one trace: the first has its root and its latest end.
const HALVES: u64 = 2;
/// A trace takes so long, and begins so long after the one before it.
const TRACE_NS: u64 = 1_000_000;

const SETTINGS: [&str; 4] =
    ["--set", "storage.flush_interval=1s", "--set", "wal.segment_size=1MiB"];

/// What one writer sent.
struct Ledger {
    number: u64,
    start_ns: u64,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// The request whose answer it missed.
    missed: Mutex<Option<u64>>,
    repeats: AtomicU64,
}

fn span_id(request: u64, index: u64) -> u64 {
    request * SPANS + index + 1
}

impl Ledger {
    fn new(number: usize, start_ns: u64) -> Self {
        Self {
            number: number as u64,
            start_ns,
            next: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            missed: Mutex::default(),
            repeats: AtomicU64::new(0),
        }
    }

    fn name(&self) -> String {
        format!("ledger.{}", self.number)
    }

    fn trace_id(&self, trace: u64) -> u128 {
        u128::from(self.number + 1) << 64 | u128::from(trace + 1)
    }

    /// The spans of a request: of the first half the root and two of its children, of the second three
    /// more.
    fn body(&self, request: u64) -> Vec<u8> {
        let trace = request / HALVES;
        let begin = self.start_ns + trace * TRACE_NS;
        let root = span_id(trace * HALVES, 0);
        let span = |index: u64| {
            let id = span_id(request, index);
            let (start, end) = if id == root { (0, TRACE_NS) } else { (1_000, 2_000) };
            let parent = if id == root { Vec::new() } else { field(4, &root.to_be_bytes()) };
            let span = [
                field(1, &self.trace_id(trace).to_be_bytes()),
                field(2, &id.to_be_bytes()),
                parent,
                field(5, format!("span {id}").as_bytes()),
                fixed64(7, begin + start),
                fixed64(8, begin + end),
            ];
            field(2, &span.concat())
        };
        let spans: Vec<u8> = (0..SPANS).flat_map(span).collect();
        let name = [field(1, b"service.name"), field(2, &field(1, self.name().as_bytes()))];
        let resource = field(1, &field(1, &name.concat()));
        field(1, &[resource, field(2, &spans)].concat())
    }

    /// Sends requests until the server is gone, first the one whose answer was missed.
    fn write(&self, address: SocketAddr, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::try_open(address) else { return };
        let headers = [("content-type", "application/x-protobuf")];
        while !stop.load(Relaxed) {
            let missed = self.missed.lock().unwrap().take();
            let request = missed.unwrap_or_else(|| self.next.fetch_add(1, Relaxed));
            self.repeats.fetch_add(u64::from(missed.is_some()), Relaxed);
            let body = self.body(request);
            match connection.try_send("POST", "/v1/traces", &headers, &body) {
                Ok(reply) => {
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    self.acknowledged.lock().unwrap().insert(request);
                }
                Err(_) => {
                    // Every fourth is given up.
                    let is_sent_again = !request.is_multiple_of(4);
                    *self.missed.lock().unwrap() = is_sent_again.then_some(request);
                    return;
                }
            }
        }
    }

    fn check(&self, server: &Server, cycle: usize) -> usize {
        let sent = self.next.load(Relaxed);
        let acknowledged = self.acknowledged.lock().unwrap();
        let found = self.found(server, cycle);
        let lost: Vec<&u64> =
            acknowledged.iter().filter(|request| !found.contains(request)).collect();
        assert!(lost.is_empty(), "cycle {cycle}: {} acknowledged lost: {lost:?}", lost.len());
        assert!(found.last().is_none_or(|last| *last < sent), "cycle {cycle}: never sent");
        self.check_count(server, cycle, found.len() as u64 * SPANS);
        acknowledged.len()
    }

    /// The requests whose spans are there, each of which is whole.
    fn found(&self, server: &Server, cycle: usize) -> BTreeSet<u64> {
        let query = format!(r#"{{resource.service.name="{}"}}"#, self.name());
        let path = format!(
            "/tempo/api/search?q={}&limit=262144&spss=100&{}",
            encoded(&query),
            self.range()
        );
        let mut requests: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for trace in ask(server.address, &path)["traces"].as_array().unwrap() {
            let id = u128::from_str_radix(trace["traceID"].as_str().unwrap(), 16).unwrap();
            let number = (id as u64) - 1;
            assert_eq!(id, self.trace_id(number), "cycle {cycle}");
            let has_root = trace["rootServiceName"] == self.name();
            let spans = trace["spanSet"]["spans"].as_array().unwrap();
            let matched = trace["spanSet"]["matched"].as_u64();
            assert_eq!(matched, Some(spans.len() as u64), "cycle {cycle}");
            let mut of_trace = BTreeSet::new();
            for span in spans {
                let id = u64::from_str_radix(span["spanID"].as_str().unwrap(), 16).unwrap();
                assert!(of_trace.insert(id), "cycle {cycle}: span {id} of trace {number} twice");
                requests.entry((id - 1) / SPANS).or_default().insert(id);
            }
            let root = span_id(number * HALVES, 0);
            assert_eq!(has_root, of_trace.contains(&root), "cycle {cycle}: root of {number}");
            let millis = trace["durationMs"].as_u64().unwrap_or(0);
            assert_eq!(millis, if has_root { TRACE_NS / 1_000_000 } else { 0 }, "cycle {cycle}");
        }
        for (request, ids) in &requests {
            let all: BTreeSet<u64> = (0..SPANS).map(|index| span_id(*request, index)).collect();
            assert_eq!(*ids, all, "cycle {cycle}: a part of request {request}");
        }
        requests.into_keys().collect()
    }

    /// No span counts twice.
    fn check_count(&self, server: &Server, cycle: usize, spans: u64) {
        let query = format!(r#"{{resource.service.name="{}"}} | count_over_time()"#, self.name());
        let path = format!("/tempo/api/metrics/query?q={}&{}", encoded(&query), self.range());
        let answer = ask(server.address, &path);
        let counted = answer["series"][0]["value"].as_f64().unwrap_or(0.0);
        assert_eq!(counted as u64, spans, "cycle {cycle}: spans of {}", self.name());
    }

    fn range(&self) -> String {
        let start = self.start_ns / 1_000_000_000;
        format!("start={}&end={}", start - 1, start + 3_600)
    }
}

#[test]
fn acknowledged_spans_survive_kills_and_count_once() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let cycles = kills::cycles(6);
    let folder = Folder::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let start_ns = (now - 3_600) * 1_000_000_000;
    let ledgers: Vec<Ledger> = (0..WRITERS).map(|number| Ledger::new(number, start_ns)).collect();
    let (mut requests, mut slowest) = (0, Duration::ZERO);
    for cycle in 0..=cycles {
        let started = Instant::now();
        let server = Server::start_with(folder.path(), &SETTINGS);
        assert_eq!(server.get("/ready").status, 200);
        slowest = slowest.max(started.elapsed());
        requests = ledgers.iter().map(|ledger| ledger.check(&server, cycle)).sum();
        if cycle < cycles {
            let address = server.address;
            let write = |writer: usize, stop: &AtomicBool| ledgers[writer].write(address, stop);
            kills::load_and_kill(server, &random, WRITERS, write);
        }
    }
    let repeats: u64 = ledgers.iter().map(|ledger| ledger.repeats.load(Relaxed)).sum();
    assert!(requests > cycles * 10, "only {requests} requests: the test did not load it");
    say(&format!(
        "traces ledger: SEED={seed}, {cycles} kills under load of {WRITERS} connections, {} \
         acknowledged spans, 0 lost, 0 doubled, {repeats} requests sent again, ready again after {} ms \
         at most",
        requests as u64 * SPANS,
        slowest.as_millis()
    ));
}
