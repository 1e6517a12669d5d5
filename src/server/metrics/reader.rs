//! The metric store as the language and the Prometheus API read it.

use crate::snapshots::Snapshots;
use ingest::Gateway;
use metric_store::{
    MetricStore, Samples, Scratch as StoreScratch, Select, Selection as StoreSelection, StoreError,
};
use model::{Labels, Matcher, MetricMetadata, TenantId, TimeRange};
use promql::storage::{Column, SampleDetail, Scratch, SeriesColumns};
use promql::{SelectHints, Selection, Storage, StorageError};
use protocols::{
    Block, Exemplar, ExemplarSeries, Listing, ListingQuery, MetricQueries, MetricReader,
    MetricStatistics, NamedCount, ServiceError,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct MetricQueriesOf {
    pub(crate) store: Arc<MetricStore>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) runtime: tokio::runtime::Handle,
}

fn service_error(error: StoreError) -> ServiceError {
    ServiceError::new(error.kind(), error.to_string())
}

fn storage_error(error: StoreError) -> StorageError {
    StorageError { message: error.to_string(), kind: error.kind() }
}

impl MetricQueries for MetricQueriesOf {
    fn reader(&self, tenant: &TenantId) -> Result<Box<dyn MetricReader>, ServiceError> {
        Ok(Box::new(Reader { store: Arc::clone(&self.store), tenant: tenant.clone() }))
    }

    fn delete(&self, tenant: &TenantId, query: &ListingQuery) -> Result<(), ServiceError> {
        let time = time_of(query.start_ms, query.end_ms);
        let resolve =
            |selector: &Vec<Matcher>| self.store.resolve_delete(tenant, selector, time).transpose();
        let resolved: Result<Vec<_>, StoreError> =
            query.selectors.iter().filter_map(resolve).collect();
        let resolved = resolved.map_err(service_error)?;
        let barrier =
            |cut: &mut dyn FnMut(_) -> _| self.runtime.block_on(self.gateway.barrier(cut));
        self.store.delete(tenant, &resolved, barrier).map_err(service_error)
    }

    fn clean_tombstones(&self, tenant: &TenantId) -> Result<(), ServiceError> {
        self.store.erase_deleted(tenant).map(|_| ()).map_err(service_error)
    }

    fn quarantined(&self) -> u64 {
        self.store.engine().stats().quarantined
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, ServiceError> {
        let taken = self.runtime.block_on(self.snapshots.take(&self.gateway, skip_head));
        taken.map_err(|error| ServiceError::new(error.kind(), error.to_string()))
    }
}

#[derive(Debug)]
struct Reader {
    store: Arc<MetricStore>,
    tenant: TenantId,
}

fn time_of(start_ms: i64, end_ms: i64) -> TimeRange {
    TimeRange { min: start_ms, max: end_ms.max(start_ms) }
}

impl Reader {
    /// What each selector asks for; where there is none, everything.
    fn for_each_selector<T>(
        &self,
        query: &ListingQuery,
        ask: impl Fn(&Select<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, ServiceError> {
        let time = time_of(query.start_ms, query.end_ms);
        let everything = [Vec::new()];
        let selectors = if query.selectors.is_empty() { &everything[..] } else { &query.selectors };
        let ask = |selector: &Vec<Matcher>| {
            ask(&Select { time, matchers: selector, values_needed: false }).map_err(service_error)
        };
        selectors.iter().map(ask).collect()
    }

    fn names(
        &self,
        query: &ListingQuery,
        list: impl Fn(&Select<'_>) -> Result<(Vec<String>, Vec<String>), StoreError>,
    ) -> Result<Listing<String>, ServiceError> {
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for (mut names, of_names) in self.for_each_selector(query, list)? {
            found.append(&mut names);
            warnings.extend(of_names);
        }
        // In order already, where there is one selector.
        found.sort();
        found.dedup();
        Ok(listing(found, query.limit, warnings))
    }
}

fn listing<T>(
    found: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    limit: usize,
    warnings: Vec<String>,
) -> Listing<T> {
    let found = found.into_iter();
    let is_truncated = found.len() > limit;
    Listing { items: found.take(limit).collect(), is_truncated, warnings }
}

/// Put together one by one where the store's order is that of the labels: who wants a few pays for
/// a few.
fn in_order(selection: &StoreSelection) -> Box<dyn Iterator<Item = Labels> + '_> {
    let all = (0..selection.len()).map(|index| selection.labels(index));
    if selection.is_in_label_order() {
        return Box::new(all);
    }
    let mut all: Vec<Labels> = all.collect();
    all.sort();
    Box::new(all.into_iter())
}

/// The first of what several lists in order have, each once.
fn first_of<T: Ord>(mut lists: Vec<Box<dyn Iterator<Item = T> + '_>>, count: usize) -> Vec<T> {
    let firsts = lists.iter_mut().enumerate();
    let firsts = firsts.filter_map(|(list, items)| Some(Reverse((items.next()?, list))));
    let mut waiting: BinaryHeap<Reverse<(T, usize)>> = firsts.collect();
    let mut found: Vec<T> = Vec::new();
    while found.len() < count
        && let Some(mut least) = waiting.peek_mut()
    {
        let list = least.0.1;
        let item = match lists[list].next() {
            Some(next) => std::mem::replace(&mut least.0.0, next),
            None => PeekMut::pop(least).0.0,
        };
        if found.last() != Some(&item) {
            found.push(item);
        }
    }
    found
}

impl Storage for Reader {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let time = time_of(hints.start_ms, hints.end_ms);
        let values_needed = hints.detail != SampleDetail::Times;
        let wanted = Select { time, matchers, values_needed };
        let selection = self.store.select(&self.tenant, &wanted).map_err(storage_error)?;
        Ok(Box::new(Selected { selection }))
    }
}

struct Selected {
    selection: StoreSelection,
}

impl Selection for Selected {
    fn len(&self) -> usize {
        self.selection.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.selection.labels(index)
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let own = scratch.store.get_or_default::<StoreScratch>();
        let read = self.selection.read(index, own).map_err(storage_error)?;
        let (floats, histograms) = (read.floats, read.histograms);
        let Samples { times, values, starts } = floats;
        let floats = Column { times, values, starts };
        let Samples { times, values, starts } = histograms;
        Ok(SeriesColumns { floats, histograms: Column { times, values, starts } })
    }

    fn warnings(&self) -> Vec<String> {
        self.selection.warnings()
    }
}

impl MetricReader for Reader {
    fn series(&self, query: &ListingQuery) -> Result<Listing<Labels>, ServiceError> {
        let select = |wanted: &Select<'_>| self.store.select(&self.tenant, wanted);
        let selections = self.for_each_selector(query, select)?;
        let warnings = selections.iter().flat_map(StoreSelection::warnings).collect();
        // One more tells whether there is more.
        let wanted = query.limit.saturating_add(1);
        let found = first_of(selections.iter().map(in_order).collect(), wanted);
        Ok(listing(found, query.limit, warnings))
    }

    fn label_names(&self, query: &ListingQuery) -> Result<Listing<String>, ServiceError> {
        self.names(query, |wanted| self.store.label_names(&self.tenant, wanted))
    }

    fn label_values(
        &self,
        name: &str,
        query: &ListingQuery,
    ) -> Result<Listing<String>, ServiceError> {
        self.names(query, |wanted| self.store.label_values(&self.tenant, wanted, name))
    }

    fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>, ServiceError> {
        let all = self.store.metadata(&self.tenant).map_err(service_error)?;
        let wanted = all.into_iter().filter(|(name, _)| metric.is_none_or(|metric| metric == name));
        Ok(wanted.map(|(name, metadata)| (name, vec![metadata])).take(limit).collect())
    }

    fn exemplars(&self, query: &ListingQuery) -> Result<Vec<ExemplarSeries>, ServiceError> {
        let time = time_of(query.start_ms, query.end_ms);
        let mut found = Vec::new();
        for selector in &query.selectors {
            let series = self.store.exemplars(&self.tenant, time, selector);
            for (series, exemplars) in series.map_err(service_error)? {
                let exemplars = exemplars.into_iter().map(|exemplar| Exemplar {
                    labels: exemplar.labels,
                    value: exemplar.value,
                    timestamp_ms: exemplar.time_ms,
                });
                found.push(ExemplarSeries { series, exemplars: exemplars.collect() });
            }
        }
        Ok(found)
    }

    fn statistics(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<MetricStatistics, ServiceError> {
        let wanted = Select { time: TimeRange::EVERYTHING, matchers, values_needed: false };
        let selection = self.store.select(&self.tenant, &wanted).map_err(service_error)?;
        let found = selection.cardinality(limit);
        let counts = |counts: Vec<metric_store::NameCount>| {
            counts.into_iter().map(|c| NamedCount { name: c.name, count: c.count }).collect()
        };
        let time = self.store.time_range(&self.tenant);
        let parts = self.store.parts(&self.tenant);
        Ok(MetricStatistics {
            // A series' samples in a part stand together, as a chunk's do.
            chunks: parts.iter().map(|part| part.series).sum(),
            min_time_ms: time.map_or(0, |time| time.min),
            max_time_ms: time.map_or(0, |time| time.max),
            series: found.series,
            label_pairs: found.label_pairs,
            series_by_metric: counts(found.metrics),
            values_by_label: counts(found.labels),
            bytes_by_label: counts(found.label_bytes),
            series_by_pair: counts(found.pairs),
        })
    }

    fn blocks(&self) -> Result<Vec<Block>, ServiceError> {
        let mut parts = self.store.parts(&self.tenant);
        parts.sort_by_key(|part| (part.time.min, part.id));
        let block = |part: &parts::PartInfo| Block {
            id: part.id.to_string(),
            min_time_ms: part.time.min,
            max_time_ms: part.time.max,
            samples: part.rows,
            series: part.series,
            level: u32::from(part.level),
            bytes: part.bytes,
        };
        Ok(parts.iter().map(block).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_and_only_read_as_far_as_needed() {
        let taken = std::cell::Cell::new(0);
        let counted = |items: &'static [u32]| -> Box<dyn Iterator<Item = u32> + '_> {
            Box::new(items.iter().copied().inspect(|_| taken.set(taken.get() + 1)))
        };
        let lists = || vec![counted(&[1, 3, 5, 7, 9]), counted(&[3, 4]), counted(&[])];
        assert_eq!(first_of(lists(), 3), [1, 3, 4]);
        assert_eq!(taken.replace(0), 5);
        assert_eq!(first_of(lists(), usize::MAX), [1, 3, 4, 5, 7, 9]);
        assert!(first_of(lists(), 0).is_empty());
        assert!(first_of::<u32>(Vec::new(), 3).is_empty());
    }
}
