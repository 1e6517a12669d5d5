//! What is known beside samples: metadata of metrics, exemplars of series.

use super::{parts_by_age, parts_by_day, set_apart};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::deletes::Deleted;
use crate::maintenance::tombstones_of;
use crate::matcher::{Compiled, Matcher};
use crate::part::{Caches, MetricPart};
use crate::tenant::Tenant;
use model::{Labels, MetricMetadata, TimeRange};
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
    for id in parts_by_day(&manifest, time) {
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
