//! The trace store and TraceQL, as far as the counted work uses them, and bodies of OTLP as an SDK sends
//! them, generated from a seed.

use engine::{Engine, Intake, MergeRequest};
use model::{TenantId, Unbounded, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, Random, SeededRandom};
use prost::Message;
use std::sync::Arc;
use trace_store::{StoreSettings, TraceStore};
use traceql::{
    Engine as Language, EngineOptions, EntryBox, EntryFilter, EntryOrder, MetricTimes, Metrics,
    Request, SearchLimits,
};
use wire::proto::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use wire::proto::opentelemetry::proto::common::v1::{AnyValue, KeyValue, any_value::Value};
use wire::proto::opentelemetry::proto::resource::v1::Resource;
use wire::proto::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Traces of each body, and spans of each trace: one of each service.
pub(crate) const TRACES: usize = 100;
pub(crate) const SERVICES: usize = 6;
const START_NS: u64 = 1_795_219_200_000_000_000;
/// Between two traces.
const STEP_NS: u64 = 20_000_000;

pub(crate) struct SpanLoad {
    random: SeededRandom,
    next_ns: u64,
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value }
}

fn number(key: &str, value: u64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value as i64)) });
    KeyValue { key: key.to_owned(), value }
}

impl SpanLoad {
    pub(crate) fn new() -> Self {
        Self { random: SeededRandom::new(13), next_ns: START_NS }
    }

    /// The time behind the last span, in nanoseconds.
    pub(crate) fn end_ns(&self) -> i64 {
        self.next_ns as i64 + 60_000_000_000
    }

    /// An `ExportTraceServiceRequest`.
    pub(crate) fn next_body(&mut self) -> Vec<u8> {
        let mut spans: [Vec<Span>; SERVICES] = Default::default();
        for _ in 0..TRACES {
            self.trace(&mut spans);
        }
        let of_service = |(service, spans)| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", &format!("service{service}")),
                    text("k8s.pod.name", &format!("service{service}-0")),
                ],
            }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        };
        let resource_spans = spans.into_iter().enumerate().map(of_service).collect();
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    fn trace(&mut self, spans: &mut [Vec<Span>; SERVICES]) {
        self.next_ns += STEP_NS;
        let below = |most: u64| self.random.below(most);
        let trace_id = [below(u64::MAX).to_be_bytes(), below(u64::MAX).to_be_bytes()].concat();
        let (mut parent_span_id, mut start) = (Vec::new(), self.next_ns);
        let mut length = 1_000_000 + below(2_000_000_000);
        for (service, spans) in spans.iter_mut().enumerate() {
            let span_id = below(u64::MAX).to_be_bytes().to_vec();
            let is_failed = below(50) == 0;
            spans.push(Span {
                trace_id: trace_id.clone(),
                span_id: span_id.clone(),
                parent_span_id: std::mem::replace(&mut parent_span_id, span_id),
                name: ["GET /cart", "POST /pay", "GET /items/{id}"][below(3) as usize].to_owned(),
                kind: 2 + (service % 2) as i32,
                start_time_unix_nano: start,
                end_time_unix_nano: start + length,
                attributes: vec![
                    text("http.request.method", ["GET", "POST"][below(2) as usize]),
                    number("http.response.status_code", if is_failed { 500 } else { 200 }),
                    text("customer.id", &format!("c{:06}", below(50_000))),
                ],
                status: Some(Status { code: if is_failed { 2 } else { 0 }, ..Status::default() }),
                ..Span::default()
            });
            start += length / 50;
            length /= 2;
        }
    }
}

pub(crate) struct SpanStore {
    store: TraceStore,
    engine: Arc<dyn Engine>,
    tenant: TenantId,
    disk: Arc<SimDisk>,
    clock: Arc<SimClock>,
    position: WalPosition,
    payload: Vec<u8>,
}

impl SpanStore {
    pub(crate) fn new() -> Self {
        let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(7)));
        let disk = Arc::new(SimDisk::new());
        let blobs = DiskBlobs::open(Arc::clone(&disk) as Arc<dyn Disk>, "blobs");
        let blobs: Arc<dyn Blobs> = Arc::new(blobs.expect("an empty disk opens"));
        let ids = Arc::new(Ids::new(clock.clone(), random));
        let site = Site::new(blobs, clock.clone(), ids);
        let store = TraceStore::open(site, StoreSettings::default());
        let store = store.expect("an empty store opens");
        Self {
            engine: store.engine(),
            store,
            tenant: TenantId::default_tenant(),
            disk,
            clock,
            position: WalPosition { segment: 1, offset: 0 },
            payload: Vec::new(),
        }
    }

    /// Takes the body of an export. Answers how many spans it had.
    pub(crate) fn write(&mut self, body: &[u8]) -> usize {
        let Self { store, tenant, payload, .. } = self;
        payload.clear();
        let mut batch = store.batch(tenant);
        let decoded = wire::otlp::decode_otlp_spans(body, &mut Unbounded, &mut batch);
        let decoded = decoded.expect("it is an export");
        batch.encode(payload).expect("it is taken");
        self.position.offset += payload.len() as u64;
        batch.apply(self.position).expect("it is applied");
        decoded.spans as usize
    }

    pub(crate) fn flush(&mut self) {
        self.position.offset += 1;
        self.engine.cut(&self.tenant, self.position);
        self.engine.flush(&self.tenant).expect("it is flushed");
    }

    pub(crate) fn merge(&self) {
        let space = self.disk.space().expect("the disk has space");
        let request = MergeRequest { full: true, space };
        self.engine.merge(&self.tenant, &request).expect("it is merged");
    }

    pub(crate) fn parts(&self) -> usize {
        self.store.parts(&self.tenant).len()
    }

    fn request(&self, end_ns: i64) -> Request<'_> {
        Request::new(&self.tenant, START_NS as i64, end_ns)
    }

    /// Answers how many traces a search finds.
    pub(crate) fn search(&self, query: &str, end_ns: i64) -> usize {
        let (language, query) = (Language::new(EngineOptions::default()), parsed(query));
        let limits = SearchLimits { traces: 20, spans: 3 };
        let request = self.request(end_ns);
        let found = language.search(&self.store, &*self.clock, &request, &query, limits);
        found.expect("it is answered").value.len()
    }

    /// Answers how many series a query of metrics has.
    pub(crate) fn metrics(&self, query: &str, end_ns: i64) -> usize {
        let (language, query) = (Language::new(EngineOptions::default()), parsed(query));
        let times = MetricTimes::Range { step_ns: 30_000_000_000 };
        let (request, wanted) = (self.request(end_ns), Metrics { times, exemplars: 0 });
        let series = language.metrics(&self.store, &*self.clock, &request, &query, &wanted);
        series.expect("it is answered").value.len()
    }

    /// Answers how many transactions the grid of columns of five seconds has.
    #[allow(dead_code, reason = "its instructions are not counted")]
    pub(crate) fn hitmap(&self, query: Option<&str>, service: &str, end_ns: i64) -> usize {
        let (language, query) = (Language::new(EngineOptions::default()), query.map(parsed));
        let (request, filter) =
            (self.request(end_ns), EntryFilter { query: query.as_ref(), service });
        let grid = language.entry_grid(&self.store, &*self.clock, &request, &filter, 5);
        grid.expect("it is answered").value.cells.iter().map(|cell| cell.hits as usize).sum()
    }

    /// Answers how many of the latest transactions are listed that took so long.
    #[allow(dead_code, reason = "its instructions are not counted")]
    pub(crate) fn transactions(&self, least_ns: u64, end_ns: i64) -> usize {
        let language = Language::new(EngineOptions::default());
        let (durations, order) = (least_ns..u64::MAX, EntryOrder::End);
        let wanted = EntryBox { durations, are_errors: None, order, limit: 1_000 };
        let (request, filter) = (self.request(end_ns), EntryFilter::default());
        let list = language.entry_list(&self.store, &*self.clock, &request, &filter, &wanted);
        list.expect("it is answered").value.entries.len()
    }
}

fn parsed(query: &str) -> traceql::ast::Query {
    traceql::parse(query).expect("it is a query")
}
