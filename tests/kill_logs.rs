//! The kill ledger for logs: writers push by Loki's protocol and by Fluentd's, the server is killed, and
//! each writer sends the batch whose answer it missed again, unchanged, or gives it up. After every start
//! each acknowledged line must be found exactly as often as it was written, a batch that was given up
//! wholly or not at all, and nothing else.

use crate::client::Connection;
use crate::kills;
use crate::log_clients::free_address;
use crate::support::{Folder, Server, ask, encoded, say};
use platform::SeededRandom;
use platform::sim::test_seed;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::msgpack::MsgpackWriter;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Loki,
    /// Each push on two connections at once.
    LokiTwice,
    Fluent,
}

const WRITERS: [By; 6] = [By::Loki, By::Loki, By::LokiTwice, By::Fluent, By::Fluent, By::Fluent];

/// Lines of a batch; the last two of them are the same line, which a program wrote twice.
const LINES: usize = 5;

/// How many cycles use one data folder: with more, checking would take longer than writing.
const CYCLES_PER_FOLDER: usize = 10;

const SETTINGS: [&str; 6] = [
    "--set",
    "logs.max_entries_limit_per_query=10000000",
    "--set",
    "storage.flush_interval=1s",
    "--set",
    "wal.segment_size=1MiB",
];

/// What one writer sent.
struct Ledger {
    number: usize,
    by: By,
    /// The time of its first batch; each is a millisecond later than the one before it.
    start_ns: u64,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// The batch whose answer it missed.
    missed: Mutex<Option<u64>>,
    repeats: AtomicU64,
}

impl Ledger {
    fn new(number: usize, start_ns: u64) -> Self {
        Self {
            number,
            by: WRITERS[number],
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

    /// Time and text of each line of a batch.
    fn lines(&self, batch: u64) -> Vec<(u64, String)> {
        let line = |index: usize| {
            let index = index.min(LINES - 2) as u64;
            let time = self.start_ns + batch * 1_000_000 + index * 1_000;
            let mixed = (batch ^ (self.number as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (time, format!("level=info batch={batch} line={index} value={mixed:x}"))
        };
        (0..LINES).map(line).collect()
    }

    fn loki_body(&self, batch: u64) -> String {
        let value = |(time, line): (u64, String)| format!("[\"{time}\",\"{line}\"]");
        let values: Vec<String> = self.lines(batch).into_iter().map(value).collect();
        let (name, values) = (self.name(), values.join(","));
        format!(r#"{{"streams":[{{"stream":{{"tag":"{name}"}},"values":[{values}]}}]}}"#)
    }

    fn fluent_message(&self, batch: u64) -> Vec<u8> {
        let mut writer = MsgpackWriter::default();
        writer.array(3).text(self.name().as_bytes()).array(LINES);
        for (time, line) in self.lines(batch) {
            let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
            let time =
                [&b"\xd7\x00"[..], &(seconds as u32).to_be_bytes(), &(nanos as u32).to_be_bytes()];
            writer.array(2).raw(&time.concat()).map(1).text(b"log").text(line.as_bytes());
        }
        writer.map(1).text(b"chunk").text(chunk(batch).as_bytes());
        writer.into_bytes()
    }

    /// Sends batches until the server is gone, first the one whose answer was missed.
    fn write(&self, http: SocketAddr, fluent: &str, stop: &AtomicBool) {
        let Some(mut sender) = Sender::open(self.by, http, fluent) else { return };
        while !stop.load(Relaxed) {
            let missed = self.missed.lock().unwrap().take();
            let batch = missed.unwrap_or_else(|| self.next.fetch_add(1, Relaxed));
            self.repeats.fetch_add(u64::from(missed.is_some()), Relaxed);
            let is_acknowledged = match &mut sender {
                Sender::Loki(all) => push(all, &self.loki_body(batch)),
                Sender::Fluent(stream) => {
                    forward(stream, &self.fluent_message(batch), &chunk(batch))
                }
            };
            if is_acknowledged {
                self.acknowledged.lock().unwrap().insert(batch);
            } else {
                // Every fourth is given up.
                *self.missed.lock().unwrap() = (!batch.is_multiple_of(4)).then_some(batch);
                return;
            }
        }
    }

    fn check(&self, server: &Server, cycle: usize) -> usize {
        let sent = self.next.load(Relaxed);
        let (start, end) = (self.start_ns, self.start_ns + (sent + 1) * 1_000_000);
        let path = format!(
            "/loki/api/v1/query_range?query={}&start={start}&end={end}&limit=10000000&direction=forward",
            encoded(&format!("{{tag=\"{}\"}}", self.name()))
        );
        let answer = ask(server.address, &path);
        let mut found: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
        for stream in answer["data"]["result"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                let time: u64 = value[0].as_str().unwrap().parse().unwrap();
                let line = value[1].as_str().unwrap().to_owned();
                found.entry((time - start) / 1_000_000).or_default().push((time, line));
            }
        }
        let acknowledged = self.acknowledged.lock().unwrap();
        for (batch, lines) in &mut found {
            lines.sort();
            assert!(*batch < sent, "cycle {cycle}: batch {batch} was never sent");
            assert_eq!(*lines, self.lines(*batch), "cycle {cycle}, {:?}: batch {batch}", self.by);
        }
        let lost: Vec<&u64> =
            acknowledged.iter().filter(|batch| !found.contains_key(batch)).collect();
        assert!(lost.is_empty(), "cycle {cycle}: {} acknowledged lost: {lost:?}", lost.len());
        acknowledged.len()
    }
}

fn chunk(batch: u64) -> String {
    format!("chunk{batch:010}")
}

enum Sender {
    Loki(Vec<Connection>),
    Fluent(TcpStream),
}

impl Sender {
    fn open(by: By, http: SocketAddr, fluent: &str) -> Option<Self> {
        let connections = |count: usize| (0..count).map(|_| Connection::try_open(http).ok());
        match by {
            By::Loki => connections(1).collect::<Option<_>>().map(Self::Loki),
            By::LokiTwice => connections(2).collect::<Option<_>>().map(Self::Loki),
            By::Fluent => {
                let stream = TcpStream::connect(fluent).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
                Some(Self::Fluent(stream))
            }
        }
    }
}

/// Pushes the same on all connections at once; whether one of them was answered with a success.
fn push(connections: &mut [Connection], body: &str) -> bool {
    let length = body.len();
    let request = format!(
        "POST /loki/api/v1/push HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let sent: Vec<bool> =
        connections.iter_mut().map(|one| one.write(request.as_bytes()).is_ok()).collect();
    let mut is_acknowledged = false;
    for (connection, _) in connections.iter_mut().zip(sent).filter(|(_, sent)| *sent) {
        let Ok(reply) = connection.read_reply() else { continue };
        assert_eq!(reply.status, 204, "{}", reply.text());
        is_acknowledged = true;
    }
    is_acknowledged
}

/// Sends a message; whether it was acknowledged.
fn forward(stream: &mut TcpStream, message: &[u8], chunk: &str) -> bool {
    let mut expected = MsgpackWriter::default();
    expected.map(1).text(b"ack").text(chunk.as_bytes());
    let expected = expected.into_bytes();
    let mut answer = vec![0; expected.len()];
    if stream.write_all(message).is_err() || stream.read_exact(&mut answer).is_err() {
        return false;
    }
    assert_eq!(answer, expected);
    true
}

#[derive(Default)]
struct Totals {
    batches: usize,
    repeats: u64,
    slowest_start: Duration,
}

#[test]
fn acknowledged_lines_survive_kills_and_count_once() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let cycles = kills::cycles(6);
    let mut totals = Totals::default();
    for first in (0..cycles).step_by(CYCLES_PER_FOLDER) {
        life_of_a_folder(CYCLES_PER_FOLDER.min(cycles - first), &random, &mut totals);
    }
    let Totals { batches, repeats, slowest_start } = totals;
    assert!(batches > cycles * 10, "only {batches} batches: the test did not load it");
    say(&format!(
        "logs ledger: SEED={seed}, {cycles} kills under load of {} writers, {} acknowledged lines, 0 \
         lost, 0 doubled, {repeats} batches sent again, ready again after {} ms at most",
        WRITERS.len(),
        batches * LINES,
        slowest_start.as_millis()
    ));
}

fn life_of_a_folder(cycles: usize, random: &SeededRandom, totals: &mut Totals) {
    let folder = Folder::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let start_ns = (now - 3_600) * 1_000_000_000;
    let ledgers: Vec<Ledger> =
        (0..WRITERS.len()).map(|number| Ledger::new(number, start_ns)).collect();
    for cycle in 0..=cycles {
        let fluent = free_address();
        let listens = format!("fluent.address={fluent}");
        let settings = [&SETTINGS[..], &["--set", &listens]].concat();
        let started = Instant::now();
        let server = Server::start_with(folder.path(), &settings);
        assert_eq!(server.get("/ready").status, 200);
        totals.slowest_start = totals.slowest_start.max(started.elapsed());
        let batches: usize = ledgers.iter().map(|ledger| ledger.check(&server, cycle)).sum();
        if cycle < cycles {
            let http = server.address;
            let write = |writer: usize, stop: &AtomicBool| {
                ledgers[writer].write(http, &fluent, stop);
            };
            kills::load_and_kill(server, random, WRITERS.len(), write);
        } else {
            totals.batches += batches;
        }
    }
    totals.repeats += ledgers.iter().map(|ledger| ledger.repeats.load(Relaxed)).sum::<u64>();
}
