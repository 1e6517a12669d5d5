//! What the store of metrics costs: processor time by phase, bytes on disk by kind, memory, and the
//! time of reading everything.
//!
//! `cargo bench -p benches --bench metric_store -- --dir FOLDER [--payload FILE] [--bodies N]
//! [--head-mb 32] [--series 20000] [--rounds 240] [--metric NAME] [--repeat 3]`. Uses a real
//! write-ahead log and real files, on one thread. A payload file holds bodies one after the other,
//! each preceded by its length and its number of samples (u32, little-endian): snappy blocks of
//! `prometheus.WriteRequest`. Without a payload the load is generated.
#![expect(clippy::print_stdout, reason = "a bench is for reading")]

mod shared;

use engine::MergeRequest;
use metric_store::{
    BATCH_SCHEMA, BatchBuilder, Limits, MetricStore, Scratch, Select, StoreSettings,
};
use model::{Matcher, Signal, TenantId, TimeRange, TimeUnit, Unbounded};
use parts::Site;
use platform::{
    Blobs, Clock, Disk, DiskBlobs, Ids, OsRandom, ProcessStats, Random, ReadFile, RealClock,
    RealDisk, SeededRandom,
};
use shared::Arguments;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wal::{Batch, Log, LogOptions, SyncPolicy};

const LIMITS: Limits =
    Limits { active_series_max: 10_000_000, setting: "metrics.active_series_max" };

fn main() {
    let arguments = Arguments::read();
    let disk: Arc<dyn Disk> = Arc::new(arguments.disk());
    shared::clear(&*disk, "wal");
    clear_blobs(&*disk);
    let mut bench = Bench::open(disk);
    let head_bytes = arguments.get("head-mb", 32u64) << 20;
    let mut load: Box<dyn Load> = match arguments.text("payload") {
        Some(path) => Box::new(Payload::open(path, arguments.get("bodies", usize::MAX))),
        None => {
            Box::new(Generated::new(arguments.get("series", 20_000), arguments.get("rounds", 240)))
        }
    };
    bench.metric = arguments.text("metric").map(str::to_owned);
    bench.repeat = arguments.get("repeat", 3);
    bench.write(&mut *load, head_bytes);
    bench.read_instant("the live head and parts");
    bench.flush();
    bench.report_writing();
    bench.read("parts of level 0");
    bench.merge();
    bench.report_disk();
    bench.read("one part");
}

trait Load {
    /// Fills the batch and returns the time of its last sample; `None` after the last batch.
    fn fill(&mut self, batch: &mut BatchBuilder) -> Option<i64>;
}

struct Bench {
    disk: Arc<dyn Disk>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<RealClock>,
    log: Log,
    store: MetricStore,
    tenant: TenantId,
    phases: BTreeMap<&'static str, Duration>,
    samples: u64,
    last_time: i64,
    /// The metric whose hour is read, instead of the largest one.
    metric: Option<String>,
    repeat: usize,
}

impl Bench {
    fn open(disk: Arc<dyn Disk>) -> Self {
        let clock = Arc::new(RealClock::new());
        let blobs: Arc<dyn Blobs> =
            Arc::new(DiskBlobs::open(Arc::clone(&disk), "blobs").expect("blobs open"));
        let random = Arc::new(OsRandom);
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let options = LogOptions {
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
            ..LogOptions::default()
        };
        let (log, _) = Log::open(Arc::clone(&disk), clock.clone(), random.clone(), options)
            .expect("the write-ahead log opens");
        let site = Site::new(Arc::clone(&blobs), clock.clone(), ids);
        let store =
            MetricStore::open(site, random, StoreSettings::default()).expect("the store opens");
        let tenant = TenantId::default_tenant();
        let phases = BTreeMap::new();
        Self {
            disk,
            blobs,
            clock,
            log,
            store,
            tenant,
            phases,
            samples: 0,
            last_time: 0,
            metric: None,
            repeat: 1,
        }
    }

    fn timed<T>(&mut self, phase: &'static str, run: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.clock.now();
        let answer = run(self);
        *self.phases.entry(phase).or_default() += self.clock.now().since(start);
        answer
    }

    fn write(&mut self, load: &mut dyn Load, head_bytes: u64) {
        let (mut batch, mut payload) = (BatchBuilder::new(), Vec::new());
        let mut number = 0u64;
        loop {
            batch.clear();
            payload.clear();
            let Some(time) = self.timed("decode (not the store's)", |_| load.fill(&mut batch))
            else {
                break;
            };
            self.last_time = time;
            self.samples += batch.sample_count() as u64;
            let prepared = self.timed("resolve and encode", |bench| {
                let tenant = &bench.tenant;
                bench.store.prepare(tenant, LIMITS, &mut batch, &mut payload).expect("it is taken")
            });
            let position = self.timed("log (lz4, crc, threads)", |bench| {
                let schema = BATCH_SCHEMA;
                let tenant = &bench.tenant;
                let batch = Batch { tenant, signal: Signal::Metrics, schema, payload: &payload };
                bench.log.append_wait(&batch).expect("the write-ahead log takes it")
            });
            self.timed("apply", |bench| {
                bench.store.apply(prepared, &mut batch, position).expect("it is applied");
            });
            number += 1;
            if number.is_multiple_of(64) && self.store.engine().stats().head.bytes >= head_bytes {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        self.timed("flush", |bench| {
            let engine = bench.store.engine();
            engine.cut(&bench.tenant, bench.log.end());
            engine.flush(&bench.tenant).expect("it is flushed");
        });
        let statuses = self.store.engine().tenants();
        let needed = statuses.iter().filter_map(|status| status.wal_needed_from).min();
        let needed = needed.unwrap_or(self.log.end());
        self.log.truncate_before(needed).expect("the write-ahead log can be truncated");
        self.merge_parts("merges on the way", false);
    }

    fn merge(&mut self) {
        self.merge_parts("full merge", true);
        self.show_phase("full merge");
    }

    fn merge_parts(&mut self, phase: &'static str, full: bool) {
        let request = MergeRequest { full, space: self.disk.space().expect("the disk has space") };
        self.timed(phase, |bench| {
            bench.store.engine().merge(&bench.tenant, &request).expect("it is merged")
        });
    }

    fn show_phase(&self, phase: &str) {
        let time = self.phases[phase];
        let each = time.as_nanos() as f64 / self.samples as f64;
        println!("{phase:>28}: {:8.3} s  {each:7.1} ns/sample", time.as_secs_f64());
    }

    fn report_writing(&self) {
        let series = self.store.series_stats().active_series;
        let parts = self.store.engine().stats().parts;
        println!("{} samples, {series} series, {parts} parts", self.samples);
        self.phases.keys().for_each(|phase| self.show_phase(phase));
        let own = |(phase, _): &(&&str, &Duration)| !phase.starts_with("decode");
        let time: Duration = self.phases.iter().filter(own).map(|(_, time)| *time).sum();
        let each = time.as_nanos() as f64 / self.samples as f64;
        println!("{:>28}: {:8.3} s  {each:7.1} ns/sample", "the store so far", time.as_secs_f64());
        memory();
    }

    fn report_disk(&self) {
        let mut kinds: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        let mut total = 0;
        for blob in self.blobs.list("parts").expect("parts are listed") {
            let part = parts::Part::open(self.blobs.as_ref(), &blob.key).expect("it opens");
            total += part.bytes();
            for index in 0..part.page_count().expect("it has pages") {
                let entry = part.entry(index).expect("it has this page");
                let (stored, raw) = kinds.entry(entry.kind).or_default();
                *stored += u64::from(entry.stored_length);
                *raw += u64::from(entry.raw_length);
            }
        }
        let each = |bytes: u64| bytes as f64 / self.samples as f64;
        println!("on disk: {total} bytes, {:.4} bytes/sample", each(total));
        const NAMES: [&str; 10] = [
            "?",
            "groups",
            "series",
            "columns",
            "values",
            "times",
            "histograms",
            "exemplars",
            "metadata",
            "dictionaries",
        ];
        for (kind, (stored, raw)) in kinds {
            let name = NAMES[usize::from(kind)];
            println!(
                "{name:>28}: {stored:>10} bytes  {:.4} bytes/sample (raw {raw})",
                each(stored)
            );
        }
        memory();
    }

    fn read(&mut self, what: &str) {
        for attempt in ["cold", "warm"] {
            for values_needed in [false, true] {
                let (series, samples, time) =
                    self.read_all(&[], TimeUnit::Millis.everything(), values_needed);
                let values = if values_needed { "with values" } else { "without values" };
                println!(
                    "everything of {what}, {attempt}, {values}: {series} series, {samples} samples, \
                     {:.1} ms",
                    time.as_secs_f64() * 1e3
                );
            }
        }
        self.read_instant(what);
        self.read_hour(what);
        memory();
    }

    /// Reads the last five minutes, as `count({__name__=~".+"})` does.
    fn read_instant(&mut self, what: &str) {
        let last = self.last_time;
        let range = TimeUnit::Millis.between(last - 300_000, last);
        let (_, _, first) = self.read_all(&[], range, false);
        let (series, samples, best) = self.best_of(&[], range, false);
        println!(
            "last 5 minutes of {what}: {series} series, {samples} samples, first {:.1} ms, \
             best of {} {:.1} ms",
            first.as_secs_f64() * 1e3,
            self.repeat,
            best.as_secs_f64() * 1e3
        );
    }

    fn best_of(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        values_needed: bool,
    ) -> (usize, u64, Duration) {
        let reads = (0..self.repeat.max(1)).map(|_| self.read_all(matchers, range, values_needed));
        reads.min_by_key(|(.., time)| *time).expect("at least one")
    }

    /// Reads an hour of one metric, as `rate` does.
    fn read_hour(&mut self, what: &str) {
        let last = self.last_time;
        let name = self.metric.clone().unwrap_or_else(|| self.largest_metric());
        let matchers = [Matcher::equal("__name__", &name)];
        let range = TimeUnit::Millis.between(last - 3_600_000, last);
        let (series, samples, time) = self.best_of(&matchers, range, true);
        println!(
            "one hour of {name} of {what}, best of {}: {series} series, {samples} samples, {:.2} ms",
            self.repeat,
            time.as_secs_f64() * 1e3
        );
    }

    fn largest_metric(&self) -> String {
        let wanted =
            Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: false };
        let selection =
            self.store.select(&self.tenant, &wanted, &mut Unbounded).expect("it is read");
        selection
            .cardinality(1, &mut Unbounded)
            .expect("there is room")
            .metrics
            .pop()
            .map_or_else(String::new, |metric| metric.name)
    }

    fn read_all(
        &self,
        matchers: &[Matcher],
        time: TimeRange,
        values_needed: bool,
    ) -> (usize, u64, Duration) {
        let start = self.clock.now();
        let wanted = Select { time, matchers, values_needed };
        let selection =
            self.store.select(&self.tenant, &wanted, &mut Unbounded).expect("it is read");
        let mut scratch = Scratch::default();
        let mut samples = 0;
        for index in 0..selection.len() {
            let read = selection.read(index, &mut scratch).expect("it is read");
            samples += read.floats.times.len() as u64;
        }
        (selection.len(), samples, self.clock.now().since(start))
    }
}

fn memory() {
    let stats = ProcessStats::read();
    let mib = |bytes: Option<u64>| bytes.unwrap_or(0) >> 20;
    let cpu = stats.cpu_seconds.unwrap_or(0.0);
    println!(
        "resident {} MiB, at most {} MiB; {cpu:.2} s of processor time in all",
        mib(stats.resident_bytes),
        mib(stats.peak_resident_bytes)
    );
}

fn clear_blobs(disk: &dyn Disk) {
    let tenant = TenantId::default_tenant();
    for folder in ["parts", "manifests"] {
        shared::clear(disk, &format!("blobs/{folder}/{tenant}/metrics"));
    }
}

/// Bodies from a payload file.
struct Payload {
    file: Arc<dyn ReadFile>,
    offset: u64,
    length: u64,
    left: usize,
    body: Vec<u8>,
    raw: Vec<u8>,
    labels: Vec<(usize, usize, usize, usize)>,
}

impl Payload {
    fn open(path: &str, bodies: usize) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let disk = RealDisk::open(folder).expect("the payload's folder opens");
        let file = disk.open(name).expect("the payload opens");
        let length = file.len().expect("the payload has a length");
        Self {
            file,
            offset: 0,
            length,
            left: bodies,
            body: Vec::new(),
            raw: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn next_body(&mut self) -> bool {
        if self.offset >= self.length || self.left == 0 {
            return false;
        }
        let mut header = [0; 8];
        self.file.read_exact_at(&mut header, self.offset).expect("a header");
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        self.body.resize(length as usize, 0);
        self.file.read_exact_at(&mut self.body, self.offset + 8).expect("a body");
        self.offset += 8 + u64::from(length);
        self.left -= 1;
        let raw = snap::raw::decompress_len(&self.body).expect("a snappy block");
        self.raw.resize(raw, 0);
        snap::raw::Decoder::new().decompress(&self.body, &mut self.raw).expect("a snappy block");
        true
    }
}

impl Load for Payload {
    fn fill(&mut self, batch: &mut BatchBuilder) -> Option<i64> {
        if !self.next_body() {
            return None;
        }
        let raw = &self.raw;
        let mut last = 0;
        for (tag, start, end) in Fields::new(raw, 0, raw.len()) {
            if tag != 10 {
                continue;
            }
            self.labels.clear();
            for (tag, start, end) in Fields::new(raw, start, end).filter(|field| field.0 == 10) {
                let (mut name, mut value) = ((0, 0), (0, 0));
                debug_assert_eq!(tag, 10);
                for (tag, start, end) in Fields::new(raw, start, end) {
                    if tag == 10 { name = (start, end) } else { value = (start, end) }
                }
                // An empty value means that the label is absent.
                if value.0 < value.1 {
                    self.labels.push((name.0, name.1, value.0, value.1));
                }
            }
            let slot = batch.series_with(|bytes| {
                for (a, b, c, d) in &self.labels {
                    let text = |from: usize, to: usize| {
                        std::str::from_utf8(&raw[from..to]).expect("UTF-8")
                    };
                    model::write_label(text(*a, *b), text(*c, *d), bytes);
                }
            });
            for (_, start, end) in Fields::new(raw, start, end).filter(|field| field.0 == 18) {
                let (mut value, mut time) = (0.0, 0);
                for (tag, start, end) in Fields::new(raw, start, end) {
                    match tag {
                        9 => {
                            value = f64::from_le_bytes(raw[start..end].try_into().expect("8 bytes"))
                        }
                        _ => time = end as i64,
                    }
                }
                batch.sample(slot, time, value);
                last = time;
            }
        }
        Some(last)
    }
}

/// The fields of a message: the tag, and where the content begins and ends. For a number field, its
/// value is in the place of the end.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], at: usize, end: usize) -> Self {
        Self { bytes, at, end }
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.bytes[self.at];
            self.at += 1;
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = (u64, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let tag = self.varint();
        match tag & 7 {
            0 => Some((tag, 0, self.varint() as usize)),
            wire => {
                let length = if wire == 1 { 8 } else { self.varint() as usize };
                let start = self.at;
                self.at += length;
                Some((tag, start, start + length))
            }
        }
    }
}

/// Servers with counters, gauges and many series that never change, scraped every 15 seconds.
struct Generated {
    random: SeededRandom,
    series: usize,
    values: Vec<f64>,
    next: usize,
    round: usize,
    rounds: usize,
}

impl Generated {
    const BODY: usize = 2_000;
    const START_MS: i64 = 1_800_000_000_000;

    fn new(series: usize, rounds: usize) -> Self {
        let random = SeededRandom::new(1);
        let values = (0..series).map(|_| random.below(1_000) as f64).collect();
        Self { random, series, values, next: 0, round: 0, rounds }
    }

    fn advance(&mut self, series: usize) -> f64 {
        let value = &mut self.values[series];
        match series % 7 {
            0 => *value += self.random.below(50) as f64,
            1 => *value = self.random.below(1_000) as f64 / 1_000.0,
            _ => {}
        }
        *value
    }
}

impl Load for Generated {
    fn fill(&mut self, batch: &mut BatchBuilder) -> Option<i64> {
        if self.round == self.rounds {
            return None;
        }
        let mut last = 0;
        let end = (self.next + Self::BODY).min(self.series);
        for series in self.next..end {
            let (host, metric) = (series / 700, series % 700);
            let slot = batch.series_with(|bytes| {
                model::write_label(
                    "__name__",
                    &format!("made_up_metric_{}_total", metric / 7),
                    bytes,
                );
                model::write_label("device", &format!("dev{}", metric % 7), bytes);
                model::write_label(
                    "instance",
                    &format!("10.0.{}.{}:9100", host / 256, host % 256),
                    bytes,
                );
                model::write_label("job", "node", bytes);
            });
            let time = Self::START_MS + self.round as i64 * 15_000 + (host % 100) as i64 * 37;
            let value = self.advance(series);
            batch.sample(slot, time, value);
            last = time;
        }
        self.next = end;
        if end == self.series {
            (self.next, self.round) = (0, self.round + 1);
        }
        Some(last)
    }
}
