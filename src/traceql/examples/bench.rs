//! How long queries over 633,000 spans in 100,000 traces take: `cargo run --release -p traceql --example
//! bench [FILTER]`. The best and the middle of some runs are printed, on one thread and on two.
//!
//! The first column is the first run, which decodes; the store keeps decoded pieces as its cache allows.

use engine::Intake;
use model::{TenantId, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::threads::Helpers;
use platform::{Blobs, Clock, Disk, DiskBlobs, Ids, Random, RealClock, SeededRandom};
use std::sync::Arc;
use std::time::Duration;
use trace_store::{StoreSettings, TraceStore};
use traceql::{Engine, EngineOptions, Limits, MetricTimes, Metrics, Request, SearchLimits, parse};
use wire::otlp::{AnyValue, Attribute};
use wire::{SpanRef, SpanSink};

const TRACES: u64 = 100_000;
const BASE_NS: u64 = 1_767_225_600 * 1_000_000_000;
const HOUR_NS: u64 = 3_600 * 1_000_000_000;

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let store = store(1 << 30);
    let tenant = TenantId::default_tenant();
    let clock = RealClock::default();
    let started = clock.now();
    let spans = load(&store, &tenant);
    print(&format!("{spans} spans loaded in {:?}", clock.now().since(started)));
    let helpers = Helpers::start("bench", 1).expect("a thread starts");
    for (name, helpers) in [("one thread", Helpers::none()), ("two threads", helpers)] {
        let limits = Limits { series_max: 100_000, ..Limits::default() };
        let engine = Engine::new(EngineOptions { limits, helpers });
        print(name);
        for text in QUERIES.iter().filter(|text| text.contains(&filter)) {
            let mut times: Vec<Duration> = Vec::new();
            let mut answers = 0;
            for _ in 0..9 {
                let started = clock.now();
                answers = ask(&engine, &store, &tenant, text);
                times.push(clock.now().since(started));
            }
            let first = times[0];
            times.sort();
            print(&format!(
                "{:>9.2?} first {:>9.2?} best {:>9.2?} middle {answers:>6}  {text}",
                first,
                times[0],
                times[times.len() / 2]
            ));
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print(text: &str) {
    println!("{text}");
}

const QUERIES: [&str; 17] = [
    "{ } | rate() by (resource.service.name)",
    "{ nestedSetParent < 0 && true } | rate() by (resource.service.name)",
    "{ status = error } | rate() by (resource.service.name)",
    "{ } | quantile_over_time(duration, 0.9)",
    "{ } | quantile_over_time(duration, 0.9) by (resource.service.name)",
    "{ } | histogram_over_time(duration)",
    "{ } | rate() by (name, status)",
    "{ kind = server } | count_over_time() by (span.http.response.status_code)",
    "{ } | avg_over_time(duration) by (name)",
    "{ } | compare({ status = error })",
    "{ nestedSetParent < 0 } | compare({ duration >= 200ms })",
    "{ status = error }",
    "{ resource.service.name = \"service-3\" && span.http.response.status_code = 500 }",
    "{ span.url.path =~ \".*/77.*\" && duration > 10ms }",
    "{ status = error } >> { kind = client && duration > 100ms }",
    "{ nestedSetParent < 0 && status = error } &>> { status = error } | select(name)",
    "{ } | count() > 11",
];

fn ask(engine: &Engine, store: &TraceStore, tenant: &TenantId, text: &str) -> usize {
    let query = parse(text).expect("the queries are right");
    let request = Request::new(tenant, BASE_NS as i64, (BASE_NS + HOUR_NS) as i64);
    let clock = SimClock::new();
    if query.is_metrics() {
        let times = MetricTimes::Range { step_ns: 60 * 1_000_000_000 };
        let wanted = Metrics { times, exemplars: 100 };
        return engine
            .metrics(store, &clock, &request, &query, &wanted)
            .expect("answers")
            .value
            .len();
    }
    let limits = SearchLimits { traces: 20, spans: 3 };
    engine.search(store, &clock, &request, &query, limits).expect("answers").value.len()
}

fn store(cache_bytes: usize) -> TraceStore {
    let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(7)));
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(disk, "blobs").expect("an empty disk"));
    let ids = Arc::new(Ids::new(clock.clone(), random));
    let settings = StoreSettings { cache_bytes, ..StoreSettings::default() };
    TraceStore::open(Site::new(blobs, clock, ids), settings).expect("an empty store")
}

fn load(store: &TraceStore, tenant: &TenantId) -> u64 {
    let random = SeededRandom::new(1);
    let below = |most: u64| random.next_u64() % most;
    let mut spans = 0;
    for start in (0..TRACES).step_by(2_000) {
        let mut batch = store.batch(tenant);
        for trace in start..start + 2_000 {
            let count = 1 + below(12);
            spans += count;
            add_trace(&mut batch, trace, count, &below);
        }
        let position = |offset| WalPosition { segment: start + 1, offset };
        batch.encode(&mut Vec::new()).expect("a batch");
        batch.apply(position(1)).expect("a head");
    }
    let engine = store.engine();
    engine.cut(tenant, WalPosition { segment: u64::from(u32::MAX), offset: 2 });
    engine.flush(tenant).expect("a part");
    spans
}

fn text(key: &'static str, value: String) -> Attribute<'static> {
    Attribute { key: key.into(), value: AnyValue::Text(value.into()) }
}

fn int(key: &'static str, value: i64) -> Attribute<'static> {
    Attribute { key: key.into(), value: AnyValue::Int(value) }
}

fn add_trace(batch: &mut impl SpanSink, trace: u64, count: u64, below: &impl Fn(u64) -> u64) {
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&(trace.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1).to_be_bytes());
    let start = BASE_NS + trace * (HOUR_NS / TRACES);
    for span in 0..count {
        let service = below(10);
        batch.resource(&[
            text("service.name", format!("service-{service}")),
            text("k8s.pod.name", format!("pod-{}", service * 3 + below(3))),
            text("deployment.environment", "production".to_owned()),
        ]);
        batch.scope("io.opentelemetry.http", "1.2.0", &[]);
        let error = below(50) == 0;
        let code = if error { 500 } else { [200, 201, 404][below(3) as usize] };
        let attributes = [
            text("http.request.method", ["GET", "POST", "PUT"][below(3) as usize].to_owned()),
            int("http.response.status_code", code),
            text("url.path", format!("/api/items/{}", below(5_000))),
            text("user.id", format!("{:x}", below(1 << 40))),
            int("thread.id", below(64) as i64),
            text("server.address", format!("host-{}", below(20))),
        ];
        let id = |span: u64| (trace << 16 | (span + 1)).to_be_bytes();
        let start_ns = start + span * 1_000_000;
        batch.span(&SpanRef {
            trace_id,
            span_id: id(span),
            parent_span_id: if span == 0 { [0; 8] } else { id(below(span)) },
            name: ["GET /items", "SELECT", "publish", "consume", "render"][below(5) as usize],
            kind: 1 + below(5) as u8,
            start_ns,
            end_ns: start_ns + below(1 << (10 + below(20))),
            status: if error { 2 } else { 0 },
            status_message: if error { "it broke" } else { "" },
            attributes: &attributes[..3 + below(4) as usize],
            ..SpanRef::default()
        });
    }
}
