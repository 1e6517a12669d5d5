//! Syslog over UDP at a steady rate: every line that was sent is stored or counted as dropped.
//!
//!     cargo run --release -- --set syslog.udp_address=127.0.0.1:5140 &
//!     cargo bench -p benches --bench syslog_udp -- 127.0.0.1:9640 127.0.0.1:5140 50000 20
//!
//! The third argument is how many lines a second are sent, the fourth for how many seconds.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a client of the real server, on the real machine"
)]

mod client;

use client::{Client, count, metric, now_ns};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// How often the sender catches up with its rate.
const STEP: Duration = Duration::from_millis(1);

fn send(target: &str, app: &str, rate: u64, seconds: u64) -> (u64, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(target).expect("a socket");
    let started = Instant::now();
    let (mut sent, total) = (0, rate * seconds);
    while sent < total {
        let due = (started.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        while sent < due.min(total) {
            let line = format!(
                "<{}>1 - web{} {app} {} m{} - GET /api/items/{} 200 took {} ms",
                8 + sent % 8,
                sent % 20,
                1_000 + sent % 7,
                sent % 3,
                sent.wrapping_mul(2_654_435_761) % 100_000,
                sent % 977
            );
            socket.send(line.as_bytes()).expect("it is sent");
            sent += 1;
        }
        std::thread::sleep(STEP);
    }
    (sent, started.elapsed())
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|one| !one.starts_with("--")).collect();
    let [_, address, target, rate, seconds] = &*arguments else {
        println!("needs a running server: HOST:PORT UDP_HOST:PORT RATE SECONDS");
        return;
    };
    let (rate, seconds) = (rate.parse().expect("a number"), seconds.parse().expect("a number"));
    let mut client = Client::open(address);
    let dropped = |client: &mut Client, reason: &str| {
        metric(client, &format!("mirador_syslog_dropped_total{{reason=\"{reason}"))
    };
    let reasons = ["kernel", "queue", "store"];
    let before = reasons.map(|reason| dropped(&mut client, reason));
    let cpu = metric(&mut client, "process_cpu_seconds_total");
    let app = format!("udp{}", now_ns());
    let (sent, took) = send(target, &app, rate, seconds);
    // The kernel is asked once a second.
    std::thread::sleep(Duration::from_secs(3));
    let query = format!("sum(count_over_time({{service_name=\"{app}\"}}[1h]))");
    let stored = count(&mut client, &query);
    let mut lost = 0;
    for (reason, before) in reasons.into_iter().zip(before) {
        let count = (dropped(&mut client, reason) - before) as u64;
        println!("dropped, {reason}: {count}");
        lost += count;
    }
    let cpu = metric(&mut client, "process_cpu_seconds_total") - cpu;
    let reached = sent as f64 / took.as_secs_f64();
    println!("{sent} sent at {reached:.0} a second, {stored} stored, {lost} dropped");
    println!("{:.2} µs of the server's processor time a line", cpu * 1e6 / sent as f64);
    assert_eq!(stored + lost, sent, "each line is stored or counted");
}
