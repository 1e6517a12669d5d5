//! Names, values, series and exemplars of several selectors together, each once and in order.

use super::derived;
use super::envelope::{ApiError, Context};
use super::memory::take;
use metric_store::{Exemplar, Select, Selection, in_label_order};
use model::{Labels, Matcher, TimeRange, TimeUnit};
use promql::Selection as _;
use query::Holding;
use std::borrow::Cow;

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

    /// One that matches everything, where there is none.
    pub(super) fn selectors_or_all(&self) -> Cow<'_, [Vec<Matcher>]> {
        match self.selectors.is_empty() {
            true => Cow::Owned(vec![Vec::new()]),
            false => Cow::Borrowed(&self.selectors),
        }
    }

    /// What each selector asks of the store; where there is none, everything.
    fn of_each<T>(
        &self,
        ask: impl Fn(&Select<'_>) -> Result<T, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        let selectors = self.selectors_or_all();
        let select = |matchers: &Vec<Matcher>| {
            ask(&Select { time: self.time(), matchers, values_needed: false })
        };
        selectors.iter().map(select).collect()
    }

    /// `derived`: what is derived from spans.
    fn names(
        &self,
        list: impl Fn(&Select<'_>) -> Result<Listed, ApiError>,
        derived: impl FnOnce() -> Result<derived::Found, ApiError>,
    ) -> Result<Listing<String>, ApiError> {
        if self.is_empty() {
            return Ok(Listing::default());
        }
        let (of_spans, mut warnings) = derived()?;
        let mut found: Vec<String> = of_spans.into_iter().collect();
        for (mut names, of_names) in self.of_each(list)? {
            found.append(&mut names);
            warnings.extend(of_names);
        }
        // In order already, where there is one selector and nothing of spans.
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
    let select = |wanted: &Select<'_>| Ok(store.select(tenant, wanted, &mut &*memory)?);
    let selections = query.of_each(select)?;
    let of_spans = derived::series(context, query, memory)?;
    let warnings = selections.iter().flat_map(Selection::warnings).chain(of_spans.warnings());
    let warnings = warnings.collect();
    // One more tells whether there is more.
    let wanted = query.limit.saturating_add(1);
    let in_order = in_label_order(&selections, &mut memory.portions())?;
    let mut found = Vec::new();
    for (labels, _) in in_order.take(wanted) {
        take(memory, labels.as_bytes().len() + 4 * size_of::<usize>())?;
        found.push(labels);
    }
    if !of_spans.is_empty() {
        found.extend((0..of_spans.len().min(wanted)).map(|index| of_spans.labels(index)));
        found.sort_unstable();
        found.dedup();
    }
    Ok(Listing::of(found, query.limit, warnings))
}

pub(super) fn label_names(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Listing<String>, ApiError> {
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    query.names(
        |wanted| Ok(store.label_names(tenant, wanted, &mut memory.portions())?),
        || derived::label_names(context, query, memory),
    )
}

pub(super) fn label_values(
    context: &Context,
    query: &ListingQuery,
    name: &str,
    memory: &Holding,
) -> Result<Listing<String>, ApiError> {
    let (store, tenant) = (&context.metrics()?.store, &context.call.tenant);
    query.names(
        |wanted| Ok(store.label_values(tenant, wanted, name, &mut memory.portions())?),
        || derived::label_values(context, query, name, memory),
    )
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
    found.extend(derived::exemplars(context, query, memory)?);
    // A series that several selectors match is found several times, with the same exemplars.
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found.dedup_by(|(later, _), (first, _)| later == first);
    Ok(found)
}
