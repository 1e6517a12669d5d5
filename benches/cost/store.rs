//! The metric store, as far as the counted work uses it. Everything that depends on the store's own
//! interface is here.

use engine::{Engine, Intake, MergeRequest};
use metric_store::{Limits, MetricStore, Select, StoreSettings};
use model::{Matcher, TenantId, TimeUnit, Unbounded, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom};
use promql::{Engine as Language, EngineOptions, QueryValue, Request, TenantMetrics};
use std::sync::Arc;
use wire::{Encoding, LabelLimits, WriteScratch};

const LIMITS: Limits =
    Limits { active_series_max: 1_000_000, setting: "metrics.active_series_max" };
const BODY_MAX: usize = 64 << 20;

pub(crate) struct Store {
    store: MetricStore,
    engine: Arc<dyn Engine>,
    tenant: TenantId,
    disk: Arc<SimDisk>,
    clock: Arc<SimClock>,
    /// Where the next batch would stand in the write-ahead log. The log itself is not counted: its
    /// cost is the disk's.
    position: WalPosition,
    plain: Vec<u8>,
    payload: Vec<u8>,
    scratch: WriteScratch,
}

impl Store {
    pub(crate) fn new() -> Self {
        let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(7)));
        let disk = Arc::new(SimDisk::new());
        let blobs = DiskBlobs::open(Arc::clone(&disk) as Arc<dyn Disk>, "blobs");
        let blobs: Arc<dyn Blobs> = Arc::new(blobs.expect("an empty disk opens"));
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let site = Site::new(blobs, clock.clone(), ids);
        let store = MetricStore::open(site, random, StoreSettings::default());
        let store = store.expect("an empty store opens");
        Self {
            engine: store.engine(),
            store,
            tenant: TenantId::default_tenant(),
            disk,
            clock,
            position: WalPosition { segment: 1, offset: 0 },
            plain: Vec::new(),
            payload: Vec::new(),
            scratch: WriteScratch::default(),
        }
    }

    /// Takes the body of a remote write. Answers how many samples it had.
    pub(crate) fn write(&mut self, body: &[u8]) -> usize {
        let Self { store, tenant, plain, payload, scratch, .. } = self;
        payload.clear();
        wire::decompress_into(Encoding::Snappy, body, BODY_MAX, &mut Unbounded, plain)
            .expect("it is snappy");
        let mut batch = store.batch(tenant, LIMITS);
        let decoded = wire::decode_write_v1(plain, &LabelLimits::NONE, scratch, &mut batch);
        let samples = decoded.expect("it is a write request").samples;
        batch.encode(payload).expect("it is taken");
        self.position.offset += payload.len() as u64;
        batch.apply(self.position).expect("it is applied");
        samples as usize
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

    /// Answers how many values the label has in all series, or in those of a metric.
    pub(crate) fn label_values(&self, label: &str, metric: Option<&str>) -> usize {
        let matchers: Vec<_> = metric.map(of_metric).into_iter().collect();
        let wanted = everything(&matchers);
        let listed = self.store.label_values(&self.tenant, &wanted, label, &mut Unbounded);
        listed.expect("they are listed").0.len()
    }

    /// Puts together the labels of each series of a metric. Answers how many there are.
    pub(crate) fn series(&self, metric: &str) -> usize {
        let matchers = [of_metric(metric)];
        let selection = self.store.select(&self.tenant, &everything(&matchers), &mut Unbounded);
        let selection = selection.expect("it is selected");
        let labels = (0..selection.len()).map(|index| selection.labels(index));
        labels.filter(|labels| labels.metric_name() == metric).count()
    }

    /// Answers how many series the result has.
    pub(crate) fn range_query(&self, query: &str, start: i64, end: i64, step: i64) -> usize {
        let request = Request::range(query, start, end, step);
        let language = Language::new(EngineOptions::default());
        let (store, tenant) = (&self.store, &self.tenant);
        let metrics = TenantMetrics { store, tenant, filters: Vec::new() };
        let result = language.run(&metrics, &*self.clock, &request).expect("it is answered");
        match result.value {
            QueryValue::Matrix { series, .. } => series.len(),
            other => panic!("a range query answers a matrix, not {other:?}"),
        }
    }
}

fn of_metric(metric: &str) -> Matcher {
    Matcher::equal("__name__", metric)
}

fn everything(matchers: &[Matcher]) -> Select<'_> {
    Select { time: TimeUnit::Millis.everything(), matchers, values_needed: false }
}
