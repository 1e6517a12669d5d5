//! Reads what is stored beside samples: metadata of metrics, exemplars of series.

use super::{parts_by_age, parts_by_day};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::kind::Store;
use crate::matcher::Compiled;
use crate::part::MetricPart;
use engine::LabelDeletes;
use model::{Labels, Matcher, MetricMetadata, NoRoom, Room, TenantId, TimeRange, TimeUnit};
use std::collections::BTreeMap;

/// The metadata of metrics; for each metric, what arrived last.
pub(crate) fn metadata(
    store: &Store,
    tenant: &TenantId,
    room: &mut dyn Room,
) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
    let mut known = BTreeMap::new();
    let mut add = |metric: String, metadata: MetricMetadata| {
        let length = metric.len() + metadata.help.len() + metadata.unit.len();
        let is_new = known.get(&metric) != Some(&metadata);
        if is_new {
            room.take(length + size_of::<(String, MetricMetadata)>())?;
        }
        known.insert(metric, metadata);
        Ok::<_, StoreError>(())
    };
    let Some(tenant) = store.tenant(tenant) else { return Ok(known) };
    let view = tenant.view(&store.kind);
    for id in parts_by_age(&view.manifest, TimeUnit::Millis.everything()) {
        let read = || {
            let part = tenant.store.part(&view.manifest, id)?;
            MetricPart::open(part, &store.kind.caches)?.metadata()
        };
        match read() {
            Ok(found) => found.into_iter().try_for_each(|(name, found)| add(name, found))?,
            Err(error) => drop(tenant.quarantine_damaged(&store.kind, id, error)?),
        }
    }
    for head in &view.heads {
        let head = head.read();
        head.metadata.iter().try_for_each(|(name, found)| add(name.clone(), found.clone()))?;
    }
    Ok(known)
}

/// The exemplars of matching series in the range, by series, in the order of time.
pub(crate) fn exemplars(
    store: &Store,
    tenant: &TenantId,
    time: TimeRange,
    matchers: &[Matcher],
    room: &mut dyn Room,
) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
    let matchers = Compiled::new(matchers);
    let mut wanted = Wanted { time, matchers, found: BTreeMap::new(), room, refusal: None };
    let Some(tenant) = store.tenant(tenant) else { return Ok(Vec::new()) };
    let view = tenant.view(&store.kind);
    for id in parts_by_day(&view.manifest, time) {
        let deletes = LabelDeletes::of_part(&view.manifest, id)?;
        let mut read = || {
            let part = tenant.store.part(&view.manifest, id)?;
            let part = MetricPart::open(part, &store.kind.caches)?;
            part.for_each_exemplar(|series, exemplar| wanted.take(&series, &exemplar, &deletes))
        };
        if let Err(error) = read() {
            tenant.quarantine_damaged(&store.kind, id, error)?;
        }
        wanted.check()?;
    }
    for head in &view.heads {
        let deletes = LabelDeletes::of_head(&view, head)?;
        let registry = head.context.registry();
        for (number, exemplar) in &head.read().exemplars {
            wanted.take(&registry.entry(*number).labels, exemplar, &deletes);
        }
    }
    wanted.check()?;
    Ok(wanted.sorted())
}

struct Wanted<'a> {
    time: TimeRange,
    matchers: Compiled<'a>,
    found: BTreeMap<Labels, Vec<Exemplar>>,
    room: &'a mut dyn Room,
    /// Why there was no room for an exemplar: from then on none is kept.
    refusal: Option<NoRoom>,
}

impl Wanted<'_> {
    fn take(&mut self, series: &Labels, exemplar: &Exemplar, deletes: &LabelDeletes) {
        let at = exemplar.time_ms;
        let is_wanted = self.time.contains(at) && self.matchers.matches(series);
        if self.refusal.is_some() || !is_wanted || deletes.delete(series, at) {
            return;
        }
        let of_series = if self.found.contains_key(series) { 0 } else { series.as_bytes().len() };
        let length = exemplar.labels.as_bytes().len() + 2 * size_of::<Exemplar>();
        match self.room.take(of_series + length) {
            Ok(()) => self.found.entry(series.clone()).or_default().push(exemplar.clone()),
            Err(refusal) => self.refusal = Some(refusal),
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        self.refusal.clone().map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Each exemplar once, even if a sender repeated it.
    fn sorted(self) -> Vec<(Labels, Vec<Exemplar>)> {
        let mut found = self.found;
        for exemplars in found.values_mut() {
            let key = |exemplar: &Exemplar| (exemplar.time_ms, exemplar.value.to_bits());
            exemplars
                .sort_by(|left, right| (key(left), &left.labels).cmp(&(key(right), &right.labels)));
            exemplars
                .dedup_by(|left, right| key(left) == key(right) && left.labels == right.labels);
        }
        found.into_iter().collect()
    }
}
