//! `/metrics`: every instrument of the server, with the figures of the process as they are when the page
//! is asked for.

use crate::app::{App, VERSION};
use crate::http::{Call, reply};
use axum::http::StatusCode;
use axum::response::Response;
use engine::EngineStats;
use observe::{Counter, Gauge, GaugeFamily, Metric, TextFormat};
use platform::ProcessStats;
use std::sync::Arc;

static CPU: Gauge = Gauge::new("process_cpu_seconds_total", "Processor time, user and system.");
static RESIDENT: Gauge = Gauge::new("process_resident_memory_bytes", "Memory in RAM.");
static VIRTUAL: Gauge = Gauge::new("process_virtual_memory_bytes", "Address space.");
static PEAK: Gauge = Gauge::new("process_resident_memory_peak_bytes", "The most memory in RAM.");
static THREADS: Gauge = Gauge::new("process_threads", "Threads.");
static OPEN_FDS: Gauge = Gauge::new("process_open_fds", "Open file descriptors.");
static MAX_FDS: Gauge = Gauge::new("process_max_fds", "How many may be open.");
static START: Gauge = Gauge::new("process_start_time_seconds", "When the process started.");
static READ: Counter = Counter::new("process_io_read_bytes_total", "Bytes read from disk.");
static WRITTEN: Counter = Counter::new("process_io_written_bytes_total", "Bytes written to disk.");
static BUILD: GaugeFamily =
    GaugeFamily::new("mirador_build_info", "Always 1; the labels say what runs.", &["version"]);
static READY: Gauge = Gauge::new("mirador_ready", "1 when requests are served.");
static HEAD_ROWS: GaugeFamily =
    GaugeFamily::new("mirador_head_rows", "Rows that are not in parts yet.", &["signal"]);
static HEAD_BYTES: GaugeFamily =
    GaugeFamily::new("mirador_head_bytes", "Memory of rows not in parts yet.", &["signal"]);
static PARTS: GaugeFamily = GaugeFamily::new("mirador_parts", "Parts.", &["signal"]);
static PART_ROWS: GaugeFamily =
    GaugeFamily::new("mirador_part_rows", "Rows in parts.", &["signal"]);
static PART_BYTES: GaugeFamily =
    GaugeFamily::new("mirador_part_bytes", "Size of the parts.", &["signal"]);
static QUERIES_RUNNING: Gauge = Gauge::new("mirador_queries_running", "Queries that run.");
static QUERIES_WAITING: Gauge =
    Gauge::new("mirador_queries_waiting", "Queries that wait for a thread.");
static DISK_FREE: Gauge = Gauge::new("mirador_disk_free_bytes", "Free space of the data folder.");

/// Processor time only rises, but it is a fraction, which counters cannot hold: a gauge that is
/// announced as a counter.
struct CpuSeconds;

impl Metric for CpuSeconds {
    fn name(&self) -> &'static str {
        CPU.name()
    }
    fn help(&self) -> &'static str {
        CPU.help()
    }
    fn kind(&self) -> observe::MetricKind {
        observe::MetricKind::Counter
    }
    fn collect(&self) -> Vec<observe::Point> {
        CPU.collect()
    }
}

pub(crate) static METRICS: &[&dyn Metric] = &[
    &CpuSeconds,
    &RESIDENT,
    &VIRTUAL,
    &PEAK,
    &THREADS,
    &OPEN_FDS,
    &MAX_FDS,
    &START,
    &READ,
    &WRITTEN,
    &BUILD,
    &READY,
    &HEAD_ROWS,
    &HEAD_BYTES,
    &PARTS,
    &PART_ROWS,
    &PART_BYTES,
    &QUERIES_RUNNING,
    &QUERIES_WAITING,
    &DISK_FREE,
];

pub(crate) async fn page(app: Arc<App>, call: Call) -> Response {
    let open = call.header("accept").contains("application/openmetrics-text");
    let format = if open { TextFormat::OpenMetrics } else { TextFormat::Prometheus };
    refresh(&app);
    reply::of(StatusCode::OK, format.content_type(), app.registry.render(format))
}

/// Reads the figures that nothing counts as they change.
pub(crate) fn refresh(app: &App) {
    let stats = ProcessStats::read();
    let whole = |gauge: &Gauge, value: Option<u64>| {
        if let Some(value) = value {
            gauge.set(value as f64);
        }
    };
    CPU.set(stats.cpu_seconds.unwrap_or(0.0));
    whole(&RESIDENT, stats.resident_bytes);
    whole(&VIRTUAL, stats.virtual_bytes);
    whole(&PEAK, stats.peak_resident_bytes);
    whole(&THREADS, stats.threads);
    whole(&OPEN_FDS, stats.open_fds);
    whole(&MAX_FDS, stats.max_fds);
    READ.observe_total(stats.read_bytes.unwrap_or(0));
    WRITTEN.observe_total(stats.written_bytes.unwrap_or(0));
    START.set(app.started_ms as f64 / 1_000.0);
    BUILD.set(&[VERSION], 1.0);
    READY.set(f64::from(u8::from(app.lifecycle.phase() == crate::lifecycle::Phase::Ready)));
    let queries = app.services.query_pool.load();
    QUERIES_RUNNING.set(queries.running as f64);
    QUERIES_WAITING.set(queries.waiting as f64);
    if let Some(stores) = app.stores() {
        whole(&DISK_FREE, stores.disk_free());
        for engine in stores.maintenance.engines() {
            refresh_engine(engine.signal().as_str(), &engine.stats());
        }
    }
}

fn refresh_engine(signal: &str, stats: &EngineStats) {
    for (family, value) in [
        (&HEAD_ROWS, stats.head.rows),
        (&HEAD_BYTES, stats.head.bytes),
        (&PARTS, stats.parts),
        (&PART_ROWS, stats.part_rows),
        (&PART_BYTES, stats.part_bytes),
    ] {
        family.set(&[signal], value as f64);
    }
}
