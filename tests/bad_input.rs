//! Wrong, lying and excessive input: each is answered with an error that names the cause. The
//! server continues, other clients' writes are accepted meanwhile, and stored data stays.

use crate::client::{Connection, Reply};
use crate::remote_write::{self, Series, field, number, request, snappy, varint};
use crate::support::{Folder, Server, ask, command, encoded, say, wait_for};
use platform::sim::test_seed;
use platform::{Random, SeededRandom};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Milliseconds.
const TIME: i64 = 1_700_000_000_000;

/// A server with stored data that must survive.
struct Victim {
    server: Server,
    folder: Folder,
    settings: Vec<&'static str>,
}

impl Victim {
    fn start(more: &[&'static str]) -> Self {
        let folder = Folder::new();
        let settings = [&["--set", "retention.metrics=0s"], more].concat();
        let server =
            Self::spawn(&folder, &settings).unwrap_or_else(|text| panic!("no start: {text}"));
        let before = Series::new(&[("__name__", "before"), ("a", "b")]).sample(TIME, 42.5);
        remote_write::write(server.address, &[before]);
        Self { server, folder, settings }
    }

    /// The allocator gives memory back at once, so that the peak is what the server holds: otherwise pages
    /// that were freed some seconds ago count too, once for each thread, as it happens.
    fn spawn(folder: &Folder, settings: &[&'static str]) -> Result<Server, String> {
        let mut command = command(folder.path(), settings);
        command.env("MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0");
        Server::spawn(command)
    }

    fn restart(&mut self) {
        self.server.signal("-KILL");
        // The data folder is free once the old process has ended; until then the new one refuses to
        // start.
        self.server = wait_for("the folder", || Self::spawn(&self.folder, &self.settings).ok());
    }

    fn write(&self, message: &[u8]) -> Reply {
        remote_write::send(self.server.address, message)
    }

    /// Checks that the earlier data is still there and that new data is accepted.
    fn is_well(&self) {
        assert_eq!(self.value("before"), "42.5");
        let after = Series::new(&[("__name__", "after")]).sample(TIME, 7.0);
        remote_write::write(self.server.address, &[after]);
        assert_eq!(self.value("after"), "7");
    }

    fn value(&self, query: &str) -> String {
        let path = format!("/api/v1/query?query={}&time={}", encoded(query), TIME / 1_000);
        let answer = ask(self.server.address, &path);
        answer["data"]["result"][0]["value"][1].as_str().unwrap_or_default().to_owned()
    }

    /// The peak of the server's resident memory, in MiB.
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }
}

fn valid() -> Vec<u8> {
    let series = (0..20).map(|number| {
        let host = format!("host-{number}");
        let one = Series::new(&[("__name__", "flipped"), ("host", &host), ("job", "바다")]);
        (0..5).fold(one, |one, at| one.sample(TIME + at * 15_000, (number * at) as f64 / 3.0))
    });
    request(&series.collect::<Vec<_>>())
}

/// The same in version 2.0: ten series with one label pair each.
fn valid_second() -> Vec<u8> {
    let names: Vec<String> = (0..10).map(|number| format!("host-{number}")).collect();
    let mut symbols = vec!["", "__name__", "flipped_second", "host"];
    symbols.extend(names.iter().map(String::as_str));
    let series = (0..10).map(|number| second_series(&[1, 2, 3, 4 + number]));
    [second_symbols(&symbols), series.flatten().collect()].concat()
}

/// One gauge of OTLP with a resource, a scope, a unit and a point with an attribute.
fn valid_otlp() -> Vec<u8> {
    let text = |key: &str, value: &str| {
        [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
    };
    let nanos = [vec![3 << 3 | 1], (TIME as u64 * 1_000_000).to_le_bytes().to_vec()].concat();
    let value = [vec![4 << 3 | 1], 1.5f64.to_le_bytes().to_vec()].concat();
    let point = [field(7, &text("room", "attic")), nanos, value].concat();
    let gauge = field(5, &field(1, &point));
    let metric = [field(1, b"flipped.otlp"), field(3, b"Cel"), gauge].concat();
    let scope = field(2, &[field(1, &field(1, b"test")), field(2, &metric)].concat());
    field(1, &[field(1, &field(1, &text("service.name", "shop"))), scope].concat())
}

/// Truncated, with flipped bits, or with repeated bytes.
fn damaged(body: &[u8], random: &SeededRandom) -> Vec<u8> {
    let at = random.below(body.len() as u64) as usize;
    let mut body = body.to_vec();
    match random.below(3) {
        0 => body.truncate(at),
        1 => body[at] ^= 1 << random.below(8),
        _ => body.insert(at, random.below(256) as u8),
    }
    body
}

#[test]
fn damaged_bodies_are_refused_and_nothing_else_breaks() {
    const TIMES: usize = 600;
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let victim = Victim::start(&[]);
    let otlp = [("content-type", "application/x-protobuf")];
    let (message, second, metrics) = (valid(), valid_second(), valid_otlp());
    let mut connection = victim.server.connect();
    for (path, headers, body) in [
        ("/api/v1/write", &remote_write::HEADERS[..], snappy(&message)),
        ("/api/v1/write", &SECOND[..], snappy(&second)),
        ("/v1/metrics", &otlp[..], metrics.clone()),
    ] {
        let reply = connection.send("POST", path, headers, &body);
        assert!(matches!(reply.status, 200 | 204), "undamaged: {} {:?}", reply.status, reply.body);
    }
    let mut taken = 0;
    for _ in 0..TIMES {
        let inside = snappy(&damaged(&message, &random));
        let outside = damaged(&snappy(&message), &random);
        for (path, headers, body) in [
            ("/api/v1/write", &remote_write::HEADERS[..], inside.clone()),
            ("/api/v1/write", &remote_write::HEADERS[..], outside),
            ("/api/v1/read", &remote_write::HEADERS[..], inside),
            ("/api/v1/write", &SECOND[..], snappy(&damaged(&second, &random))),
            ("/v1/metrics", &otlp[..], damaged(&metrics, &random)),
            ("/api/v1/import/prometheus", &[], damaged(b"# TYPE a gauge\na{b=\"c\"} 1\n", &random)),
        ] {
            let reply = connection.send("POST", path, headers, &body);
            let expected = matches!(reply.status, 200 | 204 | 400 | 413);
            assert!(expected, "{path}: {} {:?}", reply.status, reply.body);
            taken += usize::from(reply.status < 300);
        }
    }
    victim.is_well();
    let (sent, peak) = (TIMES * 6, victim.peak_memory());
    say(&format!(
        "damaged bodies: SEED={seed}, {sent} sent, {taken} still meant something and were taken, \
         the others refused, at most {peak} MiB"
    ));
    assert!(taken < sent, "nothing was refused");
}

/// 512 MiB of zeros, and false lengths: refused before memory is allocated.
#[test]
fn decompression_bombs_are_refused() {
    let victim = Victim::start(&[]);
    let zeros = vec![0; 1 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..512 {
        gzip.write_all(&zeros).unwrap();
        zstd.write_all(&zeros).unwrap();
    }
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd.finish().unwrap());
    let lying_snappy = [varint(u64::from(u32::MAX)), vec![0; 20]].concat();
    let lying_message = snappy(&[vec![0x0A], varint(u64::MAX >> 1), vec![1; 10]].concat());
    for (encoding, path, body, status) in [
        ("gzip", "/v1/metrics", &gzip, 413),
        ("zstd", "/v1/metrics", &zstd, 413),
        ("gzip", "/api/v1/import/prometheus", &gzip, 413),
        ("zstd", "/api/v1/write", &zstd, 413),
        ("snappy", "/api/v1/write", &lying_snappy, 413),
        ("snappy", "/api/v1/write", &lying_message, 400),
    ] {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", encoding)];
        let reply = victim.server.connect().send("POST", path, &headers, body);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, status, "{encoding} {path}: {text}");
        assert!(status != 413 || text.contains("after decompression"), "{path}: {text}");
    }
    victim.is_well();
    let peak = victim.peak_memory();
    say(&format!("bombs: at most {peak} MiB"));
    assert!(peak < 400, "{peak} MiB");
}

/// One label with any bytes.
fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, name), field(2, value)].concat())
}

fn one_sample(time: i64) -> Vec<u8> {
    let value = [vec![1 << 3 | 1], 1f64.to_le_bytes().to_vec()].concat();
    field(2, &[value, number(2, time as u64)].concat())
}

/// A request of one series with these labels.
fn labelled(labels: &[(&[u8], &[u8])]) -> Vec<u8> {
    let labels: Vec<u8> = labels.iter().flat_map(|(name, value)| label(name, value)).collect();
    field(1, &[labels, one_sample(TIME)].concat())
}

#[test]
fn labels_that_are_wrong_are_named() {
    let victim = Victim::start(&[]);
    let name: (&[u8], &[u8]) = (b"__name__", b"odd");
    let (long, huge) = (vec![b'x'; 20_000], vec![b'x'; 1 << 20]);
    let many: Vec<String> = (0..200).map(|number| format!("l{number:03}")).collect();
    let many: Vec<(&[u8], &[u8])> = many.iter().map(|name| (name.as_bytes(), &b"v"[..])).collect();
    let wrong = [
        ("duplicate", labelled(&[name, (b"a", b"1"), (b"a", b"2")]), "is there twice"),
        ("no name", labelled(&[(b"a", b"1")]), "no metric name"),
        ("no labels", field(1, &one_sample(TIME)), "no metric name"),
        ("empty name", labelled(&[name, (b"", b"1")]), "empty name"),
        ("empty metric", labelled(&[(b"__name__", b""), (b"a", b"1")]), "no metric name"),
        ("invalid UTF-8", labelled(&[name, (b"a", b"\xff\xfe")]), "UTF-8"),
        ("invalid UTF-8 in a name", labelled(&[name, (b"\xc3\x28", b"1")]), "UTF-8"),
        ("long value", labelled(&[name, (b"a", &long)]), "longer than 16384 bytes"),
        ("huge name", labelled(&[name, (&huge, b"1")]), "longer than 1024 bytes"),
        ("huge metric", labelled(&[(b"__name__", &huge)]), "longer than 16384 bytes"),
        ("many", labelled(&[&[name][..], &many].concat()), "more than 100 labels"),
    ];
    for (what, message, words) in wrong {
        let alone = victim.write(&message);
        assert_eq!(alone.status, 400, "{what}: {}", alone.text());
        assert!(alone.text().contains(words), "{what}: {}", alone.text());
        let good = Series::new(&[("__name__", "good"), ("with", what)]).sample(TIME, 3.0);
        // Remote write 1.0 stores the valid series, as Prometheus does.
        let together = victim.write(&[message, request(&[good])].concat());
        assert_eq!(together.status, 204, "{what}: {}", together.text());
        assert_eq!(victim.value(&format!("good{{with=\"{what}\"}}")), "3");
    }
    assert_eq!(victim.value("count(odd)"), "", "none of the bad ones is there");
    let unsorted = labelled(&[(b"z", b"1"), (b"__name__", b"unsorted"), (b"a", b"2")]);
    assert_eq!(victim.write(&unsorted).status, 204, "senders of other languages do not sort");
    assert_eq!(victim.value("unsorted{a=\"2\",z=\"1\"}"), "1");
    assert_eq!(victim.write(&labelled(&[(b"__name__", b"empty"), (b"a", b"")])).status, 204);
    assert_eq!(victim.value("empty{a=\"\"}"), "1");
    victim.is_well();
}

#[test]
fn samples_at_the_ends_of_time_are_stored() {
    let mut victim = Victim::start(&[]);
    for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let labels = label(b"__name__", b"ends");
        let reply = victim.write(&field(1, &[labels, one_sample(time)].concat()));
        assert!(matches!(reply.status, 204 | 400), "{time}: {} {}", reply.status, reply.text());
        assert!(reply.status == 204 || reply.text().contains("timestamp"), "{}", reply.text());
    }
    for path in ["/-/flush", "/-/merge"] {
        let reply = victim.server.post(path, b"");
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        victim.is_well();
    }
    victim.restart();
    victim.is_well();
}

const SECOND: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "2.0.0"),
];

/// The symbols of a remote write 2.0 request.
fn second_symbols(symbols: &[&str]) -> Vec<u8> {
    symbols.iter().flat_map(|text| field(4, text.as_bytes())).collect()
}

/// One series of such a request with one sample; labels are numbers of symbols.
fn second_series(references: &[u64]) -> Vec<u8> {
    let packed: Vec<u8> = references.iter().flat_map(|one| varint(*one)).collect();
    let sample = [vec![1 << 3 | 1], 1f64.to_le_bytes().to_vec(), number(2, TIME as u64)].concat();
    field(5, &[field(1, &packed), field(2, &sample)].concat())
}

#[test]
fn symbols_that_are_wrong_are_named() {
    let victim = Victim::start(&[]);
    let send = |message: &[u8]| {
        victim.server.connect().send("POST", "/api/v1/write", &SECOND, &snappy(message))
    };
    let symbols = second_symbols(&["", "__name__", "second", "a", "b", "third"]);
    let good = send(&[symbols.clone(), second_series(&[1, 2])].concat());
    assert_eq!(good.status, 204, "{}", good.text());
    assert_eq!(victim.value("second"), "1");
    // Valid series are stored, and the others are reported.
    let twice = [second_series(&[1, 2, 3, 4, 3, 4]), second_series(&[1, 5])].concat();
    let reply = send(&[symbols, twice].concat());
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("is there twice"), "{}", reply.text());
    assert_eq!(reply.header("x-prometheus-remote-write-samples-written"), Some("1"));
    assert_eq!(victim.value("third"), "1");
    for (what, symbols, references, words) in [
        ("out of range", &["", "__name__", "x"][..], &[1, 3][..], "symbol"),
        ("far out of range", &["", "__name__", "x"], &[1, u64::from(u32::MAX)], "symbol"),
        ("odd", &["", "__name__", "x"], &[1, 2, 1], "symbol"),
        ("not empty first", &["__name__", "x"], &[0, 1], "must start with an empty string"),
        ("no symbols", &[], &[1, 2], "must start with an empty string"),
        ("no labels", &["", "__name__", "x"], &[], "no metric name"),
    ] {
        let message = [second_symbols(symbols), second_series(references)].concat();
        let reply = send(&message);
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(reply.text().contains(words), "{what}: {}", reply.text());
    }
    victim.is_well();
}

#[test]
fn a_million_values_of_a_label() {
    const VALUES: usize = 1_000_000;
    let victim = Victim::start(&[]);
    let started = Instant::now();
    let mut connection = victim.server.connect();
    for from in (0..VALUES).step_by(10_000) {
        let series = (from..from + 10_000).map(|number| {
            let id = format!("{number:08x}-user");
            Series::new(&[("__name__", "many"), ("id", &id)]).sample(TIME, number as f64)
        });
        let body = snappy(&request(&series.collect::<Vec<_>>()));
        let reply = connection.send("POST", "/api/v1/write", &remote_write::HEADERS, &body);
        assert_eq!(reply.status, 204, "{}", reply.text());
    }
    let written = started.elapsed();
    let started = Instant::now();
    assert_eq!(victim.value("count(many)"), VALUES.to_string());
    let counted = started.elapsed();
    let started = Instant::now();
    let path = format!("/api/v1/label/id/values?limit=10&start={0}&end={0}", TIME / 1_000);
    let values = ask(victim.server.address, &path);
    assert_eq!(values["data"].as_array().unwrap().len(), 10);
    let listed = started.elapsed();
    victim.is_well();
    let peak = victim.peak_memory();
    say(&format!(
        "{VALUES} values of a label: written in {} ms, counted in {} ms, ten of them listed in {} \
         ms, at most {peak} MiB",
        written.as_millis(),
        counted.as_millis(),
        listed.as_millis()
    ));
    assert!(peak < 2_000, "{peak} MiB");
}

/// Sends the query by `POST`, where it may be long. Returns status, body, and the time it took.
fn query(address: SocketAddr, query: &str, times: &str) -> (u16, String, Duration) {
    let path = if times.contains("step") { "/api/v1/query_range" } else { "/api/v1/query" };
    let started = Instant::now();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("query={}&{times}", encoded(query));
    let reply = Connection::open(address).send("POST", path, &form, body.as_bytes());
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned(), started.elapsed())
}

#[test]
fn queries_that_explode_are_refused() {
    let victim = Victim::start(&[]);
    let address = victim.server.address;
    let matching = |pattern: &str| format!("before{{a=~\"{pattern}\"}}");
    let nested = |open: &str, close: &str, count: usize| {
        format!("{}before{}", open.repeat(count), close.repeat(count))
    };
    let literals: Vec<String> = (0..100_000).map(|number| format!("value{number}")).collect();
    let prefixes: Vec<String> = (0..50_000).map(|number| format!("v{number}.*w")).collect();
    let mut slowest = (Duration::ZERO, String::new());
    for (what, text, statuses) in [
        ("repeats in repeats", matching("(a{1000}){1000}"), &[400][..]),
        ("three of them", matching("((a{100}){100}){100}"), &[400]),
        ("a repeat of classes", matching("(\\\\pL{500}){500}"), &[400]),
        ("stars in stars", matching("((((((a*)*)*)*)*)*)*c"), &[200]),
        ("stars that overlap", matching("(x+x+)+y"), &[200]),
        (
            "groups in groups",
            matching(&format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000))),
            &[400],
        ),
        ("many literals", matching(&literals.join("|")), &[200, 400]),
        ("many patterns", matching(&prefixes.join("|")), &[200, 400]),
        ("parentheses", nested("(", ")", 100_000), &[400]),
        ("minus signs", nested("-", "", 100_000), &[400]),
        ("sums of sums", nested("sum(", ")", 100_000), &[400]),
        ("subqueries", nested("", "[1m:1s]", 100_000), &[400]),
        ("braces", "{".repeat(100_000), &[400]),
        ("plus signs", vec!["before"; 100_000].join(" + "), &[400, 422]),
        ("powers", vec!["2"; 100_000].join(" ^ "), &[400, 422]),
        ("ors", vec!["before"; 100_000].join(" or "), &[400, 422]),
        ("matchers", format!("before{{{}}}", vec!["a!=\"x\""; 50_000].join(",")), &[200, 400]),
        ("a long string", format!("before{{a=\"{}\"}}", "x".repeat(1 << 20)), &[200, 400]),
        ("a long name", "x".repeat(1 << 20), &[200, 400]),
        (
            "a long grouping",
            format!("sum by ({}) (before)", vec!["a"; 100_000].join(",")),
            &[200, 400],
        ),
        ("a window of all time", "rate(before[290y])".to_owned(), &[200]),
        ("a window beyond time", "rate(before[999999999y])".to_owned(), &[400]),
        ("an offset beyond time", "before offset 999999999y".to_owned(), &[400]),
        ("a moment beyond time", "before @ 1e300".to_owned(), &[400]),
        ("a subquery of all time", "max_over_time(before[290y:1ms])".to_owned(), &[400, 422]),
        ("parentheses that fit", nested("(", ")", 30_000), &[400]),
        ("minus signs that fit", nested("-", "", 60_000), &[400]),
        ("sums that fit", nested("sum(", ")", 12_000), &[400]),
        ("subqueries that fit", nested("", "[1m:1s]", 9_000), &[400]),
        ("plus signs that fit", vec!["1"; 30_000].join("+"), &[200, 400, 422]),
        ("powers that fit", vec!["2"; 30_000].join("^"), &[200, 400, 422]),
        ("ors that fit", vec!["before"; 6_000].join(" or "), &[200, 400, 422]),
        ("literals that fit", matching(&literals[..4_000].join("|")), &[200]),
        ("patterns that fit", matching(&prefixes[..4_000].join("|")), &[200, 400]),
        (
            "labels that grow",
            {
                let grow = |inner| format!("label_join({inner}, \"a\", \"\", \"a\", \"a\")");
                (0..40).fold("before".to_owned(), |inner, _| grow(inner))
            },
            &[400, 422],
        ),
    ] {
        let (status, answer, took) = query(address, &text, "time=1700000000");
        assert!(statuses.contains(&status), "{what}: {status} {answer:.300}");
        assert!(status == 200 || answer.contains("\"error\":\""), "{what}: {answer:.300}");
        slowest = slowest.max((took, what.to_owned()));
    }
    for (what, times, status) in [
        ("start after end", "start=100&end=1&step=1", 400),
        ("no step", "start=1&end=100&step=0", 400),
        ("a negative step", "start=1&end=100&step=-1", 400),
        ("NaN as a step", "start=1&end=100&step=NaN", 400),
        ("Inf as a step", "start=1&end=100&step=Inf", 400),
        ("NaN as a time", "start=NaN&end=100&step=1", 400),
        ("Inf as a time", "start=1&end=Inf&step=1", 400),
        ("11,001 points", "start=0&end=11000&step=1", 200),
        ("11,002 points", "start=0&end=11001&step=1", 400),
        ("all of time", "start=-9000000000000&end=9000000000000&step=1", 400),
        ("a tiny step", "start=1&end=100&step=0.0001", 400),
    ] {
        let (got, answer, _) = query(address, "before", times);
        assert_eq!(got, status, "{what}: {answer:.300}");
    }
    victim.is_well();
    let peak = victim.peak_memory();
    let (took, what) = slowest;
    say(&format!(
        "exploding queries: the slowest ({what}) {} ms, at most {peak} MiB",
        took.as_millis()
    ));
    assert!(peak < 1_000, "{peak} MiB");
}

/// Queries for all series, over a day, in tiny steps, several at once, while other clients write.
#[test]
fn excessive_queries_do_not_stop_the_server() {
    const SERIES: i64 = 2_000;
    // Bounds the memory of all queries together.
    let limits = ["--set", "promql.timeout=5s", "--set", "limits.query_memory=256MiB"];
    let victim = Victim::start(&limits);
    let address = victim.server.address;
    for from in (0..1_000).step_by(100) {
        let series = (0..SERIES).map(|number| {
            let host = number.to_string();
            let mut one = Series::new(&[("__name__", "load"), ("host", &host)]);
            let sample = |at| (TIME + at * 15_000, (at * number) as f64 / 7.0);
            one.samples = (from..from + 100).map(sample).collect();
            one
        });
        remote_write::write(address, &series.collect::<Vec<_>>());
    }
    let window = format!("start={0}&end={1}&step=2", TIME / 1_000, TIME / 1_000 + 21_600);
    let deadly = [
        "{__name__=~\".+\"}",
        "max_over_time({__name__=~\".+\"}[1d])",
        "quantile_over_time(0.5, {__name__=~\".+\"}[1d:1s])",
        "max_over_time(rate({__name__=~\".+\"}[1h])[1d:1s])",
        "load * on (host) group_left load or load ^ load",
        "sum by (host) (load) + ignoring (nothing) sum by (host) (load offset 1h)",
        "count_values(\"value\", load)",
        "label_replace(load, \"copy\", \"$1$1$1\", \"host\", \"(.*)\")",
    ];
    let done = AtomicBool::new(false);
    let (answers, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_meanwhile(address, &done));
        let ask = |text: &'static str| {
            let window = &window;
            scope.spawn(move || (text, query(address, text, window)))
        };
        let asked: Vec<_> = deadly.into_iter().map(ask).collect();
        let answers: Vec<_> = asked.into_iter().map(|one| one.join().unwrap()).collect();
        done.store(true, Relaxed);
        (answers, writer.join().unwrap())
    });
    let peak = victim.peak_memory();
    for (text, (status, answer, took)) in &answers {
        let size = answer.len() >> 20;
        say(&format!("query of death: {status} after {} ms, {size} MiB: {text}", took.as_millis()));
        assert!(matches!(status, 200 | 422 | 503), "{text}: {status} {answer:.300}");
        assert!(*status == 200 || answer.contains("\"error\":\""), "{text}: {answer:.300}");
    }
    say(&format!("query of death: {written} batches written meanwhile, at most {peak} MiB"));
    assert!(peak < 400, "{peak} MiB");
    victim.is_well();
    assert_eq!(victim.value("count(last_over_time(meanwhile[1h]))"), "1");
}

/// Writes until `done`, each batch successfully. Returns how many batches.
fn write_meanwhile(address: SocketAddr, done: &AtomicBool) -> usize {
    let mut written = 0;
    while !done.load(Relaxed) {
        let time = TIME - 3_000_000 + written as i64;
        let one = Series::new(&[("__name__", "meanwhile")]).sample(time, written as f64);
        remote_write::write(address, &[one]);
        written += 1;
    }
    assert!(written > 0);
    written
}
