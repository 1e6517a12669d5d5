//! How soon a line is found: by the next query after its acknowledgement, and by a tail that runs.
//!
//!     cargo run --release &                  # a server with its default settings
//!     cargo bench -p benches --bench logs_visible -- 127.0.0.1:9640 2000 4
//!
//! The second argument is how many lines are looked for, the third how many connections push batches of
//! a thousand lines meanwhile.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a client of the real server, on the real machine"
)]

mod client;

use client::{Client, encoded, now_ns};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const PUSH: &str = "POST /loki/api/v1/push";

fn body(app: &str, lines: impl Iterator<Item = (u64, String)>) -> String {
    let values: Vec<String> =
        lines.map(|(time, line)| format!("[\"{time}\",\"{line}\"]")).collect();
    let values = values.join(",");
    format!(r#"{{"streams":[{{"stream":{{"app":"{app}"}},"values":[{values}]}}]}}"#)
}

fn push_until(stop: &AtomicBool, pushed: &AtomicU64, address: &str, writer: usize) {
    let mut client = Client::open(address);
    while !stop.load(Relaxed) {
        let lines = (0..1_000).map(|index| {
            (now_ns() + index, format!("level=info writer={writer} index={index} took=12ms"))
        });
        let (status, answer) = client.send(PUSH, body("beside", lines).as_bytes());
        assert_eq!(status, 204, "{answer}");
        pushed.fetch_add(1_000, Relaxed);
    }
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:?}, p99 {:?}, slowest {:?}", at(0.5), at(0.99), at(1.0));
}

fn look(address: &str, count: usize) {
    let (mut pusher, mut reader) = (Client::open(address), Client::open(address));
    let (seen, arrivals) = channel();
    let run = now_ns();
    let app = format!("visible{run}");
    let query = encoded(&format!("{{app=\"{app}\"}}"));
    let mut tail = Client::open(address).follow(&format!("/loki/api/v1/tail?query={query}"));
    std::thread::spawn(move || {
        loop {
            let frame = tail.frame();
            if seen.send((Instant::now(), frame)).is_err() {
                return;
            }
        }
    });
    let (mut pushes, mut queries, mut follows) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let line = format!("line {number}.");
        let body = body(&app, [(now_ns(), line.clone())].into_iter());
        let started = Instant::now();
        let (status, answer) = pusher.send(PUSH, body.as_bytes());
        assert_eq!(status, 204, "{answer}");
        let acknowledged = Instant::now();
        let found = reader.get(&format!("/loki/api/v1/query_range?query={query}&limit=1"));
        let answered = Instant::now();
        assert!(found.contains(&line), "the next query does not find {line:?}: {found}");
        let arrived = loop {
            let wait = Duration::from_secs(10);
            let (arrived, frame) = arrivals.recv_timeout(wait).expect("the tail has the line");
            if frame.contains(&line) {
                break arrived;
            }
        };
        pushes.push(acknowledged - started);
        queries.push(answered - acknowledged);
        follows.push(arrived.saturating_duration_since(acknowledged));
    }
    report("from the push to its acknowledgement", pushes);
    report("from the acknowledgement to the answer of the next query, which has the line", queries);
    report("from the acknowledgement to the tail's line", follows);
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|one| !one.starts_with("--")).collect();
    let [_, address, count, writers] = &*arguments else {
        println!("needs a running server: HOST:PORT LINES WRITERS");
        return;
    };
    let (count, writers) = (count.parse().expect("a number"), writers.parse().expect("a number"));
    println!("alone");
    look(address, count);
    let (stop, pushed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (stop, pushed) = (&stop, &pushed);
            scope.spawn(move || push_until(stop, pushed, address, writer));
        }
        let started = Instant::now();
        println!("beside {writers} writers");
        look(address, count);
        let rate = pushed.load(Relaxed) as f64 / started.elapsed().as_secs_f64();
        println!("{rate:.0} lines a second beside it");
        stop.store(true, Relaxed);
    });
}
