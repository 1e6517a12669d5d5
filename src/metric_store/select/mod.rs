//! Reading: which series match, and the samples of each.
//!
//! Lives here: the selection and its reading. `gather`: which series of a head or part match.
//! `merge`: the series of several sources in one order. `listing`: names and values of labels.
//! `records`: metadata and exemplars. `union`: several selections as one.
//! A selection is a view of one moment. It holds the heads and the manifest from which it was made,
//! so flushes and merges do not affect it. It remembers how much each head had, so that a batch
//! that arrives during reading is not visible in some series only. Series come in the order of
//! parts, and their labels are only assembled when requested. Sources are ordered by day, then by
//! age, heads last: where two have a millisecond, the newer one wins.

mod gather;
mod listing;
mod merge;
mod records;
mod texts;
mod union;

use crate::StoreError;
use crate::columns::Columns;
use crate::head::Seen;
use crate::kind::{MetricHead, Store, Tenant};
use crate::matcher::Compiled;
use crate::part::{Borrowed, Dictionaries, GroupNames, MetricPart, PartScratch};
use engine::{Age, LabelDeletes};
use gather::Finding;
use model::{FloatHistogram, Labels, METRIC_NAME, Matcher, Room, TenantId, TimeRange, Ulid};
use parts::{Manifest, PartInfo};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use listing::{label_names, label_values};
pub(crate) use records::{exemplars, metadata};
pub use union::{Union, in_label_order};

/// What to select.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Milliseconds, both ends included.
    pub time: TimeRange,
    /// All of them must match.
    pub matchers: &'a [Matcher],
    /// If false, only the presence of samples and stale markers matter: values are 0.
    pub values_needed: bool,
}

/// The series that matched.
#[derive(Debug)]
pub struct Selection {
    /// Identifies the selection, so that a scratch of another one is reset.
    number: u64,
    store: Arc<Store>,
    /// `None` if the tenant has no data.
    tenant: Option<TenantView>,
    time: TimeRange,
    values_needed: bool,
    sources: Vec<Source>,
    series: SeriesList,
    trouble: Mutex<BTreeSet<String>>,
}

/// Whose parts a selection reads. The manifest keeps their files readable.
#[derive(Debug)]
struct TenantView {
    tenant: Arc<Tenant>,
    manifest: Arc<Manifest>,
}

#[derive(Debug)]
struct Source {
    from: Origin,
    deletes: LabelDeletes,
}

#[derive(Debug)]
enum Origin {
    Head(HeadSource),
    Part(PartSource),
}

#[derive(Debug)]
struct HeadSource {
    head: Arc<MetricHead>,
    /// The number of its batches when the selection was made.
    batches: u32,
}

#[derive(Debug)]
struct PartSource {
    part: MetricPart,
    dictionaries: Arc<Dictionaries>,
    /// The groups with matching series.
    groups: Vec<(u32, Arc<GroupNames>)>,
}

/// Where a series is in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// In a part: the index among the source's groups. In a head: the length of the main run.
    group: u32,
    /// In a part: the index in the group. In a head: the series' number.
    series: u32,
}

/// The series, and for each its places, in the order of sources.
#[derive(Debug, Default)]
struct SeriesList {
    occurrences: Vec<(u32, Place)>,
    /// The end of each series' places; empty if each series has one place.
    ends: Vec<u32>,
}

impl SeriesList {
    fn len(&self) -> usize {
        if self.ends.is_empty() { self.occurrences.len() } else { self.ends.len() }
    }

    fn of(&self, index: usize) -> &[(u32, Place)] {
        if self.ends.is_empty() {
            return &self.occurrences[index..=index];
        }
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.occurrences[start as usize..self.ends[index] as usize]
    }
}

/// The buffers of a reading thread, and what reading keeps between series. One per thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The selection to which the parts' scratches belong.
    owner: u64,
    columns: Columns,
    newer: Columns,
    merged: Columns,
    part_scratches: Vec<PartScratch>,
}

/// Samples of one kind of one series, in rising order of time, at most one per millisecond.
#[derive(Debug)]
pub struct Samples<'a, T> {
    pub times: &'a [i64],
    pub values: &'a [T],
    /// When the counter behind each value began, 0 if unknown. Empty if no start is known.
    pub starts: &'a [i64],
}

/// The samples of a series in the range of a selection. A float and a histogram never share a
/// millisecond.
#[derive(Debug)]
pub struct SeriesSamples<'a> {
    pub floats: Samples<'a, f64>,
    pub histograms: Samples<'a, Arc<FloatHistogram>>,
}

impl SeriesSamples<'_> {
    pub fn is_empty(&self) -> bool {
        self.floats.times.is_empty() && self.histograms.times.is_empty()
    }
}

impl<'a> SeriesSamples<'a> {
    fn of(columns: &'a Columns) -> Self {
        let Columns { floats, histograms } = columns;
        let (times, values, starts) = (&floats.times, &floats.values, &floats.starts);
        let floats = Samples { times, values, starts };
        let (times, values, starts) = (&histograms.times, &histograms.values, &histograms.starts);
        Self { floats, histograms: Samples { times, values, starts } }
    }

    fn of_borrowed(borrowed: Borrowed<'a>) -> Self {
        let Borrowed { times, values, starts } = borrowed;
        let histograms = Samples { times: &[], values: &[], starts: &[] };
        Self { floats: Samples { times, values, starts }, histograms }
    }
}

impl Scratch {
    fn begin(&mut self, selection: &Selection) {
        self.columns.clear();
        if self.owner != selection.number {
            self.owner = selection.number;
            self.part_scratches.clear();
            self.part_scratches.resize(selection.sources.len(), PartScratch::default());
        }
    }
}

impl Selection {
    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn labels(&self, index: usize) -> Labels {
        let (source, place) = self.series.of(index)[0];
        match &self.sources[source as usize].from {
            Origin::Head(head) => head.head.context.registry().entry(place.series).labels.clone(),
            Origin::Part(part) => {
                let mut bytes = Vec::with_capacity(256);
                part.write_labels(place, &mut bytes);
                Labels::from_canonical(&bytes)
            }
        }
    }

    /// Whether the series also come in the order of their labels. They come by metric first, which
    /// is another order if a label sorts before `__name__` or a series has no name. May return
    /// `false` although no such series is selected.
    pub fn is_in_label_order(&self) -> bool {
        let has_nameless = !self.is_empty() && self.labels(0).metric_name().is_empty();
        let stands_before = |label: &str| label < METRIC_NAME;
        let is_mixed = |source: &Source| match &source.from {
            Origin::Head(head) => {
                head.head.context.registry().labels().any(|(label, _)| stands_before(label))
            }
            Origin::Part(part) => {
                part.dictionaries.iter().any(|dictionary| stands_before(&dictionary.label))
            }
        };
        !has_nameless && !self.sources.iter().any(is_mixed)
    }

    /// Calls `each` with the labels of a series, in no particular order.
    pub fn for_each_label(&self, index: usize, mut each: impl FnMut(&str, &str)) {
        let (source, place) = self.series.of(index)[0];
        match &self.sources[source as usize].from {
            Origin::Head(head) => {
                let labels = head.head.context.registry().entry(place.series).labels.clone();
                labels.iter().for_each(|(name, value)| each(name, value));
            }
            Origin::Part(part) => part.for_each_label(place, each),
        }
    }

    /// Reads one series. Stale markers are included. A series of a part may have no samples in the
    /// range. Any number of threads may read at once.
    pub fn read<'r>(
        &self,
        index: usize,
        scratch: &'r mut Scratch,
    ) -> Result<SeriesSamples<'r>, StoreError> {
        scratch.begin(self);
        let occurrences = self.series.of(index);
        if let [occurrence] = occurrences
            && let Some(part) = self.borrowable_part(*occurrence, scratch)
        {
            return self.borrow(part, *occurrence, scratch);
        }
        for occurrence in occurrences {
            match self.borrowable_part(*occurrence, scratch) {
                Some(part) => self.append(part, *occurrence, scratch)?,
                None => self.read_occurrence(*occurrence, index, scratch)?,
            }
            scratch.columns.absorb(&mut scratch.newer, &mut scratch.merged);
        }
        scratch.columns.settle();
        Ok(SeriesSamples::of(&scratch.columns))
    }

    /// The part, if the series can be borrowed from it without a copy.
    fn borrowable_part(
        &self,
        (source, place): (u32, Place),
        scratch: &mut Scratch,
    ) -> Option<&PartSource> {
        let from = &self.sources[source as usize];
        let Origin::Part(part) = &from.from else { return None };
        let part_scratch = &mut scratch.part_scratches[source as usize];
        let is_plain =
            from.deletes.is_empty() && part.part.can_borrow(part.at(place), part_scratch);
        is_plain.then_some(part)
    }

    fn borrow<'r>(
        &self,
        part: &PartSource,
        (source, place): (u32, Place),
        scratch: &'r mut Scratch,
    ) -> Result<SeriesSamples<'r>, StoreError> {
        let Scratch { part_scratches, columns, .. } = scratch;
        let part_scratch = &mut part_scratches[source as usize];
        match part.part.borrow(part.at(place), self.time, self.values_needed, part_scratch) {
            Ok(borrowed) => Ok(SeriesSamples::of_borrowed(borrowed)),
            Err(error) => {
                self.part_failed(part.part.id, error)?;
                Ok(SeriesSamples::of(columns))
            }
        }
    }

    /// Reads into `scratch.columns` if the samples are later than those there, which is usual; else
    /// into `scratch.newer`.
    fn append(
        &self,
        part: &PartSource,
        (source, place): (u32, Place),
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let Scratch { part_scratches, columns, newer, .. } = scratch;
        newer.clear();
        let part_scratch = &mut part_scratches[source as usize];
        match part.part.borrow(part.at(place), self.time, self.values_needed, part_scratch) {
            Ok(borrowed) => {
                let is_behind = columns.is_behind(borrowed.times);
                let into = if is_behind { columns } else { newer };
                into.floats.extend(borrowed.times, borrowed.values, borrowed.starts);
                Ok(())
            }
            Err(error) => self.part_failed(part.part.id, error),
        }
    }

    /// Reads into `scratch.newer`.
    fn read_occurrence(
        &self,
        (source, place): (u32, Place),
        index: usize,
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let from = &self.sources[source as usize];
        let (newer, time) = (&mut scratch.newer, self.time);
        newer.clear();
        match &from.from {
            Origin::Head(HeadSource { head, batches }) => {
                let seen = Seen { run: place.group, batches: *batches };
                head.read().read(place.series, seen, time, self.values_needed, newer);
            }
            Origin::Part(part) => {
                let part_scratch = &mut scratch.part_scratches[source as usize];
                let read =
                    part.part.read(part.at(place), time, self.values_needed, newer, part_scratch);
                if let Err(error) = read {
                    newer.clear();
                    self.part_failed(part.part.id, error)?;
                }
            }
        }
        if !from.deletes.is_empty() {
            for range in from.deletes.times_of(&self.labels(index)) {
                newer.keep(|time| !range.contains(time));
            }
        }
        Ok(())
    }

    /// A damaged part is quarantined and named in the warnings, and the other parts are served.
    /// Other failures are returned.
    fn part_failed(&self, id: Ulid, error: StoreError) -> Result<(), StoreError> {
        if let Some(view) = &self.tenant {
            let warning = view.tenant.quarantine_damaged(&self.store.kind, id, error)?;
            self.trouble().insert(warning);
        }
        Ok(())
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Warnings for the reader, such as about data that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        let view = self.tenant.as_ref();
        let mut warnings = view.map_or(Vec::new(), |view| view.manifest.warnings(self.time));
        warnings.extend(self.trouble().iter().cloned());
        warnings
    }
}

impl PartSource {
    /// The group's number in the part, and the series' index in the group.
    fn at(&self, place: Place) -> (u32, u32) {
        (self.groups[place.group as usize].0, place.series)
    }

    fn metric(&self, place: Place) -> &str {
        &self.part.group(self.groups[place.group as usize].0).metric
    }

    /// Replaces `bytes` with the canonical labels.
    fn write_labels(&self, place: Place, bytes: &mut Vec<u8>) {
        let (_, names) = &self.groups[place.group as usize];
        names.write(self.metric(place), place.series, &self.dictionaries, bytes);
    }

    fn for_each_label(&self, place: Place, mut each: impl FnMut(&str, &str)) {
        if !self.metric(place).is_empty() {
            each(METRIC_NAME, self.metric(place));
        }
        for column in self.groups[place.group as usize].1.columns() {
            let code = column.codes.get(place.series);
            if code != 0
                && let Some(dictionary) = self.dictionaries.get(column.label)
            {
                each(&dictionary.label, dictionary.value(code));
            }
        }
    }
}

pub(crate) fn select(
    store: &Arc<Store>,
    tenant: &TenantId,
    wanted: &Select<'_>,
    room: &mut dyn Room,
) -> Result<Selection, StoreError> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let tenant = store.tenant(tenant);
    let matchers = Compiled::new(wanted.matchers);
    let gathered = match &tenant {
        Some(tenant) => {
            let mut finding = Finding { time: wanted.time, matchers: &matchers, room };
            Some(finding.gather(store, tenant)?)
        }
        None => None,
    };
    let mut selection = Selection {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        store: Arc::clone(store),
        tenant: None,
        time: wanted.time,
        values_needed: wanted.values_needed,
        sources: Vec::new(),
        series: SeriesList::default(),
        trouble: Mutex::default(),
    };
    if let (Some(tenant), Some(gathered)) = (tenant, gathered) {
        selection.series = merge::merge(&gathered.sources, gathered.found, room)?;
        selection.tenant = Some(TenantView { tenant, manifest: gathered.manifest });
        selection.sources = gathered.sources;
        selection.trouble = Mutex::new(gathered.trouble);
    }
    Ok(selection)
}

/// Oldest data first. Days share no sample, so within a day the newer part wins, and from day to
/// day samples are appended, not merged.
fn parts_by_day(manifest: &Manifest, time: TimeRange) -> Vec<Ulid> {
    ordered(manifest, time, |part| (part.day, Age::of(part)))
}

/// In the order of writing.
fn parts_by_age(manifest: &Manifest, time: TimeRange) -> Vec<Ulid> {
    ordered(manifest, time, Age::of)
}

fn ordered<K: Ord>(
    manifest: &Manifest,
    time: TimeRange,
    key: impl Fn(&PartInfo) -> K,
) -> Vec<Ulid> {
    let mut parts: Vec<_> = manifest.parts_in(time).map(|part| (key(part), part.id)).collect();
    parts.sort_unstable();
    parts.into_iter().map(|(_, id)| id).collect()
}
