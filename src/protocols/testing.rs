//! A server around the protocols for tests: a store in memory, a clock that stands still, and
//! fixtures of requests with the answers that they must get.

use crate::services::*;
use crate::{
    BodyLimits, Host, Identified, Principal, Protocol, ProtocolSettings, Refusal, all, not_found,
    router,
};
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use model::{FloatHistogram, Labels, Matcher, MetricMetadata, SampleValue, TenantId, matches_all};
use platform::{Clock, Moment};
use promql::script::MemoryStorage;
use promql::{SelectHints, Selection, Storage, StorageError};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tower::ServiceExt as _;
use wire::{ExemplarRef, MetadataRef, MetricSink};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn wall_ns(&self) -> i64 {
        NOW_MS * 1_000_000
    }

    fn now(&self) -> Moment {
        Moment(Duration::ZERO)
    }
}

/// What was written, by tenant.
#[derive(Debug, Default)]
pub(crate) struct MemoryMetrics {
    tenants: Mutex<BTreeMap<String, Stored>>,
    /// What the next commit fails with.
    pub(crate) failure: Mutex<Option<ServiceError>>,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    samples: MemoryStorage,
    series: BTreeSet<Labels>,
    metadata: BTreeMap<String, MetricMetadata>,
    exemplars: BTreeMap<Labels, Vec<Exemplar>>,
}

impl MemoryMetrics {
    fn tenants(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.tenants.lock().unwrap()
    }
}

#[derive(Clone, Debug)]
struct Writer(Arc<MemoryMetrics>);

struct Batch {
    store: Arc<MemoryMetrics>,
    tenant: String,
    stored: Stored,
    current: Labels,
    committed: Committed,
}

impl MetricWriter for Writer {
    fn batch(&self, tenant: &TenantId) -> Box<dyn MetricBatch> {
        let tenant = tenant.to_string();
        let stored = self.0.tenants().get(&tenant).cloned().unwrap_or_default();
        let (store, current) = (Arc::clone(&self.0), Labels::empty());
        Box::new(Batch { store, tenant, stored, current, committed: Committed::default() })
    }
}

impl MetricSink for Batch {
    fn series(&mut self, labels: &[u8]) {
        self.current = Labels::from_bytes(labels).expect("canonical bytes");
        assert!(!self.current.metric_name().is_empty(), "a series has a name");
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        let value = SampleValue::Float(value);
        self.stored.series.insert(self.current.clone());
        self.stored.samples.append(&self.current, timestamp_ms, start_ms, value);
        self.committed.samples += 1;
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        let value = SampleValue::Histogram(Arc::new(histogram));
        self.stored.series.insert(self.current.clone());
        self.stored.samples.append(&self.current, timestamp_ms, start_ms, value);
        self.committed.histograms += 1;
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let labels = Labels::from_bytes(exemplar.labels).expect("canonical bytes");
        let ExemplarRef { value, timestamp_ms, .. } = exemplar;
        let series = self.stored.exemplars.entry(self.current.clone()).or_default();
        series.push(Exemplar { labels, value, timestamp_ms });
        self.committed.exemplars += 1;
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        let MetadataRef { kind, unit, help } = metadata;
        let metadata = MetricMetadata { kind, unit: unit.to_owned(), help: help.to_owned() };
        self.stored.metadata.insert(metric.to_owned(), metadata);
    }
}

impl MetricBatch for Batch {
    fn commit(mut self: Box<Self>) -> Waiting<Result<Committed, ServiceError>> {
        Box::pin(async move {
            if let Some(failure) = self.store.failure.lock().unwrap().take() {
                return Err(failure);
            }
            self.stored.samples.commit();
            let stored = std::mem::take(&mut self.stored);
            self.store.tenants().insert(self.tenant.clone(), stored);
            Ok(std::mem::take(&mut self.committed))
        })
    }
}

#[derive(Clone, Debug)]
struct Queries(Arc<MemoryMetrics>);

impl MetricQueries for Queries {
    fn reader(&self, tenant: &TenantId) -> Result<Box<dyn MetricReader>, ServiceError> {
        let stored = self.0.tenants().get(tenant.as_str()).cloned().unwrap_or_default();
        Ok(Box::new(stored))
    }

    fn delete(&self, tenant: &TenantId, query: &ListingQuery) -> Result<(), ServiceError> {
        if let Some(stored) = self.0.tenants().get_mut(tenant.as_str()) {
            stored.series.retain(|labels| !wanted(query, labels));
        }
        Ok(())
    }

    fn clean_tombstones(&self, _: &TenantId) -> Result<(), ServiceError> {
        Ok(())
    }

    fn quarantined(&self) -> u64 {
        0
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, ServiceError> {
        Ok(if skip_head { "without-head" } else { "a-name" }.to_owned())
    }
}

fn wanted(query: &ListingQuery, labels: &Labels) -> bool {
    let selectors = &query.selectors;
    selectors.is_empty() || selectors.iter().any(|matchers| matches_all(matchers, labels))
}

fn listing<T>(items: impl IntoIterator<Item = T>, limit: usize) -> Listing<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    let is_truncated = items.len() > limit;
    items.truncate(limit);
    Listing { items, is_truncated, warnings: Vec::new() }
}

impl Storage for Stored {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        self.samples.select(hints, matchers)
    }
}

impl Stored {
    fn asked<'a>(&'a self, query: &'a ListingQuery) -> impl Iterator<Item = &'a Labels> {
        self.series.iter().filter(|labels| wanted(query, labels))
    }
}

impl MetricReader for Stored {
    fn series(&self, query: &ListingQuery) -> Result<Listing<Labels>, ServiceError> {
        Ok(listing(self.asked(query).cloned(), query.limit))
    }

    fn label_names(&self, query: &ListingQuery) -> Result<Listing<String>, ServiceError> {
        let labels = self.asked(query).flat_map(Labels::iter);
        let names: BTreeSet<String> = labels.map(|(name, _)| name.to_owned()).collect();
        Ok(listing(names, query.limit))
    }

    fn label_values(
        &self,
        name: &str,
        query: &ListingQuery,
    ) -> Result<Listing<String>, ServiceError> {
        let values = self.asked(query).filter_map(|labels| labels.get(name));
        let values: BTreeSet<String> = values.map(str::to_owned).collect();
        Ok(listing(values, query.limit))
    }

    fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>, ServiceError> {
        let found = self.metadata.iter().filter(|(name, _)| metric.is_none_or(|one| one == *name));
        Ok(found.map(|(name, one)| (name.clone(), vec![one.clone()])).take(limit).collect())
    }

    fn exemplars(&self, query: &ListingQuery) -> Result<Vec<ExemplarSeries>, ServiceError> {
        let found = self.exemplars.iter().filter(|(labels, _)| wanted(query, labels));
        Ok(found
            .map(|(labels, exemplars)| ExemplarSeries {
                series: labels.clone(),
                exemplars: exemplars.clone(),
            })
            .collect())
    }

    fn statistics(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<MetricStatistics, ServiceError> {
        let mut by_metric: BTreeMap<&str, u64> = BTreeMap::new();
        let found = self.series.iter().filter(|labels| matches_all(matchers, labels));
        for labels in found.clone() {
            *by_metric.entry(labels.metric_name()).or_default() += 1;
        }
        let count = |(name, count): (&str, u64)| NamedCount { name: name.to_owned(), count };
        Ok(MetricStatistics {
            series: found.count() as u64,
            series_by_metric: by_metric.into_iter().map(count).take(limit).collect(),
            ..MetricStatistics::default()
        })
    }

    fn blocks(&self) -> Result<Vec<Block>, ServiceError> {
        Ok(vec![Block {
            id: "01HF0000000000000000000000".to_owned(),
            min_time_ms: NOW_MS - 1_000,
            max_time_ms: NOW_MS,
            samples: 12,
            series: 3,
            level: 1,
            bytes: 100,
        }])
    }
}

/// Admits every request, except those that name a refusal in `x-test-refuse`.
struct TestHost(Arc<dyn Clock>);

impl Host for TestHost {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.0
    }

    fn unavailable(&self) -> Option<String> {
        None
    }

    fn identify<'a>(&'a self, parts: &'a Parts) -> Identified<'a> {
        let refusal = match parts.headers.get("x-test-refuse").map(|value| value.as_bytes()) {
            None => None,
            Some(b"missing") => Some(Refusal::Missing),
            Some(b"scope") => Some(Refusal::Scope { who: "tester".to_owned(), scope: "write" }),
            Some(_) => Some(Refusal::Starting),
        };
        Box::pin(async { refusal.map_or_else(|| Ok(Principal::almighty("tester")), Err) })
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
    pub(crate) settings: ProtocolSettings,
}

pub(crate) struct TestServer {
    router: Router,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) store: Arc<MemoryMetrics>,
    runtime: tokio::runtime::Runtime,
}

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
        let services = Services::new(Arc::new(StillClock), "0.0.0");
        let mut setup = Setup { services, settings: ProtocolSettings::default() };
        adjust(&mut setup);
        let Setup { mut services, settings } = setup;
        let engine = services.metric_options.engine.clone();
        services.metric_options = settings.prometheus.metric_options(engine);
        let store = Arc::new(MemoryMetrics::default());
        services.open_metrics(MetricServices {
            writer: Arc::new(Writer(Arc::clone(&store))),
            queries: Arc::new(Queries(Arc::clone(&store))),
        });
        let host: Arc<dyn Host> = Arc::new(TestHost(Arc::clone(&services.clock)));
        let mut protocols = all(&settings, &Arc::new(services));
        protocols.extend(more);
        let join = |all: Router, one: &Protocol| all.merge(router(&host, &one.routes));
        let router = protocols.iter().fold(Router::new(), join).fallback(not_found);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { router, protocols, store, runtime }
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

    async fn response(&self, line: &str, headers: &[(&str, &str)], body: Body) -> Response {
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        // Fixtures are written for people: characters that a URL can't hold are escaped here.
        let path = [(' ', "%20"), ('"', "%22"), ('{', "%7B"), ('}', "%7D")]
            .into_iter()
            .fold(path.to_owned(), |path, (plain, escaped)| path.replace(plain, escaped));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
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
