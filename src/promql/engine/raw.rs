//! Range selectors and subqueries asked for by themselves: their samples, as they are.

use super::eval::Evaluator;
use super::plan::{RangeSelector, Subquery};
use super::{SampleOf, SampledSeries};
use crate::error::QueryError;
use crate::functions::interpolation::interpolate;
use crate::storage::{Column, Scratch};
use crate::types::Edges;
use model::{FloatHistogram, is_stale};
use query::{Grid, Slot, Weight};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn range_samples(
    ev: &Evaluator<'_>,
    range: &RangeSelector,
    grid: Grid,
) -> Result<Vec<SampledSeries>> {
    let selection = ev.select_for_range(range, grid)?;
    let span = Span::of(range, grid, ev.options.lookback_ms);
    let mut result = Vec::new();
    let mut scratch = Scratch::default();
    for index in 0..selection.len() {
        ev.control.check_in_turn(index)?;
        let columns = selection.columns(index, &mut scratch)?;
        let labels = selection.labels(index);
        let mut samples = span.histograms(columns.histograms);
        let has_histograms = !samples.is_empty();
        if has_histograms && span.edges != Edges::Plain {
            let word = if span.edges == Edges::Anchored { "anchored" } else { "smoothed" };
            let message = format!(
                "{word} modifier is not supported with histograms outside of a function: ask for {} \
                 without it",
                labels.metric_name()
            );
            return Err(QueryError::execution(message));
        }
        let floats = span.floats(columns.floats);
        samples.extend(floats.into_iter().map(|(time, value)| (time, SampleOf::Float(value))));
        if has_histograms {
            samples.sort_by_key(|(time, _)| *time);
        }
        push(ev, &mut result, labels, samples)?;
    }
    result.sort_by(|left, right| left.labels.cmp(&right.labels));
    Ok(result)
}

/// Which samples a selector is about, and what it does at its edges.
struct Span {
    start: i64,
    end: i64,
    edges: Edges,
    /// How far samples are looked at: after one moment and up to another.
    after: i64,
    until: i64,
}

impl Span {
    fn of(range: &RangeSelector, grid: Grid, lookback: i64) -> Self {
        let end = range.selector.moment(grid.start_ms);
        let (start, edges) = (end - range.range_ms, range.selector.edges);
        let (after, until) = match edges {
            Edges::Plain => (start, end),
            Edges::Anchored => (start - lookback, end),
            Edges::Smoothed => (start - lookback, end + lookback),
        };
        Self { start, end, edges, after, until }
    }

    fn floats(&self, column: Column<'_, f64>) -> Vec<(i64, f64)> {
        let found = between(column, self.after, self.until);
        let found = found.filter(|(_, value)| !is_stale(**value)).map(|(time, it)| (time, *it));
        let found: Vec<(i64, f64)> = found.collect();
        match self.edges {
            Edges::Plain => found,
            edges => with_edges(&found, self.start, self.end, edges == Edges::Smoothed),
        }
    }

    fn histograms(&self, column: Column<'_, Arc<FloatHistogram>>) -> Vec<(i64, SampleOf)> {
        let found = between(column, self.after, self.until);
        let found = found.filter(|(_, histogram)| !is_stale(histogram.sum));
        found.map(|(time, histogram)| (time, SampleOf::Histogram(Arc::clone(histogram)))).collect()
    }
}

/// The samples after one moment and up to another.
fn between<'a, T>(
    column: Column<'a, T>,
    after: i64,
    until: i64,
) -> impl Iterator<Item = (i64, &'a T)> + use<'a, T> {
    let first = column.times.partition_point(|time| *time <= after);
    let end = column.times.partition_point(|time| *time <= until).max(first);
    column.times[first..end].iter().copied().zip(&column.values[first..end])
}

fn push(
    ev: &Evaluator<'_>,
    result: &mut Vec<SampledSeries>,
    labels: model::Labels,
    samples: Vec<(i64, SampleOf)>,
) -> Result<()> {
    if !samples.is_empty() {
        let count = samples.len() as u64;
        let bytes = size_of_val(&*samples) + Weight::labels(&labels).bytes;
        ev.holding.take(Weight { samples: samples.len(), bytes })?;
        ev.stats.borrow_mut().add_at(0, count, count);
        result.push(SampledSeries { labels, samples });
    }
    Ok(())
}

/// The samples inside, and the values at both edges.
fn with_edges(floats: &[(i64, f64)], start: i64, end: i64, smoothed: bool) -> Vec<(i64, f64)> {
    let Some(final_index) = floats.len().checked_sub(1) else {
        return Vec::new();
    };
    let search = &floats[..final_index];
    let first = search.partition_point(|point| point.0 <= start).saturating_sub(1);
    let last = if smoothed { search.partition_point(|point| point.0 < end) } else { final_index };
    if floats[last].0 <= start {
        return Vec::new();
    }
    let left = if smoothed && floats[first].0 < start {
        interpolate(floats[first], floats[first + 1], start, false)
    } else {
        floats[first].1
    };
    let right = if smoothed && last > 0 && floats[last].0 > end {
        interpolate(floats[last - 1], floats[last], end, false)
    } else {
        floats[last].1
    };
    let inner = floats.iter().filter(|point| start < point.0 && point.0 < end);
    [(start, left)].into_iter().chain(inner.copied()).chain([(end, right)]).collect()
}

pub(super) fn subquery_samples(
    ev: &Evaluator<'_>,
    subquery: &Subquery,
    grid: Grid,
) -> Result<Vec<SampledSeries>> {
    let computed = ev.subquery(subquery, grid)?;
    let mut result = Vec::new();
    for (mut series, times) in computed.into_series() {
        if series.drop_name {
            series.labels = series.labels.without_metadata();
        }
        let samples = series.column.iter().map(|(step, slot)| {
            let value = match slot {
                Slot::Float(value) => SampleOf::Float(value),
                Slot::Histogram(histogram) => SampleOf::Histogram(histogram.clone()),
            };
            (times[step], value)
        });
        let samples = samples.collect();
        push(ev, &mut result, series.labels, samples)?;
    }
    result.sort_by(|left, right| left.labels.cmp(&right.labels));
    Ok(result)
}
