//! A store with its write-ahead log on a simulated disk, and senders beside it.

use super::receiver::Receiver;
use crate::{Destination, MetadataSettings, QueueSettings, Senders, Source};
use engine::{HeadMemory, TenantLimit};
use ingest::{FlushSettings, Gateway, Maintenance};
use metric_store::{Limits, MetricStore, StoreSettings};
use model::{FloatHistogram, Labels, METRIC_NAME, MetricKind, TenantId, WalPosition};
use outbound::{HttpConfig, Url};
use parts::Site;
use platform::sim::SimDisk;
use platform::{Clock, Disk, DiskBlobs, Ids, OsRandom, RealClock};
use std::sync::Arc;
use std::time::Duration;
use wal::{Hold, Log, LogOptions};
use wire::{ExemplarRef, MetadataRef, MetricSink, WriteVersion};

pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) gateway: Arc<Gateway>,
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) store: MetricStore,
    pub(super) senders: Senders,
    pub(super) replayed: u64,
    hold: Option<Hold>,
}

pub(super) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

/// A destination that sends at once.
pub(super) fn destination(receiver: &Receiver) -> Destination {
    Destination {
        name: "there".to_owned(),
        url: Url::parse(&format!("http://{}/api/v1/write", receiver.address)).unwrap(),
        version: WriteVersion::V1,
        timeout: Duration::from_secs(30),
        headers: vec![("X-Scope-OrgID".to_owned(), "7".to_owned())],
        external_labels: Labels::empty(),
        relabel: Default::default(),
        send_exemplars: true,
        send_native_histograms: true,
        queue: QueueSettings {
            capacity: 40,
            samples_per_send: 10,
            send_deadline: Duration::from_millis(5),
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(20),
            shards_min: 2,
            ..QueueSettings::default()
        },
        metadata: MetadataSettings { send: false, ..MetadataSettings::default() },
        http: HttpConfig::default(),
    }
}

impl World {
    /// Opens what the disk holds.
    pub(super) fn open(disk: &SimDisk, backlog_max: u64) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let blobs = Arc::new(DiskBlobs::open(Arc::clone(&shared), "blobs").unwrap());
        let ids = Arc::new(Ids::new(Arc::clone(&clock), Arc::new(OsRandom)));
        let site = Site::new(blobs, Arc::clone(&clock), ids);
        let settings = StoreSettings {
            cache_bytes: 1 << 20,
            tenants: TenantLimit::NONE,
            head_memory: HeadMemory::UNLIMITED,
        };
        let store = MetricStore::open(site, Arc::new(OsRandom), settings).unwrap();
        let flush = FlushSettings {
            interval: Duration::from_secs(3_600),
            wal_size: u64::MAX,
            head_size: u64::MAX,
        };
        let maintenance = Maintenance::new(vec![store.engine()], Arc::clone(&clock), flush, None);
        let known = maintenance.wal_covered();
        let options = LogOptions {
            segment_bytes: 4 << 10,
            first_segment: known.segment + 1,
            ..LogOptions::default()
        };
        let (wal, replay) =
            Log::open(Arc::clone(&shared), Arc::clone(&clock), Arc::new(OsRandom), options)
                .unwrap();
        let wal = Arc::new(wal);
        let hold = Some(wal.hold(WalPosition::START, backlog_max));
        let replayed = maintenance.replay(replay, |_, _| {}).unwrap().batches;
        let gateway = Arc::new(Gateway::new(Arc::clone(&wal), known, maintenance.repeats()));
        let source = Source {
            wal,
            store: store.clone(),
            tenant: tenant(),
            disk: shared,
            clock,
            runtime: tokio::runtime::Handle::current(),
            backlog_max,
        };
        let (disk, maintenance) = (disk.clone(), Arc::new(maintenance));
        let senders = Senders::new(source);
        Self { disk, gateway, maintenance, store, senders, replayed, hold }
    }

    pub(super) async fn send_to(&mut self, destinations: Vec<Destination>) {
        self.senders.apply(destinations).await.unwrap();
        self.hold = None;
    }

    /// One batch: a sample of each of these series at a time, whose value is the time.
    pub(super) async fn commit(&self, series: &[&str], time_ms: i64) {
        self.commit_as(&tenant(), series, time_ms).await;
    }

    pub(super) async fn commit_as(&self, tenant: &TenantId, series: &[&str], time_ms: i64) {
        let limits = Limits { active_series_max: u64::MAX, setting: "none" };
        let mut batch = self.store.batch(tenant, limits);
        for name in series {
            batch.series(Labels::from_pairs([(METRIC_NAME, *name)]).as_bytes());
            batch.sample(time_ms, 0, time_ms as f64);
        }
        self.gateway.commit(batch).await.unwrap();
    }

    /// A batch with everything in it.
    pub(super) async fn commit_all_kinds(&self, time_ms: i64) {
        let limits = Limits { active_series_max: u64::MAX, setting: "none" };
        let mut batch = self.store.batch(&tenant(), limits);
        batch.series(Labels::from_pairs([(METRIC_NAME, "requests_total")]).as_bytes());
        batch.sample(time_ms, time_ms - 10, 5.0);
        let trace = Labels::from_pairs([("trace_id", "1")]);
        let labels = trace.as_bytes();
        batch.exemplar(ExemplarRef { labels, value: 1.0, timestamp_ms: time_ms });
        batch.series(Labels::from_pairs([(METRIC_NAME, "seconds")]).as_bytes());
        let histogram = FloatHistogram { count: 2.0, zero_count: 2.0, ..Default::default() };
        batch.histogram(time_ms, 0, histogram);
        let kind = MetricKind::Counter;
        batch.metadata("requests_total", MetadataRef { kind, unit: "", help: "Answered." });
        self.gateway.commit(batch).await.unwrap();
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.gateway.wal().size_bytes()
    }
}
