//! What is known beside samples: metadata of metrics, exemplars of series.

use super::{parts_by_age, parts_by_day, set_apart};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::deletes::Deleted;
use crate::maintenance::{tombstones_of, tombstones_since};
use crate::matcher::Compiled;
use crate::part::{Caches, MetricPart};
use crate::tenant::Tenant;
use model::{Labels, Matcher, MetricMetadata, TimeRange};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let mut wanted = Wanted { time, matchers: Compiled::new(matchers), found: BTreeMap::new() };
    for id in parts_by_day(&manifest, time) {
        let tombstones = tombstones_of(&manifest, id);
        let mut read = || {
            let part = MetricPart::open(tenant.store.part(&manifest, id)?, caches)?;
            part.for_each_exemplar(|series, exemplar| wanted.take(&series, &exemplar, &tombstones))
        };
        if let Err(error) = read() {
            set_apart(tenant, id, error)?;
        }
    }
    for (live, felt) in &view.heads {
        let tombstones = tombstones_since(&manifest, *felt);
        let registry = live.registry();
        let head = live.read();
        for (number, exemplar) in &head.exemplars {
            wanted.take(&registry.entry(*number).labels, exemplar, &tombstones);
        }
    }
    Ok(wanted.sorted())
}

struct Wanted<'a> {
    time: TimeRange,
    matchers: Compiled<'a>,
    found: BTreeMap<Labels, Vec<Exemplar>>,
}

impl Wanted<'_> {
    fn take(&mut self, series: &Labels, exemplar: &Exemplar, deletes: &[(TimeRange, Deleted)]) {
        let at = exemplar.time_ms;
        let is_deleted =
            || deletes.iter().any(|(range, of)| range.contains(at) && of.concerns(series));
        if self.time.contains(at) && self.matchers.matches(series) && !is_deleted() {
            self.found.entry(series.clone()).or_default().push(exemplar.clone());
        }
    }

    /// Each once: what a flush or a merge moves may have been met twice.
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
