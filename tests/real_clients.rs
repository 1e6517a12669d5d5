//! Clients of other projects, as their makers publish them: Debian's Prometheus as a sender and a
//! reader, OpenTelemetry's library with its four protocols, a remote-write package of npm, the
//! completion of Prometheus' own query field.
//!
//! Not here: the command-line tools of Prometheus and VictoriaMetrics (`tools`), clients that send logs
//! (`log_clients`).
//!
//! `tests/clients/install` installs the packages from the public registries; if that fails, the
//! test prints SKIPPED. Grafana and the OpenTelemetry Collector are in none of those registries:
//! Grafana's requests are replayed in `metrics`.

use crate::client::Connection;
use crate::prometheus::Prometheus;
use crate::remote_write::{self, Series, field, number};
use crate::support::{Folder, Server, ask, encoded, installed, root, run, skip, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn result(address: SocketAddr, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/query?query={}", encoded(query));
    ask(address, &path)["data"]["result"].as_array().unwrap().clone()
}

/// The value of the only series of an answer.
fn value(server: &Server, query: &str) -> f64 {
    let found = result(server.address, query);
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found[0]["value"][1].as_str().unwrap().parse().unwrap()
}

/// Installs packages. `None`, with a SKIPPED line, if that is not possible.
pub(crate) fn install(test: &str, kind: &'static str, program: &str) -> Option<PathBuf> {
    if !installed(program) {
        skip(test, &format!("there is no {program} on the PATH"));
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    match install_once(kind, &folder) {
        Ok(()) => Some(folder),
        Err(reason) => {
            skip(test, &format!("its packages could not be installed: {reason}"));
            None
        }
    }
}

/// Tries once for all tests, because without a network each of them would wait for the timeout.
fn install_once(kind: &'static str, folder: &Path) -> Result<(), String> {
    static OUTCOMES: Mutex<BTreeMap<&str, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let mut outcomes = OUTCOMES.lock().unwrap();
    let attempt = || {
        let mut command = Command::new(root().join("tests/clients/install"));
        let (code, _, words) = run(command.arg(kind).arg(folder));
        let last = words.trim().lines().last().unwrap_or("it said nothing").to_owned();
        if code == 0 { Ok(()) } else { Err(last) }
    };
    outcomes.entry(kind).or_insert_with(attempt).clone()
}

/// Runs the script with OpenTelemetry's library; `false` if it could not be installed.
fn opentelemetry(server: &Server, protocol: &str) -> bool {
    let Some(folder) = install(&format!("OpenTelemetry, {protocol}"), "python", "python3") else {
        return false;
    };
    let mut python = Command::new(folder.join("venv/bin/python"));
    python.arg(root().join("tests/clients/otel.py")).arg(protocol).arg(server.address.to_string());
    let (code, out, words) = run(&mut python);
    assert_eq!((code, out.as_str()), (0, "sent\n"), "{words}");
    assert!(words.is_empty(), "it complained: {words}");
    true
}

fn check_opentelemetry(protocol: &str) {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    if !opentelemetry(&server, protocol) {
        return;
    }
    let own = format!("job=\"shop\",instance=\"{protocol}\"");
    assert_eq!(value(&server, &format!("orders_total{{kind=\"book\",{own}}}")), 5_000.0);
    assert_eq!(value(&server, &format!("orders_total{{kind=\"제주\",{own}}}")), 5_100.0);
    assert_eq!(value(&server, &format!("open_carts{{{own}}}")), 6.0);
    assert_eq!(value(&server, "latency_seconds_count"), 200.0);
    assert_eq!(value(&server, "latency_seconds_bucket{le=\"+Inf\"}"), 200.0);
    // An exponential histogram becomes a native one.
    assert_eq!(value(&server, "histogram_count(weight_kg)"), 200.0);
    assert_eq!(value(&server, "histogram_sum(weight_kg)"), 2_525.0);
    let middle = value(&server, "histogram_quantile(0.5, weight_kg)");
    assert!((middle - 12.5).abs() < 0.3, "the middle of 0.25 to 25 is 12.5, not {middle}");
    let metadata = ask(server.address, "/api/v1/metadata?metric=orders_total");
    assert_eq!(metadata["data"]["orders_total"][0]["help"], "Orders.");
    assert_eq!(metadata["data"]["orders_total"][0]["type"], "counter");
}

#[test]
fn opentelemetry_sends_over_http() {
    check_opentelemetry("protobuf");
}

#[test]
fn opentelemetry_sends_json() {
    check_opentelemetry("json");
}

#[test]
fn opentelemetry_sends_over_grpc() {
    check_opentelemetry("grpc");
}

#[test]
fn opentelemetry_sends_by_remote_write() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    if opentelemetry(&server, "remote_write") {
        assert_eq!(value(&server, "sum(orders_1)"), 10_100.0);
        assert_eq!(value(&server, "open_carts"), 6.0);
        assert_eq!(value(&server, "latency_s_count"), 200.0);
    }
}

#[test]
fn a_package_of_npm_sends_by_remote_write() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let Some(packages) = install("prometheus-remote-write of npm", "node", "npm") else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut node = Command::new("node");
    node.arg(packages.join("node/remote_write.mjs"));
    node.arg(format!("http://{}/api/v1/write", server.address)).arg(now.to_string());
    let (code, _, words) = run(&mut node);
    assert_eq!(code, 0, "{words}");
    assert_eq!(value(&server, "queue_depth{service=\"우편\"}"), 151.5);
    assert_eq!(value(&server, "count_over_time(queue_depth[1m])"), 2.0);
}

#[test]
fn the_query_field_of_prometheus_completes_names() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let Some(packages) = install("codemirror-promql of npm", "node", "npm") else { return };
    let page = "# HELP tide How high.\n# TYPE tide gauge\n\
                tide{island=\"제주\",sea=\"east\"} 1\ntide{island=\"udo\"} 2\n";
    assert_eq!(server.post("/api/v1/import/prometheus", page.as_bytes()).status, 204);
    for method in ["GET", "POST"] {
        let mut node = Command::new("node");
        node.arg(packages.join("node/completion.mjs"));
        node.arg(format!("http://{}/prometheus", server.address)).arg(method);
        node.args(["tide{s", "tide{island=\"", "sum by (s", "ti"]);
        let (code, out, words) = run(&mut node);
        assert_eq!(code, 0, "{words}");
        let offers = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let offers: Vec<Value> = out.lines().map(offers).collect();
        assert_eq!(offers[0], json!([["island", null, null], ["sea", null, null]]));
        assert_eq!(offers[1], json!([["udo", null, null], ["제주", null, null]]));
        let names = ["__name__", "island", "sea"].map(|name| json!([name, null, null]));
        assert_eq!(offers[2], json!(names));
        let metrics = offers[3].as_array().unwrap();
        assert!(metrics.contains(&json!(["tide", "gauge", "How high."])), "{metrics:?}");
    }
}

/// A scrape target that never changes: a counter with exemplars, a histogram, a gauge.
pub(crate) fn target() -> SocketAddr {
    const TEXT: &str = "\
        # HELP jobs Jobs done.\n# TYPE jobs counter\n\
        jobs_total{kind=\"a\"} 17 # {trace_id=\"4bf92f3577b34da6\"} 1\n\
        # HELP wait_seconds Waiting.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
        wait_seconds_bucket{le=\"1\"} 3 # {trace_id=\"00f067aa0ba902b7\"} 0.5\n\
        wait_seconds_bucket{le=\"+Inf\"} 4\nwait_seconds_count 4\nwait_seconds_sum 7.5\n\
        # TYPE level gauge\nlevel -0.5\n# EOF\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\
                        content-type: application/openmetrics-text; version=1.0.0\r\n";
            let length = TEXT.len();
            let _ = write!(stream, "{head}content-length: {length}\r\n\r\n{TEXT}");
        }
    });
    address
}

/// Prometheus scrapes itself and a target and forwards everything; both servers must then have the
/// same samples.
#[test]
fn prometheus_sends_what_it_scrapes() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let (mirador, target) = (server.address, target());
    let config = |own: SocketAddr| {
        format!(
            "global: {{scrape_interval: 500ms}}\n\
             scrape_configs:\n\
             - {{job_name: self, static_configs: [{{targets: ['{own}']}}]}}\n\
             - {{job_name: fixed, static_configs: [{{targets: ['{target}']}}]}}\n\
             - {{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n\
             remote_write:\n\
             - url: http://{mirador}/api/v1/write\n  \
               send_exemplars: true\n  \
               metadata_config: {{send_interval: 500ms}}\n  \
               queue_config: {{batch_send_deadline: 200ms, max_shards: 1}}\n"
        )
    };
    let Some(prometheus) = Prometheus::start(config, &["--enable-feature=exemplar-storage"]) else {
        skip("Prometheus as a sender", "there is no prometheus on the PATH");
        return;
    };
    wait_for("five scrapes to arrive", || {
        let scrapes = result(mirador, "count_over_time(up{job=\"self\"}[5m])");
        let count: f64 = scrapes.first()?["value"][1].as_str()?.parse().ok()?;
        (count >= 5.0).then_some(())
    });
    let up = result(mirador, "up");
    let by_job = |job: &str| up.iter().find(|one| one["metric"]["job"] == job).unwrap();
    assert_eq!(by_job("self")["value"][1], "1");
    assert_eq!(by_job("fixed")["value"][1], "1");
    assert_eq!(by_job("gone")["value"][1], "0");
    assert_eq!(value(&server, "jobs_total"), 17.0);
    assert_eq!(value(&server, "histogram_quantile(0.5, wait_seconds_bucket)"), 2.0 / 3.0);
    same_samples(&prometheus, mirador);
    same_metadata(&prometheus, mirador);
    same_exemplars(&prometheus, mirador);
    same_federation(&prometheus, mirador);
}

/// Compares the raw samples of the oldest scrapes, which have certainly arrived.
fn same_samples(prometheus: &Prometheus, mirador: SocketAddr) {
    let first = &result(mirador, "timestamp(up{job=\"self\"})")[0]["value"][1];
    let until = first.as_str().unwrap().parse::<f64>().unwrap() - 0.9;
    for query in
        ["{job=\"self\"}[1h]", "{job=\"fixed\"}[1h]", "sum by (job) (scrape_samples_scraped)"]
    {
        let path = format!("/api/v1/query?query={}&time={until}", encoded(query));
        let sorted = |address| {
            let mut series = ask(address, &path)["data"]["result"].as_array().unwrap().clone();
            series.sort_by_key(Value::to_string);
            series
        };
        let (theirs, ours) = (sorted(prometheus.address), sorted(mirador));
        assert!(!theirs.is_empty());
        assert_eq!(theirs, ours, "{query}");
    }
}

fn same_metadata(prometheus: &Prometheus, mirador: SocketAddr) {
    let metadata = |address| ask(address, "/api/v1/metadata")["data"].as_object().unwrap().clone();
    let theirs = metadata(prometheus.address);
    assert!(theirs.contains_key("go_goroutines") && theirs.contains_key("wait_seconds"));
    wait_for("the metadata", || {
        let ours = metadata(mirador);
        theirs.keys().all(|name| ours.contains_key(name)).then_some(())
    });
    let ours = metadata(mirador);
    for (name, expected) in &theirs {
        assert_eq!(&ours[name], expected, "{name}");
    }
}

fn same_exemplars(prometheus: &Prometheus, mirador: SocketAddr) {
    let path = "/api/v1/query_exemplars?query=jobs_total&start=0&end=4000000000";
    // Prometheus keeps one of several equal exemplars, with the time of the first scrape.
    let found = |address| ask(address, path)["data"].clone();
    let theirs = found(prometheus.address);
    assert_eq!(theirs[0]["exemplars"][0]["labels"], json!({"trace_id": "4bf92f3577b34da6"}));
    let ours = wait_for("the exemplars", || {
        let ours = found(mirador);
        ours[0]["exemplars"][0].is_object().then_some(ours)
    });
    assert_eq!(ours[0]["seriesLabels"], theirs[0]["seriesLabels"]);
    assert_eq!(ours[0]["exemplars"][0], theirs[0]["exemplars"][0]);
}

/// Compares the federated lines of the constant target, without their times.
fn same_federation(prometheus: &Prometheus, mirador: SocketAddr) {
    let lines = |address| {
        let path =
            format!("/federate?match[]={}", encoded("{job=\"fixed\",__name__!~\"scrape.*\"}"));
        let reply = Connection::open(address).send("GET", &path, &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let lines = reply.text().lines().filter(|line| !line.starts_with('#'));
        let timeless = lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        timeless.collect::<BTreeSet<_>>()
    };
    let theirs = lines(prometheus.address);
    assert!(theirs.len() > 5, "{theirs:?}");
    assert_eq!(theirs, lines(mirador));
}

/// A Prometheus without data of its own answers queries from the server by remote read.
#[test]
fn prometheus_reads_what_is_stored() {
    let folder = Folder::new();
    let settings = ["--set", "retention.metrics=0s"];
    let server = Server::start_with(folder.path(), &settings);
    let mirador = server.address;
    let config =
        |_| format!("remote_read: [{{url: 'http://{mirador}/api/v1/read', read_recent: true}}]\n");
    let Some(prometheus) = Prometheus::start(config, &[]) else {
        skip("Prometheus as a reader", "there is no prometheus on the PATH");
        return;
    };
    const START: i64 = 1_700_000_000_000;
    let series = (0..50).map(|number| {
        let host = format!("h{number}");
        let mut one = Series::new(&[("__name__", "tide"), ("host", &host), ("island", "제주")]);
        let sample = |at: i64| (START + at * 15_000 + 7, (number * at) as f64 / 8.0);
        one.samples = (0..500).map(sample).collect();
        one
    });
    remote_write::write(mirador, &series.collect::<Vec<_>>());
    server.post("/-/flush", b"");
    for query in [
        "tide{host=\"h7\"}",
        "sum(tide)",
        "tide{host=~\"h1.*\",host!=\"h11\"}",
        "max by (host) (tide{host!~\"h[0-3].?\"})",
        "tide{host=\"h9\"}[10m]",
        "topk(3, tide)",
    ] {
        let path = format!("/api/v1/query?query={}&time=1700003600", encoded(query));
        let answer = |address| {
            let mut all = ask(address, &path)["data"]["result"].as_array().unwrap().clone();
            all.sort_by_key(Value::to_string);
            all
        };
        let (theirs, ours) = (answer(prometheus.address), answer(mirador));
        assert!(!ours.is_empty(), "{query}");
        assert_eq!(theirs, ours, "{query}");
    }
    let labels = "/api/v1/label/host/values?start=1700000000&end=1700003600";
    let hosts = Connection::open(prometheus.address).send("GET", labels, &[], b"");
    assert_eq!(hosts.status, 200, "{}", hosts.text());
}

/// The fields of a protobuf message that have a length; others have empty content.
fn fields(mut message: &[u8]) -> Vec<(u8, &[u8])> {
    let varint = |message: &mut &[u8]| {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                return value;
            }
        }
    };
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message) as u8;
        let length = if tag & 7 == 2 { varint(&mut message) } else { 0 };
        let (value, rest) = message.split_at(length);
        message = rest;
        match tag & 7 {
            0 => drop(varint(&mut message)),
            1 => message = &message[8..],
            _ => {}
        }
        found.push((tag >> 3, value));
    }
    found
}

/// The data of the first series' chunks, from a stream of one frame.
fn chunks_of(address: SocketAddr, metric: &str) -> Vec<Vec<u8>> {
    let equals = [field(2, b"__name__"), field(3, metric.as_bytes())].concat();
    let times = [number(1, 0), number(2, 4_000_000_000_000)].concat();
    let query = field(1, &[times, field(3, &equals)].concat());
    let request = remote_write::snappy(&[query, number(2, 1)].concat());
    let headers = [("content-encoding", "snappy"), ("content-type", "application/x-protobuf")];
    let reply = Connection::open(address).send("POST", "/api/v1/read", &headers, &request);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let start = reply.body.iter().take_while(|byte| **byte >= 0x80).count() + 1 + 4;
    let frame = fields(&reply.body[start..]);
    let series = frame.into_iter().filter(|(number, _)| *number == 1);
    let chunks = series.flat_map(|(_, series)| fields(series)).filter(|(number, _)| *number == 2);
    let data = chunks.flat_map(|(_, chunk)| fields(chunk)).filter(|(number, _)| *number == 4);
    data.map(|(_, data)| data.to_vec()).collect()
}

/// A remote write of one series with histograms whose counts grow in small and large steps.
fn histograms(metric: &str, hint: u64) -> Vec<u8> {
    let name = [field(1, b"__name__"), field(2, metric.as_bytes())].concat();
    let double =
        |number: u8, value: f64| [vec![number << 3 | 1], value.to_le_bytes().to_vec()].concat();
    let span = |offset: u64, length: u64| [number(1, offset << 1), number(2, length)].concat();
    let mut series = field(1, &name);
    for step in 0..25_u32 {
        let [low, middle, high] = [step, step * step * step, step / 7].map(|n| f64::from(n) * 0.5);
        let counts: Vec<u8> = [low, middle, high].iter().flat_map(|n| n.to_le_bytes()).collect();
        let time = 1_700_000_000_000 + u64::from(step) * 15_000 + u64::from(step % 3);
        let one = [
            double(2, low + middle + high + 1.0),
            double(3, f64::from(step) * -1.25),
            number(4, 2 << 1),
            double(5, 0.001),
            double(7, 1.0),
            field(11, &span(3, 2)),
            field(11, &span(1, 1)),
            field(13, &counts),
            number(14, hint),
            number(15, time),
        ];
        series.extend(field(4, &one.concat()));
    }
    field(1, &series)
}

/// Remote read streams the same chunks of histograms, bit for bit, that Prometheus makes of the
/// same samples, except for what Prometheus knows from earlier samples.
#[test]
fn histogram_chunks_are_those_of_prometheus() {
    let flags = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"];
    let Some(prometheus) = Prometheus::start(|_| "global: {}\n".to_owned(), &flags) else {
        skip("chunks of Prometheus", "there is no prometheus on the PATH");
        return;
    };
    let folder = Folder::new();
    let server = Server::start(folder.path());
    const GAUGE: u64 = 3;
    for (metric, hint) in [("counter", 0), ("gauge", GAUGE)] {
        let message = histograms(metric, hint);
        let mut of_both = [prometheus.address, server.address].map(|address| {
            let reply = remote_write::send(address, &message);
            assert_eq!(reply.status, 204, "{}", reply.text());
            chunks_of(address, metric)
        });
        of_both.iter_mut().flatten().for_each(|chunk| {
            chunk[2] = 0;
        });
        let [theirs, ours] = of_both;
        assert_eq!((theirs.len(), theirs[0][1]), (1, 25), "one chunk with all of them");
        assert_eq!(ours, theirs, "{metric}");
    }
}
