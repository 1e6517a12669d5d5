//! Finds the matching series of each head and part.
//!
//! In a part, a matcher checks each value of a label once and only compares codes after that. In a
//! head, the shortest list of series among the matchers is walked.

use super::{HeadSource, Origin, PartSource, Place, Source, parts_by_day};
use crate::StoreError;
use crate::head::Head;
use crate::kind::{MetricHead, Metrics, Store, Tenant};
use crate::matcher::{Compiled, Remembering, known_values};
use crate::part::{Dictionaries, Dictionary, GroupNames, MetricPart};
use crate::postings::Postings;
use crate::registry::{Registry, part_order};
use engine::{LabelDeletes, View};
use model::{Matcher, Room, TimeRange};
use parts::Manifest;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Room is asked for so many places at once.
pub(super) const TAKEN_AT_ONCE: usize = 256;

/// The series of one source, in the order of parts.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) metrics: Vec<(Box<str>, Range<usize>)>,
    pub(super) places: Vec<Place>,
}

impl Found {
    fn begin_metric(&mut self, metric: &str) {
        if self.metrics.last().is_none_or(|(last, _)| **last != *metric) {
            self.metrics.push((metric.into(), self.places.len()..self.places.len()));
        }
    }

    fn end_metric(&mut self) {
        if let Some((_, range)) = self.metrics.last_mut() {
            range.end = self.places.len();
        }
        if self.metrics.last().is_some_and(|(_, range)| range.is_empty()) {
            self.metrics.pop();
        }
    }
}

pub(super) struct Gathered {
    pub(super) manifest: Arc<Manifest>,
    pub(super) sources: Vec<Source>,
    /// By source.
    pub(super) found: Vec<Found>,
    pub(super) trouble: BTreeSet<String>,
}

/// What is looked for, and the room that what is found takes.
pub(super) struct Finding<'a, 'm> {
    pub(super) time: TimeRange,
    pub(super) matchers: &'a Compiled<'m>,
    pub(super) room: &'a mut dyn Room,
}

impl Finding<'_, '_> {
    pub(super) fn gather(
        &mut self,
        store: &Store,
        tenant: &Arc<Tenant>,
    ) -> Result<Gathered, StoreError> {
        let view = tenant.view(&store.kind);
        let manifest = Arc::clone(&view.manifest);
        let (sources, found, trouble) = Default::default();
        let mut gathered = Gathered { manifest, sources, found, trouble };
        for id in parts_by_day(&view.manifest, self.time) {
            let mut read = || {
                let part = tenant.store.part(&view.manifest, id)?;
                self.gather_part(MetricPart::open(part, &store.kind.caches)?)
            };
            match read() {
                Ok(Some((source, found))) => {
                    let deletes = LabelDeletes::of_part(&view.manifest, id)?;
                    gathered.add(Origin::Part(source), deletes, found);
                }
                Ok(None) => {}
                Err(error) => {
                    let warning = tenant.quarantine_damaged(&store.kind, id, error)?;
                    gathered.trouble.insert(warning);
                }
            }
        }
        self.add_heads(&view, &mut gathered)?;
        Ok(gathered)
    }

    fn add_heads(
        &mut self,
        view: &View<Metrics>,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        for head in &view.heads {
            if !overlaps(&head.read(), self.time) {
                continue;
            }
            let (batches, found) = self.gather_head(head)?;
            if !found.places.is_empty() {
                let deletes = LabelDeletes::of_head(view, head)?;
                let from = Origin::Head(HeadSource { head: Arc::clone(head), batches });
                gathered.add(from, deletes, found);
            }
        }
        Ok(())
    }

    fn gather_part(&mut self, part: MetricPart) -> Result<Option<(PartSource, Found)>, StoreError> {
        let dictionaries = part.dictionaries()?;
        let mut found = Found::default();
        let mut groups = Vec::new();
        if let Some(mut tests) = PartTests::new(self.matchers, &dictionaries) {
            let mut matching = Vec::new();
            for group in groups_of(&part, self.time, self.matchers) {
                let names = part.names(group, &dictionaries)?;
                tests.select(&names, &mut matching);
                if matching.is_empty() {
                    continue;
                }
                self.room.take(matching.len() * size_of::<Place>())?;
                found.begin_metric(&part.group(group).metric);
                let place = |series: &u32| Place { group: groups.len() as u32, series: *series };
                found.places.extend(matching.iter().map(place));
                found.end_metric();
                groups.push((group, names));
            }
        }
        let is_any = !groups.is_empty();
        Ok(is_any.then(|| (PartSource { part, dictionaries, groups }, found)))
    }

    /// The matching series of the head now, and the number of its batches.
    fn gather_head(&mut self, head: &MetricHead) -> Result<(u32, Found), StoreError> {
        let (mut batches, mut found) = (0, Found::default());
        let room = &mut *self.room;
        for_each_in_head(head, self.matchers, |registry, head, number| {
            batches = head.batches();
            if found.places.len().is_multiple_of(TAKEN_AT_ONCE) {
                room.take(TAKEN_AT_ONCE * size_of::<Place>())?;
            }
            found.begin_metric(registry.entry(number).labels.metric_name());
            found.places.push(Place { group: head.run_length(number), series: number });
            found.end_metric();
            Ok(())
        })?;
        Ok((batches, found))
    }
}

impl Gathered {
    fn add(&mut self, from: Origin, deletes: LabelDeletes, found: Found) {
        self.sources.push(Source { from, deletes });
        self.found.push(found);
    }
}

pub(super) fn overlaps(head: &Head, time: TimeRange) -> bool {
    head.time().is_some_and(|range| range.overlaps(time))
}

/// Matchers applied to one part, with their results for each code of a label.
pub(super) struct PartTests<'a>(Vec<PartTest<'a>>);

struct PartTest<'a> {
    matcher: &'a Matcher,
    label: u32,
    dictionary: &'a Dictionary,
    /// By code: 0 unknown, 1 passes, 2 does not.
    known: Vec<u8>,
}

impl PartTest<'_> {
    fn passes(&mut self, code: u32) -> bool {
        let known = &mut self.known[code as usize];
        if *known == 0 {
            *known = if self.matcher.matches(self.dictionary.value(code)) { 1 } else { 2 };
        }
        *known == 1
    }
}

impl<'a> PartTests<'a> {
    /// `None` if no series of the part can pass.
    pub(super) fn new(matchers: &Compiled<'a>, dictionaries: &'a Dictionaries) -> Option<Self> {
        let mut tests = Vec::new();
        for matcher in &matchers.others {
            let Some(label) = dictionaries.number(&matcher.name) else {
                if matcher.matches("") {
                    continue;
                }
                return None;
            };
            let dictionary = dictionaries.get(label)?;
            let is_there = |value: &String| dictionary.find(value).is_some();
            if known_values(matcher).is_some_and(|values| !values.iter().any(is_there)) {
                return None;
            }
            let known = vec![0; dictionary.codes()];
            tests.push(PartTest { matcher, label, dictionary, known });
        }
        Some(Self(tests))
    }

    /// Replaces the content of `matching` with the group's series that pass.
    pub(super) fn select(&mut self, names: &GroupNames, matching: &mut Vec<u32>) {
        matching.clear();
        let mut is_first = true;
        for test in &mut self.0 {
            let Some(codes) = names.column(test.label) else {
                if test.passes(0) {
                    continue;
                }
                return matching.clear();
            };
            if std::mem::take(&mut is_first) {
                codes.select(names.count, |code| test.passes(code), matching);
            } else {
                matching.retain(|index| test.passes(codes.get(*index)));
            }
        }
        if is_first {
            matching.extend(0..names.count);
        }
    }
}

/// The groups of a part with a matching metric and time.
pub(super) fn groups_of(
    part: &MetricPart,
    time: TimeRange,
    matchers: &Compiled<'_>,
) -> impl Iterator<Item = u32> {
    let all = match matchers.metric() {
        Some(metric) => part.groups_of(metric),
        None => 0..part.index.groups.len() as u32,
    };
    all.filter(move |group| {
        let entry = part.group(*group);
        entry.time.overlaps(time) && matchers.matches_metric(&entry.metric)
    })
}

/// Calls `each` with the matching series of a head, in the order of parts, until it fails. The head does
/// not change meanwhile.
pub(super) fn for_each_in_head(
    head: &MetricHead,
    matchers: &Compiled<'_>,
    mut each: impl FnMut(&Registry, &Head, u32) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let registry = head.context.sorted_registry(matchers.metric());
    let head = head.read();
    let mut tests: Vec<Remembering<'_>> =
        matchers.others.iter().map(|matcher| Remembering::new(matcher)).collect();
    let mut passes = |number: u32| {
        let labels = &registry.entry(number).labels;
        head.has(number)
            && tests.iter_mut().all(|test| test.matches(labels.value(&test.matcher.name)))
    };
    if let Some(numbers) = shortest_list(&registry, matchers) {
        let named =
            |number: &u32| matchers.matches_metric(registry.entry(*number).labels.metric_name());
        let mut numbers: Vec<u32> =
            numbers.into_iter().filter(named).filter(|number| passes(*number)).collect();
        let order = |number: &u32| part_order(&registry.entry(*number).labels);
        numbers.sort_unstable_by(|left, right| order(left).cmp(&order(right)));
        numbers.dedup();
        return numbers.into_iter().try_for_each(|number| each(&registry, &head, number));
    }
    let one = matchers.metric().map(|metric| (metric, registry.metric(metric)));
    let all = one.is_none().then(|| registry.metrics()).into_iter().flatten();
    for (metric, numbers) in one.into_iter().chain(all) {
        if matchers.matches_metric(metric) {
            let mut passing = numbers.iter().copied().filter(|number| passes(*number));
            passing.try_for_each(|number| each(&registry, &head, number))?;
        }
    }
    Ok(())
}

/// The series with one of a label's values, if they are fewer than those of the metric.
fn shortest_list(registry: &Registry, matchers: &Compiled<'_>) -> Option<Vec<u32>> {
    let all = matchers.metric().map_or(registry.len(), |metric| registry.metric(metric).len());
    let lists = matchers.others.iter().filter_map(|matcher| {
        let values = known_values(matcher)?;
        let lists = values.iter().filter_map(|value| registry.with_value(&matcher.name, value));
        let lists: Vec<&Postings> = lists.collect();
        Some((lists.iter().map(|list| list.len()).sum::<usize>(), lists))
    });
    let (length, lists) = lists.min_by_key(|(length, _)| *length)?;
    // This list has to be sorted; the metric's is sorted already.
    (length * 4 < all).then(|| lists.into_iter().flat_map(Postings::iter).collect())
}
