//! Reading: which series match, and the samples of each.
//!
//! Lives here: the selection and its reading. `gather`: which series of a head or part match.
//! `merge`: the series of several sources in one order. `listing`: names and values of labels.
//! `records`: metadata and exemplars. `union`: several selections as one.
//! A selection is a view of one moment: it holds the heads and the manifest it was made from, so
//! flushes and merges don't disturb it, and remembers how much each head had, so that no batch that
//! comes while it is read shows in some series and not in others. Series come in the order of parts,
//! and their labels are put together only when asked for. Sources are ordered by day, then by age,
//! heads last: where two have a millisecond, the newer one wins.

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
use crate::part::{Dictionaries, GroupNames, Lent, MetricPart, PartRoom};
use engine::{Age, LabelDeletes};
use model::{FloatHistogram, Labels, METRIC_NAME, Matcher, TenantId, TimeRange, Ulid};
use parts::{Manifest, PartInfo};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use listing::{label_names, label_values};
pub(crate) use records::{exemplars, metadata};
pub use union::{Union, in_label_order};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Milliseconds; both ends belong to it.
    pub time: TimeRange,
    /// All of them must match.
    pub matchers: &'a [Matcher],
    /// Without it only the presence of samples matters, and stale markers: values are 0.
    pub values_needed: bool,
}

/// The series that matched.
#[derive(Debug)]
pub struct Selection {
    /// Tells what was lent by another one.
    number: u64,
    store: Arc<Store>,
    /// None where the tenant has nothing at all.
    tenant: Option<TenantView>,
    time: TimeRange,
    values_needed: bool,
    sources: Vec<Source>,
    series: SeriesList,
    trouble: Mutex<BTreeSet<String>>,
}

/// Whose parts a selection reads, and which; the manifest keeps their files readable.
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
    /// How many batches it had.
    batches: u32,
}

#[derive(Debug)]
struct PartSource {
    part: MetricPart,
    dictionaries: Arc<Dictionaries>,
    /// Those with series that matched.
    groups: Vec<(u32, Arc<GroupNames>)>,
}

/// Where a series stands in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// In a part: in which of the source's groups. In a head: how many samples it had in order.
    group: u32,
    /// In a part: which of the group. In a head: its number.
    series: u32,
}

/// The series, and for each where it stands, in the order of sources.
#[derive(Debug, Default)]
struct SeriesList {
    occurrences: Vec<(u32, Place)>,
    /// Where the occurrences of each series end; empty where each has one.
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

/// Where a selection puts what it decodes, and what it knows from the series before. One per
/// thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// The selection that the rooms are for.
    owner: u64,
    columns: Columns,
    newer: Columns,
    merged: Columns,
    rooms: Vec<PartRoom>,
}

/// Samples of one kind of one series, in rising order of time, one per millisecond at most.
#[derive(Debug)]
pub struct Samples<'a, T> {
    pub times: &'a [i64],
    pub values: &'a [T],
    /// When the counter behind each value began, 0 where unknown; empty where none is known.
    pub starts: &'a [i64],
}

/// What a series has in the range of a selection. A float and a histogram never share a
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

    fn lent(lent: Lent<'a>) -> Self {
        let Lent { times, values, starts } = lent;
        let histograms = Samples { times: &[], values: &[], starts: &[] };
        Self { floats: Samples { times, values, starts }, histograms }
    }
}

impl Scratch {
    fn begin(&mut self, selection: &Selection) {
        self.columns.clear();
        if self.owner != selection.number {
            self.owner = selection.number;
            self.rooms.clear();
            self.rooms.resize(selection.sources.len(), PartRoom::default());
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

    /// Whether the series come in the order of their labels too. They come by metric first, which is
    /// another order where a label stands before `__name__`, or a series has no name. `false` may be
    /// said of a selection without such series.
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

    /// Reads one series. Stale markers are included; a series of a part may turn out to have
    /// nothing in the range. Any number of threads may read at once.
    pub fn read<'r>(
        &self,
        index: usize,
        scratch: &'r mut Scratch,
    ) -> Result<SeriesSamples<'r>, StoreError> {
        scratch.begin(self);
        let occurrences = self.series.of(index);
        if let [occurrence] = occurrences
            && let Some(part) = self.lender(*occurrence, scratch)
        {
            return self.lend(part, *occurrence, scratch);
        }
        for occurrence in occurrences {
            match self.lender(*occurrence, scratch) {
                Some(part) => self.append(part, *occurrence, scratch)?,
                None => self.read_occurrence(*occurrence, index, scratch)?,
            }
            scratch.columns.absorb(&mut scratch.newer, &mut scratch.merged);
        }
        scratch.columns.settle();
        Ok(SeriesSamples::of(&scratch.columns))
    }

    /// The part, where the series can be had without a copy.
    fn lender(&self, (source, place): (u32, Place), scratch: &mut Scratch) -> Option<&PartSource> {
        let from = &self.sources[source as usize];
        let Origin::Part(part) = &from.from else { return None };
        let room = &mut scratch.rooms[source as usize];
        let is_plain = from.deletes.is_empty() && part.part.is_lendable(part.at(place), room);
        is_plain.then_some(part)
    }

    fn lend<'r>(
        &self,
        part: &PartSource,
        (source, place): (u32, Place),
        scratch: &'r mut Scratch,
    ) -> Result<SeriesSamples<'r>, StoreError> {
        let Scratch { rooms, columns, .. } = scratch;
        let room = &mut rooms[source as usize];
        match part.part.lend(part.at(place), self.time, self.values_needed, room) {
            Ok(lent) => Ok(SeriesSamples::lent(lent)),
            Err(error) => {
                self.part_failed(part.part.id, error)?;
                Ok(SeriesSamples::of(columns))
            }
        }
    }

    /// Into `scratch.columns` where it lies behind what is there, which it usually does; else into
    /// `scratch.newer`.
    fn append(
        &self,
        part: &PartSource,
        (source, place): (u32, Place),
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let Scratch { rooms, columns, newer, .. } = scratch;
        newer.clear();
        let room = &mut rooms[source as usize];
        match part.part.lend(part.at(place), self.time, self.values_needed, room) {
            Ok(lent) => {
                let is_behind = columns.is_behind(lent.times);
                let into = if is_behind { columns } else { newer };
                into.floats.extend(lent.times, lent.values, lent.starts);
                Ok(())
            }
            Err(error) => self.part_failed(part.part.id, error),
        }
    }

    /// Into `scratch.newer`.
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
                let room = &mut scratch.rooms[source as usize];
                let read = part.part.read(part.at(place), time, self.values_needed, newer, room);
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

    /// Damage is quarantined and named in the warnings; the rest is served. Other failures are the
    /// caller's.
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

    /// What the reader should know, such as data that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        let view = self.tenant.as_ref();
        let mut warnings = view.map_or(Vec::new(), |view| view.manifest.warnings(self.time));
        warnings.extend(self.trouble().iter().cloned());
        warnings
    }
}

impl PartSource {
    /// The group in the part, and the series in the group.
    fn at(&self, place: Place) -> (u32, u32) {
        (self.groups[place.group as usize].0, place.series)
    }

    fn metric(&self, place: Place) -> &str {
        &self.part.group(self.groups[place.group as usize].0).metric
    }

    /// Replaces `bytes` by the canonical labels.
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
) -> Result<Selection, StoreError> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let tenant = store.tenant(tenant);
    let matchers = Compiled::new(wanted.matchers);
    let gather = |tenant: &Arc<Tenant>| gather::gather(store, tenant, wanted.time, &matchers);
    let gathered = tenant.as_ref().map(gather).transpose()?;
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
        selection.series = merge::merge(&gathered.sources, gathered.found);
        selection.tenant = Some(TenantView { tenant, manifest: gathered.manifest });
        selection.sources = gathered.sources;
        selection.trouble = Mutex::new(gathered.trouble);
    }
    Ok(selection)
}

/// Oldest data first. Days share no sample, so that within a day the newer part may win, and what
/// follows from day to day is appended rather than merged.
fn parts_by_day(manifest: &Manifest, time: TimeRange) -> Vec<Ulid> {
    ordered(manifest, time, |part| (part.day, Age::of(part)))
}

/// What was written first comes first.
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
