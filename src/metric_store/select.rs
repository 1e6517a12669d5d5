//! Reading: which series match, and the samples of each.
//!
//! A selection is a view of one moment: it holds the heads and the manifest it was made from, so
//! flushes and merges don't disturb it. Series come in no particular order, but always the same
//! one. Sources are ordered by age: where two have a millisecond, the newer one wins.

use crate::StoreError;
use crate::batch::Exemplar;
use crate::columns::Columns;
use crate::deletes::Deleted;
use crate::head::Head;
use crate::maintenance::tombstones_of;
use crate::matcher::{Compiled, Matcher};
use crate::part::{Caches, MetricPart, PartRoom};
use crate::tenant::{HeadView, LiveHead, Tenant};
use model::{BytesHash, ErrorKind, Labels, MetricMetadata, TimeRange, Ulid};
use parts::Manifest;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

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
    tenant: Arc<Tenant>,
    /// Keeps the files of its parts readable.
    manifest: Arc<Manifest>,
    time: TimeRange,
    values_needed: bool,
    sources: Vec<Source>,
    series: Vec<SelectedSeries>,
    occurrences: Vec<Occurrence>,
    trouble: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Source {
    from: Origin,
    tombstones: Vec<(TimeRange, Deleted)>,
}

#[derive(Debug)]
enum Origin {
    Head(Arc<LiveHead>),
    Part(MetricPart),
}

#[derive(Debug)]
struct SelectedSeries {
    labels: Labels,
    first: u32,
    last: u32,
}

/// A series in a source, and the next one of the same series.
#[derive(Clone, Copy, Debug)]
struct Occurrence {
    source: u32,
    group: u32,
    series: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

/// Where a selection puts what it decodes, and what it knows from the series before. One per
/// thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// What the last call read.
    pub columns: Columns,
    newer: Columns,
    merged: Columns,
    rooms: Vec<PartRoom>,
}

impl Selection {
    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub fn labels(&self, index: usize) -> &Labels {
        &self.series[index].labels
    }

    /// Reads one series into `scratch.columns`. Stale markers are included; a series of a part may
    /// turn out to have nothing in the range. Any number of threads may read at once.
    pub fn read(&self, index: usize, scratch: &mut Scratch) -> Result<(), StoreError> {
        scratch.columns.clear();
        scratch.rooms.resize(self.sources.len(), PartRoom::default());
        let SelectedSeries { labels, first, .. } = &self.series[index];
        let mut next = *first;
        while let Some(occurrence) = self.occurrences.get(next as usize) {
            self.read_occurrence(*occurrence, labels, scratch)?;
            scratch.columns.absorb(&mut scratch.newer, &mut scratch.merged);
            next = occurrence.next;
        }
        scratch.columns.settle();
        Ok(())
    }

    fn read_occurrence(
        &self,
        occurrence: Occurrence,
        labels: &Labels,
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let source = &self.sources[occurrence.source as usize];
        let (newer, time) = (&mut scratch.newer, self.time);
        newer.clear();
        match &source.from {
            Origin::Head(live) => {
                live.read().read(occurrence.series, time, self.values_needed, newer);
            }
            Origin::Part(part) => {
                let room = &mut scratch.rooms[occurrence.source as usize];
                let place = (occurrence.group, occurrence.series);
                if let Err(error) = part.read(place, time, self.values_needed, newer, room) {
                    newer.clear();
                    self.part_failed(part.id, error)?;
                }
            }
        }
        for (range, deleted) in &source.tombstones {
            if deleted.concerns(labels) {
                newer.keep(|time| !range.contains(time));
            }
        }
        Ok(())
    }

    /// Damage is set apart and told; the rest is served. Other failures are the caller's.
    fn part_failed(&self, id: Ulid, error: StoreError) -> Result<(), StoreError> {
        let warning = set_apart(&self.tenant, id, error)?;
        self.trouble().insert(warning);
        Ok(())
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the reader should know, such as data that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.manifest.warnings(self.time);
        warnings.extend(self.trouble().iter().cloned());
        warnings
    }
}

fn set_apart(tenant: &Tenant, id: Ulid, error: StoreError) -> Result<String, StoreError> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(error);
    }
    let text = error.to_string();
    tenant.store.quarantine(id, &text)?;
    Ok(format!("part {id} is damaged and was set apart: {text}"))
}

/// Collects the series of one source after the other.
struct Gathering {
    selection: Selection,
    /// By hash of the labels; those of other labels with the same hash stand under the next free.
    known: HashMap<u64, u32, BytesHash>,
    /// There is one source, in which every series stands once: nobody needs to be found again.
    alone: bool,
}

impl Gathering {
    fn add(&mut self, hash: u64, labels: &Labels, (source, group, series): (u32, u32, u32)) {
        let selection = &mut self.selection;
        let at = selection.occurrences.len() as u32;
        selection.occurrences.push(Occurrence { source, group, series, next: NONE });
        if self.alone {
            selection.series.push(SelectedSeries { labels: labels.clone(), first: at, last: at });
            return;
        }
        let mut key = hash;
        loop {
            match self.known.get(&key) {
                None => {
                    self.known.insert(key, selection.series.len() as u32);
                    let labels = labels.clone();
                    selection.series.push(SelectedSeries { labels, first: at, last: at });
                    return;
                }
                Some(index) if selection.series[*index as usize].labels == *labels => {
                    let known = &mut selection.series[*index as usize];
                    selection.occurrences[known.last as usize].next = at;
                    known.last = at;
                    return;
                }
                Some(_) => key = key.wrapping_add(1),
            }
        }
    }
}

pub(crate) fn select(
    tenant: &Arc<Tenant>,
    caches: &Arc<Caches>,
    wanted: &Select<'_>,
) -> Result<Selection, StoreError> {
    let mut view = tenant.view();
    let manifest = tenant.store.snapshot();
    let selection = Selection {
        tenant: Arc::clone(tenant),
        manifest: Arc::clone(&manifest),
        time: wanted.time,
        values_needed: wanted.values_needed,
        sources: Vec::new(),
        series: Vec::new(),
        occurrences: Vec::new(),
        trouble: Mutex::default(),
    };
    let matchers = Compiled::new(wanted.matchers);
    let live = tenant.live();
    let parts = parts_by_age(&manifest, wanted.time);
    view.heads.retain(|(live, _)| overlaps(&live.read(), wanted.time));
    let alone = parts.len() + view.heads.len() <= 1;
    let mut gathering = Gathering { selection, known: HashMap::default(), alone };
    for part in parts {
        if let Err(error) = add_part(&mut gathering, caches, &live, part, &matchers) {
            let warning = set_apart(tenant, part, error)?;
            gathering.selection.trouble().insert(warning);
        }
    }
    add_heads(&mut gathering, view, &manifest, &matchers);
    Ok(gathering.selection)
}

fn parts_by_age(manifest: &Manifest, time: TimeRange) -> Vec<Ulid> {
    let age = |part: &parts::PartInfo| crate::part::Age::decode(&part.bounds);
    let mut parts: Vec<_> = manifest.parts_in(time).map(|part| (age(part), part.id)).collect();
    parts.sort_unstable();
    parts.into_iter().map(|(_, id)| id).collect()
}

fn add_part(
    gathering: &mut Gathering,
    caches: &Arc<Caches>,
    live: &LiveHead,
    id: Ulid,
    matchers: &Compiled<'_>,
) -> Result<(), StoreError> {
    let Selection { tenant, manifest, time, .. } = &gathering.selection;
    let part = MetricPart::open(tenant.store.part(manifest, id)?, caches)?;
    let (time, tombstones) = (*time, tombstones_of(manifest, id));
    let source = gathering.selection.sources.len() as u32;
    gathering.selection.sources.push(Source { from: Origin::Part(part.clone()), tombstones });
    let registry = live.registry();
    let intern = |hash: u64, bytes: &[u8]| {
        registry.find(hash, bytes).map(|number| registry.entry(number).labels.clone())
    };
    for group in groups_of(&part, matchers) {
        let entry = part.group(group);
        if !entry.time.overlaps(time) || !matchers.matches_metric(&entry.metric) {
            continue;
        }
        let names = part.series(group, &intern)?;
        for (index, labels) in names.labels.iter().enumerate() {
            if matchers.matches_labels(labels) {
                gathering.add(names.hashes[index], labels, (source, group, index as u32));
            }
        }
    }
    Ok(())
}

fn groups_of(part: &MetricPart, matchers: &Compiled<'_>) -> Range<u32> {
    match matchers.metric() {
        Some(metric) => part.groups_of(metric),
        None => 0..part.index.groups.len() as u32,
    }
}

fn add_heads(
    gathering: &mut Gathering,
    view: HeadView,
    manifest: &Manifest,
    matchers: &Compiled<'_>,
) {
    for (live, felt) in view.heads {
        let source = gathering.selection.sources.len() as u32;
        let tombstones = manifest.tombstones.iter();
        // The live head has felt every delete.
        let newer =
            tombstones.filter(|tombstone| felt.is_some_and(|felt| felt < tombstone.generation));
        let tombstones = newer.map(|t| (t.time, Deleted::decode(&t.matcher))).collect();
        add_head(gathering, &live, source, matchers);
        gathering.selection.sources.push(Source { from: Origin::Head(live), tombstones });
    }
}

fn add_head(gathering: &mut Gathering, live: &LiveHead, source: u32, matchers: &Compiled<'_>) {
    let registry = live.registry();
    let head = live.read();
    let mut add = |numbers: &[u32]| {
        for number in numbers.iter().filter(|number| head.has(**number)) {
            let entry = registry.entry(*number);
            if matchers.matches_labels(&entry.labels) {
                gathering.add(entry.hash, &entry.labels, (source, 0, *number));
            }
        }
    };
    match matchers.metric() {
        Some(metric) if matchers.matches_metric(metric) => add(registry.metric(metric)),
        Some(_) => {}
        None => {
            let metrics = registry.metrics().filter(|(name, _)| matchers.matches_metric(name));
            metrics.for_each(|(_, numbers)| add(numbers));
        }
    }
}

fn overlaps(head: &Head, time: TimeRange) -> bool {
    head.time().is_some_and(|range| range.overlaps(time))
}

/// What is known of metrics, the newest word for each.
pub(crate) fn metadata(
    tenant: &Arc<Tenant>,
    caches: &Arc<Caches>,
) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
    let view = tenant.view();
    let manifest = tenant.store.snapshot();
    let mut known = BTreeMap::new();
    for id in parts_by_age(&manifest, TimeRange::EVERYTHING) {
        let read = || MetricPart::open(tenant.store.part(&manifest, id)?, caches)?.metadata();
        match read() {
            Ok(found) => known.extend(found),
            Err(error) => drop(set_apart(tenant, id, error)?),
        }
    }
    for (live, _) in &view.heads {
        known.extend(live.read().metadata.clone());
    }
    Ok(known)
}

/// The exemplars of matching series in the range, by series, in order of time.
pub(crate) fn exemplars(
    tenant: &Arc<Tenant>,
    caches: &Arc<Caches>,
    time: TimeRange,
    matchers: &[Matcher],
) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
    let view = tenant.view();
    let manifest = tenant.store.snapshot();
    let matchers = Compiled::new(matchers);
    let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
    let mut take = |series: &Labels, exemplar: &Exemplar, tombstones: &[(TimeRange, Deleted)]| {
        let at = exemplar.time_ms;
        let deleted =
            tombstones.iter().any(|(range, of)| range.contains(at) && of.concerns(series));
        if time.contains(at) && !deleted && matchers.matches(series) {
            found.entry(series.clone()).or_default().push(exemplar.clone());
        }
    };
    for id in parts_by_age(&manifest, time) {
        let tombstones = tombstones_of(&manifest, id);
        let read = || MetricPart::open(tenant.store.part(&manifest, id)?, caches)?.exemplars();
        match read() {
            Ok(all) => all.iter().for_each(|(series, e)| take(series, e, &tombstones)),
            Err(error) => drop(set_apart(tenant, id, error)?),
        }
    }
    for (live, _) in &view.heads {
        let registry = live.registry();
        let head = live.read();
        for (number, exemplar) in &head.exemplars {
            take(&registry.entry(*number).labels, exemplar, &[]);
        }
    }
    for exemplars in found.values_mut() {
        exemplars.sort_by_key(|exemplar| exemplar.time_ms);
        exemplars.dedup_by(|left, right| {
            left.time_ms == right.time_ms && left.value.to_bits() == right.value.to_bits()
        });
    }
    Ok(found.into_iter().collect())
}
