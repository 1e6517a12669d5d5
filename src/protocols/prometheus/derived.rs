//! The series that are derived from spans, for the endpoints that list names and values; queries read them
//! through `promql`.

use super::envelope::{ApiError, Context};
use super::listing::ListingQuery;
use crate::traces::json::hex;
use metric_store::Exemplar;
use model::{Labels, METRIC_NAME, Matcher, MetricMetadata};
use promql::spans::{MetricFamily, SeriesSource, SpanExemplar, metric_families};
use promql::{QueryError, Selection as _, SpanSelection, SpanSeries, StorageError};
use query::{Control, Holding};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn failed(error: StorageError) -> ApiError {
    QueryError::Storage(error).into()
}

/// Names or values that were found, and what could not be read.
pub(super) type Found = (BTreeSet<String>, Vec<String>);

impl Context {
    /// What ends the reading of spans: the time that a query may take, or the client.
    pub(super) fn metric_control(&self, timeout_ms: i64) -> Control<'_> {
        let timeout = Duration::from_millis(timeout_ms.unsigned_abs());
        Control::new(&*self.services().clock, Some(timeout), self.cancel.clone())
    }

    /// `None` if the setting says so, or the spans are not open yet.
    pub(super) fn span_series<'a>(&'a self, control: &'a Control<'a>) -> Option<SpanSeries<'a>> {
        let traces = self.services().traces().ok()?;
        let now_ms = self.services().clock.wall_ms();
        let series =
            SpanSeries { store: &traces.store, tenant: &self.call.tenant, now_ms, control };
        self.api.settings.span_metrics.then_some(series)
    }

    fn with_spans<T: Default>(
        &self,
        read: impl FnOnce(SpanSeries<'_>) -> Result<T, StorageError>,
    ) -> Result<T, ApiError> {
        let control = self.metric_control(self.services().metric_options.engine.timeout_ms);
        self.span_series(&control).map_or_else(|| Ok(T::default()), read).map_err(failed)
    }
}

/// The derived series that a listing is about.
pub(super) fn series(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<SpanSelection, ApiError> {
    let (selectors, range_ms) = (query.selectors_or_all(), (query.start_ms, query.end_ms));
    if query.is_empty() || !SpanSeries::may_match(&selectors) {
        return Ok(SpanSelection::default());
    }
    context.with_spans(|spans| spans.list(range_ms, &selectors, &mut memory.portions()))
}

/// The derived series of some selectors, with their samples.
pub(super) fn samples(
    context: &Context,
    selectors: &[Vec<Matcher>],
    range_ms: (i64, i64),
    memory: &Holding,
) -> Result<SpanSelection, ApiError> {
    match SpanSeries::may_match(selectors) {
        false => Ok(SpanSelection::default()),
        true => {
            context.with_spans(|spans| spans.select(range_ms, selectors, &mut memory.portions()))
        }
    }
}

/// Exemplars of derived histograms, each with the ids of its span.
pub(super) fn exemplars(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Vec<(Labels, Vec<Exemplar>)>, ApiError> {
    let (selectors, range_ms) = (&query.selectors, (query.start_ms, query.end_ms));
    if !SpanSeries::may_match(selectors) {
        return Ok(Vec::new());
    }
    let found =
        context.with_spans(|spans| spans.exemplars(range_ms, selectors, &mut memory.portions()))?;
    let exemplar = |one: SpanExemplar| {
        let (trace_id, span_id) = (hex(&one.trace_id), hex(&one.span_id));
        let labels = Labels::from_pairs([("span_id", &*span_id), ("trace_id", &*trace_id)]);
        Exemplar { labels, time_ms: one.time_ms, value: one.seconds }
    };
    let of_series = |(series, list): (Labels, Vec<SpanExemplar>)| {
        (series, list.into_iter().map(exemplar).collect())
    };
    Ok(found.into_iter().map(of_series).collect())
}

pub(super) fn label_names(
    context: &Context,
    query: &ListingQuery,
    memory: &Holding,
) -> Result<Found, ApiError> {
    let mut names = BTreeSet::new();
    if query.selectors.is_empty() {
        let sources = context.with_spans(|spans| spans.sources((query.start_ms, query.end_ms)))?;
        names.extend(sources.iter().flat_map(SeriesSource::names).map(str::to_owned));
        return Ok((names, Vec::new()));
    }
    let found = series(context, query, memory)?;
    for index in 0..found.len() {
        names.extend(found.labels(index).iter().map(|(name, _)| name.to_owned()));
    }
    Ok((names, found.warnings()))
}

pub(super) fn label_values(
    context: &Context,
    query: &ListingQuery,
    name: &str,
    memory: &Holding,
) -> Result<Found, ApiError> {
    let mut values = BTreeSet::new();
    if !SeriesSource::is_known(name) {
        return Ok((values, Vec::new()));
    }
    if query.selectors.is_empty() && name == METRIC_NAME {
        let sources = context.with_spans(|spans| spans.sources((query.start_ms, query.end_ms)))?;
        values.extend(sources.iter().flat_map(SeriesSource::metrics).map(str::to_owned));
        return Ok((values, Vec::new()));
    }
    let found = series(context, query, memory)?;
    for index in 0..found.len() {
        let labels = found.labels(index);
        let value = labels.value(name);
        if !value.is_empty() && !values.contains(value) {
            super::memory::take(memory, value.len() + 64)?;
            values.insert(value.to_owned());
        }
    }
    Ok((values, found.warnings()))
}

/// What is told of derived metrics, if there are any.
pub(super) fn metadata(context: &Context) -> Result<Vec<(&'static str, MetricMetadata)>, ApiError> {
    let has_spans = context.with_spans(|spans| spans.has_spans((0, i64::MAX)))?;
    let families = if has_spans { metric_families() } else { &[] };
    let told = |family: &MetricFamily| {
        let (kind, help) = (family.kind, family.help.to_owned());
        (family.name, MetricMetadata { kind, help, unit: String::new() })
    };
    Ok(families.iter().map(told).collect())
}
