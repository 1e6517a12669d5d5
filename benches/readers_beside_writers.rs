//! What heavy readers do to writers: 200 connections that write, first alone, then beside 50 that ask
//! heavy queries, and how long `/healthy` takes meanwhile.
//!
//!     cargo run --release &                  # a server with its default settings
//!     cargo bench -p benches --bench readers_beside_writers -- 127.0.0.1:9640 60
//!
//! The second argument is how many seconds each half takes.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a client of the real server, on the real machine"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WRITERS: usize = 200;
const READERS: usize = 50;
/// Series of each writer, and so samples of each request.
const SERIES: usize = 50;

const QUERIES: [&str; 4] = [
    "/api/v1/query_range?query=sum(rate(load[5m]))by(writer)&start={start}&end={end}&step=1",
    "/api/v1/query_range?query=load&start={start}&end={end}&step=2",
    "/api/v1/query?query=topk(10,max_over_time(rate(load[1m])[10m:5s]))&time={end}",
    "/api/v1/query_range?query=load*on(writer,i)load&start={start}&end={end}&step=5",
];

struct Client(BufReader<TcpStream>);

impl Client {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status of the answer, whose body is read and forgotten.
    fn send(&mut self, head: &str, body: &[u8]) -> u16 {
        let length = body.len();
        let head = format!("{head} HTTP/1.1\r\nhost: bench\r\ncontent-length: {length}\r\n\r\n");
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
            }
        }
        std::io::copy(&mut Read::by_ref(&mut self.0).take(length), &mut std::io::sink()).unwrap();
        status
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A request of remote write with one sample for each series of a writer.
fn request(writer: usize, value: f64) -> Vec<u8> {
    let mut message = Vec::new();
    for index in 0..SERIES {
        let mut series = Vec::new();
        let (index, writer) = (index.to_string(), writer.to_string());
        for (name, value) in [("__name__", "load"), ("i", &*index), ("writer", &*writer)] {
            let mut label = Vec::new();
            field(1, name.as_bytes(), &mut label);
            field(2, value.as_bytes(), &mut label);
            field(1, &label, &mut series);
        }
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(2 << 3);
        varint(now_ms(), &mut sample);
        field(2, &sample, &mut series);
        field(1, &series, &mut message);
    }
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

fn write_until(stop: &AtomicBool, address: &str, writer: usize) -> Vec<Duration> {
    let mut client = Client::open(address);
    let mut took = Vec::new();
    while !stop.load(Relaxed) {
        let body = request(writer, took.len() as f64);
        let started = Instant::now();
        let status = client.send("POST /api/v1/write", &body);
        assert_eq!(status, 204, "a write was refused");
        took.push(started.elapsed());
    }
    took
}

fn read_until(stop: &AtomicBool, address: &str, reader: usize) -> (usize, usize) {
    let mut client = Client::open(address);
    let (mut answered, mut refused) = (0, 0);
    while !stop.load(Relaxed) {
        let end = now_ms() / 1_000;
        let query = QUERIES[reader % QUERIES.len()];
        let query = query.replace("{start}", &(end - 900).to_string());
        match client.send(&format!("GET {}", query.replace("{end}", &end.to_string())), b"") {
            200 => answered += 1,
            _ => refused += 1,
        }
    }
    (answered, refused)
}

fn ask_health_until(stop: &AtomicBool, address: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    while !stop.load(Relaxed) {
        let started = Instant::now();
        assert_eq!(Client::open(address).send("GET /healthy", b""), 200);
        took.push(started.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    took
}

fn report(what: &str, mut took: Vec<Duration>, seconds: u64) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let rate = took.len() as u64 / seconds;
    println!(
        "{what}: {rate} a second, median {:?}, p99 {:?}, slowest {:?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn half(address: &str, seconds: u64, readers: usize) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let writers: Vec<_> =
            (0..WRITERS).map(|one| scope.spawn(move || write_until(stop, address, one))).collect();
        let readers: Vec<_> =
            (0..readers).map(|one| scope.spawn(move || read_until(stop, address, one))).collect();
        let health = scope.spawn(move || ask_health_until(stop, address));
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Relaxed);
        let writes = writers.into_iter().flat_map(|one| one.join().unwrap()).collect();
        report("writes", writes, seconds);
        report("/healthy", health.join().unwrap(), seconds);
        let read: Vec<_> = readers.into_iter().map(|one| one.join().unwrap()).collect();
        let (answered, refused) =
            read.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        println!("queries: {answered} answered, {refused} refused");
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|one| !one.starts_with("--")).collect();
    let [_, address, seconds] = &*arguments else {
        println!("needs a running server: HOST:PORT SECONDS");
        return;
    };
    let seconds = seconds.parse().unwrap();
    println!("{WRITERS} writers alone");
    half(address, seconds, 0);
    println!("{WRITERS} writers beside {READERS} readers");
    half(address, seconds, READERS);
}
