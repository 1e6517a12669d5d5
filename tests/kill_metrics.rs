//! The kill ledger for remote write: several connections send samples, the server is killed, and
//! after the restart every acknowledged sample must be there with its exact value, and none that
//! was never sent.

use crate::client::Connection;
use crate::kills;
use crate::remote_write::{HEADERS, Series, request, snappy};
use crate::support::{Folder, Server, ask, encoded, say};
use platform::SeededRandom;
use platform::sim::test_seed;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 6;
pub(crate) const SERIES: usize = 20;
/// Seconds; each request is one second later than the one before it.
const START: i64 = 1_700_000_000;

const SETTINGS: [&str; 6] = [
    "--set",
    "retention.metrics=0s",
    "--set",
    "storage.flush_interval=1s",
    "--set",
    "wal.segment_size=1MiB",
];

/// What one writer sent: the last time, and each acknowledged time.
#[derive(Default)]
pub(crate) struct Ledger {
    next: AtomicI64,
    pub(crate) acknowledged: Mutex<Vec<i64>>,
}

/// The value of a series' sample at a time: mostly a number with all its digits.
fn value_of(writer: usize, series: usize, time: i64) -> f64 {
    let mixed = (time as u64 ^ (writer as u64) << 40 ^ (series as u64) << 50)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    match mixed % 64 {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => -0.0,
        3 => f64::NAN,
        4 => f64::MIN_POSITIVE,
        _ => mixed as f64 / 1e9,
    }
}

fn batch(writer: usize, time: i64) -> Vec<Series> {
    let one = |series: usize| {
        let (writer_name, name) = (writer.to_string(), series.to_string());
        let labels = [("__name__", "ledger"), ("writer", &*writer_name), ("series", &*name)];
        Series::new(&labels).sample(time * 1_000, value_of(writer, series, time))
    };
    (0..SERIES).map(one).collect()
}

impl Ledger {
    /// Sends batches until the server is gone.
    pub(crate) fn write(&self, writer: usize, address: SocketAddr, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::try_open(address) else { return };
        while !stop.load(Relaxed) {
            let time = START + self.next.fetch_add(1, Relaxed);
            let body = snappy(&request(&batch(writer, time)));
            match connection.try_send("POST", "/api/v1/write", &HEADERS, &body) {
                Ok(reply) if reply.status == 204 => self.acknowledged.lock().unwrap().push(time),
                Ok(reply) => panic!("{}: {}", reply.status, reply.text()),
                Err(_) => return,
            }
        }
    }

    pub(crate) fn check(&self, server: &Server, writer: usize, cycle: usize) {
        let end = START + self.next.load(Relaxed);
        let query = format!("ledger{{writer=\"{writer}\"}}[{}s]", end - START + 1);
        let path = format!("/api/v1/query?query={}&time={end}", encoded(&query));
        let answer = ask(server.address, &path);
        let acknowledged = self.acknowledged.lock().unwrap();
        let mut seen = 0;
        for series in answer["data"]["result"].as_array().unwrap() {
            let number: usize = series["metric"]["series"].as_str().unwrap().parse().unwrap();
            let stored = stored_samples(series);
            for (time, value) in &stored {
                assert!((START..end).contains(time), "cycle {cycle}: {time} was never sent");
                let sent = value_of(writer, number, *time);
                let same = value.to_bits() == sent.to_bits() || (value.is_nan() && sent.is_nan());
                assert!(same, "cycle {cycle}: {sent} of {time} came back as {value}");
            }
            let lost: Vec<&i64> =
                acknowledged.iter().filter(|time| !stored.contains_key(time)).collect();
            assert!(lost.is_empty(), "cycle {cycle}: {} acknowledged lost: {lost:?}", lost.len());
            seen += 1;
        }
        assert_eq!(seen, if acknowledged.is_empty() { seen } else { SERIES }, "cycle {cycle}");
    }
}

/// Seconds and values; panics if a time occurs twice.
fn stored_samples(series: &serde_json::Value) -> BTreeMap<i64, f64> {
    let mut stored = BTreeMap::new();
    for point in series["values"].as_array().unwrap() {
        let time = point[0].as_f64().unwrap() as i64;
        let value = point[1].as_str().unwrap().parse().unwrap();
        assert!(stored.insert(time, value).is_none(), "{time} is there twice");
    }
    stored
}

#[test]
fn acknowledged_samples_survive_kills() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let cycles = kills::cycles(8);
    let folder = Folder::new();
    let ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    let mut slowest = Duration::ZERO;
    for cycle in 0..=cycles {
        let started = Instant::now();
        let server = Server::start_with(folder.path(), &SETTINGS);
        assert_eq!(server.get("/ready").status, 200);
        slowest = slowest.max(started.elapsed());
        for (writer, ledger) in ledgers.iter().enumerate() {
            ledger.check(&server, writer, cycle);
        }
        if cycle < cycles {
            let address = server.address;
            let write = |writer: usize, stop: &AtomicBool| {
                ledgers[writer].write(writer, address, stop);
            };
            kills::load_and_kill(server, &random, WRITERS, write);
        }
    }
    let batches: usize = ledgers.iter().map(|one| one.acknowledged.lock().unwrap().len()).sum();
    assert!(batches > cycles * 10, "only {batches} batches: the test did not load it");
    say(&format!(
        "metrics ledger: SEED={seed}, {cycles} kills under load of {WRITERS} connections, {} \
         acknowledged samples, 0 lost, ready again after {} ms at most",
        batches * SERIES,
        slowest.as_millis()
    ));
}
