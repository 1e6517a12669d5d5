//! From heads to parts, from parts to fewer parts, from parts to nothing.
//!
//! Lives here: flush, merge, erasure, for one tenant.
//! Not here: when (the server), which parts (plan), bytes (part).
//! A merge holds one group of each input and one of the output in memory, however large the parts.

use crate::StoreError;
use crate::batch::Exemplar;
use crate::columns::Columns;
use crate::deletes::Deleted;
use crate::head::{Head, Seen};
use crate::part::{
    Age, Caches, Dictionaries, GroupNames, MetricPart, PartBuilder, PartOrigin, PartRoom,
};
use crate::registry::part_order;
use crate::tenant::{Frozen, LiveHead, Tenant, log_position};
use crate::values::Effort;
use model::{Day, ErrorKind, Labels, MetricMetadata, Signal, TimeRange, Ulid};
use parts::{Edit, LEVEL_MAX, Manifest, MergePlan, NewPart, Tombstone};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a merge may keep of its inputs. A group's values are read once, in order.
const MERGE_CACHE_BYTES: usize = 16 << 20;

/// How many series a flush looks up in the registry at a time.
const NAMED_AT_ONCE: usize = 1 << 10;

impl Tenant {
    /// Writes every frozen head into parts, the oldest first. `today` takes what has no time.
    pub(crate) fn flush(&self, today: Day) -> Result<(), StoreError> {
        let _flushing = self.flushing();
        while let Some(frozen) = self.oldest_frozen() {
            let covered = log_position(frozen.end);
            let add = write_frozen(self, &frozen, today)?;
            let edit = Edit { add, covered: Some(covered), ..Edit::default() };
            self.store.update(|_| Ok(edit))?;
            self.drop_frozen(&frozen);
        }
        Ok(())
    }

    /// Answers the merges that were done. A part that can't be read keeps only its own merge from
    /// being done; the first failure is the answer.
    pub(crate) fn merge_all<'p>(
        &self,
        plans: &'p [MergePlan],
    ) -> Result<Vec<&'p MergePlan>, StoreError> {
        let outcomes: Vec<_> = plans.iter().map(|plan| Ok((plan, self.merge(plan)?))).collect();
        let outcomes: Result<Vec<_>, StoreError> = outcomes.into_iter().collect();
        Ok(outcomes?.into_iter().filter_map(|(plan, done)| done.then_some(plan)).collect())
    }

    /// Answers false where an input was damaged and is set apart now.
    fn merge(&self, plan: &MergePlan) -> Result<bool, StoreError> {
        let manifest = self.store.snapshot();
        let mut merge = match Merge::open(self, &manifest, plan) {
            Ok(merge) => merge,
            Err(failed) => return self.input_failed(failed),
        };
        let add = match merge.run(self, &manifest, plan) {
            Ok(add) => add,
            Err(failed) => return self.input_failed(failed),
        };
        let edit =
            Edit { add: add.into_iter().collect(), remove: plan.inputs.clone(), ..Edit::default() };
        self.store.update(|_| Ok(edit))?;
        Ok(true)
    }

    fn input_failed(&self, failed: InputFailed) -> Result<bool, StoreError> {
        match failed {
            InputFailed { input: Some(id), error } if error.kind() == ErrorKind::Corrupt => {
                self.store.quarantine(id, &error.to_string())?;
                Ok(false)
            }
            failed => Err(failed.error),
        }
    }
}

/// The registry is shared with the live head: it is looked at in passing, and never held while a
/// part is written, or whoever brings a new series would wait for the disk.
fn write_frozen(tenant: &Tenant, frozen: &Frozen, today: Day) -> Result<Vec<NewPart>, StoreError> {
    let series = series_by_day(&frozen.head);
    let head = frozen.head.read();
    let mut days: Vec<Day> = head.days().collect();
    if days.is_empty() && !head.metadata.is_empty() {
        days.push(today);
    }
    let covered = log_position(frozen.end);
    let mut parts = Vec::new();
    for (index, day) in days.into_iter().enumerate() {
        let origin = PartOrigin {
            day,
            level: 0,
            age: Age { first: covered, last: covered },
            covered,
            sources: Vec::new(),
            tombstones_applied: frozen.felt,
        };
        let mut builder = PartBuilder::new(&tenant.store, origin, Effort::Quick)?;
        let of_day = series.get(&day).map_or(&[][..], Vec::as_slice);
        write_day(&mut builder, &frozen.head, &head, of_day, day)?;
        // What is known of metrics has no time: it goes with the first part.
        let metadata: Vec<(String, MetricMetadata)> = match index {
            0 => head.metadata.clone().into_iter().collect(),
            _ => Vec::new(),
        };
        parts.extend(builder.finish(&metadata)?);
    }
    Ok(parts)
}

/// The series that have samples on a day, in the order of parts.
fn series_by_day(live: &LiveHead) -> BTreeMap<Day, Vec<u32>> {
    let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
    let registry = live.sorted_registry(None);
    let head = live.read();
    for number in registry.numbers() {
        head.for_each_day(number, |day| {
            let series = days.entry(day).or_default();
            if series.last() != Some(&number) {
                series.push(number);
            }
        });
    }
    days
}

fn write_day(
    builder: &mut PartBuilder,
    live: &LiveHead,
    head: &Head,
    series: &[u32],
    day: Day,
) -> Result<(), StoreError> {
    let range = day.range(Signal::Metrics);
    let mut samples = Columns::default();
    for numbers in series.chunks(NAMED_AT_ONCE) {
        for (number, labels) in live.named(numbers) {
            samples.clear();
            head.read(number, Seen::EVERYTHING, range, true, &mut samples);
            builder.series(&labels, &samples)?;
        }
    }
    for (number, exemplar) in &head.exemplars {
        if range.contains(exemplar.time_ms) {
            let labels = live.registry().entry(*number).labels.clone();
            builder.exemplar(&labels, exemplar)?;
        }
    }
    Ok(())
}

/// An error, and the input that it came from.
struct InputFailed {
    input: Option<Ulid>,
    error: StoreError,
}

impl InputFailed {
    fn of(input: Ulid) -> impl Fn(StoreError) -> Self {
        move |error| Self { input: Some(input), error }
    }
}

impl From<StoreError> for InputFailed {
    fn from(error: StoreError) -> Self {
        Self { input: None, error }
    }
}

/// A merge under way.
struct Merge {
    /// Oldest first: what comes later wins.
    inputs: Vec<Cursor>,
    age: Age,
}

/// The next series of one input.
struct Cursor {
    part: MetricPart,
    tombstones: Vec<(TimeRange, Deleted)>,
    group: u32,
    series: u32,
    dictionaries: Arc<Dictionaries>,
    /// Those of the group; none behind the last one.
    names: Option<Arc<GroupNames>>,
    /// Of the series.
    labels: Option<Labels>,
    bytes: Vec<u8>,
    room: PartRoom,
}

impl Merge {
    fn open(tenant: &Tenant, manifest: &Manifest, plan: &MergePlan) -> Result<Self, InputFailed> {
        let caches = Arc::new(Caches::new(MERGE_CACHE_BYTES));
        let mut inputs = Vec::new();
        for id in &plan.inputs {
            let failed = InputFailed::of(*id);
            let part = tenant.store.part(manifest, *id).map_err(|error| failed(error.into()))?;
            let info = manifest.part(*id).expect("the store opened it");
            let part = MetricPart::open(part, &caches).map_err(&failed)?;
            let mut cursor = Cursor {
                dictionaries: part.dictionaries().map_err(&failed)?,
                part,
                tombstones: tombstones_of(manifest, *id),
                group: 0,
                series: 0,
                names: None,
                labels: None,
                bytes: Vec::new(),
                room: PartRoom::default(),
            };
            cursor.load().map_err(failed)?;
            inputs.push((Age::decode(&info.bounds), cursor));
        }
        inputs.sort_by_key(|(age, cursor)| (*age, cursor.part.id));
        let age = inputs.iter().map(|(age, _)| *age).reduce(Age::union).unwrap_or_default();
        Ok(Self { inputs: inputs.into_iter().map(|(_, cursor)| cursor).collect(), age })
    }

    /// `None` where tombstones leave nothing.
    fn run(
        &mut self,
        tenant: &Tenant,
        manifest: &Manifest,
        plan: &MergePlan,
    ) -> Result<Option<NewPart>, InputFailed> {
        let origin = PartOrigin {
            day: plan.day,
            level: plan.level,
            age: self.age,
            covered: manifest.covered,
            sources: plan.inputs.clone(),
            tombstones_applied: manifest.generation,
        };
        let effort = if plan.level >= LEVEL_MAX { Effort::Last } else { Effort::Merge };
        let mut builder = PartBuilder::new(&tenant.store, origin, effort)?;
        let (mut merged, mut samples, mut room) = Default::default();
        while let Some(labels) = self.next_series() {
            self.read_series(&labels, &mut merged, &mut samples, &mut room)?;
            builder.series(&labels, &merged)?;
        }
        for (series, exemplar) in self.exemplars()? {
            builder.exemplar(&series, &exemplar)?;
        }
        let metadata: Vec<(String, MetricMetadata)> = self.metadata()?.into_iter().collect();
        Ok(builder.finish(&metadata)?)
    }

    /// The first of what the inputs have next.
    fn next_series(&self) -> Option<Labels> {
        let next = self.inputs.iter().filter_map(Cursor::labels);
        next.min_by(|left, right| part_order(left).cmp(&part_order(right))).cloned()
    }

    fn read_series(
        &mut self,
        labels: &Labels,
        merged: &mut Columns,
        samples: &mut Columns,
        room: &mut Columns,
    ) -> Result<(), InputFailed> {
        merged.clear();
        for cursor in &mut self.inputs {
            if cursor.labels() != Some(labels) {
                continue;
            }
            let failed = InputFailed::of(cursor.part.id);
            samples.clear();
            cursor.read(samples).map_err(&failed)?;
            for (range, deleted) in &cursor.tombstones {
                if deleted.concerns(labels) {
                    samples.keep(|time| !range.contains(time));
                }
            }
            cursor.advance().map_err(failed)?;
            merged.absorb(samples, room);
        }
        merged.settle();
        Ok(())
    }

    /// Each once, in order of series and time.
    fn exemplars(&self) -> Result<Vec<(Labels, Exemplar)>, InputFailed> {
        let mut all = Vec::new();
        for cursor in &self.inputs {
            let failed = InputFailed::of(cursor.part.id);
            let is_deleted = |series: &Labels, at: i64| {
                let mut deletes = cursor.tombstones.iter();
                deletes.any(|(range, deleted)| range.contains(at) && deleted.concerns(series))
            };
            let keep = |series: Labels, exemplar: Exemplar| {
                if !is_deleted(&series, exemplar.time_ms) {
                    all.push((series, exemplar));
                }
            };
            cursor.part.for_each_exemplar(keep).map_err(failed)?;
        }
        all.sort_by(|left, right| {
            let key = |entry: &(Labels, Exemplar)| (entry.1.time_ms, entry.1.value.to_bits());
            (part_order(&left.0), key(left)).cmp(&(part_order(&right.0), key(right)))
        });
        all.dedup_by(|left, right| {
            left.0 == right.0
                && left.1.time_ms == right.1.time_ms
                && left.1.value.to_bits() == right.1.value.to_bits()
                && left.1.labels == right.1.labels
        });
        Ok(all)
    }

    fn metadata(&self) -> Result<BTreeMap<String, MetricMetadata>, InputFailed> {
        let mut all = BTreeMap::new();
        for cursor in &self.inputs {
            let found = cursor.part.metadata().map_err(InputFailed::of(cursor.part.id))?;
            all.extend(found);
        }
        Ok(all)
    }
}

impl Cursor {
    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn read(&mut self, into: &mut Columns) -> Result<(), StoreError> {
        let place = (self.group, self.series);
        self.part.read(place, TimeRange::EVERYTHING, true, into, &mut self.room)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.series += 1;
        if self.names.as_ref().is_some_and(|names| self.series >= names.count) {
            self.group += 1;
            return self.load();
        }
        self.name();
        Ok(())
    }

    /// The names of the next group that has any.
    fn load(&mut self) -> Result<(), StoreError> {
        self.series = 0;
        self.names = None;
        while (self.group as usize) < self.part.index.groups.len() {
            let names = self.part.names(self.group, &self.dictionaries)?;
            if names.count > 0 {
                self.names = Some(names);
                break;
            }
            self.group += 1;
        }
        self.name();
        Ok(())
    }

    fn name(&mut self) {
        let Self { part, dictionaries, bytes, .. } = self;
        self.labels = self.names.as_ref().map(|names| {
            names.write(&part.group(self.group).metric, self.series, dictionaries, bytes);
            Labels::from_canonical(bytes)
        });
    }
}

/// What deletes a part has to feel.
pub(crate) fn tombstones_of(manifest: &Manifest, id: Ulid) -> Vec<(TimeRange, Deleted)> {
    let Some(info) = manifest.part(id) else { return Vec::new() };
    manifest.tombstones_for(info).map(meaning).collect()
}

/// What deletes a head has to feel: a frozen one those that came later than its cut, the live one
/// (`None`) has felt them all.
pub(crate) fn tombstones_since(
    manifest: &Manifest,
    felt: Option<u64>,
) -> Vec<(TimeRange, Deleted)> {
    let newer = |tombstone: &&Tombstone| felt.is_some_and(|felt| felt < tombstone.generation);
    manifest.tombstones.iter().filter(newer).map(meaning).collect()
}

fn meaning(tombstone: &Tombstone) -> (TimeRange, Deleted) {
    (tombstone.time, Deleted::decode(&tombstone.matcher))
}
