//! A store, its write-ahead log and its disk, and the rows that it should hold.

use engine::{Engine, EngineError, HeadMemory, MergeRequest, TenantLimit};
use metric_store::{
    BATCH_SCHEMA, BatchBuilder, HistogramSample, Limits, MetricStore, Scratch, Select, StoreError,
    StoreSettings,
};
use model::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, Matcher, Signal, TenantId, TimeRange,
    Unbounded, WalPosition,
};
use parts::{Retention, Site, plan_retention};
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom, Space};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use wal::{Batch, Log, LogOptions};

pub(crate) const DAY_MS: i64 = 86_400_000;
/// Midnight of the simulated clock's first day.
pub(crate) const TODAY_MS: i64 = 1_795_219_200_000;
pub(crate) const LIMITS: Limits =
    Limits { active_series_max: 1_000_000, setting: "metrics.active_series_max" };
pub(crate) const SPACE: Space = Space { total: 1 << 40, free: 1 << 39 };

/// A sample of the model: the bits of a float, or the number of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) bits: u64,
    pub(crate) start: i64,
}

/// Rows by series and time.
pub(crate) type Rows = BTreeMap<(u32, i64), Row>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) log: Log,
    pub(crate) store: MetricStore,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) tenant: TenantId,
    /// No file of this world is damaged, so no row may be missing.
    pub(crate) whole: bool,
    batch: BatchBuilder,
    end: WalPosition,
}

const SETTINGS: StoreSettings = StoreSettings {
    cache_bytes: 1 << 20,
    tenants: TenantLimit::NONE,
    head_memory: HeadMemory::UNLIMITED,
};

impl World {
    pub(crate) fn open(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_with(disk, clock, seed, SETTINGS, |refused| Err(refused.into()))
    }

    pub(crate) fn open_limited(
        disk: SimDisk,
        clock: Arc<SimClock>,
        settings: StoreSettings,
    ) -> Result<Self, Box<dyn Error>> {
        let seed = disk.operations();
        Self::open_with(disk, clock, seed, settings, |refused| Err(refused.into()))
    }

    /// Continues after refused batches, as a server does.
    pub(crate) fn open_lenient(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_with(disk, clock, seed, SETTINGS, |_| Ok(()))
    }

    fn open_with(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
        settings: StoreSettings,
        on_refused: impl Fn(EngineError) -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(Arc::clone(&shared), "blobs")?);
        let random = Arc::new(SeededRandom::new(seed));
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let site = Site::new(blobs, clock.clone(), ids);
        let store = MetricStore::open(site, random.clone(), settings)?;
        let engine = store.engine();
        let covered = engine.wal_covered().unwrap_or_default();
        let first_segment = covered.segment + 1;
        let options =
            LogOptions { segment_bytes: 16 << 10, first_segment, ..LogOptions::default() };
        let (log, mut replay) = Log::open(shared, clock, random, options)?;
        while let Some(replayed) = replay.next_batch()? {
            engine.replay(&replayed).or_else(&on_refused)?;
        }
        engine.end_replay();
        let (end, batch) = (log.end().max(covered), BatchBuilder::new());
        let tenant = TenantId::default_tenant();
        Ok(Self { disk, log, store, engine, tenant, whole: true, batch, end })
    }

    /// Writes rows to the write-ahead log and applies them.
    pub(crate) fn write(&mut self, rows: &[(u32, i64, Row)]) -> Result<(), Box<dyn Error>> {
        self.batch.clear();
        for (series, time, row) in rows {
            push_row(&mut self.batch, *series, *time, *row);
        }
        self.commit()
    }

    pub(crate) fn write_batch(
        &mut self,
        fill: impl FnOnce(&mut BatchBuilder),
    ) -> Result<(), Box<dyn Error>> {
        self.batch.clear();
        fill(&mut self.batch);
        self.commit()
    }

    fn commit(&mut self) -> Result<(), Box<dyn Error>> {
        let mut payload = Vec::new();
        let prepared = self.store.prepare(&self.tenant, LIMITS, &mut self.batch, &mut payload)?;
        let schema = BATCH_SCHEMA;
        let batch =
            Batch { tenant: &self.tenant, signal: Signal::Metrics, schema, payload: &payload };
        let position = self.log.append_wait(&batch)?;
        self.store.apply(prepared, &mut self.batch, position)?;
        self.end = position.behind();
        Ok(())
    }

    pub(crate) fn end(&self) -> WalPosition {
        self.end.max(self.log.end())
    }

    pub(crate) fn cut(&self) {
        cut_all(&*self.engine, self.end());
    }

    pub(crate) fn flush(&self) -> Result<(), Box<dyn Error>> {
        // Flush what an earlier flush left. If that fails again, the next flush reports it.
        let _left = flush_all(&*self.engine);
        tend_all(&*self.engine);
        self.cut();
        flush_all(&*self.engine)?;
        let needed = wal_needed_from(&*self.engine);
        self.log.truncate_before(needed.unwrap_or(self.log.end()))?;
        Ok(())
    }

    pub(crate) fn merge(&self, full: bool) -> Result<usize, EngineError> {
        merge_all(&*self.engine, full)
    }

    pub(crate) fn retain(&self, oldest_ms: Option<i64>, bytes_max: Option<u64>) -> usize {
        let manifests = self.engine.manifests();
        let oldest_ms = oldest_ms.map(|oldest| (Signal::Metrics, oldest)).into_iter().collect();
        let settings = Retention { oldest_ms, bytes_max, ..Retention::default() };
        let parts = plan_retention(manifests.iter().map(|manifest| &**manifest), &settings);
        self.engine.drop_parts(&parts).unwrap()
    }

    pub(crate) fn delete(&self, matchers: &[Matcher], time: TimeRange) -> Result<(), StoreError> {
        let delete = self.store.resolve_delete(&self.tenant, matchers, time)?;
        self.store.delete(&self.tenant, delete.as_slice(), |cut| cut(self.end()))
    }

    /// Everything that can be read in the range, as rows.
    pub(crate) fn rows(&self, time: TimeRange) -> Result<Rows, StoreError> {
        read_rows(&self.store, &self.tenant, &[], time, self.whole)
    }
}

pub(crate) fn cut_all(engine: &dyn Engine, end: WalPosition) {
    engine.tenants().iter().for_each(|status| engine.cut(&status.tenant, end));
}

/// Calls every tenant, also after a failure; returns the first failure.
fn on_each<T: std::iter::Sum>(
    engine: &dyn Engine,
    work: impl Fn(&TenantId) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let outcomes: Vec<_> = engine.tenants().iter().map(|status| work(&status.tenant)).collect();
    outcomes.into_iter().sum()
}

pub(crate) fn flush_all(engine: &dyn Engine) -> Result<(), EngineError> {
    on_each(engine, |tenant| engine.flush(tenant).map(|()| 0u8)).map(|_| ())
}

pub(crate) fn merge_all(engine: &dyn Engine, full: bool) -> Result<usize, EngineError> {
    let request = MergeRequest { full, space: SPACE };
    on_each(engine, |tenant| engine.merge(tenant, &request))
}

pub(crate) fn tend_all(engine: &dyn Engine) {
    engine.tenants().iter().for_each(|status| engine.tend(&status.tenant));
}

pub(crate) fn wal_needed_from(engine: &dyn Engine) -> Option<WalPosition> {
    engine.tenants().iter().filter_map(|status| status.wal_needed_from).min()
}

pub(crate) fn push_row(batch: &mut BatchBuilder, series: u32, time: i64, row: Row) {
    let slot = batch.series(labels(series).as_bytes());
    match is_histogram(series) {
        true => batch.histogram(slot, histogram_sample(series, time, row)),
        false => batch.sample_since(slot, time, row.start, f64::from_bits(row.bits)),
    }
}

/// The rows of the matching series. If the store is `whole`, no row may be missing.
pub(crate) fn read_rows(
    store: &MetricStore,
    tenant: &TenantId,
    matchers: &[Matcher],
    time: TimeRange,
    whole: bool,
) -> Result<Rows, StoreError> {
    let wanted = Select { time, matchers, values_needed: true };
    let selection = store.select(tenant, &wanted, &mut Unbounded)?;
    assert!(!whole || selection.warnings().is_empty(), "{:?}", selection.warnings());
    let mut rows = Rows::new();
    let mut scratch = Scratch::default();
    for index in 0..selection.len() {
        let series = series_of(&selection.labels(index));
        let columns = selection.read(index, &mut scratch)?;
        assert!(!whole || selection.warnings().is_empty(), "{:?}", selection.warnings());
        let floats = columns.floats.values.iter().map(|value| value.to_bits());
        add(&mut rows, series, columns.floats.times, columns.floats.starts, floats);
        let histograms =
            columns.histograms.values.iter().map(|histogram| histogram_number(series, histogram));
        add(&mut rows, series, columns.histograms.times, columns.histograms.starts, histograms);
    }
    Ok(rows)
}

fn add(
    rows: &mut Rows,
    series: u32,
    times: &[i64],
    starts: &[i64],
    bits: impl ExactSizeIterator<Item = u64>,
) {
    assert_eq!(times.len(), bits.len());
    assert!(starts.is_empty() || starts.len() == times.len());
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "times rise: {times:?}");
    for (index, bits) in bits.enumerate() {
        let row = Row { bits, start: starts.get(index).copied().unwrap_or(0) };
        let before = rows.insert((series, times[index]), row);
        assert_eq!(before, None, "series {series} has {} twice", times[index]);
    }
}

/// Every fifth series is one of histograms.
pub(crate) fn is_histogram(series: u32) -> bool {
    series % 5 == 4
}

pub(crate) fn labels(series: u32) -> Labels {
    let metric = format!("metric_{}", series / 10);
    let number = series.to_string();
    let zone = ["a", "b", ""][series as usize % 3];
    Labels::from_pairs([("__name__", metric.as_str()), ("number", &number), ("zone", zone)])
}

fn series_of(labels: &Labels) -> u32 {
    labels.value("number").parse().unwrap()
}

/// The bits of the sum distinguish histograms; the layout changes with them.
fn histogram_sample(series: u32, time_ms: i64, row: Row) -> HistogramSample {
    let buckets = (0..row.bits % 4).map(|index| (index as i32 * 2, (row.bits % 100) as f64));
    let mut histogram = FloatHistogram {
        schema: 3,
        count: (row.bits % 1_000) as f64,
        sum: f64::from_bits(row.bits),
        positive: Buckets::from_entries(buckets),
        ..FloatHistogram::default()
    };
    if let Some(bounds) = custom_bounds(series, row.bits) {
        histogram.schema = CUSTOM_BUCKETS_SCHEMA;
        histogram.custom_bounds = bounds;
    }
    HistogramSample { time_ms, start_ms: row.start, histogram: Arc::new(histogram) }
}

/// Every third one has custom buckets whose bounds change, except for the series in the frozen
/// fixtures.
fn custom_bounds(series: u32, bits: u64) -> Option<Arc<[f64]>> {
    let step = 1.0 + (bits % 7) as f64;
    (series >= 15 && bits.is_multiple_of(3))
        .then(|| (0..8).map(|index| f64::from(index) * step).collect())
}

fn histogram_number(series: u32, histogram: &FloatHistogram) -> u64 {
    let bits = histogram.sum.to_bits();
    let bounds = custom_bounds(series, bits);
    assert_eq!(histogram.uses_custom_buckets(), bounds.is_some());
    assert_eq!(histogram.custom_bounds, bounds.unwrap_or_default());
    assert_eq!(histogram.count, (bits % 1_000) as f64);
    assert_eq!(histogram.positive.counts.len() as u64, bits % 4);
    bits
}
