//! What the protocols need from the rest of the server: the traits that the stores' adaptors
//! implement, and the bundle that every protocol is given when it is made.
//!
//! Not here: settings and state of one protocol, which the protocol itself holds.

use model::{ErrorKind, Labels, Matcher, MetricMetadata, TenantId};
use platform::Clock;
use promql::{EngineOptions, Storage};
use query::Budget;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use wire::{LabelLimits, MetricSink, Rejections};

pub type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

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
}

/// Takes metrics in.
pub trait MetricWriter: Debug + Send + Sync {
    /// An empty batch, to be filled and committed.
    fn batch(&self, tenant: &TenantId) -> Box<dyn MetricBatch>;
}

/// A batch that is being filled. Dropping it discards it. A series without a sample is not stored.
pub trait MetricBatch: MetricSink + Send {
    /// Makes the batch durable and visible. The answer counts what can't be stored (samples that are
    /// too old, or differ from the sample that is stored at their time); the rest is stored.
    fn commit(self: Box<Self>) -> Waiting<Result<Committed, ServiceError>>;
}

/// How much of a batch was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub rejected: Rejections,
}

/// A list that may be shorter than what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// More was found than the limit allows.
    pub is_truncated: bool,
    pub warnings: Vec<String>,
}

/// What a listing is about: the series that match any of the selectors (or all series, when there is
/// no selector) and have samples between the two times, both included.
#[derive(Clone, Debug)]
pub struct ListingQuery {
    pub selectors: Vec<Vec<Matcher>>,
    pub start_ms: i64,
    pub end_ms: i64,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    pub timestamp_ms: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    pub series: Labels,
    pub exemplars: Vec<Exemplar>,
}

/// A name and a count, as cardinality tables list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCount {
    pub name: String,
    pub count: u64,
}

/// Figures of one tenant's metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricStatistics {
    pub series: u64,
    pub label_pairs: u64,
    pub chunks: u64,
    pub min_time_ms: i64,
    pub max_time_ms: i64,
    pub series_by_metric: Vec<NamedCount>,
    pub values_by_label: Vec<NamedCount>,
    pub bytes_by_label: Vec<NamedCount>,
    pub series_by_pair: Vec<NamedCount>,
}

/// An immutable part of a tenant's metrics, which Prometheus would call a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub id: String,
    pub min_time_ms: i64,
    /// The time of the last sample, which the block holds.
    pub max_time_ms: i64,
    pub samples: u64,
    pub series: u64,
    /// How often it was merged.
    pub level: u32,
    pub bytes: u64,
}

/// Facts of the machine and the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub host_name: String,
    pub working_dir: String,
    /// Threads that queries are evaluated with.
    pub threads: usize,
}

/// Answers queries of metrics. Calls may block: handlers make them on worker threads.
pub trait MetricQueries: Debug + Send + Sync {
    /// A tenant's metrics as they are at this moment.
    fn reader(&self, tenant: &TenantId) -> Result<Box<dyn MetricReader>, ServiceError>;

    /// Hides the samples that match, and removes them at the next merge.
    fn delete(&self, tenant: &TenantId, query: &ListingQuery) -> Result<(), ServiceError>;

    /// Removes deleted samples from the disk without waiting for the next merge.
    fn clean_tombstones(&self, tenant: &TenantId) -> Result<(), ServiceError>;

    /// How many damaged parts are in quarantine, over all tenants.
    fn quarantined(&self) -> u64;

    /// Takes a snapshot of all tenants and answers its name. With `skip_head`, samples that are only
    /// in memory may be missing from it.
    fn snapshot(&self, skip_head: bool) -> Result<String, ServiceError>;
}

/// One tenant's metrics at one moment. Listings are sorted.
pub trait MetricReader: Storage {
    fn series(&self, query: &ListingQuery) -> Result<Listing<Labels>, ServiceError>;

    fn label_names(&self, query: &ListingQuery) -> Result<Listing<String>, ServiceError>;

    fn label_values(
        &self,
        name: &str,
        query: &ListingQuery,
    ) -> Result<Listing<String>, ServiceError>;

    /// Sorted by name; several entries for one metric where its sources disagree.
    fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>, ServiceError>;

    fn exemplars(&self, query: &ListingQuery) -> Result<Vec<ExemplarSeries>, ServiceError>;

    /// Figures of the series that match, with at most `limit` lines in each table.
    fn statistics(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<MetricStatistics, ServiceError>;

    /// The parts on disk, sorted by time.
    fn blocks(&self) -> Result<Vec<Block>, ServiceError>;
}

/// The metric store, as protocols see it.
#[derive(Clone, Debug)]
pub struct MetricServices {
    pub writer: Arc<dyn MetricWriter>,
    pub queries: Arc<dyn MetricQueries>,
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
    /// The memory that all queries together may hold.
    pub query_memory: Arc<Budget>,
    /// How old a sample may be to be stored; `None`: any age.
    pub retention_ms: Option<i64>,
    /// The running configuration as YAML, without secrets.
    pub config_text: String,
    /// Every setting by its name (`storage.retention`), with its value as text.
    pub settings: Vec<(String, String)>,
    pub machine: Machine,
    metrics: OnceLock<MetricServices>,
}

impl Services {
    pub fn new(clock: Arc<dyn Clock>, version: &'static str) -> Self {
        Self {
            started_ms: clock.wall_ms(),
            clock,
            version,
            metric_options: MetricOptions::default(),
            query_memory: Arc::new(Budget::new(usize::MAX)),
            retention_ms: None,
            config_text: String::new(),
            settings: Vec::new(),
            machine: Machine::default(),
            metrics: OnceLock::new(),
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

    pub(crate) fn metrics(&self) -> Result<&MetricServices, ServiceError> {
        let starting = || ServiceError::new(ErrorKind::Overloaded, "the metric store is not open");
        self.metrics.get().ok_or_else(starting)
    }
}
