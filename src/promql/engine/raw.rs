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
use crate::storage::{Column, Scratch, SeriesColumns};
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
        ev.control.check_in_turn(index)?;
        let SeriesColumns { floats, histograms } = selection.columns(index, &mut scratch)?;
        let (floats, histograms) =
            (between(floats, after, until), between(histograms, after, until));
        let floats =
            floats.filter(|(_, value)| !is_stale(**value)).map(|(time, value)| (time, *value));
        let histograms = histograms.filter(|(_, histogram)| !is_stale(histogram.sum));
        let histograms = histograms.map(|(time, it)| (time, SampleOf::Histogram(it.clone())));
        let float = |(time, value)| (time, SampleOf::Float(value));
        let mut samples: Vec<(i64, SampleOf)> = histograms.collect();
        let has_histograms = !samples.is_empty();
        if range.selector.edges == Edges::Plain {
            samples.extend(floats.map(float));
        } else {
            if has_histograms {
                let metric = selection.labels(index).metric_name().to_owned();
                ev.notes.add(Note::MixedFloatsHistograms(metric), range.position);
            }
            let is_smoothed = range.selector.edges == Edges::Smoothed;
            let floats: Vec<(i64, f64)> = floats.collect();
            samples.extend(with_edges(&floats, start, end, is_smoothed).into_iter().map(float));
        }
        if has_histograms {
            samples.sort_by_key(|(time, _)| *time);
        }
        push(ev, &mut result, selection.labels(index), samples)?;
    }
    result.sort_by(|left, right| left.labels.cmp(&right.labels));
    Ok(result)
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
        // As much again is taken when they are printed: better to know it before.
        let bytes = 2 * size_of_val(&*samples);
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
