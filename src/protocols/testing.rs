//! A server around the protocols for tests: the real stores on a simulated disk, a clock that stands
//! still, and fixtures of requests with the answers that they must get.

use crate::services::*;
use crate::{
    BodyLimits, Host, Identified, Principal, Protocol, ProtocolSettings, Refusal, Session, Stop,
    Stopper, all, not_found, router,
};
use alerting::config::{Config, Integration};
use alerting::engine::Delivery;
use alerting::service::{Alertmanagers, Deliver, Loaded, Parts as AlertingParts};
use alerting::{SendError, Templates};
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ingest::{Gateway, Repeats, RetentionClock};
use log_store::{LogField, LogRows, LogStore, NO_TEXTS, Needs, Order, Scratch, Select};
use metric_store::{Limits, MetricStore, StoreSettings};
use model::TimeUnit;
use parts::Site;
use platform::sim::{Fault, Operation, SimClock, SimDisk};
use platform::{Clock, Disk, DiskBlobs, Ids, SeededRandom};
use query::{Pool, PoolSettings};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tower::ServiceExt as _;
use trace_store::TraceStore;
use wal::{Health, Log, LogOptions};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Gives snapshots names without taking any.
#[derive(Debug)]
struct NamedSnapshots;

impl Snapshots for NamedSnapshots {
    fn take(&self, skip_head: bool) -> Result<String, ServiceError> {
        Ok(if skip_head { "without-head" } else { "a-name" }.to_owned())
    }
}

/// Tells nobody.
#[derive(Debug)]
struct Nobody;

impl Deliver for Nobody {
    fn deliver<'a>(
        &'a self,
        _: &'a Loaded,
        _: &'a Integration,
        _: &'a Delivery,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        Box::pin(async { Ok(()) })
    }
}

fn open_alerting(
    yaml: &str,
    clock: &Arc<dyn Clock>,
    disk: &SimDisk,
    runtime: &tokio::runtime::Runtime,
) -> AlertingServices {
    let config = Config::parse(yaml).unwrap_or_else(|_| Config::without_file());
    let (config, templates) = (Arc::new(config), Templates::new([]).unwrap());
    let managers = Alertmanagers::open(AlertingParts {
        clock: Arc::clone(clock),
        random: Arc::new(SeededRandom::new(1)),
        disk: Arc::new(disk.clone()),
        deliver: Arc::new(Nobody),
        loaded: Loaded { config, templates, folder: Default::default() },
        watchdog: None,
        runtime: runtime.handle().clone(),
    });
    AlertingServices { managers: managers.unwrap(), source: None }
}

fn open_stores(
    clock: &Arc<dyn Clock>,
    disk: &SimDisk,
) -> (MetricServices, LogServices, TraceServices) {
    let shared = Arc::new(disk.clone());
    let random = Arc::new(SeededRandom::new(1));
    let blobs = Arc::new(DiskBlobs::open(shared.clone(), "blobs").unwrap());
    let ids = Arc::new(Ids::new(Arc::clone(clock), random.clone()));
    let site = Site::new(blobs, Arc::clone(clock), ids);
    let settings = StoreSettings { cache_bytes: 1 << 20, ..StoreSettings::default() };
    let store = MetricStore::open(site.clone(), random.clone(), settings).unwrap();
    let log_store = LogStore::open(site.clone(), log_store::StoreSettings::default()).unwrap();
    let trace_store = TraceStore::open(site, trace_store::StoreSettings::default()).unwrap();
    let options = LogOptions { retry: Duration::from_millis(1), ..LogOptions::default() };
    let (wal, _) = Log::open(shared, Arc::clone(clock), random, options).unwrap();
    let known = store.engine().wal_covered().unwrap_or_default();
    let repeats = Arc::new(Repeats::new(Arc::clone(clock)));
    let gateway = Arc::new(Gateway::new(Arc::new(wal), known, repeats));
    let retention_clock = Arc::new(RetentionClock::new(Arc::clone(clock), None));
    let logs = LogServices {
        store: log_store,
        gateway: Arc::clone(&gateway),
        retention_clock: Arc::clone(&retention_clock),
    };
    let traces = TraceServices {
        store: trace_store,
        gateway: Arc::clone(&gateway),
        retention_clock: Arc::clone(&retention_clock),
    };
    let limits = Limits { active_series_max: 1_000_000, setting: "metrics.active_series_max" };
    let metrics = MetricServices {
        store,
        gateway,
        limits: PerTenant::new(limits),
        retention_clock,
        snapshots: Arc::new(NamedSnapshots),
    };
    (metrics, logs, traces)
}

/// Holds everything.
fn tester() -> Principal {
    let mut tester = Principal::operator();
    "tester".clone_into(&mut tester.name);
    tester
}

/// Admits every request, except those that name a refusal in `x-test-refuse`.
struct TestHost(Arc<Services>);

impl Host for TestHost {
    fn services(&self) -> &Arc<Services> {
        &self.0
    }

    fn unavailable(&self) -> Option<String> {
        None
    }

    fn admits_host(&self, _: &Parts) -> Result<(), Refusal> {
        Ok(())
    }

    fn identify<'a>(&'a self, parts: &'a Parts) -> Identified<'a> {
        let refusal = match parts.headers.get("x-test-refuse").map(|value| value.as_bytes()) {
            None => None,
            Some(b"missing") => Some(Refusal::Missing),
            Some(b"scope") => Some(Refusal::Scope { who: "tester".to_owned(), scope: "write" }),
            Some(_) => Some(Refusal::Starting),
        };
        Box::pin(async { refusal.map_or_else(|| Ok(tester()), Err) })
    }

    fn body_limits(&self) -> BodyLimits {
        let timeout = Duration::from_secs(10);
        BodyLimits { timeout, size_max: 1 << 20, decompressed_max: 4 << 20 }
    }

    fn peer(&self, _: &Parts) -> Option<SocketAddr> {
        None
    }
}

/// What a test may change before its server is made.
pub(crate) struct Setup {
    pub(crate) services: Services,
    pub(crate) queries: PoolSettings,
    pub(crate) settings: ProtocolSettings,
    /// Alertmanager's configuration.
    pub(crate) alertmanager: &'static str,
}

pub(crate) struct TestServer {
    router: Router,
    pub(crate) services: Arc<Services>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) metrics: MetricServices,
    pub(crate) logs: LogServices,
    pub(crate) traces: TraceServices,
    pub(crate) pool: Arc<Pool>,
    pub(crate) stopper: Stopper,
    stop: Stop,
    disk: SimDisk,
    clock: Arc<SimClock>,
    runtime: tokio::runtime::Runtime,
}

/// An answer that is still to come.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response>>>;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answered {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl TestServer {
    pub(crate) fn new(adjust: impl FnOnce(&mut Setup)) -> Self {
        Self::with(adjust, Vec::new())
    }

    /// A server with protocols of the test's beside those of the list.
    pub(crate) fn with(adjust: impl FnOnce(&mut Setup), more: Vec<Protocol>) -> Self {
        let sim_clock = Arc::new(SimClock::new());
        sim_clock.set_wall_ns(NOW_MS * 1_000_000);
        let clock: Arc<dyn Clock> = sim_clock.clone();
        let services = Services::new(Arc::clone(&clock), "0.0.0");
        let queries = PoolSettings { threads: 2, waiting_max: 100, tenant_waiting_max: 100 };
        let mut setup =
            Setup { services, queries, settings: ProtocolSettings::default(), alertmanager: "" };
        adjust(&mut setup);
        let Setup { mut services, queries, settings, alertmanager } = setup;
        let pool = Arc::new(Pool::start(queries).unwrap());
        services.query_pool = Arc::clone(&pool);
        let engine = services.metric_options.engine.clone();
        services.metric_options = settings.prometheus.metric_options(engine);
        services.log_options = settings.logs.options();
        let disk = SimDisk::with_clock(Arc::clone(&clock));
        let (metrics, logs, traces) = open_stores(&clock, &disk);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        services.open_alerting(open_alerting(alertmanager, &clock, &disk, &runtime));
        services.open_metrics(metrics.clone());
        services.open_logs(logs.clone());
        services.open_traces(traces.clone());
        let services = Arc::new(services);
        let host: Arc<dyn Host> = Arc::new(TestHost(Arc::clone(&services)));
        let mut protocols = all(&settings, &services);
        protocols.extend(more);
        let join = |all: Router, one: &Protocol| all.merge(router(&host, &one.routes, &one.cors));
        let router = protocols.iter().fold(Router::new(), join).fallback(not_found);
        let (stopper, stop) = Stopper::new();
        let clock = sim_clock;
        Self {
            router,
            services,
            protocols,
            metrics,
            logs,
            traces,
            pool,
            stopper,
            stop,
            disk,
            clock,
            runtime,
        }
    }

    /// All lines that are stored, with their streams, times and fields; lines and fields are sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut found = Vec::new();
        for tenant in self.logs.store.tenants() {
            let of_tenant = match tenant.as_str() {
                "default" => String::new(),
                name => format!("[{name}] "),
            };
            let needs = Needs { lines: true, fields: None };
            let time = TimeUnit::Nanos.everything();
            let (matchers, conditions, order) = (&[][..], &[][..], Order::OldestFirst);
            let wanted = Select {
                time,
                matchers,
                conditions,
                identifier: None,
                texts: &NO_TEXTS,
                order,
                needs: &needs,
            };
            let selection = self.logs.store.select(&tenant, &wanted).unwrap();
            let mut scratch = Scratch::default();
            for piece in 0..selection.pieces().len() {
                let rows = selection.read(piece, &mut scratch).unwrap();
                for row in 0..rows.times.len() {
                    let labels = selection.labels(rows.streams[row]);
                    found.push(format!("{of_tenant}{labels} {}", shown_line(&rows, row)));
                }
            }
        }
        found.sort();
        found
    }

    /// After this a batch of logs that was stored before is stored again.
    pub(crate) fn forget_repeats(&self) {
        self.clock.advance(Duration::from_secs(601));
    }

    /// Starts what protocols do by themselves.
    pub(crate) fn start_keepers(&self) {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        for keeper in self.protocols.iter().filter_map(|protocol| protocol.keeper.as_ref()) {
            self.runtime.spawn(keeper(Arc::clone(&disk), self.stop.clone()));
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// From here on nothing can be stored.
    pub(crate) fn break_disk(&self) {
        self.disk.keep_failing(Operation::Append, Fault::Eio);
    }

    /// Sends what can't be stored, because the disk fails. Afterwards the disk is well again.
    pub(crate) fn send_to_broken_disk(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        self.break_disk();
        let answered = self.send(line, headers, body);
        self.disk.heal();
        while self.metrics.gateway.wal().health() != Health::Healthy {
            std::thread::yield_now();
        }
        answered
    }

    /// Writes samples that are in memory to parts.
    pub(crate) fn flush(&self) {
        self.flush_engine(&*self.metrics.store.engine());
    }

    /// Writes lines that are in memory to parts.
    pub(crate) fn flush_logs(&self) {
        self.flush_engine(&*self.logs.store.engine());
    }

    /// Writes spans that are in memory to parts.
    pub(crate) fn flush_traces(&self) {
        self.flush_engine(&*self.traces.store.engine());
    }

    fn flush_engine(&self, store: &dyn engine::Engine) {
        let gateway = &self.metrics.gateway;
        for status in store.tenants() {
            self.runtime.block_on(gateway.barrier(|end| store.cut(&status.tenant, end)));
            store.flush(&status.tenant).unwrap();
        }
    }

    pub(crate) fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        self.runtime.block_on(async {
            let response = self.response(line, headers, body.into()).await;
            let (parts, body) = response.into_parts();
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            let body = collected.to_bytes().to_vec();
            Answered { status: parts.status, headers: parts.headers, body, trailers }
        })
    }

    /// What comes first of an answer that may never end.
    pub(crate) fn first_piece(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut response = self.response(line, headers, body.into()).await;
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            frame.into_data().unwrap().to_vec()
        })
    }

    /// Sends a request without a body and lets its handler run until so many queries wait. Dropping
    /// what this answers is what a client does that goes away.
    pub(crate) fn begin(&self, line: &str, headers: &[(&str, &str)], waiting: usize) -> Answer {
        self.begin_with(line, headers, Body::empty(), waiting)
    }

    /// The same with a body.
    pub(crate) fn begin_with(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
        waiting: usize,
    ) -> Answer {
        let request = request(line, headers, body.into());
        let mut answer: Answer = {
            let router = self.router.clone();
            Box::pin(async move { router.oneshot(request).await.unwrap() })
        };
        self.runtime.block_on(async {
            while self.pool.load().waiting != waiting {
                tokio::select! {
                    biased;
                    _ = &mut answer => panic!("it is answered"),
                    () = tokio::task::yield_now() => {}
                }
            }
        });
        answer
    }

    /// A connection to the server, which requests may take over.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, socket) = tokio::io::duplex(64 << 10);
        let (router, stop) = (self.router.clone(), self.stop.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Session { stop: stop.clone(), place: Arc::new(()) });
            router.clone().oneshot(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        self.runtime.spawn(connection);
        client
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    async fn response(&self, line: &str, headers: &[(&str, &str)], body: Body) -> Response {
        self.router.clone().oneshot(request(line, headers, body)).await.unwrap()
    }

    /// Plays a fixture: requests (`>` lines: method and path, headers, an empty one, the body) with
    /// the answers that they must get (`<` lines: status and content type, the body).
    /// `UPDATE_EXPECT=1` writes the answers as they are.
    #[expect(clippy::disallowed_methods, reason = "reads and renews fixtures in the source tree")]
    pub(crate) fn play(&self, name: &str) {
        let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let mut replayed = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("> ") else {
                if !line.starts_with('<') {
                    replayed += &format!("{line}\n");
                }
                continue;
            };
            let mut request = vec![first];
            while let Some(more) = lines.next_if(|line| line.starts_with('>')) {
                request.push(more[1..].strip_prefix(' ').unwrap_or(&more[1..]));
            }
            for line in &request {
                replayed += &format!("{}\n", format!("> {line}").trim_end());
            }
            let answer = self.replay(&request);
            let head = format!("{} {}", answer.status.as_u16(), answer.header("content-type"));
            replayed += &format!("< {}\n", head.trim_end());
            for line in answer.text().lines() {
                replayed += &format!("< {line}\n");
            }
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &replayed).unwrap();
        }
        for (got, expected) in replayed.lines().zip(text.lines()) {
            assert_eq!(got, expected, "{name}");
        }
        assert_eq!(replayed.lines().count(), text.lines().count(), "{name}");
    }

    fn replay(&self, request: &[&str]) -> Answered {
        let blank = request.iter().position(|line| line.is_empty()).unwrap_or(request.len());
        let headers: Vec<_> =
            request[1..blank].iter().map(|line| line.split_once(": ").unwrap()).collect();
        let body = request.get(blank + 1..).unwrap_or_default().join("\n");
        self.send(request[0], &headers, body)
    }
}

/// Time, text and fields of a line.
fn shown_line(rows: &LogRows<'_>, row: usize) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value =
        |field: &LogField| Some(format!(" {}={:?}", field.name, text(field.column.get(row)?)));
    let mut fields: Vec<String> = rows.fields.iter().filter_map(value).collect();
    fields.sort();
    format!("{} {:?}{}", rows.times[row], text(rows.lines.get(row)), fields.concat())
}

fn request(line: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let (method, path) = line.split_once(' ').expect("METHOD PATH");
    // Fixtures are written for people: characters that a URL can't hold are escaped here.
    let path = [(' ', "%20"), ('"', "%22"), ('{', "%7B"), ('}', "%7D")]
        .into_iter()
        .fold(path.to_owned(), |path, (plain, escaped)| path.replace(plain, escaped));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
