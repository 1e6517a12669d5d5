//! The central guarantee: a success answer means that the data is there after `kill -9`.
//!
//! Writers note every record before they send it, and every acknowledgement. The server is killed
//! at a random moment and started again. It must then have each acknowledged record, unchanged, and
//! none that was never sent. Flushes and merges run all the time.

use crate::client::Connection;
use crate::support::{Folder, Server, say};
use platform::sim::test_seed;
use platform::{Random, SeededRandom};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WRITERS: usize = 8;

/// Fifty unless the environment sets another number.
fn cycles() -> usize {
    std::env::var("LEDGER_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

#[derive(Default)]
struct Ledger {
    next_id: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
}

impl Ledger {
    fn text_of(id: u64) -> String {
        format!("{id} record {:x}", id.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Sends batches until the server is gone.
    fn write(&self, address: SocketAddr, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::try_open(address) else { return };
        while !stop.load(Relaxed) {
            let ids: Vec<u64> = (0..5).map(|_| self.next_id.fetch_add(1, Relaxed)).collect();
            let body: String = ids.iter().map(|id| Self::text_of(*id) + "\n").collect();
            match connection.try_send("POST", "/-/probe", &[], body.as_bytes()) {
                Ok(reply) if reply.status == 204 => {
                    self.acknowledged.lock().unwrap().extend(ids);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// The stored records must include all that were acknowledged, and none that was never sent.
    fn check(&self, server: &Server, cycle: usize) {
        let reply = server.get("/-/probe");
        let sent = self.next_id.load(Relaxed);
        let mut stored = BTreeSet::new();
        for line in reply.text().lines() {
            let id: u64 = line.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(line, Self::text_of(id), "a record came back changed");
            assert!(id < sent, "cycle {cycle}: record {id} was never sent");
            assert!(stored.insert(id), "cycle {cycle}: record {id} came back twice");
        }
        let acknowledged = self.acknowledged.lock().unwrap();
        let lost: Vec<&u64> = acknowledged.difference(&stored).collect();
        assert!(
            lost.is_empty(),
            "cycle {cycle}: {} acknowledged records lost: {lost:?}",
            lost.len()
        );
    }
}

/// How many cycles use one data folder: with more, checking would take longer than writing.
const CYCLES_PER_FOLDER: usize = 25;

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let random = SeededRandom::new(test_seed());
    let total = cycles();
    let (mut acknowledged, mut slowest_start) = (0, Duration::ZERO);
    for first in (0..total).step_by(CYCLES_PER_FOLDER) {
        let count = CYCLES_PER_FOLDER.min(total - first);
        let (records, slowest) = life_of_a_folder(count, &random);
        acknowledged += records;
        slowest_start = slowest_start.max(slowest);
    }
    assert!(acknowledged > total * 10, "only {acknowledged} records: the test did not load it");
    say(&format!(
        "kill ledger: {total} cycles, {acknowledged} acknowledged records, 0 lost, 0 failed starts, \
         slowest start {} ms",
        slowest_start.as_millis()
    ));
}

/// Returns how many records were acknowledged, and the slowest start.
fn life_of_a_folder(cycles: usize, random: &SeededRandom) -> (usize, Duration) {
    let folder = Folder::new();
    let ledger = Arc::new(Ledger::default());
    let settings = ["--set", "wal.segment_size=1MiB", "--set", "storage.flush_interval=1s"];
    let mut slowest_start = Duration::ZERO;
    for cycle in 0..cycles {
        let started = Instant::now();
        let server = Server::start_with(folder.path(), &settings);
        slowest_start = slowest_start.max(started.elapsed());
        ledger.check(&server, cycle);
        load_and_kill(server, &ledger, random);
    }
    let server = Server::start_with(folder.path(), &settings);
    ledger.check(&server, cycles);
    let acknowledged = ledger.acknowledged.lock().unwrap().len();
    (acknowledged, slowest_start)
}

fn load_and_kill(server: Server, ledger: &Arc<Ledger>, random: &SeededRandom) {
    let stop = Arc::new(AtomicBool::new(false));
    let address = server.address;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (ledger, stop) = (Arc::clone(ledger), Arc::clone(&stop));
            std::thread::spawn(move || ledger.write(address, &stop))
        })
        .collect();
    let path = ["/-/flush", "/-/merge"][random.below(2) as usize];
    let upkeep = std::thread::spawn(move || {
        // On a busy machine the server may be killed before this connects.
        let Ok(mut connection) = Connection::try_open(address) else { return };
        while connection.try_send("POST", path, &[], b"").is_ok() {}
    });
    std::thread::sleep(Duration::from_millis(20 + random.below(400)));
    server.kill();
    stop.store(true, Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    upkeep.join().unwrap();
}
