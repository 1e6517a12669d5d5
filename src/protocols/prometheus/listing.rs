//! Names, values, series and exemplars of several selectors together, each once and in order.

use super::envelope::{ApiError, Context};
use super::memory::take;
use metric_store::{Exemplar, Select, Selection, in_label_order};
use model::{Labels, Matcher, TimeRange, TimeUnit};
use query::Holding;

/// What a listing is about: the series that match any of the selectors (or all series, when there is
/// no selector) and have samples between the two times, both included.
#[derive(Clone, Debug)]
pub(super) struct ListingQuery {
    pub(super) selectors: Vec<Vec<Matcher>>,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) limit: usize,
}

/// A list that may be shorter than what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    /// More was found than the limit allows.
    pub(super) is_truncated: bool,
    pub(super) warnings: Vec<String>,
}

impl<T> Listing<T> {
    fn of(mut items: Vec<T>, limit: usize, warnings: Vec<String>) -> Self {
        let is_truncated = items.len() > limit;
        items.truncate(limit);
        Self { items, is_truncated, warnings }
    }
}

/// What one selector found, and warnings about what could not be read.
type Listed = (Vec<String>, Vec<String>);

impl ListingQuery {
    /// The end lies before the start, so that there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.end_ms < self.start_ms
    }

    pub(super) fn time(&self) -> TimeRange {
        TimeUnit::Millis.between(self.start_ms, self.end_ms.max(self.start_ms))
    }

    /// What each selector asks of the store; where there is none, everything.
    fn of_each<T>(
        &self,
        ask: impl Fn(&Select<'_>) -> Result<T, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        let everything = [Vec::new()];
        let selectors = if self.selectors.is_empty() { &everything[..] } else { &self.selectors };
        let select = |matchers: &Vec<Matcher>| {
            ask(&Select { time: self.time(), matchers, values_needed: false })
        };
        selectors.iter().map(select).collect()
    }

    fn names(
        &self,
        list: impl Fn(&Select<'_>) -> Result<Listed, ApiError>,
    ) -> Result<Listing<String>, ApiError> {
        if self.is_empty() {
            return Ok(Listing::default());
        }
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for (mut names, of_names) in self.of_each(list)? {
            found.append(&mut names);
            warnings.extend(of_names);
        }
        // In order already, where there is one selector.
        found.sort();
        found.dedup();
        Ok(Listing::of(found, self.limit, warnings))
    }
}

pub(super) fn series(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Listing<Labels>, ApiError> {
    if query.is_empty() {
        return Ok(Listing::default());
    }
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    let selections = query.of_each(|wanted| Ok(store.select(tenant, wanted)?))?;
    let warnings = selections.iter().flat_map(Selection::warnings).collect();
    // One more tells whether there is more.
    let wanted = query.limit.saturating_add(1);
    let in_order = in_label_order(&selections, &mut memory.portions())?;
    let mut found = Vec::new();
    for (labels, _) in in_order.take(wanted) {
        take(memory, labels.as_bytes().len() + 4 * size_of::<usize>())?;
        found.push(labels);
    }
    Ok(Listing::of(found, query.limit, warnings))
}

pub(super) fn label_names(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Listing<String>, ApiError> {
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    query.names(|wanted| Ok(store.label_names(tenant, wanted, &mut memory.portions())?))
}

pub(super) fn label_values(
    context: &Context,
    query: &ListingQuery,
    name: &str,
    memory: &Holding,
) -> Result<Listing<String>, ApiError> {
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    query.names(|wanted| Ok(store.label_values(tenant, wanted, name, &mut memory.portions())?))
}

/// The exemplars of each series that a selector matches.
pub(super) fn exemplars(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Vec<(Labels, Vec<Exemplar>)>, ApiError> {
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    let mut found = Vec::new();
    for selector in &query.selectors {
        found.extend(store.exemplars(tenant, query.time(), selector, &mut memory.portions())?);
    }
    // A series that several selectors match is found several times, with the same exemplars.
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found.dedup_by(|(later, _), (first, _)| later == first);
    Ok(found)
}
