//! Opening everything below the server, in order, and closing it in the opposite one.

use crate::access::AccessBook;
use crate::config::{Config, StorageSettings, WalSettings, WalSync};
use crate::metrics::{MetricEngine, MetricQueriesOf, MetricWriterOf};
use crate::probe::ProbeEngine;
use crate::snapshots::Snapshots;
use catalog::CatalogError;
use ingest::{Engine, Gateway, Keeper, KeeperSettings, MergeRequest, ReplayReport};
use metric_store::{Limits, MetricStore, StoreSettings};
use observe::Notice;
use parts::{RetentionSettings, Site};
use platform::{Clock, Disk, DiskBlobs, Ids, Random, RealDisk, Space};
use protocols::MetricServices;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};
use wal::{Log, LogOptions, SyncPolicy, WalError};

pub(crate) const LOCK_FILE: &str = "mirador.lock";
const LOG_DIR: &str = "wal";
pub(crate) const BLOB_DIR: &str = "blobs";

/// Free space that the log leaves alone, so that a full disk can still be helped by writing heads
/// to parts; less on a small disk.
const LOG_RESERVE_BYTES: u64 = 32 << 20;
const LOG_RESERVE_SHARE: u64 = 20;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't use the data folder {folder}")]
    Folder { folder: String, source: io::Error },
    #[error(
        "the data folder {folder} is in use by another Mirador: stop it, or choose another folder \
         with --data"
    )]
    InUse { folder: String },
    #[error("can't open the log")]
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
    pub keeper: Arc<Keeper>,
    pub snapshots: Arc<Snapshots>,
    pub metrics: Arc<MetricStore>,
    pub probe: Option<Arc<ProbeEngine>>,
    disk: Arc<RealDisk>,
    retention: StorageSettings,
    clock: Arc<dyn Clock>,
}

impl Stores {
    /// Blocking; `progress` hears how many bytes of the log are replayed, of how many.
    pub fn open(
        config: &Config,
        machine: &Machine,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self, OpenError> {
        let Machine { disk, clock, random } = machine;
        let access = AccessBook::open(disk.root(), Arc::clone(clock), Arc::clone(random))?;
        let Engines { files, metrics, probe, keeper } = Engines::open(config, machine)?;
        let options = LogOptions {
            reserve_bytes: log_reserve(disk),
            first_segment: keeper.log_covered().segment + 1,
            ..log_options(&config.wal)
        };
        let disk_of_log: Arc<dyn Disk> = disk.clone();
        let (log, replay) = Log::open(disk_of_log, Arc::clone(clock), Arc::clone(random), options)?;
        report_replay(keeper.replay(replay, progress)?);
        let snapshots = Arc::new(Snapshots {
            disk: Arc::clone(disk),
            blobs: files,
            catalog: Arc::clone(&access.catalog),
            keeper: Arc::clone(&keeper),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            working: Mutex::default(),
        });
        let gateway = Arc::new(Gateway::new(Arc::new(log)));
        let (disk, clock, retention) = (disk.clone(), Arc::clone(clock), config.storage.clone());
        Ok(Self { access, gateway, keeper, snapshots, metrics, probe, disk, retention, clock })
    }

    /// What the protocols need of the metric store.
    pub fn metric_services(&self, config: &Config) -> MetricServices {
        let (store, gateway) = (&self.metrics, &self.gateway);
        let limits = Limits { active_series_max: config.metrics.active_series_max };
        let writer = MetricWriterOf::new(Arc::clone(store), Arc::clone(gateway), limits);
        let queries = MetricQueriesOf {
            store: Arc::clone(store),
            gateway: Arc::clone(gateway),
            snapshots: Arc::clone(&self.snapshots),
            runtime: tokio::runtime::Handle::current(),
        };
        MetricServices { writer: Arc::new(writer), queries: Arc::new(queries) }
    }

    /// What may be kept now, by the settings and the disk.
    pub fn retention(&self) -> RetentionSettings {
        let now_ms = self.clock.wall_ms();
        let age_ms = self.retention.retention_ms();
        // A disk that can't be asked sets no bound: dropping data on a guess would be worse.
        let total = || self.disk.space().ok().map(|space| space.total);
        let bytes_max = self.retention.retention_size.bytes(total);
        let oldest_ms = age_ms.map(|age_ms| now_ms.saturating_sub(age_ms));
        RetentionSettings { oldest_ms, bytes_max }
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
        self.gateway.log().shutdown();
        if let Err(error) = self.access.catalog.export_now() {
            Notice::warn("the catalog could not be exported", &[("error", &error)]);
        }
    }
}

/// What stands on parts.
struct Engines {
    files: Arc<DiskBlobs>,
    metrics: Arc<MetricStore>,
    probe: Option<Arc<ProbeEngine>>,
    keeper: Arc<Keeper>,
}

impl Engines {
    fn open(config: &Config, machine: &Machine) -> Result<Self, OpenError> {
        let Machine { disk, clock, random } = machine;
        let unusable =
            |source| OpenError::Folder { folder: disk.root().display().to_string(), source };
        let files = Arc::new(DiskBlobs::open(disk.clone(), BLOB_DIR).map_err(unusable)?);
        let ids = Arc::new(Ids::new(Arc::clone(clock), Arc::clone(random)));
        let site = Site::new(files.clone(), Arc::clone(clock), ids);
        let settings = StoreSettings { cache_bytes: config.metrics.cache_size.length() };
        let metrics = MetricStore::open(site.clone(), Arc::clone(random), settings);
        let metrics = Arc::new(metrics.map_err(|e| OpenError::Parts(e.into()))?);
        let probe = config.testing.probe.then(|| ProbeEngine::open(site));
        let probe = probe.transpose().map_err(|e| OpenError::Parts(e.into()))?.map(Arc::new);
        let mut engines: Vec<Arc<dyn Engine>> = vec![Arc::new(MetricEngine(Arc::clone(&metrics)))];
        engines.extend(probe.iter().map(|probe| Arc::clone(probe) as Arc<dyn Engine>));
        let keeper = Keeper::new(engines, Arc::clone(clock), keeper_settings(&config.storage));
        Ok(Self { files, metrics, probe, keeper: Arc::new(keeper) })
    }
}

fn report_replay(report: ReplayReport) {
    if report.batches > 0 {
        let (batches, skipped) = (report.batches, report.skipped);
        let fields: [(&str, &dyn std::fmt::Display); 2] =
            [("batches", &batches), ("skipped", &skipped)];
        Notice::info("the log is replayed", &fields);
    }
}

fn log_reserve(disk: &RealDisk) -> u64 {
    let total = disk.space().map_or(u64::MAX, |space| space.total);
    LOG_RESERVE_BYTES.min(total / LOG_RESERVE_SHARE)
}

fn keeper_settings(storage: &StorageSettings) -> KeeperSettings {
    KeeperSettings {
        flush_interval: storage.flush_interval.0,
        flush_size: storage.flush_size.0,
        head_size: storage.head_size.0,
    }
}

fn log_options(settings: &WalSettings) -> LogOptions {
    LogOptions {
        sync: match settings.sync {
            WalSync::Always => SyncPolicy::Always,
            WalSync::Interval(interval) => SyncPolicy::Interval(interval.0),
            WalSync::Off => SyncPolicy::Off,
        },
        window: settings.window.0,
        folder: LOG_DIR.to_owned(),
        segment_bytes: settings.segment_size.0,
        queue_bytes: settings.queue_size.length(),
        ..LogOptions::default()
    }
}

/// The care that the stores need while the server runs; ends when its task is dropped. Failures
/// were counted and logged where they happened, and are tried again.
pub(crate) async fn keep(stores: Arc<Stores>, merge_interval: Duration) {
    tokio::join!(keep_flushing(&stores), keep_merging(&stores, merge_interval));
}

async fn keep_flushing(stores: &Arc<Stores>) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let _ = stores.keeper.flush_when_due(&stores.gateway).await;
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
        let _ = stores.keeper.merge(&stores.gateway, stores.merge_request(false)).await;
        let _ = stores.keeper.retain(stores.retention()).await;
    }
}

fn interval(period: Duration) -> Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
