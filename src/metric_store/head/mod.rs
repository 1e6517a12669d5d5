//! Samples that are not in parts yet.
//!
//! Lives here: the samples of each series since the last cut, readable at once. `clocks`:
//! timestamps that the series of a scrape share. `runs`: values in small blocks from one arena.
//! Not here: labels of series (`registry`), locks (`tenant`), parts.
//! Invariants: the times of a series' main run strictly increase; a sample that is not later goes
//! to the series' `Extra`, in order of arrival, and wins over the main run where both have a
//! millisecond; a reader that passes what it saw at a moment (`Seen`) reads no sample that came
//! later.

mod clocks;
mod runs;

use crate::batch::{Exemplar, HistogramSample};
use crate::columns::{Column, Columns};
use clocks::{Clocks, NO_CLOCK};
use model::{Day, MetricMetadata, STALE_BITS, Signal, TimeRange, TimeUnit};
use runs::{Run, ValueArena};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) use clocks::BatchCursor;

/// The state of one series. Its k-th sample is at tick `start + k` of its clock. Every head has one
/// for each series of the registry, so the size matters.
#[derive(Clone, Copy, Debug)]
struct SeriesState {
    clock: u32,
    start: u32,
    run: Run,
    has_extra: bool,
    has_stale: bool,
}

const _: () = assert!(size_of::<SeriesState>() == 32);

const EMPTY: SeriesState =
    SeriesState { clock: NO_CLOCK, start: 0, run: Run::EMPTY, has_extra: false, has_stale: false };

/// How much of a series there was at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The number of samples in its main run.
    pub(crate) run: u32,
    /// The number of batches in the head.
    pub(crate) batches: u32,
}

impl Seen {
    pub(crate) const EVERYTHING: Self = Self { run: u32::MAX, batches: u32::MAX };
}

/// Data that only few series have.
#[derive(Debug, Default)]
struct Extra {
    /// Samples out of order, or that overwrite others.
    late: Vec<LateSample>,
    /// Pairs of a time of the main run and the counter's start from then on; none before the first.
    starts: Vec<(i64, i64)>,
    /// Each with the number of batches pushed before it.
    histograms: Vec<(u32, HistogramSample)>,
}

#[derive(Clone, Copy, Debug)]
struct LateSample {
    time: i64,
    start: i64,
    value: u64,
    /// The number of batches pushed before it.
    after: u32,
}

/// If more than one in this many series of the registry have samples, they are not listed.
const FEW: usize = 4;

#[derive(Debug)]
pub(crate) struct Head {
    series: Vec<SeriesState>,
    /// The series with samples, in the order of their first samples; `None` once there are many.
    used: Option<Vec<u32>>,
    clocks: Clocks,
    arena: ValueArena,
    extras: HashMap<u32, Extra>,
    pub(crate) exemplars: Vec<(u32, Exemplar)>,
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    pub(crate) rows: u64,
    /// How many batches were pushed.
    batches: u32,
    days: BTreeSet<Day>,
    /// The day of the last sample; the next one is usually of the same day.
    day: Option<TimeRange>,
    time: Option<TimeRange>,
    extra_bytes: usize,
}

/// A sample, as it is pushed into the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatSample {
    pub(crate) time: i64,
    pub(crate) start: i64,
    pub(crate) value: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            series: Vec::new(),
            used: Some(Vec::new()),
            clocks: Clocks::default(),
            arena: ValueArena::default(),
            extras: HashMap::new(),
            exemplars: Vec::new(),
            metadata: BTreeMap::new(),
            rows: 0,
            batches: 0,
            days: BTreeSet::new(),
            day: None,
            time: None,
            extra_bytes: 0,
        }
    }
}

impl Head {
    /// Reserves states for series with numbers below `count`.
    pub(crate) fn reserve(&mut self, count: usize) {
        if self.series.len() < count {
            // Grows in large steps, because scrapes add many series at once.
            self.series.resize(count, EMPTY);
        }
    }

    /// Ends a batch: everything pushed since the last call becomes visible together.
    pub(crate) fn end_batch(&mut self) {
        self.batches += 1;
    }

    pub(crate) fn batches(&self) -> u32 {
        self.batches
    }

    /// How many samples the main run of the series has.
    pub(crate) fn run_length(&self, number: u32) -> u32 {
        self.series.get(number as usize).map_or(0, |state| state.run.len)
    }

    pub(crate) fn push(&mut self, cursor: &mut BatchCursor, number: u32, sample: FloatSample) {
        self.see(sample.time);
        self.use_series(number);
        let state = &mut self.series[number as usize];
        let in_order = self.clocks.advance(
            cursor,
            (&mut state.clock, &mut state.start),
            state.run.len,
            sample.time,
        );
        if in_order {
            self.arena.push(&mut state.run, sample.value);
            state.has_stale |= sample.value == STALE_BITS;
            self.rows += 1;
            if sample.start != 0 || state.has_extra {
                self.note_start(number, sample);
            }
        } else {
            self.push_late(number, sample);
        }
    }

    /// How many series have samples; those of the registry, once most of them have.
    pub(crate) fn series_used(&self) -> usize {
        self.used.as_ref().map_or(self.series.len(), Vec::len)
    }

    fn use_series(&mut self, number: u32) {
        let state = &self.series[number as usize];
        if state.run.len == 0
            && !state.has_extra
            && let Some(used) = &mut self.used
        {
            used.push(number);
            if used.len() * FEW > self.series.len() {
                self.used = None;
            }
        }
    }

    fn note_start(&mut self, number: u32, sample: FloatSample) {
        let extra = extra(&mut self.extras, &mut self.series[number as usize], number);
        if extra.starts.last().map_or(0, |(_, start)| *start) != sample.start {
            extra.starts.push((sample.time, sample.start));
            self.extra_bytes += 16;
        }
    }

    /// A sample that repeats a stored one bit for bit changes nothing.
    fn push_late(&mut self, number: u32, sample: FloatSample) {
        let state = self.series[number as usize];
        let times = self.clocks.ticks(state.clock, state.start, state.run.len);
        let known = times.binary_search(&sample.time).ok();
        let same = |index| self.arena.get(&state.run, index as u32) == sample.value;
        if known.is_some_and(same) && !state.has_extra && sample.start == 0 {
            return;
        }
        let extra = extra(&mut self.extras, &mut self.series[number as usize], number);
        let FloatSample { time, start, value } = sample;
        extra.late.push(LateSample { time, start, value, after: self.batches });
        self.series[number as usize].has_stale |= sample.value == STALE_BITS;
        self.extra_bytes += size_of::<LateSample>();
        self.rows += 1;
    }

    pub(crate) fn push_histogram(&mut self, number: u32, sample: HistogramSample) {
        self.see(sample.time_ms);
        let buckets =
            sample.histogram.positive.counts.len() + sample.histogram.negative.counts.len();
        self.extra_bytes += 192 + buckets * 12;
        self.rows += 1;
        self.use_series(number);
        let extra = extra(&mut self.extras, &mut self.series[number as usize], number);
        extra.histograms.push((self.batches, sample));
    }

    pub(crate) fn push_exemplar(&mut self, number: u32, exemplar: Exemplar) {
        self.see(exemplar.time_ms);
        self.extra_bytes += 64 + exemplar.labels.as_bytes().len();
        self.exemplars.push((number, exemplar));
    }

    pub(crate) fn push_metadata(&mut self, metric: &str, metadata: &MetricMetadata) {
        if self.metadata.get(metric) != Some(metadata) {
            self.extra_bytes += metric.len() + metadata.help.len() + metadata.unit.len() + 96;
            self.metadata.insert(metric.to_owned(), metadata.clone());
        }
    }

    fn see(&mut self, time: i64) {
        if self.day.is_none_or(|day| !day.contains(time)) {
            let day = Day::of(time, Signal::Metrics);
            self.days.insert(day);
            self.day = Some(day.range(Signal::Metrics));
        }
        let at = TimeUnit::Millis.at(time);
        self.time = Some(self.time.map_or(at, |range| range.union(at)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    pub(crate) fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.days.iter().copied()
    }

    /// Calls `each` with every day on which the series has samples, possibly repeatedly.
    pub(crate) fn for_each_day(&self, number: u32, mut each: impl FnMut(Day)) {
        let Some(state) = self.series.get(number as usize) else { return };
        let mut times = self.clocks.ticks(state.clock, state.start, state.run.len);
        while let Some(first) = times.first() {
            let day = Day::of(*first, Signal::Metrics);
            each(day);
            let end = day.range(Signal::Metrics).max;
            times = &times[times.partition_point(|time| *time <= end)..];
        }
        if state.has_extra
            && let Some(extra) = self.extras.get(&number)
        {
            let late = extra.late.iter().map(|sample| sample.time);
            let times = late.chain(extra.histograms.iter().map(|(_, sample)| sample.time_ms));
            times.for_each(|time| each(Day::of(time, Signal::Metrics)));
        }
    }

    pub(crate) fn time(&self) -> Option<TimeRange> {
        self.time
    }

    /// Roughly the memory that the head takes.
    pub(crate) fn bytes(&self) -> usize {
        let used = self.used.as_ref().map_or(0, Vec::capacity) * size_of::<u32>();
        self.series.capacity() * size_of::<SeriesState>() + used + self.sample_bytes()
    }

    pub(crate) fn sample_bytes(&self) -> usize {
        self.arena.bytes() + self.clocks.bytes() + self.extra_bytes
    }

    /// The series with samples, if they are few among those of the registry.
    pub(crate) fn used(&self) -> Option<&[u32]> {
        self.used.as_deref()
    }

    /// Whether the series has a sample since the last cut.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.series.get(number as usize).is_some_and(|state| state.run.len > 0 || state.has_extra)
    }

    /// Appends the series' samples in the range that were `seen`, sorted, one per millisecond.
    /// Without `values` only stale markers have their own bits; all other values are 0.
    pub(crate) fn read(
        &self,
        number: u32,
        seen: Seen,
        range: TimeRange,
        values: bool,
        into: &mut Columns,
    ) {
        let Some(state) = self.series.get(number as usize) else { return };
        self.read_run(state, seen.run, range, values || state.has_stale, &mut into.floats);
        if state.has_extra
            && let Some(extra) = self.extras.get(&number)
        {
            read_starts(&extra.starts, &mut into.floats);
            read_late(&extra.late, seen, range, &mut into.floats);
            read_histograms(&extra.histograms, seen, range, into);
        }
        into.settle();
    }

    fn read_run(
        &self,
        state: &SeriesState,
        seen: u32,
        range: TimeRange,
        values: bool,
        into: &mut Column<f64>,
    ) {
        let length = state.run.len.min(seen);
        if length == 0 {
            return;
        }
        let times = self.clocks.ticks(state.clock, state.start, length);
        let first = times.partition_point(|time| *time < range.min);
        let end = first + times[first..].partition_point(|time| *time <= range.max);
        into.times.extend_from_slice(&times[first..end]);
        match values {
            true => self.arena.read(&state.run, first as u32..end as u32, &mut into.values),
            false => into.values.resize(into.values.len() + end - first, 0.0),
        }
    }
}

fn extra<'a>(
    extras: &'a mut HashMap<u32, Extra>,
    state: &mut SeriesState,
    number: u32,
) -> &'a mut Extra {
    state.has_extra = true;
    extras.entry(number).or_default()
}

fn read_starts(starts: &[(i64, i64)], into: &mut Column<f64>) {
    if starts.is_empty() {
        return;
    }
    let start_at = |time: &i64| {
        let behind = starts.partition_point(|(from, _)| from <= time);
        behind.checked_sub(1).map_or(0, |index| starts[index].1)
    };
    into.starts = into.times.iter().map(start_at).collect();
}

fn read_late(late: &[LateSample], seen: Seen, range: TimeRange, into: &mut Column<f64>) {
    let is_wanted =
        |sample: &LateSample| sample.after < seen.batches && range.contains(sample.time);
    let mut wanted: Vec<LateSample> = late.iter().copied().filter(is_wanted).collect();
    if wanted.is_empty() {
        return;
    }
    wanted.sort_by_key(|sample| sample.time);
    let mut column = Column::default();
    for (index, sample) in wanted.iter().enumerate() {
        // Of several samples for one millisecond the last to arrive counts.
        if wanted.get(index + 1).is_some_and(|next| next.time == sample.time) {
            continue;
        }
        column.times.push(sample.time);
        column.values.push(f64::from_bits(sample.value));
        column.push_start(sample.start);
    }
    into.absorb(&mut column, &mut Column::default());
}

fn read_histograms(
    histograms: &[(u32, HistogramSample)],
    seen: Seen,
    range: TimeRange,
    into: &mut Columns,
) {
    let is_wanted = |(after, sample): &&(u32, HistogramSample)| {
        *after < seen.batches && range.contains(sample.time_ms)
    };
    let wanted = histograms.iter().filter(is_wanted).map(|(_, sample)| sample);
    let mut wanted: Vec<&HistogramSample> = wanted.collect();
    wanted.sort_by_key(|sample| sample.time_ms);
    for (index, sample) in wanted.iter().enumerate() {
        if wanted.get(index + 1).is_none_or(|next| next.time_ms != sample.time_ms) {
            into.push_histogram(sample);
        }
    }
}
