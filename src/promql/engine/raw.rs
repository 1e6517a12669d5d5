//! Range selectors and subqueries asked for by themselves: their samples, as they are.

use super::column::Slot;
use super::eval::Evaluator;
use super::grid::Grid;
use super::holding::Weight;
use super::plan::{RangeSelector, Subquery};
use super::{SampleOf, SampledSeries};
use crate::annotations::Note;
use crate::ast::Edges;
use crate::error::QueryError;
use crate::functions::interpolation::interpolate;
use crate::storage::Scratch;
use model::is_stale;

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn range_samples(
    ev: &Evaluator<'_>,
    range: &RangeSelector,
    grid: Grid,
) -> Result<Vec<SampledSeries>> {
    let end = range.selector.moment(grid.start_ms);
    let start = end - range.range_ms;
    let lookback = ev.options.lookback_ms;
    let (after, until) = match range.selector.edges {
        Edges::Plain => (start, end),
        Edges::Anchored => (start - lookback, end),
        Edges::Smoothed => (start - lookback, end + lookback),
    };
    let selection = ev.select_for_range(range, grid)?;
    let mut result = Vec::new();
    let mut scratch = Scratch::default();
    for index in 0..selection.len() {
        ev.control.check()?;
        let columns = selection.columns(index, &mut scratch)?;
        let within = |time: i64| after < time && time <= until;
        let mut floats: Vec<(i64, f64)> = Vec::new();
        for (time, value) in columns.floats.times.iter().zip(columns.floats.values) {
            if within(*time) && !is_stale(*value) {
                floats.push((*time, *value));
            }
        }
        let histograms = columns.histograms.times.iter().zip(columns.histograms.values);
        let histograms = histograms.filter(|(time, it)| within(**time) && !is_stale(it.sum));
        let mut samples: Vec<(i64, SampleOf)> =
            histograms.map(|(time, it)| (*time, SampleOf::Histogram(it.clone()))).collect();
        if range.selector.edges != Edges::Plain {
            if !samples.is_empty() {
                let metric = selection.labels(index).metric_name().to_owned();
                ev.notes.add(Note::MixedFloatsHistograms(metric), range.position);
            }
            floats = with_edges(&floats, start, end, range.selector.edges == Edges::Smoothed);
        }
        samples.extend(floats.into_iter().map(|(time, value)| (time, SampleOf::Float(value))));
        samples.sort_by_key(|(time, _)| *time);
        push(ev, &mut result, selection.labels(index), samples)?;
    }
    result.sort_by(|left, right| left.labels.cmp(&right.labels));
    Ok(result)
}

fn push(
    ev: &Evaluator<'_>,
    result: &mut Vec<SampledSeries>,
    labels: model::Labels,
    samples: Vec<(i64, SampleOf)>,
) -> Result<()> {
    if !samples.is_empty() {
        let bytes = size_of_val(&*samples);
        ev.holding.take(Weight { samples: samples.len(), bytes })?;
        ev.stats.borrow_mut().add_at(0, samples.len() as u64);
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
