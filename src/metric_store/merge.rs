//! Merges parts into one part, or a few where one can't hold all.
//!
//! A merge holds one group of each input and one of the output in memory, however large the parts.

use crate::StoreError;
use crate::batch::Exemplar;
use crate::columns::Columns;
use crate::part::{Caches, Dictionaries, GroupNames, MetricPart, PartScratch, PartSplitter};
use crate::registry::part_order;
use crate::values::Effort;
use engine::{InputFailed, LabelDeletes, PartOrigin};
use model::{Labels, MetricMetadata, TimeUnit, Ulid};
use parts::{LEVEL_MAX, Manifest, MergePlan, NewPart, Part, PartStore};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bytes of its inputs a merge may cache. A group's values are read once, in order.
const MERGE_CACHE_BYTES: usize = 16 << 20;

/// Merges the plan's inputs, which are ordered from the oldest; no part if deletes leave no row.
pub(crate) fn merge(
    store: &PartStore,
    manifest: &Manifest,
    plan: &MergePlan,
    origin: PartOrigin,
) -> Result<Vec<NewPart>, InputFailed> {
    let mut merge = Merge::open(store, manifest, plan)?;
    let effort = if plan.level >= LEVEL_MAX { Effort::Last } else { Effort::Merge };
    let mut builder = PartSplitter::new(store, origin, effort)?;
    let (mut merged, mut samples, mut buffer) = Default::default();
    while let Some(labels) = merge.next_series() {
        merge.read_series(&labels, &mut merged, &mut samples, &mut buffer)?;
        builder.series(&labels, &merged)?;
    }
    for (series, exemplar) in merge.exemplars()? {
        builder.exemplar(&series, &exemplar)?;
    }
    let metadata: Vec<(String, MetricMetadata)> = merge.metadata()?.into_iter().collect();
    Ok(builder.finish(&metadata)?)
}

/// A merge in progress.
struct Merge {
    /// Oldest first: the samples of later inputs win.
    inputs: Vec<Cursor>,
}

/// The next series of one input.
struct Cursor {
    part: MetricPart,
    deletes: LabelDeletes,
    group: u32,
    series: u32,
    dictionaries: Arc<Dictionaries>,
    /// The names of the current group; `None` after the last one.
    names: Option<Arc<GroupNames>>,
    /// The labels of the current series.
    labels: Option<Labels>,
    bytes: Vec<u8>,
    scratch: PartScratch,
}

impl Merge {
    fn open(store: &PartStore, manifest: &Manifest, plan: &MergePlan) -> Result<Self, InputFailed> {
        let caches = Arc::new(Caches::new(MERGE_CACHE_BYTES));
        let open = |id: &Ulid| {
            let deletes = LabelDeletes::of_part(manifest, *id)?;
            let part = store.part(manifest, *id).map_err(InputFailed::of(*id))?;
            Cursor::open(part, &caches, deletes).map_err(InputFailed::of(*id))
        };
        Ok(Self { inputs: plan.inputs.iter().map(open).collect::<Result<_, InputFailed>>()? })
    }

    /// The first of the inputs' next series.
    fn next_series(&self) -> Option<Labels> {
        let next = self.inputs.iter().filter_map(Cursor::labels);
        next.min_by(|left, right| part_order(left).cmp(&part_order(right))).cloned()
    }

    fn read_series(
        &mut self,
        labels: &Labels,
        merged: &mut Columns,
        samples: &mut Columns,
        buffer: &mut Columns,
    ) -> Result<(), InputFailed> {
        merged.clear();
        for cursor in &mut self.inputs {
            if cursor.labels() != Some(labels) {
                continue;
            }
            let id = cursor.part.id;
            samples.clear();
            cursor.read(samples).map_err(InputFailed::of(id))?;
            for range in cursor.deletes.times_of(labels) {
                samples.keep(|time| !range.contains(time));
            }
            cursor.advance().map_err(InputFailed::of(id))?;
            merged.absorb(samples, buffer);
        }
        merged.settle();
        Ok(())
    }

    /// Each exemplar once, in the order of series and time.
    fn exemplars(&self) -> Result<Vec<(Labels, Exemplar)>, InputFailed> {
        let mut all = Vec::new();
        for cursor in &self.inputs {
            let keep = |series: Labels, exemplar: Exemplar| {
                if !cursor.deletes.delete(&series, exemplar.time_ms) {
                    all.push((series, exemplar));
                }
            };
            cursor.part.for_each_exemplar(keep).map_err(InputFailed::of(cursor.part.id))?;
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
    fn open(
        part: Arc<Part>,
        caches: &Arc<Caches>,
        deletes: LabelDeletes,
    ) -> Result<Self, StoreError> {
        let part = MetricPart::open(part, caches)?;
        let mut cursor = Self {
            dictionaries: part.dictionaries()?,
            part,
            deletes,
            group: 0,
            series: 0,
            names: None,
            labels: None,
            bytes: Vec::new(),
            scratch: PartScratch::default(),
        };
        cursor.load()?;
        Ok(cursor)
    }

    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn read(&mut self, into: &mut Columns) -> Result<(), StoreError> {
        let place = (self.group, self.series);
        self.part.read(place, TimeUnit::Millis.everything(), true, into, &mut self.scratch)
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

    /// Loads the names of the next group with series.
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
