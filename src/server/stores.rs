//! Opening everything below the server, in order, and closing it in the opposite one.

use crate::access::AccessBook;
use crate::config::{Config, StorageSettings, WalSettings, WalSync};
use crate::probe::{Probe, ProbeStore};
use crate::sending::backlog_max;
use crate::snapshots::Snapshots;
use crate::stream_retention::StreamRetention;
use catalog::CatalogError;
use engine::{Engine, EngineError, HeadMemory, MergeRequest, TenantLimit};
use ingest::{FlushSettings, Gateway, Maintenance, ReplayReport};
use log_store::LogStore;
use metric_store::{MetricStore, StoreSettings};
use model::{ErrorKind, Signal, TenantId, WalPosition};
use observe::Notice;
use parts::{Retention, Site};
use platform::{Clock, Disk, DiskBlobs, Ids, Random, RealDisk, Space, memory_bytes};
use protocols::settings::SizeLimit;
use protocols::{Kept, LogServices, MetricServices, PerTenant, TraceServices};
use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};
use trace_store::TraceStore;
use wal::{Hold, Log, LogOptions, SyncPolicy, WalError};

pub(crate) const LOCK_FILE: &str = "mirador.lock";
/// The time that retention trusted last: docs/formats/retention-time.md. A file of its own, because it is
/// written every hour also on a full disk, where a failed write would stop the catalog.
const RETENTION_TIME_FILE: &str = "retention-time";
const WAL_DIR: &str = "wal";
pub(crate) const BLOB_DIR: &str = "blobs";

/// Free space that the write-ahead log leaves alone, so that heads can still be written to parts when
/// the disk is full; less on a small disk.
const WAL_RESERVE_BYTES: u64 = 32 << 20;
const WAL_RESERVE_SHARE: u64 = 20;

/// How often the engines look for slow, regular work of their own.
const TEND_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't use the data folder {folder}")]
    Folder { folder: String, source: io::Error },
    #[error(
        "the data folder {folder} is in use by another Mirador: stop it, or choose another folder \
         with --data"
    )]
    InUse { folder: String },
    #[error("can't open the write-ahead log")]
    Log(#[from] WalError),
    #[error("can't open the catalog")]
    Catalog(#[from] CatalogError),
    #[error("can't open the stored parts")]
    Parts(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The machine: what is passed, not configured.
#[derive(Clone, Debug)]
pub struct Machine {
    pub disk: Arc<RealDisk>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

#[derive(Debug)]
pub struct Stores {
    pub access: AccessBook,
    pub gateway: Arc<Gateway>,
    pub maintenance: Arc<Maintenance>,
    pub snapshots: Arc<Snapshots>,
    pub metric_store: MetricStore,
    pub log_store: LogStore,
    pub trace_store: TraceStore,
    pub probe: Option<Arc<ProbeStore>>,
    disk: Arc<RealDisk>,
    /// Keeps the write-ahead log until those who send samples on hold what they need.
    wal_hold: StdMutex<Option<Hold>>,
    metric_retention: PerTenant<Kept>,
    trace_retention: PerTenant<Kept>,
    stream_retention: StreamRetention,
    retention_size: SizeLimit,
}

impl Stores {
    /// Blocking; `progress` is told how many bytes of the write-ahead log are replayed, of how many.
    pub fn open(
        config: &Config,
        machine: &Machine,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self, OpenError> {
        let Machine { disk, clock, random } = machine;
        let access = AccessBook::open(disk.root(), Arc::clone(clock), Arc::clone(random))?;
        let Engines { files, metric_store, log_store, trace_store, probe, maintenance } =
            Engines::open(config, machine, recorded_retention_time(disk))?;
        let known = maintenance.wal_covered();
        let options = LogOptions {
            reserve_bytes: wal_reserve(disk),
            first_segment: known.segment + 1,
            ..wal_options(&config.wal)
        };
        let wal_disk: Arc<dyn Disk> = disk.clone();
        let (wal, replay) = Log::open(wal_disk, Arc::clone(clock), Arc::clone(random), options)?;
        let may_send = !config.protocols.prometheus.config_file.as_os_str().is_empty();
        let wal_hold = may_send.then(|| wal.hold(WalPosition::START, backlog_max(config, disk)));
        report_replay(maintenance.replay(replay, progress)?);
        let gateway = Arc::new(Gateway::new(Arc::new(wal), known, maintenance.repeats()));
        let snapshots = Arc::new(Snapshots {
            disk: Arc::clone(disk),
            blobs: files,
            catalog: Arc::clone(&access.catalog),
            gateway: Arc::clone(&gateway),
            maintenance: Arc::clone(&maintenance),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            working: Mutex::default(),
        });
        let disk = disk.clone();
        let stream_retention = StreamRetention::new(
            log_store.clone(),
            Arc::clone(&gateway),
            disk.clone(),
            config.log_rules(),
        );
        Ok(Self {
            access,
            gateway,
            maintenance,
            snapshots,
            metric_store,
            log_store,
            trace_store,
            probe,
            disk,
            wal_hold: StdMutex::new(wal_hold),
            metric_retention: config.metric_retention(),
            trace_retention: config.trace_retention(),
            stream_retention,
            retention_size: config.retention.size,
        })
    }

    /// Those who send samples on hold what they need of the write-ahead log.
    pub(crate) fn release_wal(&self) {
        drop(self.wal_hold.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// What the protocols need of the metric store.
    pub fn metric_services(&self, config: &Config) -> MetricServices {
        MetricServices {
            store: self.metric_store.clone(),
            gateway: Arc::clone(&self.gateway),
            limits: config.metric_limits(),
            retention_clock: self.maintenance.retention_clock(),
            snapshots: self.snapshots.clone(),
        }
    }

    /// What the protocols need of the log store.
    pub fn log_services(&self) -> LogServices {
        LogServices {
            store: self.log_store.clone(),
            gateway: Arc::clone(&self.gateway),
            retention_clock: self.maintenance.retention_clock(),
        }
    }

    /// What the protocols need of the trace store.
    pub fn trace_services(&self) -> TraceServices {
        TraceServices {
            store: self.trace_store.clone(),
            gateway: Arc::clone(&self.gateway),
            retention_clock: self.maintenance.retention_clock(),
        }
    }

    /// What may be kept at this time, by the settings and the disk. Blocking.
    pub fn retention(&self, now_ms: i64) -> Retention {
        // A disk that can't be asked sets no bound: dropping data on a guess would be worse.
        let total = || self.disk.space().ok().map(|space| space.total);
        let bytes_max = self.retention_size.bytes(total);
        let oldest = |age_ms: &Option<i64>| age_ms.map(|age_ms| now_ms.saturating_sub(age_ms));
        let metrics = ages(&self.metric_retention);
        // The probe's records, which are for tests, are kept as long as metrics.
        let kept = [
            (Signal::Metrics, metrics.clone()),
            (Signal::Probe, metrics),
            (Signal::Logs, self.stream_retention.longest()),
            (Signal::Traces, ages(&self.trace_retention)),
        ];
        let of_all = |(signal, kept): &(Signal, PerTenant<Option<i64>>)| {
            oldest(&kept.default).map(|oldest_ms| (*signal, oldest_ms))
        };
        let of_tenants = |(signal, kept): &(Signal, PerTenant<Option<i64>>)| {
            let of_tenant = |(tenant, age_ms): (&TenantId, &Option<i64>)| {
                ((tenant.clone(), *signal), oldest(age_ms))
            };
            kept.own.iter().map(of_tenant).collect::<Vec<_>>()
        };
        Retention {
            oldest_ms: kept.iter().filter_map(of_all).collect(),
            oldest_ms_of: kept.iter().flat_map(of_tenants).collect(),
            bytes_max,
            bytes_beside: self.gateway.wal().size_bytes() + self.snapshots.bytes_alone(),
        }
    }

    /// Drops what may not be kept any more. Answers how many parts.
    pub async fn retain(self: &Arc<Self>) -> Result<usize, EngineError> {
        let stores = Arc::clone(self);
        let now_ms = self.maintenance.retention_time();
        let deleting =
            tokio::task::spawn_blocking(move || stores.stream_retention.carry_out(now_ms));
        let deleted = deleting.await;
        let stores = Arc::clone(self);
        let dropped = self.maintenance.retain(move |now_ms| stores.retention(now_ms)).await;
        let panicked = |_| EngineError::new(ErrorKind::Bug, "the deletes of retention panicked");
        deleted.map_err(panicked)??;
        dropped
    }

    /// Records the time of retention about once an hour, for the next start. Blocking.
    fn record_retention_time(&self) -> io::Result<()> {
        let now_ms = self.maintenance.retention_time();
        let recorded_ms = recorded_retention_time(&self.disk);
        if recorded_ms.is_none_or(|recorded_ms| now_ms.abs_diff(recorded_ms) >= 3_600_000) {
            self.disk.replace(RETENTION_TIME_FILE, format!("{now_ms}\n").as_bytes())?;
        }
        Ok(())
    }

    pub fn merge_request(&self, full: bool) -> MergeRequest {
        // A disk that can't be asked holds nothing up.
        let unknown = Space { total: u64::MAX, free: u64::MAX };
        MergeRequest { full, space: self.disk.space().unwrap_or(unknown) }
    }

    pub fn disk_free(&self) -> Option<u64> {
        self.disk.space().ok().map(|space| space.free)
    }

    /// Syncs everything and leaves a mark that says so. Blocking.
    pub fn close(&self) {
        self.gateway.wal().shutdown();
        if let Err(error) = self.access.catalog.export_now() {
            Notice::warn("the catalog could not be exported", &[("error", &error)]);
        }
    }
}

/// What stands on parts.
struct Engines {
    files: Arc<DiskBlobs>,
    metric_store: MetricStore,
    log_store: LogStore,
    trace_store: TraceStore,
    probe: Option<Arc<ProbeStore>>,
    maintenance: Arc<Maintenance>,
}

impl Engines {
    /// `retention_ms` is the time that retention trusted last.
    fn open(
        config: &Config,
        machine: &Machine,
        retention_ms: Option<i64>,
    ) -> Result<Self, OpenError> {
        let Machine { disk, clock, random } = machine;
        let unusable =
            |source| OpenError::Folder { folder: disk.root().display().to_string(), source };
        let files = Arc::new(DiskBlobs::open(disk.clone(), BLOB_DIR).map_err(unusable)?);
        let ids = Arc::new(Ids::new(Arc::clone(clock), Arc::clone(random)));
        let site = Site::new(files.clone(), Arc::clone(clock), ids);
        let tenants = TenantLimit { most: config.storage.tenants, setting: "storage.tenants" };
        let head_memory = HeadMemory {
            bytes_max: config.storage.head_memory.bytes(memory_bytes).unwrap_or(u64::MAX),
            setting: "storage.head_memory",
        };
        let cache_bytes = config.metrics.cache_size.length();
        let settings = StoreSettings { cache_bytes, tenants, head_memory };
        let metric_store = MetricStore::open(site.clone(), Arc::clone(random), settings)
            .map_err(|e| OpenError::Parts(e.into()))?;
        let settings =
            config.protocols.logs.store_settings(tenants, head_memory, config.storage.head_size.0);
        let log_store =
            LogStore::open(site.clone(), settings).map_err(|e| OpenError::Parts(e.into()))?;
        let settings = config.protocols.traces.store_settings(
            tenants,
            head_memory,
            config.storage.head_size.0,
        );
        let trace_store =
            TraceStore::open(site.clone(), settings).map_err(|e| OpenError::Parts(e.into()))?;
        let probe = config.testing.probe.then(|| ProbeStore::open(Probe, site));
        let probe = probe.transpose().map_err(|e| OpenError::Parts(e.into()))?.map(Arc::new);
        let mut engines = vec![metric_store.engine(), log_store.engine(), trace_store.engine()];
        engines.extend(probe.iter().map(|probe| Arc::clone(probe) as Arc<dyn Engine>));
        let settings = flush_settings(&config.storage);
        let maintenance = Maintenance::new(engines, Arc::clone(clock), settings, retention_ms);
        let maintenance = Arc::new(maintenance);
        Ok(Self { files, metric_store, log_store, trace_store, probe, maintenance })
    }
}

fn ages(kept: &PerTenant<Kept>) -> PerTenant<Option<i64>> {
    let own = kept.own.iter().map(|(tenant, kept)| (tenant.clone(), kept.age_ms));
    PerTenant { default: kept.default.age_ms, own: own.collect() }
}

/// An unreadable file counts as a missing one: retention is only more careful without it.
fn recorded_retention_time(disk: &RealDisk) -> Option<i64> {
    let bytes = disk.read_all(RETENTION_TIME_FILE, 64).ok()?;
    String::from_utf8(bytes).ok()?.trim_end().parse().ok()
}

fn report_replay(report: ReplayReport) {
    if report.batches > 0 {
        let (batches, refused) = (report.batches, report.refused);
        let fields: [(&str, &dyn std::fmt::Display); 2] =
            [("batches", &batches), ("refused", &refused)];
        Notice::info("the write-ahead log is replayed", &fields);
    }
}

fn wal_reserve(disk: &RealDisk) -> u64 {
    let total = disk.space().map_or(u64::MAX, |space| space.total);
    WAL_RESERVE_BYTES.min(total / WAL_RESERVE_SHARE)
}

fn flush_settings(storage: &StorageSettings) -> FlushSettings {
    FlushSettings {
        interval: storage.flush_interval.0,
        wal_size: storage.flush_size.0,
        head_size: storage.head_size.0,
    }
}

fn wal_options(settings: &WalSettings) -> LogOptions {
    LogOptions {
        sync: match settings.sync {
            WalSync::Always => SyncPolicy::Always,
            WalSync::Interval(interval) => SyncPolicy::Interval(interval.0),
            WalSync::Off => SyncPolicy::Off,
        },
        window: settings.window.0,
        folder: WAL_DIR.to_owned(),
        segment_bytes: settings.segment_size.0,
        queue_bytes: settings.queue_size.length(),
        ..LogOptions::default()
    }
}

/// The upkeep of the stores while the server runs; ends when its task is dropped. Failures were
/// counted and logged where they happened, and are tried again.
pub(crate) async fn keep(stores: Arc<Stores>, merge_interval: Duration) {
    tokio::join!(
        keep_flushing(&stores),
        keep_merging(&stores, merge_interval),
        keep_retaining(&stores, merge_interval),
        keep_tending(&stores),
    );
}

async fn keep_flushing(stores: &Arc<Stores>) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stores.gateway.filled() => {}
        }
        let _ = stores.maintenance.flush_due(&stores.gateway).await;
        let stores = Arc::clone(stores);
        let _ = tokio::task::spawn_blocking(move || stores.access.maintain()).await;
    }
}

async fn keep_merging(stores: &Stores, merge_interval: Duration) {
    let mut tick = interval(merge_interval.max(Duration::from_secs(1)));
    // The first one comes at once.
    tick.tick().await;
    loop {
        tick.tick().await;
        let _ = stores.maintenance.merge(&stores.gateway, stores.merge_request(false)).await;
    }
}

/// Beside the merges, which may take long.
async fn keep_retaining(stores: &Arc<Stores>, merge_interval: Duration) {
    let mut tick = interval(merge_interval.max(Duration::from_secs(1)));
    loop {
        tick.tick().await;
        let _ = stores.retain().await;
        let recording = Arc::clone(stores);
        let recorded = tokio::task::spawn_blocking(move || recording.record_retention_time()).await;
        if let Ok(Err(error)) = recorded {
            Notice::warn("the time of retention could not be recorded", &[("error", &error)]);
        }
    }
}

async fn keep_tending(stores: &Stores) {
    let mut tick = interval(TEND_INTERVAL);
    loop {
        tick.tick().await;
        let _ = stores.maintenance.tend().await;
    }
}

fn interval(period: Duration) -> Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
