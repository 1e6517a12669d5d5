//! Aggregation over the samples of a window.

use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::{Answer, Columnar, Window, WindowContext, WindowFunction};
use model::KahanSum;
use query::Combining;
use query::OperatorNote;
use query::aggregate::{HistogramMean, HistogramSum, Mean, Outcome, quantile};

type Result<T> = std::result::Result<T, QueryError>;
type Evaluate = fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>;

const fn plain(evaluate: Evaluate) -> WindowFunction {
    WindowFunction::of(evaluate)
}

const fn columnar(evaluate: Evaluate, columnar: Columnar) -> WindowFunction {
    WindowFunction { columnar: Some(columnar), ..plain(evaluate) }
}

const fn naming(evaluate: Evaluate) -> WindowFunction {
    WindowFunction { keeps_name: true, ..plain(evaluate) }
}

pub(super) const COUNT: WindowFunction =
    plain(|w, _| Ok(Answer::Float((w.floats.values.len() + w.histograms.values.len()) as f64)));
pub(super) const FIRST: WindowFunction = naming(first);
pub(super) const LAST: WindowFunction = naming(last);
pub(super) const SUM: WindowFunction = plain(sum);
pub(super) const AVG: WindowFunction = plain(avg);
pub(super) const MIN: WindowFunction =
    columnar(|w, c| extreme(w, c, |v, best| v < best), Columnar::Least);
pub(super) const MAX: WindowFunction =
    columnar(|w, c| extreme(w, c, |v, best| v > best), Columnar::Greatest);
pub(super) const TS_OF_MIN: WindowFunction =
    plain(|w, c| time_of_extreme(w, c, |v, best| v <= best));
pub(super) const TS_OF_MAX: WindowFunction =
    plain(|w, c| time_of_extreme(w, c, |v, best| v >= best));
pub(super) const TS_OF_FIRST: WindowFunction = plain(ts_of_first);
pub(super) const TS_OF_LAST: WindowFunction = plain(ts_of_last);
pub(super) const STDDEV: WindowFunction = plain(|w, c| variance(w, c, f64::sqrt));
pub(super) const STDVAR: WindowFunction = plain(|w, c| variance(w, c, |variance| variance));
pub(super) const QUANTILE: WindowFunction = plain(quantile_over_time);
pub(super) const MAD: WindowFunction = plain(mad);

fn first(window: &Window<'_>, _: &WindowContext<'_>) -> Result<Answer> {
    let (floats, histograms) = (window.floats, window.histograms);
    Ok(match (floats.times.first(), histograms.times.first()) {
        (Some(float), Some(histogram)) if histogram < float => histogram_at(window, 0),
        (Some(_), _) => Answer::Float(floats.values[0]),
        (None, Some(_)) => histogram_at(window, 0),
        (None, None) => Answer::Nothing,
    })
}

fn last(window: &Window<'_>, _: &WindowContext<'_>) -> Result<Answer> {
    let (floats, histograms) = (window.floats, window.histograms);
    let final_histogram = histograms.values.len().saturating_sub(1);
    Ok(match (floats.times.last(), histograms.times.last()) {
        (Some(float), Some(histogram)) if histogram > float => {
            histogram_at(window, final_histogram)
        }
        (Some(_), _) => Answer::Float(floats.values[floats.values.len() - 1]),
        (None, Some(_)) => histogram_at(window, final_histogram),
        (None, None) => Answer::Nothing,
    })
}

fn histogram_at(window: &Window<'_>, index: usize) -> Answer {
    Answer::Histogram(Box::new((*window.histograms.values[index]).clone()))
}

fn ts_of_first(window: &Window<'_>, _: &WindowContext<'_>) -> Result<Answer> {
    let times = window.floats.times.first().into_iter().chain(window.histograms.times.first());
    Ok(times.min().map_or(Answer::Nothing, |time| Answer::Float(*time as f64 / 1000.0)))
}

fn ts_of_last(window: &Window<'_>, _: &WindowContext<'_>) -> Result<Answer> {
    let times = window.floats.times.last().into_iter().chain(window.histograms.times.last());
    Ok(times.max().map_or(Answer::Nothing, |time| Answer::Float(*time as f64 / 1000.0)))
}

/// `true` where floats and histograms stand side by side, which these functions can't handle.
fn is_mixed(window: &Window<'_>, context: &WindowContext<'_>) -> bool {
    let mixed = !window.floats.values.is_empty() && !window.histograms.values.is_empty();
    if mixed {
        let note = Note::MixedFloatsHistograms(context.metric());
        context.notes.add(note, context.position);
    }
    mixed
}

fn sum(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    if is_mixed(window, context) {
        return Ok(Answer::Nothing);
    }
    if window.histograms.values.is_empty() {
        let sum = KahanSum::default().plus_all(window.floats.values);
        return Ok(Answer::Float(sum.total()));
    }
    let mut sum = HistogramSum::default();
    for histogram in window.histograms.values {
        sum.add(histogram);
    }
    Ok(finished(sum.finish(), context))
}

fn avg(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    if is_mixed(window, context) {
        return Ok(Answer::Nothing);
    }
    if window.histograms.values.is_empty() {
        return Ok(Answer::Float(Mean::of(window.floats.values).value()));
    }
    let mut mean = HistogramMean::default();
    for histogram in window.histograms.values {
        mean.add(histogram);
    }
    Ok(finished(mean.finish(), context))
}

fn finished(outcome: Outcome, context: &WindowContext<'_>) -> Answer {
    if outcome.reset_collision {
        context.notes.add(OperatorNote::ResetCollision(Combining::Aggregation), context.position);
    }
    if outcome.bounds_reconciled {
        context.notes.add(OperatorNote::BoundsReconciled(Combining::Aggregation), context.position);
    }
    match outcome.histogram {
        Some(histogram) => Answer::Histogram(Box::new(histogram)),
        None => {
            context
                .notes
                .add(OperatorNote::MixedExponentialCustom(context.metric()), context.position);
            Answer::Nothing
        }
    }
}

/// The floats, where there are any; histograms beside them are left out with a note.
fn floats_only<'a>(window: &Window<'a>, context: &WindowContext<'_>) -> Option<&'a [f64]> {
    if window.floats.values.is_empty() {
        return None;
    }
    if !window.histograms.values.is_empty() {
        note_ignored(context);
    }
    Some(window.floats.values)
}

pub(super) fn note_ignored(context: &WindowContext<'_>) {
    context.notes.add(Note::HistogramIgnoredInMixedRange(context.metric()), context.position);
}

/// The smallest or largest value. NaN only where there is nothing else.
fn extreme(
    window: &Window<'_>,
    context: &WindowContext<'_>,
    better: impl Fn(f64, f64) -> bool,
) -> Result<Answer> {
    let Some(values) = floats_only(window, context) else {
        return Ok(Answer::Nothing);
    };
    let choose = |best: f64, value: f64| {
        if better(value, best) || best.is_nan() { value } else { best }
    };
    // Four at a time, as each alone would have to wait for the one before.
    let mut lanes = [values[0]; 4];
    let chunks = values.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = choose(*lane, *value);
        }
    }
    let best = lanes.iter().chain(rest).fold(values[0], |best, value| choose(best, *value));
    // Of zeros of both signs the first counts.
    let zero = || values.iter().find(|value| **value == 0.0).copied();
    Ok(Answer::Float(if best == 0.0 { zero().unwrap_or(best) } else { best }))
}

fn time_of_extreme(
    window: &Window<'_>,
    context: &WindowContext<'_>,
    better: impl Fn(f64, f64) -> bool,
) -> Result<Answer> {
    let Some(values) = floats_only(window, context) else {
        return Ok(Answer::Nothing);
    };
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if better(*value, values[best]) || values[best].is_nan() {
            best = index;
        }
    }
    Ok(Answer::Float(window.floats.times[best] as f64 / 1000.0))
}

fn variance(
    window: &Window<'_>,
    context: &WindowContext<'_>,
    finish: fn(f64) -> f64,
) -> Result<Answer> {
    let Some(values) = floats_only(window, context) else {
        return Ok(Answer::Nothing);
    };
    let (mut mean, mut squares) = (KahanSum::default(), KahanSum::default());
    let at = |sum: KahanSum| sum.sum + sum.compensation;
    let mut count = 0.0;
    for value in values {
        count += 1.0;
        let delta = value - at(mean);
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (value - at(mean)));
    }
    Ok(Answer::Float(finish(at(squares) / count)))
}

fn quantile_over_time(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    let (q, values) = (window.scalars[0], window.floats.values);
    if values.is_empty() {
        return Ok(Answer::Nothing);
    }
    if !(0.0..=1.0).contains(&q) {
        context.notes.add(OperatorNote::InvalidQuantile(q.to_bits()), context.all_position);
    }
    if !window.histograms.values.is_empty() {
        let note = Note::HistogramIgnoredInMixedRange(context.metric());
        context.notes.add(note, context.all_position);
    }
    let mut few = [0.0; FEW];
    Ok(Answer::Float(match few.get_mut(..values.len()) {
        Some(copy) => {
            copy.copy_from_slice(values);
            quantile(q, copy)
        }
        None => quantile(q, &mut values.to_vec()),
    }))
}

/// Most windows have no more samples than this, and need no memory from the allocator.
const FEW: usize = 128;

/// The median distance from the median.
fn mad(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    let Some(values) = floats_only(window, context) else {
        return Ok(Answer::Nothing);
    };
    if values.iter().any(|value| value.is_nan()) {
        return Ok(Answer::Float(f64::NAN));
    }
    let mut values = values.to_vec();
    let median = quantile(0.5, &mut values);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    Ok(Answer::Float(quantile(0.5, &mut distances)))
}
