//! Growth with `anchored` and `smoothed`: the value at each edge is known, not extended.
//!
//! 1. The left value: the last sample at or before the window's start (`smoothed`: interpolated at
//!    the start); the first one in the window where there is none before.
//! 2. The right value: the last sample (`smoothed`: interpolated at the end).
//! 3. Their difference, plus for counters what was reached before each reset in between.

use super::combine::{combine, note_mixed_buckets};
use crate::annotations::Note;
use crate::function::{Answer, Growth, Window, WindowContext};
use crate::storage::Column;
use crate::types::Edges;
use model::{FloatHistogram, ResetHint};
use query::Combining;
use std::sync::Arc;

pub(super) fn grow(window: &Window<'_>, context: &WindowContext<'_>, growth: Growth) -> Answer {
    if !window.histograms.values.is_empty() {
        return grow_histograms(window, context, growth).unwrap_or(Answer::Nothing);
    }
    grow_floats(window, context, growth).map_or(Answer::Nothing, Answer::Float)
}

/// The first and the last sample that matter. `None` where nothing lies in the window.
fn ends(times: &[i64], window: &Window<'_>, smoothed: bool) -> Option<(usize, usize)> {
    let final_index = times.len().checked_sub(1)?;
    let search = &times[..final_index];
    let first = search.partition_point(|time| *time <= window.start_ms).saturating_sub(1);
    let last =
        if smoothed { search.partition_point(|time| *time < window.end_ms) } else { final_index };
    let nothing = times[last] <= window.start_ms || (smoothed && times[first] > window.end_ms);
    (!nothing).then_some((first, last))
}

fn grow_floats(window: &Window<'_>, context: &WindowContext<'_>, growth: Growth) -> Option<f64> {
    let smoothed = context.edges == Edges::Smoothed;
    let Column { times, values, .. } = window.floats;
    let (mut first, last) = ends(times, window, smoothed)?;
    let point = |index: usize| (times[index], values[index]);
    let left = if smoothed && times[first] < window.start_ms {
        interpolate(point(first), point(first + 1), window.start_ms, growth.counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.end_ms {
        interpolate(point(last - 1), point(last), window.end_ms, growth.counter)
    } else {
        values[last]
    };
    let mut result = right - left;
    if growth.counter {
        first += usize::from(times[first] <= window.start_ms);
        let end = last + usize::from(times[last] < window.end_ms);
        result += lost_to_resets(left, right, values.get(first..end).unwrap_or_default());
    }
    if growth.per_second {
        result /= context.range_ms as f64 / 1000.0;
    }
    Some(result)
}

/// The value on the line between two samples; after a counter's reset the line starts at zero.
pub(crate) fn interpolate(before: (i64, f64), after: (i64, f64), at: i64, counter: bool) -> f64 {
    let from = if counter && after.1 < before.1 { 0.0 } else { before.1 };
    from + (after.1 - from) * (at - before.0) as f64 / (after.0 - before.0) as f64
}

fn lost_to_resets(left: f64, right: f64, between: &[f64]) -> f64 {
    let mut previous = left;
    let mut lost = 0.0;
    for value in between.iter().chain([&right]) {
        if *value < previous {
            lost += previous;
        }
        previous = *value;
    }
    lost
}

fn grow_histograms(
    window: &Window<'_>,
    context: &WindowContext<'_>,
    growth: Growth,
) -> Option<Answer> {
    let smoothed = context.edges == Edges::Smoothed;
    let Column { times, values, .. } = window.histograms;
    let (first, last) = ends(times, window, smoothed)?;
    check_range(&values[first..=last], context, growth.counter)?;
    let point = |index: usize| (times[index], &*values[index]);
    let left = if smoothed && times[first] < window.start_ms {
        let start = window.start_ms;
        interpolate_histograms(point(first), point(first + 1), start, growth.counter, context)?
    } else {
        (*values[first]).clone()
    };
    let right = if smoothed && last > 0 && times[last] > window.end_ms {
        interpolate_histograms(
            point(last - 1),
            point(last),
            window.end_ms,
            growth.counter,
            context,
        )?
    } else {
        (*values[last]).clone()
    };
    let gauges = [&left, &right].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    if !growth.counter && gauges != [true; 2] {
        context.notes.add(Note::NotGauge(context.metric()), context.position);
    }
    let mut result = right.clone();
    if !combine(&mut result, &left, Combining::Subtraction, context) {
        return None;
    }
    if growth.counter {
        let crossed = smoothed && times[first] < window.start_ms;
        let ends = Ends { first, last, left: &left, right: &right, crossed };
        add_lost_to_resets(&mut result, values, &ends, context)?;
    }
    if growth.per_second {
        result.divide(context.range_ms as f64 / 1000.0);
    }
    result.reset_hint = ResetHint::Gauge;
    result.compact();
    Some(Answer::Histogram(Box::new(result)))
}

fn check_range(
    values: &[Arc<FloatHistogram>],
    context: &WindowContext<'_>,
    counter: bool,
) -> Option<()> {
    let custom = values[0].uses_custom_buckets();
    for histogram in values {
        if histogram.uses_custom_buckets() != custom {
            note_mixed_buckets(context);
            return None;
        }
        if counter && histogram.reset_hint == ResetHint::Gauge {
            context.notes.add(Note::NotCounter(context.metric()), context.position);
        }
    }
    Some(())
}

pub(crate) fn interpolate_histograms(
    before: (i64, &FloatHistogram),
    after: (i64, &FloatHistogram),
    at: i64,
    counter: bool,
    context: &WindowContext<'_>,
) -> Option<FloatHistogram> {
    if at == before.0 {
        return Some(before.1.clone());
    }
    if at == after.0 {
        return Some(after.1.clone());
    }
    if before.1.uses_custom_buckets() != after.1.uses_custom_buckets() {
        note_mixed_buckets(context);
        return None;
    }
    let fraction = (at - before.0) as f64 / (after.0 - before.0) as f64;
    let mut result = after.1.clone();
    if counter && after.1.is_reset_from(before.1) {
        result.scale(fraction);
        return Some(result);
    }
    if !combine(&mut result, before.1, Combining::Subtraction, context) {
        return None;
    }
    result.scale(fraction);
    combine(&mut result, before.1, Combining::Addition, context).then_some(result)
}

struct Ends<'a> {
    first: usize,
    last: usize,
    left: &'a FloatHistogram,
    right: &'a FloatHistogram,
    /// The left value was interpolated.
    crossed: bool,
}

fn add_lost_to_resets(
    result: &mut FloatHistogram,
    values: &[Arc<FloatHistogram>],
    ends: &Ends<'_>,
    context: &WindowContext<'_>,
) -> Option<()> {
    // The left value stands for the first sample, the right one for the last.
    let mut from = ends.first + 1;
    let mut previous = ends.left;
    if ends.crossed && values[from].is_reset_from(&values[ends.first]) {
        // Interpolation has already gone over this reset.
        previous = &values[from];
        from += 1;
    }
    if from > ends.last {
        return Some(());
    }
    let between = values[from..ends.last].iter().map(|histogram| &**histogram);
    for histogram in between.chain([ends.right]) {
        let reset = histogram.is_reset_from(previous);
        if reset && !combine(result, previous, Combining::Addition, context) {
            return None;
        }
        previous = histogram;
    }
    Some(())
}
