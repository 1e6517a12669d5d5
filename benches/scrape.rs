//! One exporter that answers for many targets, and what the servers beside it spend on scraping them.
//!
//!     zstd -dc metrics.zst > recording.txt
//!     cargo bench -p benches --bench scrape -- 127.0.0.1:9800 5000 recording.txt FOLDER 1800 gzip 0
//!     mirador serve --data DATA --prometheus-config FOLDER/prometheus.yml &
//!     prometheus --storage.tsdb.path OTHER --config.file FOLDER/prometheus.yml --web.listen-address 127.0.0.1:9091 &
//!
//! A line of the recording is `job<TAB>series<TAB>value value …`, one value a page, the pages 3 s apart. The
//! fifth argument is for how many seconds to answer, the sixth what pages are compressed with for
//! those who take it: `gzip` or `identity`, the seventh how many groups of ten rules the configuration has. Every minute it prints, for each process that
//! `FOLDER/pids` names (one `NAME PID` a line, read each time; NAME as its User-Agent begins), its
//! processor time for each sample that it was sent, and its memory.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an exporter on the real machine, beside real servers"
)]

use flate2::{Compression, write::GzEncoder};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const INTERVAL_SECONDS: u64 = 15;
/// Pages of the recording between two scrapes.
const STRIDE: u64 = 5;
/// The kernel counts processor time in hundredths of a second.
const TICK_SECONDS: f64 = 0.01;

struct Pages {
    plain: Vec<Vec<u8>>,
    packed: Vec<Vec<u8>>,
    samples: u64,
}

/// How many samples each kind of client was sent.
type Sent = Arc<Mutex<HashMap<String, u64>>>;

fn pages(recording: &str, is_packed: bool) -> Pages {
    let rows: Vec<(&str, Vec<&str>)> = recording
        .lines()
        .map(|line| {
            let mut columns = line.splitn(3, '\t').skip(1);
            let series = columns.next().expect("a series");
            (series, columns.next().expect("values").split(' ').collect())
        })
        .collect();
    let count = rows.iter().map(|(_, values)| values.len()).min().expect("a recording");
    let plain: Vec<Vec<u8>> = (0..count).map(|at| page(&rows, at)).collect();
    let packed = if is_packed { plain.iter().map(|page| gzip(page)).collect() } else { Vec::new() };
    Pages { plain, packed, samples: rows.len() as u64 }
}

fn page(rows: &[(&str, Vec<&str>)], at: usize) -> Vec<u8> {
    let (mut text, mut before) = (String::new(), "");
    for (series, values) in rows {
        let metric = series.split('{').next().expect("a metric");
        if metric != before {
            let kind = if metric.ends_with("_total") { "counter" } else { "gauge" };
            let _ = write!(text, "# HELP {metric} What {metric} counts.\n# TYPE {metric} {kind}\n");
            before = metric;
        }
        let _ = writeln!(text, "{series} {}", values[at]);
    }
    text.into_bytes()
}

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(page).expect("it fits");
    packer.finish().expect("it fits")
}

/// Rules of one group, over the series of one host.
const RULES: [(&str, &str); 10] = [
    (
        "record: instance:cpu:rate1m",
        "sum without (cpu, mode) (rate(node_cpu_seconds_total{mode!=\"idle\",HOST}[1m]))",
    ),
    (
        "record: instance:cpu_by_mode:rate5m",
        "sum by (instance, mode) (rate(node_cpu_seconds_total{HOST}[5m]))",
    ),
    (
        "record: instance:memory_used:ratio",
        "1 - node_memory_MemAvailable_bytes{HOST} / node_memory_MemTotal_bytes{HOST}",
    ),
    (
        "record: instance:receive_bytes:rate1m",
        "sum without (device) (rate(node_network_receive_bytes_total{device!=\"lo\",HOST}[1m]))",
    ),
    ("record: instance:disk_read_bytes:rate1m", "rate(node_disk_read_bytes_total{HOST}[1m])"),
    ("record: instance:load1:max10m", "max_over_time(node_load1{HOST}[10m])"),
    (
        "alert: MemoryLow",
        "node_memory_MemAvailable_bytes{HOST} / node_memory_MemTotal_bytes{HOST} < 0.02",
    ),
    ("alert: DiskWillFill", "predict_linear(node_filesystem_avail_bytes{HOST}[30m], 4 * 3600) < 0"),
    ("alert: LoadHigh", "node_load1{HOST} > 0"),
    ("alert: CollectorFailed", "node_scrape_collector_success{HOST} == 0"),
];

fn write_rules(folder: &str, groups: u64, targets: u64) {
    let mut text = String::from("groups:\n");
    for group in 0..groups {
        let _ = write!(text, "  - name: group-{group}\n    rules:\n");
        let host = format!("instance=\"host-{}:9100\"", group % targets);
        for (name, query) in RULES {
            let query = query.replace("HOST", &host);
            let _ = write!(text, "      - {name}\n        expr: '{query}'\n");
            if name.starts_with("alert") {
                text.push_str("        for: 1m\n        labels: {severity: warning}\n");
            } else {
                let _ = writeln!(text, "        labels: {{rules: \"{group}\"}}");
            }
        }
    }
    std::fs::write(format!("{folder}/rules.yml"), text).expect("it is written");
}

fn write_configuration(folder: &str, address: &str, targets: u64) {
    let groups: Vec<String> = (0..targets)
        .map(|at| {
            format!(
                r#"{{"targets":["{address}"],"labels":{{"instance":"host-{at}:9100","__metrics_path__":"/metrics/{at}"}}}}"#
            )
        })
        .collect();
    std::fs::create_dir_all(folder).expect("a folder");
    let list = format!("[{}]", groups.join(",\n"));
    std::fs::write(format!("{folder}/targets.json"), list).expect("it is written");
    let configuration = format!(
        "global:\n  scrape_interval: {INTERVAL_SECONDS}s\n  evaluation_interval: {INTERVAL_SECONDS}s\nscrape_configs:\n  - job_name: node\n    \
         file_sd_configs:\n      - files: [targets.json]\nrule_files: [rules.yml]\n"
    );
    std::fs::write(format!("{folder}/prometheus.yml"), configuration).expect("it is written");
}

/// Answers the requests of one connection. Every target walks the recording from a place of its own.
fn answer(stream: TcpStream, pages: &Pages, sent: &Sent) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default();
        let target: u64 = path.rsplit('/').next().and_then(|at| at.parse().ok()).unwrap_or(0);
        let (mut takes_gzip, mut agent) = (false, String::new());
        loop {
            line.clear();
            input.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "accept-encoding" => takes_gzip = value.contains("gzip"),
                "user-agent" => agent = value.split('/').next().unwrap_or_default().to_lowercase(),
                _ => {}
            }
        }
        let turn =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_secs() / INTERVAL_SECONDS;
        let at = (target * 7919 + turn * STRIDE) as usize % pages.plain.len();
        let packed = pages.packed.get(at).filter(|_| takes_gzip);
        let (encoding, body) = match packed {
            Some(packed) => ("content-encoding: gzip\r\n", packed),
            None => ("", &pages.plain[at]),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n{encoding}\
             content-length: {length}\r\n\r\n"
        );
        out.write_all(&[head.as_bytes(), body].concat())?;
        *sent.lock().expect("no panic").entry(agent).or_default() += pages.samples;
    }
}

/// Seconds of processor time, and MiB of memory now and at most.
fn spent(pid: &str) -> Option<(f64, u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let size = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
    };
    Some((ticks * TICK_SECONDS, size("VmRSS:")?, size("VmHWM:")?))
}

fn tell(folder: &str, minute: u64, sent: &Sent, before: &mut HashMap<String, (f64, u64)>) {
    let pids = std::fs::read_to_string(format!("{folder}/pids")).unwrap_or_default();
    for (name, pid) in pids.lines().filter_map(|line| line.split_once(' ')) {
        let samples = sent.lock().expect("no panic").get(name).copied().unwrap_or_default();
        let Some((seconds, now, most)) = spent(pid.trim()) else { continue };
        let known = before.insert(name.to_owned(), (seconds, samples));
        let (seconds_then, samples_then) = known.unwrap_or((seconds, samples));
        let (seconds, samples) = (seconds - seconds_then, samples - samples_then);
        println!(
            "minute {minute}: {name}: {samples} samples, {seconds:.2} s, {:.3} µs a sample, {now} MiB \
             now, {most} MiB at most",
            seconds * 1e6 / samples.max(1) as f64
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|one| !one.starts_with("--")).collect();
    let [_, address, targets, recording, folder, seconds, encoding, groups] = &*arguments else {
        println!("needs: HOST:PORT TARGETS RECORDING FOLDER SECONDS gzip|identity GROUPS");
        return;
    };
    let mut text = String::new();
    let mut file = std::fs::File::open(recording).expect("the recording is there");
    file.read_to_string(&mut text).expect("the recording is text");
    let pages = Arc::new(pages(&text, encoding == "gzip"));
    let listener = TcpListener::bind(address).expect("the address is free");
    let targets = targets.parse().expect("a number");
    write_configuration(folder, address, targets);
    write_rules(folder, groups.parse().expect("a number"), targets);
    println!(
        "{} pages of {} samples, the first {} bytes plain; scrape with {folder}/prometheus.yml",
        pages.plain.len(),
        pages.samples,
        pages.plain[0].len()
    );
    let sent = Sent::default();
    let counted = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (pages, sent) = (Arc::clone(&pages), Arc::clone(&counted));
            // An error is a client that went away.
            std::thread::spawn(move || answer(stream, &pages, &sent).ok());
        }
    });
    let mut before = HashMap::new();
    for minute in 0..=seconds.parse::<u64>().expect("a number") / 60 {
        tell(folder, minute, &sent, &mut before);
        std::thread::sleep(Duration::from_secs(60));
    }
}
