//! What the protocols need from the rest of the server: the bundle that every protocol is given when
//! it is made, with the stores, which are added when they are open.
//!
//! Not here: settings and state of one protocol, which the protocol itself holds.

use crate::bounds::{RequestMemory, WorkTurns};
use crate::logs::LogOptions;
use crate::own_spans::OwnSpans;
use crate::traces::{ActiveSpans, TraceOptions, TracesSettings};
use alerting::service::{Alertmanagers, LoadError, Loaded};
use ingest::{Gateway, IngestError, RetentionClock};
use log_store::{LogBatch, LogStore, StreamRules};
use metric_store::{Limits, MetricBatch, MetricStore, StoreError};
use model::{ErrorKind, Labels, NoRoom, TenantId};
use platform::Clock;
use promql::EngineOptions;
use query::{Budget, Pool};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use trace_store::{SpanBatch, TraceStore};
use wire::LabelLimits;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    pub kind: ErrorKind,
    pub message: String,
}

impl ServiceError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a client is told when a thread panicked.
    pub(crate) fn mistake() -> Self {
        Self::new(ErrorKind::Bug, "a mistake in this program; the server's log says more")
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<log_store::StoreError> for ServiceError {
    fn from(error: log_store::StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<trace_store::StoreError> for ServiceError {
    fn from(error: trace_store::StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<wire::DecodeError> for ServiceError {
    fn from(error: wire::DecodeError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<NoRoom> for ServiceError {
    fn from(error: NoRoom) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<IngestError> for ServiceError {
    fn from(error: IngestError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// A value that holds for all tenants but those that have one of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerTenant<T> {
    pub default: T,
    pub own: BTreeMap<TenantId, T>,
}

impl<T> PerTenant<T> {
    /// The same for all.
    pub fn new(default: T) -> Self {
        Self { default, own: BTreeMap::new() }
    }

    pub fn of(&self, tenant: &TenantId) -> &T {
        self.own.get(tenant).unwrap_or(&self.default)
    }
}

/// How long rows are kept, and the setting that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// `None`: for ever.
    pub age_ms: Option<i64>,
    pub setting: &'static str,
}

/// Facts of the machine and the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub host_name: String,
    pub working_dir: String,
    /// Threads that queries are evaluated with.
    pub threads: usize,
}

/// Takes snapshots, which hold the data of all signals. Calls block: they are made on threads of the
/// runtime that may.
pub trait Snapshots: Debug + Send + Sync {
    /// Takes a snapshot of all tenants and answers its name. With `skip_head`, data that is only in
    /// memory may be missing from it.
    fn take(&self, skip_head: bool) -> Result<String, ServiceError>;
}

/// The metric store, and the way into it.
#[derive(Clone, Debug)]
pub struct MetricServices {
    pub store: MetricStore,
    pub gateway: Arc<Gateway>,
    pub limits: PerTenant<Limits>,
    /// By which samples are too old or too new.
    pub retention_clock: Arc<RetentionClock>,
    pub snapshots: Arc<dyn Snapshots>,
}

impl MetricServices {
    /// An empty batch, to be filled and committed.
    pub fn batch(&self, tenant: &TenantId) -> MetricBatch {
        self.store.batch(tenant, *self.limits.of(tenant))
    }
}

/// The log store, and the way into it.
#[derive(Clone, Debug)]
pub struct LogServices {
    pub store: LogStore,
    pub gateway: Arc<Gateway>,
    /// By which lines are too old or too new.
    pub retention_clock: Arc<RetentionClock>,
}

impl LogServices {
    /// An empty batch, to be filled and committed.
    pub fn batch(&self, tenant: &TenantId) -> LogBatch {
        self.store.batch(tenant)
    }
}

/// The trace store, and the way into it.
#[derive(Clone, Debug)]
pub struct TraceServices {
    pub store: TraceStore,
    pub gateway: Arc<Gateway>,
    /// By which spans are too old or too new.
    pub retention_clock: Arc<RetentionClock>,
}

impl TraceServices {
    /// An empty batch, to be filled and committed.
    pub fn batch(&self, tenant: &TenantId) -> SpanBatch {
        self.store.batch(tenant)
    }
}

/// Rules that are evaluated, and the groups that came through the API.
#[derive(Clone, Debug)]
pub struct RuleServices {
    pub service: Arc<rules::Service>,
    pub book: Arc<rules::RuleBook>,
    /// What groups of the API take where they say nothing themselves.
    pub configured: rules::RuleFiles,
}

/// Where the configuration of the Alertmanagers comes from.
pub trait AlertingSource: Debug + Send + Sync {
    /// Reads it again. Blocking.
    fn read(&self) -> Result<Loaded, LoadError>;
}

/// The Alertmanagers, and where their configuration comes from.
#[derive(Clone, Debug)]
pub struct AlertingServices {
    pub managers: Alertmanagers,
    /// `None`: there is no configuration, and nobody is told.
    pub source: Option<Arc<dyn AlertingSource>>,
}

impl AlertingServices {
    /// Reads the configuration again. After an error everything stays as it is. Blocking.
    pub fn reload(&self) -> Result<(), String> {
        if let Some(source) = &self.source {
            self.managers.reload(source.read().map_err(|error| error.to_string())?);
        }
        Ok(())
    }
}

/// What holds for metrics, whatever protocol they come through.
#[derive(Clone, Debug)]
pub struct MetricOptions {
    /// How PromQL is evaluated.
    pub engine: EngineOptions,
    /// Labels that a series may have.
    pub labels: LabelLimits,
    /// How far in the future a sample may lie.
    pub future_grace_ms: i64,
}

/// The language's defaults, and no limits.
impl Default for MetricOptions {
    fn default() -> Self {
        let (engine, labels) = (EngineOptions::default(), LabelLimits::NONE);
        Self { engine, labels, future_grace_ms: i64::MAX }
    }
}

/// The part of the server that every protocol sees.
#[derive(Debug)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    pub version: &'static str,
    pub started_ms: i64,
    pub metric_options: MetricOptions,
    pub log_options: LogOptions,
    pub trace_options: TraceOptions,
    /// Spans in flight.
    pub active: ActiveSpans,
    /// How LogQL is evaluated.
    pub logql: logql::EngineOptions,
    /// How TraceQL is evaluated.
    pub traceql: traceql::EngineOptions,
    /// The threads that queries run on.
    pub query_pool: Arc<Pool>,
    /// The memory that all queries together may hold.
    pub query_memory: Arc<Budget>,
    /// The memory of requests and their answers.
    pub request_memory: Arc<RequestMemory>,
    /// What is recorded of requests.
    pub own_spans: OwnSpans,
    /// Turns for work on bodies.
    pub work_turns: WorkTurns,
    /// How old a sample may be to be stored.
    pub metric_retention: PerTenant<Kept>,
    /// How old a line may be to be stored.
    pub log_retention: PerTenant<Kept>,
    /// The same for single streams.
    pub log_rules: PerTenant<Arc<StreamRules>>,
    /// How old the start of a span may be to be stored.
    pub trace_retention: PerTenant<Kept>,
    /// The running configuration as YAML, without secrets.
    pub config_text: String,
    /// Every setting by its name (`retention.metrics`), with its value as text.
    pub settings: Vec<(String, String)>,
    pub machine: Machine,
    metrics: OnceLock<MetricServices>,
    logs: OnceLock<LogServices>,
    traces: OnceLock<TraceServices>,
    scraping: OnceLock<Arc<scrape::Manager>>,
    sending: OnceLock<Arc<sending::Senders>>,
    rules: OnceLock<RuleServices>,
    alerting: OnceLock<AlertingServices>,
    /// Alertmanagers elsewhere, and addresses that relabeling dropped.
    alertmanagers: Mutex<(Vec<String>, Vec<Labels>)>,
}

impl Services {
    /// With defaults, which let no query run: a server that is to answer them needs a pool.
    pub fn new(clock: Arc<dyn Clock>, version: &'static str) -> Self {
        let active = TracesSettings::default().active_options();
        Self {
            started_ms: clock.wall_ms(),
            active: ActiveSpans::new(active, Arc::clone(&clock)),
            request_memory: RequestMemory::new(usize::MAX, Arc::clone(&clock)),
            own_spans: OwnSpans::default(),
            work_turns: WorkTurns::new(1),
            clock,
            version,
            metric_options: MetricOptions::default(),
            log_options: LogOptions::default(),
            trace_options: TraceOptions::default(),
            logql: logql::EngineOptions::default(),
            traceql: traceql::EngineOptions::default(),
            query_pool: Arc::new(Pool::without_threads()),
            query_memory: Arc::new(Budget::new(usize::MAX)),
            metric_retention: PerTenant::default(),
            log_retention: PerTenant::default(),
            log_rules: PerTenant::default(),
            trace_retention: PerTenant::default(),
            config_text: String::new(),
            settings: Vec::new(),
            machine: Machine::default(),
            metrics: OnceLock::new(),
            logs: OnceLock::new(),
            traces: OnceLock::new(),
            scraping: OnceLock::new(),
            sending: OnceLock::new(),
            rules: OnceLock::new(),
            alerting: OnceLock::new(),
            alertmanagers: Mutex::default(),
        }
    }

    /// The value of a setting as text, whichever component it belongs to.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Called once, when the metric store is open: from then on its routes answer.
    pub fn open_metrics(&self, metrics: MetricServices) {
        assert!(self.metrics.set(metrics).is_ok(), "the metric store is opened once");
    }

    /// Called once, when the log store is open: from then on its routes answer.
    pub fn open_logs(&self, logs: LogServices) {
        assert!(self.logs.set(logs).is_ok(), "the log store is opened once");
    }

    pub fn logs(&self) -> Result<&LogServices, ServiceError> {
        let starting = || ServiceError::new(ErrorKind::Overloaded, "the log store is not open");
        self.logs.get().ok_or_else(starting)
    }

    /// Called once, when the trace store is open: from then on its routes answer.
    pub fn open_traces(&self, traces: TraceServices) {
        assert!(self.traces.set(traces).is_ok(), "the trace store is opened once");
    }

    pub fn traces(&self) -> Result<&TraceServices, ServiceError> {
        let starting = || ServiceError::new(ErrorKind::Overloaded, "the trace store is not open");
        self.traces.get().ok_or_else(starting)
    }

    /// Called once, when scraping has begun: from then on targets are shown.
    pub fn open_scraping(&self, scraping: Arc<scrape::Manager>) {
        assert!(self.scraping.set(scraping).is_ok(), "scraping begins once");
    }

    /// `None` where nothing is scraped.
    pub fn scraping(&self) -> Option<&Arc<scrape::Manager>> {
        self.scraping.get()
    }

    /// Called once, when sending on has begun: from then on destinations are shown.
    pub fn open_sending(&self, sending: Arc<sending::Senders>) {
        assert!(self.sending.set(sending).is_ok(), "sending on begins once");
    }

    pub fn sending(&self) -> Option<&Arc<sending::Senders>> {
        self.sending.get()
    }

    /// Called once, when rules may be evaluated: from then on their groups are shown.
    pub fn open_rules(&self, rules: RuleServices) {
        assert!(self.rules.set(rules).is_ok(), "rules are opened once");
    }

    pub(crate) fn rules(&self) -> Option<&RuleServices> {
        self.rules.get()
    }

    /// Called once, when the Alertmanagers have begun.
    pub fn open_alerting(&self, alerting: AlertingServices) {
        assert!(self.alerting.set(alerting).is_ok(), "the Alertmanagers begin once");
    }

    pub fn alerting(&self) -> Result<&AlertingServices, ServiceError> {
        let starting =
            || ServiceError::new(ErrorKind::Overloaded, "the Alertmanager has not begun");
        self.alerting.get().ok_or_else(starting)
    }

    /// Which Alertmanagers elsewhere alerts are sent to, as of now.
    pub fn show_alertmanagers(&self, urls: Vec<String>, dropped: Vec<Labels>) {
        *self.alertmanagers.lock().unwrap_or_else(PoisonError::into_inner) = (urls, dropped);
    }

    pub(crate) fn alertmanagers(&self) -> (Vec<String>, Vec<Labels>) {
        self.alertmanagers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn metrics(&self) -> Result<&MetricServices, ServiceError> {
        let starting = || ServiceError::new(ErrorKind::Overloaded, "the metric store is not open");
        self.metrics.get().ok_or_else(starting)
    }
}
