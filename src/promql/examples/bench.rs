//! How fast queries are: 78,100 series of 240 samples in memory, one query at a time.
#![expect(clippy::print_stdout, reason = "a command for people")]

use model::{Labels, LabelsBuilder, Matcher, Room, matches_all};
use platform::threads::Helpers;
use platform::{Clock, RealClock};
use promql::storage::{Column, Scratch, SeriesColumns};
use promql::{
    Engine, EngineOptions, ParseOptions, QueryValue, Request, SelectHints, Selection, Storage,
    StorageError,
};

const SAMPLES: usize = 240;
const STEP_MS: i64 = 15_000;
const INSTANCES: usize = 781;
const MODES: [&str; 10] =
    ["idle", "user", "system", "iowait", "irq", "softirq", "nice", "steal", "guest", "other"];

/// Series that were scraped together share their times.
struct Columns {
    times: Vec<i64>,
    series: Vec<(Labels, Vec<f64>)>,
}

struct Selected<'a> {
    times: &'a [i64],
    series: Vec<&'a (Labels, Vec<f64>)>,
}

impl Selection for Selected<'_> {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].0.clone()
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        _: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let floats = Column { times: self.times, values: &self.series[index].1, starts: &[] };
        Ok(SeriesColumns { floats, histograms: Column::EMPTY })
    }
}

impl Storage for Columns {
    fn select<'a>(
        &'a self,
        _: &SelectHints,
        matchers: &[Matcher],
        _: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let matching = self.series.iter().filter(|(labels, _)| matches_all(matchers, labels));
        Ok(Box::new(Selected { times: &self.times, series: matching.collect() }))
    }
}

impl Columns {
    /// A tenth of the series are `cpu_seconds_total`, the rest buckets and gauges.
    fn new() -> Self {
        let times = (0..SAMPLES as i64).map(|index| index * STEP_MS).collect();
        let mut series = Vec::new();
        let mut push = |builder: &mut LabelsBuilder, instance: usize, slope: f64| {
            let labels = builder
                .set("instance", &format!("10.0.{}.{}:9100", instance / 256, instance % 256))
                .set("job", "node")
                .build();
            let values = (0..SAMPLES).map(|at| (at * (instance + 3)) as f64 * slope).collect();
            series.push((labels, values));
        };
        for instance in 0..INSTANCES {
            for (index, mode) in MODES.iter().enumerate() {
                for cpu in ["0", "1"] {
                    let mut builder = LabelsBuilder::default();
                    let name = builder
                        .set("__name__", "cpu_seconds_total")
                        .set("mode", mode)
                        .set("cpu", cpu);
                    push(name, instance, 0.1 * (index + 1) as f64);
                }
            }
            for (index, le) in ["0.1", "0.5", "1", "5", "+Inf"].iter().enumerate() {
                for path in ["/a", "/b", "/c", "/d"] {
                    let mut builder = LabelsBuilder::default();
                    let name = builder
                        .set("__name__", "latency_seconds_bucket")
                        .set("path", path)
                        .set("le", le);
                    push(name, instance, (index + 1) as f64);
                }
            }
            for disk in 0..60 {
                let mut builder = LabelsBuilder::default();
                let name = builder
                    .set("__name__", if disk < 30 { "disk_used_bytes" } else { "disk_size_bytes" })
                    .set("disk", &format!("sd{}", disk % 30));
                push(name, instance, 4096.0);
            }
        }
        series.sort_by(|left, right| left.0.cmp(&right.0));
        Self { times, series }
    }
}

const QUERIES: [&str; 12] = [
    "cpu_seconds_total",
    "rate(cpu_seconds_total[5m])",
    "sum by (mode) (rate(cpu_seconds_total[5m]))",
    "sum by (instance) (increase(cpu_seconds_total[5m]))",
    "avg(disk_used_bytes)",
    "count(disk_used_bytes)",
    "disk_used_bytes / disk_size_bytes",
    "sum by (disk) (disk_used_bytes / disk_size_bytes)",
    "histogram_quantile(0.99, sum by (le, path) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.99, rate(latency_seconds_bucket[5m]))",
    "max_over_time(disk_used_bytes[10m])",
    "topk(5, rate(cpu_seconds_total[5m]))",
];

fn main() {
    let store = Columns::new();
    println!("{} series of {SAMPLES} samples", store.series.len());
    let only = std::env::args().nth(1).unwrap_or_default();
    let clock = RealClock::new();
    for threads in [1, 2] {
        let helpers = Helpers::start("helper", threads - 1).expect("threads can be started");
        println!("\n{threads} thread(s), one hour at 15 s: best of five, milliseconds");
        let parse = ParseOptions::everything();
        let samples_max = usize::MAX;
        let options = EngineOptions { parse, helpers, samples_max, ..EngineOptions::default() };
        let engine = Engine::new(options);
        for query in QUERIES.iter().filter(|query| query.contains(&only)) {
            measure(&engine, &clock, &store, query);
        }
    }
}

fn measure(engine: &Engine, clock: &RealClock, store: &Columns, query: &str) {
    let end = (SAMPLES as i64 - 1) * STEP_MS;
    let mut best = f64::INFINITY;
    let mut found = (0, 0);
    for _ in 0..5 {
        let start = clock.now();
        let request = Request::range(query, 0, end, STEP_MS);
        let result = engine.run(store, clock, &request).expect("the queries are fine");
        best = best.min(clock.now().since(start).as_secs_f64() * 1e3);
        let QueryValue::Matrix { series, .. } = result.value else { continue };
        found = (series.len(), result.stats.total as usize);
    }
    let per_sample = best * 1e6 / found.1.max(1) as f64;
    println!("{best:9.2}  {:6} series  {per_sample:6.2} ns/sample  {query}", found.0);
}
