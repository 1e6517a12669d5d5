//! Loads that no sensible sender makes: many streams, a line with many fields, a field with many values.
//!
//!     cargo run --release &                  # a server on an empty folder; PID is its number
//!     cargo bench -p benches --bench logs_extremes -- 127.0.0.1:9640 PID streams 100000
//!     cargo bench -p benches --bench logs_extremes -- 127.0.0.1:9640 PID values 10000000
//!
//! For `fields 5000` the server needs `--set logs.max_structured_metadata_entries_count=5000` and
//! `--set logs.max_structured_metadata_size=1MiB`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a client of the real server, on the real machine"
)]

mod client;

use client::{Client, count, encoded, now_ns};
use std::fmt::Write as _;
use std::time::Instant;

const PUSH: &str = "POST /loki/api/v1/push";
const SECOND: u64 = 1_000_000_000;

struct Bench {
    client: Client,
    pid: String,
    /// The time of the first line.
    start: u64,
}

impl Bench {
    fn push(&mut self, streams: &str) -> bool {
        let body = format!("{{\"streams\":[{streams}]}}");
        loop {
            let (status, answer) = self.client.send(PUSH, body.as_bytes());
            match status {
                204 => return true,
                // A head is full and being written: what any agent does.
                503 => std::thread::sleep(std::time::Duration::from_millis(100)),
                _ => {
                    println!("refused with {status}: {}", answer.trim_end());
                    return false;
                }
            }
        }
    }

    fn peak(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.expect("the server runs on this machine");
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
        let kib: u64 = line.split_whitespace().nth(1).map_or(0, |text| text.parse().unwrap_or(0));
        format!("peak {} MiB", kib >> 10)
    }

    fn written(&mut self, lines: u64, started: Instant) {
        let rate = lines as f64 / started.elapsed().as_secs_f64();
        println!("{lines} lines pushed, {rate:.0} a second, {}", self.peak());
    }

    fn timed(&mut self, what: &str, path: &str) -> String {
        let times = (0..5).map(|_| {
            let started = Instant::now();
            let (status, answer) = self.client.send(&format!("GET {path}"), b"");
            (started.elapsed(), status, answer)
        });
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        let (took, status, answer) = times.swap_remove(2);
        println!("{what}: {status}, {} bytes, median of 5 {took:?}, {}", answer.len(), self.peak());
        answer
    }

    fn flush(&mut self) {
        for work in ["flush", "merge"] {
            let started = Instant::now();
            let (status, answer) = self.client.send(&format!("POST /-/{work}"), b"");
            println!("{work}: {status} after {:?}, {} {answer}", started.elapsed(), self.peak());
        }
    }

    fn range(&self) -> String {
        format!("start={}&end={}", self.start - SECOND, now_ns() + 600 * SECOND)
    }
}

fn streams(bench: &mut Bench, total: u64) {
    const OF_PUSH: u64 = 500;
    let started = Instant::now();
    for first in (0..total).step_by(OF_PUSH as usize) {
        let mut streams = String::new();
        for stream in first..(first + OF_PUSH).min(total) {
            let comma = if stream == first { "" } else { "," };
            let _ = write!(
                streams,
                "{comma}{{\"stream\":{{\"app\":\"many\",\"pod\":\"pod-{stream}\"}},\"values\":["
            );
            for line in 0..10 {
                let comma = if line == 0 { "" } else { "," };
                let time = bench.start + line * SECOND + stream;
                let _ =
                    write!(streams, "{comma}[\"{time}\",\"level=info line={line} of={stream}\"]");
            }
            streams.push_str("]}");
        }
        if !bench.push(&streams) {
            break;
        }
    }
    bench.written(total * 10, started);
    for state in ["in memory", "in parts"] {
        let range = bench.range();
        println!("— {state}");
        bench.timed("labels", &format!("/loki/api/v1/labels?{range}"));
        bench.timed("values of pod", &format!("/loki/api/v1/label/pod/values?{range}"));
        let one = encoded("{pod=\"pod-77\"}");
        bench.timed("series of one pod", &format!("/loki/api/v1/series?match[]={one}&{range}"));
        let all = encoded("{app=\"many\"}");
        bench.timed("series of all", &format!("/loki/api/v1/series?match[]={all}&{range}"));
        bench.timed("lines of one pod", &format!("/loki/api/v1/query_range?query={one}&{range}"));
        let stored = count(&mut bench.client, "sum(count_over_time({app=\"many\"}[6h]))");
        println!("{stored} lines stored");
        assert_eq!(stored, total * 10);
        if state == "in memory" {
            bench.flush();
        }
    }
}

fn values(bench: &mut Bench, total: u64) {
    const OF_PUSH: u64 = 10_000;
    let started = Instant::now();
    for first in (0..total).step_by(OF_PUSH as usize) {
        let mut streams = String::from("{\"stream\":{\"app\":\"values\"},\"values\":[");
        for line in first..(first + OF_PUSH).min(total) {
            let comma = if line == first { "" } else { "," };
            let value = line.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let time = bench.start + line * 1_000;
            let _ = write!(
                streams,
                "{comma}[\"{time}\",\"level=info request served\",{{\"request_id\":\"{value:016x}\"}}]"
            );
        }
        streams.push_str("]}");
        if !bench.push(&streams) {
            break;
        }
    }
    bench.written(total, started);
    bench.flush();
    let range = bench.range();
    let value = (total / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let one = encoded(&format!("{{app=\"values\"}} | request_id=\"{value:016x}\""));
    let found = bench
        .timed("the line of one value", &format!("/loki/api/v1/query_range?query={one}&{range}"));
    assert!(found.contains(&format!("{value:016x}")), "{found}");
    let all = encoded("{app=\"values\"}");
    let path =
        format!("/loki/api/v1/detected_field/request_id/values?query={all}&{range}&limit=10");
    bench.timed("values of the field", &path);
    let path = format!("/loki/api/v1/detected_fields?query={all}&{range}");
    bench.timed("detected fields", &path);
    bench.timed("labels", &format!("/loki/api/v1/labels?{range}"));
    let by = encoded("sum by (request_id) (count_over_time({app=\"values\"}[6h]))");
    let refused = bench.timed("a count for each value", &format!("/loki/api/v1/query?query={by}"));
    println!("{}", refused.chars().take(300).collect::<String>());
    let stored = count(&mut bench.client, "sum(count_over_time({app=\"values\"}[6h]))");
    println!("{stored} lines stored");
    assert_eq!(stored, total);
}

fn fields(bench: &mut Bench, total: u64) {
    let started = Instant::now();
    let mut streams = String::from("{\"stream\":{\"app\":\"wide\"},\"values\":[");
    for line in 0..10 {
        let comma = if line == 0 { "" } else { "," };
        let _ = write!(streams, "{comma}[\"{}\",\"wide line {line}\",{{", bench.start + line);
        for field in 0..total {
            let comma = if field == 0 { "" } else { "," };
            let _ = write!(streams, "{comma}\"field_{field}\":\"value {line} {field}\"");
        }
        streams.push_str("}]");
    }
    streams.push_str("]}");
    if !bench.push(&streams) {
        return;
    }
    bench.written(10, started);
    for state in ["in memory", "in parts"] {
        let range = bench.range();
        println!("— {state}");
        let last = total - 1;
        let one = encoded(&format!("{{app=\"wide\"}} | field_{last}=\"value 7 {last}\""));
        let path = format!("/loki/api/v1/query_range?query={one}&{range}");
        let found = bench.timed("the line of one value", &path);
        assert!(found.contains("wide line 7") && !found.contains("wide line 6"));
        if state == "in memory" {
            bench.flush();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|one| !one.starts_with("--")).collect();
    let [_, address, pid, what, total] = &*arguments else {
        println!("needs a running server: HOST:PORT PID streams|values|fields COUNT");
        return;
    };
    let start = now_ns() - 3_600 * SECOND;
    let mut bench = Bench { client: Client::open(address), pid: pid.clone(), start };
    let total = total.parse().expect("a number");
    match &**what {
        "streams" => streams(&mut bench, total),
        "values" => values(&mut bench, total),
        "fields" => fields(&mut bench, total),
        other => println!("there is no load {other}"),
    }
}
